# SPDX-License-Identifier: BSD-3-Clause
"""Cases: a name, a key and a form; our answer to each, held against what the oracle says."""

import base64
import calendar
import hashlib
import itertools
import struct
import time
from collections import Counter
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature

from . import oracle, pki, servers, wire

KEYED, DATES = 1, 8
FORMS = ("option",) * 9 + ("tlsa",) * 3 + ("name",) * 4 + ("txt name",)
SIGNED, ED25519, CONTEXT = 1, 1, b"lorawan-kbv-v1\0"


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
    nonce: bytes = b""
    signed: bytes = b""  # the octets that the signature is over, empty if there is none
    signature: bytes = b""


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
    if octets[last] == ED25519:
        assert len(octets) == last + 69, "not the end of a signed verdict"
        v.signed, v.signature = octets[:last + 5], octets[last + 5:]
    else:
        assert octets[last:] == b"\0", "not the end of an unsigned verdict"
    before = 0
    while at < last:
        key, size = struct.unpack_from(">HH", octets, at)
        value, at = octets[at + 4:at + 4 + size], at + 4 + size
        assert key > before, "TLVs out of order"
        before = key
        if key == 1:
            v.nonce = value
        elif key == 2:
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
        self.counts, self.signed = Counter(), 0
        # Unbound cuts all NSEC and NSEC3 RRsets of an answer down to the TTL of the first SOA in it
        # (RFC 9077), be that of another zone, to which a wildcard's alias leads, and keeps them so.
        self.mixed = [zone.name for zone in tree.zones
                      if any(owner[:2] == b"\1*" and rrtype == wire.CNAME
                             for owner, rrtype in zone.records)]
        self.least = min(min(zone.ttl, zone.minimum) for zone in tree.zones)
        self.signer = tree.signer.public_key() if tree.signer else None
        self.key_id = hashlib.sha256(pki.raw_public(tree.signer)).digest()[:4] \
            if tree.signer else b""

    def signature(self, v, wanted):
        """What is wrong with a verdict's signature. wanted: it was asked for, or comes anyway."""
        if not v.signed:
            # A refusal may do without: whoever has a pin takes it as one.
            if wanted and self.signer and v.status < oracle.TEMPFAIL:
                yield "no signature"
            return
        if not (wanted and self.signer):
            yield "a signature that nobody asked for"
        elif v.signed[-4:] != self.key_id:
            yield f"signed by {v.signed[-4:].hex()}"
        else:
            try:
                self.signer.verify(v.signature, CONTEXT + v.signed)
                self.signed += 1
            except InvalidSignature:
                yield "the signature is wrong"

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
        ends = [end for _, end, _ in row.lives] + [judgement.end if judgement else oracle.NEVER]
        shortest = min([ttl for ttl, _, _ in row.lives] + [oracle.NEVER])
        cut = any(denial is not None and wire.below(denial, zone)
                  for _, _, denial in row.lives for zone in self.mixed)
        highest = min(v.issued + cap, v.issued + max(1, shortest), *ends)
        # What is derived lives no longer than what it is derived from, which was made before.
        base = cap if judgement is None else oracle.CAPS[oracle.PUBLISHED]
        least = min(shortest, self.least) if cut else shortest
        lowest = min(v.issued + cap, self.started + min(base, least), *ends)
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
            found = None if literal or subject.suffix is None else \
                oracle.identifier(subject.name, subject.suffix)
            expected["identifier"] = (*found, subject.name) if found else None
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
        if judgement and judgement.unexplained:
            yield f"{name_of(status)}, and OpenSSL alone accepts for no known reason"
        yield from self.times(row, v, status, judgement, asked)

    def all(self, rows, presented, subject, verdicts, asked):
        """The RR form: each row has its verdict, and no verdict is without a row."""
        for v in verdicts:
            yield from self.signature(v, True)
        if len(rows) != len(verdicts):
            yield f"{len(verdicts)} verdicts, not {len(rows)}: " + \
                " ".join(sorted(name_of(v.status) for v in verdicts))
            return
        left = list(verdicts)
        for row in rows:
            same = [v for v in left if (v.owner, v.endpoint) == (row.owner, row.endpoint)]
            found = [self.row(row, presented, subject, False, v, asked) for v in same]
            if not same:
                yield f"{' '.join(sorted(name_of(v.status) for v in verdicts))}: " \
                    f"no verdict for {wire.text(row.owner)}"
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

    def refused(self, v, asked):
        """What is wrong with a verdict for what was malformed."""
        if v.status != oracle.BAD_INPUT:
            yield f"{name_of(v.status)}, not BAD_INPUT"
        elif v.flags or v.subject != (0, bytes(32)) or v.match != (255, 255, 255):
            yield f"flags {v.flags}, subject {show(v.subject)}, match {v.match}"
        elif v.end != v.issued or abs(v.issued - asked) > 60:
            yield f"from {v.issued} to {v.end}, asked at {asked}"

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
    """A question. form: what it is compared with, see judge()."""
    subject: object
    rows: list
    form: str
    presented: object
    qname: bytes
    qtype: int
    options: tuple = ()
    literal: bool = False
    nonce: bytes = b""
    sign: bool = False  # a signature is asked for
    afar: bool = False  # not from a loopback address
    refused: bool = False  # over UDP, for it costs too much

    def question(self):
        return wire.query(0, self.qname, self.qtype, options=self.options)

    def __str__(self):
        key = "" if self.presented is None else \
            f" material {self.presented.material} {self.presented.octets.hex()[:80]}"
        return f"{self.form}{' from afar' if self.afar else ''} {wire.text(self.qname)} " \
            f"TYPE{self.qtype}{key}"


