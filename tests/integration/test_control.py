# SPDX-License-Identifier: BSD-3-Clause
"""unbound-control at a running resolver: what verdicts rely on cannot be changed behind their back,
and what was learnt under another configuration is no verdict under this one."""

import contextlib
import re
import ssl
import struct
import subprocess
import threading
import time
from pathlib import Path

from kbvtest import programs, spec, tap, verdicts, wire
from kbvtest.clients import RRTYPE, dig
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvtest.verdicts import kbv_decode
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


def reload(resolver, verb, old="", new=""):
    """Reloads, with old replaced by new in the configuration; returns once it answers again."""
    text = resolver.conf.read_text()
    assert old in text, f"no {old!r} in the configuration"
    resolver.conf.write_text(text.replace(old, new) if old else text + new)
    status, output = resolver.control(*verb.split())
    same(f"exit status of unbound-control {verb}: {output}", status, 0)
    resolver.ask("localhost.", "A")


def statuses(name, rrtype=RRTYPE):
    reply = dig(name, rrtype, patience_s=30)
    return [verdicts.decode(record.octets)["status"] for record in reply.records(rrtype)]


def keyed(world, name, rrtype=RRTYPE):
    """The status for the key that is bound."""
    request = spec.request("spki-sha256", world.certs["js1.next"]["spki-sha256"])
    return verdicts.decode(dig(name, rrtype, request, patience_s=30).option)["status"]


def issued(name, rrtype=RRTYPE):
    """When the verdicts of an answer were issued, epoch."""
    reply = wire.exchange(name, rrtype, timeout_s=60)
    found = [verdicts.decode(one)["issued"] for one in kbv_decode.from_message(reply)]
    found += [text.decode() for text in re.findall(rb"issued=([-0-9:TZ]{20})", reply)]
    assert found, f"no verdict in the reply to {name} {rrtype}"
    return max(verdicts.epoch(text) for text in found)


def set_option_refused(described, world, option):
    wrong, right = FIXED[option]
    extra = [*PATIENT, "    serve-expired-ttl: 3600"]
    with Resolver(described, extra=extra) as resolver:
        status, output = resolver.control("set_option", f"{option}:", wrong)
        assert status != 0, f"set_option {option}: {wrong} is accepted: {output}"
        assert option in output and "configuration file" in output, f"no reason in: {output}"
        same(f"{option} afterwards", resolver.control("get_option", option), (0, right))
        same("a bogus TLSA record", statuses(world.cases["bogus-tlsa"]["name"]), ["BOGUS"])


def set_option_with_cachedb(described, world):
    """With cachedb a record must not be held longer than its TTL: nobody could tell its age."""
    # Without a backend of its own cachedb stores in itself.
    stack = '    module-config: "kbv validator cachedb iterator"'
    with Resolver(described, extra=[*PATIENT, stack]) as resolver:
        for option, wrong, right in [("cache-min-ttl", "60", "0"),
                                     ("serve-original-ttl", "yes", "no")]:
            status, output = resolver.control("set_option", f"{option}:", wrong)
            assert status != 0 and option in output, f"set_option {option}: {output}"
            same(f"{option} afterwards", resolver.control("get_option", option), (0, right))
        same("a verdict", statuses(world.cases["literal-server"]["name"]), ["PUBLISHED"])
    with Resolver(described) as resolver:
        same("without cachedb", resolver.control("set_option", "cache-min-ttl:", "60"), (0, "ok"))


def set_option_of_others(described, _):
    """Options that verdicts do not rely on, and all of them without kbv, change as ever."""
    with Resolver(described) as resolver:
        same("set_option", resolver.control("set_option", "prefetch:", "yes"), (0, "ok"))
        same("get_option", resolver.control("get_option", "prefetch"), (0, "yes"))
    stock = described | {"kbv_zones": [], "kbv_require_secure": []}
    with Resolver(stock, extra=["server:", '    module-config: "validator iterator"']) as resolver:
        text = resolver.conf.read_text()
        assert "kbv-zone" not in text
        for option, (wrong, _) in FIXED.items():
            same(f"set_option {option}", resolver.control("set_option", f"{option}:", wrong),
                 (0, "ok"))


