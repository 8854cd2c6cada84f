# SPDX-License-Identifier: BSD-3-Clause
"""kbv query and kbv explain against the real resolver: every case of the world, each form of the
question, what is trusted and what is not."""

import base64
import json
import os
import subprocess

from kbvtest import programs, spec, tap, verdicts
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvworld import capture

NEAR = "127.0.0.1"
FAR, _ = capture.SERVICE
JS1 = "_8003._tcp.js1.op-a.example."
JS2 = "_443._tcp.js2.op-a.example."
SUFFIX = ("--suffix", "joineuis.lora-alliance.org")
NEGATIVE = ("NOT_BOUND", "NO_BINDING", "UNUSABLE")
NOT_PROVEN = ("UNDECIDED", "INSECURE", "INDETERMINATE", "BOGUS", "STALE", "DOWNGRADE")


def kbv(*arguments, server=NEAR, timeout_s=60):
    """Exit status, standard output and standard error. Asked again, as people would, where a verdict
    of a few seconds ends before it is looked at."""
    where = ("--server", server) if server else ()
    for _ in range(5):
        done = subprocess.run([programs.KBV, *arguments[:1], *where, *arguments[1:]], text=True,
                              capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL,
                              env=os.environ | {"NO_COLOR": "1"})
        if "the verdict has expired" not in done.stderr:
            break
    return done.returncode, done.stdout, done.stderr


def query(*arguments, **how):
    return kbv("query", "--timeout", "30000", *arguments, **how)


def objects(output):
    return [json.loads(line) for line in output.splitlines()]


def exit_status(status):
    if status in ("BOUND", "PUBLISHED"):
        return 0
    return 1 if status in NEGATIVE else 2 if status in NOT_PROVEN else 3


def every_case(world, case):
    """The RRs of the case's name, all of them, and the exit status of the one that counts."""
    status, out, err = query(case["name"], "--json")
    found = objects(out)
    verdicts.check_set(found, case["expect"], lambda verdict, row:
                       verdicts.check_expected(verdict, row, case))
    same(f"exit status with {err!r}", status,
         exit_status(spec.select(case["expect"], keyed=False)["status"]))


def every_key(world, case):
    """Each key of the case, in the option and in the name."""
    for name in {row["key"] for row in case["keys"]}:
        digest = world.certs[name]["spki-sha256"]
        row = spec.select(world.keyed(case, "spki-sha256", digest), keyed=True)
        for form in ("edns", "name"):
            status, out, err = query(case["name"], "--spki-sha256", digest.hex(), "--form", form,
                                     "--json")
            found = objects(out)
            assert row["status"] in [verdict["status"] for verdict in found], \
                f"{name}, {form}: {found} {err}"
            same(f"{name}, {form}: exit status with {err!r}", status, exit_status(row["status"]))


def ports_of(zones, name):
    """--port for a zone with other ports than 443: only the resolver's configuration tells."""
    for zone in zones:
        suffix, *words = zone.split()
        if name.rstrip(".").endswith(suffix):
            for word in words:
                if word.startswith("port="):
                    return [part for port in word[5:].split(",") for part in ("--port", port)]
    return []


def steps_agree(described, case):
    """What kbv explain makes of the steps is what the resolver says."""
    status, out, err = kbv("explain", case["name"], "--json", "--timeout", "10000",
                           *ports_of(described["kbv_zones"], case["name"]))
    found = json.loads(out)
    same("statuses", sorted(verdict["status"] for verdict in found["verdicts"]),
         sorted(row["status"] for row in case["expect"]))
    same(f"exit status with {err!r}", status,
         exit_status(spec.select(case["expect"], keyed=False)["status"]))
    assert found["steps"], "no step"
    settled = {row["status"] for row in case["expect"]} <= {"PUBLISHED", "NO_BINDING", "UNUSABLE"}
    if settled:
        assert found["agree"], f"the steps lead elsewhere: {out}"
        assert all(step["security"] == "secure" for step in found["steps"]
                   if step["type"] not in ("A", "AAAA")), f"not secure: {out}"


def subjects(described):
    """An identifier as people write it, and as a name, is the same question."""
    by_value = query("joineui:70B3D57ED0000000", *SUFFIX, "--json")
    same("exit status", by_value[0], 0)
    same("identifier", objects(by_value[1])[0]["identifier"]["value"], "70B3D57ED0000000")
    for written in ("joineui:70-b3-d5-7e-d0-00-00-00", "joineui:0x70b3d57ed0000000"):
        same(written, query(written, *SUFFIX, "--json"), by_value)
    named = query("0.0.0.0.0.0.0.d.e.7.5.d.3.b.0.7.joineuis.lora-alliance.org", "--json")
    same("by its name", named, by_value)
    same("a NetID's client", query("netid:00050A", "--suffix", "netids.lora-alliance.org",
                                   "--service", "_ns-client", "--short")[0], 0)
    flat = query("deveui:0004A30B001A2B3C", "--suffix", "_device.op-a.example", "--flat", "--json")
    same("a DevEUI", (flat[0], objects(flat[1])[0]["identifier"]["kind"]), (0, "deveui"))


