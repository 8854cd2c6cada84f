# SPDX-License-Identifier: BSD-3-Clause
"""What it costs a consumer to find out whether a peer's certificate is bound to the peer's name: by
libkbv, which asks for a verdict, and by those who look TLSA records up and judge themselves.

The consumer has one processor, the resolver and the TLS servers have the other. Consumers take
turns; a ratio is taken within a round, against libkbv's figure of the same round and situation. Warm:
the resolver has all answers. Cold: it has just started, and so has the consumer. Before, each consumer
has to refuse a stranger's certificate: one that did not would be measured doing something else.
"""

import contextlib
import ctypes
import dataclasses
import os
import re
import subprocess
import time
from dataclasses import dataclass, field

from kbvpeers import tree
from kbvworld import resolver

from . import figures
from .fast import cpu_ns

ATTEMPTS = 3  # a lost connection, or a machine too busy for somebody's deadline, is no decision
CONF = ("server:", "    num-threads: 1", "    discard-timeout: 10000",  # busy machines again
        "kbv:", "    kbv-chain-ratelimit: 0")


@dataclass
class Peer:
    """A TLS server of the world, and what of its certificates is judged."""
    about: str
    host: str
    port: int
    cert: str
    whole_chain: bool = False
    address = property(lambda self: f"{self.host}:{self.port}")


PEERS = (Peer("3 1 1, a key", "js1.op-a.example", 8003, "js1.current"),
         Peer("2 0 1, a chain", "js2.op-a.example", 443, "js2", True))
STRANGER = "js-b"  # of another operator's CA

SHARED, PROCESS = "warm, many in one process", "warm, a process each"
COLD_START, COLD_PROCESS = "cold, start of the process apart", "cold, a process each"
SITUATIONS = (SHARED, PROCESS, COLD_START, COLD_PROCESS)


@dataclass
class Way:
    """A consumer."""
    name: str
    words: object         # of the peer: the command
    says: str             # a pattern in what it prints when it accepts
    refuses: str          # and when it does not; None: the certificate is not to be chosen
    situations: tuple
    ours: bool = False    # a consumer_… of this folder: it takes --times and prints times
    resolver: bool = True  # it asks the one whose processor time is counted


def ways(world, build, lost):
    certs, anchor = world["certs"], world["anchor"]
    ca = certs["ca.op-a"]["cert"]
    local = ["--server", "127.0.0.1"]

    def consumer(name, *words):
        def command(peer):
            there = [str(build / "tests/bench" / f"consumer_{name}"), *words, "--host", peer.host,
                     "--port", str(peer.port), "--chain", certs[peer.cert]["chain"]]
            return there + ["--whole-chain"] * peer.whole_chain
        return command

    def ldns(*words):
        return lambda peer: ["ldns-dane", "-4", "-r", "127.0.0.1", "-f", ca,
                             *(word.format(chain=certs[peer.cert]["chain"]) for word in words),
                             "verify", peer.host, str(peer.port)]

    def danetool(*words):
        return lambda peer: ["danetool", "--check", peer.host, "--port", str(peer.port),
                             "--local-dns",
                             *(word.format(chain=certs[peer.cert]["chain"]) for word in words)]

    times, not_accepted = r"\A(\d+ \d+\n)+\Z", "the chain is not accepted"
    validated, matches = "dane-validated successfully", "Verification: Certificate matches"
    tools = (PROCESS, COLD_PROCESS)
    found = [
        Way("libkbv", consumer("libkbv", *local), times, not_accepted, SITUATIONS, ours=True),
        Way("libkbv, verdict kept", consumer("libkbv", *local, "--keep"), times, not_accepted,
            (SHARED,), ours=True),
        Way("libunbound over the resolver",
            consumer("libunbound", *local, "--anchor", anchor), times, not_accepted,
            SITUATIONS, ours=True),
        # Its cache is the process's: with a process each it is always cold.
        Way("libunbound from the root",
            consumer("libunbound", "--hints", world["hints"], "--anchor", anchor), times,
            not_accepted, (SHARED, COLD_START, COLD_PROCESS), ours=True, resolver=False),
        Way("ldns-dane, certificates in a file", ldns("-c", "{chain}"), validated,
            "did not dane-validate", tools),
        Way("ldns-dane, connects", ldns(), validated, None, tools),
        Way("danetool, certificates in a file", danetool("--load-certificate", "{chain}"),
            matches, "Verification: Verification failed", tools),
        Way("danetool, connects", danetool(), matches, None, tools),
        Way("no check: s_client connects",
            lambda peer: ["openssl", "s_client", "-brief", "-no-CAfile", "-no-CApath",
                          "-no-CAstore", "-connect", peer.address],
            "CONNECTION ESTABLISHED", None, (PROCESS,)),
        Way("no check: `true`", lambda peer: ["true"], "", None, (PROCESS,)),
    ]
    return [way for way in found if not (lost and way.name.startswith("danetool"))]


