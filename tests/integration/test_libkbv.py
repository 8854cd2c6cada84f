# SPDX-License-Identifier: BSD-3-Clause
"""libkbv's client (tests/client/ask) and the built Unbound: what is accepted, over every transport."""

import base64
import hashlib
import struct
import subprocess
import tempfile
from pathlib import Path

from kbvtest import programs, tap, verdicts
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvworld import capture

ASK = programs.BUILD / "tests/client/ask"
FAR, FAR6 = capture.SERVICE
TLS = 853
OWNER = "_8003._tcp.js1.op-a.example."
LARGE = "_443._tcp.many30.op-v.example."  # thirty TLSA records: more than an option over UDP may hold
JS2 = "_443._tcp.js2.op-a.example."       # TLSA 2 0 1 of operator A's CA
MATERIAL = {"spki-sha256": "1", "cert-sha256": "2"}


def ask(*words, many=None):
    """What ask printed: a dict of its lines, a list of them with many."""
    command = [str(ASK), "--timeout", "30000", *words[:-1],
               *(["--many", str(many)] if many else []), words[-1]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and not done.stderr, f"{' '.join(command)}: {done.stderr}"
    results, found = [], {"verdicts": []}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        if key == "verdict":
            found["verdicts"].append(value.split()[0])
        else:
            found[key] = value
        if key == "which":
            results.append(found)
            found = {"verdicts": []}
    return results if many else results[0]


def peer(described, name):
    """The words that say which certificate the peer proved."""
    with tempfile.NamedTemporaryFile(delete=False, dir=described["dir"], suffix=".der") as file:
        subprocess.run(["openssl", "x509", "-in", described["certs"][name]["cert"], "-outform",
                        "DER", "-out", file.name], check=True)
    return ["--peer-cert", file.name]


def every_case(described, world):
    """Every key of every case, in each form: accepted if and only if it is BOUND."""
    peers = {}
    for case in described["cases"]:
        if case["slow"] or case["kind"] != "literal":
            continue
        for key in case["keys"]:
            name, material = key["key"], key["material"]
            if name not in peers:
                peers[name] = peer(described, name)
            digest = world.certs[name][material].hex()
            for form in ("option", "tlsa", "name"):
                found = ask("--server", "127.0.0.1", "--trust", "--form", form, "--material",
                            MATERIAL[material], "--hex", digest, *peers[name], case["name"])
                what = f"{case['id']}, {name}, {form}"
                same(f"{what}: status", found["verdicts"], [key["status"]])
                same(f"{what}: {found}", found["accept"] == "ACCEPTED", key["status"] == "BOUND")
    assert len(peers) > 3, f"hardly anything was asked: {list(peers)}"


def published(described, _):
    """The unkeyed verdicts of an identifier accept the key of the very endpoint, and no other."""
    name = "0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.joineuis.lora-alliance.org."
    words = ["--server", "127.0.0.1", "--trust", "--form", "name", "--identifier",
             "joineui:70B3D57ED0000000"]
    for cert, host, port, expected in (
            ("js1.current", "js1.op-a.example", "8003", "ACCEPTED"),
            ("js1.next", "js1.op-a.example", "8003", "ACCEPTED"),
            ("other", "js1.op-a.example", "8003", "REFUSED_PIN"),
            ("js2", "js1.op-a.example", "8003", "REFUSED_PIN"),
            ("js1.current", "js2.op-a.example", "443", "REFUSED_NO_PIN"),
            ("js1.current", "js1.op-a.example", "443", "REFUSED_ENDPOINT")):
        found = ask(*words, *peer(described, cert), "--host", host, "--port", port, name)
        same(f"{cert} at {host}:{port}", (found["accept"], found["verdicts"]),
             (expected, ["PUBLISHED", "PUBLISHED"]))


def transports(described, world):
    """From far away: UDP where that will do, TCP by itself where not, TLS under the pin."""
    digest = world.certs["js1.current"]["spki-sha256"].hex()
    key = ["--material", "1", "--hex", digest, *peer(described, "js1.current")]
    pin = base64.b64encode(world.certs["ns-b.server"]["spki-sha256"]).decode()
    wrong = base64.b64encode(hashlib.sha256(b"another key").digest()).decode()
    for server in (FAR, FAR6):
        for words, over in (([], "udp"), (["--nonce"], "tcp"), (["--tcp"], "tcp")):
            found = ask("--server", server, *key, *words, OWNER)
            same(f"{words} at {server}", (found["over"], found["verdicts"], found["accept"]),
                 (over, ["BOUND"], "REFUSED_UNTRUSTED"))
    found = ask("--server", FAR, "--material", "0", LARGE)
    same("too large for UDP", (found["over"], found["verdicts"]), ("tcp", ["PUBLISHED"]))
    for words in ([], ["--nonce"], ["--form", "name"], ["--form", "tlsa"], ["--blocking"]):
        found = ask("--server", f"{FAR}@{TLS}", "--tls-pin", pin, *key, *words, OWNER)
        same(f"TLS {words}", (found["over"], found["accept"]), ("tls", "ACCEPTED"))
    found = ask("--server", f"{FAR}@{TLS}", "--tls-pin", wrong, *key, OWNER)
    same("another pin", (found["outcome"], found["accept"]), ("WRONG_PIN", "REFUSED_NO_VERDICT"))


def chains(described, _):
    """A whole chain goes over TCP, and its end entity is the subject."""
    certs = []
    for name in ("js2", "ca.op-a"):
        words = peer(described, name)
        certs.append(Path(words[1]).read_bytes())
    file = Path(described["dir"], "chain.kbv")
    file.write_bytes(b"".join(struct.pack(">H", len(der)) + der for der in certs))
    for server in ("127.0.0.1", FAR):
        found = ask("--server", server, *(["--trust"] if server != FAR else []), "--material", "5",
                    "--file", str(file), *peer(described, "js2"), JS2)
        same(f"at {server}", (found["over"], found["verdicts"], found["accept"]),
             ("tcp", ["BOUND"], "ACCEPTED" if server != FAR else "REFUSED_UNTRUSTED"))
    found = ask("--server", "127.0.0.1", "--trust", "--material", "5", "--file", str(file),
                *peer(described, "other"), JS2)
    same("another's handshake", found["accept"], "REFUSED_SUBJECT")


def at_once(described, world):
    """A hundred questions in flight, cold and warm."""
    digest = world.certs["js1.current"]["spki-sha256"].hex()
    for words, over in (([], "udp"), (["--nonce"], "tcp")):
        for _ in range(2):
            found = ask("--server", "127.0.0.1", "--trust", "--material", "1", "--hex", digest,
                        *peer(described, "js1.current"), *words, OWNER, many=100)
            same(f"of 100 {words}", {(one["over"], one["accept"]) for one in found},
                 {(over, "ACCEPTED")})


def main():
    suite = tap.Suite("libkbv")
    described = programs.world()
    world = verdicts.World(described)
    server = described["certs"]["ns-b.server"]
    extra = [*PATIENT, f"    tls-service-key: \"{server['key']}\"",
             f"    tls-service-pem: \"{server['cert']}\"", f"    interface: {FAR}@{TLS}",
             f"    tls-port: {TLS}", "    incoming-num-tcp: 200"]
    with Resolver(described, extra=extra):
        for name, function in [
                ("every key of every case, in each form", every_case),
                ("published keys of an identifier", published),
                ("UDP, TCP and TLS from far away", transports),
                ("chains", chains),
                ("a hundred at once", at_once)]:
            suite.test(name, function, described, world)
    suite.finish()


main()
