# SPDX-License-Identifier: BSD-3-Clause
"""The verdict's octets, by docs/verdict-format.md alone: what a replay expects is compared with
these, never with what the module's own encoder makes."""

import base64
import datetime
import hashlib
import struct
from dataclasses import dataclass, field

import dns.name
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# The key of RFC 8032 section 7.1, TEST 1, which signing.inc gives the resolver.
KEY = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
KEY_ID = hashlib.sha256(
    KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).digest()[:4]
SIGN = 0x01  # a request's flag

# name: code, EDE info code (None: no EDE)
STATUS = {
    "BOUND": (1, None), "NOT_BOUND": (2, 49152), "NO_BINDING": (3, 49153),
    "UNUSABLE": (4, 49154), "UNDECIDED": (5, 49155), "PUBLISHED": (6, None),
    "INSECURE": (16, 49156), "INDETERMINATE": (17, 5), "BOGUS": (18, 6), "STALE": (19, 3),
    "DOWNGRADE": (20, 49157), "TEMPFAIL": (32, 22), "REFUSED": (33, 18),
    "BAD_INPUT": (34, 49158), "LIMIT": (35, 49159),
}
FLAGS = {"keyed": 0x01, "aliased": 0x02, "wildcard": 0x04, "dates": 0x08}
SUBJECTS = {None: 0, "spki": 1, "cert": 2}
KINDS = {"joineui": (1, 8), "netid": (2, 3), "deveui": (3, 8)}
NONCE, IDENTIFIER, ENDPOINT, ASSOCIATIONS, FOUND_AT, REFERENCE_NAMES, REASON = range(1, 8)
NO_EDE = 0xFFFF


def wire(name):
    return name.canonicalize().to_wire()


def rrset_hash(rdatas):
    """First 16 octets of SHA-256 over len16 RDATA of each record, sorted."""
    octets = b"".join(struct.pack(">H", len(r)) + r for r in sorted(set(rdatas)))
    return hashlib.sha256(octets).digest()[:16]


@dataclass
class Verdict:
    """Times in seconds since the epoch; names are dns.name.Name."""
    status: str
    owner: dns.name.Name
    issued: int
    not_after: int
    flags: set = field(default_factory=set)
    subject: tuple = (None, bytes(32))
    match: tuple = (255, 255, 255)
    alg: int = 0
    hash: bytes = bytes(16)
    ede: int = NO_EDE
    nonce: bytes = None
    identifier: tuple = None  # kind, hex digits, name
    endpoint: tuple = None    # order, preference, priority, weight, port, target
    associations: list = None  # RDATA of each usable record, sorted
    found_at: dns.name.Name = None
    names: list = None
    reason: bytes = None
    signed: bool = False

    def tlvs(self):
        if self.nonce is not None:
            yield NONCE, self.nonce
        if self.identifier is not None:
            kind, digits, name = self.identifier
            yield IDENTIFIER, bytes([KINDS[kind][0]]) + bytes.fromhex(digits) + wire(name)
        if self.endpoint is not None:
            yield ENDPOINT, struct.pack(">5H", *self.endpoint[:5]) + wire(self.endpoint[5])
        if self.associations is not None:
            yield ASSOCIATIONS, b"".join(
                r[:3] + struct.pack(">H", len(r) - 3) + r[3:] for r in self.associations)
        if self.found_at is not None:
            yield FOUND_AT, wire(self.found_at)
        if self.names is not None:
            yield REFERENCE_NAMES, b"".join(wire(n) for n in self.names)
        if self.reason is not None:
            yield REASON, self.reason

    def encode(self):
        kind, digest = self.subject
        tlvs = b"".join(struct.pack(">HH", k, len(v)) + v for k, v in self.tlvs())
        octets = (bytes([0x12, STATUS[self.status][0], sum(FLAGS[f] for f in self.flags),
                         SUBJECTS[kind], *self.match, self.alg])
                  + struct.pack(">II", self.issued & 0xFFFFFFFF, self.not_after & 0xFFFFFFFF)
                  + digest + self.hash + struct.pack(">H", self.ede) + wire(self.owner)
                  + struct.pack(">H", len(tlvs)) + tlvs)
        if not self.signed:
            return octets + b"\0"
        octets += b"\1" + KEY_ID
        return octets + KEY.sign(b"lorawan-kbv-v1\0" + octets)

    def txt(self):
        """The character-strings of the readable form."""
        items = [b"v=kbv1", b"status=" + self.status.encode(), b"owner=" + text(self.owner)]
        if self.endpoint is not None:
            items.append(b"endpoint=%s:%d" % (text(self.endpoint[5])[:-1], self.endpoint[4]))
        if self.match != (255, 255, 255):
            items.append(b"match=%d/%d/%d" % self.match)
        for r in self.associations or []:
            mtype, data = r[2], r[3:]
            if mtype == 0:
                mtype, data = 1, hashlib.sha256(data).digest()
            items.append(b"pin=%d/%d/%d/" % (r[0], r[1], mtype) + data.hex().encode())
        items += [b"issued=" + clock(self.issued), b"not-after=" + clock(self.not_after)]
        if self.reason is not None:
            items.append(b"reason=" + self.reason)
        return [i for i in items if len(i) <= 255]


