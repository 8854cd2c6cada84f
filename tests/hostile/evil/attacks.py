# SPDX-License-Identifier: BSD-3-Clause
"""The attacks. Each function adds cases to a Book; `why` names the rule that the status follows."""

import os
import socket
import struct
import time

import dns.edns
import dns.flags
import dns.name
import dns.rcode
import dns.rrset

from . import checks, keys
from .cases import BUDGET, EVIL, EVIL_PIN, PARENT, QUOTAS, RIGHT_PIN
from .zone import DAY_S, IN, TTL, Key, T, Zone, name, raw, sign

def filler(n):
    return f"3 1 1 {n:064x}"


def on(types, act):
    """A hook that acts on questions of these types and is honest otherwise."""
    return lambda q: act(q) if q.is_for(*types.split()) else None


def rcode(number):
    def act(q):
        reply = q.empty()
        reply.set_rcode(number)
        return reply
    return act


def silence(_):
    return []


def patched(change):
    """The honest answer's octets, changed."""
    return lambda q: bytes(change(bytearray(q.honest().to_wire(max_size=65535))))


def honest_control(book):
    book.literal("honest", "an honest literal owner: what the others are compared with",
                 "every hop is secure", ["PUBLISHED"])
    book.joineui("honest-id", "an honest JoinEUI", "every hop is secure", ["PUBLISHED"])
    case = book.joineui("honest-8",
                        "an honest JoinEUI with 8 servers in 8 zones, each of whose two "
                        "name servers are in other zones again",
                        "the budget of a verdict is enough for it", ["PUBLISHED"] * 8, bound=BUDGET)
    hosts = [book.zone(f"hosts{n}-of-8.{PARENT}")[0] for n in range(8)]
    for n in range(8):
        zone, address = book.operator(Zone(f"op{n}-of-8.{PARENT}")), book.address()
        book.authority.serve(address, zone)
        two = hosts[n], hosts[(n + 1) % 8]
        servers = [f"s{n}.{host.name}" for host in two]
        for host, server in zip(two, servers):
            host.add(server, "A", address)
        del zone.records[zone.name, T.NS]
        zone.add("@", "NS", *servers)
        book.parent.delegate(zone, *servers)
        case.zone.add("_lwn._j8", "SRV", f"0 1 443 js.{zone.name}")
    case.suffixes.append(f"-of-8.{PARENT}")
    retarget(book, case, "_lwn._j8")


# ------------------------------------------------------------------------------------- TLSA sets

def tlsa_sets(book):
    limit = "more than 64 records are LIMIT, never `no match`"
    for count, status in ((64, "PUBLISHED"), (65, "LIMIT"), (200, "LIMIT"), (1300, "LIMIT")):
        pins = [filler(n) for n in range(count - 1)] + [RIGHT_PIN]
        how = {"pins": pins} if status == "PUBLISHED" else {}
        book.literal(f"tlsa-{count}", f"{count} TLSA records, the match among them", limit,
                     [[status], ["BOGUS"]] if count == 1300 else [status], tlsa=None, **how
                     ).zone.add("_443._tcp.js", "TLSA", *pins)
    case = book.joineui("tlsa-200-id", "200 TLSA records behind a JoinEUI", limit, ["LIMIT"],
                        tlsa=None)
    case.zone.add("_443._tcp.js", "TLSA", *[filler(n) for n in range(199)], RIGHT_PIN)

    odd = [raw("TLSA", b"\x03\x01\x01"[:n]) for n in range(4)] + \
        [raw("TLSA", b"\x03\x01\x01" + bytes(n)) for n in (1, 31, 33, 63)] + \
        [raw("TLSA", bytes([usage, selector, mtype]) + bytes(32))
         for usage, selector, mtype in ((4, 1, 1), (255, 1, 1), (3, 2, 1), (3, 1, 3), (3, 1, 255))]
    book.literal("tlsa-odd", "TLSA RDATA of 0 to 3 octets, digests of the wrong length, numbers "
                 "that mean nothing", "RFC 6698 4.1: each is unusable, none is left", ["UNUSABLE"],
                 tlsa=None).zone.add("_443._tcp.js", "TLSA", *odd)
    book.literal("tlsa-odd-good", "the same beside a good one",
                 "RFC 6698 4.1: an unusable record takes no other with it", ["PUBLISHED"]
                 ).zone.add("_443._tcp.js", "TLSA", *odd)
    book.literal("tlsa-60k", "one association of 60 000 octets, no DER",
                 "malformed data is unusable", ["UNUSABLE"], tlsa=None
                 ).zone.add("_443._tcp.js", "TLSA", raw("TLSA", b"\x03\x01\x00" + bytes(60000)))
    book.literal("tlsa-60k-good", "the same beside a good one", "it takes no other with it",
                 ["PUBLISHED"]
                 ).zone.add("_443._tcp.js", "TLSA", raw("TLSA", b"\x03\x01\x00" + bytes(60000)))
    big = keys.rsa_spki(30000)
    book.literal("tlsa-30k-der", "one association of 30 000 octets that is a key by its form",
                 "more than 8192 octets are LIMIT", ["LIMIT"]
                 ).zone.add("_443._tcp.js", "TLSA", raw("TLSA", b"\x03\x01\x00" + big))


# --------------------------------------------------------------------------------------- aliases

