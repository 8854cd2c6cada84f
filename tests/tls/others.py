# SPDX-License-Identifier: BSD-3-Clause
"""TLS by others: openssl s_server and s_client, gnutls-serv and gnutls-cli, nginx and curl."""

import itertools
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

DEADLINE_S = 30
GNUTLS = "NORMAL:-VERS-ALL:+VERS-TLS{}"
NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid;
error_log {folder}/error.log; events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen {address}:{port} ssl;
        ssl_protocols TLSv{version};
        ssl_certificate {chain};
        ssl_certificate_key {key};
        location / {{ return 200 "welcome\\n"; }}
    }}
}}
"""
_ports = itertools.count(20000)


def next_port():
    return next(_ports)


@dataclass
class Identity:
    """What one presents: PEM files. chain: what goes with the end entity, or None."""
    cert: str
    key: str
    chain: str = None
    both: str = None  # end entity and chain in one file


def of_world(certs, name, alone=False):
    """The world's certificate of that name, with its CA unless alone."""
    row = certs[name]
    issuer = None if alone or row["issuer"] == name else certs[row["issuer"]]["cert"]
    return Identity(row["cert"], row["key"], issuer, row["cert"] if alone else row["chain"])


def _listens(address, port):
    wanted = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    text = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    return re.search(rf": (?:{wanted}|0{{8}}|0{{32}}):{port:04X} \S+ 0A ", text)


class Server:
    """A server of somebody else; as a context manager it runs for the length of the block."""

    def __init__(self, kind, port, identity, version, address="127.0.0.1", arguments=()):
        self.folder = tempfile.TemporaryDirectory(prefix="kbv-tls-")
        self.address, self.port, self.output = address, port, ""
        self.words = getattr(self, f"_{kind}")(identity, version) + list(arguments)
        self.greeting, self.answer = {"openssl": ("hello\n", "olleh\n"),
                                      "msg": ("hello\n", ""),
                                      "gnutls": ("hello\n", "hello\n"),
                                      "nginx": ("GET / HTTP/1.0\r\n\r\n", "welcome\n")}[kind]

    def _openssl(self, identity, version):
        words = ["openssl", "s_server", "-accept", f"{self.address}:{self.port}", "-rev",
                 f"-tls{version.replace('.', '_')}"]
        if identity is None:
            return [*words, "-nocert"]
        words += ["-cert", identity.cert, "-key", identity.key]
        return words + (["-cert_chain", identity.chain] if identity.chain else [])

    def _msg(self, identity, version):
        """It prints what it receives: each handshake message, and what is said afterwards."""
        words = [word for word in self._openssl(identity, version) if word != "-rev"]
        return [*words, "-msg", "-Verify", "1", "-cipher", "DEFAULT:@SECLEVEL=0"]

    def _gnutls(self, identity, version):
        return ["gnutls-serv", "-p", str(self.port), "--echo", "--priority",
                GNUTLS.format(version), "--x509certfile", identity.both, "--x509keyfile",
                identity.key]

    def _nginx(self, identity, version):
        conf = Path(self.folder.name) / "nginx.conf"
        conf.write_text(NGINX.format(folder=self.folder.name, address=self.address, port=self.port,
                                     version=version, chain=identity.both, key=identity.key))
        return ["/usr/sbin/nginx", "-c", str(conf), "-p", self.folder.name, "-e",
                f"{self.folder.name}/error.log"]

    def __enter__(self):
        self.file = open(Path(self.folder.name) / "output", "w+b")
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=self.file,
                                        stderr=subprocess.STDOUT)
        deadline = time.monotonic() + DEADLINE_S
        while not _listens(self.address, self.port):
            assert self.process.poll() is None and time.monotonic() < deadline, \
                f"{' '.join(self.words)}: {self.read()}"
            time.sleep(0.01)
        return self

    def read(self):
        self.file.seek(0)
        return self.file.read().decode(errors="replace")

    def heard(self, pattern):
        """Waits until it has printed that."""
        deadline = time.monotonic() + DEADLINE_S
        while not re.search(pattern, self.read()):
            assert time.monotonic() < deadline, f"not in time: {pattern}: {self.read()}"
            time.sleep(0.01)

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        self.output = self.read()
        self.file.close()
        self.folder.cleanup()


def client(kind, address, port, identity, version, text="hello\n", arguments=()):
    """Connects with somebody else's client, says text and returns what it printed."""
    if kind == "openssl":
        words = ["openssl", "s_client", "-connect", f"{address}:{port}", "-ign_eof",
                 f"-tls{version.replace('.', '_')}"]
        if identity:
            words += ["-cert", identity.cert, "-key", identity.key]
            words += ["-cert_chain", identity.chain] if identity.chain else []
    elif kind == "gnutls":
        words = ["gnutls-cli", "--insecure", "-p", str(port), "--priority", GNUTLS.format(version),
                 address]
        if identity:
            words += ["--x509certfile", identity.both, "--x509keyfile", identity.key]
    else:
        words = ["curl", "-sSk", "-m", str(DEADLINE_S), f"--tlsv{version}", "--tls-max", version,
                 f"https://{address}:{port}/"]
        if identity:
            words += ["--cert", identity.both, "--key", identity.key]
        text = ""
    words += arguments
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          errors="replace", stderr=subprocess.STDOUT) as process:
        try:
            # Its input stays open: gnutls-cli ends with it, whatever is still to come.
            process.stdin.write(text)
            process.stdin.flush()
        except BrokenPipeError:
            pass
        timer = subprocess_deadline(process)
        output = process.stdout.read()
        timer.cancel()
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.wait()
    return output


def subprocess_deadline(process):
    import threading
    timer = threading.Timer(DEADLINE_S, process.kill)
    timer.start()
    return timer
