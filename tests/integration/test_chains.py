# SPDX-License-Identifier: BSD-3-Clause
"""Keys, certificates and chains in the option: two operators, each with a CA of its own."""

import hashlib
import ssl
import struct
import subprocess
from pathlib import Path

from kbvtest import programs, tap, verdicts, wire
from kbvtest.tap import same
from kbvworld import capture
from kbvworld.resolver import Resolver

FAR, _ = capture.SERVICE
TYPES = ("TYPE65300", "TLSA")
SPKI, CERT, CHAIN = 3, 4, 5
JS2 = "_443._tcp.js2.op-a.example."         # TLSA 2 0 1 of operator A's CA
JS1 = "_8003._tcp.js1.op-a.example."        # TLSA 3 1 1
NS_B = "_443._tcp.ns.op-b.example."         # TLSA 2 0 1 of operator B's CA
CLIENT_A = "_ns-client.ns.op-a.example."    # TLSA 3 1 1
DEVICE = "0004a30b001a2b3c._device.op-a.example."  # TLSA 2 0 1 of the device CA, by wildcard
PKIX = "_443._tcp.pkix.op-v.example."       # TLSA 0 0 1 of operator A's CA, and 1 1 1


class Peers:
    """The world's certificates, in DER."""

    def __init__(self, described):
        self.described = described["certs"]

    def cert(self, name):
        return ssl.PEM_cert_to_DER_cert(Path(self.described[name]["cert"]).read_text())

    def spki(self, name):
        text = subprocess.run(["openssl", "x509", "-in", self.described[name]["cert"], "-noout",
                               "-pubkey"], capture_output=True, text=True, check=True).stdout
        return subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], check=True,
                              input=text.encode(), capture_output=True).stdout


def request(kind, material):
    return struct.pack(">BBBBH", 0x11, 0, kind, 0, len(material)) + material


def chain(*certificates):
    return b"".join(struct.pack(">H", len(der)) + der for der in certificates)


def judged(name, kind, material, rrtype="TYPE65300", **where):
    return verdicts.decode(wire.ask(name, rrtype, request(kind, material), **where))


def outcome(found):
    return found["status"], (found["usage"], found["selector"], found["mtype"])


def operators(peers):
    """Each operator's chain passes for the operator, and the other one's does not."""
    a, b = chain(peers.cert("js2"), peers.cert("ca.op-a")), \
        chain(peers.cert("ns-b.server"), peers.cert("ca.op-b"))
    for rrtype in TYPES:
        for _ in range(2):  # from the cache too
            same("A's server", outcome(judged(JS2, CHAIN, a, rrtype)), ("BOUND", (2, 0, 1)))
            same("B's server", outcome(judged(NS_B, CHAIN, b, rrtype)), ("BOUND", (2, 0, 1)))
            same("B's as A's", judged(JS2, CHAIN, b, rrtype)["status"], "NOT_BOUND")
            same("A's as B's", judged(NS_B, CHAIN, a, rrtype)["status"], "NOT_BOUND")


def not_for_another(peers):
    """The right CA is not enough: name and purpose, and the path itself."""
    anchor = peers.cert("ca.op-a")
    for leaf in ("js1.next", "ns-a.server", "ns-a.client", "ns-b.server", "other"):
        same(f"{leaf} for js2", judged(JS2, CHAIN, chain(peers.cert(leaf), anchor))["status"],
             "NOT_BOUND")
    listed = chain(peers.cert("ns-b.server"), peers.cert("ca.op-b"), anchor)
    same("A's CA in the list", judged(JS2, CHAIN, listed)["status"], "NOT_BOUND")
    alone = judged(JS2, CHAIN, chain(peers.cert("js2")))
    same("the end entity as the whole chain", alone["status"], "NOT_BOUND")
    undecided = judged(JS2, CERT, peers.cert("js2"))
    same("the end entity alone", (undecided["status"], undecided["reason"]),
         ("UNDECIDED", "the certificate alone does not decide 2 0 1: the chain is needed"))


