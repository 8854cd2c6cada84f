# SPDX-License-Identifier: BSD-3-Clause
"""What testbound did, read from its log, against what the replay expects."""

import re
import shlex
from collections import Counter
from dataclasses import dataclass, field

import dns.edns
import dns.flags
import dns.name
import dns.rdata
import dns.rdatatype
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_der_public_key

import script
import sign
import verdict
from script import Wrong

PREFIX = re.compile(r"^\[\d+\] \S+ (?:info|error|warning|notice|debug): ", re.M)
JUDGED = {"BOUND", "NOT_BOUND", "UNDECIDED", "PUBLISHED", "UNUSABLE"}


@dataclass
class Reply:
    """One of the resolver's replies, with the questions it sent upstream before it."""
    id: int
    rcode: str
    flags: set
    answer: list = field(default_factory=list)  # (owner, ttl, type, rdata octets)
    options: list = field(default_factory=list)
    ede: list = field(default_factory=list)
    edns: bool = False
    upstream: list = field(default_factory=list)


class Log:
    """Replies by the id of their query, and all questions sent upstream."""

    def __init__(self, text):
        self.replies, self.upstream = {}, []
        since = []
        for record in PREFIX.split(text):
            if record.startswith("testbound: incoming QUERY"):
                since = []
            m = re.match(r"pending serviced query (\S+) (\S+) IN", record)
            if m:
                question = (dns.name.from_text(m[1]), m[2])
                self.upstream.append(question)
                since.append(question)
            elif record.startswith("reply pkt: "):
                reply = self.reply(record)
                reply.upstream = list(since)
                self.replies[reply.id] = reply

    @staticmethod
    def reply(record):
        head = re.search(r"rcode: (\w+), id: (\d+)", record)
        flags = re.search(r"^;; flags:([^;]*);", record, re.M)
        reply = Reply(int(head[2]), head[1], set(flags[1].split()))
        section = re.search(r"^;; ANSWER SECTION:\n(.*?)^;; AUTHORITY", record, re.M | re.S)
        for line in section[1].splitlines() if section else []:
            if not line.strip():
                continue
            owner, ttl, _, rdtype, rdata = line.split(None, 4)
            rdata = dns.rdata.from_text(sign.IN, rdtype, rdata)
            reply.answer.append((dns.name.from_text(owner), int(ttl),
                                 dns.rdatatype.from_text(rdtype), rdata.to_wire()))
        edns = re.search(r"^; EDNS:.*$", record, re.M)
        if edns:
            reply.edns = True
            for code, octets in re.findall(r"; OPT=?(\d+): ?([0-9A-Fa-f ]*)", edns[0]):
                reply.options.append((int(code), bytes.fromhex(octets.replace(" ", ""))))
            reply.ede = [ede_code(c) for c in re.findall(r"; EDE: ([^\";]*)", edns[0])]
        return reply


def ede_code(text):
    """Unbound's log has numbers or the names of RFC 8914."""
    text = text.strip()
    return int(text) if text.isdigit() else int(dns.edns.EDECode[text.upper().replace(" ", "_")])


def usable(rdata, pkix=False):
    """RFC 6698 section 4.1, RFC 7671 section 10.3; usages 0 and 1 need a CA store."""
    if rdata.usage not in ((0, 1, 2, 3) if pkix else (2, 3)) or rdata.selector not in (0, 1):
        return False
    if rdata.mtype in (1, 2):
        return len(rdata.cert) == {1: 32, 2: 64}[rdata.mtype]
    if rdata.mtype != 0:
        return False
    try:
        if rdata.selector == 0:
            x509.load_der_x509_certificate(rdata.cert)
        else:
            load_der_public_key(rdata.cert)
    except ValueError:
        return False
    return True


class Check:
    """Everything wrong with one replay's run."""

    def __init__(self, replay, log):
        self.replay, self.log = replay, log
        self.wrong = []

    def run(self):
        for name, rdtype in self.log.upstream:
            if rdtype == "TYPE65300" or b"_kbv" in [label.lower() for label in name.labels]:
                self.wrong.append(f"asked upstream: {name} {rdtype}")
        answered = {e.ask.step for e in self.replay.expected}
        for ask in self.replay.asks:
            if ask.step not in answered:
                raise Wrong(f"nothing is expected of ASK {ask.name}")
        for expected in self.replay.expected:
            reply = self.log.replies.get(expected.ask.step)
            where = f"line {expected.line}: ANSWER of {expected.ask.name} " \
                f"{dns.rdatatype.to_text(expected.ask.rdtype)}"
            if reply is None:
                self.wrong.append(f"{where}: none")
                continue
            self.wrong += [f"{where}: {w}" for w in Answer(self.replay, expected, reply).check()]
        return self.wrong


