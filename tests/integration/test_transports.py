# SPDX-License-Identifier: BSD-3-Clause
"""UDP, TCP, TLS and HTTPS: what is served where, and how large it may be."""

from kbvtest import programs, spec, tap, verdicts
from kbvtest.clients import RRTYPE, dig, kdig
from kbvtest.resolver import Resolver
from kbvtest.tap import same, within
from kbvworld import capture

OWNER = "_8003._tcp.js1.op-a.example."
LARGE = "_443._tcp.many30.op-v.example."  # thirty TLSA records
FAR, FAR6 = capture.SERVICE               # to ask there is to ask from there: not loopback
NONCE = bytes(range(16))
TLS, HTTPS = 853, 443
TYPES = (RRTYPE, "TLSA")


def option(client, name, request, *arguments, rrtype=RRTYPE, **where):
    return verdicts.decode(client(name, rrtype, request, *arguments, **where).option)


def every_transport(key):
    """The same right and wrong digests over everything that Unbound speaks."""
    for server in (FAR, FAR6, "127.0.0.1", "::1"):
        for client, arguments, port in [
                (dig, ["+notcp"], 53), (kdig, ["+notcp"], 53), (dig, ["+tcp"], 53),
                (kdig, ["+tcp"], 53), (dig, ["+tls"], TLS), (kdig, ["+tls"], TLS),
                (dig, ["+https"], HTTPS), (kdig, ["+https"], HTTPS)]:
            if port != 53 and server != FAR:
                continue
            for rrtype in TYPES:
                where = {"server": server, "port": port, "rrtype": rrtype}
                for digest, status in ((key["js1.next"], "BOUND"), (key["other"], "NOT_BOUND")):
                    found = option(client, OWNER, spec.request("spki-sha256", digest), *arguments,
                                   **where)
                    same(f"status by {client.__name__} {arguments} at {server}", found["status"],
                         status)


def nonces(key):
    """A nonce is served over TCP, TLS, HTTPS and to loopback; over other UDP it is refused."""
    request = spec.request("spki-sha256", key["js1.next"], NONCE)
    for rrtype in TYPES:
        for server, port, arguments, served in [
                (FAR, 53, ["+notcp"], False), (FAR6, 53, ["+notcp"], False),
                (FAR, 53, ["+tcp"], True), (FAR6, 53, ["+tcp"], True), (FAR, TLS, ["+tls"], True),
                (FAR, HTTPS, ["+https"], True), ("127.0.0.1", 53, ["+notcp"], True),
                ("::1", 53, ["+notcp"], True), ("127.0.0.1", 53, ["+tcp"], True)]:
            for _ in range(2):  # from the cache too
                found = option(kdig, OWNER, request, *arguments, rrtype=rrtype, server=server,
                               port=port)
                what = f"{rrtype} {arguments} at {server}"
                if served:
                    same(f"status, nonce: {what}", (found["status"], found["nonce"]),
                         ("BOUND", NONCE.hex()))
                else:
                    same(f"status, reason: {what}", (found["status"], found["reason"]),
                         ("REFUSED", "use TCP"))
                    same("life", verdicts.life(found), 0)


def nonces_differ(key):
    """Two nonces on one cached name: each gets its own; without one there is none."""
    for nonce in (b"eight-by", b"nine-byte", bytes(16), b"\xff" * 12):
        found = option(dig, OWNER, spec.request("spki-sha256", key["js1.next"], nonce), "+tcp")
        same("nonce", found["nonce"], nonce.hex())
    found = option(dig, OWNER, spec.request("spki-sha256", key["js1.next"]), "+tcp")
    same("nonce", found["nonce"], None)


def large_options(_):
    """Over UDP a verdict beyond 900 octets is LIMIT, `use TCP`; over the others it is whole."""
    for rrtype in TYPES:
        for server in (FAR, "127.0.0.1"):
            reply = dig(LARGE, rrtype, spec.request(), "+notcp", "+ignore", server=server)
            within("octets of the option", len(reply.option), 66, 900)
            found = verdicts.decode(reply.option)
            same("status, reason", (found["status"], found["reason"]), ("LIMIT", "use TCP"))
        for arguments, port in ((["+tcp"], 53), (["+tls"], TLS), (["+https"], HTTPS)):
            found = option(kdig, LARGE, spec.request(), *arguments, rrtype=rrtype, server=FAR,
                           port=port)
            same("status, associations", (found["status"], len(found["associations"])),
                 ("PUBLISHED", 30))


def large_answers(_):
    """A verdict RRset that does not fit is truncated over UDP and whole over TCP, EDNS or not."""
    cut = dig(LARGE, RRTYPE, None, "+ignore", "+notcp", server=FAR)
    assert "tc" in cut.flags, "no TC"
    within("octets over UDP", cut.size, 12, 1232)
    small = dig(OWNER, RRTYPE, None, "+noedns", "+ignore", "+notcp", server=FAR)
    within("octets over UDP without EDNS", small.size, 12, 512)
    same("EDE without EDNS", small.edes, [])
    for client in (dig, kdig):
        whole = client(LARGE, RRTYPE, None, server=FAR)
        same("transport", whole.transport, "TCP")
        found = [verdicts.decode(octets) for octets in whole.verdicts]
        same("associations", [len(row["associations"]) for row in found], [30])