def run(words, output):
    """A process from start to end: exit status, what it printed, [ms], [us] of its CPU."""
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, str(output), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
               (os.POSIX_SPAWN_DUP2, 1, 2)]
    started = time.perf_counter()
    process = os.posix_spawnp(words[0], words, os.environ, file_actions=actions)
    _, status, used = os.wait4(process, 0)
    ms = (time.perf_counter() - started) * 1000
    return (os.waitstatus_to_exitcode(status), output.read_text(errors="replace"), ms,
            (used.ru_utime + used.ru_stime) * 1e6)


@dataclass
class Cost:
    """Of one check."""
    ms: float
    quickest_ms: float  # what it may cost where nobody else wants the processors
    cpu_us: float
    resolver_us: float


@dataclass
class Row:
    peer: Peer
    way: Way
    situation: str
    costs: list = field(default_factory=list)  # one a round


class Bench:
    """The resolver, the servers, and a file for what consumers print."""

    def __init__(self, world, unbound, folder, processor):
        self.world, self.unbound, self.folder = world, unbound, folder
        self.processor = processor  # for the resolver
        self.resolver = self.stack = None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.chdir(self.folder))
            for peer in PEERS:
                stack.callback(self.serve(peer).kill)
            self.start()
            stack.callback(lambda: self.resolver.stop())
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def serve(self, peer):
        cert = self.world["certs"][peer.cert]
        issuer = self.world["certs"][cert["issuer"]]["cert"]
        server = subprocess.Popen(
            ["openssl", "s_server", "-quiet", "-www", "-accept", str(peer.port), "-cert",
             cert["cert"], "-key", cert["key"], "-cert_chain", issuer],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.sched_setaffinity(server.pid, {self.processor})
        return server

    def start(self):
        """A resolver that knows nothing."""
        if self.resolver:
            self.resolver.stop()
        self.resolver = resolver.Resolver(self.world, self.unbound, "check", True, 53, CONF).start()
        os.sched_setaffinity(self.resolver.process.pid, {self.processor})

    def once(self, way, peer, words):
        """Runs it until it accepts, which is what it must do: output, ms, us, us of the resolver."""
        before = cpu_ns(self.resolver.process.pid)
        status, printed, ms, us = run(words, self.folder / "consumer.out")
        resolver_us = (cpu_ns(self.resolver.process.pid) - before) / 1000
        if status == 0 and re.search(way.says, printed):
            return printed, ms, us, resolver_us
        raise RuntimeError(f"{way.name}, {peer.about}: exit status {status}:\n{printed[-1500:]}")

    def refuses(self, way, peer):
        """RuntimeError unless it refuses a stranger's certificate."""
        words = way.words(dataclasses.replace(peer, cert=STRANGER))
        status, printed, _, _ = run(words, self.folder / "consumer.out")
        if status == 0 or not re.search(way.refuses, printed):
            raise RuntimeError(f"{way.name}, {peer.about}: does not refuse a stranger, exit status "
                               f"{status}:\n{printed[-1500:]}")

    def again(self, way, peer, words, cold):
        for attempt in range(ATTEMPTS):
            if cold:
                self.start()
            try:
                return self.once(way, peer, words)
            except RuntimeError:
                if attempt + 1 == ATTEMPTS:
                    raise
        return None

    def shared(self, way, peer, times):
        """Many checks by one process that has done one before: the median of each figure."""
        words = [*way.words(peer), "--times", str(times)]
        printed, _, _, resolver_us = self.again(way, peer, words, False)
        ns, cpu = zip(*(map(int, line.split()) for line in printed.splitlines()))
        return Cost(figures.spread(list(ns))[1] / 1e6, min(ns) / 1e6,
                    figures.spread(list(cpu))[1] / 1e3, resolver_us / (times + 1))

    def process(self, way, peer, cold):
        """One check by a process: for the process, and for what it says of itself, or None."""
        printed, ms, us, resolver_us = self.again(way, peer, way.words(peer), cold)
        if not way.ours:
            return Cost(ms, ms, us, resolver_us), None
        ns, cpu = map(int, printed.split())
        return (Cost(ms, ms, us, resolver_us),
                Cost(ns / 1e6, ns / 1e6, cpu / 1e3, resolver_us))


def measure(world, build, unbound, folder, processors, plan, progress):
    """plan: rounds, cold rounds, checks in a process. processors: the consumer's, the resolver's."""
    rounds, cold_rounds, times = plan
    lost = tree.use_own_root()
    if lost:
        progress(f"danetool is left out, it would not find the root's key here: {lost}")
    measured = ways(world, build, lost)
    rows = {(peer.about, way.name, situation): Row(peer, way, situation)
            for peer in PEERS for situation in SITUATIONS
            for way in measured if situation in way.situations}

    def keep(peer, way, situation, cost):
        if (peer.about, way.name, situation) in rows:
            rows[peer.about, way.name, situation].costs.append(cost)

    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {processors[0]})
    try:
        with Bench(world, unbound, folder, processors[1]) as bench:
            for way in measured:
                for peer in PEERS if way.refuses else ():
                    bench.refuses(way, peer)
            for number in range(cold_rounds):
                for peer, way in turns(measured, number, COLD_PROCESS):
                    whole, inner = bench.process(way, peer, True)
                    keep(peer, way, COLD_PROCESS, whole)
                    keep(peer, way, COLD_START, inner)
                progress(f"one check, cold: round {number + 1} of {cold_rounds}")
            bench.start()
            for peer, way in turns(measured, 0, PROCESS):  # now the resolver has the answers
                bench.process(way, peer, False)
            for number in range(rounds):
                for peer, way in turns(measured, number, SHARED):
                    keep(peer, way, SHARED, bench.shared(way, peer, times))
                for peer, way in turns(measured, number, PROCESS):
                    keep(peer, way, PROCESS, bench.process(way, peer, False)[0])
                progress(f"one check, warm: round {number + 1} of {rounds}")
    finally:
        os.sched_setaffinity(0, allowed)
    return list(rows.values())


