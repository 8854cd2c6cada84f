# SPDX-License-Identifier: BSD-3-Clause
"""Signed zones and what their servers answer: the other side of a replay's conversation.

Keys come from the zone's name, so every run signs alike. Faults are written beside the records:
a replay wants bogus, expired and missing signatures as much as good ones.
"""

import hashlib
import struct
from dataclasses import dataclass, field

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

IN = dns.rdataclass.IN
DAY = 86400
ECDSAP256, ED25519 = 13, 15


def type_of(text):
    """KBV is the verdict's type."""
    return dns.rdatatype.from_text("TYPE65300" if text == "KBV" else text)


def private_key(zone, algorithm):
    seed = hashlib.sha256(f"replay {algorithm} {zone}".encode()).digest()
    if algorithm == ED25519:
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    return ec.derive_private_key(int.from_bytes(seed, "big") >> 1, ec.SECP256R1())


class Key:
    """One key of a zone: it signs everything, its DS record is in the parent."""

    def __init__(self, zone, algorithm):
        self.zone = zone
        self.algorithm = algorithm
        self.private = private_key(zone, algorithm)
        self.dnskey = dns.dnssec.make_dnskey(self.private.public_key(), algorithm, flags=257)

    def ds(self):
        return dns.dnssec.make_ds(self.zone, self.dnskey, "SHA256")

    def sign(self, rrset, inception, expiration):
        """RFC 4034 section 3.1.8.1."""
        labels = len(rrset.name.labels) - 1 - rrset.name.is_wild()
        unsigned = struct.pack(">HBBIIIH", rrset.rdtype, self.algorithm, labels, rrset.ttl,
                               expiration & 0xFFFFFFFF, inception & 0xFFFFFFFF,
                               dns.dnssec.key_id(self.dnskey)) + self.zone.to_digestable()
        data = unsigned
        for rdata in sorted(r.to_digestable() for r in rrset):
            data += rrset.name.to_digestable() + struct.pack(
                ">HHIH", rrset.rdtype, IN, rrset.ttl, len(rdata)) + rdata
        return dns.rdata.from_wire(IN, dns.rdatatype.RRSIG, unsigned + self.signature(data), 0,
                                   len(unsigned) + 64)

    def signature(self, data):
        if self.algorithm == ED25519:
            return self.private.sign(data)
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


@dataclass
class Records:
    """One RRset with its faults: bogus, unsigned, stripped, servfail, silent; expires, inception
    (seconds from the start, one value for all keys or one a key)."""
    ttl: int
    rdatas: list = field(default_factory=list)
    faults: dict = field(default_factory=dict)


@dataclass
class Response:
    rcode: str = "NOERROR"
    answer: list = field(default_factory=list)
    authority: list = field(default_factory=list)
    additional: list = field(default_factory=list)
    authoritative: bool = True


def below(name, ancestor):
    return name != ancestor and name.is_subdomain(ancestor)


def relabelled(rrset, owner):
    """A wildcard's RRset under the name that it was asked by."""
    return dns.rrset.from_rdata_list(owner, rrset.ttl, list(rrset))