def security_of(resolver, name, rrtype="TLSA"):
    """As the message cache has it: 5 is secure, 0 not validated yet."""
    status, dump = resolver.control("dump_cache")
    same("exit status of dump_cache", status, 0)
    # msg NAME CLASS TYPE FLAGS QDCOUNT TTL SECURITY …
    return [words[7] for words in map(str.split, dump.splitlines())
            if words[:1] == ["msg"] and words[1] == name and words[3] == rrtype]


def kept(described, world, verb):
    """The caches do survive: else the tests below would show nothing. What was validated counts as
    validated: nobody has to wait for that again, as the trust anchors are the same."""
    name = world.cases["literal-server"]["name"]
    with Resolver(described) as resolver:
        same("before", statuses(name), ["PUBLISHED"])
        same("security before", security_of(resolver, name), ["5"])
        reload(resolver, verb)
        same("security after", security_of(resolver, name), ["5"])
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


# ----------------------------------------------------------------------------- verdicts forgotten

def forms(world, name):
    """Every question whose answer is kept."""
    digest = world.certs["js1.next"]["spki-sha256"]
    digest_name = spec.digest_name("spki-sha256", digest, name)
    return [(name, RRTYPE), (digest_name, RRTYPE), (digest_name, "TXT")]


def next_second():
    now = int(time.time())
    while int(time.time()) == now:
        time.sleep(0.02)


def flush(resolver, *words):
    """How many answers it took away."""
    status, output = resolver.control("kbv_flush", *words)
    found = re.fullmatch(r"ok removed (\d+) messages", output)
    assert status == 0 and found, f"kbv_flush {words}: {output}"
    return int(found[1])


def forgotten(described, world):
    """After kbv_flush the next answers are new, all or those of one name; records stay."""
    one, other = (world.cases[case]["name"] for case in ("literal-server", "joineui-a"))
    with Resolver(described, extra=[*PATIENT, "    num-threads: 4", "    serve-expired: yes",
                                    "    serve-expired-ttl: 3600"]) as resolver:
        def all_issued(name):
            return [issued(*row) for row in forms(world, name)]
        for words, names in (((), (one, other)), ((one,), (one,)), ((one.rstrip("."),), (one,)),
                             ((other.upper(),), (other,)), ((forms(world, one)[1][0],), (one,)),
                             ((f"_kbv.{other}",), (other,))):
            before = {name: all_issued(name) for name in (one, other)}
            next_second()
            same("from the cache", {name: all_issued(name) for name in (one, other)}, before)
            since = capture.position(described["capture"])
            same(f"kbv_flush {words}", flush(resolver, *words), 3 * len(names))
            for name in (one, other):
                after = all_issued(name)
                if name in names:
                    assert min(after) > max(before[name]), f"kbv_flush {words}: {name} is not new"
                else:
                    same(f"kbv_flush {words}: {name}", after, before[name])
            same("asked upstream", [(query.name, query.type) for query in
                                    capture.queries(described["capture"], since)], [])
        flush(resolver)
        same("when there is none", flush(resolver), 0)
        same("of a name without any", flush(resolver, "nobody.example"), 0)


def forgotten_by_all_threads(described, world):
    """Whichever thread answers, and whoever is asking meanwhile."""
    name = world.cases["literal-server"]["name"]
    stop, failures = threading.Event(), []
    with Resolver(described, extra=[*PATIENT, "    num-threads: 4"]) as resolver:
        def keep_asking():
            while not stop.is_set():
                try:
                    issued(name)
                except AssertionError as error:
                    failures.append(str(error))
        issued(name)
        askers = [threading.Thread(target=keep_asking) for _ in range(4)]
        for asker in askers:
            asker.start()
        try:
            for _ in range(5):
                next_second()
                flush(resolver)
                now = int(time.time())
                for _ in range(20):  # each by another connection, and so by another thread
                    assert issued(name) >= now - 1, "a verdict from before"
        finally:
            stop.set()
            for asker in askers:
                asker.join()
        same("failures", failures, [])


