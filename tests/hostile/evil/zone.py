# SPDX-License-Identifier: BSD-3-Clause
"""Zones that are signed as they are asked: RFC 4034, 4035 and 5155 as an authority needs them, and
each step of it open to whoever wants it done wrong."""

import base64
import bisect
import struct
import time
from pathlib import Path

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.RRSIG
import dns.rrset
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

T = dns.rdatatype
IN = dns.rdataclass.IN
TTL = 300
DAY_S = 86400
ECDSAP256SHA256 = 13


def name(text, origin=dns.name.root):
    return text if isinstance(text, dns.name.Name) else dns.name.from_text(text, origin)


class Key:
    """A zone's one key, with which it signs itself and its data."""

    def __init__(self, private=None, algorithm=ECDSAP256SHA256, flags=257):
        self.private = private or ec.generate_private_key(
            {13: ec.SECP256R1, 14: ec.SECP384R1}[algorithm]())
        self.algorithm = algorithm
        self.dnskey = dns.dnssec.make_dnskey(self.private.public_key(), algorithm, flags)

    @classmethod
    def of_world(cls, folder, zone):
        """The key that the world made for a zone without data: its DS stands in the parent."""
        file, = Path(folder).glob(f"K{zone}+013+*.private")
        lines = dict(line.split(": ", 1) for line in file.read_text().splitlines() if ": " in line)
        number = int.from_bytes(base64.b64decode(lines["PrivateKey"]), "big")
        return cls(ec.derive_private_key(number, ec.SECP256R1()))

    @property
    def tag(self):
        return dns.dnssec.key_id(self.dnskey)

    def ds(self, zone):
        return dns.dnssec.make_ds(zone, self.dnskey, "SHA256")


def canonical(rrset, owner, ttl):
    """RFC 4034 section 6: the RRset as it is signed."""
    head = owner.canonicalize().to_wire() + struct.pack(">HHI", rrset.rdtype, IN, ttl)
    datas = sorted(rdata.to_digestable() for rdata in rrset)
    return b"".join(head + struct.pack(">H", len(data)) + data for data in datas)


def sign(rrset, key, signer, owner=None, **lies):
    """An RRSIG over rrset (RFC 4034 section 3.1). owner: the wildcard that it was made from. lies:
    fields of the RRSIG that are to be others; `after`: only once it is signed."""
    owner = owner or rrset.name
    after = lies.pop("after", {})
    now = int(time.time())
    fields = {"type_covered": rrset.rdtype, "algorithm": key.algorithm,
              "labels": len(owner.labels) - 1 - owner.is_wild(), "original_ttl": rrset.ttl,
              "expiration": now + 14 * DAY_S, "inception": now - 3600, "key_tag": key.tag,
              "signer": signer} | lies

    def rrsig(signature):
        return dns.rdtypes.ANY.RRSIG.RRSIG(IN, T.RRSIG, *fields.values(), signature)

    data = rrsig(b"").to_digestable() + canonical(rrset, owner, fields["original_ttl"])
    signature = _signature(key, data)
    fields |= after
    return rrsig(signature)


def _signature(key, data):
    """RFC 6605 section 4."""
    digest, octets = {13: (hashes.SHA256(), 32), 14: (hashes.SHA384(), 48)}[key.algorithm]
    r, s = utils.decode_dss_signature(key.private.sign(data, ec.ECDSA(digest)))
    return r.to_bytes(octets, "big") + s.to_bytes(octets, "big")


def raw(rrtype, octets):
    """RDATA that is nothing but these octets."""
    return dns.rdata.GenericRdata(IN, T.from_text(rrtype) if isinstance(rrtype, str) else rrtype,
                                  octets)


