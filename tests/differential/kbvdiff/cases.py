# SPDX-License-Identifier: BSD-3-Clause
"""Cases: a name, a key and a form; our answer to each, held against what the oracle says."""

import base64
import calendar
import itertools
import struct
import time
from collections import Counter
from dataclasses import dataclass

from . import oracle, pki, servers, wire

KEYED, DATES = 1, 8
FORMS = ("option",) * 9 + ("tlsa",) * 3 + ("name",) * 4 + ("txt name",)


# -------------------------------------------------------------------------------- a verdict

@dataclass
class Verdict:
    status: int
    flags: int = 0
    subject: tuple = (0, bytes(32))
    match: tuple = (255, 255, 255)
    alg: int = 0
    issued: int = 0
    end: int = 0
    hash: bytes = bytes(16)
    owner: bytes = b""
    identifier: object = None  # (kind, value, name)
    endpoint: object = None
    associations: object = None  # as RDATA
    found_at: object = None
    names: object = None
    reason: str = ""


def take_name(octets, at):
    end = at
    while octets[end]:
        end += 1 + octets[end]
    return octets[at:end + 1], end + 1


def decode(octets):
    kind, status, flags, subject_kind, *match, alg, issued, end = \
        struct.unpack_from(">8BII", octets)
    assert kind == 0x12, octets.hex()
    v = Verdict(status, flags, (subject_kind, octets[16:48]), tuple(match), alg, issued, end,
                octets[48:64])
    v.owner, at = take_name(octets, 66)
    size = int.from_bytes(octets[at:at + 2], "big")
    at, last = at + 2, at + 2 + size
    assert octets[last:] == b"\0", "not the end of an unsigned verdict"
    before = 0
    while at < last:
        key, size = struct.unpack_from(">HH", octets, at)
        value, at = octets[at + 4:at + 4 + size], at + 4 + size
        assert key > before, "TLVs out of order"
        before = key
        if key == 2:
            n = 3 if value[0] == 2 else 8
            v.identifier = value[0], value[1:1 + n], value[1 + n:]
        elif key == 3:
            v.endpoint = (*struct.unpack_from(">5H", value), value[10:])
        elif key == 4:
            v.associations, p = [], 0
            while p < len(value):
                n = int.from_bytes(value[p + 3:p + 5], "big")
                v.associations.append(value[p:p + 3] + value[p + 5:p + 5 + n])
                p += 5 + n
        elif key == 5:
            v.found_at = value
        elif key == 6:
            v.names, p = [], 0
            while p < len(value):
                found, p = take_name(value, p)
                v.names.append(found)
        elif key == 7:
            v.reason = value.decode()
        else:
            raise AssertionError(f"TLV {key}")
    return v


def read_txt(rdata):
    """Only what a TXT shows."""
    items, at = [], 0
    while at < len(rdata):
        items.append(rdata[at + 1:at + 1 + rdata[at]].decode())
        at += 1 + rdata[at]
    found = {}
    for item in items:
        key, _, value = item.partition("=")
        found.setdefault(key, []).append(value)
    assert items[0] == "v=kbv1", items
    def moment(text):
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    return found["status"][0], found["owner"][0], found.get("endpoint", [None])[0], \
        found.get("match", [None])[0], sorted(found.get("pin", [])), \
        moment(found["issued"][0]), moment(found["not-after"][0])


# ---------------------------------------------------------------------------------- checking

