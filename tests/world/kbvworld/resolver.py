# SPDX-License-Identifier: BSD-3-Clause
"""The resolver under test: its unbound.conf, and a handle to start and stop it."""

import subprocess
import time
from pathlib import Path

from . import capture, dnsmsg

LOOPBACK = ("127.0.0.1", "::1")

# `extra` for who cannot wait as long as life demands until an authority counts as unreachable.
IMPATIENT = ("server:", "    infra-cache-max-rtt: 1000", "    outbound-msg-retry: 2",
             "    unknown-server-time-limit: 200")


def unbound_conf(world, folder, kbv=True, port=53, extra=()):
    """The text of an unbound.conf that iterates from the world's root and validates.

    world: the contents of world.json. folder: for pid file, log and control socket; it exists.
    kbv: the module in the stack and the world's `kbv:` clause; without, any stock Unbound takes it.
    extra: lines that go to the end as they are, clause headers included; later ones win.
    The control socket makes `unbound-control -c FILE` work.
    """
    lines = ["server:",
             f"    module-config: \"{'kbv ' if kbv else ''}validator iterator\"",
             f"    directory: \"{folder}\"", "    chroot: \"\"", "    username: \"\"",
             f"    pidfile: \"{folder}/unbound.pid\"", f"    logfile: \"{folder}/unbound.log\"",
             "    use-syslog: no", "    do-daemonize: no", "    verbosity: 1",
             "    val-log-level: 2", "    log-servfail: yes", "    ede: yes",
             f"    port: {port}", "    do-ip6: yes",
             *(f"    interface: {address}" for address in LOOPBACK + capture.SERVICE),
             *(f"    outgoing-interface: {address}" for address in capture.OUTGOING),
             "    access-control: 0.0.0.0/0 allow", "    access-control: ::/0 allow",
             f"    root-hints: \"{world['hints']}\"",
             f"    trust-anchor-file: \"{world['anchor']}\"",
             # It would add a query of its own to what tests count.
             "    trust-anchor-signaling: no",
             "remote-control:", "    control-enable: yes", "    control-use-cert: no",
             f"    control-interface: \"{folder}/control\""]
    if kbv:
        lines.append("kbv:")
        lines += [f"    kbv-zone: \"{zone}\"" for zone in world["kbv_zones"]]
        lines += [f"    kbv-require-secure: \"{zone}\"" for zone in world["kbv_require_secure"]]
    return "\n".join([*lines, *extra]) + "\n"


class Resolver:
    """An Unbound in the namespace. As a context manager it runs for the length of the block."""

    def __init__(self, world, binary, name="resolver", kbv=True, port=53, extra=()):
        self.folder = Path(world["dir"]) / name
        self.folder.mkdir(exist_ok=True)
        self.binary, self.port = str(binary), port
        self.conf = self.folder / "unbound.conf"
        self.conf.write_text(unbound_conf(world, self.folder, kbv, port, extra))
        self.process = None

    def start(self, timeout_s=20):
        """Returns once it answers. RuntimeError with the log's end if it exits instead."""
        with open(self.folder / "stderr", "ab") as stderr:
            self.process = subprocess.Popen([self.binary, "-d", "-c", str(self.conf)],
                                            stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                dnsmsg.ask("127.0.0.1", "localhost.", "A", port=self.port, timeout=0.5)
                return self
            except OSError:
                time.sleep(0.02)
        state = self.process.poll()
        self.stop()
        raise RuntimeError(f"{self.binary} "
                           f"{'does not answer' if state is None else f'exited with {state}'}:\n"
                           f"{self.log()[-3000:]}")

    def stop(self):
        """Ends it in good order; returns its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def log(self):
        files = [self.folder / "unbound.log", self.folder / "stderr"]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def ask(self, name, rrtype, timeout_s=30.0, **how):
        """A plain question, without verdicts: a dnsmsg.Message. Asked again every two seconds, as
        clients do: after discard-timeout (1.9 s) Unbound keeps its answer for the next to ask."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return dnsmsg.ask("127.0.0.1", name, rrtype, port=self.port, **how)
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise

    __enter__ = start

    def __exit__(self, *_):
        self.stop()
