# SPDX-License-Identifier: BSD-3-Clause
"""Ours and a stock Unbound side by side, under the same load, with the same done to both."""

import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import soak
from kbvtest import programs, spec
from kbvtest.resolver import Resolver as Ours
from kbvworld.resolver import Resolver
from watch import Watch, ask

PORTS = {"ours": 53, "stock": 5353}
# Questions a second of each dnsperf, two a resolver: even load that leaves the machine room. After
# discard-timeout, 1.9 s, Unbound does not answer any more.
RATE, OUTSTANDING, PATIENCE_S = 250, 20, 2
THREADS = ["server:", "    num-threads: 4", "    msg-cache-slabs: 1", "    rrset-cache-slabs: 1",
           "    infra-cache-slabs: 1", "    key-cache-slabs: 1", "    so-reuseport: yes",
           "    prefetch: yes",
           # What a key that did not arrive made bogus is kept for so long, beyond KEYS_S.
           "    val-bogus-ttl: 5"]
ENOUGH = 20  # right answers in the time of a fault
PROBE = "_8003._tcp.js1.op-a.example."  # PUBLISHED; its zone has one authority and a TTL of 1 s
UP = re.compile(r"info: start of service")


@dataclass
class Row:
    """A line of the table."""
    fault: str
    sent: int = 0         # by dnsperf, to ours
    lost: int = 0         # of these
    stock_sent: int = 0
    stock_lost: int = 0
    sampled: int = 0
    failed: int = 0       # of the samples: no result
    wrong: tuple = ()
    recovery_s: float | None = None
    stock_recovery_s: float | None = None
    without_keys: bool = False  # meanwhile ours had the zone's keys for bogus, as they did not arrive


class Load:
    """Two dnsperf on one port, until told to end."""

    def __init__(self, port, files, options):
        self.running = [subprocess.Popen(
            ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(file), "-l", "3600",
             "-q", str(OUTSTANDING), "-c", "8", "-t", str(PATIENCE_S), "-e", "-Q", str(RATE),
             *(["-E", f"65100:{option.hex()}"] if option else [])],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for file, option in zip(files, options)]

    def end(self):
        total = soak.Figures()
        for process in self.running:
            process.send_signal(signal.SIGINT)
        for process in self.running:
            output, _ = process.communicate(timeout=30)
            total.add(output)
        return total


class Pair:
    """Both resolvers, the samplers of ours, and what is done to both."""

    def __init__(self, described, folder, extra=lambda _: (), modules="", without=()):
        """extra: lines of unbound.conf for the one of that name. modules: what stands between the
        validator and the iterator. without: cases not to ask."""
        self.described, self.world = described, soak.verdicts.World(described)
        self.cases = [case for case in soak.calm(self.world) if case["id"] not in without]
        run_dir = Path(described["dir"])
        self.files = {
            "plain": soak.write_questions(run_dir / "plain", soak.plain_questions(self.cases)),
            "verdicts": soak.write_questions(run_dir / "verdicts", soak.verdict_questions(
                self.world, self.cases))}
        self.request = spec.request("spki-sha256", self.world.certs["js-v"]["spki-sha256"])
        stack = f"validator {modules}iterator"
        self.ours = Ours(described, f"{folder}-ours", extra=[
            *THREADS, *extra("ours"), "server:", f'    module-config: "kbv {stack}"'])
        self.stock = Resolver(described, programs.STOCK, f"{folder}-stock", False, PORTS["stock"], [
            *THREADS, *extra("stock"), "server:", f'    module-config: "{stack}"'])
        self.both = (self.ours, self.stock)
        self.watch = Watch(self.world, self.cases, PORTS["ours"])

    def __enter__(self):
        for resolver in self.both:
            resolver.start()
        wait_until(lambda: published() and answers(), 60, "the first answers")
        self.watch.__enter__()
        return self

    def __exit__(self, kind, *_):
        self.watch.__exit__()
        if kind is None:
            assert self.ours.process.poll() is None, f"it has ended:\n{self.ours.log()[-3000:]}"
            for _ in range(16):  # each by another socket, and so for another thread
                self.ours.ask("js1.op-a.example.", "A", timeout=3)
        self.stock.stop()
        self.ours.__exit__(kind)

    def under_load(self, fault, action, calm_s=0.5):
        """action(row) with both under load, a calm moment before, and PATIENCE_S after."""
        row = Row(fault)
        self.watch.take()
        loads = [Load(PORTS["ours"], (self.files["plain"], self.files["verdicts"]),
                      (None, self.request)),
                 Load(PORTS["stock"], (self.files["plain"], self.files["plain"]), (None, None))]
        try:
            time.sleep(calm_s)
            action(row)
            time.sleep(PATIENCE_S + 0.5)
        finally:
            ours, stock = (load.end() for load in loads)
        samples = self.watch.take()
        row.sent, row.lost, row.stock_sent, row.stock_lost = (ours.sent, ours.lost, stock.sent,
                                                              stock.lost)
        row.sampled, row.failed, row.wrong = samples.asked, samples.failed, tuple(samples.wrong)
        assert samples.right >= ENOUGH, f"only {samples.right} right answers of {samples.asked}"
        return row