def malformed(_):
    """A malformed option is BAD_INPUT in the option; the answer stays what it was."""
    vectors = (programs.TREE / "tests/data/requests.txt").read_text().splitlines()
    rows = [(name, bytes.fromhex(octets[0]) if octets else b"") for word, name, *octets in
            (line.split() for line in vectors if not line.startswith("#")) if word == "refuse"]
    assert len(rows) > 20, "no vectors"
    plain = {rrtype: dig(OWNER, rrtype) for rrtype in TYPES}
    for name, octets in rows:
        if len(octets) > 600:  # dig takes no longer ones
            continue
        for rrtype in TYPES:
            reply = dig(OWNER, rrtype, octets, "+tcp")
            found = verdicts.decode(reply.option)
            same(f"status for {name}", found["status"], "BAD_INPUT")
            same(f"subject, flags for {name}", (found["subject"], found["flags"]), (None, []))
            same("life", verdicts.life(found), 0)
            same(f"EDE for {name}", reply.edes, [49158])
            same("answer", sorted(record.text for record in reply.records(rrtype)),
                 sorted(record.text for record in plain[rrtype].records(rrtype)))
            same("RCODE, AD", (reply.rcode, "ad" in reply.flags),
                 (plain[rrtype].rcode, "ad" in plain[rrtype].flags))


def two_options(key):
    request = spec.request("spki-sha256", key["js1.next"])
    for second in (request, spec.request("spki-sha256", key["other"]), b"\x11"):
        for rrtype in TYPES:
            found = option(dig, OWNER, request, f"+ednsopt=65100:{second.hex()}", rrtype=rrtype)
            same("status", found["status"], "BAD_INPUT")


def key_on_digest_name(key):
    """Material beside a digest in the name is BAD_INPUT; an empty request is none."""
    name = spec.digest_name("spki-sha256", key["js1.next"], OWNER)
    for which in ("js1.next", "other"):
        found = option(dig, name, spec.request("spki-sha256", key[which]))
        same("status", found["status"], "BAD_INPUT")
    same("status", option(dig, name, spec.request())["status"], "BOUND")


def malformed_names(key):
    """A malformed digest label or a second _kbv is BAD_INPUT; other types have no data."""
    good = spec.digest_name("spki-sha256", key["js1.next"], OWNER)
    label = good.split(".")[0]
    for name in [f"x{label[1:]}._kbv.{OWNER}", f"{label[:-1]}._kbv.{OWNER}",
                 f"{label}0._kbv.{OWNER}", f"{label[:-1]}1._kbv.{OWNER}",
                 f"s{'w' * 52}._kbv.{OWNER}", f"{label}._kbv._kbv.{OWNER}",
                 f"{label}.{label}._kbv.{OWNER}", f"{label}._kbv.x._kbv.{OWNER}",
                 f"_kbv.{label}._kbv.{OWNER}"]:
        reply = dig(name)
        same(f"RCODE of {name}", reply.rcode, "NOERROR")
        same(f"statuses of {name}", [verdicts.decode(octets)["status"] for octets in
                                     reply.verdicts], ["BAD_INPUT"])
        text = dig(name, "TXT").records("TXT")
        assert len(text) == 1 and "status=BAD_INPUT" in text[0].strings, f"TXT of {name}: {text}"
    upper = dig(good.upper().replace(OWNER.upper(), OWNER))
    same("status in upper case", [verdicts.decode(octets)["status"] for octets in upper.verdicts],
         ["BOUND"])
    for rrtype in ("A", "TLSA", "NS", "ANY", "CNAME", "DS", "SOA"):
        for name in (good, f"_kbv.{OWNER}"):
            reply = dig(name, rrtype, None, "+notcp")
            same(f"{name} {rrtype}", (reply.rcode, reply.answer, "ad" in reply.flags),
                 ("NOERROR", [], False))


def digest_of_nothing(_):
    for material in ("spki-sha256", "cert-sha256"):
        for rrtype in TYPES:
            found = option(dig, OWNER, spec.request(material, spec.DIGEST_OF_NOTHING),
                           rrtype=rrtype)
            same("status", found["status"], "BAD_INPUT")


def main():
    suite = tap.Suite("transports")
    described = programs.world()
    world = verdicts.World(described)
    key = {name: cert["spki-sha256"] for name, cert in world.certs.items()}
    server = described["certs"]["ns-b.server"]
    extra = ["server:", f"    tls-service-key: \"{server['key']}\"",
             f"    tls-service-pem: \"{server['cert']}\"", f"    interface: {FAR}@{TLS}",
             f"    interface: {FAR}@{HTTPS}", f"    tls-port: {TLS}", f"    https-port: {HTTPS}"]
    with Resolver(described, extra=extra) as resolver:
        for name, function in [
                ("digests over UDP, TCP, TLS and HTTPS, IPv4 and IPv6", every_transport),
                ("nonces: refused over UDP unless from loopback", nonces),
                ("each question has its own nonce", nonces_differ),
                ("an option beyond 900 octets", large_options),
                ("an answer beyond the client's size", large_answers),
                ("malformed options", malformed),
                ("two options", two_options),
                ("the digest of nothing", digest_of_nothing),
                ("key material on a digest name", key_on_digest_name),
                ("malformed digest names, and other types", malformed_names)]:
            suite.test(name, function, key)
        suite.test("the resolver ends in good order", resolver.end)
    suite.finish()


main()
