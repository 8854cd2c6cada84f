# SPDX-License-Identifier: BSD-3-Clause
"""The run: slow cases beside each other, the others one by one, then what it all cost."""

import time

from kbvtest import pages, programs, tap
from kbvtest.resolver import PATIENT, Resolver
from kbvworld import resolver as plain

from . import attacks
from .cases import Book
from .tester import Meter, Probe, Upstream, judge, pool, put, statuses_of, verdicts_of

WRITER = "tests/hostile/run"
CONTROLS = ("honest", "honest-id", "honest-8")
# CPU that a case may cost, all its questions together: so many times what the honest JoinEUI costs
# in the same run, and a floor, as its few milliseconds are measured on a busy machine.
CPU_TIMES, CPU_FLOOR_MS = 50, 500
RSS_KIB = 32 << 10
AT_ONCE = 8   # slow cases beside each other
AGAIN = 5     # times, where a busy machine made an honest answer miss the deadline
AGAIN_S = 1.2
PROBES_MIN = 10


class Run:
    def __init__(self, given):
        self.given, self.world = given, programs.world()
        self.book = Book(f"{self.world['dir']}/zones")
        cases = attacks.all_cases(self.book)
        unknown = set(given.case) - {case.id for case in cases}
        assert not unknown, f"no case {' '.join(unknown)}"
        self.cases = [case for case in cases
                      if not given.case or case.id in given.case or case.id in CONTROLS]
        self.suite = tap.Suite("hostile")
        self.costs, self.found, self.stock = {}, {}, {}

    def one(self, case, workers, resolver):
        meter = Meter(resolver.process.pid)
        for asked in range(1, AGAIN + 1):
            found = put(case, workers)
            statuses = statuses_of(found["base"])
            if "TEMPFAIL" not in statuses or case.expects(statuses):
                break
            time.sleep(AGAIN_S)
        self.costs[case.id] = meter.cost()
        self.costs[case.id].asked = asked
        self.found[case.id] = ", ".join(
            f"{statuses.count(one)} {one}" if statuses.count(one) > 1 else one
            for one in sorted(set(statuses)))
        judge(case, found)
        if case.after:
            case.after(verdicts_of)

    def one_apart(self, case, resolver):
        with pool() as workers:
            self.one(case, workers, resolver)

    def beside_each_other(self, upstream):
        """The slow ones, with Unbound's own time-outs."""
        cases = [case for case in self.cases if case.slow]
        with Resolver(self.world) as resolver, Probe() as probe:
            self.suite.tests([(case.title, self.one_apart, case, resolver) for case in cases],
                             workers=AT_ONCE)
            upstream.settle()
        self.suite.test("a cached name is answered beside slow authorities", self.others, probe)

    def one_by_one(self):
        with Resolver(self.world, extra=PATIENT) as resolver, pool() as workers, Probe() as probe:
            for case in self.cases:
                if not case.slow:
                    self.suite.test(case.title, self.one, case, workers, resolver)
        self.suite.test("a cached name is answered beside costly authorities", self.others, probe)

    def by_a_stock_resolver(self):
        """What the plain question costs an Unbound without the module."""
        cases = [case for case in self.cases if case.stock]
        if not cases:
            return
        with plain.Resolver(self.world, programs.STOCK, "stock", kbv=False,
                            extra=["server:", "    discard-timeout: 0"]) as resolver:
            for case in cases:
                meter = Meter(resolver.process.pid)
                resolver.ask(case.ask, "TLSA", timeout=20, timeout_s=60)
                self.stock[case.id] = meter.cost().cpu_ms

    @staticmethod
    def others(probe):
        assert not probe.failed, f"{len(probe.failed)} unanswered: {probe.failed[0]}"
        assert probe.answered >= PROBES_MIN, f"only {probe.answered} answers"
        print(f"# somebody else: {probe.answered} answers, "
              f"the slowest after {probe.worst_ms:.0f} ms")

    @staticmethod
    def none(found):
        assert not found, f"{len(found)}: {found[:5]}"

    def count(self, upstream):
        asked = upstream.questions()
        self.suite.test("no question about type 65300 or _kbv goes upstream", self.none,
                        [query.name for query in asked if query.is_planted])
        for case in self.cases:
            if case.id in self.costs:
                self.costs[case.id].upstream = sum(
                    f".{query.name}".endswith(tuple(case.suffixes)) for query in asked)

    def within_bounds(self, case):
        cost, control = self.costs[case.id], self.costs["honest-id"]
        assert cost.upstream <= case.bound * cost.asked, \
            f"{cost.upstream} questions upstream, at most {case.bound} are allowed"
        most_ms = CPU_TIMES * control.cpu_ms + CPU_FLOOR_MS
        assert cost.cpu_ms <= most_ms, \
            f"{cost.cpu_ms:.0f} ms of CPU, where an honest name costs {control.cpu_ms:.1f}"
        assert cost.rss_kib <= RSS_KIB, f"{cost.rss_kib} KiB of memory"

    def all_within_bounds(self):
        problems = []
        for case in self.cases:
            try:
                self.within_bounds(case)
            except KeyError:
                problems.append(f"{case.id}: it was not measured")
            except AssertionError as error:
                problems.append(f"{case.id}: {error}")
        assert not problems, "\n".join(problems)

    def table(self):
        yield "| attack | what they do | verdict | upstream | CPU [ms] | memory [KiB] | why |"
        yield "| --- | --- | --- | ---: | ---: | ---: | --- |"
        for case in self.cases:
            cost = self.costs.get(case.id)
            if cost:
                cpu = f"{cost.cpu_ms:.1f}"
                if case.id in self.stock:
                    cpu += f" ({self.stock[case.id]:.1f})"
                yield (f"| {case.id} | {case.about} | {self.found[case.id]} | {cost.upstream} | "
                       f"{cpu} | {cost.rss_kib} | {case.why} |")

    def main(self):
        with self.book.authority as authority:
            upstream = Upstream(self.world)
            self.beside_each_other(upstream)
            self.one_by_one()
            self.count(upstream)
            self.by_a_stock_resolver()
            self.suite.test("the authorities made no mistake of their own", self.none,
                            authority.mistakes())
        self.suite.test("upstream questions, CPU and memory are within their bounds",
                        self.all_within_bounds)
        print("\n".join(f"# {line}" for line in self.table()))
        if self.given.table:
            pages.write(self.given.table, WRITER, self.table())
        self.suite.finish()


def main(given):
    Run(given).main()
