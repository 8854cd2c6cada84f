# SPDX-License-Identifier: BSD-3-Clause
"""What a verdict ought to be, worked out a second time from the protocol's text.

Evidence are the answers of a stock Unbound: AD, SERVFAIL and its EDE, and the RRSIGs beside the
records. Certificate paths are OpenSSL's affair (engine.c). Where more than one status is right
(of two failures on one way either counts) a row says which.
"""

import contextlib
import copy
import hashlib
import struct
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from . import pki, servers, wire

NONE, BOUND, NOT_BOUND, NO_BINDING, UNUSABLE, UNDECIDED, PUBLISHED = range(7)
INSECURE, INDETERMINATE, BOGUS, STALE, DOWNGRADE = range(16, 21)
TEMPFAIL, REFUSED, BAD_INPUT, LIMIT = range(32, 36)
NAMES = {0: "NONE", 1: "BOUND", 2: "NOT_BOUND", 3: "NO_BINDING", 4: "UNUSABLE", 5: "UNDECIDED",
         6: "PUBLISHED", 16: "INSECURE", 17: "INDETERMINATE", 18: "BOGUS", 19: "STALE",
         20: "DOWNGRADE", 32: "TEMPFAIL", 33: "REFUSED", 34: "BAD_INPUT", 35: "LIMIT"}
CAPS = {BOUND: 3600, PUBLISHED: 3600, NOT_BOUND: 300, NO_BINDING: 300, UNUSABLE: 300,
        UNDECIDED: 300, INSECURE: 60, INDETERMINATE: 60, DOWNGRADE: 60, BOGUS: 60, STALE: 5,
        TEMPFAIL: 5, LIMIT: 5, REFUSED: 0, BAD_INPUT: 0}
KINDS = {"joineui": 1, "netid": 2, "deveui": 3}
MAX_HOPS, MAX_ENDPOINTS, MAX_TLSA, MAX_ASSOCIATIONS = 8, 8, 64, 8192
NEVER = 1 << 62
ALIASED, WILDCARD = 2, 4
RECORDS, DENIED = "records", "denied"


# ---------------------------------------------------------------------- what one answer proves

@dataclass
class Step:
    """outcome: RECORDS, DENIED, or the status that the step ends in."""
    outcome: object
    rdatas: list = field(default_factory=list)
    end: bytes = b""  # the name behind all aliases
    hops: int = 0
    aliases: object = RECORDS  # outcome of the aliases alone
    nxdomain: bool = False
    wildcard: bool = False
    # of every RRset used: (TTL, expiration, None or the owner of an NSEC or NSEC3)
    lives: list = field(default_factory=list)
    alg: int = 0
    unsure: bool = False  # of several RRSIGs nobody outside can tell which one was verified


@dataclass
class Signature:
    """An RRSIG: RFC 4034 section 3.1."""
    alg: int
    labels: int
    ttl: int  # the zone's, where a cache may have counted some of it down
    end: int
    begin: int


class Reading:
    """RRsets of one section, and what their signatures say at a time."""

    def __init__(self, rows, now):
        self.rows, self.now = rows, now
        self.stale = self.wildcard = self.unsure = False
        self.lives, self.alg = [], 0

    def signatures(self, owner, rrtype):
        return [Signature(*struct.unpack_from(">BBIII", rdata, 2))
                for name, kind, _, rdata in self.rows
                if name == owner and kind == wire.RRSIG and rdata[:2] == struct.pack(">H", rrtype)]

    def use(self, owner, rrtype):
        """Takes an RRset into account; its RDATA."""
        found = [row for row in self.rows if row[0] == owner and row[1] == rrtype]
        signatures = self.signatures(owner, rrtype)
        valid = [one for one in signatures if one.begin <= self.now < one.end]
        ttl = signatures[0].ttl if signatures else min(row[2] for row in found)
        if rrtype == wire.SOA:  # RFC 2308 section 5
            ttl = min(ttl, int.from_bytes(found[0][3][-4:], "big"))
        if signatures:
            self.wildcard |= signatures[0].labels < len(wire.labels(owner)) - (owner[:2] == b"\1*")
        if valid:
            self.alg = min(one.alg for one in valid)
        self.lives.append((ttl, min([one.end for one in valid] + [NEVER]),
                           owner if rrtype in (wire.NSEC, wire.NSEC3) else None))
        self.stale |= bool(signatures) and not valid
        self.unsure |= 0 < len(valid) < len(signatures)
        return [row[3] for row in found]

    def has(self, owner, rrtype):
        return any(row[0] == owner and row[1] == rrtype for row in self.rows)

    def dname_above(self, name):
        while len(name) > 1:
            name = wire.parent(name)
            if self.has(name, wire.DNAME):
                return name
        return None


