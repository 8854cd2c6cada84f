# SPDX-License-Identifier: BSD-3-Clause
"""kbv tunnel: operator A's servers, its network server in front of them, and whoever else comes."""

import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import forger
from kbvtest import programs, signing, tap
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvworld import capture
from tunnels import (PATIENCE_S, Backend, Tunnel, connect, cut_off, digest_and_answer, echo, echoes,
                     exchange, flood, is_cut, read_all, unanswered, until)

JS1_ADDRESS, JS2_ADDRESS = "203.0.113.1", "203.0.113.2"     # of the world's zones
JS1 = "_8003._tcp.js1.op-a.example."                         # TLSA 3 1 1, twice
NS_A, NS_B = "_ns-client.ns.op-a.example.", "_ns-client.ns.op-b.example."
SUFFIX = ("--suffix", "joineuis.lora-alliance.org")
JOINEUI = ("--to", "joineui:70B3D57ED0000000", *SUFFIX)      # js1:8003, then js2:443
NOBODY = "127.0.0.99"                                        # no resolver is there
SCRIPTED = "127.0.0.77"


class World:
    def __init__(self, described):
        self.certs = described["certs"]
        self.folder = Path(described["dir"]) / "tunnel"
        self.folder.mkdir()

    def identity(self, name):
        return self.certs[name]["chain"], self.certs[name]["key"]

    def digest(self, name):
        return bytes.fromhex(self.certs[name]["spki_sha256"])

    def js(self, backend, name="js1.next", *arguments, listen=f"{JS1_ADDRESS}:8003",
           allow=(NS_A,), **how):
        words = [word for one in allow for word in ("--allow", one)]
        return Tunnel("server", self.identity(name), "--forward", backend.address, *words, *arguments,
                      listen=listen, **how)

    def ns(self, *arguments, name="ns-a.client", to=("--to", JS1), **how):
        return Tunnel("client", self.identity(name), *to, *arguments, **how)


# ------------------------------------------------------------------------------------ what goes well

def http(world):
    """curl and python's http.server, neither of which knows of TLS."""
    root = world.folder / "www"
    root.mkdir()
    (root / "join").write_text("welcome\n")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(root),
             str(port)]
    backend = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    class Address:
        address = f"127.0.0.1:{port}"

    def answers():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        until("http.server", answers)
        netid = ("netid:00050A", "--suffix", "netids.lora-alliance.org")
        with Tunnel("server", world.identity("js1.next"), "--forward", Address.address, "--allow",
                    *netid, listen=f"{JS1_ADDRESS}:8003") as js, world.ns(to=JOINEUI) as ns:
            done = subprocess.run(["curl", "-sS", "-m", str(PATIENCE_S),
                                   "http://{}:{}/join".format(*ns.address)], capture_output=True,
                                  text=True, check=False)
            same("curl", (done.returncode, done.stdout), (0, "welcome\n"))
            chain, key = world.identity("ns-a.client")
            done = subprocess.run(["curl", "-sSk", "-m", str(PATIENCE_S), "--cert", chain, "--key", key,
                                   f"https://{JS1_ADDRESS}:8003/join"], capture_output=True, text=True,
                                  check=False)
            same("curl without a tunnel of its own", (done.returncode, done.stdout, done.stderr),
                 (0, "welcome\n", ""))
            same("whom the server let in", js.says("accepted").split("owner=")[1].split()[0],
                 "_ns-client.00050a.netids.lora-alliance.org.")
            same("whom the client let in", ns.says("accepted").split("owner=")[1].split()[0], JS1)
    finally:
        backend.kill()
        backend.wait()