class Zone:
    """A zone at one moment. Attributes: unsigned; island (signed, but the parent has no DS);
    badds (the parent's DS is of another key); nsec3, optout; alg, ttl, negative, expires;
    servfail, silent (the whole server)."""

    def __init__(self, name, address, start):
        self.name = name
        self.address = address
        self.start = start
        self.attributes = {}
        self.records = {}
        self.children = []
        self.signed = {}

    def copy(self):
        other = Zone(self.name, self.address, self.start)
        other.attributes = dict(self.attributes)
        other.records = {k: Records(r.ttl, list(r.rdatas), dict(r.faults))
                         for k, r in self.records.items()}
        return other

    def number(self, key, default):
        return int(self.attributes.get(key, default))

    @property
    def keys(self):
        if "unsigned" in self.attributes:
            return []
        algorithms = str(self.attributes.get("alg", ED25519)).split("+")
        return [Key(self.name, int(a)) for a in algorithms]

    def ds(self):
        if "island" in self.attributes:
            return []
        found = [k.ds() for k in self.keys]
        if "badds" in self.attributes:
            return [dns.rdata.from_text(IN, "DS", f"{d.key_tag} {d.algorithm} 2 {'00' * 32}")
                    for d in found]
        return found

    def add(self, name, rdtype, ttl, rdata, faults):
        have = self.records.setdefault((name, rdtype), Records(ttl))
        have.ttl = ttl
        have.faults.update(faults)
        if rdata is not None:
            have.rdatas.append(rdata)

    def finish(self, children):
        """After the last record: SOA, NS, keys, delegations, and the chain of names."""
        ttl, negative = self.number("ttl", 3600), self.number("negative", 300)
        server = dns.name.from_text("auth", self.name)
        self.children = children
        self.add(self.name, dns.rdatatype.SOA, negative, dns.rdata.from_text(
            IN, "SOA", f"{server} hostmaster.{'' if self.name == dns.name.root else self.name}"
            f" 1 3600 900 1209600 {negative}"), {})
        self.add(self.name, dns.rdatatype.NS, ttl, dns.rdata.from_text(IN, "NS", str(server)), {})
        self.add(server, dns.rdatatype.A, ttl, dns.rdata.from_text(IN, "A", self.address), {})
        for key in self.keys:
            self.add(self.name, dns.rdatatype.DNSKEY, ttl, key.dnskey, {})
        for child in children:
            self.add(child.name, dns.rdatatype.NS, ttl, dns.rdata.from_text(
                IN, "NS", str(dns.name.from_text("auth", child.name))), {})
            for ds in child.ds():
                self.add(child.name, dns.rdatatype.DS, ttl, ds, {})
        self.owners = {n for (n, _), r in self.records.items() if self.published(r)}
        self.names = set(self.owners)
        for name in self.owners:
            while name != self.name:
                name = name.parent()
                self.names.add(name)

    @staticmethod
    def published(records):
        """Real records, not only a fault for a question."""
        return bool(records.rdatas)

    def types(self, name):
        found = {t for (n, t), r in self.records.items() if n == name and self.published(r)}
        cut = any(c.name == name for c in self.children)
        if self.keys and (found or "nsec3" not in self.attributes):
            if not cut or dns.rdatatype.DS in found or "nsec3" not in self.attributes:
                found.add(dns.rdatatype.RRSIG)
        return found

    # Signatures

    def window(self, faults, position):
        """Inception and expiration of the signature by the key at that position."""
        def at(key, default):
            text = str(faults.get(key, self.attributes.get(key, default)))
            values = text.split(",")
            return self.start + int(values[min(position, len(values) - 1)])
        return at("inception", -DAY), at("expires", 30 * DAY)

    def sign(self, rrset, faults):
        """The RRSIG RRset over rrset, or None."""
        if not self.keys or "unsigned" in faults:
            return None
        cached = (rrset.name, rrset.rdtype, rrset.ttl, tuple(sorted(rrset)), repr(faults))
        if cached not in self.signed:
            found = []
            for i, key in enumerate(self.keys):
                sig = key.sign(rrset, *self.window(faults, i))
                if "bogus" in faults:
                    sig = sig.replace(signature=bytes([sig.signature[0] ^ 1]) + sig.signature[1:])
                found.append(sig)
                if "forge" in faults: # somebody on the way: better dates, and no key
                    junk = key.sign(rrset, self.start - DAY, self.start + 30 * DAY)
                    found.insert(0, junk.replace(
                        signature=bytes([junk.signature[0] ^ 1]) + junk.signature[1:]))
            self.signed[cached] = dns.rrset.from_rdata_list(rrset.name, rrset.ttl, found)
        return self.signed[cached]

    def both(self, name, rdtype, owner=None):
        """The RRset at name with its signatures; under another owner if a wildcard gave it."""
        records = self.records[(name, rdtype)]
        rrset = dns.rrset.from_rdata_list(name, records.ttl, records.rdatas)
        found = [rrset]
        # Delegations are not signed (RFC 4035 section 2.2).
        if not (rdtype == dns.rdatatype.NS and name != self.name):
            sigs = self.sign(rrset, records.faults)
            found += [sigs] if sigs else []
        return [relabelled(r, owner) for r in found] if owner else found

    def has(self, name, rdtype):
        records = self.records.get((name, rdtype))
        return bool(records and records.rdatas and "stripped" not in records.faults)

    # Denial (RFC 4034 section 4, RFC 5155)

    def proof(self, rdata, owner):
        rrset = dns.rrset.from_rdata(owner, self.number("negative", 300), rdata)
        sigs = self.sign(rrset, {"bogus": 1} if "bogusdenial" in self.attributes else {})
        return [rrset] + ([sigs] if sigs else [])

    @staticmethod
    def bitmap(types):
        return " ".join(dns.rdatatype.to_text(t) for t in sorted(types))

    def chain(self):
        """Owner and next of every NSEC record, in canonical order."""
        owners = sorted(n for n in self.owners if not self.occluded(n))
        return list(zip(owners, owners[1:] + owners[:1]))

    def occluded(self, name):
        return any(below(name, c.name) for c in self.children)

    def nsec(self, name):
        """The NSEC record that matches or covers name."""
        owner, following = [pair for pair in self.chain() if pair[0] <= name][-1]
        types = self.types(owner) | {dns.rdatatype.NSEC}
        return self.proof(dns.rdata.from_text(
            IN, "NSEC", f"{following} {self.bitmap(types)}"), owner)

    def hashed(self, name):
        return dns.dnssec.nsec3_hash(name, None, 0, "SHA1")

    def hash_chain(self):
        optout = "optout" in self.attributes
        bare = {c.name for c in self.children if not c.ds()} if optout else set()
        names = {n for n in self.owners if not self.occluded(n)} - bare
        for name in list(names):
            while name != self.name:
                name = name.parent()
                names.add(name)
        found = sorted((self.hashed(n), n) for n in names)
        hashes = [h for h, _ in found]
        return list(zip(hashes, hashes[1:] + hashes[:1], [n for _, n in found]))

    def nsec3(self, name):
        """The NSEC3 record that matches or covers name, and whether it matches."""
        h = self.hashed(name)
        chain = self.hash_chain()
        owner, following, of = ([row for row in chain if row[0] <= h] or chain[-1:])[-1]
        flags = 1 if "optout" in self.attributes else 0
        return self.proof(dns.rdata.from_text(
            IN, "NSEC3", f"1 {flags} 0 - {following} {self.bitmap(self.types(of))}"),
            dns.name.from_text(owner, self.name)), owner == h

    def encloser(self, name):
        while name not in self.names:
            name = name.parent()
        return name

    def merged(self, *proofs):
        found = []
        for proof in proofs:
            found += [r for r in proof if r not in found]
        return found

    def deny_type(self, name, wildcard=None):
        """No such type at name; wildcard: the name that synthesised it."""
        if not self.keys:
            return []
        if "nsec3" not in self.attributes:
            return self.merged(self.nsec(name), *([self.nsec(wildcard)] if wildcard else []))
        matched, exact = self.nsec3(name)
        if exact:
            return matched
        closest = self.provable(name)
        return self.merged(self.nsec3(closest)[0], self.nsec3(self.next_closer(name, closest))[0],
                           *([self.nsec3(wildcard)[0]] if wildcard else []))

    def provable(self, name):
        """The closest encloser that has an NSEC3 record: opt-out leaves delegations out."""
        while not self.nsec3(name)[1]:
            name = name.parent()
        return name

    @staticmethod
    def next_closer(name, closest):
        return dns.name.Name(name.labels[len(name.labels) - len(closest.labels) - 1:])

    def deny_name(self, name):
        if not self.keys:
            return []
        closest = self.encloser(name)
        wildcard = dns.name.from_text("*", closest)
        if "nsec3" not in self.attributes:
            return self.merged(self.nsec(name), self.nsec(wildcard))
        return self.merged(self.nsec3(closest)[0], self.nsec3(self.next_closer(name, closest))[0],
                           self.nsec3(wildcard)[0])

    def deny_closer(self, name):
        """That name itself does not exist, beside what a wildcard gave for it."""
        if not self.keys:
            return []
        if "nsec3" not in self.attributes:
            return self.nsec(name)
        return self.nsec3(self.next_closer(name, self.encloser(name)))[0]

    # Answers

    def fault(self, name, rdtype):
        """servfail or silent, if that is what a question gets."""
        faults = dict(self.attributes)
        records = self.records.get((name, rdtype))
        faults.update(records.faults if records else {})
        return next((f for f in ("silent", "servfail") if f in faults), None)

    def respond(self, name, rdtype):
        """What the server says; None: nothing at all."""
        fault = self.fault(name, rdtype)
        if fault == "silent":
            return None
        response = Response()
        if fault == "servfail":
            response.rcode = "SERVFAIL"
            return response
        cut = next((c for c in self.children if name.is_subdomain(c.name)), None)
        if cut and not (name == cut.name and rdtype == dns.rdatatype.DS):
            self.refer(cut, response)
        else:
            self.resolve(name, rdtype, response, [])
        return response

    def refer(self, child, response):
        response.authoritative = False
        response.authority += self.both(child.name, dns.rdatatype.NS)
        if self.has(child.name, dns.rdatatype.DS):
            response.authority += self.both(child.name, dns.rdatatype.DS)
        else:
            response.authority += self.deny_type(child.name)
        server = dns.name.from_text("auth", child.name)
        response.additional.append(dns.rrset.from_text(server, 3600, IN, "A", child.address))

    def resolve(self, name, rdtype, response, seen):
        """Follows aliases as far as this zone knows them."""
        if name in seen or not name.is_subdomain(self.name) or \
                any(name.is_subdomain(c.name) and name != c.name for c in self.children):
            return
        seen.append(name)
        if name in self.names:
            self.at_node(name, name, rdtype, response, seen)
            return
        dname = name.parent()
        while dname.is_subdomain(self.name):
            if self.has(dname, dns.rdatatype.DNAME):
                self.redirect(name, dname, rdtype, response, seen)
                return
            if dname == self.name:
                break
            dname = dname.parent()
        wildcard = dns.name.from_text("*", self.encloser(name))
        if wildcard in self.names:
            response.authority += self.deny_closer(name)
            self.at_node(wildcard, name, rdtype, response, seen)
            return
        response.rcode = "NXDOMAIN"
        response.authority += self.both(self.name, dns.rdatatype.SOA) + self.deny_name(name)

    def at_node(self, node, name, rdtype, response, seen):
        owner = name if node != name else None
        if self.has(node, dns.rdatatype.CNAME) and rdtype not in (dns.rdatatype.CNAME,
                                                                   dns.rdatatype.ANY):
            response.answer += self.both(node, dns.rdatatype.CNAME, owner)
            target = self.records[(node, dns.rdatatype.CNAME)].rdatas[0].target
            self.resolve(target, rdtype, response, seen)
            return
        types = [rdtype] if rdtype != dns.rdatatype.ANY else \
            sorted(t for (n, t) in self.records if n == node)
        found = [t for t in types if self.has(node, t)]
        for t in found:
            response.answer += self.both(node, t, owner)
        if not found:
            response.authority += self.both(self.name, dns.rdatatype.SOA)
            response.authority += [r for r in self.deny_type(name, node if owner else None)
                                   if r not in response.authority]

    def redirect(self, name, dname, rdtype, response, seen):
        response.answer += self.both(dname, dns.rdatatype.DNAME)
        records = self.records[(dname, dns.rdatatype.DNAME)]
        target = name.relativize(dname).concatenate(records.rdatas[0].target)
        response.answer.append(
            dns.rrset.from_text(name, records.ttl, IN, "CNAME", str(target)))
        self.resolve(target, rdtype, response, seen)
