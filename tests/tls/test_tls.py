# SPDX-License-Identifier: BSD-3-Clause
"""TLS peers judged by verdicts of a real resolver, with the programs of others on the other side."""

import re
import subprocess
import time
from pathlib import Path

import forger
import others
import ours
from kbvtest import programs, tap
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvworld import capture

FAR, _ = capture.SERVICE
JS1 = "_8003._tcp.js1.op-a.example."          # TLSA 3 1 1, twice
JS2 = "_443._tcp.js2.op-a.example."           # TLSA 2 0 1 of operator A's CA
JS_V = "_443._tcp.js.op-v.example."           # TLSA 3 1 1, self-signed
USAGE3 = "_443._tcp.usage3.op-v.example."     # TLSA 3 0 0, 3 0 1, 3 1 0, 3 1 1
NS_A = "_ns-client.ns.op-a.example."          # TLSA 3 1 1
NS_B = "_ns-client.ns.op-b.example."          # TLSA 3 1 1
NS2_A = "_ns-client.ns2.op-a.example."        # TLSA 2 0 1 of operator A's CA
NETIDS = "netids.lora-alliance.org."
JOINEUIS = "joineuis.lora-alliance.org."
LIAR = "127.0.0.66"                           # where forged resolvers are
MODES = ("callback", "wait", "loop")
VERSIONS = ("1.2", "1.3")
# Each mode with one version, and each version: OpenSSL's state machines differ.
WAYS = (("1.2", "callback"), ("1.3", "wait"), ("1.3", "loop"), ("1.2", "loop"))


class Context:
    """Certificates: the world's, and some that it does not have."""

    def __init__(self, described):
        self.certs = described["certs"]
        self.folder = Path(described["dir"]) / "tls"
        self.folder.mkdir()

    def identity(self, name, alone=False):
        return others.of_world(self.certs, name, alone)

    def self_signed(self, name, names=(), key=None, new=("ec", "ec_paramgen_curve:P-256")):
        """A certificate of its own; key: of the world's certificate of that name."""
        pem, made = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        words = ["openssl", "req", "-x509", "-nodes", "-days", "1", "-subj", "/CN=x", "-config",
                 str(Path(self.certs["js-v"]["cert"]).parent / "openssl.cnf"), "-out", str(pem)]
        if key:
            made = Path(self.certs[key]["key"])
            words += ["-key", str(made)]
        else:
            words += ["-newkey", new[0], *(["-pkeyopt", new[1]] if new[1:] else []), "-keyout",
                      str(made)]
        if names:
            words += ["-addext", "subjectAltName=" + ",".join(f"DNS:{one}" for one in names)]
        subprocess.run(words, check=True, capture_output=True)
        return others.Identity(str(pem), str(made), None, str(pem))

    def stolen(self, name):
        """That certificate, and a key file that pretends to be its key: another secret number beside
        the right public key. OpenSSL compares the public parts alone."""
        own = self.self_signed("thief")

        def der(key, *arguments):
            return subprocess.run(["openssl", "pkey", "-in", key, "-outform", "DER", *arguments],
                                  check=True, capture_output=True).stdout

        public = der(self.certs[name]["key"], "-pubout")[-65:]
        mixed = der(own.key, "-traditional").replace(der(own.key, "-pubout")[-65:], public)
        made = self.folder / "stolen.key"
        made.write_bytes(mixed)
        pem = subprocess.run(["openssl", "ec", "-inform", "DER", "-in", str(made)], check=True,
                             capture_output=True).stdout
        made.write_bytes(pem)
        victim = self.identity(name)
        return others.Identity(victim.cert, str(made), victim.chain, victim.both)


def accepted(found, owner=None):
    same("state", (found["state"], found["accepted"], found["judged"]), ("ACCEPTED", True, True))
    if owner:
        same("owner", found["owner"], owner)
    assert 0 < found["life"] <= 3600, f"life {found['life']}"


def refused(found, reason, state="REFUSED"):
    same("state", (found["state"], found["accepted"], found["judged"]), (state, False, False))
    assert re.search(reason, found["reason"]), f"{found['reason']!r} is not {reason!r}"
    same("received", found["received"], "")