class Answer:
    """One ANSWER against its reply."""

    def __init__(self, replay, expected, reply):
        self.replay, self.expected, self.reply = replay, expected, reply
        self.ask = expected.ask
        self.ttl = None
        self.wrong = []

    def check(self):
        rdatas, options, records, edes = [], [], [], []
        ede = None
        flags = {"qr", "ra"} | {f for f, bit in (("rd", dns.flags.RD), ("cd", dns.flags.CD))
                                if self.asked(bit)}
        rcode = "NOERROR"
        for word in self.expected.words:
            if word in ("aa", "ad", "tc"):
                flags.add(word)
            elif word == "quiet":
                self.expect("questions upstream", [], self.reply.upstream)
            elif word.startswith("ttl="):
                self.ttl = int(word[4:])
            elif word.startswith("ede="):
                ede = [int(c) for c in word[4:].split(",") if c != "none"]
            else:
                rcode = word
        self.expect("rcode", rcode, self.reply.rcode)
        self.expect("flags", flags, self.reply.flags)
        self.expect("EDNS", self.ask.edns, self.reply.edns)
        for line in self.expected.body:
            what, *words = script.WORDS.findall(line) if line.startswith("record") \
                else shlex.split(line)
            if what in ("verdict", "txt"):
                found = self.verdict(words)
                rdatas.append((what, found))
                edes += [found.ede]
            elif what == "option":
                options.append(self.verdict(words))
                edes = [options[-1].ede]
            elif what == "record":
                records.append(words)
            elif what == "upstream":
                question = (script.name_of(words[0]), words[1])
                if question not in self.reply.upstream:
                    self.wrong.append(f"did not ask upstream for {words}")
            elif what == "unasked":
                question = (script.name_of(words[0]), words[1])
                if question in self.reply.upstream:
                    self.wrong.append(f"asked upstream for {words}")
            else:
                raise Wrong(f"line {self.expected.line}: {what}")
        self.compare_answer(rdatas, records)
        self.compare_options(options)
        if ede is None:
            ede = [e for e in edes[:1] if e != verdict.NO_EDE]
            if not options and len({e for e in edes}) > 1:
                raise Wrong(f"line {self.expected.line}: several verdicts: say ede=")
        self.expect("EDE", ede if self.ask.edns else [], self.reply.ede)
        return self.wrong

    def asked(self, bit):
        return int.from_bytes(self.ask.wire[2:4], "big") & bit

    def expect(self, what, want, have):
        if want != have:
            self.wrong.append(f"{what}: {have}, expected {want}")

    # Verdicts

    def verdict(self, words):
        """STATUS [owner] words… as README.md says."""
        status, values, flags, owner, signed = words[0], {}, set(), None, False
        for word in words[1:]:
            key, equals, value = word.partition("=")
            if equals:
                values[key] = value
            elif word in verdict.FLAGS:
                flags.add(word)
            elif word == "signed":
                signed = True
            elif word != "was":
                owner = script.name_of(word)
        owner = owner or self.ask.base
        issued = script.START + int(values["issued"]) if "issued" in values else self.ask.time
        not_after = script.START + int(values["T"]) if "T" in values \
            else issued + int(values["life"])
        found = verdict.Verdict(status, owner, issued, not_after, flags, signed=signed)
        found.ede = int(values["ede"]) if "ede" in values else \
            verdict.STATUS[status][1] or verdict.NO_EDE
        for kind in ("spki", "cert"):
            if kind in values:
                found.flags.add("keyed")
                found.subject = (kind, script.digest_of(values[kind].lstrip("@"), kind))
        if "match" in values:
            found.match = tuple(int(n) for n in values["match"].split("/"))
        if "at" in values:
            found.found_at = script.name_of(values["at"])
        if "nonce" in values:
            found.nonce = bytes.fromhex(values["nonce"])
        identifier = values["id"].split(":") if "id" in values else self.ask.identifier
        if identifier and identifier != ["none"]:
            found.identifier = (*identifier, self.ask.base)
        if "ep" in values:
            port, target = int(owner.labels[0][1:]), dns.name.Name(owner.labels[2:])
            found.endpoint = (*(int(n) for n in values["ep"].split("/")), port, target)
        if status in JUDGED or "rrset" in values:
            self.add_tlsa(found, values, "was" in words)
        if status == "PUBLISHED":
            found.names = [script.name_of(n) for n in values["names"].split(",")] \
                if "names" in values else [self.reference_name(owner)]
        if "alg" in values:
            found.alg = int(values["alg"])
        if "reason" in values:
            found.reason = values["reason"].encode() or None
        else:
            found.reason = Ellipsis
        return found

    @staticmethod
    def reference_name(owner):
        """Of a literal owner: a server's host, a client's complete name."""
        server = len(owner.labels) > 3 and re.fullmatch(rb"_\d+", owner.labels[0]) and \
            owner.labels[1].lower() in (b"_tcp", b"_udp", b"_sctp")
        return dns.name.Name(owner.labels[2:]) if server else owner

    def add_tlsa(self, found, values, was):
        """Hash, algorithm and associations of the zone's own records, as they are or once were."""
        at = script.name_of(values["rrset"]) if "rrset" in values else \
            found.found_at or found.owner
        zone = self.replay.zone_at(at, 0 if was else self.expected.step)
        rdatas = zone.records[(at, dns.rdatatype.TLSA)].rdatas
        found.hash = verdict.rrset_hash([r.to_wire() for r in rdatas])
        found.alg = min(k.algorithm for k in zone.keys)
        if found.status == "PUBLISHED":
            found.associations = sorted({r.to_wire() for r in rdatas if usable(r)})

    # Comparing

    def compare_answer(self, rdatas, records):
        have = [r for r in self.reply.answer if r[2] != dns.rdatatype.RRSIG]
        ours = [r for r in have if r[2] == self.ask.rdtype] if rdatas else []
        if rdatas:
            life = max(0, min(v.not_after for _, v in rdatas) - self.expected.ask.time)
            life = life if self.ttl is None else self.ttl
            for owner, ttl, _, _ in ours:
                self.expect("owner of the RR", self.ask.name, owner)
                self.expect("TTL", life, ttl)
            self.compare_verdicts([v for _, v in rdatas], [r[3] for r in ours],
                                  rdatas[0][0] == "txt")
        others = Counter((str(o), t, r) for o, _, t, r in have if (o, _, t, r) not in ours)
        want = Counter()
        for owner, ttl, rdtype, *rdata in records:
            rdtype = sign.type_of(rdtype)
            text = script.tlsa_text(rdata) if rdtype == dns.rdatatype.TLSA else \
                script.expand(" ".join(rdata))
            key = (str(script.name_of(owner)), rdtype, dns.rdata.from_text(
                sign.IN, rdtype, text).to_wire())
            want[key] += 1
            if ttl != "*":
                self.expect(f"TTL of {owner}", {int(ttl)},
                            {t for o, t, ty, _ in have if str(o) == key[0] and ty == rdtype})
        if others != want:
            self.wrong.append(f"records: {sorted(map(str, others - want))} too many, "
                              f"{sorted(map(str, want - others))} missing")

    def compare_options(self, options):
        have = [o for c, o in self.reply.options if c == script.OPTION]
        self.compare_verdicts(options, have, False)

    def compare_verdicts(self, want, have, txt):
        """Octet for octet; each has its own one."""
        left = list(have)
        if len(have) > len(want):
            self.wrong.append(f"{len(have)} verdicts, expected {len(want)}")
        for v in want:
            match = next((o for o in left if self.octets(v, o, txt) == o), None)
            if match is not None:
                left.remove(match)
                continue
            near = min(left, key=lambda o: self.distance(self.octets(v, o, txt), o), default=None)
            self.wrong.append(f"no {'TXT ' if txt else ''}verdict {v.status} {v.owner}"
                              + self.difference(v, near, txt))

    @staticmethod
    def octets(v, like, txt):
        """The expected octets; the words of REASON are free where the replay does not say."""
        free = v.reason is Ellipsis
        if free:
            v.reason = reason_of_txt(like) if txt else verdict.reason_of(like)
        try:
            if not txt:
                return v.encode()
            return b"".join(bytes([len(s)]) + s for s in v.txt())
        finally:
            if free:
                v.reason = Ellipsis

    @staticmethod
    def distance(want, have):
        return sum(a != b for a, b in zip(want, have)) + abs(len(want) - len(have))

    def difference(self, v, near, txt):
        if near is None:
            return ": there is none"
        want = self.octets(v, near, txt)
        if txt:
            return f"\n    have {near}\n    want {want}"
        have = dict(verdict.explain(near))
        want = dict(verdict.explain(want))
        keys = list(have) + [k for k in want if k not in have]
        return "".join(f"\n    {k}: {have.get(k)}, expected {want.get(k)}"
                       for k in keys if have.get(k) != want.get(k)) + \
            f"\n    (reason: {have.get('reason')})"


def reason_of_txt(octets):
    at = 0
    while at < len(octets):
        item = octets[at + 1:at + 1 + octets[at]]
        if item.startswith(b"reason="):
            return item[7:]
        at += 1 + octets[at]
    return None
