# SPDX-License-Identifier: BSD-3-Clause
"""unbound-control at a running resolver: what verdicts rely on cannot be changed behind their back,
and what was learnt under another configuration is no verdict under this one."""

import subprocess
from pathlib import Path

from kbvtest import programs, spec, tap, verdicts
from kbvtest.clients import RRTYPE, dig
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvworld import capture

PLANTED = "_443._tcp.none.planted.example."  # it publishes a record of type 65300, and no TLSA
RELOADS = ("reload", "reload_keep_cache")
FAST_RELOADS = ("fast_reload", "fast_reload +p")
# What unbound-checkconf refuses, and the value that the resolver goes on with.
FIXED = {
    "val-permissive-mode": ("yes", "no"),
    "val-override-date": ("20260101000000", "0"),
    "serve-expired": ("yes", "no"),
    "serve-expired-ttl": ("0", "3600"),
    "serve-expired-ttl-reset": ("yes", "no"),
}


def control(resolver, *words):
    """Exit status and output of unbound-control."""
    done = subprocess.run([str(programs.CONTROL), "-c", str(resolver.conf), *words], check=False,
                          capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr).strip()


def knows_fast_reload():
    """Unbound 1.23 and newer."""
    usage = subprocess.run([str(programs.CONTROL), "-h"], check=False, capture_output=True,
                           text=True)
    return "fast_reload" in usage.stdout + usage.stderr


def reload(resolver, verb, old="", new=""):
    """Reloads, with old replaced by new in the configuration; returns once it answers again."""
    text = resolver.conf.read_text()
    assert old in text, f"no {old!r} in the configuration"
    resolver.conf.write_text(text.replace(old, new) if old else text + new)
    status, output = control(resolver, *verb.split())
    same(f"exit status of unbound-control {verb}: {output}", status, 0)
    resolver.ask("localhost.", "A")


def statuses(name, rrtype=RRTYPE):
    reply = dig(name, rrtype, patience_s=30)
    return [verdicts.decode(record.octets)["status"] for record in reply.records(rrtype)]


def keyed(world, name, rrtype=RRTYPE):
    """The status for the key that is bound."""
    request = spec.request("spki-sha256", world.certs["js1.next"]["spki-sha256"])
    return verdicts.decode(dig(name, rrtype, request, patience_s=30).option)["status"]


def set_option_refused(described, world, option):
    wrong, right = FIXED[option]
    extra = [*PATIENT, "    serve-expired-ttl: 3600"]
    with Resolver(described, extra=extra) as resolver:
        status, output = control(resolver, "set_option", f"{option}:", wrong)
        assert status != 0, f"set_option {option}: {wrong} is accepted: {output}"
        assert option in output and "configuration file" in output, f"no reason in: {output}"
        same(f"{option} afterwards", control(resolver, "get_option", option), (0, right))
        same("a bogus TLSA record", statuses(world.cases["bogus-tlsa"]["name"]), ["BOGUS"])


def set_option_with_cachedb(described, world):
    """With cachedb a record must not be held longer than its TTL: nobody could tell its age."""
    # Without a backend of its own cachedb stores in itself.
    stack = '    module-config: "kbv validator cachedb iterator"'
    with Resolver(described, extra=[*PATIENT, stack]) as resolver:
        for option, wrong, right in [("cache-min-ttl", "60", "0"),
                                     ("serve-original-ttl", "yes", "no")]:
            status, output = control(resolver, "set_option", f"{option}:", wrong)
            assert status != 0 and option in output, f"set_option {option}: {output}"
            same(f"{option} afterwards", control(resolver, "get_option", option), (0, right))
        same("a verdict", statuses(world.cases["literal-server"]["name"]), ["PUBLISHED"])
    with Resolver(described) as resolver:
        same("without cachedb", control(resolver, "set_option", "cache-min-ttl:", "60"), (0, "ok"))


def set_option_of_others(described, _):
    """Options that verdicts do not rely on, and all of them without kbv, change as ever."""
    with Resolver(described) as resolver:
        same("set_option", control(resolver, "set_option", "prefetch:", "yes"), (0, "ok"))
        same("get_option", control(resolver, "get_option", "prefetch"), (0, "yes"))
    stock = described | {"kbv_zones": [], "kbv_require_secure": []}
    with Resolver(stock, extra=["server:", '    module-config: "validator iterator"']) as resolver:
        text = resolver.conf.read_text()
        assert "kbv-zone" not in text
        for option, (wrong, _) in FIXED.items():
            same(f"set_option {option}", control(resolver, "set_option", f"{option}:", wrong),
                 (0, "ok"))