def hundreds(world):
    """300 connections at the same time, half-closed by turns, compared by hash."""
    rng = random.Random(4)
    payloads = [rng.randbytes(rng.choice((0, 1, 1000, 16384, 16385, 200000))) for _ in range(300)]
    together = threading.Barrier(len(payloads), timeout=2 * PATIENCE_S)
    patient = ("--setup-timeout", "120", "--timeout", "100000")

    def one(tunnel, payload):
        with connect(tunnel) as sock:
            sock.settimeout(2 * PATIENCE_S)
            together.wait()  # all of them are open
            sock.sendall(payload)
            sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    with Backend(digest_and_answer) as backend, \
            world.js(backend, "js1.next", *patient) as js, world.ns(*patient) as ns:
        with ThreadPoolExecutor(len(payloads)) as pool:
            answers = list(pool.map(lambda payload: one(ns, payload), payloads))
        for payload, answer in zip(payloads, answers):
            same("digest there", answer[:32], sha256(payload).digest())
            same("digest here", answer[32:64], sha256(answer[64:]).digest())
        same("connections", backend.connections, 300)
        same("octets", backend.octets, sum(map(len, payloads)))
        ns.says("closed", "seconds", times=300)
        same("refused", ns.count("refused") + js.count("refused"), 0)


def half_close(world):
    """Each side may end its direction first, and still hears the other one."""
    def serve(backend, sock):
        sock.sendall(b"the end")
        sock.shutdown(socket.SHUT_WR)
        backend.count(len(read_all(sock)))

    with Backend(serve) as backend, world.js(backend), world.ns() as ns:
        with connect(ns) as sock:
            same("received", read_all(sock), b"the end")
            for _ in range(3):
                sock.sendall(b"more" * 1000)
                time.sleep(0.05)
        until("the rest at the server", lambda: backend.octets == 12000)
        line = ns.says("closed")
        assert "sent=12000 received=7 " in line and "reason" not in line, line
    with Backend(digest_and_answer) as backend, world.js(backend), world.ns(listen="[::1]:0") as ns:
        assert exchange(ns, b"") == 1


def slow_reader(world):
    """Who does not read stops the sender, and loses nothing."""
    with Backend(flood) as backend, world.js(backend), world.ns() as ns:
        with connect(ns) as sock:
            seen = []

            def stands_still():
                seen.append(backend.octets)
                time.sleep(0.5)
                return seen[-1] > 0 and backend.octets == seen[-1]

            until("the sender stops", stands_still)
            assert backend.octets < 64 << 20, "all of it is in buffers"
            sock.settimeout(PATIENCE_S)
            received = 0
            while part := sock.recv(1 << 20):
                received += len(part)
            same("received", received, 64 << 20)


def next_endpoint(world):
    """The first join server is away, the second one has a certificate of operator A's CA."""
    with Backend(echo) as backend, \
            world.js(backend, "js2", listen=f"{JS2_ADDRESS}:443"), world.ns(to=JOINEUI) as ns:
        with connect(ns) as sock:
            echoes(sock)
            line = ns.says("accepted")
        assert f"to={JS2_ADDRESS}:443 " in line and "match=2/0/1" in line, line
        # And where the first one is somebody else.
        with world.js(backend, "other"), connect(ns) as sock:
            echoes(sock)
            assert "NOT_BOUND" in ns.says("refused", JS1)


# ------------------------------------------------------------------------------------ what is refused

def wrong_server(world, name, reason, status):
    """Somebody else's key: nothing is sent, and the plain side sees a reset."""
    with Backend(echo) as backend, world.js(backend, name) as js, world.ns() as ns:
        cut_off(ns)
        line = ns.says("refused", re.escape(JS1))
        assert f"status={status} " in line and re.search(reason, line), line
        same("connections behind it", (backend.connections, backend.octets), (0, 0))
        same("accepted", ns.count("accepted") + js.count("accepted"), 0)


def wrong_client(world, name, allow, status="NOT_BOUND"):
    """Somebody else's key, be it another partner's valid one: nothing reaches the server."""
    with Backend(echo) as backend, world.js(backend, allow=allow) as js, world.ns(name=name) as ns:
        unanswered(ns)
        assert f"status={status} " in js.says("refused"), js.log()
        same("connections behind it", (backend.connections, backend.octets), (0, 0))
        same("accepted", js.count("accepted"), 0)


