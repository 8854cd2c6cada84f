# SPDX-License-Identifier: BSD-3-Clause
"""The cases, and what the standards make of each: written from the RFCs, not from any verifier.

Case N is a server (or client) with the name `cNN.op-a.example`. What it sends and what its TLSA
records hold are certificates by their names here: `leaf` is its own, `CA` the operator's authority,
`other …` somebody else's. A verdict other than BOUND is a refusal.
The prose of docs/peers.md cites numbers.
"""

import ipaddress
from dataclasses import dataclass, field

from . import pki

BOUND, NOT_BOUND, UNUSABLE = "BOUND", "NOT_BOUND", "UNUSABLE"
DOWNGRADE, LIMIT = "DOWNGRADE", "LIMIT"
# A rule of this project where the RFCs leave it open: who does otherwise is not wrong.
OURS = "ours"

# Authorities that several cases share. `public CA` is in every verifier's bundle.
CA = pki.authority("Operator A")
OTHER_CA = pki.authority("Operator B")
PUBLIC = pki.authority("A public CA")
MIDDLE = pki.authority("Operator A, servers", CA)
LOWER = pki.authority("Operator A, join servers", MIDDLE)
# One that only says that it is Operator A: the same name and key identifier, another key.
FAKE = pki.authority("", subject=CA.signer.subject, key_id=CA.signer.key_id)
SHARED = {"CA": CA, "other CA": OTHER_CA, "public CA": PUBLIC, "middle CA": MIDDLE,
          "lower CA": LOWER, "fake CA": FAKE}
BUNDLE = [PUBLIC]


@dataclass
class Case:
    number: int
    group: str
    about: str
    sent: list           # names of certificates, the end entity's first
    records: list        # "U S M NAME", or hex for NAME
    status: str
    rule: str
    client: bool
    certs: dict = field(repr=False)

    @property
    def host(self):
        return f"c{self.number:02}.op-a.example"

    @property
    def owner(self):
        return f"{'_ns-client' if self.client else '_443._tcp'}.{self.host}."

    @property
    def address(self):
        return f"203.0.113.{self.number}"

    @property
    def chain(self):
        return [self.certs[name] for name in self.sent]

    @property
    def tlsa(self):
        """The records as "U S M HEX"."""
        rows = []
        for record in self.records:
            usage, selector, mtype, what = record.split(" ", 3)
            if what in self.certs:
                what = self.certs[what].association(int(selector), int(mtype))
            rows.append(f"{usage} {selector} {mtype} {what}")
        return rows


class Cases(list):
    group = ""

    def add(self, about, sent, records, status, rule, *, client=False, leaf=None, **certs):
        """leaf: arguments of pki.issue() other than the usual ones; values may be functions of the
        host. certs: further certificates; `_` in their names stands for a blank."""
        case = Case(len(self) + 1, self.group, about, sent.split(", "), records.split(", "),
                    status, rule, client, dict(SHARED))
        given = {"issuer": CA, "names": [case.host if not client else case.owner.rstrip(".")],
                 "purpose": "client" if client else "server"}
        for key, value in (leaf or {}).items():
            given[key] = value(case.host) if callable(value) else value
        for name, value in certs.items():
            case.certs[name.replace("_", " ")] = value
        case.certs["leaf"] = pki.issue(**given)
        case.certs.setdefault("other leaf", pki.issue(OTHER_CA, names=[case.host]))
        self.append(case)


def every():
    cases = Cases()
    for group, fill in (("Usage 3", usage_3), ("Usage 2", usage_2),
                        ("Usage 2: names", usage_2_names), ("Usage 2: attacks", usage_2_attacks),
                        ("Records", records), ("Usages 0 and 1", pkix), ("Clients", clients)):
        cases.group = group
        fill(cases.add)
    return cases


