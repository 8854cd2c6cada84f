# SPDX-License-Identifier: BSD-3-Clause
"""Joins over two operators with a CA each, and whoever must not join."""

import http.client
import json
import re
import socket
import ssl
import subprocess
import threading
import time

import others
import roles
from device import Device
from kbvtest import programs, tap
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from roles import JoinServer, Listener, network_server
from tunnels import Tunnel

A, B = "00050A", "00050B"                          # NetIDs of the operators
JS1_A, JS2_A = "203.0.113.1", "203.0.113.2"        # A's join servers: 8003 usage 3, 443 usage 2
JS_B, JS_B6 = "203.0.113.11", "2001:db8:113::11"   # B's, 443, usage 3, behind an alias
AT_A = Device("0004A30B001A2B3C", "70B3D57ED0000000")
AT_B = Device("0004A30B001A2B3D", "70B3D57EE0000001", bytes(range(16, 32)))


class Context:
    def __init__(self, world):
        self.world, self.certs = world, world["certs"]

    def js_a(self, **words):
        return JoinServer(self.world, JS1_A, 8003, self.certs["js1.current"], [AT_A], **words)

    def js_b(self, address=JS_B, **words):
        return JoinServer(self.world, address, 443, self.certs["js-b"], [AT_B], **words)

    def ns(self, device, cert="ns-a.client", net_id=A, phy_payload=None, **words):
        return network_server(phy_payload or device.join_request(), self.certs[cert], net_id,
                              **words)


def joined(found, device, net_id):
    """The device understands the answer, and has the same keys as the network."""
    status, answer, said = found
    assert status == 0, said
    mine = device.join(answer["PHYPayload"])
    same("NetID", mine["net_id"], net_id)
    same("keys", (mine["nwk_s_key"], mine["app_s_key"]),
         (answer["NwkSKey"]["AESKey"], answer["AppSKey"]["AESKey"]))
    same("header", (answer["MessageType"], answer["SenderID"], answer["ReceiverID"],
                    answer["Result"]["ResultCode"], mine["settings"]),
         ("JoinAns", device.join_eui, net_id, "Success", "0001"))
    # NetID type 0: a zero, then its six lowest bits (TS001-1.0.4 section 6.1.1).
    same("NwkID", int(mine["dev_addr"], 16) >> 25, int(net_id, 16) & 0x3F)
    return mine


def not_joined(found, said):
    status, answer, text = found
    same("outcome", (status, answer), (1, None))
    assert re.search(said, text), f"{text!r} is not {said!r}"


# ---------------------------------------------------------------------------------- who may join

def a_joins_at_b(context):
    with context.js_b() as js:
        found = context.ns(AT_B)
        joined(found, AT_B, A)
        assert re.search(r"accepted: https://1\.0\.0.*lora-alliance\.org:443/", found[2]), found[2]
        js.said("accepted: .*\n.*SenderID 00050A, DevEUI 0004A30B001A2B3D: Success")


def b_joins_at_a(context):
    with context.js_a():
        found = context.ns(AT_A, "ns-b.client", B)
    joined(found, AT_A, B)
    assert "accepted: https://js1.op-a.example:8003/" in found[2], found[2]


def second_join_server(context):
    """The first does not listen; the second is bound by its CA alone."""
    with JoinServer(context.world, JS2_A, 443, context.certs["js2"], [AT_A]):
        found = context.ns(AT_A, "ns-b.client", B)
    joined(found, AT_A, B)
    assert "accepted: https://js2.op-a.example:443/" in found[2], found[2]


def over_ipv6(context):
    with context.js_b(JS_B6):
        joined(context.ns(AT_B), AT_B, A)


def again(context):
    """Nonces are used once."""
    with context.js_b():
        nonces = [joined(context.ns(AT_B), AT_B, A)["join_nonce"] for _ in range(3)]
        same("JoinNonces", nonces, [1, 2, 3])
        old = AT_B.join_request()
        joined(context.ns(AT_B, phy_payload=old), AT_B, A)
        not_joined(context.ns(AT_B, phy_payload=old), "FrameReplayed")
        not_joined(context.ns(AT_B, phy_payload=AT_B.join_request(1)), "FrameReplayed")