class Checker:
    """Says what is wrong with an answer; counts what was right."""

    def __init__(self, tree, judge, started):
        self.tree, self.judge, self.started = tree, judge, started
        self.counts = Counter()

    def times(self, row, v, status, judgement, asked):
        """T against the oracle's own bounds: docs/verdict-format.md section 9."""
        cap = oracle.CAPS[status]
        if not asked - 3601 <= v.issued <= time.time() + 1:
            yield f"issued {v.issued - asked} s from when it was asked"
        life = v.end - v.issued
        if status >= 16:
            if life != cap and not (status == oracle.DOWNGRADE and 0 < life <= cap) and \
                    not (0 <= life <= cap and v.flags & KEYED):
                yield f"a life of {life} s, not {cap}"
            return
        ends = [end for _, end in row.lives] + [judgement.end if judgement else oracle.NEVER]
        shortest = min([ttl for ttl, _ in row.lives] + [oracle.NEVER])
        highest = min(v.issued + cap, v.issued + max(1, shortest), *ends)
        # What is derived lives no longer than what it is derived from, which was made before.
        base = cap if judgement is None else oracle.CAPS[oracle.PUBLISHED]
        lowest = min(v.issued + cap, self.started + min(base, shortest), *ends)
        if v.end > highest:
            yield f"T is {v.end - highest} s beyond {highest}: TTL {shortest}, ends {ends}"
        if v.end < lowest:
            yield f"T is {lowest - v.end} s before {lowest}: TTL {shortest}, ends {ends}"

    def row(self, row, presented, subject, literal, v, asked):
        """What is wrong with a verdict for this row, or else for one that is as right."""
        for one in (row, *row.ties):
            problems = list(self.one(one, *self.keyed(one, presented), presented, subject, literal,
                                     v, asked))
            if not problems:
                break
        return problems

    def one(self, row, statuses, judgement, presented, subject, literal, v, asked):
        """Everything that is wrong with a verdict for this row alone."""
        if v.status not in statuses:
            yield f"{name_of(v.status)}, not {'/'.join(map(name_of, sorted(statuses)))}"
            return
        status = v.status
        keyed = presented is not None and status != oracle.BAD_INPUT
        expected = {}
        if status == oracle.BAD_INPUT:
            expected = {"subject": (0, bytes(32)), "match": (255, 255, 255)}
        else:
            expected["subject"] = presented.subject if keyed else (0, bytes(32))
            expected["owner"] = row.owner
            expected["endpoint"] = row.endpoint
            if status < 16:
                expected |= {"alg": row.alg, "hash": row.hash, "found_at": row.found_at}
            suffix = None if literal else subject.suffix
            expected["identifier"] = None if suffix is None else \
                (*oracle.identifier(subject.name, suffix), subject.name)
            expected["match"] = judgement.match if judgement else (255, 255, 255)
            expected["associations"] = row.associations if status == oracle.PUBLISHED else None
        for field, value in expected.items():
            if getattr(v, field) != value:
                yield f"{field} is {show(getattr(v, field))}, not {show(value)}"
        if status == oracle.PUBLISHED and set(v.names or ()) != set(row.names):
            yield f"names are {show(v.names)}, not {show(row.names)}"
        flags = row.flags | (KEYED if keyed else 0)
        flags |= DATES if judgement and judgement.dates else 0
        loose = oracle.ALIASED | oracle.WILDCARD if status >= 16 else 0
        if (v.flags ^ flags) & ~loose:
            yield f"flags are {v.flags}, not {flags}"
        if v.status == oracle.BOUND and judgement and presented.chain and \
                not judgement.openssl:
            yield "BOUND, and OpenSSL alone refuses"
        yield from self.times(row, v, status, judgement, asked)

    def all(self, rows, presented, subject, verdicts, asked):
        """The RR form: each row has its verdict, and no verdict is without a row."""
        if len(rows) != len(verdicts):
            yield f"{len(verdicts)} verdicts, not {len(rows)}: " + \
                " ".join(sorted(name_of(v.status) for v in verdicts))
            return
        left = list(verdicts)
        for row in rows:
            same = [v for v in left if (v.owner, v.endpoint) == (row.owner, row.endpoint)]
            found = [self.row(row, presented, subject, False, v, asked) for v in same]
            if not same:
                yield f"no verdict for {wire.text(row.owner)}"
                return
            best = min(found, key=len)
            yield from best
            left.remove(same[found.index(best)])

    def keyed(self, row, presented):
        if presented is None:
            return row.status, None
        return oracle.derive(row, presented, self.judge, int(time.time()))

    def selected(self, rows, presented, subject, literal, v, asked):
        """The option: one of the rows, the one that counts."""
        if presented is not None and not presented.good:
            rows = [oracle.Row({oracle.BAD_INPUT}, subject.name)]
        # In an RRset only ENDPOINT tells the order: a row without one comes behind all that have
        # it, and among such rows each may be the first.
        rows = sorted(rows, key=place)
        derived = [self.keyed(row, presented)[0] for row in rows]
        choices = itertools.product(*map(sorted, derived))
        choices = itertools.islice(choices, 64)
        places = {oracle.select(choice, presented is not None) for choice in choices}
        places |= {at for at in range(len(rows)) if any(
            rows[at].endpoint is None and rows[place].endpoint is None and
            derived[place] & set(range(16, 36)) and derived[at] & set(range(16, 36))
            for place in places)}
        best = None
        for at in sorted(places):
            problems = self.row(rows[at], presented, subject, literal, v, asked)
            if best is None or len(problems) < len(best):
                best = problems
        yield from best

    def txt(self, rows, presented, found):
        """The readable form; of its T only what the RR form says, for both are made alike."""
        expected, shown = [], []
        for row in rows:
            statuses, judgement = self.keyed(row, presented)
            match = "/".join(map(str, judgement.match)) \
                if judgement and judgement.match[0] != 255 else None
            endpoint = None
            if row.endpoint:
                endpoint = f"{wire.text(row.endpoint[5]).rstrip('.')}:{row.endpoint[4]}"
            expected.append((statuses, wire.text(row.owner), endpoint, match, row))
        for status, owner, endpoint, match, pins, issued, end in found:
            hit = next((one for one in expected if status in map(name_of, one[0]) and
                        (owner, endpoint, match) == one[1:4]), None)
            if hit is None:
                yield f"{status} {owner} {endpoint} {match} is none of " + "; ".join(
                    f"{'/'.join(map(name_of, one[0]))} {one[1:4]}" for one in expected)
                return
            expected.remove(hit)
            wanted = sorted(pin_of(one) for one in hit[4].associations) \
                if status == "PUBLISHED" else []
            if pins != wanted:
                yield f"pins {pins}, not {wanted}"
            if not issued <= end <= issued + 3600:
                yield f"from {issued} to {end}"
        if expected:
            yield f"{len(found)} verdicts, not {len(rows)}"