def usage_3(add):
    for selector in (0, 1):
        for mtype in (0, 1, 2):
            add("the right one", "leaf, CA", f"3 {selector} {mtype} leaf", BOUND, "6698 §2.1")
    for selector in (0, 1):
        for mtype in (0, 1, 2):
            add("another one", "leaf, CA", f"3 {selector} {mtype} other leaf", NOT_BOUND,
                "6698 §2.1")
    add("the key of the CA that is sent too", "leaf, CA", "3 1 1 CA", NOT_BOUND, "7671 §5.1")
    key = pki.new_key()
    twin = pki.issue(CA, names=["twin.example"], key=key)
    add("the same key in another certificate", "leaf, CA", "3 1 1 twin", BOUND, "7671 §5.1",
        leaf={"key": key}, twin=twin)
    add("that other certificate's digest", "leaf, CA", "3 0 1 twin", NOT_BOUND, "6698 §2.1",
        leaf={"key": key}, twin=twin)
    add("expired", "leaf, CA", "3 1 1 leaf", BOUND, "7671 §5.1", leaf={"days": (-30, -1)})
    add("not yet valid", "leaf, CA", "3 0 1 leaf", BOUND, "7671 §5.1", leaf={"days": (1, 30)})
    add("another name", "leaf, CA", "3 1 1 leaf", BOUND, "7671 §5.1",
        leaf={"names": ["other.example"]})
    add("no name at all", "leaf", "3 1 1 leaf", BOUND, "7671 §5.1", leaf={"names": []})
    add("self-signed, alone", "leaf", "3 1 1 leaf", BOUND, "7671 §5.1", leaf={"issuer": None})
    add("for clients only", "leaf, CA", "3 1 1 leaf", BOUND, "7671 §5.1",
        leaf={"purpose": "client"})
    add("its signature is broken", "leaf, CA", "3 0 1 leaf", BOUND, "7671 §5.1",
        leaf={"broken": True})
    add("a stranger's CA behind it", "leaf, other CA", "3 1 1 leaf", BOUND, "7671 §5.1")
    add("an unknown critical extension", "leaf, CA", "3 1 1 leaf", BOUND, "7671 §5.1",
        leaf={"critical": "1.3.6.1.4.1.99999.1"})
    add("RSA of 1024 bits", "leaf, CA", "3 1 1 leaf", DOWNGRADE, OURS, leaf={"key": "RSA-1024"})


def usage_2(add):
    for selector in (0, 1):
        for mtype in (0, 1, 2):
            add("the CA", "leaf, CA", f"2 {selector} {mtype} CA", BOUND, "6698 §2.1")
    for selector, mtype in ((0, 0), (0, 1), (1, 0), (1, 1)):
        add("another CA", "leaf, CA", f"2 {selector} {mtype} other CA", NOT_BOUND, "6698 §2.1")
    add("a digest's anchor is not sent", "leaf", "2 0 1 CA", NOT_BOUND, "7671 §5.2.2")
    add("an anchor in the record is not sent", "leaf", "2 0 0 CA", BOUND, "7671 §5.2")
    add("a bare key in the record, its CA is not sent", "leaf", "2 1 0 CA", BOUND, "7671 §5.2.3")
    add("anchor at depth 2", "leaf, middle CA, CA", "2 0 1 CA", BOUND, "7671 §5.2",
        leaf={"issuer": MIDDLE})
    add("anchor at depth 3", "leaf, lower CA, middle CA, CA", "2 1 1 CA", BOUND, "7671 §5.2",
        leaf={"issuer": LOWER})
    add("anchor at depth 1 that is no root; the root is not sent", "leaf, middle CA",
        "2 1 1 middle CA", BOUND, "7671 §5.2", leaf={"issuer": MIDDLE})
    add("the CA in between is not sent", "leaf, CA", "2 0 1 CA", NOT_BOUND, "7671 §5.2.2",
        leaf={"issuer": MIDDLE})
    add("sent in no order", "leaf, CA, middle CA", "2 0 1 CA", BOUND, "8446 §4.4.2",
        leaf={"issuer": MIDDLE})
    add("the leaf's own digest", "leaf, CA", "2 0 1 leaf", NOT_BOUND, OURS)
    add("self-signed, its own key", "leaf", "2 1 1 leaf", NOT_BOUND, OURS, leaf={"issuer": None})
    add("self-signed, its own key as a bare key", "leaf", "2 1 0 leaf", NOT_BOUND, OURS,
        leaf={"issuer": None})
    add("expired", "leaf, CA", "2 0 1 CA", NOT_BOUND, "5280 §6.1.3", leaf={"days": (-30, -1)})
    add("not yet valid", "leaf, CA", "2 0 1 CA", NOT_BOUND, "5280 §6.1.3", leaf={"days": (1, 30)})
    old = pki.authority("Operator A, old", days=(-30, -1))
    add("the anchor, self-signed, has expired", "leaf, old CA", "2 0 1 old CA", NOT_BOUND, OURS,
        leaf={"issuer": old}, old_CA=old)
    lower = pki.authority("Operator A, old servers", CA, days=(-30, -1))
    add("the anchor, issued by another CA, has expired", "leaf, old CA", "2 0 1 old CA", NOT_BOUND,
        OURS, leaf={"issuer": lower}, old_CA=lower)
    add("for clients only", "leaf, CA", "2 0 1 CA", NOT_BOUND, "5280 §4.2.1.12",
        leaf={"purpose": "client"})
    add("no purpose named", "leaf, CA", "2 0 1 CA", BOUND, "5280 §4.2.1.12", leaf={"purpose": None})
    add("an unknown critical extension", "leaf, CA", "2 0 1 CA", NOT_BOUND, "5280 §4.2",
        leaf={"critical": "1.3.6.1.4.1.99999.1"})
    end = pki.issue(CA, names=["somebody.example"])
    add("issued by somebody's leaf", "leaf, end, CA", "2 0 1 CA", NOT_BOUND, "5280 §4.2.1.9",
        leaf={"issuer": end}, end=end)
    short = pki.authority("Operator A, leaves only", CA, path_len=0)
    below = pki.authority("Operator A, too deep", short)
    add("a path longer than one of its CAs allows", "leaf, below, short CA, CA", "2 0 1 CA",
        NOT_BOUND, "5280 §4.2.1.9", leaf={"issuer": below}, below=below, short_CA=short)
    bound = pki.authority("Operator A, elsewhere", CA, only_below="elsewhere.example")
    add("a CA for other names", "leaf, bounded CA, CA", "2 0 1 CA", NOT_BOUND, "5280 §4.2.1.10",
        leaf={"issuer": bound}, bounded_CA=bound)
    odd = pki.with_unknown_key(CA)
    add("the anchor's key is of an unknown algorithm", "leaf, odd CA", "2 0 1 odd CA", NOT_BOUND,
        "5280 §6.1.3", odd_CA=odd)
    add("a CA with such a key beside the right one", "leaf, odd CA, CA", "2 0 1 CA", BOUND,
        "8446 §4.4.2", odd_CA=odd)
    add("RSA of 1024 bits", "leaf, CA", "2 0 1 CA", DOWNGRADE, OURS, leaf={"key": "RSA-1024"})
    add("signed with SHA-1", "leaf, CA", "2 0 1 CA", DOWNGRADE, OURS, leaf={"digest": "sha1"})
    add("the key fits, no record is for the CA", "leaf, CA", "2 1 1 other CA, 3 1 1 leaf", BOUND,
        "7671 §8")


