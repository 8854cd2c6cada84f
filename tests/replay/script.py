# SPDX-License-Identifier: BSD-3-Clause
"""Reads a replay and writes what testbound runs. README.md describes the language."""

import datetime
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import sign
import verdict

START = int(datetime.datetime(2026, 11, 22, 5, tzinfo=datetime.timezone.utc).timestamp())
SUFFIX = {"joineui": "joineuis.lora-alliance.org.", "netid": "netids.lora-alliance.org.",
          "deveui": "_device.op-a.example."}
OPTION = 65100
# What a resolver may ask a server for, beside what there is and what a replay asks: of any name,
# and of a name that is there only for those below it.
TYPES = [sign.type_of(t) for t in ("A", "AAAA", "NAPTR", "SRV", "TLSA", "DS")]
ABOVE = [dns.rdatatype.A, dns.rdatatype.DS]
STEP = 10
WORDS = re.compile(r'"[^"]*"|\S+')


class Wrong(Exception):
    """The replay's text is wrong."""


class Peer:
    """Somebody with a key and a certificate, both made from the name."""

    def __init__(self, name):
        seed = hashlib.sha256(f"replay peer {name}".encode()).digest()
        self.private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
        self.name = name

    @property
    def spki(self):
        return self.private.public_key().public_bytes(Encoding.DER,
                                                      PublicFormat.SubjectPublicKeyInfo)

    @property
    def certificate(self):
        who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)])
        when = datetime.datetime.fromtimestamp(START, datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(who).issuer_name(who).serial_number(1)
                .not_valid_before(when).not_valid_after(when + datetime.timedelta(days=365))
                .public_key(self.private.public_key()).sign(self.private, None)
                .public_bytes(Encoding.DER))


def octets_of(who, kind):
    """What a key or certificate is: nothing is the empty string, 0x… stands for itself."""
    if who.startswith("0x"):
        return bytes.fromhex(who[2:])
    if who == "nothing":
        return b""
    return Peer(who).spki if kind == "spki" else Peer(who).certificate


def digest_of(who, kind):
    return hashlib.sha256(octets_of(who, kind)).digest()


def identifier_name(kind, digits):
    if kind == "netid":
        return f"{digits.lower()}.{SUFFIX[kind]}"
    return ".".join(reversed(digits.lower())) + "." + SUFFIX[kind]


def expand(text):
    """joineui:70B3D57ED0000000 is its name; s@js1 and c@js1 are digest labels."""
    text = re.sub(r"(joineui|netid|deveui):([0-9A-Fa-f]+)\b",
                  lambda m: identifier_name(m[1], m[2]), text)

    def label(m):
        kind = "spki" if m[1].lower() == "s" else "cert"
        found = verdict.digest_label(m[1].lower(), digest_of(m[2], kind))
        return found.upper() if m[1].isupper() else found
    return re.sub(r"\b([sScC])@(\w+)", label, text)


def name_of(text, origin=dns.name.root):
    return dns.name.from_text(expand(text), origin)


def tlsa_text(words):
    """TLSA U S M @who: the data of that key or certificate."""
    usage, selector, mtype, data = words
    if not data.startswith("@"):
        return " ".join(words)
    octets = octets_of(data[1:], "spki" if selector == "1" else "cert")
    hashes = {"1": hashlib.sha256, "2": hashlib.sha512}
    data = hashes[mtype](octets).digest() if mtype in hashes else octets
    return f"{usage} {selector} {mtype} {data.hex()}"


def faults_of(line):
    """Splits trailing {…} from a line: words, or word=value."""
    m = re.match(r"(.*?)\s*\{(.*)\}\s*$", line)
    if not m:
        return line, {}
    return m[1], {w.partition("=")[0]: w.partition("=")[2] for w in m[2].split()}


def ranged(line):
    """[1..9] in a line: nine lines."""
    m = re.search(r"\[(\d+)\.\.(\d+)\]", line)
    if not m:
        return [line]
    return [re.sub(r"\[\d+\.\.\d+\]", str(i), line) for i in range(int(m[1]), int(m[2]) + 1)]


@dataclass
class Ask:
    step: int
    label: str
    words: list
    time: int
    identifier: tuple = None  # kind, digits
    name: dns.name.Name = None
    base: dns.name.Name = None  # without _kbv labels
    rdtype: int = 0
    edns: bool = True
    wire: bytes = b""
    options: dict = field(default_factory=dict)


@dataclass
class Expected:
    """An ANSWER: of which ask, and the lines under it."""
    line: int
    step: int
    ask: Ask
    words: list
    body: list