def text(name):
    return name.canonicalize().to_text().encode()


def clock(seconds):
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def digest_label(kind, digest):
    """s<52> or c<52>: base32hex without padding."""
    return kind + base64.b32hexencode(digest).decode().rstrip("=").lower()


def request(material=0, octets=b"", nonce=b"", flags=0, first=0x11):
    """The request option's octets."""
    return (bytes([first, flags, material, len(nonce)]) + nonce
            + struct.pack(">H", len(octets)) + octets)


def explain(octets):
    """What a verdict says, for a failure's message: (field, value) pairs, never an error."""
    try:
        return list(_explain(octets))
    except (IndexError, struct.error, ValueError, dns.exception.DNSException) as err:
        return [("malformed", f"{err}: {octets.hex()}")]


def _explain(o):
    names = {code: name for name, (code, _) in STATUS.items()}
    yield "kind", hex(o[0])
    yield "status", names.get(o[1], str(o[1]))
    yield "flags", " ".join(n for n, bit in FLAGS.items() if o[2] & bit)
    yield "subject", f"{o[3]} {o[16:48].hex()}"
    yield "match", f"{o[4]}/{o[5]}/{o[6]}"
    yield "alg", str(o[7])
    issued, not_after = struct.unpack(">II", o[8:16])
    yield "issued", str(issued)
    yield "life", str(not_after - issued)
    yield "hash", o[48:64].hex()
    yield "ede", str(struct.unpack(">H", o[64:66])[0])
    owner, used = dns.name.from_wire(o, 66)
    yield "owner", owner.to_text()
    at = 66 + used
    end = at + 2 + struct.unpack(">H", o[at:at + 2])[0]
    at += 2
    keys = {v: k.lower() for k, v in globals().items()
            if k.isupper() and isinstance(v, int) and v < 8}
    while at < end:
        key, length = struct.unpack(">HH", o[at:at + 4])
        value = o[at + 4:at + 4 + length]
        yield keys.get(key, str(key)), value.decode() if key == REASON else _value(key, value)
        at += 4 + length
    yield "rest", o[at:].hex()


def _value(key, value):
    if key == ENDPOINT:
        return f"{struct.unpack('>5H', value[:10])} {dns.name.from_wire(value, 10)[0]}"
    if key in (FOUND_AT, REFERENCE_NAMES):
        at, names = 0, []
        while at < len(value):
            name, used = dns.name.from_wire(value, at)
            names.append(name.to_text())
            at += used
        return " ".join(names)
    return value.hex()


def reason_of(octets):
    """The REASON of a verdict, or None: its wording is the module's own."""
    found = [v for k, v in explain(octets) if k == "reason"]
    return found[0].encode() if found else None
