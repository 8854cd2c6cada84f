# SPDX-License-Identifier: BSD-3-Clause
"""Our side of a connection: the program peer.c, a client or a server that libkbv protects."""

import json
import os
import subprocess

from kbvtest import programs

import others

# Another one to try another OpenSSL with.
PEER = os.environ.get("KBV_TLS_PEER", programs.BUILD / "tests/tls/peer")
RESOLVER = {"resolver": "127.0.0.1", "trust": "yes"}


def words(role, address, port, options):
    """The command line. A list is an option that is given several times."""
    out = [str(PEER), role, address, str(port)]
    for key, value in (RESOLVER | options).items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                out.append(f"{key.replace('_', '-')}={one}")
    return out


def with_key(identity):
    """Options for a certificate of ours."""
    return {"cert": identity.both, "key": identity.key}


def parse(output, errors, command):
    try:
        found = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    except ValueError:
        found = []
    assert found, f"{' '.join(command)}: {output}{errors}"
    return found


def clients(address, port, **options):
    """What a client of ours reports of each of its connections."""
    command = words("client", address, port, options)
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False,
                          timeout=2 * others.DEADLINE_S)
    assert "Sanitizer" not in done.stderr, done.stderr
    return parse(done.stdout, done.stderr, command)


def client(address, port, **options):
    return clients(address, port, **options)[0]


class Server:
    """A server of ours: as a context manager it listens, and is over with the block."""

    def __init__(self, port, address="127.0.0.1", **options):
        self.address, self.port = address, port
        self.command = words("server", address, port, options)

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.PIPE, errors="replace")
        line = self.process.stdout.readline()
        assert line == "listening\n", line + self.process.stderr.read()
        return self

    def reports(self):
        """What it reports of each connection, once it has had all that it waits for."""
        output, errors = self.process.communicate(timeout=2 * others.DEADLINE_S)
        assert "Sanitizer" not in errors, errors
        return parse(output, errors, self.command)

    def report(self):
        return self.reports()[0]

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
