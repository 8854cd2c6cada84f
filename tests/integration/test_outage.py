# SPDX-License-Identifier: BSD-3-Clause
"""Authorities that die and come back, and a resolver that reloads. quick.example has a TTL of 40 s
here, on a server of its own.
"""

import functools
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from kbvtest import programs, spec, tap, verdicts, wire
from kbvtest.clients import RRTYPE, dig
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same, within

OWNER = "_443._tcp.js.quick.example."
BUDGET_S = 5  # LoRaWAN's first join-accept window, and ChirpStack's patience
RECOVERY_S = 30
TC = 0x0200  # RFC 1035 section 4.1.1


def ctl(verb, *servers):
    subprocess.run([str(programs.TREE / "tests/world/ctl"), verb, *servers], check=True)


def control(resolver, *words):
    done = subprocess.run([str(programs.CONTROL), "-c", str(resolver.conf), *words], check=False,
                          capture_output=True, text=True)
    same(f"exit status of unbound-control {words}: {done.stdout}{done.stderr}", done.returncode, 0)
    return done.stdout


def one(name=OWNER, rrtype=RRTYPE, option=None, **how):
    """The one verdict of a name, from the option if one was asked for."""
    reply = dig(name, rrtype, option, **how)
    if option is not None:
        return verdicts.decode(reply.option)
    found = [verdicts.decode(octets) for octets in reply.verdicts]
    same("number of verdicts", len(found), 1)
    return found[0]


def wait_for(status, seconds, name=OWNER):
    """Asks until the status is this one; how long that took."""
    start = time.monotonic()
    while True:
        found = one(name, patience_s=30)["status"]
        if found == status:
            return time.monotonic() - start
        assert time.monotonic() - start < seconds, f"still {found} after {seconds} s"
        time.sleep(0.3)


def dies_and_comes_back(described, world):
    """What is known stays until its T, though a prefetch fails; then TEMPFAIL; then all is well."""
    digest = world.certs["js-v"]["spki-sha256"]
    request = spec.request("spki-sha256", digest)
    with Resolver(described, extra=["server:", "    prefetch: yes"]):
        joineui = world.cases["joineui-b"]["name"]
        one(joineui)
        good = one()
        same("status", good["status"], "PUBLISHED")
        end = verdicts.epoch(good["not_after"])
        within("life", verdicts.life(good), 20, 40)
        ctl("stop", "op-b")
        try:
            while time.time() < end:
                again = one()
                # At the very end the last question may come after T.
                if time.time() < end:
                    same("verdict during the outage", again, good)
                if time.time() < end - 2:
                    same("keyed", one(option=request)["status"], "BOUND")
                    same("keyed, TLSA", one(rrtype="TLSA", option=request)["status"], "BOUND")
                time.sleep(0.3)
            time.sleep(1.1)
            start = time.monotonic()
            failed = one()
            within("seconds to TEMPFAIL", time.monotonic() - start, 0, BUDGET_S)
            same("status", failed["status"], "TEMPFAIL")
            same("keyed", one(option=request)["status"], "TEMPFAIL")
            same("in the name",
                 one(spec.digest_name("spki-sha256", digest, OWNER))["status"], "TEMPFAIL")
            same("a verdict with a longer life", one(joineui)["status"], "PUBLISHED")
        finally:
            ctl("start", "op-b")
        wait_for("PUBLISHED", RECOVERY_S)
        same("keyed", one(option=request)["status"], "BOUND")


def silent_authority(described, _):
    """One that takes questions and does not answer costs no more than the budget either."""
    with Resolver(described):
        one("_443._tcp.js1.op-b.example.")  # its round-trip time is known
        ctl("pause", "op-b")
        try:
            start = time.monotonic()
            same("status", one()["status"], "TEMPFAIL")
            within("seconds to TEMPFAIL", time.monotonic() - start, 0, BUDGET_S)
        finally:
            ctl("resume", "op-b")
        wait_for("PUBLISHED", RECOVERY_S)


def one_of_two(described, world):
    """With one of two authorities gone nothing is lost. Unbound may try the dead one first in zone
    after zone, beyond the deadline of a verdict: then who asks again has it."""
    with Resolver(described):
        ctl("stop", "registry-a", "variants-b")
        try:
            for name in ("joineui-a", "rollover", "unregistered", "netid-a"):
                case = world.cases[name]
                for _ in range(5):
                    found = {verdicts.decode(octets)["status"] for octets in
                             dig(case["name"], patience_s=30).verdicts}
                    if "TEMPFAIL" not in found:
                        break
                    time.sleep(1.5)  # what was late is kept for a second
                same(f"statuses of {name}", found, {row["status"] for row in case["expect"]})
        finally:
            ctl("start", "registry-a", "variants-b")


def root_gone(described, world):
    """With nothing in reach a cold question is TEMPFAIL, and never an absence."""
    every = [name for name, server in described["servers"].items()
             if server["kind"] in ("nsd", "knot")]
    with Resolver(described):
        ctl("stop", *every)
        try:
            for name in ("joineui-a", "unregistered", "literal-server", "deveui"):
                same(f"status of {name}", one(world.cases[name]["name"], patience_s=30)["status"],
                     "TEMPFAIL")
        finally:
            ctl("start", *every)
        wait_for("PUBLISHED", 40, world.cases["joineui-b"]["name"])