def at_once(context):
    """Ten devices of both operators."""
    devices = [Device(f"0004A30B001B00{i:02X}", AT_B.join_eui) for i in range(10)]
    who = [("ns-a.client", A) if i % 2 else ("ns-b.client", B) for i in range(10)]
    with JoinServer(context.world, JS_B, 443, context.certs["js-b"], devices):
        running = [subprocess.Popen(roles.network_server_words(
            device.join_request(), context.certs[cert], net_id), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) for device, (cert, net_id) in zip(devices, who)]
        for process, device, (_, net_id) in zip(running, devices, who):
            out, said = process.communicate(timeout=4 * roles.DEADLINE_S)
            # A busy machine may be too slow for one of them; a wrong answer it must not give.
            assert process.returncode == 0, said
            joined((0, json.loads(out), said), device, net_id)


def tunnel(context, cert):
    """An operator's kbv tunnel, for a network server that knows nothing of it."""
    row = context.certs[cert]
    return Tunnel("client", (row["chain"], row["key"]), "--to", f"joineui:{AT_B.join_eui}",
                  "--suffix", roles.JOINEUIS)


def through_tunnel(context):
    """The join server judges the tunnel's key, as it does a network server's own."""
    with context.js_b() as js, tunnel(context, "ns-a.client") as a, \
            tunnel(context, "ns-b.client") as b:
        _, answer, errors = roles.plain_network_server(context.world, a.address, AT_B, A)
        assert answer, errors + a.log()
        mine = joined((0, answer, errors), AT_B, A)
        same("DevAddr", mine["dev_addr"], "14000001")
        _, answer, errors = roles.plain_network_server(context.world, b.address, AT_B, A)
        assert answer, errors + b.log()
        same("stolen", (answer["Result"]["ResultCode"], "PHYPayload" in answer),
             ("UnknownSender", False))
        js.said("refused: .*NOT_BOUND")


# --------------------------------------------------------------- what a join server does not answer

def refused_sender(context, cert, reason, net_id=A, **words):
    """It learns nothing, and uses nothing up: the same join-request is good for whom it concerns."""
    request = AT_B.join_request()
    with context.js_b(**words) as js:
        not_joined(context.ns(AT_B, cert, net_id, request), "the join server says UnknownSender")
        js.said(f"refused: .*{reason}")
        assert "Success" not in js.log() and "PHYPayload" not in js.log()
        if not words:
            joined(context.ns(AT_B, phy_payload=request), AT_B, A)


def no_agreement(context):
    with context.js_b(partners=[B]) as js:
        not_joined(context.ns(AT_B), "UnknownSender: no agreement with this NetID")
        assert "accepted" not in js.log()


def self_made(context):
    """A certificate with the names of operator A's network server, and a key of its own."""
    names = context.certs["ns-a.client"]["names"]
    pem, key = (f"{context.world['dir']}/self-made.{end}" for end in ("pem", "key"))
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-config", f"{context.world['certs_dir']}/openssl.cnf",
                    "-subj", "/CN=x", "-addext", "subjectAltName=" + ",".join(
                        f"DNS:{name}" for name in names), "-keyout", key, "-out", pem],
                   check=True, capture_output=True)
    context.certs["self-made"] = {"chain": pem, "key": key}
    refused_sender(context, "self-made", "NOT_BOUND")


def resolver_silent_for_js(context):
    with roles.Resolver("127.0.0.66"):
        refused_sender(context, "ns-a.client", "no verdict in time", resolver="127.0.0.66")


def resolver_not_trusted_by_js(context):
    """It says BOUND, as the real one does, but anybody could write to that channel."""
    with roles.Resolver(roles.NOT_LOCAL, lambda message: message) as resolver:
        refused_sender(context, "ns-a.client", "a channel that others can write to",
                       resolver=roles.NOT_LOCAL)
        assert resolver.asked


