# SPDX-License-Identifier: BSD-3-Clause
"""The soak: everything at once, at an even rate, for long; what it leaves behind must not grow."""

import itertools
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import crowd
import soak
from kbvtest import chains, programs, tap, verdicts, wire
from kbvtest.resolver import Resolver

# Caches that are full after a minute: what grows after that is no cache.
SETTINGS = [*soak.THREADS, "    discard-timeout: 5000", "    msg-cache-size: 1m",
            "    rrset-cache-size: 2m", "    key-cache-size: 512k", "    neg-cache-size: 256k",
            "kbv:", "    kbv-cache-size: 256k", soak.NO_RATELIMIT]
# Questions a second: of each dnsperf, of each flood; and of chains, and of questions looked at.
RATE, FLOOD_RATE, CHAINS_PER_S, LOOKED_AT_PER_S = 200, 40, 4, 4
OWNER, CHAIN_OWNER = "_8003._tcp.js1.op-a.example.", "_443._tcp.js2.op-a.example."
IDLE_S = 180  # until what belongs to questions is closed: sockets to authorities live a minute
MIB = 1 << 20


@dataclass
class Sight:
    """The process at one moment."""
    at_s: float
    octets: int
    threads: int
    descriptors: int


def look(pid, start):
    status = dict(line.split(":", 1) for line in
                  Path(f"/proc/{pid}/status").read_text().splitlines())
    return Sight(time.monotonic() - start, int(status["VmRSS"].split()[0]) * 1024,
                 int(status["Threads"]), len(os.listdir(f"/proc/{pid}/fd")))


class Steady:
    def __init__(self, described, seconds):
        self.described, self.seconds = described, seconds
        self.load = soak.Soak(described)
        # Their signatures end, or begin, within ten minutes.
        self.load.cases = [case for case in self.load.cases
                           if case["id"] not in ("short", "early")]
        self.chains = chains.Chains(described)
        self.samples = soak.Samples()
        self.sights, self.chain_answers, self.wrong_chains = [], 0, []
        self.figures, self.floods, self.before, self.after = soak.Figures(), {}, None, None

    def _ask_chains(self, until):
        """Chains that are bound, that are not, and that are none; each time others beside them."""
        others = itertools.permutations([chains.made_up(n) for n in range(60)], 3)  # for many hours
        rows = itertools.cycle([(("js2", "ca.op-a"), "BOUND"), (("js2.by-b", "ca.op-b"), "NOT_BOUND"),
                                (("other",), "NOT_BOUND"), ((), "BAD_INPUT")])
        while time.monotonic() < until:
            names, expected = next(rows)
            more = next(others) if names else (os.urandom(random.randrange(1, 900)),)
            request = self.chains.request(*names, more=more)
            rrtype = random.choice(("TYPE65300", "TLSA"))
            try:
                found = verdicts.decode(wire.ask(CHAIN_OWNER, rrtype, request, timeout_s=20))
                self.chain_answers += 1
                if found["status"] not in (expected, "TEMPFAIL"):
                    self.wrong_chains.append(f"{names}: {found['status']} {found['reason']}")
            except (OSError, AssertionError):
                self.samples.lost += 1
            time.sleep(1 / CHAINS_PER_S)

    def _ask_known(self, until):
        while time.monotonic() < until:
            soak.sample(self.load.world, self.load.cases, self.samples, 53, self.load.signer)
            time.sleep(1 / LOOKED_AT_PER_S)

    def _watch(self, pid, start, until):
        while time.monotonic() < until:
            self.sights.append(look(pid, start))
            time.sleep(1)

    def _askers(self):
        """Who asks what at an even rate, all at the same time: (dnsperf, floods)."""
        load = self.load
        perf = [soak.dnsperf(file, self.seconds, RATE, 53, option)
                for file, option in [(load.plain, None),
                                     *((load.verdicts, option) for option in load.options)]]
        floods = {f"{form} {rrtype} {names[0]}":
                  crowd.start(form, *names, seconds=self.seconds, rate=FLOOD_RATE, rrtype=rrtype,
                              seed=random.getrandbits(32))
                  for form, rrtype, names in [("name", "TYPE65300", [OWNER, CHAIN_OWNER]),
                                              ("option", "TYPE65300", [OWNER]),
                                              ("option", "TLSA", [OWNER]),
                                              ("joineui", "TYPE65300", [crowd.UNREGISTERED]),
                                              ("joineui", "TYPE65300", [crowd.REGISTERED])]}
        return perf, floods

    def run(self):
        with Resolver(self.described, "steady",
                      extra=[*SETTINGS, *self.load.signer.conf()]) as resolver:
            pid, start = resolver.process.pid, time.monotonic()
            for case in self.load.cases:
                resolver.ask(case["name"], "TYPE65300", timeout_s=120)
            self.before = look(pid, start)
            until = time.monotonic() + self.seconds
            perf, floods = self._askers()
            with ThreadPoolExecutor() as pool:
                beside = [pool.submit(self._watch, pid, start, until),
                          pool.submit(self._ask_chains, until), pool.submit(self._ask_known, until)]
            for future in beside:
                future.result()  # what it raised
            for process in perf:
                self.figures.add(process.communicate(timeout=300)[0])
            for name, process in floods.items():
                self.floods[name] = crowd.finished(process, 300)
            self.after = self._idle(pid, start)

    def _idle(self, pid, start):
        """Once the load has ended: as soon as no descriptor is left over, else after IDLE_S."""
        deadline = time.monotonic() + IDLE_S
        while True:
            sight = look(pid, start)
            if sight.descriptors <= self.before.descriptors or time.monotonic() > deadline:
                return sight
            time.sleep(1)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def slope(sights):
    """Octets a second, by least squares."""
    at, octets = mean(s.at_s for s in sights), mean(s.octets for s in sights)
    return sum((s.at_s - at) * (s.octets - octets) for s in sights) / \
        sum((s.at_s - at) ** 2 for s in sights)