# ------------------------------------------------------------------------------------- conditions

def wait_until(condition, seconds, what):
    """How long it took, [s]."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"{what}: not within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - start


def statuses(name=PROBE):
    try:
        _, octets = ask(name, "TYPE65300", port=PORTS["ours"], patience_s=1)
    except OSError:
        return []
    return [soak.verdicts.decode(one)["status"] for one in octets]


def published():
    return statuses() == ["PUBLISHED"]


def answers(name=PROBE):
    """The stock one has the TLSA records that ours judges."""
    try:
        flags, _ = ask(name, "TLSA", port=PORTS["stock"], patience_s=1)
    except OSError:
        return False
    return flags & 15 == 0


def recovery(row, seconds):
    """From now on: when each of both is right again. Both are asked all the time."""
    start, found = time.monotonic(), {}

    def right():
        told = statuses()
        row.without_keys |= told == ["BOGUS"]
        return told == ["PUBLISHED"]

    def probe(name, condition):
        try:
            wait_until(condition, seconds, f"{row.fault}: {name} right again")
            found[name] = time.monotonic() - start
        except AssertionError as error:
            found[name] = error
    threads = [threading.Thread(target=probe, args=arguments) for arguments in
               (("ours", right), ("stock", answers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in found.values():
        if isinstance(result, AssertionError):
            raise result
    row.recovery_s, row.stock_recovery_s = found["ours"], found["stock"]


# ---------------------------------------------------------------------------------------- reloads

def control(resolver, *words, program=programs.CONTROL):
    done = subprocess.run([str(program), "-c", str(resolver.conf), *words], check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0, f"unbound-control {words}: {done.stdout}{done.stderr}"
    return done.stdout


def starts(resolver):
    """How often it has come up, by its log."""
    return len(UP.findall((resolver.folder / "unbound.log").read_text(errors="replace")))


def reload(resolvers, verb):
    """Tells all at once, and returns when all are up again under the new configuration. SIGHUP is a
    signal, all others unbound-control's. The stock one takes the same."""
    before = [starts(resolver) for resolver in resolvers]
    for resolver in resolvers:
        if verb == "SIGHUP":
            resolver.process.send_signal(signal.SIGHUP)
        else:
            control(resolver, *verb.split())  # a fast_reload is done when this returns
    if "fast_reload" not in verb:
        for resolver, old in zip(resolvers, before):
            wait_until(lambda: starts(resolver) > old, 60, f"{verb}: up again")


def change(resolvers, old, new):
    """The same in both configurations, where it is in them."""
    for resolver in resolvers:
        text = resolver.conf.read_text()
        assert old in text or resolver is not resolvers[0], f"no {old!r} in the configuration"
        resolver.conf.write_text(text.replace(old, new))
