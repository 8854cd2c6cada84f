# SPDX-License-Identifier: BSD-3-Clause
"""unbound-control stats: what the module counts is what clients got, and when a limit was hit."""

import datetime
import re
import ssl
import struct
import threading
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kbvtest import programs, spec, tap, verdicts, wire
from kbvtest.clients import RRTYPE
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvtest.verdicts import kbv_decode
from kbvworld import capture

FAR = capture.SERVICE[0]
JS1 = "_8003._tcp.js1.op-a.example."         # TLSA 3 1 1
JS2 = "_443._tcp.js2.op-a.example."          # TLSA 2 0 1 of operator A's CA
SILENT = "_443._tcp.js.silent.example."
THREADS = [*PATIENT, "    num-threads: 4"]
VERDICT = "kbv.verdict."
KEYS = ("js1.next", "js-v", "other")


# ------------------------------------------------------------------------------- what clients get

def told(reply, by_option):
    """The status that a reply tells, None if it has no verdict: its option's, else of its RRs the
    one that an option would carry; of TXT, where one is good or all are the same."""
    found = [verdicts.decode(one) for one in kbv_decode.from_message(reply)]
    if found and by_option:
        return found[-1]["status"]
    if found:
        return spec.select(found, any("keyed" in verdict["flags"] for verdict in found))["status"]
    words = {reply[found.end():found.start() + 1 + found[1][0]].decode()
             for found in re.finditer(rb"(.)status=", reply, re.S)}
    good = words & {"BOUND", "PUBLISHED"}
    assert len(good or words) <= 1, f"which of {words}?"
    return next(iter(good or words), None)


def questions(world):
    """What to ask of each case that needs no waiting, in each form: name, type, and how."""
    for number, case in enumerate(world.cases.values()):
        if case["slow"]:
            continue
        name, one = case["name"], len(case["expect"]) == 1
        # Several may be too large for UDP, and what is cut off counts twice.
        how = {"timeout_s": 60, "tcp": not one or number % 2 == 0}
        for edns in (True, False):
            yield name, RRTYPE, how | {"edns": edns, "tcp": True}
            if one:
                yield f"_kbv.{name}", "TXT", how | {"edns": edns, "tcp": True}
        for key in KEYS:
            digest = world.certs[key]["spki-sha256"]
            yield spec.digest_name("spki-sha256", digest, name), RRTYPE, how
            request = how | {"option": spec.request("spki-sha256", digest)}
            yield name, RRTYPE, request | {"tcp": True}
            if case["kind"] == "literal":
                yield name, "TLSA", request | {"tcp": True}
    yield JS1, RRTYPE, {"option": b"nonsense"}
    yield spec.digest_name("spki-sha256", spec.DIGEST_OF_NOTHING, JS1), RRTYPE, {}


def counted(figures):
    """The verdicts that were counted, {status: how many}."""
    return {name.removeprefix(VERDICT).upper(): n for name, n in figures.items()
            if name.startswith(VERDICT) and n}


def tally(statuses):
    return {status: statuses.count(status) for status in set(statuses)}


def moved(before, after):
    """By how much figures of kbv are others now, but for verdicts, times and octets."""
    return {name.removeprefix("kbv."): after[name] - before[name] for name in after
            if name.startswith("kbv.") and after[name] != before[name] and
            not name.startswith((VERDICT, "kbv.histogram.", "kbv.cache.bytes"))}


def every_verdict(described, world):
    """Each status as often as clients got it, from cache and mesh, over UDP and TCP, by all threads."""
    rows = list(questions(world))
    with Resolver(described, extra=THREADS) as resolver:
        got = []
        for name, rrtype, how in [*rows, *rows]:
            reply = wire.exchange(name, rrtype, **how)
            got.append(told(reply, "option" in how))
            assert got[-1], f"no verdict in the reply to {name} {rrtype} {how}"
        figures = resolver.statistics()
        same("verdicts", counted(figures), tally(got))
        assert len(tally(got)) > 12, f"only {sorted(tally(got))}"
        same("lines", [name for name in figures if name.startswith(VERDICT)],
             [f"{VERDICT}{name.lower()}" for name in spec.STATUSES])