class Script:
    """One replay, read."""

    def __init__(self, path):
        self.path = Path(path)
        self.config, self.kbv, self.clauses, self.anchors = [], [], [], []
        self.files = []
        self.versions = {}  # zone name: [(first step, Zone)]
        self.steps = []     # lines of testbound's file
        self.asks, self.expected = [], []
        self.step, self.milliseconds = 0, 0
        self.last_line = 0
        self.text = ""
        self.read(self.path)
        self.add_step("TIME_PASSES ELAPSE 1", [])

    # Reading

    def blocks(self, path):
        """(line number, first line, indented lines under it)."""
        block = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            bare = re.sub(r"(^|\s);.*$", "", line).rstrip()
            if not bare.strip():
                continue
            if bare[0].isspace():
                if block is None:
                    raise Wrong(f"{path}:{number}: nothing to belong to")
                block[2].append((number, bare.strip()))
                continue
            if block:
                yield block
            block = (number, bare, [])
        if block:
            yield block

    def read(self, path):
        self.text += path.read_text()
        for number, first, body in self.blocks(path):
            verb, *words = WORDS.findall(first)
            handler = getattr(self, "on_" + verb.lower(), None)
            if handler is None:
                raise Wrong(f"{path}:{number}: {verb}")
            self.last_line = number
            try:
                handler(words, body)
            except (Wrong, dns.exception.DNSException, ValueError, KeyError, IndexError) as err:
                raise Wrong(f"{path}:{number}: {first}: {type(err).__name__} {err}") from err

    def on_include(self, words, body):
        self.read(self.path.parent / words[0])

    def on_config(self, words, body):
        self.config += [t for _, t in body]

    def on_kbv(self, words, body):
        self.kbv += [t for _, t in body]

    def on_clauses(self, words, body):
        self.clauses += [t for _, t in body]

    def on_file(self, words, body):
        """A file: the configuration says FILE and its name where its path is to stand."""
        self.files += [f"TEMPFILE_CONTENTS {words[0]}", *(t for _, t in body), "TEMPFILE_END"]

    def on_anchor(self, words, body):
        """ANCHOR none takes back those before it."""
        self.anchors = [] if words == ["none"] else self.anchors + [name_of(w) for w in words]

    def on_zone(self, words, body):
        """ZONE name [at address] [attribute…]: new, or more of one that there is."""
        name = name_of(words.pop(0))
        address = None
        if words[:1] == ["at"]:
            address, words = words[1], words[2:]
        if name not in self.versions:
            if not address:
                raise Wrong("a new zone needs an address")
            self.versions[name] = [(0, sign.Zone(name, address, START))]
        zone = self.versions[name][-1][1]
        self.fill(zone, words, body, replace=False)

    def on_change(self, words, body):
        """From here on the zone has these records in place of its own."""
        versions = self.versions[name_of(words.pop(0))]
        self.add_step("TRAFFIC", [])  # what was asked before gets the old records
        if versions[-1][0] != self.step + 1:
            versions.append((self.step + 1, versions[-1][1].copy()))
        self.fill(versions[-1][1], words, body, replace=True)

    def fill(self, zone, words, body, replace):
        for word in words:
            key, _, value = word.partition("=")
            if key.startswith("-"):
                zone.attributes.pop(key[1:])
            else:
                zone.attributes[key] = value
        replaced = set()
        for _, line in body:
            for single in ranged(line):
                line, faults = faults_of(single)
                owner, *rest = WORDS.findall(line)
                ttl = zone.number("ttl", 3600)
                if rest[0].isdigit():
                    ttl = int(rest.pop(0))
                rdtype, rdata = sign.type_of(rest[0]), rest[1:]
                key = (name_of(owner, zone.name), rdtype)
                if replace and key not in replaced:
                    zone.records.pop(key, None)
                replaced.add(key)
                if rdata == ["-"]:
                    if faults:
                        zone.add(*key, ttl, None, faults)
                    continue
                text = tlsa_text(rdata) if rdtype == dns.rdatatype.TLSA and rdata[0] != "\\#" \
                    else expand(" ".join(rdata))
                zone.add(*key, ttl, dns.rdata.from_text(
                    sign.IN, rdtype, text, origin=zone.name, relativize=False), faults)

    # The conversation

    def add_step(self, event, lines):
        self.step += STEP
        self.steps += [f"STEP {self.step} {event}", *lines, ""]
        return self.step

    def on_wait(self, words, body):
        self.milliseconds += round(float(words[0]) * 1000)
        self.add_step(f"TIME_PASSES ELAPSE {words[0]}", [])

    @property
    def time(self):
        return START + self.milliseconds // 1000

    def on_timeout(self, words, body):
        """The newest n questions upstream time out, one after the other."""
        for _ in range(int(words[0]) if words else 1):
            self.add_step("TIMEOUT", [])

    def on_flush(self, words, body):
        self.add_step(f"FLUSH_MESSAGE {expand(words[0])} IN {words[1]}", [])

    def on_ask(self, words, body):
        ask = Ask(self.step + STEP, self.label(words), words, self.time)
        target, ask.rdtype = words[0], sign.type_of(words[1])
        ask.name = name_of(target)
        m = re.search(r"(?:^|\._kbv\.)(joineui|netid|deveui):(\w+)$", target, re.I)
        ask.identifier = (m[1].lower(), m[2]) if m else None
        labels = list(ask.name.labels)
        kbv = [i for i, label in enumerate(labels) if label.lower() == b"_kbv"]
        ask.base = dns.name.Name(labels[kbv[0] + 1:]) if kbv else ask.name
        message = dns.message.make_query(ask.name, ask.rdtype)
        message.id = ask.step
        message.flags |= dns.flags.AD  # as dig sends it: the reply says what is secure
        address, transport, options = "127.0.0.1", "UDP", []
        material = nonce = None
        flags, size = 0, 1232
        for word in words[2:]:
            key, _, value = word.partition("=")
            if key == "from":
                address = value
            elif key == "tcp":
                transport = "TCP"
            elif key == "cd":
                message.flags |= dns.flags.CD
            elif key == "nord":
                message.flags &= ~dns.flags.RD
            elif key == "noedns":
                ask.edns = False
            elif key == "do":
                message.want_dnssec()
            elif key == "nonce":
                nonce = bytes.fromhex(value)
            elif key == "sign":
                flags = verdict.SIGN
            elif key == "size":
                size = int(value)
            elif key in ("spki", "cert"):
                material = (key, digest_of(value.lstrip("@"), key))
            elif key == "material":
                material = ("raw", bytes.fromhex(value))
            elif key == "option":
                if "=" in word:
                    options.append(bytes.fromhex(value))
                else:
                    material = material or ("none", b"")
            else:
                raise Wrong(word)
        if material or nonce or flags:
            kinds = {"none": 0, "spki": 1, "cert": 2}
            kind, octets = material or ("none", b"")
            if kind == "raw":
                octets, kind = octets[1:], octets[0]
            else:
                kind = kinds[kind]
            options.append(verdict.request(kind, octets, nonce or b"", flags))
        ask.options = {"material": material, "nonce": nonce}
        if ask.edns:
            message.use_edns(0, message.ednsflags, size,
                             options=[dns.edns.GenericOption(OPTION, o) for o in options])
        else:
            message.use_edns(-1)
        ask.wire = message.to_wire()
        self.asks.append(ask)
        self.add_step(f"QUERY ADDRESS {address}", [
            "ENTRY_BEGIN", f"MATCH {transport}", "HEX_ANSWER_BEGIN", *hex_lines(ask.wire),
            "HEX_ANSWER_END", "ENTRY_END"])

    @staticmethod
    def label(words):
        if words and words[0].startswith("("):
            return words.pop(0)
        return ""

    def on_answer(self, words, body):
        label = self.label(words)
        taken = {e.ask.step for e in self.expected}
        asks = [a for a in self.asks if a.label == label and a.step not in taken]
        if not asks:
            raise Wrong("no ASK is left for this ANSWER")
        ask = asks[0]
        step = self.add_step("CHECK_ANSWER", [
            "ENTRY_BEGIN", "MATCH opcode qtype qname", "REPLY QR", "SECTION QUESTION",
            f"{ask.name} IN {dns.rdatatype.to_text(ask.rdtype)}", "ENTRY_END"])
        self.expected.append(Expected(self.last_line, step, ask, words, self.joined(body)))

    @staticmethod
    def joined(body):
        """Lines that begin with + belong to the one before."""
        lines = []
        for _, line in body:
            if line.startswith("+"):
                lines[-1] += " " + line[1:]
            else:
                lines.append(line)
        return lines

    # What testbound runs

    def zone_at(self, name, step):
        """The deepest zone that holds name, as it is at that step."""
        found = [z for z in self.versions if name.is_subdomain(z)]
        versions = self.versions[max(found, key=lambda z: len(z.labels))]
        return [zone for first, zone in versions if first <= step][-1]

    def finish_zones(self):
        """Delegations follow from the zones that there are."""
        firsts = sorted({first for v in self.versions.values() for first, _ in v})
        for name, versions in self.versions.items():
            for first in firsts:
                if first not in [f for f, _ in versions]:
                    before = [z for f, z in versions if f < first][-1]
                    versions.append((first, before.copy()))
            versions.sort(key=lambda v: v[0])
        for first in firsts:
            zones = [self.at(name, first) for name in self.versions]
            for zone in zones:
                zone.finish([z for z in zones if self.parent(z.name) == zone.name])

    def at(self, name, step):
        return [z for f, z in self.versions[name] if f <= step][-1]

    def parent(self, name):
        if name == dns.name.root:
            return None
        above = [z for z in self.versions if sign.below(name, z)]
        return max(above, key=lambda z: len(z.labels))

    def questions(self):
        """Every name that may come up."""
        names = {a.base for a in self.asks} | {a.name for a in self.asks}
        ports = {b"_443"} | {b"_" + p.encode() for p in re.findall(r"_(\d+)\._tcp", self.text)}
        hosts = {a.base for a in self.asks if a.identifier}
        for versions in self.versions.values():
            for _, zone in versions:
                for (owner, rdtype), records in zone.records.items():
                    names.add(owner)
                    if rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA, dns.rdatatype.CNAME):
                        hosts.add(owner)
                    for rdata in records.rdatas:
                        for key in ("target", "replacement"):
                            if hasattr(rdata, key):
                                hosts.add(getattr(rdata, key))
                        if rdtype == dns.rdatatype.SRV:
                            ports.add(b"_%d" % rdata.port)
        for host in hosts:
            names.add(host)
            for port in ports:
                try:
                    names.add(dns.name.Name((port, b"_tcp") + host.labels))
                except dns.name.NameTooLong:
                    pass
        names = {name.canonicalize() for name in names}
        found = {name: TYPES for name in names}
        for name in names:
            while name != dns.name.root:
                name = name.parent()
                found.setdefault(name, ABOVE)
        return found

    def server(self, zone, names, first, last):
        """A RANGE: all that the server of a zone answers."""
        lines = [f"RANGE_BEGIN {first} {last}", f"ADDRESS {zone.address}"]
        asked, waiting = set(), sorted(n for n in names if n.is_subdomain(zone.name))
        more = {a.rdtype for a in self.asks}
        while waiting:
            name = waiting.pop(0)
            if name in asked:
                continue
            asked.add(name)
            types = {*names.get(name, TYPES), *more, *(t for n, t in zone.records if n == name)}
            cut = next((c for c in zone.children if name.is_subdomain(c.name)), None)
            if cut:
                if name == cut.name:
                    lines += entry(name, dns.rdatatype.DS, zone.respond(name, dns.rdatatype.DS))
                continue
            for rdtype in sorted(types):
                response = zone.respond(name, rdtype)
                lines += entry(name, rdtype, response)
                waiting += [rr.target for r in response.answer if r.rdtype == dns.rdatatype.CNAME
                            for rr in r if rr.target.is_subdomain(zone.name)] if response else []
        for child in zone.children:
            response = zone.respond(child.name, dns.rdatatype.NS)
            lines += entry(child.name, dns.rdatatype.NS, response, "subdomain")
        return lines + ["RANGE_END", ""]

    def render(self):
        """The file for testbound."""
        self.finish_zones()
        lines = ["server:"]
        for name in self.anchors:
            zone = self.at(name, 0)
            for key in zone.keys:
                lines.append(f'    trust-anchor: "{name} 3600 IN DS {key.ds()}"')
        lines += ["    " + line for line in self.config]
        for line in ["kbv:", *("    " + line for line in self.kbv), *self.clauses]:
            key, is_file, name = line.partition("FILE ")
            lines += [key, f"TEMPFILE_NAME {name}"] if is_file else [line]
        lines += self.files + ["CONFIG_END", f"SCENARIO_BEGIN {self.path.stem}", ""]
        names = self.questions()
        for versions in self.versions.values():
            for i, (first, zone) in enumerate(versions):
                last = versions[i + 1][0] - 1 if i + 1 < len(versions) else self.step
                lines += self.server(zone, names, first, last)
        # Signatures need a true time: the clock starts at 0.
        lines += [f"STEP 1 TIME_PASSES ELAPSE {START}", ""]
        return "\n".join(lines + self.steps + ["SCENARIO_END", ""])


def hex_lines(octets):
    text = octets.hex()
    return [text[i:i + 64] for i in range(0, len(text), 64)]


def entry(name, rdtype, response, match="qname"):
    """An ENTRY with that response; nothing for a server that keeps silent."""
    if response is None:
        return []
    subdomain = match == "subdomain"
    lines = ["ENTRY_BEGIN", "MATCH opcode subdomain" if subdomain else "MATCH opcode qtype qname",
             "ADJUST copy_id copy_query" if subdomain else "ADJUST copy_id",
             f"REPLY QR {'AA ' if response.authoritative else ''}{response.rcode}",
             "SECTION QUESTION", f"{name} IN {dns.rdatatype.to_text(rdtype)}"]
    for section in ("answer", "authority", "additional"):
        rrsets = getattr(response, section)
        if rrsets:
            lines.append(f"SECTION {section.upper()}")
            lines += [line for r in rrsets for line in r.to_text().splitlines()]
    return lines + ["ENTRY_END"]
