# SPDX-License-Identifier: BSD-3-Clause
"""The stack `kbv validator cachedb iterator` with Redis: sub-answers are shared and validated again,
verdicts are not stored, and a Redis that goes away does no harm."""

import time

from kbvtest import programs, spec, tap, verdicts
from kbvtest.clients import RRTYPE, dig
from kbvtest.redis import PORT, Redis
from kbvtest.resolver import Resolver
from kbvtest.tap import same, within
from kbvworld import capture

# One of each sort is enough here: statuses that rest on proof, on its absence, on its failure.
CASES = ("joineui-a", "joineui-b", "netid-a", "sender", "deveui-ca", "unregistered", "unsigned-host",
         "bogus-tlsa", "stripped-naptr", "wrong-length", "rollover", "tlsa-alias", "servfail-srv")


def resolver(described):
    return Resolver(described, extra=[
        "server:", '    module-config: "kbv validator cachedb iterator"', "cachedb:",
        '    backend: "redis"', "    redis-server-host: 127.0.0.1", f"    redis-server-port: {PORT}",
        "    redis-timeout: 200"])


def statuses(case):
    return sorted(verdicts.decode(octets)["status"] for octets in
                  dig(case["name"], patience_s=30).verdicts)


def check_case(world, case):
    expected = sorted(row["status"] for row in case["expect"])
    same(f"statuses of {case['id']}", statuses(case), expected)
    digest = world.certs["js-v"]["spki-sha256"]
    row = spec.select(world.keyed(case, "spki-sha256", digest), keyed=True)
    found = verdicts.decode(dig(case["name"], RRTYPE, spec.request("spki-sha256", digest),
                                patience_s=30).option)
    same(f"keyed status of {case['id']}", found["status"], row["status"])


def each_case(described, world):
    with Redis(described), resolver(described):
        for name in CASES:
            check_case(world, world.cases[name])


def shared(described, world):
    """A second resolver finds the sub-answers in Redis, and its verdicts are as true."""
    case = world.cases["joineui-a"]
    with Redis(described) as redis:
        with resolver(described):
            same("statuses", statuses(case), ["PUBLISHED", "PUBLISHED"])
        assert int(redis.cli("dbsize")) > 3, "nothing was stored in Redis"
        with resolver(described):
            since = capture.position(described["capture"])
            for _ in range(2):
                same("statuses", statuses(case), ["PUBLISHED", "PUBLISHED"])
            digest = world.certs["js1.next"]["spki-sha256"]
            reply = dig(case["name"], RRTYPE, spec.request("spki-sha256", digest))
            same("status", verdicts.decode(reply.option)["status"], "BOUND")
            asked = [(query.name, query.type) for query in
                     capture.queries(described["capture"], since)
                     if query.type in ("NAPTR", "SRV", "TLSA")]
            same("asked although Redis has it", asked, [])


def not_stored(described, world):
    """What is in Redis does not grow by verdicts: neither type 65300 nor a digest name."""
    case = world.cases["literal-server"]
    with Redis(described) as redis, resolver(described):
        dig(case["name"], "TLSA")
        for key in ("js1.next", "other"):
            digest = world.certs[key]["spki-sha256"]
            dig(case["name"], "TLSA", spec.request("spki-sha256", digest))
        before = redis.cli("dbsize")
        for key in ("js1.next", "other"):
            digest = world.certs[key]["spki-sha256"]
            dig(case["name"])
            dig(spec.digest_name("spki-sha256", digest, case["name"]))
            dig(spec.digest_name("spki-sha256", digest, case["name"]), "TXT")
        same("entries", redis.cli("dbsize"), before)


def poisoned(described, world):
    """Redis is not believed: what somebody wrote there is validated, or asked for again."""
    case = world.cases["literal-server"]
    with Redis(described) as redis:
        with resolver(described):
            same("statuses", statuses(case), ["PUBLISHED"])
        for key in redis.cli("--raw", "keys", "*").split():
            # Every key gets the contents of one entry: answers to other questions.
            redis.cli("copy", redis.cli("--raw", "randomkey"), key, "replace")
        with resolver(described):
            found = statuses(case)
            assert found in (["PUBLISHED"], ["BOGUS"], ["TEMPFAIL"]), found
            digest = world.certs["other"]["spki-sha256"]
            reply = dig(case["name"], RRTYPE, spec.request("spki-sha256", digest))
            assert verdicts.decode(reply.option)["status"] != "BOUND", "a stranger's key is BOUND"


def goes_away(described, world):
    """Without Redis verdicts come from the network, and so they do when it is back but empty."""
    with Redis(described) as redis, resolver(described):
        check_case(world, world.cases["joineui-a"])
        redis.stop()
        start = time.monotonic()
        check_case(world, world.cases["joineui-b"])
        check_case(world, world.cases["unregistered"])
        within("seconds without Redis", time.monotonic() - start, 0, 20)
        with redis:
            check_case(world, world.cases["netid-a"])
            check_case(world, world.cases["sender"])


def main():
    suite = tap.Suite("cachedb")
    described = programs.world()
    world = verdicts.World(described)
    for name, function in [
            ("verdicts of every sort with Redis in the stack", each_case),
            ("sub-answers are shared through Redis", shared),
            ("verdicts are not stored in Redis", not_stored),
            ("what others put into Redis makes no verdict", poisoned),
            ("Redis goes away and comes back", goes_away)]:
        suite.test(name, function, described, world)
    suite.finish()


main()
