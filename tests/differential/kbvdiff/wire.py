# SPDX-License-Identifier: BSD-3-Clause
"""DNS messages: as much as is needed to write zones, ask, and read answers.

A name is bytes in wire format, lower case, wherever it is one; text has a final dot.
"""

import struct

A, NS, CNAME, SOA, TXT, AAAA, SRV, NAPTR, DNAME, OPT = 1, 2, 5, 6, 16, 28, 33, 35, 39, 41
DS, RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, TLSA = 43, 46, 47, 48, 50, 51, 52
KBV, KBV_OPTION, EDE = 65300, 65100, 15
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5
ROOT = b"\0"


# ------------------------------------------------------------------------------------ names

def name(text):
    """The wire format of a name without escapes."""
    out = b""
    for label in text.lower().rstrip(".").split("."):
        if label:
            assert len(label) < 64, text
            out += bytes([len(label)]) + label.encode()
    assert len(out) < 255, text
    return out + ROOT


def labels(wire):
    out, at = [], 0
    while wire[at]:
        out.append(wire[at + 1:at + 1 + wire[at]])
        at += 1 + wire[at]
    return out


def join(parts):
    return b"".join(bytes([len(part)]) + part for part in parts) + ROOT


def text(wire):
    return "".join(part.decode("latin-1") + "." for part in labels(wire)) or "."


def canonical(wire):
    """To sort by: RFC 4034 section 6.1."""
    return [part.lower() for part in reversed(labels(wire))]


def parent(wire):
    return wire[1 + wire[0]:]


def below(wire, ancestor):
    """At or below: on a label's boundary."""
    while len(wire) > len(ancestor):
        wire = parent(wire)
    return wire == ancestor


# --------------------------------------------------------------------------------- messages

class Malformed(ValueError):
    pass


def read_name(message, at):
    """(name in lower case, position behind it)."""
    parts, end, hops = [], None, 0
    while True:
        size = message[at]
        if size >= 0xC0:
            end = end or at + 2
            at = (size & 0x3F) << 8 | message[at + 1]
            hops += 1
            if hops > 60:
                raise Malformed("compression loop")
        elif size == 0:
            return b"".join(parts) + ROOT, end or at + 1
        else:
            parts.append(message[at:at + 1 + size].lower())
            at += 1 + size


# RDATA that may hold compressed names: how many octets stand before the name.
_NAME_AT = {NS: 0, CNAME: 0, DNAME: 0, SRV: 6}


def _rdata(message, rrtype, at, size):
    if rrtype in _NAME_AT:
        skip = _NAME_AT[rrtype]
        return message[at:at + skip] + read_name(message, at + skip)[0]
    if rrtype == SOA:
        one, at = read_name(message, at)
        other, at = read_name(message, at)
        return one + other + message[at:at + 20]
    return message[at:at + size]


class Message:
    """An answer: rcode, flags, sections as lists of (owner, type, ttl, RDATA), options."""

    def __init__(self, octets):
        try:
            self._read(octets)
        except (IndexError, struct.error) as error:
            raise Malformed(str(error)) from error

    def _read(self, octets):
        self.id, flags, questions, *counts = struct.unpack_from(">6H", octets)
        self.rcode, self.tc, self.ad = flags & 15, bool(flags & 0x200), bool(flags & 0x20)
        self.aa = bool(flags & 0x400)
        at, self.options = 12, []
        for _ in range(questions):
            self.qname, at = read_name(octets, at)
            self.qtype = int.from_bytes(octets[at:at + 2], "big")
            at += 4
        sections = []
        for count in counts:
            rows = []
            for _ in range(count):
                owner, at = read_name(octets, at)
                rrtype, klass, ttl, size = struct.unpack_from(">HHIH", octets, at)
                at += 10
                if rrtype == OPT:
                    self._read_options(octets[at:at + size])
                else:
                    rows.append((owner, rrtype, ttl, _rdata(octets, rrtype, at, size)))
                at += size
            sections.append(rows)
        self.answer, self.authority, self.additional = sections

    def _read_options(self, octets):
        at = 0
        while at < len(octets):
            code, size = struct.unpack_from(">HH", octets, at)
            self.options.append((code, octets[at + 4:at + 4 + size]))
            at += 4 + size

    def edes(self):
        return [int.from_bytes(value[:2], "big") for code, value in self.options if code == EDE]


def query(ident, qname, qtype, do=False, options=()):
    """A question with EDNS, RD and AD; options: the octets of each request for a verdict."""
    sent = b"".join(struct.pack(">HH", KBV_OPTION, len(one)) + one for one in options)
    return (struct.pack(">6H", ident, 0x0120, 1, 0, 0, 1) + qname + struct.pack(">HH", qtype, 1) +
            ROOT + struct.pack(">HHIH", OPT, 4096, 0x8000 if do else 0, len(sent)) + sent)


# ------------------------------------------------------------------------------------ RDATA

def string(value):
    return bytes([len(value)]) + value


def naptr(order, preference, flags, services, regexp, replacement):
    return (struct.pack(">HH", order, preference) + string(flags.encode()) +
            string(services.encode()) + string(regexp.encode()) + name(replacement))


def srv(priority, weight, port, target):
    return struct.pack(">HHH", priority, weight, port) + name(target)


def soa(primary, minimum):
    return name(primary) + name("hostmaster.invalid") + struct.pack(">5I", 1, 3600, 600, 86400,
                                                                    minimum)
