# SPDX-License-Identifier: BSD-3-Clause
"""Tunnels as processes, and what stands at their plain ends."""

import hashlib
import os
import re
import signal
import socket
import socketserver
import subprocess
import threading
import time

from kbvtest import programs

PATIENCE_S = 60
RESOLVER = "127.0.0.1"


def until(what, condition):
    """Waits until it holds; what it returned."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not in time: {what() if callable(what) else what}"
        time.sleep(0.02)


class Tunnel:
    """`kbv tunnel` as a context manager: it listens, and must end well with the block.

    role: client or server. identity: (certificate, key). prefix: a command in front of it.
    """

    def __init__(self, role, identity, *arguments, listen="127.0.0.1:0", server=RESOLVER,
                 prefix=()):
        self.words = [*prefix, str(programs.KBV), "tunnel", role, "--listen", listen, "--cert",
                      identity[0], "--key", identity[1], "--server", server, "--verbose", *arguments]
        self.lines = []

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stderr=subprocess.PIPE, text=True,
                                        errors="replace")
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        # Sanitizers end late, too: whatever it said is there then.
        until(lambda: f"{' '.join(self.words)}: {self.log()}",
              lambda: self.count("listening") or self.process.poll() is not None)
        found = re.search(r"event=listening .*address=(\S+):(\d+)", self.log())
        assert found, self.log()
        self.address = (found[1].strip("[]"), int(found[2]))
        return self

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def log(self):
        return "\n".join(self.lines)

    def find(self, event, pattern=""):
        """The lines of an event that have the pattern."""
        return [line for line in list(self.lines)
                if line.startswith(f"event={event}") and
                line[len(f"event={event}"):][:1] in ("", " ") and re.search(pattern, line)]

    def count(self, event, pattern=""):
        return len(self.find(event, pattern))

    def says(self, event, pattern="", times=1):
        """Waits until it has logged it that often; the last such line."""
        until(lambda: f"event={event} {pattern}, {times} times, in {self.log()}",
              lambda: self.count(event, pattern) >= times)
        return self.find(event, pattern)[-1]

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """Ends it and looks at how it ended."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            time.sleep(0.05)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)  # at once
        status = self.process.wait(PATIENCE_S)
        self.reader.join(PATIENCE_S)
        assert "Sanitizer" not in self.log() and "runtime error" not in self.log(), self.log()
        return status

    def __exit__(self, kind, *_):
        try:
            status = self.end()
        finally:
            self.process.kill()
        if kind is None:
            assert status == 0, f"exit status {status}: {self.log()}"


class Backend:
    """A server without TLS: what serve() makes of each connection. It counts them."""

    def __init__(self, serve):
        self.connections, self.octets, self.resets = 0, 0, 0
        self.lock = threading.Lock()
        backend = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with backend.lock:
                    backend.connections += 1
                try:
                    serve(backend, self.request)
                except (ConnectionError, TimeoutError):
                    with backend.lock:
                        backend.resets += 1

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads, request_queue_size, allow_reuse_address = True, 512, True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = "{}:{}".format(*self.server.server_address)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def count(self, octets):
        with self.lock:
            self.octets += octets

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def read_all(sock, backend=None):
    """Everything until the other end says that there is no more."""
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
        if backend:
            backend.count(len(part))
    return b"".join(parts)


def digest_and_answer(backend, sock):
    """Reads to the end; then says the digest of it, and something of its own with its digest."""
    sock.settimeout(PATIENCE_S)
    received = read_all(sock, backend)
    answer = os.urandom(1 + received[0] * 500 if received else 1)
    sock.sendall(hashlib.sha256(received).digest() + hashlib.sha256(answer).digest() + answer)


def echo(backend, sock):
    """Line by line, until the end."""
    sock.settimeout(PATIENCE_S)
    while part := sock.recv(65536):
        backend.count(len(part))
        sock.sendall(part)


def flood(backend, sock):
    """Sends as much as it is let, up to 64 MiB, and counts that."""
    sock.settimeout(PATIENCE_S)
    block = b"x" * 65536
    for _ in range(1024):
        sock.sendall(block)
        backend.count(len(block))


def connect(tunnel):
    return socket.create_connection(tunnel.address, PATIENCE_S)


def exchange(tunnel, payload):
    """Through to digest_and_answer() and back: the length of the answer."""
    with connect(tunnel) as sock:
        sock.sendall(payload)
        sock.shutdown(socket.SHUT_WR)
        received = read_all(sock)
    assert received[:32] == hashlib.sha256(payload).digest(), "what arrived there is another"
    assert received[32:64] == hashlib.sha256(received[64:]).digest(), "what arrived here is another"
    return len(received) - 64


def echoes(sock, text=b"hello\n"):
    sock.sendall(text)
    received = b""
    while len(received) < len(text):
        part = sock.recv(65536)
        assert part, "the connection ended"
        received += part
    assert received == text, received


def is_cut(sock):
    """The connection ends with a reset, and not as if all had been said."""
    try:
        rest = sock.recv(65536)
    except ConnectionResetError:
        return
    assert rest, "the connection ended in good order"
    raise AssertionError(f"received {rest[:100]!r}")


def cut_off(tunnel, octets=b"POST / HTTP/1.1\r\n\r\n"):
    """Whoever connects and says that gets a reset, be it as soon as he connects."""
    try:
        with connect(tunnel) as sock:
            sock.sendall(octets)
            is_cut(sock)
    except (ConnectionResetError, BrokenPipeError):
        pass


def unanswered(tunnel, octets=b"POST / HTTP/1.1\r\n\r\n"):
    """Likewise, but the end may be in good order: a server that refuses closes the TLS connection
    behind the handshake."""
    try:
        with connect(tunnel) as sock:
            sock.sendall(octets)
            rest = sock.recv(65536)
    except (ConnectionResetError, BrokenPipeError):
        return
    assert not rest, f"received {rest[:100]!r}"