# ------------------------------------------------------------------------ clients that are accepted

def client_of_others(context, kind, version, owner, name, mode):
    """Our client accepts somebody else's server, and talks with it."""
    with others.Server(kind, others.next_port(), context.identity(name), version) as server:
        found = ours.client(server.address, server.port, owner=owner, tls=version, mode=mode,
                            send=server.greeting)
    accepted(found, owner)
    same("version", found["version"], f"TLSv{version}")
    assert server.answer in found["received"], f"received: {found['received']!r}"
    same("by the chain", found["by_chain"], name == "js2")


def server_of_others(context, kind, version, owner, name, mode):
    """Our server accepts somebody else's client, and talks with it."""
    reply = "HTTP/1.0 200 OK\r\n\r\nwelcome\n"
    with ours.Server(others.next_port(), owner=owner, tls=version, mode=mode, send=reply,
                     **ours.with_key(context.identity("ns-a.server"))) as server:
        output = others.client(kind, server.address, server.port, context.identity(name), version)
        found = server.report()
    accepted(found, owner)
    assert "welcome" in output, output
    assert found["received"].startswith("GET /" if kind == "curl" else "hello"), found["received"]
    same("by the chain", found["by_chain"], name == "ns2-a.client")


def interoperation(context):
    for version in VERSIONS:
        for number, (owner, name) in enumerate(((JS1, "js1.next"), (JS2, "js2"))):
            for kind in ("openssl", "gnutls", "nginx"):
                yield (f"our client, {kind}, TLS {version}, {name}", client_of_others, context, kind,
                       version, owner, name, MODES[(number + len(kind)) % 3])
        for number, (owner, name) in enumerate(((NS_A, "ns-a.client"), (NS2_A, "ns2-a.client"))):
            for kind in ("openssl", "gnutls", "curl"):
                yield (f"our server, {kind}, TLS {version}, {name}", server_of_others, context, kind,
                       version, owner, name, MODES[(number + len(kind)) % 3])


def keys_of_all_kinds(context):
    """Usage 3 in every form, RSA and Ed25519 keys, a self-signed certificate."""
    for owner, name in ((JS_V, "js-v"), (USAGE3, "js-v"), (USAGE3, "js-v.next"), (USAGE3, "rsa"),
                        (USAGE3, "ed25519")):
        with others.Server("openssl", others.next_port(), context.identity(name), "1.3") as server:
            accepted(ours.client(server.address, server.port, owner=owner, mode="loop"), owner)


# ------------------------------------------------------------------------- servers that are refused

def refused_server(context, identity, owner, reason, status=None):
    """In every mode and version; the server learns nothing of us."""
    for version, mode in WAYS:
        with others.Server("msg", others.next_port(), identity, version) as server:
            found = ours.client(server.address, server.port, owner=owner, tls=version, mode=mode,
                                ciphers="DEFAULT:@SECLEVEL=0",
                                **ours.with_key(context.identity("ns-a.client")))
            server.heard(r"<<< .*Alert")
        refused(found, reason)
        if status:
            same("status", found["status"], status)
        same("OpenSSL's word", found["verify"], "no matching DANE TLSA records"
             if status == "NOT_BOUND" else "application verification failure")
        assert "certificate verify failed" in found["error"], found["error"]
        assert found["reason"] in found["error_data"], found["error_data"]
        for secret in ("hello", "Client certificate", r"<<< .*Handshake.*, Certificate\b"):
            assert not re.search(secret, server.output), f"the server saw {secret}"