def aliases(book):
    def chain(zone, owner, length, end):
        for n in range(length):
            zone.add(owner if n == 0 else f"c{n}", "CNAME",
                     f"c{n + 1}" if n + 1 < length else end)

    hops = "more than 8 hops are LIMIT"
    for length, status in ((8, "PUBLISHED"), (9, "LIMIT"), (11, "LIMIT")):
        case = book.literal(f"cname-{length}", f"a chain of {length} aliases at the TLSA owner",
                            hops, [[status], ["TEMPFAIL"]] if length > 9 else [status],
                            owner="_443._tcp.far")
        chain(case.zone, "_443._tcp.far", length, "_443._tcp.js")
    case = book.literal("cname-100", "a chain of 100 aliases, all in one message",
                        "Unbound's max-query-restarts, or more than 8 hops", [["LIMIT"],
                                                                              ["TEMPFAIL"]],
                        owner="_443._tcp.far", bound=BUDGET)
    chain(case.zone, "_443._tcp.far", 100, "_443._tcp.js")
    case.zone.hook = on("TLSA", lambda q: whole_chain(q, 100))
    case = book.literal("cname-loop", "two aliases that point at each other",
                        "Unbound ends it with SERVFAIL", [["LIMIT"],
                                                          ["TEMPFAIL"]], owner="_443._tcp.far")
    case.zone.add("_443._tcp.far", "CNAME", "c1").add("c1", "CNAME", "_443._tcp.far")
    book.literal("cname-self", "an alias of itself", "Unbound ends it with SERVFAIL",
                 [["LIMIT"], ["TEMPFAIL"]], owner="_443._tcp.far"
                 ).zone.add("_443._tcp.far", "CNAME", "_443._tcp.far")
    book.literal("cname-kbv", "an alias into _kbv", "never asked upstream: SERVFAIL", ["TEMPFAIL"],
                 owner="_443._tcp.far").zone.add("_443._tcp.far", "CNAME", "x._kbv.js")
    book.literal("cname-two", "two CNAME records at one name", "RFC 2181 10.1: no chain to follow",
                 [["TEMPFAIL"], ["BOGUS"], ["NO_BINDING"]], owner="_443._tcp.far"
                 ).zone.add("_443._tcp.far", "CNAME", "_443._tcp.js", "_443._tcp.other")
    book.literal("cname-unsigned", "an alias without signature to where the attacker's key is",
                 "every hop must be secure", ["BOGUS"], zone_how={},
                 hook=on("TLSA", lambda q: forged_alias(q))
                 ).zone.add("_443._tcp.evil", "TLSA", EVIL_PIN)
    book.literal("dname-grow", "a DNAME that makes names longer for ever",
                 "RFC 6672 2.2: ends when the name is too long, or restarts are used up",
                 [["TEMPFAIL"], ["LIMIT"], ["BOGUS"]], owner="_443._tcp.x.d"
                 ).zone.add("d", "DNAME", f"a-label-that-is-a-little-long.d.dname-grow.{PARENT}")
    book.literal("dname-forged", "a DNAME whose CNAME says something else",
                 "what the DNAME makes of the name counts alone", [["BOGUS"], ["TEMPFAIL"],
                                                                   ["NO_BINDING"]],
                 owner="_443._tcp.js.d", hook=on("TLSA", wrong_cname)
                 ).zone.add("d", "DNAME", f"e.dname-forged.{PARENT}").add("_443._tcp.evil", "TLSA",
                                                                          EVIL_PIN)
    case = book.joineui("host-loop", "the SRV target is an alias of itself",
                        "Unbound ends it with SERVFAIL", [["TEMPFAIL"], ["LIMIT"]])
    host = name("js", case.zone.name)
    del case.zone.records[host, T.A], case.zone.records[host, T.AAAA]
    case.zone.add("js", "CNAME", "js")


def whole_chain(q, length):
    reply = q.honest()
    zone = q.zone
    for n in range(1, length):
        zone.put(reply.answer, zone.records[name(f"c{n}", zone.name), T.CNAME])
    zone.put(reply.answer, zone.records[name("_443._tcp.js", zone.name), T.TLSA])
    return reply


def forged_alias(q):
    if q.name != name("_443._tcp.js", q.zone.name):
        return None
    reply = q.empty()
    reply.flags |= dns.flags.AA
    target = name("_443._tcp.evil", q.zone.name)
    reply.answer.append(dns.rrset.from_text(q.name, TTL, IN, T.CNAME, str(target)))
    q.zone.put(reply.answer, q.zone.records[target, T.TLSA])
    return reply


def wrong_cname(q):
    if q.zone.dname_above(q.name) is None:
        return None
    reply = q.honest()
    target = name("_443._tcp.evil", q.zone.name)
    reply.answer[-1] = dns.rrset.from_text(q.name, TTL, IN, T.CNAME, str(target))
    q.zone.put(reply.answer, q.zone.records[target, T.TLSA])
    return reply


# ----------------------------------------------------------------------------- discovery, fan-out