def nothing_else(described, _):
    """Answers without a verdict do not count."""
    with Resolver(described, extra=PATIENT) as resolver:
        for _ in range(2):
            for name, rrtype in ((JS1, "TLSA"), (JS1, "TXT"), ("js1.op-a.example.", "A"),
                                 (f"_kbv.{JS1}", "A"), ("nobody.op-a.example.", "A"),
                                 (f"_kbv.{JS1}", "TLSA")):
                wire.exchange(name, rrtype, timeout_s=60)
            wire.exchange("js1.op-a.example.", "A", spec.request(), timeout_s=60)
        figures = resolver.statistics()
        same("verdicts", counted(figures), {})
        same("times", sum(n for name, n in figures.items() if name.startswith("kbv.histogram.")), 0)


# ---------------------------------------------------------------------------------- when they begin

def published(resolver):
    return resolver.statistics()[VERDICT + "published"]


def ask_js1(n=1):
    for _ in range(n):
        wire.exchange(JS1, RRTYPE, timeout_s=60)


def start_anew(described, _):
    """stats starts anew and says what there was; stats_noreset does not, flush_stats says nothing."""
    with Resolver(described, extra=THREADS) as resolver:
        ask_js1(3)
        same("stats_noreset", [published(resolver) for _ in range(2)], [3, 3])
        same("stats", resolver.statistics("stats")[VERDICT + "published"], 3)
        same("after stats", published(resolver), 0)
        ask_js1(2)
        same("counted on", published(resolver), 2)
        same("flush_stats", resolver.control("flush_stats"), (0, "ok"))
        same("after flush_stats", published(resolver), 0)
        ask_js1()
        same("reload", resolver.control("reload")[0], 0)
        resolver.ask("localhost.", "A")
        same("after a reload", published(resolver), 0)


def cumulative(described, _):
    """statistics-cumulative: nothing starts anew but by flush_stats."""
    with Resolver(described, extra=[*PATIENT, "    statistics-cumulative: yes"]) as resolver:
        for expected in (2, 4):
            ask_js1(2)
            same("stats", resolver.statistics("stats")[VERDICT + "published"], expected)
        same("flush_stats", resolver.control("flush_stats"), (0, "ok"))
        same("after flush_stats", published(resolver), 0)


def interval(described, _):
    """statistics-interval: they start anew as often as Unbound's own."""
    with Resolver(described, extra=[*THREADS, "    statistics-interval: 1"]) as resolver:
        ask_js1()
        deadline = time.monotonic() + 60
        while published(resolver):
            assert time.monotonic() < deadline, "they never start anew"
            time.sleep(0.1)


def as_unbound_prints_its_own(described, _):
    """The spans of the histogram, and what is in them: all but what came from the cache."""
    names = [JS1, JS2, f"_kbv.{JS1}", "_443._tcp.ns.op-a.example."]
    with Resolver(described, extra=[*PATIENT, "    extended-statistics: yes"]) as resolver:
        for _ in range(3):
            for name in names:
                wire.exchange(name, RRTYPE, timeout_s=60)
        figures = resolver.statistics()
        own = [name for name in figures if name.startswith("histogram.")]
        ours = [name for name in figures if name.startswith("kbv.histogram.")]
        assert len(own) == 40, f"Unbound prints {len(own)} spans"
        same("spans", ours, [f"kbv.{name}" for name in own])
        # Unkeyed verdicts below _kbv are copied each time.
        same("verdicts that took time", sum(figures[name] for name in ours), len(names) + 2)
        assert any(figures[name] for name in ours[7:]), "none took 64 us"


def without_kbv(described, _):
    stock = described | {"kbv_zones": [], "kbv_require_secure": []}
    with Resolver(stock, extra=["server:", '    module-config: "validator iterator"']) as resolver:
        same("lines", [name for name in resolver.statistics() if name.startswith("kbv.")], [])


# ----------------------------------------------------------------------------------------- limits

def chain_request(*ders):
    octets = b"".join(struct.pack(">H", len(der)) + der for der in ders)
    return struct.pack(">BBBBH", 0x11, 0, 5, 0, len(octets)) + octets


def ders(described, *names):
    return [ssl.PEM_cert_to_DER_cert(Path(described["certs"][name]["cert"]).read_text())
            for name in names]