def refused_servers(context):
    """(name, identity, owner, reason, status)"""
    weak = context.self_signed("weak", ["js1.op-a.example"], new=("rsa:1024",))
    return [
        ("another key", context.identity("ns-a.server"), JS1, "NOT_BOUND", "NOT_BOUND"),
        ("another CA", context.identity("ns-b.server"), JS2, "NOT_BOUND", "NOT_BOUND"),
        ("the right CA, another name", context.identity("js1.next"), JS2, "NOT_BOUND",
         "NOT_BOUND"),
        ("the end entity without its CA", context.identity("js2", alone=True), JS2, "NOT_BOUND",
         "NOT_BOUND"),
        ("self-signed with the right name", context.self_signed("self", ["js2.op-a.example"]), JS2,
         "NOT_BOUND", "NOT_BOUND"),
        ("RSA of 1024 bits", weak, JS1, "too weak: RSA of 1024 bits", None),
        ("an owner without TLSA", context.identity("js2"), "_8003._tcp.js2.op-a.example.",
         "NO_BINDING", "NO_BINDING"),
        ("an unsigned zone", context.identity("js-v"), "_443._tcp.js.unsigned.example.",
         "INSECURE", "INSECURE"),
        ("a bogus zone", context.identity("js-v"), "_443._tcp.js.wrongds.example.", "BOGUS",
         "BOGUS"),
    ]


def stolen_certificate(context):
    """The certificate is good, and its sender does not have the key."""
    identity = context.stolen("js1.next")
    for version, mode in WAYS:
        with others.Server("msg", others.next_port(), identity, version) as server:
            found = ours.client(server.address, server.port, owner=JS1, tls=version, mode=mode,
                                **ours.with_key(context.identity("ns-a.client")))
            server.heard(r"<<< .*Alert")
        same("state", (found["state"], found["accepted"], found["judged"]),
             ("FAILED" if mode != "callback" else "REFUSED", False, False))
        assert "hello" not in server.output and "Client certificate" not in server.output


def no_certificate(context):
    """A cipher suite without certificates is no way around the judgement."""
    for mode in MODES:
        with others.Server("openssl", others.next_port(), None, "1.2",
                           arguments=["-cipher", "aNULL:@SECLEVEL=0"]) as server:
            found = ours.client(server.address, server.port, owner=JS1, tls="1.2", mode=mode,
                                ciphers="aNULL:@SECLEVEL=0")
        refused(found, "proved no key|not judged")


# ------------------------------------------------------------------------- clients that are refused

def refused_client(context, identity, owners, reason, who="owners", state=None):
    """In every mode and version; it gets no answer."""
    for version, mode in WAYS:
        with ours.Server(others.next_port(), owner=owners, who=who, tls=version, mode=mode,
                         **ours.with_key(context.identity("ns-a.server"))) as server:
            output = others.client("openssl", server.address, server.port, identity, version)
            found = server.report()
        refused(found, reason, state if state and mode != "callback" else "REFUSED")
        assert "welcome" not in output, output
        # Where nothing was said the connection ends at once, whatever is on its way.
        if mode != "loop" and who != "nothing":
            assert re.search(r"alert", output, re.I), output


def refused_clients(context):
    """(name, identity, owners, reason, who, state)"""
    attacker = context.self_signed("attacker", ["_ns-client.ns.op-a.example"])
    return [
        ("another partner's valid key", context.identity("ns-b.client"), [NS_A], "NOT_BOUND"),
        ("a server's key of the right CA", context.identity("ns-a.server"), [NS_A], "NOT_BOUND"),
        ("the right CA, another name", context.identity("ns-a.client"), [NS2_A], "NOT_BOUND"),
        ("the right name, another CA", context.identity("ns2-a.by-b"), [NS2_A], "NOT_BOUND"),
        ("neither of two", context.identity("ns2-a.client"), [NS_A, NS_B], "NOT_BOUND"),
        ("no certificate", None, [NS_A], "peer did not return a certificate|not judged", "owners",
         "FAILED"),
        ("a name that it claims", attacker, [], "NOT_BOUND", "self"),
        ("a name that it claims, of a list", attacker, [NS_A, NS_B], "NOT_BOUND", "self"),
        ("a name that is not on the list", attacker, [NS_B], "names nobody who is expected", "self"),
        ("two names", context.identity("ns-a.client"), [], "exactly one dNSName", "self"),
        ("no name", context.identity("js-v"), [], "exactly one dNSName", "self"),
        ("a client where nobody is expected", context.identity("ns-a.client"), [],
         "nobody is expected", "nobody"),
        ("a client where nothing was said", context.identity("ns-a.client"), [],
         "nobody is expected", "nothing"),
    ]