@contextlib.contextmanager
def flushed_meanwhile(resolver, name):
    """A verdict on name is in progress, and was when kbv_flush came."""
    got = []
    asker = threading.Thread(target=lambda: got.append(sorted(statuses(name))))
    asker.start()
    deadline = time.monotonic() + 60
    while not resolver.statistics()["kbv.pending"]:
        assert time.monotonic() < deadline, "nothing is pending"
    same("kbv_flush", flush(resolver), 0)
    yield
    asker.join()
    same("the answer", got, [["PUBLISHED", "TEMPFAIL"]])


def not_kept(described, world):
    """What was in progress is answered, and the next one begins anew."""
    with Resolver(described, extra=PATIENT) as resolver:
        with flushed_meanwhile(resolver, world.cases["silent-endpoint"]["name"]):
            pass
        same("kept", flush(resolver), 0)


def not_kept_under_a_digest(described, world):
    """A question asked after the flush and answered out of a verdict from before it."""
    name = world.cases["silent-endpoint"]["name"]
    digest_name = spec.digest_name("spki-sha256", world.certs["js-v"]["spki-sha256"], name)
    for _ in range(5):
        with Resolver(described, extra=PATIENT) as resolver:
            with flushed_meanwhile(resolver, name):
                same("by digest", sorted(statuses(digest_name)), ["BOUND", "TEMPFAIL"])
            if resolver.statistics()["kbv.limit.deadline"] > 1:
                continue  # it came too late to be answered out of that one, on a busy machine
            same("kept", flush(resolver), 0)
            return
    raise AssertionError("five times too late")


def flush_errors(described, _):
    with Resolver(described) as resolver:
        for words in (("a.example", "b.example"), ("..",), ("a..b",), ("x" * 64 + ".example",),
                      (".".join(["label" * 10] * 6),), ("a" * 900,)):
            status, output = resolver.control("kbv_flush", *words)
            assert status != 0 and output.startswith("error"), f"kbv_flush {words}: {output}"
        status, output = resolver.control("kbv_zones", "all")
        assert status != 0 and output.startswith("error"), f"kbv_zones all: {output}"


def chains_forgotten(described, _):
    """The table of what was found for chains is emptied too, whichever name is given."""
    der = ssl.PEM_cert_to_DER_cert
    chain = [der(Path(described["certs"][name]["cert"]).read_text()) for name in ("js2", "ca.op-a")]
    octets = spec.chain_material(chain)
    request = struct.pack(">BBBBH", 0x11, 0, 5, 0, len(octets)) + octets
    with Resolver(described, extra=PATIENT) as resolver:
        for words in ((), ("nobody.example",)):
            found = verdicts.decode(wire.ask("_443._tcp.js2.op-a.example.", RRTYPE, request,
                                             timeout_s=60))
            same("status", found["status"], "BOUND")
            same("entries", resolver.statistics()["kbv.cache.entries"], 1)
            flush(resolver, *words)
            same("entries afterwards", resolver.statistics()["kbv.cache.entries"], 0)


# ----------------------------------------------------------------------------------- what it tells