def discovery(book):
    hops = "more than 8 hops, or a loop, are LIMIT"
    case = book.joineui("naptr-loop", "NAPTR records whose replacements lead in a ring", hops,
                        ["LIMIT"], naptr=[f'1 1 "" "LWNS" "" a.naptr-loop.{PARENT}'])
    case.zone.add("a", "NAPTR", f'1 1 "P" "LWNS" "" b.naptr-loop.{PARENT}')
    case.zone.add("b", "NAPTR", f'1 1 "" "LWNS" "" a.naptr-loop.{PARENT}')
    case = book.joineui("naptr-deep", "twenty NAPTR records, one behind the other", hops, ["LIMIT"],
                        naptr=[f'1 1 "" "LWNS" "" n1.naptr-deep.{PARENT}'])
    for n in range(1, 20):
        case.zone.add(f"n{n}", "NAPTR", f'1 1 "" "LWNS" "" n{n + 1}.naptr-deep.{PARENT}')
    case.zone.add("n20", "NAPTR", f'1 1 "S" "LWNS" "" _lwn._j2h.naptr-deep.{PARENT}')

    case = book.joineui("naptr-200", "200 NAPTR records, each to an SRV of its own",
                        "8 of an RRset are followed, the rest is one LIMIT",
                        ["LIMIT"] + ["PUBLISHED"] * 8, naptr=[
                            f'1 {n} "S" "LWNS" "" _lwn._j{n}.naptr-200.{PARENT}'
                             for n in range(200)])
    for n in range(200):
        case.zone.add(f"_lwn._j{n}", "SRV", f"0 1 {1000 + n} js")
        case.zone.add(f"_{1000 + n}._tcp.js", "TLSA", RIGHT_PIN)
    case = book.joineui("naptr-tree", "NAPTR records that branch eightfold on each of many levels",
                        "17 NAPTR are followed in all, the rest is LIMIT",
                        [["LIMIT"], ["LIMIT", "LIMIT"]],
                        naptr=[f'1 {n} "" "LWNS" "" x{n}.naptr-tree.{PARENT}' for n in range(8)])
    case.zone.add("*", "NAPTR", *[f'1 {n} "" "LWNS" "" y{n}.naptr-tree.{PARENT}' for n in range(8)])
    case.zone.hook = on("NAPTR", branch)

    book.joineui("naptr-regexp", "regexps that take for ever where they are obeyed",
                 "only the shape of RFC 4848 is read, nothing else is usable", ["NO_BINDING"],
                 naptr=[
                     '1 1 "U" "LWNS" "!^(a+)+$!https://evil.example!" .',
                     '1 2 "U" "LWNS" "!^(.*)*(.*)*$!https://\\\\1.example!" .',
                     '1 3 "U" "LWNS" "!.*!https://\\\\1\\\\2\\\\3!" .',
                     '1 4 "U" "LWNS" "' + "(" * 120 + ')" .',
                     '1 5 "U" "LWNS" "" .', '1 6 "U" "LWNS" "!!!!!!!!" .',
                     '1 7 "U" "LWNS" "!.*!https://[::1]:99999999999/!" .'])
    book.joineui("naptr-octets", "NAPTR RDATA that ends in the middle, or is not over in time",
                 "what cannot be read is no usable record", [["NO_BINDING"], ["TEMPFAIL"],
                                                             ["BOGUS"]], naptr=[
                     raw("NAPTR", octets) for octets in
                     (b"\0\1\0\1\1S\4LWNS\0", b"\0\1\0\1\xffS", b"\0\1",
                      b"\0\1\0\1\1S\4LWNS\0\0\0")])

    for label, about, server in FLOODED:
        case = book.joineui(f"srv-{label}", f"an SRV RRset with 200 targets in 200 zones, each "
                            f"delegated to {about}", "8 endpoints, the rest is one LIMIT",
                            {"LIMIT", "TEMPFAIL"}, bound=BUDGET)
        for n in range(200):
            case.zone.add("_lwn._fan", "SRV", f"0 1 {1000 + n} js.z{n}")
            case.zone.add(f"z{n}", "NS", *[server.format(k, f"z{n}s{label}") for k in range(40)])
        retarget(book, case, "_lwn._fan")
        case.suffixes += [f"s{label}.{victim}" for victim in VICTIMS]

    book.joineui("srv-odd", "SRV RDATA that is cut short, or longer than it should be",
                 "what cannot be read is no usable record", [["NO_BINDING"], ["TEMPFAIL"],
                                                             ["BOGUS"]],
                 tlsa=None).zone.records.pop((name(f"_lwn._j2h.srv-odd.{PARENT}"), T.SRV))
    case = book.cases[-1]
    case.zone.add("_lwn._j2h", "SRV", *[raw("SRV", octets) for octets in (
        b"\0\0\0\1\1", b"\0\0\0\1\1\xbb", b"\0\0\0\1\1\xbb\x02js", b"\0\0\0\1\1\xbb\x02js\0\0")])


def branch(q):
    zone, reply = q.zone, q.empty()
    reply.flags |= dns.flags.AA
    base = str(q.name).split(".")[0]
    rrset = dns.rrset.from_text(q.name, TTL, IN, T.NAPTR, *[
        f'1 {n} "" "LWNS" "" {base}{n}.{zone.name}' for n in range(8)])
    zone.put(reply.answer, rrset)
    return reply


def retarget(book, case, owner):
    """The NAPTR of a case to another SRV owner of its zone."""
    book.registry.records.pop((name(case.ask), T.NAPTR))
    book.registry.add(case.ask, "NAPTR", f'1 1 "S" "LWNS" "" {owner}.{case.zone.name}')


# ------------------------------------------------------------------------------------- referrals

VICTIMS = "victim.example.", "plain.example.", "w.plain.example."
FLOODED = (  # NXNSAttack: servers without glue, whose names others have to look up
    ("signed", "names that do not exist in a signed zone", "n{0}-{1}.victim.example."),
    ("plain", "names that do not exist in an unsigned zone", "n{0}-{1}.plain.example."),
    ("wild", "names whose address is that of a host without DNS", "n{0}-{1}.w.plain.example."))


def referrals(book):
    for label, about, server in FLOODED:
        case = book.literal(f"nxns-{label}", f"a delegation to 100 {about}",
                            "nobody answers for the zone", ["TEMPFAIL"], owner="_443._tcp.js.sub",
                            bound=BUDGET, slow=True)
        case.zone.add("sub", "NS", *[server.format(k, f"x{label}") for k in range(100)])
        case.suffixes += [f"x{label}.{victim}" for victim in VICTIMS]
    case = book.literal("nxns-two", "a delegation to 50 servers in 50 zones, each delegated so too",
                        "nobody answers for the zone", ["TEMPFAIL"], owner="_443._tcp.js.sub",
                        bound=BUDGET, slow=True)
    case.zone.add("sub", "NS", *[f"ns.g{n}" for n in range(50)])
    for n in range(50):
        case.zone.add(f"g{n}", "NS", *[f"n{k}-g{n}xtwo.plain.example." for k in range(20)])
    case.suffixes += [f"xtwo.{victim}" for victim in VICTIMS]

    case = book.literal("deeper", "every answer is a referral one label further down",
                        "ends with the name", [["TEMPFAIL"], ["BOGUS"]],
                        owner="_443._tcp." + ".".join("abcdefghijklmnopqrstuvwxyz" * 3),
                        bound=BUDGET)
    case.zone.hook, case.zone.depths = one_label_down, {}
    letters = ".".join("abcdefghijklmnopqrstuvwxyz" * 3)
    case = book.joineui("srv-deeper", "the same for each of 8 SRV targets", "one budget for all",
                        {"LIMIT", "TEMPFAIL"}, bound=BUDGET)
    case.zone.add("_lwn._fan", "SRV", *[f"0 1 443 {letters}.z{n}" for n in range(8)])
    case.zone.hook, case.zone.depths = one_label_down, {}
    retarget(book, case, "_lwn._fan")
    case = book.literal("sideways", "every answer refers to the same zone again",
                        "no progress, no answer", [["TEMPFAIL"], ["BOGUS"]],
                        hook=lambda q: to_itself(q, q.zone.name),
                        bound=BUDGET)
    case.slow = True
    case = book.literal("upward", "every answer refers to the root", "no progress, no answer",
                        [["TEMPFAIL"]], hook=lambda q: to_itself(q, dns.name.root), bound=BUDGET)
    case.slow = True