def without_the_key(context):
    """A client with a stolen certificate."""
    identity = context.stolen("ns-a.client")
    for version, mode in WAYS:
        with ours.Server(others.next_port(), owner=NS_A, tls=version, mode=mode,
                         **ours.with_key(context.identity("ns-a.server"))) as server:
            output = others.client("openssl", server.address, server.port, identity, version)
            found = server.report()
        same("state", (found["accepted"], found["judged"], found["received"]),
             (False, False, ""))
        assert found["state"] in ("FAILED", "REFUSED") and "welcome" not in output


# ------------------------------------------------------------------------------- who the client is

def named_by_itself(context):
    """One name in the certificate, bound to its key; or several, and a list that one of them is on."""
    one = context.self_signed("one", ["ns.op-b.example", "_ns-client.ns.op-b.example"],
                              key="ns-b.client")
    for identity, owners, owner in ((one, [], NS_B), (one, [NS_A, NS_B], NS_B),
                                    (context.identity("ns-a.client"), [NS_B, NS_A], NS_A)):
        for mode in MODES:
            with ours.Server(others.next_port(), owner=owners, who="self", mode=mode,
                             **ours.with_key(context.identity("ns-a.server"))) as server:
                others.client("openssl", server.address, server.port, identity, "1.3")
                accepted(server.report(), owner)


def one_of_several(context):
    """Self-signed and nameless, on a list of owners: each is asked about."""
    nameless = context.self_signed("nameless", key="ns-b.client")
    with ours.Server(others.next_port(), owner=[NS_A, NS2_A, NS_B], mode="loop",
                     **ours.with_key(context.identity("ns-a.server"))) as server:
        others.client("openssl", server.address, server.port, nameless, "1.3")
        accepted(server.report(), NS_B)


def sender_id(context):
    """Judged by what the request says: the right SenderID, and one that is stolen."""
    for mode in MODES:
        for name, said in (("ns-a.client", True), ("ns-b.client", False)):
            with ours.Server(others.next_port(), who="later", mode=mode, netid_suffix=NETIDS,
                             **ours.with_key(context.identity("ns-a.server"))) as server:
                output = others.client("openssl", server.address, server.port,
                                       context.identity(name), "1.3", text="00050A\n")
                found = server.report()
            same(f"{name} as 00050A", (found["judged"], "welcome" in output, found["accepted"]),
                 (said, said, False))
            same("owner", found["owner"], f"_ns-client.00050a.{NETIDS}")
            same("status", found["status"], "BOUND" if said else "NOT_BOUND")


# --------------------------------------------------------------------------------- pins, identifiers

def pins(context):
    """A published key of usage 3 is accepted without a question; a CA is asked about."""
    with others.Server("openssl", others.next_port(), context.identity("js1.next"), "1.3") as server:
        found = ours.client(server.address, server.port, owner=JS1, pins=JS1)
        accepted(found, JS1)
        same("by pins, status", (found["by_pins"], found["status"]), (True, "PUBLISHED"))
    with others.Server("openssl", others.next_port(), context.identity("js2"), "1.3") as server:
        found = ours.client(server.address, server.port, owner=JS2, pins=JS2)
        accepted(found, JS2)
        same("by pins, by chain", (found["by_pins"], found["by_chain"]), (False, True))


def pins_that_are_over(context):
    """Behind T pins are nothing, and the resolver is asked: here it still says so."""
    owner = "_443._tcp.js.quick.example."
    with others.Server("openssl", others.next_port(), context.identity("js-v"), "1.3") as server:
        for nap, by_pins in (("0", True), ("6", False)):  # its TTL is 5 s
            found = ours.client(server.address, server.port, owner=owner, pins=owner, nap=nap)
            same(f"after {nap} s", (found["state"], found["by_pins"]), ("ACCEPTED", by_pins))