def _follow(reading, qname, qtype):
    """Goes along the aliases; (end, hops, names that were passed)."""
    end, hops, seen = qname, 0, set()
    while not reading.has(end, qtype) and hops < 20 and end not in seen:
        seen.add(end)
        source = reading.dname_above(end)
        if source is not None and not reading.signatures(end, wire.CNAME):
            target = reading.use(source, wire.DNAME)[0]  # RFC 6672 section 2.2
            end = end[:len(end) - len(source)] + target
        elif reading.has(end, wire.CNAME):
            end = reading.use(end, wire.CNAME)[0]
        else:
            break
        hops += 1
    return end, hops, seen


# RFC 8914: what Unbound says where validation failed; of any other failure it says something else.
BOGUS_EDES = {1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 27}


def read(message, qname, qtype, now, covered):
    """What a stock Unbound's answer proves. covered: whether it was told how to validate a name."""
    if message is None:
        return Step(TEMPFAIL, aliases=TEMPFAIL)
    if message.rcode not in (wire.NOERROR, wire.NXDOMAIN):
        failed = BOGUS if message.rcode == wire.SERVFAIL and \
            BOGUS_EDES & set(message.edes()) else TEMPFAIL
        return Step(failed, aliases=failed)
    reading = Reading(message.answer, now)
    end, hops, passed = _follow(reading, qname, qtype)
    step = Step(RECORDS, end=end, hops=hops)
    if not message.ad:  # RFC 4035 section 4.3: no trust anchor would tell whether it is signed
        step.outcome = INSECURE if all(map(covered, passed | {end})) else INDETERMINATE
        step.aliases = step.outcome if hops else RECORDS
        step.rdatas = [row[3] for row in message.answer if row[0] == end and row[1] == qtype]
        return step
    step.aliases = STALE if reading.stale else RECORDS
    step.alias_lives, step.alias_wildcard = list(reading.lives), reading.wildcard
    if reading.has(end, qtype):
        step.rdatas = reading.use(end, qtype)
        step.alg = reading.alg
    else:
        step.outcome, step.nxdomain = DENIED, message.rcode == wire.NXDOMAIN
    proof = Reading(message.authority, now)
    for owner, rrtype in {row[:2] for row in message.authority
                          if row[1] in (wire.NSEC, wire.NSEC3)}:
        proof.use(owner, rrtype)
    if step.alias_wildcard:  # RFC 4035 section 5.3.4: that nothing nearer exists belongs to it
        step.alias_lives += proof.lives
    for owner, rrtype in {row[:2] for row in message.authority if row[1] == wire.SOA}:
        if step.outcome == DENIED:
            proof.use(owner, rrtype)
    if step.outcome == DENIED or reading.wildcard:
        reading.stale |= proof.stale
        reading.unsure |= proof.unsure
        reading.lives += proof.lives
    if reading.stale:
        step.outcome = STALE
    step.wildcard, step.lives, step.unsure = reading.wildcard, reading.lives, reading.unsure
    if hops > MAX_HOPS:
        step.outcome = step.aliases = LIMIT
    return step


# ---------------------------------------------------------------------------- rows of a verdict

@dataclass
class Row:
    """An unkeyed verdict, as it should be."""
    status: set  # those that are right: one, where anything was proved
    owner: bytes
    endpoint: object = None  # (order, preference, priority, weight, port, target)
    flags: int = 0
    found_at: object = None
    names: list = field(default_factory=list)
    associations: list = field(default_factory=list)  # RDATA, sorted
    rdatas: list = field(default_factory=list)  # all of the TLSA RRset
    alg: int = 0
    lives: list = field(default_factory=list)
    client: bool = False
    ties: list = field(default_factory=list)  # rows of the same place and rank: as right as this
    what: object = None  # type and name of the question at which discovery ended without proof

    @property
    def hash(self):
        if not self.rdatas:
            return bytes(16)
        return hashlib.sha256(b"".join(len(one).to_bytes(2, "big") + one
                                       for one in sorted(set(self.rdatas)))).digest()[:16]