def kept(described, world, verb):
    """The caches do survive: else the tests below would show nothing."""
    name = world.cases["literal-server"]["name"]
    with Resolver(described) as resolver:
        same("before", statuses(name), ["PUBLISHED"])
        since = capture.position(described["capture"])
        reload(resolver, verb)
        same("after", statuses(name), ["PUBLISHED"])
        asked = [(query.name, query.type) for query in capture.queries(described["capture"], since)]
        same("asked although it is in the cache", [row for row in asked if row[1] == "TLSA"], [])


def other_zones(described, world, verb):
    """The name of a JoinEUI is a literal owner like any other once its zone is not configured."""
    name = world.cases["joineui-a"]["name"]
    zone = next(line for line in described["kbv_zones"] if line.startswith("joineuis.lora"))
    with Resolver(described, extra=PATIENT) as resolver:
        same("before", statuses(name), ["PUBLISHED", "PUBLISHED"])
        same("before, keyed", keyed(world, name), "BOUND")
        reload(resolver, verb, f'    kbv-zone: "{zone}"\n')
        same("after", statuses(name), ["NO_BINDING"])
        same("after, keyed", keyed(world, name), "NO_BINDING")
        reload(resolver, verb, "kbv:\n", f'kbv:\n    kbv-zone: "{zone}"\n')
        same("when it is back", statuses(name), ["PUBLISHED", "PUBLISHED"])


def other_anchor(described, world, verb):
    """What was validated with a trust anchor that is no more is not secure any longer."""
    name = world.cases["literal-server"]["name"]
    digest_name = spec.digest_name("spki-sha256", world.certs["js1.next"]["spki-sha256"], name)
    wrong = Path(described["dir"]) / "other-anchor"
    wrong.write_text(f". IN DS 4711 13 2 {'5a' * 32}\n")
    with Resolver(described, extra=PATIENT) as resolver:
        same("before", statuses(name), ["PUBLISHED"])
        same("before, keyed", (keyed(world, name), keyed(world, name, "TLSA")), ("BOUND", "BOUND"))
        same("before, by name", statuses(digest_name), ["BOUND"])
        reload(resolver, verb, described["anchor"], str(wrong))
        same("after", statuses(name), ["BOGUS"])
        same("after, keyed", (keyed(world, name), keyed(world, name, "TLSA")), ("BOGUS", "BOGUS"))
        same("after, by name", statuses(digest_name), ["BOGUS"])
        reload(resolver, verb, str(wrong), described["anchor"])
        same("with the right one", statuses(name), ["PUBLISHED"])


def insecure_now(described, world, verb):
    """domain-insecure holds for what was secure before, too."""
    name = world.cases["literal-server"]["name"]
    with Resolver(described, extra=PATIENT) as resolver:
        same("before", (statuses(name), keyed(world, name, "TLSA")), (["PUBLISHED"], "BOUND"))
        reload(resolver, verb, new='server:\n    domain-insecure: "op-a.example"\n')
        same("after", (statuses(name), keyed(world, name, "TLSA")), (["INSECURE"], "INSECURE"))


def planted(described, _, verb):
    """A record of the network, cached while its type was nobody's, is no verdict when it is ours."""
    moved = "    kbv-rrtype: 65301\n"
    with Resolver(described, extra=[*PATIENT, "kbv:", moved.rstrip()]) as resolver:
        reply = dig(PLANTED, RRTYPE, patience_s=30)
        assert reply.records(RRTYPE), "the zone publishes no type 65300 any more"
        assert "ad" in reply.flags, "the planted record is not secure"
        reload(resolver, verb, moved)
        same("status", statuses(PLANTED), ["NO_BINDING"])


def main():
    suite = tap.Suite("control")
    described = programs.world()
    world = verdicts.World(described)
    for option in FIXED:
        suite.test(f"set_option {option} is refused", set_option_refused, described, world, option)
    suite.test("set_option of what hides a record's age is refused with cachedb",
               set_option_with_cachedb, described, world)
    suite.test("set_option of other options, and without kbv", set_option_of_others, described,
               world)
    fast = FAST_RELOADS if knows_fast_reload() else ()
    for verb in ("reload_keep_cache", *fast):
        suite.test(f"{verb} keeps the caches", kept, described, world, verb)
    for verb in RELOADS:
        suite.test(f"{verb}: a zone of ours taken away", other_zones, described, world, verb)
        suite.test(f"{verb}: a planted record of what is our type now", planted, described, world,
                   verb)
    for verb in (*RELOADS, *fast):
        suite.test(f"{verb}: another trust anchor", other_anchor, described, world, verb)
        suite.test(f"{verb}: a domain insecure from now on", insecure_now, described, world, verb)
    suite.finish()


main()
