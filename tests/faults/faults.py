# SPDX-License-Identifier: BSD-3-Clause
"""The faults. Each function has one thing happen to both resolvers, and returns its line of the
table, or several."""

import contextlib
import math
import os
import subprocess
import time
from pathlib import Path

import pair as pairs
import watch
from kbvtest import programs, tap
from kbvtest.redis import PORT, Redis
from kbvworld import capture
from pair import Pair, change, recovery, reload, wait_until
from watch import (SERVFAIL, as_described, ask, not_proven, question, with_other_anchor,
                   without_zone)

# docs/operations.md: how long a TEMPFAIL may outlive what caused it.
DOCUMENTED_S = 5
KEYS_S = 60      # Unbound's own: how long keys that did not arrive are bogus
UNBOUND_S = 90   # it may take that long to believe in an authority again
RELOADS = 100
CLOCK_STEP_S = 900
ROOM = 256 * 1024  # octets on the log's disk


# -------------------------------------------------------------------------- authorities, network

def ctl(verb, *servers):
    subprocess.run([str(programs.TREE / "tests/world/ctl"), verb, *servers], check=True)


def out_of_reach(both, row, begin, end, seconds):
    """Something is gone for some seconds, and comes back."""
    both.watch.truths = (not_proven,)
    begin()
    try:
        time.sleep(seconds)
    finally:
        end()
    recovery(row, UNBOUND_S)
    settled(both)  # what else was asked for in vain may be told once more, as long as it is kept
    both.watch.truths = (as_described,)


def settled(both):
    """Waits until every case is as described."""

    def right(case):
        asked = question(both.world, case, "rr", "other")
        try:
            flags, octets = ask(asked.name, asked.rrtype)
        except OSError:
            return False
        found = [pairs.soak.verdicts.decode(one) for one in octets]
        return flags & 15 != SERVFAIL and as_described(asked, found) is None
    for case in both.cases:
        wait_until(lambda: right(case), UNBOUND_S, f"{case['id']} as described")


def authority_killed(both):
    servers = ("op-a", "op-b", "devices", "registry-a")
    return both.under_load("authorities killed", lambda row: out_of_reach(
        both, row, lambda: ctl("stop", *servers), lambda: ctl("start", *servers), 4))


def authority_silent(both):
    servers = ("op-a", "op-b", "devices")
    return both.under_load("authorities silent", lambda row: out_of_reach(
        both, row, lambda: ctl("pause", *servers), lambda: ctl("resume", *servers), 3))


def ip_rules(verb, *words):
    for address in capture.OUTGOING:
        family = "-6" if ":" in address else "-4"
        rule = [address if word == "OUTGOING" else word for word in words]
        subprocess.run(["ip", family, "rule", verb, "pref", "10", *rule], check=True)


def rules_before_local():
    """Addresses of the world are local, and the local table comes first. Now rules may."""
    for family in ("-4", "-6"):
        subprocess.run(["ip", family, "rule", "add", "pref", "100", "lookup", "local"], check=True)
        subprocess.run(["ip", family, "rule", "del", "pref", "0"], check=True)


def network_gone(both):
    """First no packet comes back, then none can be sent."""
    rows = []
    for name, words in (("network drops replies", ("to", "OUTGOING", "blackhole")),
                        ("no route", ("from", "OUTGOING", "unreachable"))):
        rows.append(both.under_load(name, lambda row: out_of_reach(
            both, row, lambda: ip_rules("add", *words), lambda: ip_rules("del", *words), 3)))
    return rows


# ------------------------------------------------------------------------------------- the reloads

def kinds():
    return ("SIGHUP", "reload", "reload_keep_cache",
            *(("fast_reload", "fast_reload +p") if programs.knows_fast_reload() else ()))


def forgets(verb):
    return "fast_reload" not in verb


def reload_often(both):
    """All verdicts are new after each reload but a fast one, which changes nothing here."""
    rows = []
    for verb in kinds():
        def often(_, verb=verb):
            for _ in range(math.ceil(RELOADS / len(kinds()))):
                began = time.time()
                reload(both.both, verb)
                if forgets(verb):
                    both.watch.not_before = began
        rows.append(both.under_load(f"{math.ceil(RELOADS / len(kinds()))} x {verb}", often))
    return rows