def one_label_down(q):
    """A delegation of the name one label below the last one, to the same server."""
    if not q.is_for("TLSA", "A", "NS", "AAAA") or str(q.name).startswith("ns."):
        return None
    zone = q.zone
    labels = len(q.name.labels) - len(zone.name.labels)
    if labels < 1 or str(q.name).startswith("_lwn"):
        return None
    top = q.name.labels[labels - 1]
    zone.depths[top] = min(zone.depths.get(top, 0) + 1, labels)
    cut = dns.name.Name(q.name.labels[labels - zone.depths[top]:])
    reply = q.empty()
    server = name("ns", zone.name)
    reply.authority.append(dns.rrset.from_text(cut, TTL, IN, T.NS, str(server)))
    reply.additional.append(zone.records[server, T.A])
    return reply


def to_itself(q, owner):
    if not q.is_for("TLSA", "A", "AAAA", "NS") or str(q.name).startswith("ns."):
        return None
    reply = q.empty()
    server = name("ns", q.zone.name)
    reply.authority.append(dns.rrset.from_text(owner, TTL, IN, T.NS, str(server)))
    reply.additional.append(q.zone.records[server, T.A])
    return reply


# --------------------------------------------------------------------- what others would pay for

def without_answers(book, label, n, types):
    """n zones with 16 servers each, which have no answer for these types: Unbound asks all of them,
    some several times. The names of their hosts."""
    addresses = [book.address() for _ in range(16)]
    hosts = []
    for k in range(n):
        zone = book.operator(Zone(f"z{k}-of-{label}.{PARENT}"))
        zone.hook = on(types, rcode(dns.rcode.SERVFAIL))
        del zone.records[zone.name, T.NS]
        servers = [f"ns{i}.{zone.name}" for i in range(len(addresses))]
        for server, address in zip(servers, addresses):
            zone.add(server, "A", address)
            book.parent.add(server, "A", address)
            book.authority.serve(address, zone)
        zone.add("@", "NS", *servers)
        book.parent.delegate(zone, *servers)
        hosts.append(f"js.{zone.name}")
    return hosts


def fan(book, label, about, why, hosts, **more):
    """A JoinEUI with these SRV targets."""
    case = book.joineui(label, about, why, {"LIMIT", "TEMPFAIL", "BOGUS", "PUBLISHED"}, **more)
    case.zone.add("_lwn._fan", "SRV", *[f"0 1 443 {host}" for host in hosts])
    case.suffixes.append(f"-of-{label}.{PARENT}")
    retarget(book, case, "_lwn._fan")
    return case


def budgets(book):
    mute = "8 SRV targets in 8 zones, each with 16 servers that give no"
    fan(book, "srv-mute", f"{mute} answer", "one budget for all",
        without_answers(book, "srv-mute", 8, "TLSA A AAAA"), bound=BUDGET)
    case = fan(book, "srv-mute-two", "the same for two JoinEUIs at once",
               "each pays for what it waits for",
               without_answers(book, "srv-mute-two", 8, "TLSA A AAAA"), bound=2 * QUOTAS + 64)
    other = f"0.{case.ask[2:]}"
    book.registry.add(other, "NAPTR", f'1 1 "S" "LWNS" "" _lwn._fan.{case.zone.name}')
    case.beside[other] = {"LIMIT", "TEMPFAIL"}
    fan(book, "srv-keys", f"{mute} keys", "keys have a budget of their own",
        without_answers(book, "srv-keys", 8, "DNSKEY"), bound=2 * QUOTAS + 64)
    servers_of_others(book)
    keys_of_others(book)


def served_by(book, zone, above, server, address):
    """Zone is delegated to a server whose address others have, and is on that address."""
    del zone.records[zone.name, T.NS]
    zone.add("@", "NS", server)
    above.delegate(zone, server)
    book.authority.serve(address, zone)


def late(q):
    return [(0.3, q.honest())]


def servers_of_others(book):
    """The attacker has no question left where, for the sake of an honest zone's records that others
    ask for too, the address of its name server's own name server is to be asked for."""
    above = [book.zone(f"slow{n}-of-others.{PARENT}")[0] for n in range(2)]
    second, address = book.zone(f"second.{above[1].name}", above[1])
    first = Zone(f"first.{above[0].name}")
    for zone in (*above, second):
        zone.hook = late
    served_by(book, first, above[0], f"ns.{second.name}", address)
    host = book.address()
    owner = book.operator(Zone(f"owner-of-others.{PARENT}"))
    served_by(book, owner, book.parent, f"ns.{first.name}", host)
    first.add("ns", "A", host)
    case = fan(book, "others", "an attacker who has no question left where others wait for the "
               "address of an honest name server", "others have a budget of their own",
               [*without_answers(book, "others", 7, "TLSA A AAAA"), f"js.{owner.name}"],
               bound=2 * QUOTAS + 64)
    unharmed(case, owner)


def keys_of_others(book):
    """The same where the keys of an honest zone are asked for."""
    owner = book.operator(book.zone(f"owner-of-others-keys.{PARENT}")[0])
    owner.hook = late
    case = fan(book, "others-keys", "an attacker who has no question left where others wait for an "
               "honest zone's keys", "a key that was not asked for is not known to be bad",
               [*without_answers(book, "others-keys", 7, "DNSKEY"), f"js.{owner.name}"],
               bound=2 * QUOTAS + 64)
    unharmed(case, owner)


def unharmed(case, owner):
    """Who asks about its host while the attacker's question is under way, and who does at once
    afterwards, gets the verdict."""
    asked = f"_443._tcp.js.{owner.name}"
    case.beside[asked], case.beside_s = {"PUBLISHED"}, 0.25
    case.after = lambda ask: checks.published(ask(asked))


# --------------------------------------------------------- servers that are slow, lame or confused

STEPS = {  # where a lie is told, and in which case it is heard
    "literal": "TLSA", "naptr": "NAPTR", "srv": "SRV", "tlsa": "TLSA"}


