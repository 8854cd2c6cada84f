# SPDX-License-Identifier: BSD-3-Clause
"""As much of the DNS wire format as the world itself needs (RFC 1035, RFC 6891)."""

import secrets
import socket
import struct
from dataclasses import dataclass, field

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "TXT": 16, "AAAA": 28, "SRV": 33, "NAPTR": 35,
         "DNAME": 39, "OPT": 41, "DS": 43, "RRSIG": 46, "NSEC": 47, "DNSKEY": 48, "NSEC3": 50,
         "TLSA": 52, "ANY": 255, "TYPE65300": 65300}
NAMES = {number: name for name, number in TYPES.items()}
RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]


@dataclass
class Record:
    name: str
    rrtype: str
    ttl: int
    data: bytes  # RDATA as it stood in the message: names in it may be compressed


@dataclass
class Message:
    id: int
    response: bool
    aa: bool
    tc: bool
    ad: bool
    rcode: str
    qname: str
    qtype: str
    answer: list = field(default_factory=list)


def type_name(number):
    return NAMES.get(number, f"TYPE{number}")


def encode_name(name):
    wire = b""
    for label in name.rstrip(".").split("."):
        if label:
            wire += bytes([len(label)]) + label.encode("ascii")
    return wire + b"\0"


def decode_name(message, at):
    """The name at an offset in lower case with its final dot, and the offset behind it."""
    labels, behind = [], None
    for _ in range(128):
        length = message[at]
        if length >= 0xC0:
            behind = behind or at + 2
            at = struct.unpack_from(">H", message, at)[0] & 0x3FFF
        elif length == 0:
            return ".".join(labels).lower() + ".", behind or at + 1
        else:
            labels.append(message[at + 1:at + 1 + length].decode("latin-1"))
            at += 1 + length
    raise ValueError("name loops")


def encode_query(name, rrtype, dnssec=False, cd=False, rd=True):
    flags = (0x0100 if rd else 0) | (0x0010 if cd else 0) | (0x0020 if dnssec else 0)
    head = struct.pack(">6H", secrets.randbelow(65536), flags, 1, 0, 0, 1)
    question = encode_name(name) + struct.pack(">2H", TYPES[rrtype], 1)
    opt = b"\0" + struct.pack(">HHIH", TYPES["OPT"], 1232, 0x8000 if dnssec else 0, 0)
    return head + question + opt


def decode(message):
    """Header, question and answer section of a message; ValueError if it has no question."""
    try:
        ident, flags, questions, answers = struct.unpack_from(">4H", message)
        if questions != 1:
            raise ValueError("not one question")
        qname, at = decode_name(message, 12)
        qtype, at = struct.unpack_from(">H", message, at)[0], at + 4
        rcode = flags & 15
        found = Message(ident, bool(flags & 0x8000), bool(flags & 0x0400), bool(flags & 0x0200),
                        bool(flags & 0x0020), RCODES[rcode] if rcode < 6 else str(rcode),
                        qname, type_name(qtype))
        if not found.response:
            return found
        for _ in range(answers):
            name, at = decode_name(message, at)
            rrtype, _, ttl, length = struct.unpack_from(">HHIH", message, at)
            at += 10
            found.answer.append(Record(name, type_name(rrtype), ttl, message[at:at + length]))
            at += length
        return found
    except (struct.error, IndexError) as error:
        raise ValueError(str(error)) from error


def _receive(sock, length):
    data = b""
    while len(data) < length:
        part = sock.recv(length - len(data))
        if not part:
            raise OSError("connection closed")
        data += part
    return data


def ask(server, name, rrtype, port=53, timeout=2.0, tcp=False, retry_tcp=True, **how):
    """One question, over TCP if asked or truncated. OSError if there is no answer in time."""
    query = encode_query(name, rrtype, **how)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((server, port))
        if tcp:
            sock.sendall(struct.pack(">H", len(query)) + query)
            reply = _receive(sock, struct.unpack(">H", _receive(sock, 2))[0])
        else:
            sock.send(query)
            reply = sock.recv(65535)
    answer = decode(reply)
    if answer.tc and not tcp and retry_tcp:
        return ask(server, name, rrtype, port, timeout, tcp=True, **how)
    return answer