def pins_of_another(context):
    """Another owner's pins say nothing of this one."""
    with others.Server("openssl", others.next_port(), context.identity("js1.next"), "1.3") as server:
        refused(ours.client(server.address, server.port, owner=JS2, pins=JS2), "NOT_BOUND")
        refused(ours.client(server.address, server.port, owner=JS2, pins=JS1), "NOT_BOUND")
    with others.Server("openssl", others.next_port(), context.identity("ns-a.server"),
                       "1.3") as server:
        refused(ours.client(server.address, server.port, owner=JS1, pins=JS1), "NOT_BOUND")


def pins_of_a_stranger(context):
    """Pins that came over a channel of anybody's are none."""
    with others.Server("openssl", others.next_port(), context.identity("js1.next"), "1.3") as server:
        refused(ours.client(server.address, server.port, owner=JS1, pins=JS1, resolver=FAR,
                            trust="no"), "others can write to")


def join_server(context):
    """By JoinEUI: endpoints by NAPTR and SRV, and behind an alias as ChirpStack has it."""
    rows = [("70B3D57ED0000000", 8003, "js1.next", JS1, "js1.op-a.example"),
            ("70B3D57ED0000000", 443, "js2", JS2, "js2.op-a.example"),
            ("70B3D57EE0000001", 443, "js-b", "_443._tcp.js1.op-b.example.", "js1.op-b.example")]
    for eui, port, name, owner, sni in rows:
        for no_pins in (None, "yes"):
            with others.Server("openssl", port, context.identity(name), "1.3",
                               address="203.0.113.1") as server:
                found = ours.client(server.address, port, joineui=eui, suffix=JOINEUIS,
                                    nopins=no_pins)
            accepted(found, owner)
            same("by pins", found["by_pins"], not no_pins and name != "js2")
            same("SNI", found["sni"], sni)


def another_endpoint(context):
    """The key of one endpoint of a JoinEUI does not pass for the other."""
    with others.Server("openssl", 443, context.identity("js1.next"), "1.3",
                       address="203.0.113.1") as server:
        refused(ours.client(server.address, 443, joineui="70B3D57ED0000000", suffix=JOINEUIS),
                "NOT_BOUND")


def server_names(context):
    """SNI is the owner's host, or the JoinEUI's name as ChirpStack sends it; servers take both."""
    nibbles = "1.0.0.0.0.0.0.e.e.7.5.d.3.b.0.7." + JOINEUIS
    for options, sni in (({}, "ns.op-b.example"), ({"sni": nibbles}, nibbles.rstrip("."))):
        with ours.Server(others.next_port(), owner=NS_A,
                         **ours.with_key(context.identity("ns-b.server"))) as server:
            found = ours.client(server.address, server.port, owner="_443._tcp.ns.op-b.example.",
                                **ours.with_key(context.identity("ns-a.client")), **options)
            accepted(found)
            same("SNI", (found["sni"], server.report()["sni"]), (sni, sni))


# ---------------------------------------------------------------------------------------- resolvers

def resolvers(context):
    """Whom our client asks, and what it makes of the answer. The control comes first: what the forger
    says would be believed if it were trusted."""
    other = b"\4_443\4_tcp\3js2\4op-a\7example\0"
    trusted = {"resolver": LIAR, "trust": "yes", "timeout": "1000"}
    rows = [("control", {}, {}, None),
            ("late, and in time", {"delay_s": 0.4}, {}, None),
            ("forged", {}, {"trust": "no"}, "others can write to"),
            ("silent", {"delay_s": None}, {}, "no resolver answered in time"),
            ("late", {"delay_s": 1.5}, {}, "no resolver answered in time"),
            ("late, with a limit of ours", {"delay_s": 0.9}, {"limit": "300"}, "in time"),
            ("T has passed", {"issued": -100, "life": 99}, {}, "expired"),
            # Served through its last second, accepted before it alone.
            ("T is now, and a new verdict a second later", {"first": {"issued": -10, "life": 10}},
             {}, None),
            ("T is now, always", {"issued": -10, "life": 10}, {}, "expired"),
            ("issued in the future", {"issued": 1000}, {}, "future"),
            ("of another owner", {"owner": other}, {}, "about another name"),
            ("no verdict", {"garbage": b""}, {}, "malformed|without a verdict"),
            ("an echo", {"garbage": bytes([0x11, 0, 0, 0, 0, 0])}, {}, "malformed|without a verdict"),
            ("not bound", {"status": 2}, {}, "NOT_BOUND"),
            ("undecided, for ever", {"status": 5}, {}, "UNDECIDED|resolver|verdict")]
    for name, lie, options, reason in rows:
        for mode in MODES:
            yield f"resolver: {name}, {mode}", resolver, context, lie, trusted | options, mode, reason