def at_step(book, step, label, about, why, expect, act, **more):
    add = book.literal if step == "literal" else book.joineui
    if step != "literal":
        more["own_name"] = step == "naptr"
    return add(f"{label}-{step}", f"{about} ({STEPS[step]} of a "
               f"{'literal owner' if step == 'literal' else 'JoinEUI'})", why, expect,
               hook=on(STEPS[step], act), **more)


def bad_servers(book):
    for step in STEPS:
        for label, number in (("servfail", 2), ("refused", 5), ("formerr", 1), ("notimp", 4)):
            if label == "servfail" or step == "literal":
                at_step(book, step, label, f"{label.upper()} for an answer",
                        "a missing answer is not a denial", ["TEMPFAIL"], rcode(number))
        at_step(book, step, "silent", "no answer", "a missing answer is not a denial", ["TEMPFAIL"],
                silence, slow=True)
    for label, about, act in (
            ("wrong-id", "answers with another ID", patched(lambda o: bytes([o[0] ^ 1]) + o[1:])),
            ("wrong-question", "answers to another question", wrong_question),
            ("no-response", "questions for answers (QR clear)",
             patched(lambda o: o[:2] + bytes([o[2] & 0x7f]) + o[3:])),
            ("short", "three octets for an answer", lambda q: q.wire[:3]),
            ("garbage", "a header and random octets",
             lambda q: q.wire[:2] + b"\x84\0\0\1\0\x09\0\0\0\0" + os.urandom(300))):
        at_step(book, "literal", label, about, "not an answer", ["TEMPFAIL"], act, slow=True)

    book.literal("slow-once", "every answer after 0.3 s, just within the first time-out",
                 "slow is not wrong", ["PUBLISHED"], slow=True, hook=lambda q: [(0.3, q.honest())])
    case = book.joineui("tarpit", "every answer after 0.35 s, in a chain of seven NAPTR",
                        "what has not come by the deadline is TEMPFAIL", ["TEMPFAIL"], slow=True,
                        naptr=[f'1 1 "" "LWNS" "" n1.tarpit.{PARENT}'],
                        hook=lambda q: [(0.35, q.honest())])
    for n in range(1, 7):
        case.zone.add(f"n{n}", "NAPTR", f'1 1 "" "LWNS" "" n{n + 1}.tarpit.{PARENT}')
    case.zone.add("n7", "NAPTR", f'1 1 "S" "LWNS" "" _lwn._j2h.tarpit.{PARENT}')
    book.joineui("half", "AAAA is never answered, everything else at once",
                 "one failing family is ignored", ["PUBLISHED"], slow=True,
                 hook=on("AAAA", silence))


def wrong_question(q):
    reply = q.honest()
    octets = bytearray(reply.to_wire())
    octets[13] ^= 1
    return bytes(octets)


def transports(book):
    cut = on("TLSA", lambda q: None if q.tcp else truncated(q))
    for tcp, about in (("refuse", "nobody listens there"), ("silent", "nothing comes"),
                       ("close", "it is closed at once"),
                       ("trickle", "an octet comes each second"),
                       ("lie", "the length is a lie")):
        case = book.literal(f"tcp-{tcp}", f"TC over UDP, and over TCP {about}",
                            "no answer is not a denial", ["TEMPFAIL"], hook=cut, slow=True)
        book.authority.sites[case.address].tcp = tcp
    book.literal("tcp-good", "TC over UDP, and TCP is as it should be", "the control for these",
                 ["PUBLISHED"], hook=cut)
    book.literal("udp-huge", "4000 octets over UDP, where 1232 were asked for",
                 "what arrives whole counts", [["PUBLISHED"], ["TEMPFAIL"]],
                 hook=on("TLSA", lambda q: q.honest().to_wire(max_size=65535)),
                 tlsa=None, pins=[filler(n) for n in range(60)] + [RIGHT_PIN]
                 ).zone.add("_443._tcp.js", "TLSA", *[filler(n) for n in range(60)], RIGHT_PIN)


def truncated(q):
    reply = q.empty()
    reply.flags |= dns.flags.TC | dns.flags.AA
    return reply


def malformed(book):
    def tail_pointer(octets):
        return octets + b"\xc0" + bytes([len(octets) & 0xff])

    def loop(octets):  # the owner of the first record points at itself
        at = 12
        while octets[at]:
            at += octets[at] + 1
        at += 5
        return octets[:at] + struct.pack(">H", 0xC000 | at) + octets[at + 2:]

    for label, about, change in (
            ("cut", "the message ends in the middle of a record", lambda o: o[:-40]),
            ("counts", "ANCOUNT says 65535", lambda o: o[:6] + b"\xff\xff" + o[8:]),
            ("loop", "a compressed name that points at itself", loop),
            ("forward", "octets behind the end, among them a pointer", tail_pointer),
            ("two-questions", "QDCOUNT is 2", lambda o: o[:4] + b"\0\2" + o[6:]),
            ("opcode", "an UPDATE for an answer", lambda o: o[:2] + bytes([o[2] | 0x28]) + o[3:])):
        case = book.literal(f"malformed-{label}", about, "not an answer",
                            [["TEMPFAIL"], ["PUBLISHED"]] if label == "forward" else ["TEMPFAIL"],
                            hook=on("TLSA", patched(change)))
        case.slow = label in ("opcode",)


# ------------------------------------------------------------------------------------ downgrades