def any_case(rng, name):
    """The same name with capitals here and there (RFC 4343)."""
    return b"".join(bytes([len(part)]) + bytes(
        octet ^ 32 if 97 <= octet < 123 and rng.random() < 0.3 else octet for octet in part)
        for part in wire.labels(name)) + wire.ROOT


def digest_label(presented):
    return (b"s" if presented.material == pki.SPKI_SHA256 else b"c") + \
        base64.b32hexencode(presented.octets).rstrip(b"=").lower()


def below_kbv(labels, name):
    """The name asked about, under labels and _kbv; None if there is no room for them."""
    made = b"".join(map(wire.string, labels)) + wire.string(b"_kbv") + name
    return made if len(made) <= 255 else None


def plain_cases(subject, rows, literal_rows):
    name, asked = subject.name, oracle.request()
    nonce = hashlib.sha256(name).digest()[:12]
    sign = bool(nonce[0] & 1)
    yield Case(subject, rows, "rr", None, name, wire.KBV)
    yield Case(subject, rows, "rr", None, below_kbv([], name), wire.KBV)
    yield Case(subject, rows, "txt", None, below_kbv([], name), wire.TXT)
    yield Case(subject, rows, "option", None, name, wire.KBV, (asked,))
    yield Case(subject, rows, "option", None, name, wire.KBV,
               (oracle.request(0, b"", SIGNED if sign else 0, nonce),), nonce=nonce, sign=sign)
    if literal_rows:
        yield Case(subject, literal_rows, "tlsa", None, name, wire.TLSA, (asked,), True)


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
    if "name" not in form and rng.random() < 0.5 and \
            any(one[0] < 3 for row in rows for one in row.associations):
        material = pki.CHAIN
    presented = oracle.Presented(engine, *pki.presentation(
        rng, credential, tree.pki.credentials, material))
    if "name" not in form and material < 3 and rng.random() < 0.02:
        presented = oracle.Presented(engine, material, pki.NOTHING)
    nothing = presented.octets == pki.NOTHING
    name = subject.name
    how = rng.random()
    if how < 0.04:
        return odd_case(rng, subject, rows, literal_rows, presented)
    if "name" in form:
        qname = any_case(rng, below_kbv([digest_label(presented)], name))
        if form == "txt name":
            return Case(subject, rows, form, presented, qname, wire.TXT)
        if how < 0.2:  # its option is of the same key, without presenting it
            sign = rng.random() < 0.5
            return Case(subject, rows, "name option", presented, qname, wire.KBV,
                        (oracle.request(flags=sign),), sign=sign)
        return Case(subject, rows, form, presented, qname, wire.KBV)
    sign = rng.random() < (0.4 if tree.signer else 0.02)
    nonce = rng.randbytes(rng.choice((8, 12, 16))) if rng.random() < 0.08 else b""
    afar = rng.random() < 0.06
    return Case(subject, literal_rows if form == "tlsa" else rows, form, presented, name,
                wire.TLSA if form == "tlsa" else wire.KBV,
                (presented.request(SIGNED if sign else 0, nonce),), form == "tlsa", nonce, sign,
                afar, afar and not nothing and (bool(nonce) or material == pki.CHAIN))