class Path:
    """What is carried along from step to step."""

    def __init__(self):
        self.flags, self.lives, self.unsure, self.hops = 0, [], False, 0

    def take(self, step):
        self.flags |= (ALIASED if step.hops else 0) | (WILDCARD if step.wildcard else 0)
        self.lives += step.lives
        self.unsure |= step.unsure
        self.hops += step.hops
        return self

    def copy(self):
        other = Path()
        other.flags, other.lives = self.flags, list(self.lives)
        other.unsure, other.hops = self.unsure, self.hops
        return other


def tlsa_owner(port, host):
    return wire.string(b"_%d" % port) + wire.string(b"_tcp") + host


def is_server_owner(name):
    parts = wire.labels(name)
    return len(parts) > 2 and parts[0][:1] == b"_" and parts[0][1:].isdigit() and \
        parts[1] in (b"_tcp", b"_udp", b"_sctp")


def read_naptr(rdata):
    order, preference = struct.unpack_from(">HH", rdata)
    at, strings = 4, []
    for _ in range(3):
        strings.append(rdata[at + 1:at + 1 + rdata[at]].decode("latin-1"))
        at += 1 + rdata[at]
    return order, preference, *strings, rdata[at:]


def uri_endpoint(regexp):
    """(host, port) of the U-NAPTR shape of RFC 4848, None for any other expression."""
    if not regexp or regexp[0] in "123456789iI\\" or "\\" in regexp or not regexp.isascii() or \
            not regexp.isprintable() or " " in regexp:
        return None
    parts = regexp[1:].split(regexp[0])
    if len(parts) != 3 or parts[0] not in (".*", "^.*$", "^.*", ".*$") or \
            parts[2] not in ("", "i", "I") or parts[1][:8].lower() != "https://":
        return None
    authority = parts[1][8:].partition("/")[0]
    host, colon, port = authority.partition(":")
    if colon and not (port.isdigit() and port[0] != "0" and int(port) < 65536):
        return None
    host = host.removesuffix(".")
    parts = host.split(".")
    if not all(part and part.replace("-", "").isalnum() and part[0] != "-" != part[-1]
               for part in parts) or parts[-1].isdigit():
        return None
    return wire.name(host), int(port) if colon else 443