def downgrades(book):
    fallback = "fallback on secure denial alone"

    def nothing(code):
        """What somebody without the key says: there is nothing."""
        def act(q):
            reply = q.empty()
            reply.flags |= dns.flags.AA
            reply.set_rcode(code)
            reply.authority.append(q.zone.records[q.zone.name, T.SOA])
            return reply
        return act

    def forged_nsec(q):
        """A denial, signed with a key that is not the zone's."""
        reply = q.empty()
        reply.flags |= dns.flags.AA
        stranger = Key()
        soa = q.zone.records[q.zone.name, T.SOA]
        nsec = q.zone.nsec(q.name, name("\\000", q.name), {T.TXT})
        for rrset in (soa, nsec):
            reply.authority += [rrset, dns.rrset.from_rdata(
                rrset.name, TTL, sign(rrset, stranger, q.zone.name, key_tag=q.zone.key.tag))]
        return reply

    def other_nsec(q):
        """A denial that holds, but of another name."""
        reply = q.empty()
        reply.flags |= dns.flags.AA
        q.zone.put(reply.authority, q.zone.records[q.zone.name, T.SOA])
        q.zone.put(reply.authority, q.zone.nsec(name("zz", q.zone.name), q.zone.name, {T.TXT}))
        return reply

    def unsigned(q):
        reply = q.honest()
        reply.answer = [rrset for rrset in reply.answer if rrset.rdtype != T.RRSIG]
        return reply

    for step in STEPS:
        for label, about, act in (
                ("stripped", "NODATA without proof", nothing(dns.rcode.NOERROR)),
                ("stripped-nx", "NXDOMAIN without proof", nothing(dns.rcode.NXDOMAIN)),
                ("nsec-forged", "NSEC signed by a stranger", forged_nsec),
                ("nsec-other", "the NSEC of another name", other_nsec),
                ("unsigned", "the signature is left out", unsigned)):
            at_step(book, step, label, about, fallback, ["BOGUS"], act)

    case = book.literal("ds-stripped", "the parent's referral without DS and without proof",
                        "no DS is believed only where it is denied", [["BOGUS"], ["PUBLISHED"]])
    strip_ds(book, case)
    case = book.literal("ds-removed",
                        "no DS, by secure denial, and the zone unsigned: provably insecure",
                        "RFC 4035 5.2", ["INSECURE"], zone_how={"key": None})
    case = book.joineui("strict-unsigned", "the same below kbv-require-secure, for an operator",
                        "INSECURE below kbv-require-secure is DOWNGRADE", ["DOWNGRADE"],
                        zone_how={"key": None}, registry=book.strict_registry)


def strip_ds(book, case):
    """The parent's answers about the zone of a case, as somebody on the way passes them on."""
    zone = case.zone.name
    before = book.parent.hook

    def hook(q):
        if q.name.is_subdomain(zone) and not (q.name == zone and q.is_for("DS")):
            reply = q.honest()
            reply.authority = [rrset for rrset in reply.authority if rrset.rdtype == T.NS]
            return reply
        if q.name == zone and q.is_for("DS"):
            reply = q.empty()
            reply.flags |= dns.flags.AA
            reply.authority.append(q.zone.records[q.zone.name, T.SOA])
            return reply
        return before(q) if before else None
    book.parent.hook = hook
    case.expect = [["BOGUS"]]


# ------------------------------------------------------------------------------------ signatures

def signatures(book):
    now = int(time.time())
    bogus = "DNSSEC validation fails"

    def lie(label, about, expect=("BOGUS",), why=bogus, rrtype=T.TLSA, **lies):
        book.literal(f"sig-{label}", about, why, list(expect)).zone.lies[rrtype] = lies

    lie("expired", "a signature that has expired", inception=now - 30 * DAY_S,
        expiration=now - 2 * DAY_S)
    lie("future", "a signature of tomorrow", inception=now + 2 * DAY_S, expiration=now + 30 * DAY_S)
    lie("skew", "a signature that expired a minute ago, within the validator's skew", ("STALE",),
        "no skew for verdicts", inception=now - 14 * DAY_S, expiration=now - 60)
    lie("backwards", "a signature that expires before it begins", inception=now + 60,
        expiration=now - 60)
    lie("labels", "more labels than the name has", labels=40)
    lie("labels-few", "as if from a wildcard, which nothing proves", labels=3, expect=("BOGUS",))
    lie("signer", "another signer", after={"signer": name("victim.example.")})
    lie("signer-child", "a signer below the name",
        after={"signer": name("x._443._tcp.js.sig-signer-child." + PARENT)})
    lie("type", "a signature over another type", after={"type_covered": T.A})
    lie("tag", "a key tag of no key", after={"key_tag": 1})
    lie("ttl", "another original TTL than was signed", after={"original_ttl": 7200})
    for rrtype, label in ((T.DNSKEY, "dnskey"), (T.SRV, "srv")):
        case = (book.joineui if label == "srv" else book.literal)(
            f"sig-stranger-{label}", f"{label.upper()} signed by a stranger's key",
             bogus, ["BOGUS"])
        stranger = Key()
        case.zone.lies[rrtype] = lambda rrset, owner, z=case.zone, s=stranger: [
            sign(rrset, s, z.name, owner, key_tag=z.key.tag)]
    case = book.literal("sig-200", "200 false signatures and no good one", "8 at most are tried",
                        ["BOGUS"], stock=True)
    one = sign(case.zone.records[name("_443._tcp.js", case.zone.name), T.TLSA], Key(),
               case.zone.name, key_tag=case.zone.key.tag)
    many = [one.replace(expiration=one.expiration + n) for n in range(200)]
    case.zone.lies[T.TLSA] = lambda rrset, owner: many

    def algorithm(label, about, why, expect, *ds, **more):
        case = book.literal(f"alg-{label}", about, why, expect, **more)
        rrset = book.parent.records[case.zone.name, T.DS]
        keep = [] if ds[0] != "keep" else list(rrset)
        book.parent.records[case.zone.name, T.DS] = dns.rrset.from_rdata_list(
            case.zone.name, TTL, keep + list(dns.rrset.from_text(
                case.zone.name, TTL, IN, T.DS, *[one for one in ds if one != "keep"])))
        return case

    unknown = "nothing that this validator knows: insecure, RFC 4035 5.2"
    zeros = "00" * 32
    algorithm("unknown", "DS of an unknown algorithm alone", unknown, ["INSECURE"],
              f"1234 253 2 {zeros}")
    algorithm("digest", "DS with an unknown digest alone", unknown, ["INSECURE"],
              f"1234 13 250 {zeros}")
    algorithm("mixed", "DS of an unknown algorithm beside a good one",
              "one algorithm that is known and holds suffices", ["PUBLISHED"],
              "keep", f"1234 253 2 {zeros}")
    algorithm("false", "a DS that fits no key", bogus, ["BOGUS"], f"1234 13 2 {zeros}")
    algorithm("mixed-false", "DS of two known algorithms, the zone has the keys of one",
              "one that holds suffices (harden-algo-downgrade is off)", ["PUBLISHED"],
              "keep", f"1234 14 2 {zeros}")