def broken_request(rng, presented):
    """An option that says nothing (docs/verdict-format.md section 5)."""
    good, make = presented.request(), oracle.request
    piece = b"\0\1" + rng.randbytes(1)
    return rng.choice((
        b"", good[:rng.randrange(1, len(good))], good + b"\0", b"\x12" + good[1:],
        b"\x01" + good[1:], b"\x21" + good[1:],
        make(presented.material, presented.octets, rng.choice((2, 4, 0x80, 0xFF))),
        make(presented.material, presented.octets, 0, rng.randbytes(rng.choice((1, 7, 17, 255)))),
        make(rng.choice((6, 7, 255)), presented.octets), make(0, b"\0"), make(0, presented.octets),
        make(1, rng.randbytes(rng.choice((0, 1, 31, 33)))), make(2, rng.randbytes(64)),
        make(3, b""), make(4, b""), make(5, b""),
        make(3, rng.randbytes(2049)), make(4, rng.randbytes(4097)),
        make(5, b"\0\0"), make(5, b"\0"), make(5, b"\0\2" + rng.randbytes(1)),
        make(5, 9 * piece),
        make(5, piece + b"\0\0"), make(5, b"\x40\0" + rng.randbytes(16384)),
        make(rng.choice((1, 2)), pki.NOTHING)))


def broken_labels(rng, presented):
    """Labels in front of _kbv that are no digest."""
    if presented.material > 2:
        presented = oracle.Presented(None, 1, hashlib.sha256(presented.octets).digest())
    good = digest_label(presented)
    at = rng.randrange(1, len(good))
    return rng.choice((
        [good[:-1]], [good + b"0"], [good + b"===="], [b"x" + good[1:]], [good[1:]], [good[:1]],
        [b"s"], [good[:at] + bytes([rng.choice(b"wxyz-_!")]) + good[at + 1:]],
        [good[:-1] + bytes([rng.choice(b"12479fhv")])], [good, good], [b"a", good], [good, b"a"],
        [b"_443", b"_tcp"], [b"sg" if at & 1 else b"c" + 52 * b"/"],
        [b"s" + base64.b32hexencode(pki.NOTHING).rstrip(b"=").lower()],
        [good, b"_kbv"], [b"_kbv"], [b"_kbv", b"_kbv"]))


def odd_case(rng, subject, rows, literal_rows, presented):
    """What is malformed, or not for us. It is refused, and changes nothing else."""
    name, good = subject.name, presented.request()
    how = rng.random()
    if how < 0.4:  # the option
        literal = bool(literal_rows) and rng.random() < 0.5
        sent = rng.choice(((broken_request(rng, presented),),) * 4 + (
            (good, good), (good, oracle.request()), (oracle.request(), good, good)))
        return Case(subject, literal_rows if literal else rows, "bad option", presented, name,
                    wire.TLSA if literal else wire.KBV, sent, literal)
    if how < 0.7:  # the labels
        qname = below_kbv(broken_labels(rng, presented), name)
        if qname is not None:
            return Case(subject, rows, "bad label", presented, qname,
                        rng.choice((wire.KBV, wire.KBV, wire.TXT)))
    if how < 0.8:  # a key twice, by name and by option
        labels = [] if presented.material > 2 else [digest_label(presented)]
        return Case(subject, rows, "bad option", presented, below_kbv(labels, name), wire.KBV,
                    (good,))
    if how < 0.9:
        return Case(subject, rows, "no data", presented, below_kbv([], name),
                    rng.choice((wire.A, wire.TLSA, wire.SRV, wire.NAPTR, 65301)))
    return Case(subject, rows, "ignored", presented, name, rng.choice((wire.A, wire.NAPTR)),
                (good,))


def keyed_cases(rng, tree, engine, names, count):
    """count different cases, over all names. names: (subject, rows, rows as a literal owner)"""
    made, seen = 0, set()
    published = [one for one in names if any(row.associations for row in one[1])]
    while made < count:
        for one in names + 4 * published:  # no key changes what is not published
            case = keyed_case(rng, tree, engine, *one)
            key = hash((case.form, case.qname, case.qtype, case.options, case.afar))
            if key in seen:
                continue
            seen.add(key)
            yield case
            made += 1
            if made >= count:
                return


