# SPDX-License-Identifier: BSD-3-Clause
"""What becomes of verdicts on their way through forwarders.

Three clients ask for the same name: `one` and `two` saw keys that are bound to it, `other` one that
is not. They ask through libkbv (tests/client/ask), which is told that each forwarder is a resolver
to believe: what keeps a client from another's verdict must be the verdict itself.
"""

import signal
import subprocess
import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
from kbvtest import programs, spec, tap
from kbvworld import servers

from . import tree

ASK = programs.BUILD / "tests/client/ask"
KEYS = {"one": "BOUND", "two": "BOUND", "other": "NOT_BOUND"}
RRTYPE = dns.rdatatype.from_text("TYPE65300")
TIMEOUT_S = 60
ROUNDS = 3   # names that every() may use up
PAUSE_S = 4  # the resolver waits 4.5 s for an authority

# What one client's question came to. WRONG must never be.
RIGHT, LOST, SILENT, MIXED, WRONG = \
    "passes", "lost", "no answer", "mixed up, refused", "WRONGLY ACCEPTED"
SERVED, KEPT = "served, refused", "not served"
ANSWERS = ("BOUND", "NOT_BOUND", "UNDECIDED", "PUBLISHED")


@dataclass
class Findings:
    """What was seen of one forwarder."""
    cells: dict = field(default_factory=dict)   # column: text
    faults: list = field(default_factory=list)  # what must not be, whatever the forwarder does


@dataclass(frozen=True)
class Setting:
    """What is behind the forwarders."""
    described: dict  # the world
    control: list    # unbound-control's words
    pins: list       # of the key that signs, and of another


@dataclass(frozen=True)
class Question:
    forwarder: object
    form: str  # a kind of tree.KINDS
    key: str   # of KEYS
    owner: str

    def words(self, certs):
        digest = certs[self.key]["spki_sha256"]
        form = ["--form", {"rr": "name", "digits": "option"}.get(self.form, self.form)]
        if self.form != "rr":
            form += ["--material", "1", "--hex", digest]
        return ["--server", self.forwarder.address, "--trust", "--timeout", str(TIMEOUT_S * 1000),
                "--peer-spki-sha256", digest, *form, self.owner]


def ask_all(questions, certs):
    """Asks all at the same time. Returns a process, for read_answers()."""
    with tempfile.NamedTemporaryFile("w", suffix=".questions", delete=False) as file:
        file.writelines(" ".join(question.words(certs)) + "\n" for question in questions)
    return subprocess.Popen([str(ASK), "--questions", file.name], stdout=subprocess.PIPE,
                            text=True)


def read_answers(process):
    """One dict a question."""
    found, one = [], {"verdict": [], "txt": []}
    output, _ = process.communicate(timeout=2 * TIMEOUT_S)
    assert process.returncode == 0, f"{ASK}: exit status {process.returncode}"
    for line in output.splitlines():
        key, _, value = line.partition("=")
        if key in ("verdict", "txt"):
            one[key].append(value)
        else:
            one[key] = value
        if key == "which":
            found.append(one)
            one = {"verdict": [], "txt": []}
    return found


def came_to(question, answer):
    """One of the words above."""
    accepted = answer["accept"] == "ACCEPTED"
    if accepted and (question.key == "other" or question.form == "txt"):
        return WRONG
    if answer["outcome"] == "TXT":
        status = f'"status={KEYS[question.key]}"'
        return RIGHT if [status in text for text in answer["txt"]] == [True] else MIXED
    if answer["outcome"] == "VERDICTS":
        status = answer["verdict"][0].split()[0]
        if status not in ANSWERS:
            return status
        due = "PUBLISHED" if question.form == "rr" else KEYS[question.key]
        return RIGHT if status == due and accepted == (question.key != "other") else MIXED
    return LOST if answer["outcome"] == "NO_VERDICT" else SILENT


def phase(results):
    """What all clients' results come to: the worst that was seen."""
    seen = set(results)
    for word in (WRONG, MIXED):
        if word in seen:
            return word
    return seen.pop() if len(seen) == 1 else "in part " + ", ".join(sorted(seen - {RIGHT}))


def cell(first, cached):
    if first == cached:
        return first
    return f"{first}; cached: {cached}"


# ------------------------------------------------------------------------ two clients and more


def questions_in(control):
    """How many questions the resolver has had."""
    out = subprocess.run([*control, "stats_noreset"], capture_output=True, text=True, check=True)
    return int(next(line.split("=")[1] for line in out.stdout.splitlines()
                    if line.startswith("total.num.queries=")))