def others_are_served_meanwhile(context):
    """While one sender is being judged another one gets its answer; and who leaves harms nobody."""
    answering = threading.Event()

    def late(octets):
        answering.wait(roles.DEADLINE_S)
        return octets

    with roles.Resolver("127.0.0.66", late) as resolver, \
            context.js_b(resolver="127.0.0.66", partners=[A]) as js:
        judged, leaving, other = (connection(context) for _ in range(3))
        for c in (judged, leaving, other):
            c.connect()
        for c in (leaving, judged):
            c.request("POST", "/", json.dumps(message(AT_B)))
        deadline = time.monotonic() + roles.DEADLINE_S
        while resolver.asked == 0:
            assert time.monotonic() < deadline, "the resolver was not asked"
            time.sleep(0.01)
        leaving.close()
        other.request("POST", "/", json.dumps(message(AT_B, SenderID=B)))
        same("the other's", result_code(other), "UnknownSender")
        assert "accepted" not in js.log(), js.log()
        answering.set()
        same("the judged one's", result_code(judged), "Success")
        js.said("(?s)(accepted.*){2}")
        for c in (judged, other):
            c.close()


# ------------------------------------------------------------------------- requests that are none

def connection(context, cert="ns-a.client"):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    if cert:
        tls.load_cert_chain(context.certs[cert]["chain"], context.certs[cert]["key"])
    return http.client.HTTPSConnection(JS_B, 443, timeout=roles.DEADLINE_S, context=tls)


def message(device, **changes):
    return roles.join_req(device, A, **changes)


def result_code(c):
    return json.loads(c.getresponse().read())["Result"]["ResultCode"]


def post(context, body, method="POST"):
    """HTTP status, and the body as JSON if it is."""
    c = connection(context)
    c.request(method, "/", body if isinstance(body, (bytes, type(None))) else json.dumps(body),
              {"Content-Type": "application/json"})
    reply = c.getresponse()
    octets = reply.read()
    c.close()
    try:
        return reply.status, json.loads(octets)
    except ValueError:
        return reply.status, None


MALFORMED = [
    ("nothing", b""), ("no JSON", b"{"), ("a list", b"[]"), ("NUL", b'{"a\0": 1}'),
    ("deep nesting", b"[" * 8000),
    ("two SenderIDs", b'{"SenderID": "00050B", "SenderID": "00050A"}'),
    ("another message", message(AT_B, MessageType="RejoinReq")),
    ("no message type", message(AT_B, MessageType=None)),
    ("no TransactionID", message(AT_B, TransactionID=None)),
    ("a TransactionID in words", message(AT_B, TransactionID="1")),
    ("no SenderID", message(AT_B, SenderID=None)),
    ("a number as SenderID", message(AT_B, SenderID=1290)),
    ("a SenderID that is a name", message(AT_B, SenderID="00050a.netids.lora-alliance.org")),
    ("a SenderID that is too long", message(AT_B, SenderID="0000050A")),
    ("another ReceiverID", message(AT_B, ReceiverID=AT_A.join_eui)),
    ("another DevEUI", message(AT_B, DevEUI=AT_A.dev_eui)),
    ("no PHYPayload", message(AT_B, PHYPayload=None)),
    ("a short PHYPayload", message(AT_B, PHYPayload=AT_B.join_request()[:-2])),
    ("a PHYPayload that is no join-request", message(AT_B, PHYPayload="40" + "00" * 22)),
    ("a PHYPayload that is not hexadecimal", message(AT_B, PHYPayload="0g" * 23)),
    ("no DevAddr", message(AT_B, DevAddr=None)), ("RxDelay 16", message(AT_B, RxDelay=16)),
    ("RxDelay -1", message(AT_B, RxDelay=-1)), ("RxDelay 2^40", message(AT_B, RxDelay=1 << 40)),
    ("a short CFList", message(AT_B, CFList="00")), ("DLSettings", message(AT_B, DLSettings="0")),
]


def malformed(context):
    with context.js_b() as js:
        for name, body in MALFORMED:
            same(name, post(context, body), (400, None))
        assert "accepted" not in js.log() and "refused" not in js.log(), "somebody was judged"
        status, answer = post(context, message(AT_B, CFList="00" * 16))
        same("and then", (status, answer["Result"]["ResultCode"]), (200, "Success"))
        same("TransactionID", answer["TransactionID"], 4711)
        same("a join-accept with CFList", len(answer["PHYPayload"]), 66)
        AT_B.join(answer["PHYPayload"])


def result_codes(context):
    stranger = Device("0004A30B001A2BFF", AT_B.join_eui)
    forged = Device(AT_B.dev_eui, AT_B.join_eui, bytes(16))
    with context.js_b():
        for device, code in ((stranger, "UnknownDevEUI"), (forged, "MICFailed"),
                             (AT_B, "Success")):
            status, answer = post(context, message(device))
            same(code, (status, answer["Result"]["ResultCode"]), (200, code))
            same("keys", "NwkSKey" in answer, code == "Success")


