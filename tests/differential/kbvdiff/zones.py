# SPDX-License-Identifier: BSD-3-Clause
"""Zones, signed here: an RRset may have signatures of its own dates, broken ones, or none.

The cryptography is OpenSSL's, through python3-cryptography.
"""

import base64
import hashlib
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from . import wire

SECURE_ENTRY_KEY = 257


class Key:
    """One key signs a whole zone (a CSK): algorithm 8, 13, 14 or 15."""

    def __init__(self, algorithm, rng):
        self.algorithm = algorithm
        if algorithm == 8:
            self.private = rsa.generate_private_key(65537, 2048)
            numbers = self.private.public_key().public_numbers()
            public = b"\3\1\0\1" + numbers.n.to_bytes(256, "big")
        elif algorithm == 15:
            self.private = ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
            from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
            public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            curve, self.size = (ec.SECP256R1(), 32) if algorithm == 13 else (ec.SECP384R1(), 48)
            self.hash = hashes.SHA256() if algorithm == 13 else hashes.SHA384()
            self.private = ec.derive_private_key(rng.getrandbits(8 * self.size - 8) + 1, curve)
            numbers = self.private.public_key().public_numbers()
            public = numbers.x.to_bytes(self.size, "big") + numbers.y.to_bytes(self.size, "big")
        self.dnskey = struct.pack(">HBB", SECURE_ENTRY_KEY, 3, algorithm) + public
        total = sum(octet << (0 if at & 1 else 8) for at, octet in enumerate(self.dnskey))
        self.tag = (total + (total >> 16 & 0xFFFF)) & 0xFFFF  # RFC 4034 appendix B

    def sign(self, octets):
        if self.algorithm == 8:
            return self.private.sign(octets, padding.PKCS1v15(), hashes.SHA256())
        if self.algorithm == 15:
            return self.private.sign(octets)
        r, s = utils.decode_dss_signature(self.private.sign(octets, ec.ECDSA(self.hash)))
        return r.to_bytes(self.size, "big") + s.to_bytes(self.size, "big")

    def ds(self, zone):
        return struct.pack(">HBB", self.tag, self.algorithm, 2) + \
            hashlib.sha256(zone + self.dnskey).digest()


@dataclass
class Harm:
    """What is wrong with the signatures over one RRset, or over all of a zone."""
    begin: int = -86400  # from now
    end: int = 30 * 86400
    broken: bool = False
    stripped: bool = False  # no RRSIG
    removed: bool = False  # neither RRset nor RRSIG, while the denial still names the type
    key: object = None  # a key that the zone does not have
    also: object = None  # and a second RRSIG by the same key, with these dates: (begin, end)
    sooner: int = 0  # by how much each further key's end earlier than that of the one before