def strangers(world):
    """What is no TLS, or says nothing, never reaches the server."""
    with Backend(echo) as backend, world.js(backend, "js1.next", "--setup-timeout", "2") as js:
        for octets in (b"GET / HTTP/1.1\r\nHost: js1\r\n\r\n", os.urandom(4000), b"\x16\x03\x01\xff\xff",
                       b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b""):
            with connect(js) as sock:
                sock.sendall(octets)
                sock.settimeout(PATIENCE_S)
                try:
                    sock.shutdown(socket.SHUT_WR)
                    read_all(sock)
                except OSError:
                    pass
        with connect(js) as sock:  # silence
            assert "not set up in time" in js.says("failed")
        plain = ssl.create_default_context()
        plain.check_hostname, plain.verify_mode = False, ssl.CERT_NONE
        with connect(js) as sock:
            try:
                with plain.wrap_socket(sock) as tls:  # no certificate
                    tls.sendall(b"hello")
                    assert not tls.recv(100), "an answer"
            except (ssl.SSLError, ConnectionError):
                pass
        js.says("handshake-failed", times=6)
        same("connections behind it", backend.connections, 0)


def resolver_gone(world):
    """No verdict: no connection, with its reason; nobody learns that there was one."""
    with Backend(echo) as backend:
        with world.js(backend) as js, \
                world.ns("--timeout", "1000", to=JOINEUI, server=NOBODY) as ns:
            cut_off(ns)
            assert re.search("no resolver", ns.says("failed")), ns.log()
            same("connections at the server", js.count("connection"), 0)
        with world.js(backend, "js1.next", "--timeout", "1000", server=NOBODY) as js, \
                world.ns() as ns:
            unanswered(ns)
            assert re.search("no resolver", js.says("refused")), js.log()
        same("connections behind it", backend.connections, 0)


def statuses(world):
    """Names that prove nothing: each is refused with its status."""
    for subject, status in (
            (("--to", "joineui:70B3D57ED00000FF", *SUFFIX), "NO_BINDING"),
            (("--to", "joineui:70B3D57ED0000000", "--suffix", "joineuis.strict.example"),
             "NO_BINDING")):
        with world.ns(to=subject) as ns:
            cut_off(ns)
            assert f"status={status} " in ns.says("failed"), ns.log()


def truncation(world):
    """A TLS connection that breaks off is no end: the server gets a reset."""
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.load_cert_chain(*world.identity("ns-a.client"))
    with Backend(echo) as backend, world.js(backend) as js:
        with connect(js) as sock, client.wrap_socket(sock) as tls:
            tls.sendall(b"hello")
            same("echo", tls.recv(100), b"hello")
            tls.shutdown(socket.SHUT_RDWR)  # FIN without close_notify
            assert "the TLS side" in js.says("closed", "reason")
        until("the reset", lambda: backend.resets == 1)


# --------------------------------------------------------------------------------------- T has passed

class Script(forger.Forger):
    """A resolver whose word changes: the keys that are bound now."""

    def __init__(self, *keys, life):
        super().__init__(SCRIPTED, life=life)
        self.keys = set(keys)

    def _answer(self, message, client):
        end = forger._name_end(message, 12) + 4
        presented = forger._presented(message, end)
        self.words["status"] = 1 if presented in self.keys else 2
        super()._answer(message, client)


def roll_over(world):
    """The key is replaced in the DNS: the old connection ends when T passes, a new one passes."""
    old, new = world.digest("ns-a.client"), world.digest("ns-a.next")
    with Script(old, life=3) as script, Backend(echo) as backend, \
            world.js(backend, server=SCRIPTED) as js, world.ns() as ns, \
            world.ns(name="ns-a.next") as other, connect(ns) as sock:
        echoes(sock)
        js.says("judged-again", times=2)
        echoes(sock)
        script.keys = {new}
        assert "status=NOT_BOUND" in js.says("refused", NS_A)
        is_cut(sock)
        with connect(other) as second:
            echoes(second)
        same("accepted", js.count("accepted"), 2)