def zones(described, _):
    """The zones as kbv-zone takes them: given back, they are the same."""
    expected = {
        "joineuis.lora-alliance.org. joineui form=nibble lookup=service port=443",
        "netids.lora-alliance.org. netid form=flat lookup=service port=443",
        "_device.op-a.example. deveui form=flat lookup=identity",
        "_device.org-d.example. deveui form=flat lookup=identity",
        "deveuis.org-d.example. deveui form=nibble lookup=identity",
        "joineuis.strict.example. joineui form=nibble lookup=service port=443,8443",
    }
    for lines in (described["kbv_zones"], sorted(expected)):
        with Resolver(described | {"kbv_zones": lines}) as resolver:
            status, output = resolver.control("kbv_zones")
            same("kbv_zones", (status, set(output.splitlines())), (0, expected))
    with Resolver(described | {"kbv_zones": [], "kbv_require_secure": []}) as resolver:
        same("kbv_zones without any", resolver.control("kbv_zones"), (0, ""))


def without_kbv(described, _):
    stock = described | {"kbv_zones": [], "kbv_require_secure": []}
    with Resolver(stock, extra=["server:", '    module-config: "validator iterator"']) as resolver:
        for command in ("kbv_flush", "kbv_zones"):
            status, output = resolver.control(command)
            same(command, (status, output), (1, "error: kbv is not in module-config"))
        for record in (f"a.example TYPE65300 \\# 1 00", "_kbv.a.example A 192.0.2.1"):
            same(record, resolver.control("local_data", record), (0, "ok"))


def usage(described, _):
    done = subprocess.run([str(programs.CONTROL), "-h"], check=False, capture_output=True, text=True)
    for command in ("kbv_flush [name]", "kbv_zones"):
        assert f"  {command}" in done.stdout, f"the usage has no {command}"


# ------------------------------------------------------------------------------ what it must not do

OURS = ("a.example. TYPE65300 \\# 1 00", "_kbv.a.example. A 192.0.2.1",
        "x._KBV.a.example. 60 IN TXT status=BOUND", "s1._kbv.a.example. TYPE65300 \\# 1 00")
OTHERS = ("a.example. TYPE65301 \\# 1 00", "_kbvs.a.example. A 192.0.2.1", "kbv.a.example. A 192.0.2.1")
VIEW = ("view:", '    name: "theirs"')


def local_data(described, _):
    """What checkconf refuses in the file is refused at run time, one by one and from a list."""
    with Resolver(described, extra=[*PATIENT, *VIEW]) as resolver:
        def refused(what, found):
            status, output = found
            assert output.startswith("error") and "kbv alone" in output, f"{what}: {status} {output}"
        for words in (("local_data",), ("view_local_data", "theirs")):
            for record in OURS:
                refused(f"{words} {record}", resolver.control(*words, record))
            for record in OTHERS:
                same(f"{words} {record}", resolver.control(*words, record), (0, "ok"))
        for words in (("local_zone",), ("view_local_zone", "theirs")):
            for name in ("_kbv.a.example", "x._KBV.a.example."):
                refused(f"{words} {name}", resolver.control(*words, name, "static"))
            same(f"{words} kbv.b.example", resolver.control(*words, "kbv.b.example", "static"),
                 (0, "ok"))
        for words in (("local_datas",), ("view_local_datas", "theirs")):
            status, output = resolver.control(*words, lines=[*OURS, *OTHERS])
            same(f"{words}: {output}", (output.count("kbv alone"), output.splitlines()[-1]),
                 (len(OURS), f"added {len(OTHERS)} datas"))
        status, output = resolver.control("local_zones", lines=["_kbv.a.example static",
                                                                "c.example static"])
        same(f"local_zones: {output}", (output.count("kbv alone"), output.splitlines()[-1]),
             (1, "added 1 zones"))
        for name, rrtype in (("a.example.", RRTYPE), ("_kbv.a.example.", "TXT")):
            found = verdicts_or_text(name, rrtype)
            assert "BOUND" not in found, f"{name} {rrtype}: {found}"
    moved = ["kbv:", "    kbv-rrtype: 65301"]
    with Resolver(described, extra=[*PATIENT, *moved]) as resolver:
        same("a type that is not ours", resolver.control("local_data", OURS[0]), (0, "ok"))
        status, output = resolver.control("local_data", OTHERS[0])
        assert status != 0 and "65301" in output, f"{OTHERS[0]}: {status} {output}"