def changed_and_back(both, verb, old, new, truth):
    """Reloads with new for old, and with old again; in between truth holds."""
    began = time.time()
    for was, will, now in ((old, new, truth), (new, old, as_described)):
        change(both.both, was, will)
        both.watch.truths = (*both.watch.truths, now)
        began = time.time()
        reload(both.both, verb)
        both.watch.truths, both.watch.not_before = (now,), began
        time.sleep(1)
    settled(both)


def other_anchor(both):
    wrong = Path(both.described["dir"]) / "other-anchor"
    wrong.write_text(f". IN DS 4711 13 2 {'5a' * 32}\n")
    return [both.under_load(f"trust anchor, {verb}", lambda _, verb=verb: changed_and_back(
        both, verb, both.described["anchor"], str(wrong), with_other_anchor))
        for verb in ("reload", "reload_keep_cache",
                     *(("fast_reload",) if programs.knows_fast_reload() else ()))]


def other_zones(both):
    zone = "joineuis.lora-alliance.org"
    line = next(line for line in both.described["kbv_zones"] if line.startswith(zone))
    return [both.under_load(f"zone list, {verb}", lambda _, verb=verb: changed_and_back(
        both, verb, f'    kbv-zone: "{line}"\n', "    # no zone here\n", without_zone(zone)))
        for verb in ("reload_keep_cache",)]


# ------------------------------------------------------------------------------ Redis, clock, disk

CACHEDB = ("cachedb:", '    backend: "redis"', "    redis-server-host: 127.0.0.1",
           f"    redis-server-port: {PORT}", "    redis-timeout: 200")


def redis_killed(described):
    """Redis holds copies and nothing else: without it all is as described, only slower."""
    def killed(row):
        redis.stop()
        time.sleep(3)
        redis.__enter__()
        recovery(row, UNBOUND_S)
    with Redis(described) as redis, \
            Pair(described, "redis", lambda _: CACHEDB, "cachedb ") as both:
        row = both.under_load("Redis killed", killed)
        assert int(redis.cli("dbsize")) > 0, "nothing in the new Redis"
        return row