def in_flight(questions, setting):
    """The authority keeps silent until the resolver has all questions. TimeoutError: that took so
    long that it gave up on the authority."""
    authority = setting.described["servers"]["op"]
    folder = Path(setting.described["dir"])
    servers.pause(authority, folder)
    try:
        process = ask_all(questions, setting.described["certs"])
        start, before, same = time.monotonic(), questions_in(setting.control), 0
        while same < 2 and time.monotonic() < start + 1:
            time.sleep(0.1)
            now = questions_in(setting.control)
            same, before = (same + 1 if now == before else 0), now
    finally:
        servers.pause(authority, folder, resume=True)
    late = time.monotonic() - start > PAUSE_S
    answers = read_answers(process)
    if late:
        raise TimeoutError
    return answers


def clients(forwarders, setting, findings, round_):
    """Three clients, the same name in each form: all at the same time; and, another name, one after
    the other, when `one` has had an answer already."""
    def questions(keys, cached):
        return [Question(forwarder, form, key, tree.owner(form, round_, cached))
                for forwarder in forwarders for form in tree.KINDS for key in keys]

    def note(asked, answers, cached):
        for question, answer in zip(asked, answers):
            results[question.forwarder.name, question.form][cached].append(
                came_to(question, answer))

    certs = setting.described["certs"]
    results = defaultdict(lambda: ([], []))
    asked = questions(KEYS, False)
    note(asked, in_flight(asked, setting), False)
    read_answers(ask_all(questions(["one"], True), certs))
    for key in (*KEYS, *KEYS):
        asked = questions([key], True)
        note(asked, read_answers(ask_all(asked, certs)), True)
    for (name, form), (flying, cached) in results.items():
        found = findings[name]
        found.cells[form] = cell(phase(flying), phase(cached))
        if WRONG in flying + cached:
            found.faults.append(f"{form}: accepted by a client whose key is not bound")
        if form in ("name", "txt", "rr") and MIXED in flying + cached:
            found.faults.append(f"{form}: not the client's own verdict")


# ---------------------------------------------------------------------------- one client alone


def plain(address, name, rrtype, tcp=False, dnssec=False, ad=False, timeout_s=TIMEOUT_S):
    """A dns.message.Message. One that is truncated is cut anywhere, and holds nothing."""
    query = dns.message.make_query(name, rrtype, use_edns=0, payload=1232, want_dnssec=dnssec)
    if ad:
        query.flags |= dns.flags.AD
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if tcp:
                return dns.query.tcp(query, address, timeout=15)
            return dns.query.udp(query, address, timeout=3, raise_on_truncation=True)
        except dns.message.Truncated as error:
            return error.message()
        except (dns.exception.Timeout, EOFError, ConnectionError):
            if time.monotonic() > deadline:
                raise


def rdatas(message):
    return sorted(bytes(rdata.to_wire()) for rrset in message.answer if rrset.rdtype == RRTYPE
                  for rdata in rrset)


def edes(message):
    return [int(option.code) for option in message.options
            if option.otype == dns.edns.OptionType.EDE]


def octets(address, direct, name):
    """Verdict RRs are the resolver's own, octet by octet."""
    found = rdatas(plain(address, name, RRTYPE))
    return RIGHT if found == direct else "other octets" if found else LOST


def eight(forwarder, certs, direct, name):
    """An answer beyond 1232 octets: TC over UDP, whole over TCP, and libkbv asks on by itself."""
    cut = plain(forwarder.address, name, RRTYPE)
    whole = rdatas(plain(forwarder.address, name, RRTYPE, tcp=True))
    if whole != direct:
        return "other octets" if whole else LOST
    if not cut.flags & dns.flags.TC:
        return "no TC"
    words = Question(forwarder, "rr", "one", name).words(certs)[:-1]
    answer, = read_answers(subprocess.Popen(
        [str(ASK), *words, "--identifier", f"joineui:{tree.EIGHT}", "--host", "many.op.example",
         "--port", "9001", name], stdout=subprocess.PIPE, text=True))
    return RIGHT if answer["accept"] == "ACCEPTED" and len(answer["verdict"]) == 8 else \
        answer["accept"]


def ede(address, name):
    """The extended error beside a verdict that is none of BOUND and PUBLISHED."""
    seen = [49152 in edes(plain(address, name, RRTYPE)) for _ in range(2)]
    return cell(*(RIGHT if one else LOST for one in seen))


def ad_and_do(address, name):
    asked = plain(address, name, "TLSA", ad=True)
    signed = plain(address, name, "TLSA", dnssec=True)
    ad = bool(asked.flags & dns.flags.AD)
    rrsig = any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in signed.answer)
    return f"{'AD' if ad else 'no AD'}, {'RRSIG' if rrsig else 'no RRSIG'}"


def over_tcp(forwarder, certs, owner):
    """A nonce, for which libkbv asks over TCP."""
    question = Question(forwarder, "option", "one", owner)
    words = question.words(certs)
    done = subprocess.Popen([str(ASK), "--nonce", *words], stdout=subprocess.PIPE, text=True)
    answer, = read_answers(done)
    assert answer["over"] == "tcp" or answer["outcome"] != "VERDICTS", answer
    return came_to(question, answer)