def usage_2_names(add):
    add("another name", "leaf, CA", "2 0 1 CA", NOT_BOUND, "7671 §7",
        leaf={"names": ["other.example"]})
    add("the name as common name alone", "leaf, CA", "2 0 1 CA", NOT_BOUND, "9525",
        leaf={"names": [], "cn": lambda host: host})
    add("the name second", "leaf, CA", "2 0 1 CA", BOUND, "7671 §7",
        leaf={"names": lambda host: ["other.example", host]})
    add("the name beside an otherName", "leaf, CA", "2 0 1 CA", BOUND, "7671 §7",
        leaf={"other_name": True})
    add("`*` for one label", "leaf, CA", "2 0 1 CA", BOUND, "9525 §6.3",
        leaf={"names": ["*.op-a.example"]})
    add("`*` for a part of a label", "leaf, CA", "2 0 1 CA", NOT_BOUND, "9525 §6.3",
        leaf={"names": lambda host: [f"c*{host[2:]}"]})
    add("`*` and one label too many", "leaf, CA", "2 0 1 CA", NOT_BOUND, "9525 §6.3",
        leaf={"names": lambda host: [f"*.{host}"]})
    add("the name behind a NUL", "leaf, CA", "2 0 1 CA", NOT_BOUND, "9525 §6.3",
        leaf={"names": lambda host: [f"{host}\0.other.example"]})
    add("the address of the server", "leaf, CA", "2 0 1 CA", NOT_BOUND, "7671 §7",
        leaf={"names": [], "addresses": [ipaddress.ip_address("203.0.113.1")]})
    add("the TLSA owner instead of the host", "leaf, CA", "2 0 1 CA", NOT_BOUND, "7671 §7",
        leaf={"names": lambda host: [f"_443._tcp.{host}"]})