def turns(measured, number, situation):
    """Who is measured in a round, in an order that rotates."""
    there = [way for way in measured if situation in way.situations]
    shift = number % len(there)
    return [(peer, way) for peer in PEERS for way in there[shift:] + there[:shift]]


def ratio(row, baseline, what):
    return figures.spread([getattr(a, what) / getattr(b, what)
                           for a, b in zip(row.costs, baseline.costs)])[1]


def versions():
    unbound = ctypes.CDLL("libunbound.so.8").ub_version
    unbound.restype = ctypes.c_char_p

    def of(pattern, *words):
        return re.search(pattern, subprocess.run(words, capture_output=True, text=True,
                                                 check=False).stdout)[1]
    return {"libunbound": unbound().decode(), "ldns-dane": of(r"version (\S+)", "ldns-dane", "-v"),
            "danetool": of(r"danetool (\S+)", "danetool", "--version"),
            "OpenSSL": of(r"OpenSSL (\S+)", "openssl", "version")}


def report(measured):
    """The tables, and the same as objects for JSON."""
    tables, objects = [], []
    for situation in SITUATIONS:
        rows = []
        for row in (row for row in measured if row.situation == situation):
            baseline = next(other for other in measured if other.way.name == "libkbv" and
                            other.peer is row.peer and other.situation == situation)
            ms, cpu, there = (figures.spread([getattr(cost, what) for cost in row.costs])
                              for what in ("ms", "cpu_us", "resolver_us"))
            quickest = min(cost.quickest_ms for cost in row.costs)
            by_ms, by_cpu = ratio(row, baseline, "ms"), ratio(row, baseline, "cpu_us")
            rows.append([f"{row.peer.about}: {row.way.name}", figures.text(ms, 2),
                         f"{quickest:.2f}", figures.text(cpu, 0),
                         f"{there[1]:.0f}" if row.way.resolver else "-",
                         f"{by_ms:.2f}", f"{by_cpu:.2f}"])
            objects.append({"peer": row.peer.about, "way": row.way.name, "situation": situation,
                            "ms": ms, "quickest_ms": quickest, "cpu_us": cpu,
                            "resolver_cpu_us": there,
                            "ratio": by_ms, "ratio_cpu": by_cpu, "rounds": len(row.costs)})
        head = [situation, "ms", "quickest", "us CPU", "us CPU, resolver",
                "x libkbv, time", "x libkbv, CPU"]
        tables.append(figures.table(head, rows))
    names = versions()
    tables.append(", ".join(f"{name} {version}" for name, version in names.items()))
    return "\n\n".join(tables), {"versions": names, "rows": objects}