def material(described):
    """Files of keys, certificates and chains."""
    certs = described["certs"]
    js1 = certs["js1.next"]["cert"]
    for form in ("edns", "name"):
        same(f"--cert, {form}", query(JS1, "--cert", js1, "--form", form)[0],
             0 if form == "edns" else 2)  # SHA-256 of a certificate does not decide 3 1 1
    folder = os.path.dirname(os.environ["KBV_WORLD_JSON"])
    chain = os.path.join(folder, "chain.pem")
    with open(chain, "w", encoding="ascii") as out:
        for name in ("js2", "ca.op-a"):
            out.write(open(certs[name]["cert"], encoding="ascii").read())
    status, out, err = query(JS2, "--chain", chain, "--json")
    found, = objects(out)
    same(f"--chain {err}", (status, found["status"], found["usage"]), (0, "BOUND", 2))
    same("--chain for another name", query(JS1, "--chain", chain)[0], 1)
    same("--chain in a name", query(JS2, "--chain", chain, "--form", "name")[0], 64)
    garbage = os.path.join(folder, "garbage.pem")
    with open(garbage, "w", encoding="ascii") as out:
        out.write("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
    for how in ("--cert", "--chain"):
        status, out, err = query(JS2, how, garbage, "--json")
        same(f"{how} garbage", (status, [v["status"] for v in objects(out)]), (3, ["BAD_INPUT"]))
    same("--cert of no file", query(JS2, "--cert", "/nowhere")[0], 64)


def output(_):
    """Short and long text."""
    status, out, _ = query(JS1, "--short")
    words = out.split()
    same("short", (status, words[:2], len(words)), (0, ["PUBLISHED", JS1], 3))
    status, out, _ = query(JS1)
    assert f"PUBLISHED {JS1}\n" in out and "\n  record    3 1 1 " in out, out
    assert "\033" not in out, "colours in a pipe"
    status, out, err = query(JS1, "--form", "txt")
    assert out.startswith('"v=kbv1" "status=PUBLISHED" "owner='), out
    same("the readable form is never accepted", status, 3)
    assert "readable form" in err, err
    same("and has no JSON", query(JS1, "--form", "txt", "--json")[0], 64)


def trust(_):
    """A verdict from whoever is not vouched for is shown and not acted on."""
    status, out, err = query(JS1, "--short", server=FAR)
    same("from elsewhere", (status, out.split()[:1]), (3, ["PUBLISHED"]))
    assert "refused" in err and "channel" in err, err
    status, out, err = query("_443._tcp.js.unsigned.example.", "--short", server=FAR)
    same("a refusal from elsewhere", status, 3)
    pin = base64.b64encode(bytes(range(32))).decode()
    status, out, err = query(JS1, "--pin", pin, "--json")
    same("unsigned under a pin", (status, objects(out)[0]["signed"]), (3, None))
    assert "signature" in err, err


def silence(_):
    """Nobody answers; somebody answers who knows nothing of verdicts."""
    status, out, err = kbv("query", JS1, "--timeout", "300", "--json", server="127.0.0.1@9")
    same(f"nobody: {err}", (status, out), (3, ""))
    assert err, "no diagnostics"
    status, out, err = kbv("query", JS1, "--rrtype", "65301", "--json")
    same(f"another code point: {err}", (status, out), (3, ""))


def trees(_):
    """kbv explain as a tree and as a graph."""
    status, out, err = kbv("explain", "joineui:70B3D57ED0000000", *SUFFIX)
    same(f"exit status with {err!r}", status, 0)
    lines = out.splitlines()
    order = [next(i for i, line in enumerate(lines) if line.strip().startswith(start))
             for start in ("NAPTR ", "SRV ", "TLSA _8003._tcp.js1", "PUBLISHED ", "because: ")]
    same("from name to verdict", order, sorted(order))
    depth = [len(line) - len(line.lstrip()) for line in (lines[i] for i in order[:3])]
    same("each below the other", depth, sorted(set(depth)))
    assert "signed until 20" in lines[order[2]], out
    status, out, err = kbv("explain", "_443._tcp.js.bogus.example.", "--timeout", "5000")
    status, graph, err = kbv("explain", "joineui:70B3D57ED0000000", *SUFFIX, "--dot")
    assert status == 0 and graph.startswith("digraph ") and graph.count("->") >= 4, graph


def main():
    suite = tap.Suite("commands")
    described = programs.world()
    world = verdicts.World(described)
    with Resolver(described, extra=PATIENT):
        for name, function in [("identifiers and names", subjects), ("files", material),
                               ("text", output), ("who is believed", trust),
                               ("no verdict", silence), ("trees and graphs", trees)]:
            suite.test(name, function, described)
        quick = [case for case in world.cases.values() if not case["slow"]]
        for function, what, against in ((every_case, "query", world),
                                        (every_key, "query with keys", world),
                                        (steps_agree, "explain", described)):
            suite.tests([(f"{what}: {case['id']}", function, against, case) for case in quick],
                        workers=3)
    suite.finish()


main()