class Discovery:
    """From names to rows."""

    def __init__(self, tree, engine, workers=12):
        self.tree, self.engine, self.answers, self.lock = tree, engine, {}, threading.Lock()
        self.pool = ThreadPoolExecutor(workers)
        self.told = [zone.name for zone in tree.anchored] + tree.unchecked

    def covered(self, name):
        """At or below a trust anchor, or told to be unsigned."""
        return any(wire.below(name, one) for one in self.told)

    # -------------------------------------------------------------------------- asking

    def ask(self, qname, qtype):
        with self.lock:
            future = self.answers.get((qname, qtype))
            mine = future is None
            if mine:
                future = self.answers[(qname, qtype)] = threading.Event()
        if mine:
            future.answer = None
            with contextlib.suppress(OSError, wire.Malformed):
                future.answer = servers.ask(servers.STOCK, qname, qtype)
            future.set()
        future.wait()
        return read(future.answer, qname, qtype, int(time.time()), self.covered)

    def answer(self, qname, qtype):
        """The stock Unbound's answer as it came, None if none did or nobody asked yet."""
        return getattr(self.answers.get((qname, qtype)), "answer", None)

    def rows(self, subject):
        return self.strict(subject.name, self.discover(subject))

    def literal_rows(self, name):
        return self.strict(name, [self.literal(name, is_server_owner(name))])

    def strict(self, name, rows):
        """kbv-require-secure: INSECURE is DOWNGRADE below these suffixes of the name asked."""
        if any(wire.below(name, wire.name(suffix)) for suffix in self.tree.strict):
            for row in rows:
                row.status = {DOWNGRADE if one == INSECURE else one for one in row.status}
        return rows

    def discover(self, subject):
        suffix = subject.suffix
        if suffix is None:
            return [self.literal(subject.name, is_server_owner(subject.name))]
        if identifier(subject.name, suffix) is None:
            return [Row({BAD_INPUT}, subject.name)]
        if suffix.lookup == "identity":
            return [self.published_at(subject.name, False)]
        return self.service(subject.name, suffix)

    # ------------------------------------------------------------------------- one step

    def ended(self, step, path, owner, **more):
        """The row of a step that did not prove what it should have."""
        statuses = {step.outcome} | ({STALE} if path.unsure else set())
        return Row(statuses, owner, flags=path.flags, lives=path.lives, **more)

    def denied(self, path, owner, **more):
        return Row({NO_BINDING} | ({STALE} if path.unsure else set()), owner, flags=path.flags,
                   lives=path.lives, **more)

    def literal(self, name, server):
        if not self.tree.literal:
            return Row({REFUSED}, name)
        return self.published_at(name, server)

    def published_at(self, name, server):
        step = self.ask(name, wire.TLSA)
        path = Path().take(step)
        names = [wire.join(wire.labels(name)[2:])] if server else [name]
        row = self.published(step, path, name, names)
        row.client = not server
        return row

    def published(self, step, path, owner, names, endpoint=None):
        """The row of a TLSA answer."""
        if path.hops > MAX_HOPS and step.outcome in (RECORDS, DENIED, STALE, LIMIT):
            return Row({LIMIT}, owner, endpoint, flags=path.flags, lives=path.lives)
        if step.outcome == DENIED:
            return self.denied(path, owner, endpoint=endpoint)
        if step.outcome != RECORDS:
            return self.ended(step, path, owner, endpoint=endpoint)
        rdatas = sorted(set(step.rdatas))
        usable = [one for one in rdatas if self.engine.usable(one)]
        status = PUBLISHED if usable else UNUSABLE
        if len(step.rdatas) > MAX_TLSA or sum(len(one) + 2 for one in usable) > MAX_ASSOCIATIONS:
            status, usable = LIMIT, []
        return Row({status} | ({STALE} if path.unsure else set()), owner, endpoint,
                   flags=path.flags, found_at=step.end if step.end != owner else None,
                   names=list(dict.fromkeys(names)) if status == PUBLISHED else [],
                   associations=usable, rdatas=rdatas, alg=step.alg, lives=path.lives)

    # ---------------------------------------------------------- from an identifier to endpoints

    def service(self, name, suffix):
        endpoints, others, denials = [], [], []
        step = self.ask(name, wire.NAPTR)
        path = Path().take(step)
        if step.outcome == DENIED and path.hops <= MAX_HOPS:
            if step.nxdomain:
                return [self.denied(path, name)]
            self.no_naptr(name, suffix, path, endpoints, others, denials)
        else:
            self.naptrs(name, name, suffix, step, path, (), (name,), endpoints, others, denials)
        return self.finish(name, endpoints, others, denials)

    def no_naptr(self, name, suffix, path, endpoints, others, denials):
        steps = [self.ask(name, wire.A), self.ask(name, wire.AAAA)]
        if any(step.hops or step.rdatas for step in steps):
            path.hops = 0  # the same aliases are counted at the host
            for at, port in enumerate(suffix.ports):
                endpoints.append(((0, 0, at, 0, (), port), name, None, path.copy()))
            return
        if all(step.outcome == DENIED for step in steps):
            for step in steps:
                path.take(step)
            denials.append(self.denied(path, name))
            return
        failed = {step.outcome for step in steps if step.outcome != DENIED}
        others.append(((0, 0), Row(failed, name, lives=path.lives)))

    def naptrs(self, name, at, suffix, step, path, rank, seen, endpoints, others, denials):
        """The NAPTR answer at a name, the one asked for or one that a P flag led to."""
        if path.hops > MAX_HOPS and step.outcome in (RECORDS, DENIED, STALE, LIMIT):
            others.append((rank, Row({LIMIT}, name, lives=path.lives, what=(wire.NAPTR, at))))
            return
        if step.outcome == DENIED:
            denials.append(self.denied(path, name))
            return
        if step.outcome != RECORDS:
            others.append((rank, self.ended(step, path, name, what=(wire.NAPTR, at))))
            return
        usable = [one for one in map(self.use, map(read_naptr, step.rdatas)) if one]
        if not usable:
            denials.append(self.denied(path, name))
        for order, preference, use, target, port in sorted(usable, key=lambda one: one[:2]):
            below = (order, preference) if not rank else rank[:2]
            deeper = () if not rank else rank[2] + ((order, preference),)
            if use == "srv":
                self.srv(name, target, path.copy(), below, deeper, endpoints, others, denials)
            elif use == "host":
                for index, zone_port in enumerate(suffix.ports):
                    endpoints.append(((*below, index, 0, deeper, zone_port), target, None,
                                      path.copy()))
            elif use == "uri":
                endpoints.append(((*below, 0, 0, deeper, port), target, None, path.copy()))
            else:
                further = path.copy()
                further.hops += 1
                if target in seen or further.hops > MAX_HOPS:
                    others.append(((*below, deeper), Row({LIMIT}, name, lives=path.lives,
                                                         what=(wire.NAPTR, target))))
                    continue
                found = self.ask(target, wire.NAPTR)
                self.naptrs(name, target, suffix, found, further.take(found), (*below, deeper),
                            seen + (target,), endpoints, others, denials)

    @staticmethod
    def use(record):
        """(order, preference, what, name, port) of a usable record, else None."""
        order, preference, flags, services, regexp, target = record
        if services.lower() != "lwns":
            return None
        flag = flags.lower()
        if flag == "u":
            found = uri_endpoint(regexp)
            return (order, preference, "uri", *found) if found else None
        what = {"s": "srv", "a": "host", "p": "next", "": "next"}.get(flag)
        if what is None or regexp or target == wire.ROOT:
            return None
        return order, preference, what, target, 0

    def srv(self, name, owner, path, rank, deeper, endpoints, others, denials):
        step = self.ask(owner, wire.SRV)
        path.take(step)
        if path.hops > MAX_HOPS and step.outcome in (RECORDS, DENIED, STALE, LIMIT):
            others.append(((*rank, deeper), Row({LIMIT}, name, lives=path.lives,
                                                what=(wire.SRV, owner))))
            return
        if step.outcome == DENIED:
            denials.append(self.denied(path, name))
            return
        if step.outcome != RECORDS:
            others.append(((*rank, deeper), self.ended(step, path, name, what=(wire.SRV, owner))))
            return
        domain, found = wire.join(wire.labels(owner)[2:]), False
        for rdata in step.rdatas:
            priority, weight, port = struct.unpack_from(">HHH", rdata)
            if rdata[6:] == wire.ROOT or port == 0:
                continue
            found = True
            endpoints.append(((*rank, priority, -weight, deeper, port), rdata[6:], domain,
                              path.copy()))
        if not found:
            denials.append(self.denied(path, name))

    def finish(self, name, endpoints, others, denials):
        """Endpoints in order, each once; what ended without proof; a denial if nothing else is."""
        rows, places = [], {}
        endpoints.sort(key=lambda one: (one[0], wire.canonical(one[1])))
        for rank, host, domain, path in endpoints:
            place = rank[5], host
            if place not in places:
                places[place] = rank, [(host, domain, path)]
                rows.append(places[place])
            elif places[place][0] == rank:
                places[place][1].append((host, domain, path))
        seen = []
        for rank, row in others:
            if (row.status, row.what) not in seen:
                seen.append((row.status, row.what))
                rows.append(((*rank[:2], NEVER, 0, (), 0), row))
        rows.sort(key=lambda one: one[0])
        more = len(rows) > MAX_ENDPOINTS
        out = []
        for rank, what in rows[:MAX_ENDPOINTS]:
            if isinstance(what, Row):
                out.append(what)
                continue
            row, *ties = [self.endpoint(rank, *way) for way in what]
            row.ties = ties
            out.append(row)
        if more:
            out.append(Row({LIMIT}, name))
        if not out:
            out = [denials[0]]
            out[0].lives = [life for denial in denials for life in denial.lives]
            for denial in denials[1:]:
                out[0].status |= denial.status
        return out

    def endpoint(self, rank, host, domain, path):
        order, preference, priority, weight, _, port = rank
        endpoint = (order, preference, priority, -weight, port, host)
        owner, further = tlsa_owner(port, host), [domain] if domain else []
        steps = [self.ask(host, wire.A), self.ask(host, wire.AAAA)]
        told = [step for step in steps if step.hops or step.aliases == RECORDS and
                step.outcome not in (BOGUS, TEMPFAIL)]
        if not told:
            return Row({step.outcome for step in steps}, owner, endpoint, flags=path.flags)
        alias = next((step for step in told if step.hops), None)
        path = path.copy()
        if alias is not None:
            if alias.aliases != RECORDS:
                return Row({alias.aliases}, owner, endpoint)
            path.flags |= ALIASED | (WILDCARD if alias.alias_wildcard else 0)
            path.lives += alias.alias_lives
            path.hops += alias.hops
            path.unsure |= alias.unsure
            if path.hops > MAX_HOPS:
                return Row({LIMIT}, owner, endpoint)
            step = self.ask(tlsa_owner(port, alias.end), wire.TLSA)
            path.take(step)
            if step.outcome != DENIED:
                return self.published(step, path, owner, [alias.end, host] + further, endpoint)
        step = self.ask(owner, wire.TLSA)
        return self.published(step, path.take(step), owner, [host] + further, endpoint)