def usage_2_attacks(add):
    theirs = {"issuer": OTHER_CA}
    for record in ("2 0 1", "2 1 1", "2 0 0", "2 1 0"):
        add("attacker's leaf and CA, and the victim's CA beside them", "leaf, other CA, CA",
            f"{record} CA", NOT_BOUND, "7671 §5.2", leaf=theirs)
    add("a CA with the victim's name and key identifier, and the victim's beside it",
        "leaf, fake CA, CA", "2 0 1 CA", NOT_BOUND, "7671 §5.2", leaf={"issuer": FAKE})
    add("that CA left out: the path by names leads to the victim's", "leaf, CA", "2 1 1 CA",
        NOT_BOUND, "5280 §6.1.3", leaf={"issuer": FAKE})
    add("the same, the anchor in the record", "leaf, fake CA", "2 0 0 CA", NOT_BOUND, "5280 §6.1.3",
        leaf={"issuer": FAKE})
    add("the same, a bare key in the record", "leaf, fake CA", "2 1 0 CA", NOT_BOUND, "5280 §6.1.3",
        leaf={"issuer": FAKE})
    add("the leaf's signature is broken", "leaf, CA", "2 0 1 CA", NOT_BOUND, "5280 §6.1.3",
        leaf={"broken": True})
    add("a public CA's certificate for the victim's name", "leaf, public CA", "2 0 1 CA", NOT_BOUND,
        "7671 §5.2", leaf={"issuer": PUBLIC})


def records(add):
    short = "3 1 1 " + "ab" * 31
    long = "3 1 1 " + "ab" * 33
    add("one record malformed, one good", "leaf, CA", f"{short}, 3 1 1 leaf", BOUND, "6698 §4.1")
    add("a digest one octet too long, one good", "leaf, CA", f"{long}, 3 1 1 leaf", BOUND,
        "6698 §4.1")
    add("no certificate in a `2 0 0`, one good", "leaf, CA", "2 0 0 3003020100, 2 0 1 CA", BOUND,
        "6698 §4.1")
    add("no key in a `2 1 0`, one good", "leaf, CA", "2 1 0 3003020100, 3 1 1 leaf", BOUND,
        "6698 §4.1")
    add("only a digest too short", "leaf, CA", short, UNUSABLE, "6698 §4.1")
    add("only a digest too short; a public CA's certificate", "leaf, public CA", short, UNUSABLE,
        "6698 §4.1", leaf={"issuer": PUBLIC})
    add("only matching type 255; a public CA's certificate", "leaf, public CA",
        "3 1 255 " + "ab" * 32, UNUSABLE, "6698 §4.1", leaf={"issuer": PUBLIC})
    add("only usage 255; a public CA's certificate", "leaf, public CA", "255 1 1 " + "ab" * 32,
        UNUSABLE, "6698 §4.1", leaf={"issuer": PUBLIC})
    add("only selector 2", "leaf, CA", "3 2 1 " + "ab" * 32, UNUSABLE, "6698 §4.1")
    add("matching type 255 beside a good one", "leaf, CA", "3 1 255 " + "ab" * 32 + ", 3 1 1 leaf",
        BOUND, "6698 §4.1")
    add("SHA-512 of another key, SHA-256 of the right one", "leaf, CA",
        "3 1 2 other leaf, 3 1 1 leaf", NOT_BOUND, "7671 §9")
    add("SHA-512 of the right one, SHA-256 of another", "leaf, CA", "3 1 2 leaf, 3 1 1 other leaf",
        BOUND, "7671 §9")
    add("SHA-512 of another CA, SHA-256 of the right one", "leaf, CA", "2 0 2 other CA, 2 0 1 CA",
        NOT_BOUND, "7671 §9")
    add("a malformed SHA-512 does not count", "leaf, CA", "3 1 2 " + "ab" * 63 + ", 3 1 1 leaf",
        BOUND, "7671 §9")
    add("SHA-512 of another certificate, SHA-256 of the right key", "leaf, CA",
        "3 0 2 other leaf, 3 1 1 leaf", BOUND, "7671 §9")
    add("SHA-512 of another key, the right one in full", "leaf, CA", "3 1 2 other leaf, 3 1 0 leaf",
        BOUND, "7671 §9")
    add("roll-over: the right key second", "leaf, CA", "3 1 1 other leaf, 3 1 1 leaf", BOUND,
        "7671 §8")
    add("several certificates in full", "leaf, CA", "3 0 0 other leaf, 3 0 0 CA, 3 0 0 leaf", BOUND,
        "6698 §2.1")
    add("several anchors in full, the right one not sent", "leaf",
        "2 0 0 other CA, 2 0 0 public CA, 2 0 0 CA", BOUND, "7671 §5.2")
    add("several anchors in full, none right", "leaf, CA", "2 0 0 other CA, 2 0 0 public CA",
        NOT_BOUND, "6698 §2.1")
    add("the right one among 5", "leaf, CA",
        ", ".join([*(f"3 1 1 {n:064x}" for n in range(1, 5)), "3 1 1 leaf"]), BOUND, "6698 §2.1")
    add("the right one among 64", "leaf, CA",
        ", ".join([*(f"3 1 1 {n:064x}" for n in range(1, 64)), "3 1 1 leaf"]), BOUND, "6698 §2.1")
    add("the right one among 101", "leaf, CA",
        ", ".join([*(f"3 1 1 {n:064x}" for n in range(1, 101)), "3 1 1 leaf"]), LIMIT, OURS)


