# SPDX-License-Identifier: BSD-3-Clause
"""What goes upstream, as the capture shows it: nothing of ours, nothing to strangers, no name cut
into nibbles, and what does not depend on each other at the same time."""

import subprocess
import threading
import time

from kbvtest import programs, spec, tap, verdicts
from kbvtest.clients import RRTYPE, NoReply, dig
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvworld import capture

SUFFIX = "joineuis.lora-alliance.org."


class Upstream:
    """What the resolver asked since this object was made."""

    def __init__(self, described):
        self.file = described["capture"]
        self.known = {address for server in described["servers"].values()
                      for address in server["addresses"]}
        self.since = capture.position(self.file)

    def queries(self):
        assert not capture.lost(self.file), "the capture lost packets"
        return capture.queries(self.file, self.since)

    def questions(self):
        return {(query.name, query.type) for query in self.queries()}

    def strays(self):
        return capture.strays(self.file, self.known, self.since)


def control(verb, *servers):
    subprocess.run([str(programs.TREE / "tests/world/ctl"), verb, *servers], check=True)


def nothing_of_ours(described):
    """Type 65300 and _kbv names are answered here, whatever a zone publishes and whoever asks."""
    with Resolver(described):
        seen = Upstream(described)
        for name, rrtype in [
                ("_443._tcp.js.planted.example.", RRTYPE), ("_443._tcp.none.planted.example.", RRTYPE),
                ("_443._tcp.js.planted.example.", "ANY"), ("_443._tcp.js.planted.example.", RRTYPE),
                ("_kbv._443._tcp.js.planted.example.", "TXT"),
                ("_kbv._443._tcp.js.planted.example.", "TLSA"),
                ("_kbv._443._tcp.js.planted.example.", "ANY"),
                ("_KBV._443._tcp.js.planted.example.", RRTYPE),
                ("x._kbv._443._tcp.js.planted.example.", RRTYPE),
                (spec.digest_name("spki-sha256", bytes(32), "_443._tcp.js.planted.example."), RRTYPE),
                (spec.digest_name("spki-sha256", bytes(32), "_443._tcp.js.planted.example."), "A"),
                ("_443._tcp.alias.planted.example.", "TLSA"), ("host.planted.example.", "A"),
                ("_443._tcp.js.under.planted.example.", "TLSA"), ("js.under.planted.example.", "A"),
                ("host._kbv.planted.example.", "A"), ("_kbv.", "NS"), ("_kbv.planted.example.", "DS"),
                ("0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.joineuis.lora-alliance.org.", RRTYPE)]:
            try:
                dig(name, rrtype, None, "+notcp" if rrtype != "ANY" else "+tcp")
            except NoReply:
                assert False, f"no reply to {name} {rrtype}"
        same("questions of ours that went upstream",
             [(query.name, query.type) for query in seen.queries() if query.is_planted], [])
        assert seen.questions(), "the capture is empty"


def planted_is_not_believed(described):
    """A signed type 65300 record that came with an ANY answer does not become a verdict."""
    with Resolver(described):
        any_answer = dig("_443._tcp.none.planted.example.", "ANY", None, "+tcp", "+dnssec")
        assert any_answer.records(RRTYPE), "the zone publishes no type 65300 any more"
        answer = dig("_443._tcp.none.planted.example.")
        same("status", [verdicts.decode(octets)["status"] for octets in answer.verdicts],
             ["NO_BINDING"])


def nobody_else(described):
    """No packet goes to an address that is none of the world's."""
    with Resolver(described):
        seen = Upstream(described)
        for case in described["cases"]:
            if not case["slow"]:
                dig(case["name"])
        same("packets to strangers", seen.strays(), [])
        same("questions of ours that went upstream",
             [(query.name, query.type) for query in seen.queries() if query.is_planted], [])


def names_below_suffix(described, extra):
    """The names below the suffix that a cold JoinEUI costs, its delegation being known."""
    with Resolver(described, extra=extra):
        dig(SUFFIX, "DNSKEY")
        seen = Upstream(described)
        name = next(case["name"] for case in described["cases"] if case["id"] == "joineui-a")
        found = [verdicts.decode(octets)["status"] for octets in dig(name).verdicts]
        same("verdicts", found, ["PUBLISHED", "PUBLISHED"])
        return name, [query.name for query in seen.queries()
                      if query.name != SUFFIX and query.name.endswith(f".{SUFFIX}")]