def costly(book):
    """What is meant to cost CPU: CVE-2023-50387 (KeyTrap), CVE-2023-50868."""
    why = "Unbound's own limit on tries; bogus"
    case = book.literal("keytrap", "60 keys and 60 signatures with one key tag", why, ["BOGUS"],
                        zone_how={"key": Key(algorithm=14)}, stock=True)
    zone = case.zone
    zone.extra_keys = keys.colliding(60, zone.key.tag)
    false = keys.false_signatures(zone, name("_443._tcp.js", zone.name), T.TLSA, 60)
    zone.lies[T.TLSA] = lambda rrset, owner: false
    case = book.joineui("keytrap-id", "the same at each step behind a JoinEUI", why, ["BOGUS"],
                        zone_how={"key": Key(algorithm=14)}, own_name=False)
    trap_everything(case.zone, 40)
    case = book.literal("keytrap-keys", "the DNSKEY RRset itself has 60 such signatures", why,
                        ["BOGUS"],
                        zone_how={"key": Key(algorithm=14)}, stock=True)
    zone = case.zone
    zone.extra_keys = keys.colliding(60, zone.key.tag)
    zone.lies[T.DNSKEY] = lambda rrset, owner, z=zone: keys.false_over(z, rrset, 60)
    case = book.literal("ds-trap", "100 DS records with the tag of one key, none of its digest",
                        why, ["BOGUS"], stock=True)
    book.parent.records[case.zone.name, T.DS] = dns.rrset.from_text(
        case.zone.name, TTL, IN, T.DS,
        *[f"{case.zone.key.tag} 13 2 {n:064x}" for n in range(100)])

    for iterations, status, why in ((150, "NO_BINDING", "150 iterations are the most that count"),
                                    (2500, "INSECURE", "RFC 9276 3.2: too many, insecure"),
                                    (65535, "INSECURE", "RFC 9276 3.2: too many, insecure")):
        book.literal(f"nsec3-{iterations}", f"a denial by NSEC3 with {iterations} iterations", why,
                     [status], owner="_443._tcp.nobody", zone_how={"denial": ("nsec3", iterations,
                                                                              "ab" * 8)}, stock=True)
    deep = "_443._tcp." + ".".join(["x"] * 60)
    book.literal("nsec3-deep",
                 "the denial of a name with 60 labels, 150 iterations, salt of 255 octets",
                 "8 hashes at a time, or bogus", [["NO_BINDING"], ["BOGUS"], ["TEMPFAIL"]],
                 owner=deep, zone_how={"denial": ("nsec3", 150, "ab" * 255)}, stock=True)


def trap_everything(zone, count):
    zone.extra_keys = keys.colliding(count, zone.key.tag)

    def lies(rrset, owner):
        return keys.false_over(zone, rrset, count) if rrset.rdtype != T.DNSKEY else \
            [sign(rrset, zone.key, zone.name, owner)]
    zone.lies[None] = lies


# ---------------------------------------------------------------------------- TTLs and wildcards

def ttls(book):
    from .checks import life_at_most, wildcard

    case = book.literal("ttl-0", "a TTL of 0", "fresh data lives at least a second", ["PUBLISHED"],
                        tlsa=None,
                        check=life_at_most(2))
    case.zone.add("_443._tcp.js", "TLSA", RIGHT_PIN, ttl=0)
    case = book.literal("ttl-31", "a TTL of 2^31",
                        "RFC 2181 8: as if it were 0; never beyond the cap",
                        ["PUBLISHED"], tlsa=None, check=life_at_most(3600))
    case.zone.hook = on("TLSA", lambda q: with_ttls(q, [0x80000000]))
    case.zone.add("_443._tcp.js", "TLSA", RIGHT_PIN)
    case = book.literal("ttl-max", "a TTL of 2^31-1", "never beyond the cap", ["PUBLISHED"],
                        tlsa=None,
                        check=life_at_most(3600))
    case.zone.add("_443._tcp.js", "TLSA", RIGHT_PIN, ttl=0x7fffffff)
    case = book.literal("ttl-differ", "two records of a set with TTLs of 5 and 300",
                        "the TTL of an RRset is the least", ["PUBLISHED"], check=life_at_most(5),
                        pins=(RIGHT_PIN, filler(1)))
    case.zone.add("_443._tcp.js", "TLSA", filler(1))
    case.zone.hook = on("TLSA", lambda q: with_ttls(q, [300, 5]))

    case = book.literal("wild-tlsa", "a wildcard TLSA record", "flag wildcard", ["PUBLISHED"],
                        tlsa=None,
                        check=wildcard)
    case.zone.add("*.js", "TLSA", RIGHT_PIN)
    case = book.joineui("wild-srv", "a wildcard SRV record", "flag wildcard", ["PUBLISHED"],
                        check=wildcard)
    case.zone.records[name("*._j2h", case.zone.name), T.SRV] = dns.rrset.from_rdata_list(
        name("*._j2h", case.zone.name), TTL,
        list(case.zone.records.pop((name("_lwn._j2h", case.zone.name), T.SRV))))
    case = book.joineui("wild-naptr", "a wildcard NAPTR record over a block of JoinEUIs",
                        "flag wildcard",
                        ["PUBLISHED"], naptr=[], check=wildcard)
    above = case.ask.split(".", 2)[2]
    book.registry.add(f"*.{above}", "NAPTR", f'1 1 "S" "LWNS" "" _lwn._j2h.wild-naptr.{PARENT}')
    case = book.literal("wild-unproved",
                        "a wildcard record without the proof that the name has none",
                        "RFC 4035 5.3.4", ["BOGUS"], tlsa=None, hook=on("TLSA", without_authority))
    case.zone.add("*.js", "TLSA", EVIL_PIN)


def without_authority(q):
    reply = q.honest()
    reply.authority = []
    return reply


