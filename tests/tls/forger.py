# SPDX-License-Identifier: BSD-3-Clause
"""A resolver that says whatever a test wants: one verdict for every question with our option.

It answers what docs/verdict-format.md calls BOUND for the very digest that was presented, so that a
consumer who believes it accepts. Over UDP, on a loopback address of its own.
"""

import socket
import struct
import threading
import time

OPTION = 65100
HEADER = struct.Struct(">HHHHHH")


def _name_end(message, at):
    while message[at]:
        at += message[at] + 1
    return at + 1


def _presented(message, at):
    """The material of the request option in a question whose OPT begins at `at`."""
    at += 11  # root name, type, size, TTL, length
    while True:
        code, length = struct.unpack(">HH", message[at:at + 4])
        data = message[at + 4:at + 4 + length]
        if code == OPTION:
            nonce = data[3]
            return data[6 + nonce:]
        at += 4 + length


def verdict(owner, digest, status=1, issued=0, life=3600):
    """The octets of a keyed verdict. issued, life: [s], from now and from then."""
    now = int(time.time()) + issued
    match = b"\3\1\1" if status == 1 else b"\xff\xff\xff"
    return (bytes([0x12, status, 1, 1]) + match + b"\x0d" + struct.pack(">II", now, now + life) +
            digest + b"\1" * 16 + b"\xff\xff" + owner + b"\0\0\0")


class Forger:
    """As a context manager it answers for the length of the block.

    delay_s: how late it answers; None: never. owner: wire name to talk about, else the one asked.
    garbage: octets instead of a verdict. first: of the first answer alone, as the rest: see verdict().
    """

    def __init__(self, address, delay_s=0.0, owner=None, garbage=None, first=None, **words):
        self.delay_s, self.owner, self.garbage, self.words = delay_s, owner, garbage, words
        self.first = first
        self.asked = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _answer(self, message, client):
        number, _, _, _, _, _ = HEADER.unpack(message[:12])
        end = _name_end(message, 12) + 4
        asked = message[12:end - 4].lower()
        words, self.first = self.first or self.words, None
        octets = self.garbage if self.garbage is not None else \
            verdict(self.owner or asked, _presented(message, end), **words)
        options = struct.pack(">HH", OPTION, len(octets)) + octets
        reply = HEADER.pack(number, 0x8180, 1, 0, 0, 1) + message[12:end] + \
            b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(options)) + options
        try:
            self.socket.sendto(reply, client)
        except OSError:
            pass  # later than the end of the block

    def _serve(self):
        while True:
            try:
                message, client = self.socket.recvfrom(65535)
            except OSError:
                return
            if not message:
                return
            self.asked += 1
            if self.delay_s is not None:
                threading.Timer(self.delay_s, self._answer, (message, client)).start()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        address = self.socket.getsockname()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", address)
        self.thread.join(5)
        self.socket.close()