def verdicts_or_text(name, rrtype):
    reply = wire.exchange(name, rrtype, timeout_s=60)
    return [verdicts.decode(one)["status"] for one in kbv_decode.from_message(reply)] + \
        [word.decode() for word in re.findall(rb"status=([A-Z_]+)", reply)]


def loaded(described, world):
    """load_cache: a dump says that a bogus record is secure, and brings verdicts of its own."""
    name = world.cases["literal-server"]["name"]
    planted = "_443._tcp.none.planted.example."
    with Resolver(described, extra=PATIENT) as resolver:
        same("before", statuses(name), ["PUBLISHED"])
        dump = resolver.control("dump_cache")[1]
        # Another key in place of the one that is published, with whatever signature there was.
        other = world.certs["other"]["spki-sha256"].hex().upper()
        forged = re.sub(rf"(?m)^({re.escape(name)}\t\d+\tIN\tTLSA\t3 1 1) [0-9A-F]+",
                        rf"\1 {other}", dump)
        assert forged != dump, "nothing to forge"
        fake = f"msg {planted} IN TYPE65300 33152 1 3600 2 1 0 0 -1 \n{planted} IN TYPE65300 0\n"
        record = f";rrset 3600 1 0 8 2\n{planted}\t3600\tIN\tTYPE65300\t\\# 1 00\n"
        forged = forged.replace("START_RRSET_CACHE\n", "START_RRSET_CACHE\n" + record)
        forged = forged.replace("START_MSG_CACHE\n", "START_MSG_CACHE\n" + fake)
        resolver.control("flush_zone", ".")
        resolver.control("kbv_flush")
        same("load_cache", resolver.control("load_cache", lines=forged.splitlines()), (0, "ok"))
        found = statuses(name)
        assert found != ["PUBLISHED"] or keyed_with(world, name, "other") != "BOUND", \
            "a record of a file is taken for secure"
        for flags in (("+cd",), ()):  # with CD what is not validated is served too
            reply = dig(planted, RRTYPE, None, *flags, patience_s=30)
            same(f"a verdict out of a file {flags}",
                 [record.text for record in reply.records(RRTYPE) if record.text == "\\# 1 00"], [])


def keyed_with(world, name, key):
    request = spec.request("spki-sha256", world.certs[key]["spki-sha256"])
    return verdicts.decode(wire.ask(name, RRTYPE, request, timeout_s=60))["status"]


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
    fast = FAST_RELOADS if programs.knows_fast_reload() else ()
    for verb in ("reload_keep_cache", *fast):
        suite.test(f"{verb} keeps the caches", kept, described, world, verb)
    for name, function in [
            ("kbv_flush: the next answers are new", forgotten),
            ("kbv_flush: in all threads, while they are asked", forgotten_by_all_threads),
            ("kbv_flush: what is in progress is not kept", not_kept),
            ("kbv_flush: nor what was asked later and rests on it", not_kept_under_a_digest),
            ("kbv_flush: chains are forgotten too", chains_forgotten),
            ("kbv_flush and kbv_zones: what they do not take", flush_errors),
            ("kbv_zones", zones),
            ("without kbv its commands say so, and local data is free", without_kbv),
            ("unbound-control -h", usage),
            ("local data of ours is refused", local_data),
            ("load_cache brings neither verdicts nor security", loaded)]:
        suite.test(name, function, described, world)
    for verb in RELOADS:
        suite.test(f"{verb}: a zone of ours taken away", other_zones, described, world, verb)
        suite.test(f"{verb}: a planted record of what is our type now", planted, described, world,
                   verb)
    for verb in (*RELOADS, *fast):
        suite.test(f"{verb}: another trust anchor", other_anchor, described, world, verb)
        suite.test(f"{verb}: a domain insecure from now on", insecure_now, described, world, verb)
    suite.finish()


main()