def resolver(context, lie, options, mode, reason):
    with others.Server("msg" if reason else "openssl", others.next_port(),
                       context.identity("other"), "1.3") as server, \
            forger.Forger(LIAR, **lie) as liar:
        found = ours.client(server.address, server.port, owner=JS1, mode=mode, **options)
        assert liar.asked > 0, "it was not asked"
    if reason:
        refused(found, reason)
        assert "hello" not in server.output
    else:
        accepted(found, JS1)


def nobody_there(context):
    """A resolver that is not there, and none at all."""
    with others.Server("msg", others.next_port(), context.identity("js1.next"), "1.3") as server:
        refused(ours.client(server.address, server.port, owner=JS1, resolver="127.0.0.67",
                            timeout="700"), "resolver")
        refused(ours.client(server.address, server.port, owner=JS1, resolver=None), "resolver")


def server_waits(context):
    """While a server waits for its resolver nothing is read and nothing goes out, even if it tries."""
    for answers, reason in ((0.5, None), (None, "in time")):
        for version in VERSIONS:
            port = others.next_port()
            with forger.Forger(LIAR, delay_s=answers), \
                    ours.Server(port, owner=NS_A, mode="loop", eager="yes", resolver=LIAR,
                                timeout="1000", tls=version,
                                **ours.with_key(context.identity("ns-a.server"))) as server:
                output = others.client("openssl", "127.0.0.1", port, context.identity("ns-a.client"),
                                       version)
                found = server.report()
            same("something went through", found["early"], False)
            assert "leak" not in output, output
            if reason:
                refused(found, reason)
                assert "welcome" not in output, output
            else:
                accepted(found, NS_A)
                assert "welcome" in output, output


# ----------------------------------------------------------------------------------------- sessions

def no_session_of_ours(context):
    """Our server gives no session out, and resumes none."""
    for version in VERSIONS:
        with ours.Server(others.next_port(), owner=NS_A, tls=version, n="2", mode="callback",
                         **ours.with_key(context.identity("ns-a.server"))) as server:
            saved = context.folder / f"session-{version}"
            outputs = [others.client("openssl", server.address, server.port,
                                     context.identity("ns-a.client"), version,
                                     arguments=["-sess_out", str(saved)])]
            again = ["-sess_in", str(saved)] if saved.exists() else ["-reconnect"][:0]
            outputs.append(others.client("openssl", server.address, server.port,
                                         context.identity("ns-a.client"), version,
                                         arguments=again))
            for found in server.reports():
                accepted(found, NS_A)
        for output in outputs:
            assert "Reused, TLS" not in output and "New Session Ticket arrived" not in output, output


def no_session_of_theirs(context):
    """A session that a program keeps by itself is judged again, or refused: never let through."""
    for version, mode in WAYS:
        with others.Server("openssl", others.next_port(), context.identity("js1.next"),
                           version) as server:
            first, second = ours.clients(server.address, server.port, owner=JS1, tls=version,
                                         mode=mode, again="yes")
        accepted(first, JS1)
        if second["state"] != "ACCEPTED":
            refused(second, "resumed|not judged")
        else:
            accepted(second, JS1)


# --------------------------------------------------------------------------------------------- many

def many(context, n):
    """A hundred clients and their server, each in one thread."""
    with ours.Server(others.next_port(), owner=NS_A, mode="loop", n=str(n),
                     **ours.with_key(context.identity("ns-b.server"))) as server:
        found = ours.clients(server.address, server.port, owner="_443._tcp.ns.op-b.example.",
                             mode="loop", n=str(n), **ours.with_key(context.identity("ns-a.client")))
        same("clients", len(found), n)
        for one in found + server.reports():
            accepted(one)
        for one in found:
            same("received", one["received"], "welcome\n")


