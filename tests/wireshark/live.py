# SPDX-License-Identifier: BSD-3-Clause
"""Inside tests/world/run: dig asks our Unbound, dumpcap listens, tshark and dig must agree."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "wireshark"), str(TESTS / "integration")]
import kbvshark as shark  # noqa: E402
from kbvtest import clients, programs, spec, tap  # noqa: E402
from kbvtest.resolver import PATIENT, Resolver  # noqa: E402
from kbvtest.tap import same  # noqa: E402

OWNER = "_8003._tcp.js1.op-a.example."
DEADLINE_S = 20


class Listener:
    """dumpcap on loopback, for the length of a block."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.process = subprocess.Popen(["dumpcap", "-q", "-i", "lo", "-f", "port 53", "-w",
                                         str(self.path)], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:  # it names its file when it listens
            if line.startswith("File: "):
                break
        self.wait_for_mark()  # and then some
        return self

    def wait_for_mark(self):
        """Until what was said before this call is in the file."""
        label = f"mark-{random.randrange(10**12)}"
        deadline = time.monotonic() + DEADLINE_S
        while label.encode() not in self.path.read_bytes():
            assert time.monotonic() < deadline, "dumpcap does not write what it hears"
            clients.dig(f"{label}.localhost.", "A")
            time.sleep(0.1)

    def __exit__(self, *_):
        self.wait_for_mark()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(DEADLINE_S)
        self.process.stderr.close()


class Question:
    """One question of dig's. Its id and its name find its frames in the capture, where the
    resolver's own questions are too."""
    count = 0

    def __init__(self, name, rrtype=clients.RRTYPE, option=None, *arguments):
        Question.count += 1
        self.id = 4242 + Question.count
        self.name, self.type, self.option = name, rrtype, option
        self.reply = clients.dig(name, rrtype, option, f"+qid={self.id}", *arguments)
        self.label = f"`{self.reply.command}`"

    def look_at(self, frames):
        """The trees of the query and those of the reply. Repeated queries count once."""
        ours = [frame for frame in frames
                if int(frame["dns"][0]["dns.id"][0], 0) == self.id and
                self.name.rstrip(".").lower() in str(frame["dns"][0]).lower()]
        sides = {side: [frame for frame in ours if self.is_reply(frame) == side]
                 for side in (False, True)}
        assert sides[False] and sides[True], f"{self.label} is not in the capture"
        transport = self.reply.transport.lower()
        assert transport in sides[True][-1], f"{self.label} did not come over {transport}"
        self.query, self.answer = (shark.trees(sides[side][-1]) for side in (False, True))

    @staticmethod
    def is_reply(frame):
        value = frame["dns"][0]["dns.flags_tree"][0]["dns.flags.response"][0]
        return str(value).lower() in ("1", "true")


def records(question):
    """RR: each verdict as dig got it."""
    assert question.reply.verdicts, f"no verdict for {question.label}"
    found = [shark.verdict(tree) for tree in question.answer]
    wanted = [shark.decoded(octets) for octets in question.reply.verdicts + question.reply.options]
    for one in wanted:
        assert one in found, f"{one} is not in {found}"
    same("verdicts", len(found), len(wanted))


def options(question):
    """The request in the query, the verdict in the reply."""
    if question.type == clients.RRTYPE:
        records(question)
    else:
        same("verdict", [shark.verdict(tree) for tree in question.answer],
             [shark.decoded(question.reply.option)])
    request, = question.query
    same("kind", request["kbv.kind"], ["0x11"])
    same("well-formed", not shark.expert(request, "kbv.malformed"), True)
    material = request.get("kbv.material") or request["kbv.certificate"]
    assert material[0].replace(":", "") in question.option.hex(), "another material"


