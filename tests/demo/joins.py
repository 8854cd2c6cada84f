# SPDX-License-Identifier: BSD-3-Clause
"""The joins of the demonstration: devices of one operator in the network of another, and whoever must
not join. Each scene is what people would type, with the programs of examples/."""

import re
import shlex

import others
import roles
from device import Device
from tunnels import Tunnel, until

JS_A, JS2_A, JS_B = "203.0.113.1", "203.0.113.2", "203.0.113.11"
AT_A = Device("0004A30B001A2B3C", "70B3D57ED0000000")
AT_B = Device("0004A30B001A2B3D", "70B3D57EE0000001", bytes(range(16, 32)))

PROGRAMS = [roles.EXAMPLES / name for name in ("join-server", "network-server")]
TITLE = "A device joins, over two operators"
TEXT = """The two programs of examples/ and nothing but a resolver: a network server that finds the join
server of a JoinEUI and judges its key in the TLS handshake, and a join server that judges the client's
key by the NetID in the request. Neither knows the other's CA. Then the same with something wrong: each
is refused, and the other side gets nothing."""


class Stage:
    """Where a scene plays. lines: what is shown of it."""

    def __init__(self, world):
        self.world, self.certs, self.lines = world, world["certs"], []

    def js(self, address=JS_B, port=443, cert="js-b", device=AT_B):
        server = roles.JoinServer(self.world, address, port, self.certs[cert], [device])
        self.command(server.words)
        return server

    def command(self, words):
        """As a person would type it, without the folders of this run."""
        self.lines.append("$ " + re.sub(r"[^\s@]*/(?=[^/ ]+\.(pem|key|json)|join-|network-)", "",
                                        shlex.join(words)))

    def tunnel(self, role, cert, *arguments, **more):
        row = self.certs[cert]
        made = Tunnel(role, (row["chain"], row["key"]), *arguments, **more)
        self.command(["kbv", *made.words[1:]])
        return made

    def unmodified_ns(self, address, device, net_id):
        """The same by curl, in plain HTTP."""
        words, answer, errors = roles.plain_network_server(self.world, address, device, net_id)
        self.command(words)
        self.lines += errors.splitlines()
        return bool(answer) and self.read(device, net_id, answer)

    def read(self, device, net_id, answer):
        """True if the device understands the answer."""
        mine = device.join(answer["PHYPayload"])
        same = (mine["net_id"], mine["nwk_s_key"], mine["app_s_key"]) == (
            net_id, answer["NwkSKey"]["AESKey"], answer["AppSKey"]["AESKey"])
        self.lines.append(f"device: DevAddr {mine['dev_addr']} of NetID {mine['net_id']}, "
                          f"{'the same' if same else 'OTHER'} session keys")
        return same

    def ns(self, device, cert, net_id, resolver=roles.RESOLVER):
        """(joined, what it said); the device reads the answer with its own cryptography."""
        request = device.join_request()
        self.command(roles.network_server_words(request, self.certs[cert], net_id, resolver))
        status, answer, said = roles.network_server(request, self.certs[cert], net_id, resolver)
        self.lines += said.splitlines()
        if status or not answer:
            return False, said
        return self.read(device, net_id, answer), said


def join(stage, device, client, net_id, **server):
    with stage.js(device=device, **server) as js:
        joined, _ = stage.ns(device, client, net_id)
        log = js.log()
    stage.lines += log.splitlines()
    return joined and "accepted: " in log


def tunnelled(cert):
    """Two servers that know nothing of TLS, with `kbv tunnel` between them; the network server's has
    that certificate. (joined, requests to the join server, the lines of both tunnels that judge)"""
    def play(stage):
        with roles.PlainJoinServer(AT_B) as js, \
                stage.tunnel("server", "js-b", "--forward", js.address, "--allow", "netid:00050A",
                             "--suffix", roles.NETIDS, listen=f"{JS_B}:443") as far, \
                stage.tunnel("client", cert, "--to", f"joineui:{AT_B.join_eui}", "--suffix",
                             roles.JOINEUIS) as near:
            joined = stage.unmodified_ns(near.address, AT_B, "00050A")
            until(far.log, lambda: far.count("accepted") + far.count("refused"))
            judged = [line for tunnel in (near, far) for line in tunnel.lines
                      if re.match("event=(accepted|refused) ", line)]
        stage.lines += [*judged, f"requests to the join server: {js.requests}"]
        return joined, js.requests, judged
    return play


def tunnel_joins(stage):
    joined, requests, _ = tunnelled("ns-a.client")(stage)
    return joined and requests == 1


def tunnel_refuses(stage):
    joined, requests, judged = tunnelled("ns-b.client")(stage)
    return not joined and requests == 0 and any("NOT_BOUND" in line for line in judged)


def stolen(stage):
    with stage.js() as js:
        joined, said = stage.ns(AT_B, "ns-b.client", "00050A")
        log = js.log()
    stage.lines += log.splitlines()
    return not joined and "UnknownSender" in said and re.search("refused: .*NOT_BOUND", log) and \
        "Success" not in log


def wrong_ca(stage):
    """The impostor is openssl s_server, which prints each message that it gets."""
    impostor = others.of_world(stage.certs, "js2.by-b")
    with others.Server("msg", 443, impostor, "1.3", JS2_A) as server:
        joined, said = stage.ns(AT_A, "ns-b.client", "00050B")
        server.heard(r"<<< .*Alert")
    heard = re.findall(r"<<< .*(?:Handshake|Alert|ApplicationData).*, (\w.*)", server.output)
    stage.lines.append(f"the impostor heard: {', '.join(heard)}")
    return not joined and re.search("refused: .*NOT_BOUND", said) and \
        not re.search(r"JoinReq|<<< .*, Certificate\b", server.output)


def misled(address, change, reason):
    """A scene with another resolver, in which nobody connects to the join server."""
    def scene(stage):
        with roles.Resolver(address, change and change(stage.certs)) as resolver, \
                roles.Listener(JS_B, 443) as js:
            joined, said = stage.ns(AT_B, "ns-a.client", "00050A", address)
        stage.lines.append(f"questions to the resolver: {resolver.asked}; connections to the join "
                           f"server: {js.count}")
        return not joined and resolver.asked and not js.count and reason in said
    return scene


SCENES = [
    ("Operator A's network server, a device of B's: an alias to B's join server, as ChirpStack has it",
     "joined", lambda stage: join(stage, AT_B, "ns-a.client", "00050A")),
    ("Operator B's network server, a device of A's: NAPTR and SRV, as TS002 has it",
     "joined", lambda stage: join(stage, AT_A, "ns-b.client", "00050B", address=JS_A, port=8003,
                                  cert="js1.current")),
    ("Servers that know nothing of all this, in plain HTTP, and `kbv tunnel` between the operators",
     "joined", tunnel_joins),
    ("The same tunnel, asked by operator B in the place of A", "refused", tunnel_refuses),
    ("A stolen SenderID: B's network server says that it is A's, with B's own valid key",
     "refused", stolen),
    ("A join server with the right name and a certificate of the wrong CA", "refused", wrong_ca),
    ("A resolver that repeats what was true two hours ago: an expired pin set", "refused",
     misled("127.0.0.66", lambda certs: roles.two_hours_old, "the verdict has expired")),
    ("A resolver that keeps silent", "refused",
     misled("127.0.0.66", None, "no resolver answered in time")),
    ("A forged verdict: the key of somebody else, from a resolver that nobody vouches for", "refused",
     misled(roles.NOT_LOCAL, lambda certs: roles.with_key(certs["js-b"], certs["other"]),
            "a channel that others can write to")),
]