@dataclass
class Zone:
    name: bytes
    keys: list  # empty: unsigned
    servers: list  # addresses
    denial: str = "nsec"  # nsec, nsec3, opt-out
    ttl: int = 300
    minimum: int = 60
    ds: str = "right"  # right, none, wrong, unknown: in the parent
    harm: Harm = field(default_factory=Harm)  # all of it
    harms: dict = field(default_factory=dict)  # (name, type): Harm
    records: dict = field(default_factory=dict)  # (name, type): (ttl, [RDATA])
    children: list = field(default_factory=list)
    served: bool = True
    salt: bytes = b""
    iterations: int = 0

    def add(self, owner, rrtype, rdata, ttl=None):
        """One more record; the first one's TTL is the RRset's."""
        owner = owner if isinstance(owner, bytes) else wire.name(owner)
        assert wire.below(owner, self.name), (owner, self.name)
        ttl, rows = self.records.setdefault((owner, rrtype), (ttl or self.ttl, []))
        if rdata not in rows:
            rows.append(rdata)

    def nameservers(self):
        """The NS RRset and its addresses: in the zone and, as glue, in its parent."""
        rows = {}
        for at, address in enumerate(self.servers):
            host = wire.join([b"ns%d" % at]) [:-1] + self.name
            rows.setdefault((self.name, wire.NS), (86400, []))[1].append(host)
            rows[(host, wire.A)] = (86400, [bytes(int(part) for part in address.split("."))])
        return rows

    def anchors(self):
        """DS records for those who are told of this zone's keys."""
        return [key.ds(self.name) for key in self.keys]

    def ds_records(self):
        if self.ds == "none":
            return []
        keys = self.keys or [self.fake_key]
        rows = [key.ds(self.name) for key in keys]
        if self.ds == "wrong":
            rows = [row[:-1] + bytes([row[-1] ^ 1]) for row in rows]
        if self.ds == "unknown":  # RFC 4035 section 5.2: as if unsigned
            rows = [row[:2] + b"\xc8" + row[3:] for row in rows]
        return rows

    fake_key = None  # what an unsigned zone with a DS claims to have

    # ------------------------------------------------------------------------- what is signed

    def compile(self, now):
        """[(owner, type, ttl, RDATA)]: all that the server is given."""
        rrsets = dict(self.records)
        rrsets[(self.name, wire.SOA)] = (self.ttl, [wire.soa("ns0." + wire.text(self.name),
                                                            self.minimum)])
        rrsets.update(self.nameservers())
        unsigned = set()  # what lies below a delegation, and the delegation's own NS
        left_out = set()  # what an opt-out span covers
        for child in self.children:
            rrsets.update(child.nameservers())
            unsigned.update(child.nameservers())
            ds = child.ds_records()
            if ds:
                rrsets[(child.name, wire.DS)] = (self.ttl, ds)
            elif self.denial == "opt-out":
                left_out.add(child.name)
        if not self.keys:
            return self._rows(rrsets)
        rrsets[(self.name, wire.DNSKEY)] = (3600, [key.dnskey for key in self.keys])
        if self.denial == "nsec":
            rrsets.update(self._nsec(rrsets, unsigned))
        else:
            rrsets.update(self._nsec3(rrsets, unsigned, left_out))
        rows = []
        for (owner, rrtype), (ttl, rdatas) in rrsets.items():
            if (owner, rrtype) in unsigned:
                rows += [(owner, rrtype, ttl, rdata) for rdata in rdatas]
                continue
            harm = self.harms.get((owner, rrtype), self.harm)
            if not harm.removed:
                rows += [(owner, rrtype, ttl, rdata) for rdata in rdatas]
                if not harm.stripped:
                    rows += [(owner, wire.RRSIG, ttl, signature)
                             for signature in self._sign(owner, rrtype, ttl, rdatas, harm, now)]
        return rows

    @staticmethod
    def _rows(rrsets):
        return [(owner, rrtype, ttl, rdata) for (owner, rrtype), (ttl, rdatas) in rrsets.items()
                for rdata in rdatas]

    def _sign(self, owner, rrtype, ttl, rdatas, harm, now):
        dates = [(harm.begin, harm.end)] + ([harm.also] if harm.also else [])
        for at, key in enumerate([harm.key] if harm.key else self.keys):
            for begin, end in dates:
                end -= at * harm.sooner
                parts = wire.labels(owner)
                head = struct.pack(">HBBIIIH", rrtype, key.algorithm,
                                   len(parts) - (parts[:1] == [b"*"]), ttl, now + end, now + begin,
                                   key.tag) + self.name
                body = b"".join(owner + struct.pack(">HHIH", rrtype, 1, ttl, len(rdata)) + rdata
                                for rdata in sorted(rdatas))
                signature = key.sign(head + body)
                if harm.broken:
                    signature = signature[:9] + bytes([signature[9] ^ 4]) + signature[10:]
                yield head + signature

    def _bitmap(self, types):
        windows = {}
        for rrtype in types:
            windows.setdefault(rrtype >> 8, set()).add(rrtype & 255)
        out = b""
        for window, bits in sorted(windows.items()):
            octets = bytearray(max(bits) // 8 + 1)
            for bit in bits:
                octets[bit // 8] |= 0x80 >> bit % 8
            out += bytes([window, len(octets)]) + octets
        return out

    def _types(self, rrsets, unsigned):
        """{name: its types} of all names that this zone has authority for."""
        found = {}
        glue = {owner for owner, rrtype in unsigned if rrtype != wire.NS}
        for owner, rrtype in rrsets:
            if owner not in glue:
                found.setdefault(owner, set()).add(rrtype)
        return found

    # RFC 9077: a denial lives no longer than the SOA says.
    def _nsec(self, rrsets, unsigned):
        types = self._types(rrsets, unsigned)
        order = sorted(types, key=wire.canonical)
        return {(owner, wire.NSEC):
                (min(self.ttl, self.minimum), [order[(at + 1) % len(order)] +
                                self._bitmap(types[owner] | {wire.RRSIG, wire.NSEC})])
                for at, owner in enumerate(order)}

    def _nsec3(self, rrsets, unsigned, left_out):
        types = {owner: found for owner, found in self._types(rrsets, unsigned).items()
                 if owner not in left_out}
        for owner in list(types):  # empty non-terminals
            while len(owner) > len(self.name):
                owner = wire.parent(owner)
                types.setdefault(owner, set())
        types[self.name] = types[self.name] | {wire.NSEC3PARAM}
        hashed = {}
        for owner in types:
            digest = hashlib.sha1(owner + self.salt).digest()
            for _ in range(self.iterations):
                digest = hashlib.sha1(digest + self.salt).digest()
            hashed[digest] = owner
        order = sorted(hashed)
        parameters = bytes([1, 0]) + struct.pack(">H", self.iterations) + wire.string(self.salt)
        flagged = bytes([1, self.denial == "opt-out"]) + parameters[2:]
        rows = {(self.name, wire.NSEC3PARAM): (0, [parameters])}
        for at, digest in enumerate(order):
            owner = hashed[digest]
            signed = types[owner] - {wire.NS} or (types[owner] and owner == self.name)
            bitmap = types[owner] | ({wire.RRSIG} if signed else set())
            label = base64.b32hexencode(digest).lower()
            rows[(wire.string(label) + self.name, wire.NSEC3)] = (
                min(self.ttl, self.minimum), [flagged + wire.string(order[(at + 1) % len(order)]) +
                               self._bitmap(bitmap)])
        return rows


def write(zone, now, folder):
    """A zone file in the generic form of RFC 3597, which any server reads."""
    lines = [f"{wire.text(owner)} {ttl} IN TYPE{rrtype} \\# {len(rdata)} {rdata.hex()}\n"
             for owner, rrtype, ttl, rdata in zone.compile(now)]
    lines.sort(key=lambda line: " TYPE6 " not in line)  # SOA first
    path = folder / ((wire.text(zone.name).strip(".") or "root") + ".zone")
    path.write_text("".join(lines))
    return path
