# SPDX-License-Identifier: BSD-3-Clause
"""Puts the cases to a resolver: the questions, what they cost, and whether others are served."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
from kbvtest import spec, verdicts, wire
from kbvtest.tap import same
from kbvworld import capture

from .cases import EVIL, RIGHT

SERVER = "127.0.0.1"
RRTYPE, OPTION = 65300, 65100
PATIENCE_S = 90
CACHED = "cached.victim.example."
# Of a keyed question about several verdicts: docs/verdict-format.md.
BAD = {status for status, (code, _) in spec.STATUSES.items() if code >= 16}


def ask(name, rrtype, option=None, port=53, patience_s=PATIENCE_S):
    """A question as a stub asks it: over UDP, again every two seconds, over TCP after TC."""
    options = [dns.edns.GenericOption(OPTION, option)] if option is not None else []
    query = dns.message.make_query(name, rrtype, use_edns=0, payload=1232, options=options)
    deadline = time.monotonic() + patience_s
    while True:
        try:
            reply, _ = dns.query.udp_with_fallback(query, SERVER, timeout=2, port=port)
            return reply
        except dns.exception.Timeout:
            assert time.monotonic() < deadline, f"no reply about {name} in {patience_s} s"


def decoded(reply):
    found = [rdata.to_wire() for rrset in reply.answer if rrset.rdtype == RRTYPE for rdata in rrset]
    return [verdicts.decode(octets) for octets in found]


def option_of(reply):
    found = [option.data for option in reply.options if option.otype == OPTION]
    same("options 65100 in the reply", len(found), 1)
    return verdicts.decode(found[0])


@dataclass
class Cost:
    cpu_ms: float
    rss_kib: int
    seconds: float
    upstream: int = 0
    asked: int = 1  # how often all that is asked about a case was asked


class Meter:
    """What a process has used: CPU in nanoseconds as the scheduler counts it, and memory."""

    def __init__(self, pid):
        self.pid = pid
        self.cpu, self.rss, self.time = self.cpu_ns(), self.rss_kib(), time.monotonic()

    def cpu_ns(self):
        return sum(int((task / "schedstat").read_text().split()[0])
                   for task in Path(f"/proc/{self.pid}/task").iterdir())

    def rss_kib(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * 4

    def cost(self):
        return Cost((self.cpu_ns() - self.cpu) / 1e6, self.rss_kib() - self.rss,
                    time.monotonic() - self.time)


class Probe:
    """Somebody else, who asks for a cached name all the while."""

    def __enter__(self):
        self.answered, self.failed, self.worst_ms = 0, [], 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self):
        while not self._end.wait(0.05):
            start = time.monotonic()
            try:
                reply = ask(CACHED, "A", patience_s=10)
                assert reply.answer, "no address"
                self.answered += 1
            except AssertionError as error:
                self.failed.append(str(error))
            self.worst_ms = max(self.worst_ms, (time.monotonic() - start) * 1000)

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def keyed_status(statuses, key_is_bound):
    """What the one verdict of an option says: the first BOUND; else of 16 and up; and so on."""
    if "PUBLISHED" in statuses and key_is_bound:
        return {"BOUND"}
    bad = set(statuses) & BAD
    if bad:
        return bad
    if "PUBLISHED" in statuses:
        return {"NOT_BOUND"}
    return {next(status for status in ("UNUSABLE", "NO_BINDING") if status in statuses)}


def verdicts_of(name):
    """The verdicts in the answer; none is past its time."""
    reply = ask(name, RRTYPE)
    same("options in the reply", [option.otype for option in reply.options
                                  if option.otype != dns.edns.EDE], [])
    found = decoded(reply)
    for verdict in found:
        verdicts.check_life(verdict)
    return found


def option_on_tlsa(name, request):
    """The verdict in the option. Not by dnspython: it wants TLSA records to make sense."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return [verdicts.decode(wire.ask(name, "TLSA", request, tcp=False, timeout_s=2))]
        except TimeoutError:
            assert time.monotonic() < deadline, f"no reply about {name} TLSA in {PATIENCE_S} s"


def later(seconds, name):
    time.sleep(seconds)
    return verdicts_of(name)


def put(case, pool):
    """Everything that is asked about a case, at the same time: {how: verdicts}."""
    asked = {"base": pool.submit(verdicts_of, case.ask)}
    for label, key in (("right", RIGHT), ("evil", EVIL)):
        request = spec.request("spki-sha256", key)
        asked[f"option {label}"] = pool.submit(ask, case.ask, RRTYPE, request)
        asked[f"name {label}"] = pool.submit(
            verdicts_of, spec.digest_name("spki-sha256", key, case.ask))
        if case.ask.startswith("_"):
            asked[f"tlsa {label}"] = pool.submit(option_on_tlsa, case.ask, request)
    for name in case.beside:
        asked[f"beside {name}"] = pool.submit(later, case.beside_s, name)
    found = {how: future.result() for how, future in asked.items()}
    return found | {how: [option_of(reply)] for how, reply in found.items()
                    if how.startswith("option")}


def statuses_of(found):
    return sorted(verdict["status"] for verdict in found)


def judge(case, found):
    """AssertionError where a verdict is not what it must be."""
    statuses = statuses_of(found["base"])
    assert case.expects(statuses), \
        f"found {statuses}, expected {' or '.join(map(str, case.expect))}: " \
        f"{[verdict['reason'] for verdict in found['base']]}"
    for verdict in found["base"]:
        if verdict["status"] == "PUBLISHED":
            same("pins", verdicts.pins(verdict), sorted(case.pins))
    for key in ("right", "evil"):
        bound = key == "right" and RIGHT.hex() in "".join(case.pins)
        allowed = keyed_status(statuses, bound)
        for how in (f"option {key}", f"tlsa {key}", f"name {key}"):
            # The TLSA records alone may well be in order where discovery is not, and the
            # digest names repeat each endpoint's.
            got = set(statuses_of(found.get(how, [])))
            assert bound or "BOUND" not in got, f"{how}: the attacker's key is BOUND"
            if how.startswith("option"):
                assert got <= allowed, f"{how}: {got}, expected {allowed}"
            elif "BOUND" in allowed and how in found:
                assert "BOUND" in got, f"{how}: {got}, expected BOUND"
            else:
                assert "BOUND" not in got or allowed == {"BOUND"}, f"{how}: {got}"
    for name, expected in case.beside.items():
        got = set(statuses_of(found[f"beside {name}"]))
        assert got <= expected, f"beside it {name}: {got}, expected {expected}"
    if case.check:
        case.check(found["base"])


class Upstream:
    """Counts what the resolver asks, a case's share by names."""

    def __init__(self, world):
        self.file = world["capture"]
        self.since = capture.position(self.file)

    def questions(self):
        assert not capture.lost(self.file), "the capture lost packets"
        return list(capture.queries(self.file, self.since))

    def settle(self, quiet_s=2.0, most_s=20):
        """Waits until nothing more is asked."""
        deadline, before = time.monotonic() + most_s, -1
        while time.monotonic() < deadline:
            now = Path(self.file).stat().st_size
            if now == before:
                return True
            before = now
            time.sleep(quiet_s)
        return False


def pool():
    return ThreadPoolExecutor(16)