# ----------------------------------------------------------------------------------------- raw keys

def openssl_version():
    text = subprocess.run([str(ours.PEER), "version"], capture_output=True, text=True,
                          check=True).stdout
    return tuple(int(part) for part in text.split(".")[:2])


def raw_keys(context):
    """Raw public keys in both directions."""
    for version in VERSIONS:
        with ours.Server(others.next_port(), owner=NS_A, raw="yes", tls=version, mode="loop",
                         **ours.with_key(context.identity("js1.next"))) as server:
            found = ours.client(server.address, server.port, owner=JS1, raw="yes", tls=version,
                                mode="loop", **ours.with_key(context.identity("ns-a.client")))
            accepted(found, JS1)
            accepted(server.report(), NS_A)


def raw_keys_of_another(context):
    """The key counts, whoever sends it without a certificate."""
    for version, mode in WAYS:
        with ours.Server(others.next_port(), owner=NS_A, raw="yes", tls=version, mode=mode,
                         **ours.with_key(context.identity("js2"))) as server:
            refused(ours.client(server.address, server.port, owner=JS1, raw="yes", tls=version,
                                mode=mode, **ours.with_key(context.identity("ns-a.client"))),
                    "NOT_BOUND")
        # No chain comes with a raw key, so a CA says nothing of it.
        with ours.Server(others.next_port(), owner=NS_A, raw="yes", tls=version, mode=mode,
                         **ours.with_key(context.identity("js2"))) as server:
            refused(ours.client(server.address, server.port, owner=JS2, raw="yes", tls=version,
                                mode=mode, **ours.with_key(context.identity("ns-a.client"))),
                    "UNDECIDED")


def no_raw_keys(context):
    """An OpenSSL without them says so."""
    done = subprocess.run(ours.words("client", "127.0.0.1", 1, {"owner": JS1, "raw": "yes"}),
                          capture_output=True, text=True, check=False)
    same("exit status", done.returncode, 70)
    assert "no raw public keys" in done.stderr, done.stderr


def main():
    suite = tap.Suite("tls")
    described = programs.world()
    context = Context(described)
    started = time.monotonic()
    with Resolver(described, extra=PATIENT):
        suite.tests(interoperation(context))
        suite.test("keys of all kinds", keys_of_all_kinds, context)
        for name, *row in refused_servers(context):
            suite.test(f"server refused: {name}", refused_server, context, *row)
        suite.test("server refused: a stolen certificate", stolen_certificate, context)
        suite.test("server refused: a cipher suite without certificates", no_certificate, context)
        for name, *row in refused_clients(context):
            suite.test(f"client refused: {name}", refused_client, context, *row)
        suite.test("client refused: a stolen certificate", without_the_key, context)
        for name, function in [
                ("a client that names itself", named_by_itself),
                ("one of several owners", one_of_several),
                ("a SenderID, and a stolen one", sender_id),
                ("pins", pins), ("pins that are over", pins_that_are_over),
                ("pins of another owner", pins_of_another),
                ("pins from anybody", pins_of_a_stranger),
                ("a join server by JoinEUI", join_server),
                ("the key of another endpoint", another_endpoint),
                ("server names", server_names),
                ("no resolver", nobody_there),
                ("a server that waits", server_waits),
                ("sessions of our server", no_session_of_ours),
                ("sessions of another server", no_session_of_theirs)]:
            suite.test(name, function, context)
        suite.test("a hundred at once", many, context, 100)
        suite.tests(resolvers(context))
        if openssl_version() >= (3, 2):
            suite.test("raw public keys", raw_keys, context)
            suite.test("raw public keys of another", raw_keys_of_another, context)
        else:
            suite.test("no raw public keys", no_raw_keys, context)
    print(f"# {time.monotonic() - started:.0f} s")
    suite.finish()


main()