def dear_certificate(n):
    """One whose key takes long to verify with: an exponent as long as the modulus."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = rsa.generate_private_key(65537, 2048).public_key().public_numbers()
    dear = rsa.RSAPublicNumbers((1 << 2046) + 1, public.n | 1 << 2047).public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"dear {n}")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    return x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(n + 1) \
        .public_key(dear).not_valid_before(now - day).not_valid_after(now + day) \
        .sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def status(octets):
    return verdicts.decode(octets)["status"]


def of_chains(described, _):
    """Paths that were looked for, paths that the table knew, and a client that asks too often."""
    request = chain_request(*ders(described, "js2", "ca.op-a"))
    with Resolver(described, extra=PATIENT) as resolver:
        at_first = resolver.statistics()
        same("first", status(wire.ask(JS2, RRTYPE, request, timeout_s=60)), "BOUND")
        once = resolver.statistics()
        assert once["kbv.cache.bytes"] > at_first["kbv.cache.bytes"], "an entry has no octets"
        same("a new chain", moved(at_first, once),
             {"cache.misses": 1, "cache.entries": 1, "chain.verified": 1})
        same("again", status(wire.ask(JS2, RRTYPE, request, timeout_s=60)), "BOUND")
        same("the same again", moved(once, resolver.statistics("stats")), {"cache.hits": 1})
        left = resolver.statistics()
        same("started anew", [left[f"kbv.{name}"] for name in
                              ("cache.hits", "cache.misses", "cache.entries", "chain.verified")],
             [0, 0, 1, 0])
    with Resolver(described, extra=[*PATIENT, "kbv:", "    kbv-cache-size: 0",
                                    "    kbv-chain-ratelimit: 1"]) as resolver:
        found = [status(wire.ask(JS2, RRTYPE, request, timeout_s=60)) for _ in range(30)]
        figures = resolver.statistics()
        assert "REFUSED" in found, "nobody was refused"
        same("verified, ratelimited",
             (figures["kbv.chain.verified"], figures["kbv.chain.ratelimited"]),
             (found.count("BOUND"), found.count("REFUSED")))
        same("a table of none", figures["kbv.cache.bytes"], 0)


def of_paths(described, _):
    """A chain that is too dear to verify."""
    request = chain_request(*ders(described, "js2", "ca.op-a"),
                            *[dear_certificate(n) for n in range(6)])
    with Resolver(described, extra=PATIENT) as resolver:
        before = resolver.statistics()
        same("status", status(wire.ask(JS2, RRTYPE, request, timeout_s=60)), "LIMIT")
        same("figures", moved(before, resolver.statistics()).get("limit.paths"), 1)


def of_discovery(described, world):
    """Counted when a verdict is found, not when it is told once more."""
    with Resolver(described, extra=PATIENT) as resolver:
        for case, more in (("cname-9", 1), ("naptr-loop", 1), ("tlsa-65", 1), ("endpoints-9", 1),
                           ("endpoints-8", 0)):
            before = resolver.statistics()
            for _ in range(2):
                wire.exchange(world.cases[case]["name"], RRTYPE, timeout_s=60)
            same(case, moved(before, resolver.statistics()).get("limit.discovery", 0), more)
        before = resolver.statistics()
        for _ in range(2):  # here there is nothing that it could be kept in
            wire.exchange(world.cases["tlsa-65"]["name"], "TLSA", spec.request(), timeout_s=60)
        same("by option", moved(before, resolver.statistics()), {"limit.discovery": 2})


def of_budget(described, world):
    """Paths that were not followed to their end for want of questions upstream."""
    extra = [*PATIENT, "    max-global-quota: 5"]
    with Resolver(described, extra=extra) as resolver:
        reply = wire.exchange(world.cases["endpoints-8"]["name"], RRTYPE, timeout_s=60)
        found = [verdicts.decode(one) for one in kbv_decode.from_message(reply)]
        cut = [row for row in found if row["reason"] == "too many questions upstream"]
        same("their status", {row["status"] for row in cut}, {"LIMIT"})
        same("figures", resolver.statistics()["kbv.limit.discovery"], len(cut))


def of_size(described, world):
    """Endpoints that an answer has no room for."""
    name = f"{'.'.join('0123456789abcdef')}.fat.op-v.example."
    zone = '    kbv-zone: "fat.op-v.example joineui port=1,2,3,4,5,6,7,8"'
    with Resolver(described, extra=[*PATIENT, "kbv:", zone]) as resolver:
        reply = wire.exchange(name, RRTYPE, timeout_s=60)
        found = [verdicts.decode(one) for one in kbv_decode.from_message(reply)]
        cut = [row for row in found if row["reason"] == "the answer would be too large"]
        same("endpoints", (len(found), {row["status"] for row in cut}), (8, {"LIMIT"}))
        same("figures", resolver.statistics()["kbv.limit.size"], len(cut))


def of_transport(described, world):
    """What is served over TCP alone, and what is too large for UDP."""
    digest = world.certs["js1.next"]["spki-sha256"]
    nonce = spec.request("spki-sha256", digest, b"0123456789abcdef")
    with Resolver(described, extra=PATIENT) as resolver:
        wire.exchange(JS1, RRTYPE, timeout_s=60)
        before = resolver.statistics()
        for far, tcp, request, expected in (
                (True, False, nonce, "REFUSED"), (True, True, nonce, "BOUND"),
                (False, False, nonce, "BOUND"),
                (True, False, chain_request(*ders(described, "js1.next")), "REFUSED")):
            how = {"server": FAR, "source": FAR} if far else {}
            same(f"far {far}, TCP {tcp}",
                 status(wire.ask(JS1, RRTYPE, request, tcp=tcp, timeout_s=60, **how)), expected)
        same("figures", moved(before, resolver.statistics()), {"limit.udp": 2})
        large = world.cases["tlsa-tcp"]["name"]
        wire.exchange(large, "TLSA", timeout_s=60)
        before = resolver.statistics()
        same("large", status(wire.ask(large, "TLSA", spec.request(), tcp=False, timeout_s=60)),
             "LIMIT")
        same("figures", moved(before, resolver.statistics()), {"limit.udp": 1})


def of_waiting(described, _):
    """Verdicts in progress, one that is too many, and one that was late."""
    extra = ["server:", "    discard-timeout: 5000", "kbv:", "    kbv-max-pending: 1"]
    with Resolver(described, extra=extra) as resolver:
        # A name of its own for the root's and others' sake: they are known then.
        wire.exchange(JS1, RRTYPE, timeout_s=60)
        before = resolver.statistics()
        same("pending", before["kbv.pending"], 0)
        waiting = threading.Thread(target=lambda: wire.exchange(SILENT, RRTYPE, timeout_s=60))
        waiting.start()
        deadline = time.monotonic() + 60
        while not resolver.statistics()["kbv.pending"]:
            assert time.monotonic() < deadline, "nothing is pending"
        same("beside it", [verdicts.decode(one)["status"] for one in
                           kbv_decode.from_message(wire.exchange(JS2, RRTYPE, timeout_s=60))],
             ["LIMIT"])
        waiting.join()
        figures = resolver.statistics()
        same("figures", moved(before, figures), {"limit.pending": 1, "limit.deadline": 1})
        late = [name for name, n in figures.items() if name.startswith("kbv.histogram.") and n]
        assert any(name.startswith("kbv.histogram.000004") for name in late), f"times: {late}"


def main():
    suite = tap.Suite("statistics")
    described = programs.world()
    world = verdicts.World(described)
    for name, function in [
            ("verdicts are those that clients got", every_verdict),
            ("what has no verdict counts nothing", nothing_else),
            ("stats, stats_noreset, flush_stats and a reload", start_anew),
            ("statistics-cumulative", cumulative),
            ("statistics-interval", interval),
            ("the histogram is as Unbound's own", as_unbound_prints_its_own),
            ("without kbv there are none", without_kbv),
            ("limits: chains", of_chains),
            ("limits: paths of one question", of_paths),
            ("limits: discovery", of_discovery),
            ("limits: questions upstream", of_budget),
            ("limits: an answer's size", of_size),
            ("limits: what needs TCP", of_transport),
            ("limits: waiting", of_waiting)]:
        suite.test(name, function, described, world)
    suite.finish()


main()