def warm(sights, seconds):
    """What was seen after the warm-up: a fifth of the time, ten minutes at most."""
    return [sight for sight in sights if sight.at_s - sights[0].at_s >= min(seconds / 5, 600)]


def report(steady):
    sights = warm(steady.sights, steady.seconds)
    half = len(sights) // 2
    first, last = mean(s.octets for s in sights[:half]), mean(s.octets for s in sights[half:])
    print(f"# asked: {steady.figures.sent + sum(f['sent'] for f in steady.floods.values())}, of them "
          f"{steady.figures.lost + sum(f['lost'] for f in steady.floods.values())} lost; "
          f"{steady.chain_answers} chains; looked at {steady.samples.asked}: {steady.samples.right} "
          f"right, {steady.samples.failed} TEMPFAIL, {steady.samples.lost} lost, "
          f"{len(steady.samples.wrong)} wrong")
    for name, found in steady.floods.items():
        print(f"#   {name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
    print("# RSS [MiB] " + "; ".join(f"{what} {octets / MIB:.2f}" for what, octets in [
        ("before", steady.before.octets), ("warm", sights[0].octets),
        ("mean of the first half", first), ("of the last half", last),
        ("most", max(s.octets for s in sights)), ("after", steady.after.octets)]) +
        f"; slope {slope(sights) * 3600 / MIB:+.3f} MiB an hour")
    tenth = max(1, len(sights) // 10)
    print("# RSS of each tenth: " + " ".join(
        f"{mean(s.octets for s in sights[n:n + tenth]) / MIB:.2f}"
        for n in range(0, tenth * 10, tenth) if sights[n:n + tenth]))
    print(f"# threads {sorted({s.threads for s in steady.sights})}; descriptors "
          f"{steady.before.descriptors} before, {max(s.descriptors for s in steady.sights)} at most, "
          f"{steady.after.descriptors} after", flush=True)
    return first, last


def flat(steady):
    """The last half of the time after the warm-up against the first half of it."""
    first, last = report(steady)
    bound = max(2 * MIB, first * 0.03) * (4 if soak.is_built_with("libasan") else 1)
    assert last - first <= bound, f"it has grown by {(last - first) / MIB:.2f} MiB"


def nothing_left(steady):
    threads = {sight.threads for sight in [*steady.sights, steady.before, steady.after]}
    assert len(threads) == 1, f"threads: {sorted(threads)}"
    assert steady.after.descriptors <= steady.before.descriptors, \
        f"{steady.after.descriptors} descriptors, {steady.before.descriptors} before"


def none_wrong(steady):
    soak.none_wrong(steady.samples)
    assert not steady.wrong_chains, "\n".join(steady.wrong_chains[:20])
    assert steady.chain_answers > 20, f"only {steady.chain_answers} chains"
    allowed = {"name": {"NOT_BOUND", "UNDECIDED"}, "option": {"NOT_BOUND"}}
    for name, found in steady.floods.items():
        form, _, asked = name.split()
        right = allowed.get(form, {"PUBLISHED" if asked == crowd.REGISTERED else "NO_BINDING"})
        other = {key for key in found if key.isupper()} - right - {"TEMPFAIL", "LIMIT", "STALE"}
        assert not other, f"{name}: {found}"
        assert found["answered"] > found["lost"], f"{name}: hardly an answer: {found}"


def main(seconds):
    suite = tap.Suite("soak")
    if soak.is_built_with("libasan"):  # what is freed must be free for the next one
        os.environ["ASAN_OPTIONS"] = ":".join(
            [*filter(None, [os.environ.get("ASAN_OPTIONS")]), "quarantine_size_mb=1",
             "thread_local_quarantine_size_kb=16", "detect_leaks=1"])
    steady = Steady(programs.world(), seconds)
    suite.test(f"{seconds} s of everything at once: no fault, an end in good order", steady.run)
    if steady.after:
        suite.test("memory is flat after the warm-up", flat, steady)
        suite.test("no thread and no descriptor is left over", nothing_left, steady)
        suite.test("no wrong verdict", none_wrong, steady)
    return 0 if suite.passed and not suite.failed else 1