def silent_at_the_end(world):
    """The resolver says nothing when T has passed: nothing is moved any more, then it ends."""
    with Script(world.digest("ns-a.client"), life=3) as script, Backend(echo) as backend, \
            world.js(backend, "js1.next", "--timeout", "1000", server=SCRIPTED) as js, \
            world.ns() as ns, connect(ns) as sock:
        echoes(sock)
        script.delay_s = None
        time.sleep(4)
        before = backend.octets
        sock.sendall(b"too late")
        assert "reason=" in js.says("closed", "no resolver answered|no verdict|time"), js.log()
        is_cut(sock)
        same("octets after T", backend.octets, before)


def authority_gone(world, described):
    """Verdicts of two seconds, judged again and again; then operator A's zone cannot be had."""
    extra = [*PATIENT, "kbv:", "    kbv-max-ttl: 2"]

    def control(resolver, *words):
        subprocess.run([str(programs.CONTROL), "-c", str(resolver.conf), *words], check=True,
                       capture_output=True)

    def ctl(verb):
        subprocess.run([str(programs.TREE / "tests/world/ctl"), verb, "op-a"], check=True)

    with Resolver(described, "short", extra) as resolver, Backend(echo) as backend, \
            world.js(backend) as js, world.ns(to=JOINEUI) as ns, connect(ns) as sock:
        echoes(sock)
        ns.says("judged-again", times=2)
        js.says("judged-again", times=2)
        echoes(sock)
        ctl("stop")
        try:
            control(resolver, "flush_zone", "op-a.example")
            control(resolver, "flush_zone", "joineuis.lora-alliance.org")
            until(lambda: ns.log() + js.log(),
                  lambda: ns.count("closed", "reason") or js.count("closed", "reason"))
            is_cut(sock)
        finally:
            ctl("start")


def signed(world, described):
    """A resolver far away, over plain UDP and TCP, whose key both ends have pinned; and other pins."""
    key, other = signing.Key(world.folder, "signer"), signing.Key(world.folder, "other-signer")
    far = capture.SERVICE[0]

    def pins(*keys):
        return [word for one in keys for word in ("--pin", one.pin)]

    with Resolver(described, "signing", [*PATIENT, *key.conf()]), Backend(echo) as backend:
        with world.js(backend, "js1.next", *pins(other, key), server=far) as js, \
                world.ns(*pins(key), server=far) as ns:
            with connect(ns) as sock:
                echoes(sock)
            js.says("accepted")
            with world.ns(*pins(other), server=far) as wrong:
                cut_off(wrong)
                assert "no signature verifies under a pinned key" in wrong.says("refused"), wrong.log()
            with world.ns(server=far) as without:
                cut_off(without)
                assert "a channel that others can write to" in without.says("refused"), without.log()
            same("connections behind it", backend.connections, 1)
        with world.js(backend, "js1.next", *pins(other), server=far) as js, \
                world.ns(*pins(key), server=far) as ns:
            unanswered(ns)
            assert "no signature verifies under a pinned key" in js.says("refused"), js.log()
            same("connections behind it", backend.connections, 1)


# ----------------------------------------------------------------------------------------- operations

def reload(world):
    """SIGHUP: a new key for new connections; with a broken file the old one goes on."""
    cert, key = world.folder / "js.pem", world.folder / "js.key"

    def put(name):
        shutil.copy(world.identity(name)[0], cert)
        shutil.copy(world.identity(name)[1], key)

    put("other")
    with Backend(echo) as backend, world.ns() as ns, \
            Tunnel("server", (str(cert), str(key)), "--forward", backend.address, "--allow", NS_A,
                   listen=f"{JS1_ADDRESS}:8003") as js:
        cut_off(ns)
        put("js1.current")
        js.signal(signal.SIGHUP)
        js.says("reloaded")
        with connect(ns) as sock:
            echoes(sock)
            for broken in (lambda: key.write_text("nothing"), key.unlink,
                           lambda: shutil.copy(world.identity("other")[1], key)):
                before = js.count("reload-failed")
                broken()
                js.signal(signal.SIGHUP)
                js.says("reload-failed", times=before + 1)
            echoes(sock)
        with connect(ns) as sock:
            echoes(sock)
        assert str(key) in js.find("reload-failed")[1], js.log()


