# SPDX-License-Identifier: BSD-3-Clause
"""Samplers: questions whose answers are known, all the time, and what was wrong with replies."""

import random
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from kbvtest import spec, verdicts, wire
from kbvtest.verdicts import kbv_decode

SAMPLERS, PAUSE_S, PATIENCE_S = 3, 0.04, 4
KEYS = ("js-v", "js1.current", "js1.next", "other")
SERVFAIL, TRUNCATED = 2, 0x0200
NO_RESULT = ("TEMPFAIL", "BOGUS", "LIMIT")


@dataclass(frozen=True)
class Question:
    """One of the forms in which a case can be asked, and the rows that are expected."""
    case: dict
    form: str
    name: str
    rrtype: str
    option: bytes | None
    digest: bytes
    expected: tuple

    @property
    def keyed(self):
        return self.form != "rr"


def question(world, case, form, key):
    """None where a case cannot be asked in that form."""
    digest = world.certs[key]["spki-sha256"]
    rows, name, rrtype, option = case["expect"], case["name"], "TYPE65300", None
    if form == "name":
        rows = world.keyed(case, "spki-sha256", digest)
        name = spec.digest_name("spki-sha256", digest, name)
    elif form in ("option", "tlsa"):
        option = spec.request("spki-sha256", digest)
        rows = [spec.select(world.keyed(case, "spki-sha256", digest), keyed=True)]
        if form == "tlsa":
            if case["kind"] != "literal" or rows[0]["status"] == "BAD_INPUT":
                return None
            rrtype = "TLSA"
    return Question(case, form, name, rrtype, option, digest, tuple(row["status"] for row in rows))


def ask(name, rrtype, option=None, port=53, patience_s=PATIENCE_S):
    """Flags and RCODE, and the octets of the verdicts in the one place where they are looked for:
    the option if one was sent. Over TCP if that is what the reply to a datagram says. OSError if
    there is no reply in time."""
    for tcp in (False, True):
        reply = wire.exchange(name, rrtype, option, tcp=tcp, port=port, timeout_s=patience_s)
        flags = struct.unpack_from(">H", reply, 2)[0]
        if not flags & TRUNCATED:
            break
    found = kbv_decode.from_message(reply)
    return flags, found[-1:] if option is not None else found


# ------------------------------------------------------------------------------ what may be said

def as_described(asked, found):
    """Exactly what the world's description says."""
    statuses = tuple(sorted(row["status"] for row in found))
    if statuses != tuple(sorted(asked.expected)):
        reasons = [row["reason"] for row in found if row["reason"]]
        return f"{statuses} {reasons}, not {asked.expected}"
    return None


def not_proven(asked, found):
    """Something is out of reach: what is said is as described, or that there is no result. For a
    zone whose keys did not arrive Unbound says bogus, for a minute. Where sending fails at once, it
    is tried so often that a verdict may have used up what it may ask upstream."""
    rest = Counter(row["status"] for row in found)
    failed = sum(rest.pop(status, 0) for status in NO_RESULT)
    if failed and not rest - Counter(asked.expected):
        return None
    return as_described(asked, found)


def with_other_anchor(asked, found):
    """Nothing is secure: all is BOGUS, but for what needs no records."""
    without = {"BAD_INPUT", "REFUSED"}
    allowed = set(asked.expected) & without or {"BOGUS"}
    statuses = {row["status"] for row in found}
    return None if statuses == allowed else f"{statuses}, not {allowed}, with another trust anchor"


def without_zone(zone):
    """Names below a zone that is not configured are owners like any others."""
    def check(asked, found):
        if not asked.case["name"].rstrip(".").endswith(zone):
            return as_described(asked, found)
        read = [row for row in found if row["identifier"]]
        return f"{read[0]['status']} for an identifier below no zone of ours" if read else None
    return check


# ---------------------------------------------------------------------------------- the samplers

@dataclass
class Samples:
    asked: int = 0
    right: int = 0
    failed: int = 0  # no result: TEMPFAIL, SERVFAIL, or BOGUS or LIMIT where that is right
    lost: int = 0
    wrong: list = field(default_factory=list)


class Watch:
    """Samples a resolver until it is told to stop. What may be said at the moment stands in three
    members, any of which may change at any time; a reply must agree with what stood there when its
    question went out or with what stands there now."""

    def __init__(self, world, cases, port):
        self.world, self.cases, self.port = world, cases, port
        self.truths = (as_described,)
        self.offsets = (0,)   # [s] the resolver's clock against this one
        self.not_before = 0.  # an older verdict is of a configuration that is no more
        self.samples = Samples()
        self._lock, self._end = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(SAMPLERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()

    def take(self):
        """What was sampled since the last time."""
        with self._lock:
            taken, self.samples = self.samples, Samples()
        return taken

    def _run(self):
        while not self._end.is_set():
            try:
                self._sample()
            except Exception as error:  # a reply that cannot be read is a wrong one
                with self._lock:
                    self.samples.asked += 1
                    self.samples.wrong.append(repr(error))
            self._end.wait(PAUSE_S)

    def _sample(self):
        asked = question(self.world, random.choice(self.cases),
                         random.choice(("rr", "option", "tlsa", "name")), random.choice(KEYS))
        if asked is None:
            return
        truths, offsets, not_before, began = self.truths, self.offsets, self.not_before, time.time()
        try:
            flags, octets = ask(asked.name, asked.rrtype, asked.option, self.port)
        except OSError:
            with self._lock:
                self.samples.asked += 1
                self.samples.lost += 1
            return
        found = [verdicts.decode(one) for one in octets]
        failed = flags & 15 == SERVFAIL and not found
        problem = None
        if not failed:
            problem = judge(asked, found, {*truths, *self.truths}) or \
                times(found, began, {*offsets, *self.offsets}, not_before)
            failed = problem is None and any(
                row["status"] in NO_RESULT and row["status"] not in asked.expected for row in found)
        with self._lock:
            self.samples.asked += 1
            self.samples.failed += failed
            if problem:
                self.samples.wrong.append(f"{asked.form} {asked.case['id']}: {problem}")
            elif not failed:
                self.samples.right += 1


# A build with sanitizers beside others: a verdict may come too late.
in_time = True


def judge(asked, found, truths):
    """None if one of the truths holds, else what is wrong by each."""
    if not found:
        return "no verdict"
    for row in found:
        if row["subject"] not in (None, asked.digest.hex()):
            return "another's key"
        if row["status"] == "BOUND" and "BOUND" not in asked.expected:
            return "BOUND"  # whatever goes on
    if not in_time and {row["status"] for row in found} == {"TEMPFAIL"}:
        return None
    problems = [truth(asked, found) for truth in truths]
    return None if None in problems else "; or ".join(sorted(problems))


def times(found, began, offsets, not_before):
    """None if every verdict holds now, was made before now, and under this configuration."""
    now = time.time()
    for row in found:
        issued, end = verdicts.epoch(row["issued"]), verdicts.epoch(row["not_after"])
        if all(end < int(began + offset) - 1 for offset in offsets):
            return f"{row['status']} past its T, {row['not_after']}, at {int(began)}"
        if all(issued > now + offset + 2 for offset in offsets):
            return f"{row['status']} from the future, {row['issued']}, at {int(now)}"
        if issued < int(not_before) - 1:
            return f"{row['status']} from before the reload, {row['issued']}"
    return None