def no_nibbles(described):
    name, asked = names_below_suffix(described, [])
    same("names below the suffix", sorted(set(asked)), [name])
    assert len(asked) <= 3, f"{len(asked)} questions, where NAPTR, A and AAAA would do"


def nibbles_on_demand(described):
    name, asked = names_below_suffix(described, ["kbv:", "    kbv-qname-minimisation: yes"])
    parts = set(asked) - {name}
    assert len(parts) >= 8, f"only {sorted(parts)} beside the name itself"
    assert all(name.endswith(f".{part}") for part in parts), f"strange names: {sorted(parts)}"


def unregistered_cost_nothing(described):
    """One denial covers every JoinEUI of its gap: whoever transmits can choose any of them."""
    with Resolver(described):
        name = next(case["name"] for case in described["cases"] if case["id"] == "unregistered")
        dig(name)
        seen = Upstream(described)
        for digit in "01234567":
            found = [verdicts.decode(octets)["status"] for octets in dig(digit + name[1:]).verdicts]
            same("verdicts", found, ["NO_BINDING"])
        same("questions", sorted(seen.questions()), [])


def minimised_elsewhere(described):
    """Names below no zone of ours are minimised as ever: the root learns of the last label only."""
    with Resolver(described):
        seen = Upstream(described)
        dig("_8003._tcp.js1.op-a.example.")
        root = {address for name in described["zones"]["."]["servers"]
                for address in described["servers"][name]["addresses"]}
        told = {query.name for query in seen.queries() if query.server in root} - {"."}
        assert told, "the root was asked nothing"
        assert all(name.count(".") == 1 or name.endswith("root-servers.") for name in told), \
            f"the root was told {sorted(told)}"


def while_paused(described, servers, name, wanted):
    """Asks for name while the servers keep silent, and waits for the wanted questions."""
    seen = Upstream(described)
    control("pause", *servers)
    replies = []
    asker = threading.Thread(target=lambda: replies.append(dig(name, patience_s=30)))
    try:
        asker.start()
        deadline = time.monotonic() + 3
        while not wanted <= seen.questions() and time.monotonic() < deadline:
            time.sleep(0.05)
        missing = wanted - seen.questions()
    finally:
        control("resume", *servers)
        asker.join()
    assert not missing, f"not asked before the first answer: {sorted(missing)}"
    return [verdicts.decode(octets)["status"] for octets in replies[0].verdicts]


def first_step_at_once(described):
    with Resolver(described, extra=PATIENT):
        dig(SUFFIX, "DNSKEY")
        case = next(case for case in described["cases"] if case["id"] == "joineui-b")
        wanted = {(case["name"], rrtype) for rrtype in ("NAPTR", "A", "AAAA")}
        same("status", while_paused(described, ["registry-a", "registry-b"], case["name"], wanted),
             ["PUBLISHED"])


def host_step_at_once(described):
    with Resolver(described, extra=PATIENT):
        dig("op-a.example.", "DNSKEY")
        case = next(case for case in described["cases"] if case["id"] == "netid-a")
        wanted = {("ns.op-a.example.", "A"), ("ns.op-a.example.", "AAAA"),
                  ("_443._tcp.ns.op-a.example.", "TLSA")}
        same("status", while_paused(described, ["op-a"], case["name"], wanted), ["PUBLISHED"])


def main():
    suite = tap.Suite("upstream")
    described = programs.world()
    for name, function in [
            ("nothing of ours is asked upstream, whatever a zone publishes", nothing_of_ours),
            ("a published type 65300 record is not believed", planted_is_not_believed),
            ("no question goes to strangers, and none of ours to anyone", nobody_else),
            ("a cold JoinEUI is asked for by its whole name", no_nibbles),
            ("kbv-qname-minimisation: yes goes nibble by nibble", nibbles_on_demand),
            ("JoinEUIs beside one that nobody registered cost no question", unregistered_cost_nothing),
            ("other names are minimised as ever", minimised_elsewhere),
            ("NAPTR, A and AAAA of a name are asked for at once", first_step_at_once),
            ("TLSA, A and AAAA of a host are asked for at once", host_step_at_once)]:
        suite.test(name, function, described)
    suite.finish()


main()