def place(row):
    """To sort by: order, preference, priority, weight descending, port, target."""
    if row.endpoint is None:
        return (1,)
    order, preference, priority, weight, port, target = row.endpoint
    return 0, order, preference, priority, -weight, port, wire.canonical(target)


def pin_of(rdata):
    usage, selector, mtype = rdata[:3]
    data = rdata[3:]
    if mtype == 0:
        data, mtype = pki.associated(data, 1), 1
    return f"{usage}/{selector}/{mtype}/{data.hex()}"


def name_of(status):
    return oracle.NAMES.get(status, str(status))


def show(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (tuple, list)):
        return "(" + " ".join(map(show, value)) + ")"
    return str(value)


# ---------------------------------------------------------------------------------- the run

@dataclass
class Case:
    subject: object
    rows: list
    form: str
    presented: object
    qname: bytes
    qtype: int
    option: object
    literal: bool = False

    def question(self):
        return wire.query(0, self.qname, self.qtype, option=self.option)

    def __str__(self):
        key = "" if self.presented is None else \
            f" material {self.presented.material} {self.presented.octets.hex()[:80]}"
        return f"{self.form} {wire.text(self.subject.name)}{key}"


def digest_name(presented, name):
    label = (b"s" if presented.material == pki.SPKI_SHA256 else b"c") + \
        base64.b32hexencode(presented.octets).rstrip(b"=").lower()
    return wire.string(label) + wire.string(b"_kbv") + name