# Ways of asking, and what says of the way that its verdict shall be signed: RRs are in any case.
SIGNED = {"rr": ("RR", []), "name": ("name", []), "option": ("option", ["--sign"])}


def signed(forwarder, certs, owner, pins, found):
    """Which verdicts a client accepts for their signature alone: it trusts no channel. pins: of the
    resolver's key, and of another."""
    accepted = []
    for form, (text, sign) in SIGNED.items():
        for key, pin, wrong in (("one", pins[0], None), ("one", pins[1], "with another pin"),
                                ("other", pins[0], "whose key is not bound")):
            words = Question(forwarder, form, key, owner).words(certs)
            words.remove("--trust")
            answer, = read_answers(subprocess.Popen([str(ASK), "--key", pin, *sign, *words],
                                                    stdout=subprocess.PIPE, text=True))
            if answer["accept"] == "ACCEPTED" and wrong:
                found.faults.append(f"{form}, signed: accepted by a client {wrong}")
            elif answer["accept"] == "ACCEPTED":
                accepted.append(text)
    return ", ".join(accepted) or "none"


def command(forwarder, certs, owner, found):
    """kbv query's exit status with a key that is bound and one that is not, both ways of asking."""
    texts = []
    for form in ("edns", "name"):
        words = [programs.KBV, "query", "--server", forwarder.address, "--form", form, "--short",
                 "--timeout", str(TIMEOUT_S * 1000), "--spki-sha256"]
        statuses = [subprocess.run([*words, certs[key]["spki_sha256"], owner], check=False,
                                   capture_output=True).returncode for key in ("one", "other")]
        if statuses[1] == 0:
            found.faults.append(f"kbv query --form {form}: exit status 0 with the wrong key")
        texts.append("{} {}".format(*statuses))
    return texts


def alone(forwarder, setting, findings, direct, round_):
    """Everything for which one client is enough."""
    described, address = setting.described, forwarder.address
    certs = described["certs"]
    found = findings[forwarder.name]
    owner = tree.owner("rr", round_)
    other = bytes.fromhex(certs["other"]["spki_sha256"])
    eight_name = described["cases"][0]["name"]
    found.cells["octets"] = octets(address, direct[owner], owner)
    found.cells["eight"] = eight(forwarder, certs, direct[eight_name], eight_name)
    found.cells["nonce"] = over_tcp(forwarder, certs, owner)
    found.cells["ede"] = ede(address, spec.digest_name("spki-sha256", other,
                                                       tree.owner("tlsa", round_)))
    found.cells["dnssec"] = ad_and_do(address, owner)
    found.cells["signed"] = signed(forwarder, certs, owner, setting.pins, found)
    found.cells["kbv-option"], found.cells["kbv-name"] = command(forwarder, certs, owner, found)
    for column in ("octets", "eight"):
        if found.cells[column] == "other octets":
            found.faults.append(f"{column}: not the resolver's octets")


# ---------------------------------------------------------------------------- when time is up


def what_is_late(forwarders, described, resolver):
    """Findings by forwarder's name: what each has of a verdict, and of its readable form, when its
    time is over and the resolver cannot be reached."""
    certs = described["certs"]
    findings = defaultdict(Findings)
    asked = [Question(one, form, "one", tree.BRIEF)
             for one in forwarders for form in ("name", "rr")]
    for question, answer in zip(asked, read_answers(ask_all(asked, certs))):
        tap.same(f"{question.forwarder.name}, {question.form}, in time", came_to(question, answer),
                 RIGHT)
    time.sleep(tree.BRIEF_S + 1)
    resolver.send_signal(signal.SIGSTOP)
    try:
        for _ in range(3):  # some have to find out first that it cannot be reached
            for question, answer in zip(asked, read_answers(ask_all(asked, certs))):
                found = findings[question.forwarder.name]
                late = answer["accept"] == "ACCEPTED"
                if late:
                    found.faults.append(f"{question.form}: accepted when its time was over")
                if found.cells.get(question.form) != SERVED:
                    found.cells[question.form] = WRONG if late else \
                        SERVED if answer["outcome"] == "VERDICTS" else KEPT
    finally:
        resolver.send_signal(signal.SIGCONT)
    return findings


def every(forwarders, setting, round_=0):
    """Findings by forwarder's name. round_: names of this number on are asked for."""
    findings = defaultdict(Findings)
    for attempt in range(ROUNDS):
        try:
            clients(forwarders, setting, findings, round_ + attempt)
            break
        except TimeoutError:
            assert attempt + 1 < ROUNDS, "this machine is too slow to have questions in flight"
    names = [tree.owner("rr", round_), setting.described["cases"][0]["name"]]
    direct = {name: rdatas(plain("127.0.0.1", name, RRTYPE, tcp=True)) for name in names}
    assert all(direct.values()), f"no verdicts: {direct}"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: alone(one, setting, findings, direct, round_),
                      forwarders))
    return findings