def pkix(add):
    public = {"issuer": PUBLIC}
    add("by a public CA", "leaf, public CA", "0 0 1 public CA", BOUND, "7671 §5.4", leaf=public)
    add("by a public CA, which is not sent", "leaf", "0 1 1 public CA", BOUND, "7671 §5.4",
        leaf=public)
    add("the leaf's digest", "leaf, public CA", "0 0 1 leaf", NOT_BOUND, "6698 §2.1.1", leaf=public)
    add("a CA that is not public", "leaf, CA", "0 0 1 CA", NOT_BOUND, "7671 §5.4")
    add("public, but another CA's record", "leaf, public CA", "0 0 1 CA", NOT_BOUND, "6698 §2.1.1",
        leaf=public)
    add("the leaf, by a public CA", "leaf, public CA", "1 1 1 leaf", BOUND, "7671 §5.3",
        leaf=public)
    add("the leaf in full, by a public CA", "leaf, public CA", "1 0 0 leaf", BOUND, "7671 §5.3",
        leaf=public)
    add("a public CA in full", "leaf, public CA", "0 0 0 public CA", BOUND, "7671 §5.4", leaf=public)
    add("another leaf's record and one for the path's CA as an anchor", "leaf, public CA",
        "1 1 1 other leaf, 2 0 1 public CA", BOUND, "6698 §2.1.1", leaf=public)
    add("the leaf's record fits without PKIX, and one for its private CA", "leaf, CA",
        "1 1 1 leaf, 2 0 1 CA", BOUND, "6698 §2.1.1")
    add("the leaf, by a CA that is not public", "leaf, CA", "1 1 1 leaf", NOT_BOUND, "7671 §5.3")
    add("the leaf, with another name", "leaf, public CA", "1 1 1 leaf", NOT_BOUND, "7671 §5.3",
        leaf={**public, "names": ["other.example"]})
    add("the leaf, expired", "leaf, public CA", "1 1 1 leaf", NOT_BOUND, "5280 §6.1.3",
        leaf={**public, "days": (-30, -1)})
    add("the leaf, self-signed", "leaf", "1 0 1 leaf", NOT_BOUND, "7671 §5.3",
        leaf={"issuer": None})
    add("another key, by a public CA", "leaf, public CA", "1 1 1 other leaf", NOT_BOUND,
        "6698 §2.1.1", leaf=public)
    add("the leaf, for clients only", "leaf, public CA", "1 1 1 leaf", NOT_BOUND, "5280 §4.2.1.12",
        leaf={**public, "purpose": "client"})


def clients(add):
    draft = "dane-client-auth"
    add("the right key", "leaf, CA", "3 1 1 leaf", BOUND, draft, client=True)
    add("the right key, no name at all", "leaf", "3 1 1 leaf", BOUND, draft, client=True,
        leaf={"names": [], "issuer": None})
    add("another key", "leaf, CA", "3 1 1 other leaf", NOT_BOUND, draft, client=True)
    add("the complete TLSA owner as its name", "leaf, CA", "2 0 1 CA", BOUND, draft, client=True)
    add("the host alone as its name", "leaf, CA", "2 0 1 CA", NOT_BOUND, draft, client=True,
        leaf={"names": lambda host: [host]})
    add("`*` in place of the `_` label", "leaf, CA", "2 0 1 CA", NOT_BOUND, draft, client=True,
        leaf={"names": lambda host: [f"*.{host}"]})
    add("for servers only", "leaf, CA", "2 0 1 CA", NOT_BOUND, "5280 §4.2.1.12", client=True,
        leaf={"purpose": "server"})
    add("another CA's", "leaf, other CA", "2 0 1 CA", NOT_BOUND, "7671 §5.2", client=True,
        leaf={"issuer": OTHER_CA})