def with_ttls(q, ttls):
    """The answer's records one by one, each with a TTL of its own, under the one signature."""
    reply = q.honest()
    if not reply.answer or reply.answer[0].rdtype != T.TLSA:
        return None
    records, rest = reply.answer[0], reply.answer[1:]
    octets = b""
    for rdata, ttl in zip(records, ttls):
        data = rdata.to_wire()
        octets += records.name.to_wire() + struct.pack(">HHIH", T.TLSA, IN, ttl, len(data)) + data
    for rrset in rest:
        for rdata in rrset:
            data = rdata.to_wire()
            octets += rrset.name.to_wire() + struct.pack(">HHIH", rrset.rdtype, IN, TTL,
                                                         len(data)) + data
    count = len(ttls) + sum(len(rrset) for rrset in rest)
    at = q.wire.index(q.name.to_wire(), 12) if q.name.to_wire() in q.wire else 12
    question = q.wire[12:at + len(q.name.to_wire()) + 4]
    opt = b"\0" + struct.pack(">HHIH", 41, 1232, 0x8000, 0)
    return q.wire[:2] + struct.pack(">HHHHH", 0x8400, 1, count, 0, 1) + question + octets + opt


# --------------------------------------------------------- what is planted, and what is slipped in

def planted(book):
    from .checks import victim_unharmed

    forged = keys.verdict_bound(EVIL)
    case = book.literal("planted", "a zone that publishes TYPE65300 and _kbv, and no TLSA",
                        "never asked upstream, never believed", ["NO_BINDING"], tlsa=None)
    case.zone.add("_443._tcp.js", "TYPE65300", raw(65300, forged))
    for owner in ("_kbv._443._tcp.js", f"{keys.digest_label(EVIL)}._kbv._443._tcp.js"):
        case.zone.add(owner, "TYPE65300", raw(65300, forged)).add(owner, "TXT",
                                                                  '"v=kbv1" "status=BOUND"')
        case.zone.add(owner, "TLSA", EVIL_PIN)
    book.literal("planted-answer", "a TYPE65300 record beside the TLSA answer", "never believed",
                 ["PUBLISHED"], hook=on("TLSA", lambda q: beside(q, forged)))
    book.literal("option", "EDNS option 65100 in the authority's answer, ten times",
                 "an option of the authority's never reaches a client", ["PUBLISHED"],
                 hook=lambda q: with_options(q, [(65100, forged)] * 10))
    book.literal("options-1000", "a thousand EDNS options in the authority's answer",
                 "they are nobody's business", [["PUBLISHED"], ["TEMPFAIL"]],
                 hook=on("TLSA", lambda q: with_options(q, [(n + 5000,
                                                             b"x") for n in range(1000)])))
    book.literal("poison", "records of victim.example in answer, authority and additional section",
                 "out of bailiwick", ["PUBLISHED"], hook=on("TLSA", poison), after=victim_unharmed)
    book.literal("case", "the owner in capitals", "names are compared without case", ["PUBLISHED"],
                 hook=on("TLSA", capitals))


def beside(q, forged):
    reply = q.honest()
    if reply.answer:
        for section in (reply.answer, reply.authority, reply.additional):
            section.append(dns.rrset.from_rdata(q.name, TTL, raw(65300, forged)))
    return reply


def with_options(q, options):
    reply = q.honest()
    reply.use_edns(0, 0x8000, 1232, options=[dns.edns.GenericOption(*one) for one in options])
    octets = reply.to_wire(max_size=65535)
    return octets


def poison(q):
    reply = q.honest()
    lies = [dns.rrset.from_text("_443._tcp.js.victim.example.", DAY_S, IN, "TLSA", EVIL_PIN),
            dns.rrset.from_text("js.victim.example.", DAY_S, IN, "A", "198.18.0.1"),
            dns.rrset.from_text("victim.example.", DAY_S, IN, "NS", f"ns.poison.{PARENT}"),
            dns.rrset.from_text("victim.example.", DAY_S, IN, "DS", "1 13 2 " + "00" * 32)]
    reply.answer += lies[:2]
    reply.authority += lies[2:]
    reply.additional += lies[:2]
    return reply.to_wire(max_size=65535)


def capitals(q):
    reply = q.honest()
    for rrset in reply.answer:
        rrset.name = name(str(rrset.name).upper())
    return reply


def races(book):
    def evil_answer(q):
        reply = q.empty()
        reply.flags |= dns.flags.AA
        reply.answer.append(dns.rrset.from_text(q.name, TTL, IN, T.TLSA, EVIL_PIN))
        return reply

    def guessing(q):
        """A hundred wrong IDs, then the honest answer."""
        forged = evil_answer(q).to_wire()
        right = struct.unpack(">H", q.wire[:2])[0]
        return [(0, struct.pack(">H",
                                (right + n + 1) & 0xffff) + forged[2:]) for n in range(100)] + \
            [(0.05, q.honest())]

    def elsewhere(q):
        """The right ID from another address, then the honest answer."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as spoof:
            spoof.bind(("198.18.250.1", 53))
            spoof.sendto(evil_answer(q).to_wire(), q.peer[:2])
        return [(0.05, q.honest())]

    def on_path_once(q):
        """Somebody on the way is faster, once."""
        forged = [(0, evil_answer(q))] if q.nth == 1 else []
        return forged + [(0.02, q.honest())]

    def on_path(q):
        return [(0, evil_answer(q)), (0.02, q.honest())]

    book.literal("race-id", "100 forged answers with wrong IDs before the honest one",
                 "not answers",
                 ["PUBLISHED"], hook=on("TLSA", guessing))
    book.literal("race-source", "a forged answer from another address before the honest one",
                 "not an answer",
                 ["PUBLISHED"], hook=on("TLSA", elsewhere))
    book.literal("race-once", "a forged answer with the right ID before the honest one, once",
                 "bogus is asked for again; never the forged key", [["PUBLISHED"], ["BOGUS"]],
                 hook=on("TLSA", on_path_once))
    book.literal("race-always", "a forged answer with the right ID before each honest one",
                 "DNSSEC validation fails",
                 ["BOGUS"], hook=on("TLSA", on_path))
    book.joineui("race-id-naptr", "100 forged answers with wrong IDs before the honest NAPTR",
                 "not answers", ["PUBLISHED"], own_name=True, hook=on("NAPTR", guessing))


def all_cases(book):
    for add in (honest_control, tlsa_sets, aliases, discovery, referrals, budgets, bad_servers,
                transports,
                malformed, downgrades, signatures, costly, ttls, planted, races):
        add(book)
    return book.cases
