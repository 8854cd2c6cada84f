# SPDX-License-Identifier: BSD-3-Clause
"""One client's verdict is never given to another."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

from kbvtest import programs, spec, tap, verdicts
from kbvtest.clients import RRTYPE, dig, kdig
from kbvtest.resolver import Resolver
from kbvtest.tap import same

OWNER = "_8003._tcp.js1.op-a.example."
CASE = "joineui-a"
KEYS = {"js1.current": "BOUND", "js1.next": "BOUND", "other": "NOT_BOUND", "js-b": "NOT_BOUND",
        None: "PUBLISHED"}


def ask(world, client, rrtype, name, by_name=False):
    """The option's verdict for the key of a certificate (None: no key), or that of its name."""
    digest = name and world.certs[name]["spki-sha256"]
    if by_name:
        reply = client(spec.digest_name("spki-sha256", digest, OWNER), rrtype, patience_s=30)
        return [digest, *map(verdicts.decode, reply.verdicts)]
    request = spec.request("spki-sha256", digest) if name else spec.request()
    reply = client(OWNER, rrtype, request, patience_s=30)
    return [digest, verdicts.decode(reply.option)]


def check(world, name, answer):
    digest, found = answer
    same(f"status for {name}", found["status"], KEYS[name])
    same("subject", found["subject"], digest.hex() if digest else None)


def at_once(world, questions):
    """Asks all at the same time and judges each answer."""
    with ThreadPoolExecutor(len(questions)) as pool:
        asked = [(name, pool.submit(ask, world, client, rrtype, name, by_name))
                 for client, rrtype, name, by_name in questions]
        for name, answer in asked:
            check(world, name, answer.result())


def mixed(rrtype):
    return [(client, rrtype, name, False) for name in KEYS for client in (dig, kdig)]


def in_flight(described, world, questions):
    """The authority keeps silent until all wait for the same name."""
    ctl = str(programs.TREE / "tests/world/ctl")
    with Resolver(described):
        dig("op-a.example.", "DNSKEY")
        subprocess.run([ctl, "pause", "op-a"], check=True)
        waker = subprocess.Popen(["sh", "-c", f"sleep 1; exec {ctl} resume op-a"])
        try:
            at_once(world, questions)
        finally:
            waker.wait()


def cached(described, world, questions):
    with Resolver(described):
        dig(OWNER)
        for _ in range(10):
            at_once(world, questions)


def other_types(described, world):
    """On any other query type the option is ignored."""
    request = spec.request("spki-sha256", world.certs["js1.current"]["spki-sha256"])
    with Resolver(described):
        for rrtype in ("A", "AAAA", "SRV", "TXT", "ANY", "NAPTR"):
            for name in ("js1.op-a.example.", OWNER):
                reply = dig(name, rrtype, request)
                same(f"options in the reply to {name} {rrtype}", reply.options, [])


def not_asked_for(described, world):
    """Who sends no option gets none, before and after somebody else did."""
    with Resolver(described):
        for _ in range(2):
            for rrtype in (RRTYPE, "TLSA"):
                for client in (dig, kdig):
                    same("options in the reply", client(OWNER, rrtype).options, [])
                    check(world, "js1.current", ask(world, client, rrtype, "js1.current"))


def main():
    suite = tap.Suite("clients")
    described = programs.world()
    world = verdicts.World(described)
    both_forms = mixed(RRTYPE) + [(client, RRTYPE, name, True) for name in KEYS if name
                                  for client in (dig, kdig)]
    suite.test("different keys on one pending name", in_flight, described, world, mixed(RRTYPE))
    suite.test("different keys on one pending TLSA query", in_flight, described, world,
               mixed("TLSA"))
    suite.test("both keyed forms on one pending name", in_flight, described, world, both_forms)
    suite.test("different keys on one cached name", cached, described, world, both_forms)
    suite.test("different keys on one cached TLSA RRset", cached, described, world, mixed("TLSA"))
    suite.test("the option is ignored on other query types", other_types, described, world)
    suite.test("no option without asking", not_asked_for, described, world)
    suite.finish()


main()