class Zone:
    """Records, and what an honest authority answers from them.

    Attributes that make it less honest: `lies` {type or None: fields for sign()}, `unsigned` (types
    whose signatures are left out), `hook` (a function of a Question, see authority.py), `denial`
    ("nsec", or ("nsec3", iterations, salt)), `keys` (more DNSKEY records), `key` None: not signed.
    """

    def __init__(self, text, key=True, denial="nsec"):
        self.name = name(text)
        self.key = Key() if key is True else key
        self.denial = denial
        self.records = {}   # (name, type): rrset
        self.extra_keys = []
        self.lies = {}
        self.unsigned = set()
        self.hook = None
        self._nsec3 = self._names = None
        self.add("@", "SOA", f"ns hostmaster 1 3600 600 {DAY_S} {TTL}")
        self.add("@", "NS", "ns")

    def add(self, owner, rrtype, *datas, ttl=TTL):
        """datas: text, or Rdata. Returns the zone."""
        owner = self.name if owner == "@" else name(owner, self.name)
        number = T.from_text(rrtype)
        rrset = self.records.setdefault((owner, number), dns.rrset.RRset(owner, IN, number))
        for data in datas:
            rrset.add(data if isinstance(data, dns.rdata.Rdata) else
                      dns.rdata.from_text(IN, number, data, self.name, relativize=False), ttl)
        return self

    def delegate(self, child, *servers, glue=(), ds=True):
        """servers: names in this zone or beyond; glue: addresses of the first one."""
        self.add(child.name, "NS", *servers)
        for address in glue:
            self.add(name(servers[0], self.name), "A", address)
        if ds and child.key:
            self.records[child.name, T.DS] = dns.rrset.from_rdata(
                child.name, TTL, child.key.ds(child.name))
        return self

    # ------------------------------------------------------------------------------- signatures

    def rrset(self, owner, rrtype):
        if rrtype == T.DNSKEY and owner == self.name and self.key:
            return dns.rrset.from_rdata(owner, TTL, self.key.dnskey, *self.extra_keys)
        return self.records.get((owner, rrtype))

    def signatures(self, rrset, owner=None):
        """The RRSIG RRset over rrset, or None."""
        if not self.key or rrset.rdtype in self.unsigned:
            return None
        lies = self.lies.get(rrset.rdtype, self.lies.get(None, {}))
        if callable(lies):
            return dns.rrset.from_rdata_list(rrset.name, rrset.ttl, lies(rrset, owner))
        return dns.rrset.from_rdata(rrset.name, rrset.ttl,
                                    sign(rrset, self.key, self.name, owner, **lies))

    def put(self, section, rrset, wildcard=None):
        """rrset and its signature, into a section of a message."""
        section.append(rrset)
        signatures = self.signatures(rrset, wildcard)
        if signatures:
            section.append(signatures)

    # ------------------------------------------------------------------------------------ denial

    def names(self):
        """Every name of the zone, empty non-terminals included, in canonical order; of what is
        delegated the cut alone. Looked for once: a zone is complete when it is first asked."""
        if self._names is None:
            self._types = {}
            for owner, rrtype in self.records:
                self._types.setdefault(owner, set()).add(rrtype)
            self._names = self._find_names()
            self._with_types = [one for one in self._names if self.types_at(one)]
        return self._names

    def owns(self, owner):
        """Whether a name has records."""
        self.names()
        return owner in self._types

    def _find_names(self):
        cuts = {owner for owner, rrtype in self.records if rrtype == T.NS and owner != self.name}
        found = {self.name}
        for owner, _ in self.records:
            while owner != self.name and owner.is_subdomain(self.name):
                found.add(owner)
                owner = owner.parent()
        return sorted(one for one in found if not self._above(one.parent(), cuts))

    def _above(self, owner, cuts):
        """Whether a name or one above it, within the zone, is among the cuts."""
        while owner.is_subdomain(self.name) and owner != self.name:
            if owner in cuts:
                return True
            owner = owner.parent()
        return False

    def types_at(self, owner):
        self.names()
        types = set(self._types.get(owner, ()))
        if owner == self.name:
            types |= {T.DNSKEY}
        elif T.NS in types:
            types &= {T.NS, T.DS}
        return types

    def nsec(self, owner, following, types):
        text = " ".join(T.to_text(rrtype) for rrtype in sorted(types | {T.RRSIG, T.NSEC}))
        return dns.rrset.from_text(owner, TTL, IN, T.NSEC, f"{following} {text}")

    def nsec_for(self, denied):
        """The NSEC that matches or covers a name."""
        self.names()
        names = self._with_types
        at = bisect.bisect_right(names, denied) - 1
        return self.nsec(names[at], names[(at + 1) % len(names)], self.types_at(names[at]))

    def hashed(self, owner):
        _, iterations, salt = self.denial
        return dns.dnssec.nsec3_hash(owner, salt, iterations, "SHA1").lower()

    def nsec3_for(self, denied, match):
        _, iterations, salt = self.denial
        if self._nsec3 is None:
            self._nsec3 = sorted((self.hashed(one), one) for one in self.names())
        mine = self.hashed(denied)
        at = max((n for n, (one, _) in enumerate(self._nsec3) if one <= mine),
                 default=len(self._nsec3) - 1)
        digest, owner = self._nsec3[at]
        if match != (digest == mine):
            return None
        types = self.types_at(owner)
        if types and types != {T.NS}:
            types |= {T.RRSIG}
        text = " ".join(T.to_text(rrtype) for rrtype in sorted(types))
        return dns.rrset.from_text(
            name(digest, self.name), TTL, IN, T.NSEC3,
            f"1 0 {iterations} {salt or '-'} {self._nsec3[(at + 1) % len(self._nsec3)][0]} {text}")

    def encloser(self, denied):
        """The nearest name above that exists, and the one below it on the way to `denied`."""
        names, below = self.names(), denied
        while names[bisect.bisect_right(names, denied) - 1] != denied:
            denied, below = denied.parent(), denied
        return denied, below

    def deny(self, section, denied, exists):
        """SOA and the proof that `denied` does not exist, or not with this type."""
        self.put(section, self.records[self.name, T.SOA])
        if self.key:
            self.prove(section, denied, exists)

    def prove(self, section, denied, exists):
        encloser, next_closer = self.encloser(denied)
        wildcard = name("*", encloser)
        if self.denial == "nsec":
            proofs = [self.nsec_for(denied)] + ([] if exists else [self.nsec_for(wildcard)])
        elif exists:
            proofs = [self.nsec3_for(denied, True)]
        else:
            proofs = [self.nsec3_for(encloser, True), self.nsec3_for(next_closer, False),
                      self.nsec3_for(wildcard, False)]
        for proof in {one.name: one for one in proofs if one}.values():
            self.put(section, proof)

    # ----------------------------------------------------------------------------------- answers

    def cut_above(self, asked, rrtype):
        """The delegation on the way to a name, if there is one. DS lies above it."""
        labels = len(asked.labels) - len(self.name.labels)
        for n in range(labels - 1, -1, -1):
            cut = dns.name.Name(asked.labels[n:])
            if (cut, T.NS) in self.records and not (cut == asked and rrtype == T.DS):
                return cut
        return None

    def answer(self, message, asked, rrtype):
        """Fills in what an honest authority says."""
        message.flags |= dns.flags.AA
        cut = self.cut_above(asked, rrtype)
        if cut:
            self.refer(message, cut)
            return
        dname = self.dname_above(asked)
        if dname:
            self.put(message.answer, dname)
            target = asked.relativize(dname.name).concatenate(dname[0].target)
            message.answer.append(dns.rrset.from_text(asked, dname.ttl, IN, T.CNAME, str(target)))
            return
        if self.owns(asked):
            self.answer_at(message, asked, asked, rrtype)
            return
        encloser, _ = self.encloser(asked)
        wildcard = name("*", encloser)
        if encloser != asked and self.owns(wildcard):
            self.answer_at(message, asked, wildcard, rrtype)
            return
        exists = encloser == asked
        if not exists:
            message.set_rcode(dns.rcode.NXDOMAIN)
        self.deny(message.authority, asked, exists)

    def answer_at(self, message, asked, owner, rrtype):
        found = self.rrset(owner, rrtype) or self.records.get((owner, T.CNAME))
        if not found:
            self.deny(message.authority, owner, True)
            if owner != asked and self.key:
                self.put(message.authority, self.nsec_for(asked))
            return
        if owner == asked:
            self.put(message.answer, found)
            return
        made = dns.rrset.from_rdata_list(asked, found.ttl, list(found))
        self.put(message.answer, made, owner)
        if self.key:
            _, next_closer = self.encloser(asked)
            message.authority.append(proof := self.nsec_for(next_closer)
                                     if self.denial == "nsec"
                                     else self.nsec3_for(next_closer, False))
            message.authority.append(self.signatures(proof))

    def dname_above(self, asked):
        while asked != self.name:
            asked = asked.parent()
            if (asked, T.DNAME) in self.records:
                return self.records[asked, T.DNAME]
        return None

    def refer(self, message, cut):
        message.flags &= ~dns.flags.AA
        message.authority.append(self.records[cut, T.NS])
        ds = self.records.get((cut, T.DS))
        if ds:
            self.put(message.authority, ds)
        elif self.key:
            self.prove(message.authority, cut, True)
        for server in self.records[cut, T.NS]:
            glue = self.records.get((server.target, T.A))
            if glue:
                message.additional.append(glue)
