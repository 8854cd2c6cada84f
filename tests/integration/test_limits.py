# SPDX-License-Identifier: BSD-3-Clause
"""How many chains are verified for whom, and what is kept of it."""

import itertools
import os
import shutil
import subprocess
import time
from pathlib import Path

from kbvtest import programs, tap, verdicts, wire
from kbvtest.chains import Chains, made_up
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvworld import capture

FAR, FAR6 = capture.SERVICE
OTHER6 = capture.OUTGOING[1]                # in the same /64 as FAR6
JS2 = "_443._tcp.js2.op-a.example."         # TLSA 2 0 1 of operator A's CA
JS1 = "_8003._tcp.js1.op-a.example."        # TLSA 3 1 1
PKIX = "_443._tcp.pkix.op-v.example."       # TLSA 0 0 1 of operator A's CA, and 1 1 1
TYPES = ("TYPE65300", "TLSA")
SHARE, BURST = 5, 40
PROXY_PORT = 5399
TOO_MANY = "too many chain verifications"


def limited(share=SHARE, *more):
    """No table: every question needs the verification."""
    return [*PATIENT, *more, "kbv:", "    kbv-cache-size: 0", f"    kbv-chain-ratelimit: {share}"]


def burst(request, rrtype="TYPE65300", name=JS2, n=BURST, **where):
    """n questions one after the other: how many were BOUND, and in how many seconds of the clock."""
    start, bound = int(time.time()), 0
    for _ in range(n):
        found = verdicts.decode(wire.ask(name, rrtype, request, **where))
        if found["status"] == "BOUND":
            bound += 1
            continue
        same("beyond the limit", (found["status"], found["reason"], found["ede"]),
             ("REFUSED", TOO_MANY, 18))
        same("its flags and life", (found["flags"], verdicts.life(found)), (["keyed"], 0))
        assert found["subject"], "the refusal does not say whose chain it was"
    return bound, int(time.time()) - start + 1


def served(what, bound, seconds, share=SHARE, n=BURST):
    assert bound >= min(share, n), f"{what}: only {bound} of {share} in a second"
    assert bound <= share * seconds, f"{what}: {bound} in {seconds} s"
    assert bound < n, f"{what}: no limit"


