# SPDX-License-Identifier: BSD-3-Clause
"""Inside tests/world/run: the programs of docs/examples, run as a person would run them."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
EXAMPLES = TESTS.parent / "docs/examples"
sys.path.insert(0, str(TESTS / "integration"))
from kbvtest import programs, spec, tap  # noqa: E402
from kbvtest.resolver import PATIENT, Resolver  # noqa: E402
from kbvtest.tap import same  # noqa: E402
from kbvworld import resolver  # noqa: E402

HOST, PORT = "js1.op-a.example", 8003
OWNER = f"_{PORT}._tcp.{HOST}."
INTERPRETERS = {".py": "/usr/bin/python3", ".js": "node"}
YES, NO, NONE = 0, 1, 3


def run(program, *arguments):
    """Exit status and output."""
    words = [INTERPRETERS[Path(program).suffix], str(EXAMPLES / program), *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False,
                          env=os.environ | {"PATH": f"{programs.KBV.parent}:{os.environ['PATH']}"})
    return done.returncode, done.stdout, done.stderr


def says(program, arguments, wanted, statuses):
    """Exit status, and the first word of each line. As for everyone: who gets no answer within
    discard-timeout asks again."""
    status, output, errors = run(program, *arguments)
    if status == NONE != wanted:
        status, output, errors = run(program, *arguments)
    same(f"exit status ({output}{errors})", status, wanted)
    same("statuses", [line.split()[0] for line in output.splitlines()], statuses)
    assert "Traceback" not in errors and "    at " not in errors, errors


class Server:
    """`openssl s_server` at the world's js1, with a key of the world."""

    def __init__(self, described, name):
        cert = described["certs"][name]
        self.words = ["openssl", "s_server", "-quiet", "-accept", str(PORT), "-cert", cert["cert"],
                      "-key", cert["key"]]

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while subprocess.run(["openssl", "s_client", "-connect", f"{HOST}:{PORT}"], check=False,
                             stdin=subprocess.DEVNULL, capture_output=True).returncode:
            assert time.monotonic() < deadline, "openssl s_server does not answer"
            time.sleep(0.1)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def judged(described, name, wanted):
    with Server(described, name):
        status, output, errors = run("kbv_tls.py", HOST, PORT)
    same("exit status", status, YES if wanted == "accepted" else NO)
    assert wanted in output + errors, output + errors


def checkconf_takes(document):
    """The configuration that a document shows, in a folder of its own."""
    shown = re.findall(r"```conf\n(.*?)```", (TESTS.parent / document).read_text(), re.S)
    assert shown, f"no configuration in {document}"
    for text in shown:
        with tempfile.TemporaryDirectory() as folder:
            conf = Path(folder) / "unbound.conf"
            conf.write_text(f"server:\n    chroot: \"\"\n    username: \"\"\n"
                            f"    directory: \"{folder}\"\n    pidfile: \"{folder}/pid\"\n{text}")
            done = subprocess.run([str(programs.CHECKCONF), str(conf)], capture_output=True,
                                  text=True, check=False)
            same(done.stdout + done.stderr, done.returncode, 0)


def rows(described):
    """(name, program, arguments, exit status, statuses)"""
    digests = {name: bytes.fromhex(cert["spki_sha256"]) for name, cert in described["certs"].items()}
    cases = {case["id"]: case for case in described["cases"]}
    insecure = cases["unsigned-host"]["expect"][0]["owner"]
    right, wrong = digests["js1.current"], digests["other"]
    key_next = digests["js1.next"]

    def named(digest, owner=OWNER):
        return [spec.digest_name("spki-sha256", digest, owner)]
    for txt in ("kbv_txt.py", "kbv_txt.js"):
        yield f"{txt}: PUBLISHED", txt, [f"_kbv.{OWNER}"], YES, ["PUBLISHED"]
        yield (f"{txt}: two endpoints", txt, [f"_kbv.{cases['joineui-a']['name']}"], YES,
               ["PUBLISHED"] * 2)
        yield f"{txt}: BOUND", txt, named(right), YES, ["BOUND"]
        yield f"{txt}: NOT_BOUND", txt, named(wrong), NO, ["NOT_BOUND"]
        yield f"{txt}: INSECURE", txt, named(right, insecure), NO, ["INSECURE"]
        yield f"{txt}: BOGUS", txt, [f"_kbv.{cases['bogus-tlsa']['name']}"], NO, ["BOGUS"]
        yield f"{txt}: BAD_INPUT", txt, [f"sx._kbv.{OWNER}"], NO, ["BAD_INPUT"]
        yield f"{txt}: a name without verdict", txt, [OWNER], NONE, []
    for name, digest, owner, wanted in (
            ("the current key", right, OWNER, YES), ("the next key", key_next, OWNER, YES),
            ("in upper case", right, OWNER.upper(), YES), ("another key", wrong, OWNER, NO),
            ("an unsigned zone", digests["js-v"], insecure, NO),
            ("a forged record", digests["js-v"], cases["bogus-tlsa"]["name"], NO),
            ("an identifier instead of an owner", right, cases["joineui-a"]["name"], NO)):
        yield f"kbv_rr.py: {name}", "kbv_rr.py", [owner, digest.hex()], wanted, []
    for status, digest, owner in (("BOUND", right, OWNER), ("NOT_BOUND", wrong, OWNER),
                                  ("INSECURE", digests["js-v"], insecure)):
        yield (f"kbv_query.js: {status}", "kbv_query.js", [owner, digest.hex()],
               YES if status == "BOUND" else NO, [status])


def main():
    suite = tap.Suite("languages")
    described = programs.world()
    with Resolver(described, extra=PATIENT):
        for name, *arguments in rows(described):
            suite.test(name, says, *arguments)
        for name, wanted in (("js1.current", "accepted"), ("js1.next", "accepted"),
                             ("other", "refused"), ("ns-a.server", "refused")):
            suite.test(f"kbv_tls.py: a server with the key of {name} is {wanted}", judged, described,
                       name, wanted)
    for document in ("README.md", "docs/operations.md"):
        suite.test(f"unbound-checkconf takes what {document} shows", checkconf_takes, document)
    asked = [("kbv_txt.py", [f"_kbv.{OWNER}"]), ("kbv_txt.js", [f"_kbv.{OWNER}"]),
             ("kbv_rr.py", [OWNER, described["certs"]["js1.current"]["spki_sha256"]])]
    for program, arguments in asked:
        suite.test(f"{program}: no resolver", says, program, arguments, NONE, [])
    suite.test("kbv_query.js: no resolver", says, "kbv_query.js", asked[-1][1], NO, [])
    with resolver.Resolver(described, programs.UNBOUND, "without", kbv=False):
        for program, arguments in asked:
            suite.test(f"{program}: a resolver without the module", says, program, arguments, NONE,
                       [])
    suite.finish()


main()