def text(question):
    """TXT: status and items."""
    strings = [record.strings for record in question.reply.records("TXT")]
    assert strings, f"no TXT for {question.label}"
    same("items", [tree["kbv.text"] for tree in question.answer], strings)
    for tree, items in zip(question.answer, strings):
        status = dict(item.partition("=")[::2] for item in items)["status"]
        same("status", tree["kbv.status"], [str(spec.STATUSES[status][0])])


def has_digest(question, digest):
    same("digest in the query", question.query[0]["kbv.question.digest"][0].replace(":", ""),
         digest.hex())
    # The reply repeats the question.
    question.answer = [tree for tree in question.answer if "kbv.question.digest" not in tree]


def keyed_name(question, digest, look):
    has_digest(question, digest)
    look(question)


def marked(question, expert):
    same("what dig and tshark saw", [shark.verdict(tree) for tree in question.answer],
         [shark.decoded(octets) for octets in question.reply.verdicts + question.reply.options])
    assert shark.expert(question.answer, expert), f"no {expert} at {question.label}"


def bad_request(question):
    assert shark.expert(question.query, "kbv.malformed"), "a malformed request is not marked"
    assert shark.expert(question.answer, "kbv.no_result"), "BAD_INPUT is not marked"


def rows(described):
    """(what it shows, a look, a question, …)"""
    digests = {name: bytes.fromhex(cert["spki_sha256"]) for name, cert in described["certs"].items()}
    names = {case["id"]: case["name"] for case in described["cases"]}
    right, wrong = digests["js1.current"], digests["other"]
    chain = b"".join(len(der).to_bytes(2, "big") + der for der in (b"0" * 600, b"1" * 900))
    request = bytes([0x11, 0, 5, 0]) + len(chain).to_bytes(2, "big") + chain
    for transport in ("+notcp", "+tcp"):
        over = transport.strip("+").replace("notcp", "udp")
        yield f"records over {over}", records, Question(names["joineui-a"], clients.RRTYPE, None,
                                                        transport)
        for status, digest in (("BOUND", right), ("NOT_BOUND", wrong)):
            for rrtype in ("TLSA", clients.RRTYPE):
                yield (f"an option on {rrtype} that says {status}, over {over}", options,
                       Question(OWNER, rrtype, spec.request("spki-sha256", digest), transport))
            name = spec.digest_name("spki-sha256", digest, OWNER)
            yield (f"a digest name that is {status}, over {over}", keyed_name,
                   Question(name, clients.RRTYPE, None, transport), digest, records)
            yield (f"the same as text, over {over}", keyed_name,
                   Question(name, "TXT", None, transport), digest, text)
        yield (f"text over {over}", text, Question(f"_kbv.{names['joineui-a']}", "TXT", None,
                                                   transport))
    yield "a chain of junk over TCP", bad_chain, Question(OWNER, clients.RRTYPE, request, "+tcp")
    yield "many records over TCP", records, Question("_443._tcp.many64.op-v.example.")
    for case, expert in (("unsigned-host", "kbv.refusal"), ("bogus-tlsa", "kbv.refusal"),
                         ("tlsa-65", "kbv.no_result")):
        yield f"{case} is marked", marked, Question(names[case]), expert
    yield "a malformed request is marked", bad_request, Question(OWNER, "TLSA", b"\x11\x02\0\0\0\0")


def bad_chain(question):
    request, = question.query
    same("certificates", [len(one.replace(":", "")) // 2 for one in request["kbv.certificate"]],
         [600, 900])
    marked_as = {tree.get("kbv.status", [""])[0] for tree in question.answer}
    same("statuses", marked_as, {"6", "34"})  # the record of the answer, and the option


def main():
    suite = tap.Suite("wireshark")
    described = programs.world()
    capture = Path(described["dir"]) / "clients.pcapng"
    with Resolver(described, extra=PATIENT), Listener(capture):
        asked = list(rows(described))
    frames = shark.frames(capture, "-Y", "dns")
    for name, look, question, *arguments in asked:
        def test():
            question.look_at(frames)
            look(question, *arguments)
        suite.test(name, test)
    suite.finish()


main()