def full(world):
    """More connections than there may be wait, also where descriptors are short."""
    with Backend(echo) as backend, world.js(backend), world.ns("--max-connections", "2") as ns:
        with connect(ns) as one, connect(ns) as two:
            echoes(one)
            echoes(two)
            ns.says("full")
            three = connect(ns)
            three.sendall(b"x")
            three.settimeout(1)
            try:
                three.recv(1)
                raise AssertionError("a third connection")
            except TimeoutError:
                pass
        three.settimeout(PATIENCE_S)
        same("the third one", three.recv(1), b"x")
        three.close()
    with Backend(digest_and_answer) as backend, world.js(backend), \
            world.ns(prefix=("prlimit", "--nofile=50:50")) as ns:
        assert "50 descriptors" in ns.log(), ns.log()
        with ThreadPoolExecutor(20) as pool:
            list(pool.map(lambda _: exchange(ns, os.urandom(1000)), range(20)))


def drain(world):
    """SIGTERM: no new connections, and those that are open may end."""
    with Backend(digest_and_answer) as backend, world.js(backend), \
            world.ns("--drain", "60") as ns, connect(ns) as sock:
        sock.sendall(b"half of it, ")
        ns.says("accepted")
        ns.signal(signal.SIGTERM)
        ns.says("draining")
        with socket.socket() as late:
            assert late.connect_ex(ns.address) != 0, "it still listens"
        sock.sendall(b"and the other half")
        sock.shutdown(socket.SHUT_WR)
        received = read_all(sock)
        assert len(received) > 64, received
        same("exit status", ns.process.wait(PATIENCE_S), 0)


def idle(world):
    with Backend(echo) as backend, world.js(backend), world.ns("--idle-timeout", "1") as ns, \
            connect(ns) as sock:
        echoes(sock)
        sock.settimeout(PATIENCE_S)
        is_cut(sock)
        ns.says("closed", "reason=idle")


def backend_gone(world):
    with Backend(echo) as backend:
        address = backend

    with world.js(address) as js, world.ns() as ns:
        cut_off(ns)
        assert "Connection refused" in js.says("failed"), js.log()