def clock_stepped(described):
    """The clock of both goes forward, beyond every T, and back again. Timers go on: those of an
    event loop are of the monotonic clock, and that one does not step."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    assert library, "no libfaketime"
    file = Path(described["dir"]) / "clock"
    file.write_text("+0\n")
    environment = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(file),
                   "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def step(row, to):
        both.watch.offsets = (*both.watch.offsets, to)
        new = file.with_suffix(".new")
        new.write_text(f"{to:+}\n")
        new.rename(file)
        recovery(row, UNBOUND_S)
        time.sleep(0.5)
        both.watch.offsets = (to,)
        time.sleep(2)

    # Signatures that begin or end with the hour would make other verdicts of these, and rightly.
    both = Pair(described, "clock", without=("early", "short"))
    with contextlib.ExitStack() as stack:
        os.environ |= environment
        try:
            stack.enter_context(both)
        finally:
            for name in environment:
                del os.environ[name]
        return [both.under_load(f"clock {what}", lambda row, to=to: step(row, to))
                for what, to in (("15 min forward", CLOCK_STEP_S), ("15 min back", 0))]


@contextlib.contextmanager
def small_disk(folder):
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)], check=True)
    try:
        yield folder / "log"
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def disk_full(described):
    """No room for the log, then a reload, which opens it anew; then there is room again."""
    def fill(row):
        for log in logs.values():
            wait_until(lambda: os.statvfs(log.parent).f_bavail == 0, 60, f"{log} fills its disk")
        time.sleep(1)
        for resolver in both.both:
            pairs.control(resolver, "reload")
        recovery(row, UNBOUND_S)
        for log in logs.values():
            os.truncate(log, 0)
            wait_until(lambda: log.stat().st_size > 0, 60, f"{log} is written again")

    def extra(name):
        return ("server:", f'    logfile: "{logs[name]}"', "    verbosity: 3")
    with contextlib.ExitStack() as stack:
        logs = {name: stack.enter_context(small_disk(Path(described["dir"]) / f"disk-{name}"))
                for name in pairs.PORTS}
        both = stack.enter_context(Pair(described, "disk", extra))
        return both.under_load("log's disk full", fill)


# --------------------------------------------------------------------------------------- the table

# What one moment takes along is lost together, and such moments are few: what is chance once is not
# so each time.
MEASUREMENTS = 2


def lost_more(row):
    """More than the stock one's rate gives. Both are counts of what happened to be under way at
    the moment of the fault: three standard deviations of their difference are chance."""
    expected = row.stock_lost / max(row.stock_sent, 1) * row.sent
    return row.lost > expected + 3 * math.sqrt(expected + row.lost)


def check(row):
    assert row.sent > 500 and row.stock_sent > 500, f"{row.fault}: hardly any load"
    assert not row.wrong, f"{row.fault}: {len(row.wrong)} wrong:\n" + "\n".join(row.wrong[:20])
    if watch.in_time and row.recovery_s is not None:
        late = row.recovery_s - row.stock_recovery_s
        assert late <= (KEYS_S if row.without_keys else 0) + DOCUMENTED_S + 1, \
            f"{row.fault}: right {late:.1f} s after the stock one"


def table(rows):
    print(f"# {'fault':24} {'sent':>6} {'lost':>5} | {'stock':>6} {'lost':>5} | {'sampled':>7} "
          f"{'no result':>9} {'wrong':>5} | right again after [s] ours, stock")
    for row in rows:
        times = "" if row.recovery_s is None else \
            f"{row.recovery_s:8.2f} {row.stock_recovery_s:8.2f}"
        print(f"# {row.fault:24} {row.sent:6} {row.lost:5} | {row.stock_sent:6} {row.stock_lost:5} "
              f"| {row.sampled:7} {row.failed:9} {len(row.wrong):5} | {times}", flush=True)


IN_ONE_PAIR = {
    authority_killed: "authorities die and come back",
    authority_silent: "authorities fall silent and answer again",
    network_gone: "the network goes away and comes back",
    reload_often: f"{RELOADS} reloads",
    other_anchor: "other trust anchors by reload",
    other_zones: "other zones by reload"}
OF_THEIR_OWN = {
    redis_killed: "Redis dies and comes back",
    clock_stepped: "the clock steps forward and back",
    disk_full: "no room for the log"}


def main(rounds, names, sanitizers):
    suite, rows = tap.Suite("faults"), []
    described = programs.world()
    logs = Path(described["dir"]) / "tsan"
    if sanitizers:
        pairs.soak.log_reports(logs)
        watch.in_time, pairs.ENOUGH = False, 1  # it takes its time to come up, too

    def run(function, *arguments):
        for _ in range(MEASUREMENTS):
            found = function(*arguments)
            new = found if isinstance(found, list) else [found]
            rows.extend(new)
            for row in new:
                check(row)
            more = [f"{row.fault}: {row.lost} of {row.sent} lost; the stock Unbound lost "
                    f"{row.stock_lost} of {row.stock_sent}" for row in new if lost_more(row)]
            if sanitizers or not more:
                return
        raise AssertionError(f"{MEASUREMENTS} times in a row, at last {'; '.join(more)}")

    def tests(functions, argument):
        for function, what in functions.items():
            if not names or function.__name__ in names:
                suite.test(what, run, function, argument)

    def one_pair():
        with Pair(described, "main") as both:
            tests(IN_ONE_PAIR, both)
    rules_before_local()
    for _ in range(rounds):
        if not names or set(names) & {function.__name__ for function in IN_ONE_PAIR}:
            suite.test("an end in good order", one_pair)
        tests(OF_THEIR_OWN, described)
    if sanitizers and pairs.soak.is_built_with("libtsan"):
        suite.test("ThreadSanitizer: no report in code of ours", pairs.soak.none_of_ours, logs)
    table(rows)
    return 0 if suite.passed and not suite.failed else 1