def too_large(context):
    with context.js_b() as js:
        c = connection(context)
        c.putrequest("POST", "/")
        c.putheader("Content-Length", "20000")
        c.endheaders()
        same("status", c.getresponse().status, 413)
        c.close()
        same("method", post(context, None, "GET")[0] >= 400, True)
        assert "judged" not in js.log() and "accepted" not in js.log()
        joined(context.ns(AT_B), AT_B, A)


def slow(context):
    """Those who say nothing, and those who say it slowly, are hung up on; others are served."""
    with context.js_b():
        silent = socket.create_connection((JS_B, 443))
        c = connection(context)
        c.putrequest("POST", "/")
        c.putheader("Content-Length", "400")
        c.endheaders(b"{")
        joined(context.ns(AT_B), AT_B, A)
        c.sock.settimeout(roles.DEADLINE_S)
        same("slow", b"Success" in c.sock.recv(1024), False)
        silent.settimeout(roles.DEADLINE_S)
        same("silent", silent.recv(1024), b"")
        c.close()
        silent.close()


def no_certificate(context):
    with context.js_b() as js:
        c = connection(context, None)
        try:
            c.request("POST", "/", json.dumps(message(AT_B)))
            reply = c.getresponse().read()
        except (OSError, http.client.HTTPException):
            reply = b""
        c.close()
        same("reply", reply, b"")
        with socket.create_connection((JS_B, 443)) as plain:
            plain.settimeout(roles.DEADLINE_S)
            plain.sendall(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}")
            try:
                reply = plain.recv(1024)
            except ConnectionResetError:
                reply = b""
        assert b"HTTP" not in reply, reply
        assert "SenderID" not in js.log() and "HTTP" not in js.log(), js.log()


# ---------------------------------------------------- whom a network server does not tell anything

def identity(context, name):
    return others.of_world(context.certs, name)


def impostor(context, device, address, port, name, reason):
    """It connects to a server whose key is not bound to its name: no request, and no certificate."""
    with others.Server("msg", port, identity(context, name), "1.3", address) as server:
        not_joined(context.ns(device), reason)
        server.heard(r"<<< .*Alert")
    for secret in ("JoinReq", "POST", r"<<< .*Handshake.*, Certificate\b"):
        assert not re.search(secret, server.output), f"the server saw {secret}"


def nobody_connects(context, reason, change=None, address="127.0.0.66", device=AT_B, **words):
    """With such a resolver nobody is even connected to."""
    with roles.Resolver(address, change) as resolver, Listener(JS_B, 443) as js:
        not_joined(context.ns(device, resolver=address, **words), reason)
        same("connections", js.count, 0)
        assert resolver.asked


def no_way_there(context):
    """JoinEUIs of the world's cases."""
    cases = {case["id"]: case for case in context.world["cases"]}
    for name, reason in (("unregistered", "NO_BINDING"), ("bogus-srv", "BOGUS"),
                         ("stripped-tlsa", "BOGUS"), ("unsigned-host", "INSECURE")):
        case = cases[name]
        same("kind", case["kind"], "joineui")
        device = Device("0004A30B001A2B3C", case["value"])
        with Listener("203.0.113.50", 443) as one, Listener("203.0.113.50", 8003) as two:
            not_joined(context.ns(device), f"refused: .*{reason}")
            same("connections", (one.count, two.count), (0, 0))


def no_resolver(context):
    not_joined(context.ns(AT_B, resolver="127.0.0.99"), "no resolver could be reached|in time")