def reload_keeps_working(described, world):
    name = world.cases["joineui-a"]["name"]
    request = spec.request("spki-sha256", world.certs["js1.next"]["spki-sha256"])
    with Resolver(described, extra=["server:", "    num-threads: 2"]) as resolver:
        for _ in range(5):
            same("status", one(name, option=request)["status"], "BOUND")
            control(resolver, "reload")
            wait_until_up(resolver)
        same("status", one(name, option=request)["status"], "BOUND")
        control(resolver, "reload_keep_cache")
        wait_until_up(resolver)
        same("status", one(name, option=request)["status"], "BOUND")
        assert resolver.process.poll() is None, "the daemon has ended"


def wait_until_up(resolver):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            resolver.ask("localhost.", "A", timeout=0.5)
            return
        except OSError:
            time.sleep(0.05)
    assert False, "no answer after the reload"


def change(resolver, *lines):
    with open(resolver.conf, "a", encoding="ascii") as conf:
        conf.write("\n".join(lines) + "\n")


def reload_takes_options(described, world):
    """Options that changed hold after the reload, for verdicts that were cached before too."""
    name = world.cases["joineui-b"]["name"]
    with Resolver(described) as resolver:
        within("life", verdicts.life(one(name)), 8, 3600)
        change(resolver, "kbv:", "    kbv-max-ttl: 7", "    kbv-rrtype: 65301")
        control(resolver, "reload")
        wait_until_up(resolver)
        reply = dig(name, "TYPE65301")
        found = [verdicts.decode(record.octets) for record in reply.records("TYPE65301")]
        same("statuses", [row["status"] for row in found], ["PUBLISHED"])
        same("life", verdicts.life(found[0]), 7)
        same("records of the old type", dig(name, RRTYPE).records(RRTYPE), [])


def fast_reload(described, world):
    """The same with the reload that does not stop the threads (Unbound 1.23 and newer)."""
    name = world.cases["joineui-b"]["name"]
    with Resolver(described, extra=["server:", "    num-threads: 2"]) as resolver:
        before = one(name)
        control(resolver, "fast_reload")
        after = one(name)
        same("statuses", (before["status"], after["status"]), ("PUBLISHED", "PUBLISHED"))
        for _ in range(3):
            control(resolver, "fast_reload")
            same("status", one(world.cases["netid-a"]["name"])["status"], "PUBLISHED")
        assert resolver.process.poll() is None, "the daemon has ended"


def told_when_dropped(described, questions, verb):
    """What each client is told whose verdict is under way when all are dropped; None if that was too
    late on a busy machine: a verdict ends after four and a half seconds."""
    with Resolver(described, extra=PATIENT) as resolver, ThreadPoolExecutor() as pool:
        before = resolver.statistics()["total.num.queries"]
        began = time.monotonic()
        asked = [pool.submit(wire.exchange, *question, tcp=False) for question in questions]
        while resolver.statistics()["total.num.queries"] < before + len(questions):
            assert time.monotonic() < began + 60, "not all have arrived"
        control(resolver, *verb.split())
        in_time = time.monotonic() < began + 2.5
        replies = [one_asked.result() for one_asked in asked]
        return replies if in_time else None


def told_so(described, world, verb):
    """Verdicts are under way, and dropped: each client is told to use TCP, by a reply with nothing in
    it that a cache could keep, and need not wait until it gives up."""
    name = world.cases["silent-endpoint"]["name"]
    digest = world.certs["js-v"]["spki-sha256"]
    questions = ((name, "TYPE65300", None),
                 (name, "TYPE65300", spec.request("spki-sha256", digest)),
                 (f"_kbv.{name}", "TXT", None),
                 (spec.digest_name("spki-sha256", digest, name), "TYPE65300", None))
    for _ in range(5):
        replies = told_when_dropped(described, questions, verb)
        if replies is None:
            continue
        for question, reply in zip(questions, replies):
            _, flags, *counts = struct.unpack_from(">6H", reply)
            same(f"what {question[:2]} was told",
                 (flags & TC, flags & 15, counts, wire.options(reply)), (TC, 0, [1, 0, 0, 1], []))
        return
    raise AssertionError("five times too late")


def main():
    suite = tap.Suite("outage")
    described = programs.world()
    world = verdicts.World(described)
    tests = [
        ("an authority dies: good verdicts stay, TEMPFAIL comes in time, recovery by itself",
         dies_and_comes_back),
        ("a silent authority: TEMPFAIL in time, recovery by itself", silent_authority),
        ("one of two authorities dies: nothing is lost", one_of_two),
        ("no authority in reach: TEMPFAIL, recovery by itself", root_gone),
        ("verdicts after unbound-control reload", reload_keeps_working),
        ("changed options after unbound-control reload", reload_takes_options)]
    verbs = ["reload", "flush_requestlist"]
    if programs.knows_fast_reload():
        tests.append(("verdicts after unbound-control fast_reload", fast_reload))
        verbs.append("fast_reload +d")
    tests += [(f"who waits for a verdict is told to use TCP: {verb}",
               functools.partial(told_so, verb=verb)) for verb in verbs]
    for name, function in tests:
        suite.test(name, function, described, world)
    suite.finish()


main()