class Examiner:
    """Says what is wrong with our answer to a case."""

    def __init__(self, checker, discovery):
        self.checker, self.discovery, self.tree = checker, discovery, checker.tree

    def again(self, case):
        """The same over TCP."""
        if case.afar:
            return wire.Message(servers.tcp(servers.OURS_FROM_AFAR, case.question(),
                                            source=servers.AFAR))
        return wire.Message(servers.tcp(servers.OURS, case.question()))

    def count(self, v):
        self.checker.counts[name_of(v.status)] += 1

    def examine(self, case, octets, asked):
        message = wire.Message(octets)
        if case.refused:
            problems = self.refusal(case, message, asked)
            if problems:
                return problems
            message = self.again(case)
        if message.tc:
            message = self.again(case)
        return getattr(self, case.form.replace(" ", "_"))(case, message, asked)

    # --------------------------------------------------------------------- parts of an answer

    @staticmethod
    def options(message):
        return [value for code, value in message.options if code == wire.KBV_OPTION]

    @staticmethod
    def records(case, message):
        """RDATA of the question's own name and type, lower case, in an answer of ours."""
        assert message.rcode == wire.NOERROR and not message.ad, \
            f"rcode {message.rcode}, AD {message.ad}"
        return [rdata for owner, rrtype, _, rdata in message.answer
                if rrtype == case.qtype and owner == case.qname.lower()]

    def one_option(self, case, message):
        """The verdict in the option; the message that it came with."""
        found = self.options(message)
        assert len(found) == 1, f"{len(found)} options"
        v = decode(found[0])
        if v.status == oracle.LIMIT and v.reason == "use TCP":
            message = self.again(case)
            v = decode(self.options(message)[0])
        self.count(v)
        return v, message

    def beside(self, case, message, asked):
        """Whatever stands in an option: the records are those that everybody gets."""
        if case.qtype == wire.KBV:
            verdicts = [decode(rdata) for rdata in self.records(case, message)]
            yield from self.checker.all(case.rows, None, case.subject, verdicts, asked)
            return
        stock = self.discovery.answer(case.qname, case.qtype)
        if stock is None:
            return
        ours, theirs = ((one.rcode, one.ad, sorted(row[3] for row in one.answer
                                                   if row[1] == case.qtype))
                        for one in (message, stock))
        if ours != theirs:  # it may be a time-out of the moment: then it is asked again
            yield f"TEMPFAIL? rcode, AD, records are {ours}, not {theirs}"

    # ----------------------------------------------------------------------- forms of a case

    def refusal(self, case, message, asked):
        """Over UDP from afar: REFUSED, whoever's key it is."""
        found = self.options(message)
        if len(found) != 1:
            return [f"{len(found)} options"]
        v = decode(found[0])
        self.count(v)
        rows = [oracle.Row({oracle.REFUSED}, case.subject.name)]
        return [f"over UDP from afar: {one}" for one in self.checker.selected(
            rows, case.presented.unread(), case.subject, case.literal, v, asked)]

    def option(self, case, message, asked):
        v, message = self.one_option(case, message)
        problems = list(self.checker.selected(case.rows, case.presented, case.subject, case.literal,
                                              v, asked))
        problems += self.checker.signature(v, case.sign or self.tree.sign == "always")
        malformed = case.presented and case.presented.octets == pki.NOTHING
        if v.nonce != (b"" if malformed else case.nonce):
            problems.append(f"nonce {v.nonce.hex()}, not {case.nonce.hex()}")
        if case.qtype == wire.TLSA or sum(case.options[0]) % 8 == 0:
            problems += self.beside(case, message, asked)
        return problems

    tlsa = option

    def name_option(self, case, message, asked):
        """On a digest name: the option repeats one of the records."""
        v, message = self.one_option(case, message)
        problems = list(self.checker.selected(case.rows, case.presented, case.subject, False, v,
                                              asked))
        problems += self.checker.signature(v, case.sign or self.tree.sign == "always")
        return problems + self.name(case, message, asked)

    def bad_option(self, case, message, asked):
        v, message = self.one_option(case, message)
        problems = list(self.checker.refused(v, asked))
        problems += self.checker.signature(v, self.tree.sign == "always" or bool(v.signed))
        if v.nonce:
            problems.append("the nonce of a malformed option")
        if case.qname == case.subject.name:
            problems += self.beside(case, message, asked)
        return problems

    def bad_label(self, case, message, asked):
        if case.qtype == wire.TXT:
            if not self.tree.txt:
                return self.no_data(case, message, asked)
            found = [read_txt(rdata)[0] for rdata in self.records(case, message)]
            return [] if found == ["BAD_INPUT"] else [f"{found}, not BAD_INPUT"]
        verdicts = [decode(rdata) for rdata in self.records(case, message)]
        if len(verdicts) != 1:
            return [f"{len(verdicts)} verdicts, not BAD_INPUT"]
        self.count(verdicts[0])
        return [*self.checker.refused(verdicts[0], asked),
                *self.checker.signature(verdicts[0], True)]

    def no_data(self, case, message, asked):
        found = self.records(case, message)
        return [f"{len(found)} records below _kbv"] if found or message.answer else []

    def ignored(self, case, message, asked):
        return ["a verdict on another type"] if self.options(message) else []

    def rr(self, case, message, asked):
        verdicts = [decode(rdata) for rdata in self.records(case, message)]
        for v in verdicts:
            self.count(v)
        return list(self.checker.all(case.rows, case.presented, case.subject, verdicts, asked))

    name = rr

    def txt(self, case, message, asked):
        if not self.tree.txt:
            return self.no_data(case, message, asked)
        found = [read_txt(rdata) for rdata in self.records(case, message)]
        for one in found:
            self.checker.counts[one[0]] += 1
        return list(self.checker.txt(case.rows, case.presented, found))

    txt_name = txt