def strange_answers(context):
    """From the right server."""
    def serve(listener, reply):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(context.certs["js-b"]["chain"], context.certs["js-b"]["key"])
        with tls.wrap_socket(listener.accept()[0], server_side=True) as c:
            request = b""
            while b"}" not in request:
                request += c.recv(65536)
            asked = json.loads(request.partition(b"\r\n\r\n")[2])
            c.sendall(reply(asked))

    def http_reply(body, status="200 OK"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    def answer(asked, **changes):
        return http_reply({"SenderID": asked["ReceiverID"], "ReceiverID": asked["SenderID"],
                           "TransactionID": asked["TransactionID"], "MessageType": "JoinAns",
                           "PHYPayload": "20", "Result": {"ResultCode": "Success"}} | changes)

    none = "no JoinAns to our JoinReq"
    cases = [(lambda asked: http_reply(b"hello"), none), (lambda asked: http_reply(b"[]"), none),
             (lambda asked: answer(asked, TransactionID=asked["TransactionID"] + 1), none),
             (lambda asked: answer(asked, SenderID="70B3D57EE0000002"), none),
             (lambda asked: answer(asked, ReceiverID=B), none),
             (lambda asked: answer(asked, MessageType="JoinReq"), none),
             (lambda asked: answer(asked, Result="Success"), none),
             (lambda asked: answer(asked, Result={"ResultCode": "Deferred"}), "says Deferred"),
             (lambda asked: http_reply(b" " * 20000), "writ"),
             (lambda asked: http_reply(b"", "500 No"), "HTTP status 500"),
             (lambda asked: b"HTTP/1.1 302 There\r\nLocation: https://203.0.113.12/\r\n"
                            b"Content-Length: 0\r\n\r\n", "HTTP status 302")]
    with socket.create_server((JS_B, 443)) as listener:
        for reply, reason in cases:
            thread = threading.Thread(target=serve, args=(listener, reply), daemon=True)
            thread.start()
            not_joined(context.ns(AT_B), reason)
            thread.join(roles.DEADLINE_S)


def tests(context):
    yield "operator A's network server joins at B's", a_joins_at_b, context
    yield "operator B's network server joins at A's", b_joins_at_a, context
    yield "the second join server, bound by its CA", second_join_server, context
    yield "over IPv6", over_ipv6, context
    yield "nonces are used once", again, context
    yield "ten joins at once", at_once, context
    yield "through a tunnel, and a stolen SenderID through another's", through_tunnel, context
    yield ("a stolen SenderID: another partner's valid key", refused_sender, context, "ns-b.client",
           "NOT_BOUND")
    yield ("a server's key of the right operator", refused_sender, context, "ns-a.server",
           "NOT_BOUND")
    yield "the right names, another key", self_made, context
    yield "a NetID without agreement is not asked about", no_agreement, context
    yield "a join server whose resolver is silent", resolver_silent_for_js, context
    yield "a join server whose resolver is not trusted", resolver_not_trusted_by_js, context
    yield "others are served while one is judged", others_are_served_meanwhile, context
    yield "malformed requests judge nobody", malformed, context
    yield "result codes", result_codes, context
    yield "a body that is too large", too_large, context
    yield "slow senders", slow, context
    yield "no certificate, and no TLS", no_certificate, context
    yield ("a join server with a certificate of another CA", impostor, context, AT_A, JS2_A, 443,
           "js2.by-b", "NOT_BOUND")
    yield ("a join server with another key", impostor, context, AT_B, JS_B, 443, "js-b.next",
           "NOT_BOUND")
    yield ("a join server with another server's valid key", impostor, context, AT_B, JS_B, 443,
           "js1.current", "NOT_BOUND")
    yield ("an expired pin set", nobody_connects, context, "the verdict has expired",
           roles.two_hours_old)
    yield "a silent resolver", nobody_connects, context, "no resolver answered in time"
    yield "no resolver", no_resolver, context
    yield ("a forged verdict from afar", nobody_connects, context,
           "a channel that others can write to",
           roles.with_key(context.certs["js-b"], context.certs["other"]), roles.NOT_LOCAL)
    yield "identifiers that lead nowhere", no_way_there, context
    yield "answers to another request", strange_answers, context


def verdict_key(context):
    """With a pinned verdict key an unsigned verdict is refused, whoever gives it."""
    key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    with Listener(JS_B, 443) as js:
        not_joined(context.ns(AT_B, more=["--verdict-key", key]),
                   "no signature verifies under a pinned key")
        same("connections", js.count, 0)


def main():
    context = Context(programs.world())
    suite = tap.Suite("examples")
    with Resolver(context.world, extra=PATIENT):
        for row in tests(context):
            suite.test(*row)
        suite.test("an unsigned verdict where a key is pinned", verdict_key, context)
    suite.finish()


if __name__ == "__main__":
    main()