def subjects(peers):
    """The subject that a verdict names, and its flags."""
    der, spki = peers.cert("js1.next"), peers.spki("js1.next")
    for kind, material, octets in ((SPKI, spki, spki), (CERT, der, der),
                                   (CHAIN, chain(der, peers.cert("ca.op-a")), der)):
        found = judged(JS1, kind, material)
        same(f"material {kind}", (outcome(found), found["subject"]),
             (("BOUND", (3, 1, 1)), hashlib.sha256(octets).hexdigest()))
        assert "dates" not in found["flags"], "usage 3 looked at dates"
    path = judged(JS2, CHAIN, chain(peers.cert("js2"), peers.cert("ca.op-a")))
    assert "dates" in path["flags"], "usage 2 did not look at dates"


def clients(peers):
    """A client's certificate, and a device's, for the complete owner name."""
    same("client", outcome(judged(CLIENT_A, SPKI, peers.spki("ns-a.client"))),
         ("BOUND", (3, 1, 1)))
    device = chain(peers.cert("device.1"), peers.cert("ca.device-a"))
    same("device", outcome(judged(DEVICE, CHAIN, device)), ("BOUND", (2, 0, 1)))
    same("another device", judged(DEVICE.replace("2b3c", "2b3d"), CHAIN, device)["status"],
         "NOT_BOUND")


def transports(peers):
    """A chain over UDP from elsewhere is refused; keys and certificates are served."""
    a = chain(peers.cert("js2"), peers.cert("ca.op-a"))
    for rrtype in TYPES:
        found = judged(JS2, CHAIN, a, rrtype, server=FAR, tcp=False)
        same("chain, far, UDP", (found["status"], found["reason"]), ("REFUSED", "use TCP"))
        same("chain, far, TCP", judged(JS2, CHAIN, a, rrtype, server=FAR)["status"], "BOUND")
        same("chain, near, UDP", judged(JS2, CHAIN, a, rrtype, tcp=False)["status"], "BOUND")
        for kind, material in ((SPKI, peers.spki("js1.next")), (CERT, peers.cert("js1.next"))):
            found = judged(JS1, kind, material, rrtype, server=FAR, tcp=False)
            same("far, UDP", found["status"], "BOUND")


def malformed(peers):
    """What is not strict DER is BAD_INPUT, wherever in the chain it stands."""
    leaf, anchor = peers.cert("js2"), peers.cert("ca.op-a")
    for material in (chain(leaf + b"\0", anchor), chain(leaf, anchor + b"\0"),
                     chain(leaf, anchor[:-1]), chain(leaf, b"\x30\x00"), chain(leaf, b"")):
        for rrtype in TYPES:
            found = judged(JS2, CHAIN, material, rrtype)
            same("status, subject", (found["status"], found["subject"], found["flags"]),
                 ("BAD_INPUT", None, []))
    same("nine", judged(JS2, CHAIN, chain(*[leaf] * 9))["status"], "BAD_INPUT")
    same("a certificate as a key", judged(JS1, SPKI, leaf)["status"], "BAD_INPUT")


def unusable(peers):
    """Usages 0 and 1 without CA certificates."""
    found = judged(PKIX, CHAIN, chain(peers.cert("js-v")))
    same("PKIX", found["status"], "UNUSABLE")


def pkix(peers):
    """With them: the record and the path to the store are both needed."""
    js_v, ca = peers.cert("js-v"), peers.cert("ca.op-a")
    same("record alone", judged(PKIX, CHAIN, chain(js_v))["status"], "NOT_BOUND")
    same("path alone", judged(PKIX, CHAIN, chain(peers.cert("js2"), ca))["status"], "NOT_BOUND")


def main():
    suite = tap.Suite("chains")
    described = programs.world()
    peers = Peers(described)
    with Resolver(described, programs.UNBOUND):
        for name, function in [
                ("two operators, two CAs", operators),
                ("neither another name nor another path", not_for_another),
                ("subject and flags of each material", subjects),
                ("clients and devices", clients),
                ("chains over TCP or from loopback alone", transports),
                ("malformed certificates", malformed),
                ("usages 0 and 1 without CA certificates", unusable)]:
            suite.test(name, function, peers)
    bundle = f"    kbv-ca-bundle: \"{described['certs']['ca.op-a']['cert']}\""
    with Resolver(described, programs.UNBOUND, extra=["kbv:", bundle]):
        suite.test("usages 0 and 1 with CA certificates", pkix, peers)
    suite.finish()


main()