def plain_cases(subject, rows, literal_rows):
    name = subject.name
    yield Case(subject, rows, "rr", None, name, wire.KBV, None)
    yield Case(subject, rows, "txt", None, wire.string(b"_kbv") + name, wire.TXT, None)
    yield Case(subject, rows, "option", None, name, wire.KBV, b"\x11\0\0\0\0\0")
    if literal_rows:
        yield Case(subject, literal_rows, "tlsa", None, name, wire.TLSA, b"\x11\0\0\0\0\0", True)


def keyed_case(rng, tree, engine, subject, rows, literal_rows):
    """One more case with a key: of those that the records name, of those near them, or any."""
    named = [tree.sources[one] for row in rows for one in row.associations if one in tree.sources]
    where = rng.random()
    credential = rng.choice(named if named and where < 0.5 else
                            subject.credentials if subject.credentials and where < 0.85 else
                            tree.pki.credentials)
    form = rng.choice(FORMS)
    if form == "tlsa" and not literal_rows:
        form = "option"
    material = rng.choice((1, 2) if "name" in form else (1, 2, 3, 3, 4, 4, 5, 5, 5, 5))
    presented = oracle.Presented(engine, *pki.presentation(
        rng, credential, tree.pki.credentials, material))
    if "name" not in form and material < 3 and rng.random() < 0.02:
        presented = oracle.Presented(engine, material, pki.NOTHING)
    name = subject.name
    if form == "name":
        return Case(subject, rows, form, presented, digest_name(presented, name), wire.KBV, None)
    if form == "txt name":
        return Case(subject, rows, form, presented, digest_name(presented, name), wire.TXT, None)
    if form == "tlsa":
        return Case(subject, literal_rows, form, presented, name, wire.TLSA, presented.request(),
                    True)
    return Case(subject, rows, form, presented, name, wire.KBV, presented.request())


def all_cases(rng, tree, engine, names, count):
    """count different cases, over all names. names: (subject, rows, rows as a literal owner)"""
    made, seen = 0, set()
    for one in names:
        for case in plain_cases(*one):
            yield case
            made += 1
    published = [one for one in names if any(row.associations for row in one[1])]
    while made < count:
        for one in names + 4 * published:  # no key changes what is not published
            case = keyed_case(rng, tree, engine, *one)
            key = hash((case.form, case.qname, case.qtype, case.option))
            if key in seen:
                continue
            seen.add(key)
            yield case
            made += 1
            if made >= count:
                return


def judge(checker, case, octets, asked):
    """What is wrong with our answer to a case."""
    message = wire.Message(octets)
    if message.tc:
        message = wire.Message(servers.tcp(servers.OURS, case.question()))
    if case.form in ("option", "tlsa"):
        found = [value for code, value in message.options if code == wire.KBV_OPTION]
        if len(found) != 1:
            return [f"{len(found)} options"]
        v = decode(found[0])
        if v.status == oracle.LIMIT and v.reason == "use TCP":
            message = wire.Message(servers.tcp(servers.OURS, case.question()))
            v = decode(next(value for code, value in message.options if code == wire.KBV_OPTION))
        checker.counts[name_of(v.status)] += 1
        return list(checker.selected(case.rows, case.presented, case.subject, case.literal, v,
                                     asked))
    if message.rcode != wire.NOERROR or message.ad:
        return [f"rcode {message.rcode}, AD {message.ad}"]
    rdatas = [rdata for owner, rrtype, _, rdata in message.answer
              if rrtype == case.qtype and owner == case.qname]
    if case.qtype == wire.TXT:
        found = [read_txt(rdata) for rdata in rdatas]
        for one in found:
            checker.counts[one[0]] += 1
        return list(checker.txt(case.rows, case.presented, found))
    verdicts = [decode(rdata) for rdata in rdatas]
    for v in verdicts:
        checker.counts[name_of(v.status)] += 1
    return list(checker.all(case.rows, case.presented, case.subject, verdicts, asked))