def identifier(name, suffix):
    """(kind, value) of an identifier's name, None if it is none."""
    rest = wire.labels(name)[:-len(wire.labels(wire.name(suffix.name)))]
    digits = 6 if suffix.kind == "netid" else 16
    if suffix.form == "nibble":
        if len(rest) != digits or any(len(label) != 1 for label in rest):
            return None
        text = b"".join(reversed(rest))
    else:
        if len(rest) != 1 or len(rest[0]) != digits:
            return None
        text = rest[0]
    try:
        return KINDS[suffix.kind], bytes.fromhex(text.decode())
    except ValueError:
        return None


# ----------------------------------------------------------------------------- keys against rows

class Engine:
    """engine.c: OpenSSL's own answers."""

    def __init__(self, program, bundle):
        self.process = subprocess.Popen([str(program)] + ([str(bundle)] if bundle else []),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.bundle = bundle is not None
        self.certificates, self.kept, self.lock = {}, {}, threading.Lock()

    def _call(self, request, size):
        with self.lock:
            self.process.stdin.write(request)
            self.process.stdin.flush()
            answer = self.process.stdout.read(size)
        if len(answer) != size:
            raise RuntimeError("the engine has ended")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def certificate(self, der):
        """(number, well-formed)"""
        if der not in self.certificates:
            with_number = len(self.certificates)
            answer = self._call(b"C" + len(der).to_bytes(4, "big") + der, 17)
            self.certificates[der] = with_number, answer[0] == 1
        return self.certificates[der]

    def level(self, spki):
        """OpenSSL's security level of a key; 255 if it is none."""
        if spki not in self.kept:
            self.kept[spki] = self._call(b"K" + len(spki).to_bytes(4, "big") + spki, 1)[0]
        return self.kept[spki]

    def usable(self, rdata):
        """RFC 6698 section 4.1. Usages 0 and 1 need a store (RFC 7671 section 5.3)."""
        if rdata[0] < 2 and not self.bundle or len(rdata) == 3:
            return False
        if rdata not in self.kept:
            self.kept[rdata] = self._call(b"T" + _record(rdata), 1)[0] == 1
        return self.kept[rdata]

    def verify(self, rdatas, chain, names, client, level, now):
        """(accepted, named, depth, match, first end, last start)"""
        key = (tuple(rdatas), tuple(chain), tuple(names), client, level)
        if key not in self.kept:
            numbers = [self.certificate(der)[0].to_bytes(4, "big") for der in chain]
            request = b"V" + struct.pack(">BBQB", client, level, now, len(rdatas)) + \
                b"".join(map(_record, rdatas)) + numbers[0] + bytes([len(names)])
            for name in names:
                exact = client or b"_" in name
                request += bytes([exact, len(name)]) + name
            answer = self._call(request + bytes([len(numbers)]) + b"".join(numbers), 22)
            accepted, named, depth, *match, end, start = struct.unpack(">6BqQ", answer)
            self.kept[key] = bool(accepted), bool(named), depth, tuple(match), end, start
        return self.kept[key]


def _record(rdata):
    return rdata[:3] + (len(rdata) - 3).to_bytes(2, "big") + rdata[3:]


def certificate_names(names):
    """Of the reference names those that can stand in a certificate, as text without final dot."""
    found = []
    for name in names:
        parts = wire.labels(name)
        if parts and not parts[-1].isdigit() and \
                all(part.replace(b"-", b"").replace(b"_", b"").isalnum() for part in parts):
            found.append(b".".join(parts))
    return found


def request(material=0, octets=b"", flags=0, nonce=b""):
    """The octets of an option that asks for a verdict."""
    return struct.pack(">BBBB", 0x11, flags, material, len(nonce)) + nonce + \
        struct.pack(">H", len(octets)) + octets


class Presented:
    """What a peer shows: material and octets, as in a request."""

    def __init__(self, engine, material, octets):
        self.material, self.octets = material, octets
        self.chain, self.spki, self.good = [], None, True
        if material in (pki.SPKI_SHA256, pki.CERT_SHA256):
            self.subject = material, octets
            self.good = octets != pki.NOTHING
        elif material == pki.SPKI:
            self.spki, self.good = octets, engine.level(octets) != 255
            self.subject = 1, hashlib.sha256(octets).digest()
        else:
            self.chain = [octets] if material == pki.CERT else _split(octets)
            self.good = all(engine.certificate(der)[1] for der in self.chain)
            self.subject = 2, hashlib.sha256(self.chain[0]).digest()
            if self.good:
                self.spki = pki.key_of(self.chain[0])
        self.claimed = self.subject
        if not self.good:
            self.subject = 0, bytes(32)

    def unread(self):
        """The same, where nobody looks whether it is well-formed."""
        other = copy.copy(self)
        other.good, other.subject = True, self.claimed
        return other

    def request(self, flags=0, nonce=b""):
        return request(self.material, self.octets, flags, nonce)


def _split(octets):
    chain = []
    while octets:
        size = int.from_bytes(octets[:2], "big")
        chain.append(octets[2:2 + size])
        octets = octets[2 + size:]
    return chain


YES, NO, OPEN, WEAK = "yes", "no", "open", "weak"

# The rules by which less is BOUND than OpenSSL accepts.
AGILITY = "a SHA-512 record decides (RFC 7671 section 9)"
WEAK_KEY = "the key is below the level, and usage 3 has OpenSSL not look at it"
CHAIN_WANTED = "usages 0 to 2 need the chain, and the certificate alone was shown"
OWN_ANCHOR = "the end entity is its own anchor (RFC 7671 section 5.2: an issuer)"
OLD_ANCHOR = "the anchor is out of date (RFC 7671 section 5.2: dates of the whole path)"
WEAK_ANCHOR = "the anchor's bare key is below the level, and OpenSSL does not look at it"
NO_RULE = "NO RULE"


@dataclass
class Judgement:
    status: int
    match: tuple = (255, 255, 255)
    dates: bool = False
    end: int = NEVER  # notAfter of the path
    record: bytes = b""  # that matched
    openssl: bool = False  # it accepts too
    unexplained: bool = False  # it alone accepts, and no rule says why


class Judge:
    """What a key is to a row: RFC 6698, RFC 7671."""

    def __init__(self, engine, level):
        self.engine, self.level, self.classes, self.kept = engine, level, Counter(), {}
        self.rules = {}  # why a record does not count, for the one that is judged

    def judge(self, row, presented, now):
        """A Judgement of a PUBLISHED row."""
        key = (id(row), presented.material, presented.octets)
        if key not in self.kept:
            self.kept[key] = row, self._judge(row, presented, now)
        return self.kept[key][1]

    def _judge(self, row, presented, now):
        found, self.rules = [], {}
        strong = {one[:2] for one in row.associations if one[2] == 2}
        for rdata in sorted(row.associations, key=lambda one: (one[0] != 3, one)):
            # RFC 7671 section 9, where both digests can be computed
            if presented.material >= 3 and rdata[2] == 1 and rdata[:2] in strong:
                self.rules[rdata] = AGILITY
                continue
            answer, end = self.record(row, rdata, presented, now)
            found.append((answer, rdata, end))
        judgement = Judgement(NOT_BOUND)
        for wanted, status in ((YES, BOUND), (WEAK, DOWNGRADE), (OPEN, UNDECIDED)):
            hit = next((one for one in found if one[0] == wanted), None)
            if hit:
                judgement.status = status
                if wanted != OPEN:
                    judgement.record, judgement.end = hit[1], hit[2] or NEVER
                    judgement.match = tuple(judgement.record[:3])
                    judgement.dates = hit[2] is not None
                break
        if presented.chain:
            self.compare(row, presented, judgement, now)
        return judgement

    def compare(self, row, presented, judgement, now):
        """OpenSSL alone, with all records of DANE's usages at once, without any store, and all of
        PKIX's, under the bundle: nothing that it refuses may be BOUND."""
        accepted = any(
            self.accepts(row, [one for one in row.associations if (one[0] < 2) == pkix],
                         presented, now) for pkix in (False, True))
        # A full certificate of one record can lead the path of another astray: the set is refused
        # where the record that matches is accepted. RFC 7671 section 8: any match will do.
        alone = judgement.status == BOUND and not accepted and \
            self.accepts(row, [judgement.record], presented, now)
        judgement.openssl = accepted or alone
        if judgement.status == BOUND:
            self.classes["both accept" if accepted else "both accept, OpenSSL only without the "
                         "other records" if alone else "OPENSSL ALONE REFUSES"] += 1
        elif accepted:
            judgement.unexplained = not self.explain(row, presented, judgement, now)
        else:
            self.classes["both refuse"] += 1

    def explain(self, row, presented, judgement, now):
        """Counts the rules by which what OpenSSL accepts is refused: each record that OpenSSL takes
        alone must have one. False if one has none."""
        taken = [rdata for rdata in row.associations if self.accepts(row, [rdata], presented, now)]
        rules = sorted({self.rules.get(rdata, NO_RULE) for rdata in taken} or {NO_RULE})
        self.classes[f"OpenSSL alone accepts: {' and '.join(rules)}, "
                     f"{NAMES[judgement.status]}"] += 1
        return NO_RULE not in rules

    def accepts(self, row, rdatas, presented, now):
        if not rdatas:
            return False
        accepted, named, _, match, _, _ = self.engine.verify(
            rdatas, presented.chain, certificate_names(row.names), row.client, self.level, now)
        return accepted and (named or match[0] == 3)

    def record(self, row, rdata, presented, now):
        """(YES, NO, OPEN or WEAK, None or the path's first notAfter)"""
        usage, selector, mtype = rdata[:3]
        data = rdata[3:]
        if usage == 3:
            answer = self.end_entity(selector, mtype, data, presented)
            if answer == YES and presented.spki is not None and \
                    self.engine.level(presented.spki) < self.level:
                answer, self.rules[rdata] = WEAK, WEAK_KEY
            return answer, None
        if usage == 1 and presented.material != pki.CHAIN:
            # What differs is negative without any chain; what is equal lacks its path.
            if self.end_entity(selector, mtype, data, presented, True) == NO:
                return NO, None
            self.rules[rdata] = CHAIN_WANTED
            return OPEN, None
        if presented.material == pki.CHAIN:
            return self.path(row, rdata, presented, now)
        if presented.material == pki.CERT and usage == 2 and mtype == 0:
            answer, end = self.path(row, rdata, presented, now)
            return (answer, end) if answer in (YES, WEAK) else (OPEN, None)
        self.rules[rdata] = CHAIN_WANTED
        return OPEN, None

    def end_entity(self, selector, mtype, data, presented, pkix=False):
        """Is the end entity's certificate or key what the record says?"""
        if presented.material == pki.SPKI_SHA256 or presented.material == pki.CERT_SHA256:
            of_key = presented.material == pki.SPKI_SHA256
            if selector == (1 if of_key else 0) and mtype < 2:
                digest = data if mtype == 1 else hashlib.sha256(data).digest()
                return YES if digest == presented.octets else NO
            if of_key and selector == 0 and mtype == 0 and \
                    hashlib.sha256(pki.key_of(data)).digest() != presented.octets:
                return NO
            return OPEN
        if selector == 1:
            return YES if pki.associated(presented.spki, mtype) == data else NO
        if presented.chain:
            return YES if pki.associated(presented.chain[0], mtype) == data else NO
        if mtype == 0 and pki.key_of(data) != presented.spki:
            return NO
        return OPEN

    def path(self, row, rdata, presented, now):
        names = certificate_names(row.names)
        if not names:
            return NO, None
        for level, answer in ((self.level, YES), (0, WEAK)):
            accepted, named, _, _, end, start = self.engine.verify(
                [rdata], presented.chain, names, row.client, level, now)
            if not (accepted and named):
                continue
            if rdata[0] == 2 and rdata[1:3] == b"\1\0" and rdata[3:] == presented.spki:
                self.rules[rdata] = OWN_ANCHOR
                return NO, None
            if not start <= now < end:
                self.rules[rdata] = OLD_ANCHOR
                return NO, None
            if rdata[:3] == b"\2\1\0" and self.engine.level(rdata[3:]) < self.level:
                self.rules[rdata] = WEAK_ANCHOR
                answer = WEAK
            return answer, end
        return NO, None


def derive(row, presented, judge, now):
    """The keyed verdict of a row: (statuses, Judgement)."""
    if row.status == {PUBLISHED}:
        judgement = judge.judge(row, presented, now)
        return {judgement.status}, judgement
    if PUBLISHED in row.status:
        judgement = judge.judge(row, presented, now)
        return row.status - {PUBLISHED} | {judgement.status}, judgement
    return row.status, None


def select(statuses, keyed):
    """Which of several verdicts stands in an option: its place."""
    order = [{BOUND}, set(range(16, 36)), {UNDECIDED}, {NOT_BOUND}, {UNUSABLE}, {NO_BINDING}] \
        if keyed else [{PUBLISHED}, set(range(16, 36)), {UNUSABLE}, {NO_BINDING}]
    for wanted in order:
        for at, status in enumerate(statuses):
            if status in wanted:
                return at
    raise AssertionError(statuses)