def usage(world):
    """Exit status 64, before anything is opened."""
    cert, key = world.identity("ns-a.client")
    both = ["--cert", cert, "--key", key]
    client, server = ["client", "--listen", "127.0.0.1:0"], ["server", "--listen", "127.0.0.1:0"]
    forward, allow = ["--forward", "127.0.0.1:9"], ["--allow", NS_A]
    cases = [
        ([], "client or server"), (["neither"], "client or server"), (client, "are needed"),
        ([*client, "--to", JS1], "are needed"), ([*client, *both], "needs --to"),
        (["client", "--to", JS1, *both], "are needed"),
        (["client", "--listen", "0.0.0.0:0", "--to", JS1, *both], "--plain-network"),
        (["client", "--listen", "[::]:0", "--to", JS1, *both], "--plain-network"),
        (["client", "--listen", "127.0.0.1", "--to", JS1, *both], "ADDR:PORT"),
        (["client", "--listen", "localhost:80", "--to", JS1, *both], "ADDR:PORT"),
        (["client", "--listen", "::1:80", "--to", JS1, *both], "ADDR:PORT"),
        (["client", "--listen", "127.0.0.1:65536", "--to", JS1, *both], "ADDR:PORT"),
        ([*client, "--to", "js1.op-a.example", *both], "_PORT._tcp"),
        ([*client, "--to", NS_A, *both], "_PORT._tcp"),
        ([*client, "--to", "_8003._udp.js1.op-a.example", *both], "_PORT._tcp"),
        ([*client, "--to", "_0._tcp.js1.op-a.example", *both], "_PORT._tcp"),
        ([*client, "--to", "_65536._tcp.js1.op-a.example", *both], "_PORT._tcp"),
        ([*client, "--to", "joineui:70B3D57ED0000000", *both], "--suffix"),
        ([*client, "--to", "deveui:70B3D57ED0000000", *SUFFIX, *both], "devices"),
        ([*client, "--to", JS1, *both, *allow], "a server's"),
        ([*client, "--to", JS1, *both, "more"], "more"),
        ([*client, "--to", JS1, "--cert", "/nowhere", "--key", key], "/nowhere: No such file"),
        ([*client, "--to", JS1, "--cert", cert, "--key", world.identity("other")[1]], "mismatch"),
        ([*client, "--to", JS1, *both, "--max-connections", "0"], "--max-connections"),
        ([*client, "--to", JS1, *both, "--idle-timeout", "-1"], "--idle-timeout"),
        ([*server, *forward, *both], "--allow"), ([*server, *allow, *both], "--forward"),
        ([*server, "--forward", "192.0.2.1:80", *allow, *both], "--plain-network"),
        ([*server, "--forward", "127.0.0.1:0", *allow, *both], "ADDR:PORT"),
        ([*server, *forward, "--allow", JS1, *both], "a client's name"),
        ([*server, *forward, "--allow", "ns.op-a.example", *both], "a client's name"),
        ([*server, *forward, *allow, "--to", JS1, *both], "--to is a client's"),
    ]
    for words, reason in cases:
        done = subprocess.run([str(programs.KBV), "tunnel", *words], capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
        same(" ".join(words), done.returncode, 64)
        assert reason in done.stderr.partition("Usage:")[0], f"{reason}: {done.stderr}"


def main():
    described = programs.world()
    for address in (JS1_ADDRESS, JS2_ADDRESS):
        subprocess.run(["ip", "address", "replace", f"{address}/32", "dev", "lo"], check=True)
    world = World(described)
    suite = tap.Suite("tunnel")
    suite.test("what the command line may not say", usage, world)
    with Resolver(described, extra=PATIENT):
        suite.test("HTTP of curl and http.server, a JoinEUI and a NetID", http, world)
        suite.test("300 connections at once", hundreds, world)
        suite.test("either side ends its direction first", half_close, world)
        suite.test("a slow reader stops the sender", slow_reader, world)
        suite.test("the next endpoint where the first is away, or another", next_endpoint, world)
        suite.test("a server with another key", wrong_server, world, "other", "NOT_BOUND", "NOT_BOUND")
        suite.test("a server with a good key of another server", wrong_server, world, "js2",
                   "NOT_BOUND", "NOT_BOUND")
        suite.test("a client with another key", wrong_client, world, "other", (NS_A,))
        suite.test("a client with another partner's key", wrong_client, world, "ns-b.client", (NS_A,))
        suite.test("a client with the right name from the wrong CA", wrong_client, world,
                   "ns2-a.by-b", ("_ns-client.ns2.op-a.example.",))
        suite.test("a client whose name is not in the DNS", wrong_client, world, "ns-a.client",
                   ("_ns-client.nobody.op-a.example.",), "NO_BINDING")
        suite.test("no TLS, silence, no certificate", strangers, world)
        suite.test("a resolver that is not there", resolver_gone, world)
        suite.test("names that prove nothing", statuses, world)
        suite.test("TLS that breaks off is a reset", truncation, world)
        suite.test("roll-over: the old key ends with T", roll_over, world)
        suite.test("a resolver that is silent when T has passed", silent_at_the_end, world)
        suite.test("SIGHUP", reload, world)
        suite.test("no room for more", full, world)
        suite.test("SIGTERM", drain, world)
        suite.test("a connection that moves nothing", idle, world)
        suite.test("nobody to forward to", backend_gone, world)
    suite.test("an authority that is gone", authority_gone, world, described)
    suite.test("signed verdicts, the key pinned", signed, world, described)
    suite.finish()


main()
