# SPDX-License-Identifier: BSD-3-Clause
"""A DNS client for options that are too long for dig: one question over UDP or TCP, asked once, and one
reply."""

import random
import socket
import struct

TYPES = {"A": 1, "NAPTR": 35, "TLSA": 52, "TYPE65300": 65300, "TXT": 16}
OPTION = 65100


def _name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.rstrip(".").split(".")) + b"\0"


def _question(name, rrtype, option, edns):
    opt = b"" if option is None else struct.pack(">HH", OPTION, len(option)) + option
    number = random.randrange(65536)
    return number, struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, int(edns)) + _name(name) + \
        struct.pack(">HH", TYPES[rrtype], 1) + \
        (b"\0" + struct.pack(">HHIH", 41, 4096, 0, len(opt)) + opt if edns else b"")


def _skip_name(message, at):
    while message[at]:
        if message[at] >= 0xC0:
            return at + 2
        at += message[at] + 1
    return at + 1


def options(message):
    """The octets of each option 65100 of a reply."""
    counts = struct.unpack(">HHHH", message[4:12])
    at = 12
    for _ in range(counts[0]):
        at = _skip_name(message, at) + 4
    found = []
    for _ in range(sum(counts[1:])):
        at = _skip_name(message, at)
        rrtype, _, _, length = struct.unpack(">HHIH", message[at:at + 10])
        at += 10
        rdata, at = message[at:at + length], at + length
        while rrtype == 41 and rdata:
            code, length = struct.unpack(">HH", rdata[:4])
            if code == OPTION:
                found.append(rdata[4:4 + length])
            rdata = rdata[4 + length:]
    return found


def _option(message):
    found = options(message)
    assert len(found) == 1, f"{len(found)} options {OPTION} in the reply"
    return found[0]


def _exactly(connection, n):
    octets = b""
    while len(octets) < n:
        part = connection.recv(n - len(octets))
        if not part:
            raise ConnectionError("the connection ended")
        octets += part
    return octets


def proxied(source, destination="192.0.2.53"):
    """The header by which a proxy says for whom it asks over TCP (PROXY protocol, version 2)."""
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack(">H", 12) + \
        socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack(">HH", 1, 53)


def exchange(name, rrtype, option=None, edns=True, server="127.0.0.1", tcp=True, timeout_s=10,
             source=None, port=53, preface=b""):
    """The reply's octets. option: the data of option 65100, None: without. source: our address;
    preface: goes before all else."""
    number, message = _question(name, rrtype, option, edns)
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, kind) as connection:
        connection.settimeout(timeout_s)
        if source:
            connection.bind((source, 0))
        connection.connect((server, port))
        if tcp:
            connection.sendall(preface + struct.pack(">H", len(message)) + message)
            reply = _exactly(connection, struct.unpack(">H", _exactly(connection, 2))[0])
        else:
            connection.send(message)
            reply = connection.recv(65535)
    assert struct.unpack(">H", reply[:2])[0] == number, "the reply is not to the question"
    return reply


def ask(name, rrtype, option, **how):
    """The octets of the option in the reply."""
    return _option(exchange(name, rrtype, option, **how))