def refused_beyond_the_share(described, chains):
    """From the cache and from the mesh; over the limit in one type is over it in the other."""
    request = chains.request("js2", "ca.op-a")
    for more in ((), ("server:", "    cache-max-ttl: 0")):
        with Resolver(described, extra=limited(SHARE, *more)):
            for number, rrtype in enumerate(TYPES):
                served(f"{rrtype} {more}", *burst(request, rrtype, source=f"127.0.1.{number + 1}"))
    with Resolver(described, extra=limited()):
        bound, seconds = 0, 0
        for rrtype in TYPES * 4:
            more_bound, took = burst(request, rrtype, n=BURST // 4)
            bound, seconds = bound + more_bound, seconds + took
        served("both types", bound, seconds, n=2 * BURST)


def no_other_client_is(described, chains):
    """Another client has its own share at once, whatever the first one does."""
    request = chains.request("js2", "ca.op-a")
    with Resolver(described, extra=limited()):
        burst(request, source="127.0.1.1")
        for number in range(2, 12):
            refused = verdicts.decode(wire.ask(JS2, "TYPE65300", request, source="127.0.1.1"))
            found = verdicts.decode(wire.ask(JS2, "TYPE65300", request,
                                             source=f"127.0.1.{number}"))
            same(f"beside {refused['status']}", found["status"], "BOUND")


def one_network_is_one_client(described, chains):
    """Two addresses of one /64."""
    request = chains.request("js2", "ca.op-a")
    with Resolver(described, extra=limited()):
        bound, seconds = 0, 0
        for source in (FAR6, OTHER6) * 4:
            more_bound, took = burst(request, n=BURST // 4, server=FAR6, source=source)
            bound, seconds = bound + more_bound, seconds + took
        served("the /64", bound, seconds, n=2 * BURST)


def behind_a_proxy(described, chains):
    """Clients are told apart by the address that the proxy gives."""
    request = chains.request("js2", "ca.op-a")
    more = ("server:", f"    interface: {FAR}@{PROXY_PORT}", f"    proxy-protocol-port: {PROXY_PORT}")
    with Resolver(described, extra=limited(SHARE, *more)):
        how = {"server": FAR, "port": PROXY_PORT}
        served("one client", *burst(request, preface=wire.proxied("198.51.100.1"), **how))
        for number in range(2, 2 + BURST):
            found = verdicts.decode(wire.ask(
                JS2, "TYPE65300", request, preface=wire.proxied(f"198.51.100.{number}"), **how))
            if number < 2 + SHARE:
                same("another client", found["status"], "BOUND")


def what_is_cheap_is_served(described, chains):
    """Usage 3 with the chain at hand, and what the table knows, do not count."""
    with Resolver(described, extra=[*PATIENT, "kbv:", "    kbv-chain-ratelimit: 1"]):
        for rrtype in TYPES:
            for _ in range(BURST):
                found = verdicts.decode(wire.ask(JS1, rrtype, chains.request("js1.next")))
                same("usage 3", found["status"], "BOUND")
        first = verdicts.decode(wire.ask(JS2, "TYPE65300", chains.request("js2", "ca.op-a")))
        same("the first", first["status"], "BOUND")
        for _ in range(BURST):
            found = verdicts.decode(wire.ask(JS2, "TYPE65300", chains.request("js2", "ca.op-a")))
            same("from the table", (found["status"], found["not_after"]),
                 ("BOUND", first["not_after"]))


def without_a_limit(described, chains):
    with Resolver(described, extra=limited(0)):
        bound, _ = burst(chains.request("js2", "ca.op-a"), n=150)
        same("of 150", bound, 150)


def another_bundle(described, chains):
    """After a reload with other CA certificates nothing is left of what the old ones said."""
    bundle = Path(described["dir"]) / "bundle.pem"
    shutil.copy(chains.files["ca.op-a"], bundle)
    request = chains.request("pkix", "ca.op-a")
    with Resolver(described, extra=[*PATIENT, "kbv:", f"    kbv-ca-bundle: \"{bundle}\""]) as handle:
        def ask():
            return [verdicts.decode(wire.ask(PKIX, rrtype, request))["status"] for rrtype in TYPES]
        same("with ca.op-a", ask(), ["BOUND"] * 2)
        for ca, status in (("ca.op-b", "NOT_BOUND"), ("ca.op-a", "BOUND")):
            shutil.copy(chains.files[ca], bundle)
            subprocess.run([str(programs.CONTROL), "-c", str(handle.conf), "reload_keep_cache"],
                           check=True, capture_output=True)
            time.sleep(0.5)
            same(f"with {ca}", ask(), [status] * 2)


def many_chains(described, chains):
    """Chains that are never the same twice: memory stays within kbv-cache-size."""
    others = [made_up(n) for n in range(40)]
    pairs = itertools.permutations(others, 2)

    def ask():
        found = verdicts.decode(wire.ask(JS2, "TYPE65300",
                                         chains.request("js2", "ca.op-a", more=next(pairs))))
        same("status", found["status"], "BOUND")
    # What is freed must be free for the next one: AddressSanitizer keeps it back otherwise.
    os.environ["ASAN_OPTIONS"] = ":".join(
        [*filter(None, [os.environ.get("ASAN_OPTIONS")]), "quarantine_size_mb=0",
         "thread_local_quarantine_size_kb=0"])
    with Resolver(described, extra=[*PATIENT, "kbv:", "    kbv-cache-size: 64k",
                                    "    kbv-chain-ratelimit: 0"]) as handle:
        def resident():
            pages = Path(f"/proc/{handle.process.pid}/statm").read_text().split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        for _ in range(100):  # what is allocated once is allocated then
            ask()
        before = resident()
        for _ in range(1400):
            ask()
        assert resident() - before < 1 << 20, f"{resident() - before} octets more than before"


def main():
    suite = tap.Suite("limits")
    described = programs.world()
    chains = Chains(described)
    for name, function in [
            ("beyond its share a client is refused", refused_beyond_the_share),
            ("one client's refusals are no other's", no_other_client_is),
            ("the addresses of a /64 are one client", one_network_is_one_client),
            ("clients behind a proxy are told apart", behind_a_proxy),
            ("what is cheap is never refused", what_is_cheap_is_served),
            ("no limit", without_a_limit),
            ("other CA certificates after a reload", another_bundle),
            ("memory is bounded", many_chains)]:
        suite.test(name, function, described, chains)
    suite.finish()


main()
