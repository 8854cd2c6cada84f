# SPDX-License-Identifier: BSD-3-Clause
"""The load itself: what is asked, who asks, and what is made of it."""

import os
import random
import re
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from kbvtest import programs, signing, spec, tap, verdicts
from kbvtest.verdicts import kbv_decode
from kbvworld import dnsmsg
from kbvworld.resolver import Resolver

THREADS = ["server:", "    num-threads: 4", "    msg-cache-slabs: 1", "    rrset-cache-slabs: 1",
           "    infra-cache-slabs: 1", "    key-cache-slabs: 1", "    ratelimit-slabs: 1",
           "    ip-ratelimit-slabs: 1", "    so-reuseport: yes", "    prefetch: yes",
           "    serve-expired: yes", "    serve-expired-ttl: 3600"]
# Questions a second of each of the six dnsperf, and how many may wait at once: a rate that two cores
# bear with the authorities on the same machine, and less than a socket's buffer holds if they are
# busy with something else. What is lost then is not lost because everything is slow.
RATE, OUTSTANDING = 1500, 20
SAMPLERS, SAMPLES_PER_S, PATIENCE_S = 4, 20, 5
CONTROLS_APART_S = 0.5
# All questions come from one client, more of them with a digest that nobody asked for than may be
# signed for it.
NO_RATELIMIT = "    kbv-chain-ratelimit: 0"
TSAN_OPTIONS = "halt_on_error=0:exitcode=0:second_deadlock_stack=1:history_size=5"


# ---------------------------------------------------------------------------------- what is asked

def calm(world):
    """The cases whose answers are there at once: no server to wait for, nothing for the validator
    to ask again, no long chain of aliases that runs out with its first one's second."""
    return [case for case in world.cases.values() if not case["slow"] and
            "cname" not in case["id"] and "bogus" not in case["id"] and
            all(row["status"] not in ("TEMPFAIL", "BOGUS") for row in case["expect"])]


def plain_questions(cases):
    """(name, type) without verdicts, for both resolvers."""
    for case in cases:
        if case["kind"] == "literal":
            yield case["name"], "TLSA"
        else:
            yield from ((case["name"], rrtype) for rrtype in ("NAPTR", "A", "AAAA"))
        for row in case["expect"]:
            if row["endpoint"]:
                yield row["endpoint"]["host"], "A"
                yield row["owner"], "TLSA"


def verdict_questions(world, cases):
    for case in cases:
        yield case["name"], "TYPE65300"
        yield f"_kbv.{case['name']}", "TXT"
        for name in ("js-v", "js1.current", "other"):
            asked = spec.digest_name("spki-sha256", world.certs[name]["spki-sha256"], case["name"])
            yield asked, "TYPE65300"
        # A digest that nobody asked for before.
        yield spec.digest_name("spki-sha256", os.urandom(32), case["name"]), "TYPE65300"


def write_questions(path, questions):
    rows = sorted(set(questions))
    random.Random(1).shuffle(rows)
    path.write_text("".join(f"{name} {rrtype}\n" for name, rrtype in rows))
    return path


# ------------------------------------------------------------------------------------ who asks

@dataclass
class Figures:
    """What dnsperf says at its end."""
    sent: int = 0
    completed: int = 0
    lost: int = 0
    servfail: int = 0

    def add(self, text):
        def number(pattern):
            found = re.search(pattern, text)
            return int(found[1]) if found else 0
        assert "Queries sent" in text, f"dnsperf did not end well: {text[-2000:]}"
        self.sent += number(r"Queries sent:\s+(\d+)")
        self.completed += number(r"Queries completed:\s+(\d+)")
        self.lost += number(r"Queries lost:\s+(\d+)")
        self.servfail += number(r"SERVFAIL (\d+)")


def dnsperf(file, seconds, rate, port, option=None):
    words = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(file), "-l", str(seconds),
             "-q", str(OUTSTANDING), "-c", "8", "-t", str(PATIENCE_S), "-e"]
    if rate:
        words += ["-Q", str(rate)]
    if option:
        words += ["-E", f"65100:{option.hex()}"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@dataclass
class Samples:
    asked: int = 0
    right: int = 0
    failed: int = 0  # TEMPFAIL: no result, and so no wrong one either
    lost: int = 0
    wrong: list = field(default_factory=list)


def ask(name, rrtype, option, port):
    """The octets of the verdicts in a reply; OSError if there is none in time."""
    opt = b"" if option is None else struct.pack(">HH", 65100, len(option)) + option
    ident = random.getrandbits(16)
    query = struct.pack(">6H", ident, 0x0100, 1, 0, 0, 1) + dnsmsg.encode_name(name) + \
        struct.pack(">2H", dnsmsg.TYPES[rrtype], 1) + \
        b"\0" + struct.pack(">HHIH", 41, 4096, 0, len(opt)) + opt
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE_S)
        sock.connect(("127.0.0.1", port))
        sock.send(query)
        reply = sock.recv(65535)
    assert reply[:2] == query[:2], "somebody else's reply"
    found = kbv_decode.from_message(reply)
    return found[-1:] if option is not None else found


def sample(world, cases, samples, port, signer):
    """One question with a known answer, in one of the forms."""
    case = random.choice(cases)
    form = random.choice(("rr", "option", "tlsa", "name"))
    digest = world.certs[random.choice(("js-v", "js1.current", "js1.next", "other"))]["spki-sha256"]
    keyed = world.keyed(case, "spki-sha256", digest)
    name, rrtype, option = case["name"], "TYPE65300", None
    sign = random.choice((False, True))
    if form == "rr":
        rows = case["expect"]
    elif form == "name":
        name, rows = spec.digest_name("spki-sha256", digest, name), keyed
    else:
        option = spec.request("spki-sha256", digest, sign=sign)
        rows = [spec.select(keyed, keyed=True)]
        if form == "tlsa":
            if case["kind"] != "literal" or rows[0]["status"] == "BAD_INPUT":
                return
            rrtype = "TLSA"
    samples.asked += 1
    began = time.time()
    try:
        octets = ask(name, rrtype, option, port)
    except OSError:
        samples.lost += 1
        return
    found = [verdicts.decode(one) for one in octets]
    if not found and form in ("rr", "name"):
        return  # truncated: counted as neither
    statuses = sorted(verdict["status"] for verdict in found)
    # Records always are signed, options where it is asked for: each by the key, none wrongly.
    try:
        wrongly = [one.hex() for one in octets if signer.signed(one) != (sign or option is None)]
    except AssertionError as error:
        wrongly = [str(error)]
    if wrongly:
        samples.wrong.append(f"{form} {case['id']}: the signature, or that there is one: {wrongly}")
        return
    late = [verdict["not_after"] for verdict in found
            if verdicts.epoch(verdict["not_after"]) < int(began) - 1]
    subjects = {verdict["subject"] for verdict in found} - {None}
    expected = sorted(row["status"] for row in rows)
    if late or not subjects <= {digest.hex()} or statuses != expected:
        if not late and found and "TEMPFAIL" in statuses and \
                not {"BOUND", "PUBLISHED"} & (set(statuses) - set(expected)):
            samples.failed += 1
            return
        # With serve-expired the TLSA RRset itself may be an expired one: no verdict comes of it.
        if form == "tlsa" and statuses == ["STALE"]:
            samples.right += 1
            return
        samples.wrong.append(f"{form} {case['id']}: {statuses}, not {expected}"
                             f"{'; past T: ' + str(late) if late else ''}"
                             f"{'' if subjects <= {digest.hex()} else '; another key'}")
        return
    samples.right += 1


def control(resolver, name):
    """What an operator does meanwhile: verdicts are forgotten and counters read."""
    for words in (["kbv_flush"], ["stats"], ["kbv_flush", name], ["kbv_zones"], ["stats_noreset"]):
        done = subprocess.run([str(programs.CONTROL), "-c", str(resolver.conf), *words],
                              check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"unbound-control {words}: {done.stdout}{done.stderr}"


def load(port, files, options, seconds, rate, sampler=None, controller=None):
    """Runs every dnsperf, the samplers and a controller at once; the figures."""
    total, end = Figures(), time.monotonic() + seconds
    running = [dnsperf(file, seconds, rate, port, option)
               for file in files for option in options]

    def keep_sampling():
        while time.monotonic() < end:
            sampler()
            time.sleep(SAMPLERS / SAMPLES_PER_S)

    def keep_controlling():
        while time.monotonic() < end:
            try:
                controller()
            except AssertionError as error:
                problems.append(str(error))
            time.sleep(CONTROLS_APART_S)
    problems = []
    threads = [threading.Thread(target=keep_sampling) for _ in range(SAMPLERS if sampler else 0)]
    threads += [threading.Thread(target=keep_controlling)] if controller else []
    for thread in threads:
        thread.start()
    for process in running:
        try:
            output, _ = process.communicate(timeout=seconds + 30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError("dnsperf does not end") from None
        total.add(output)
    for thread in threads:
        thread.join()
    assert not problems, "\n".join(problems[:5])
    return total


def still_alive(resolver):
    """Answers at once, and ends at once when told to: no thread waits for a lock."""
    assert resolver.process.poll() is None, f"the daemon has ended:\n{resolver.log()[-3000:]}"
    for _ in range(16):  # each by another socket, and so for another thread
        resolver.ask("js1.op-a.example.", "A", timeout=3)
    start = time.monotonic()
    status = resolver.stop()
    assert status == 0, f"exit status {status}:\n{resolver.log()[-3000:]}"
    assert time.monotonic() - start < 8, "does not end when told to"


# ------------------------------------------------------------------------------------ the tests

class Soak:
    def __init__(self, described):
        self.described = described
        self.world = verdicts.World(described)
        self.cases = calm(self.world)
        folder = Path(described["dir"])
        self.plain = write_questions(folder / "plain", plain_questions(self.cases))
        self.verdicts = write_questions(folder / "verdicts",
                                        verdict_questions(self.world, self.cases))
        key = [self.world.certs[name]["spki-sha256"] for name in ("js-v", "other")]
        self.options = [None, *(spec.request("spki-sha256", digest, sign=digest == key[1])
                                for digest in key)]
        self.signer = signing.Key(folder, "signer")

    def run(self, binary, kbv, seconds, rate=RATE, controlled=False):
        """Figures and samples of one resolver under load, with an operator's commands or without."""
        samples = Samples()
        resolver = Resolver(self.described, binary, "kbv" if kbv else "stock", kbv,
                            extra=[*THREADS, *(self.signer.conf(NO_RATELIMIT) if kbv else [])])
        resolver.start()
        try:
            files = [self.plain, self.verdicts] if kbv else [self.plain, self.plain]
            figures = load(resolver.port, files, self.options, seconds, rate,
                           (lambda: sample(self.world, self.cases, samples, resolver.port,
                                    self.signer))
                           if kbv else None,
                           (lambda: control(resolver, random.choice(self.cases)["name"]))
                           if controlled else None)
            still_alive(resolver)
        finally:
            resolver.stop()
        print(f"# {'with the module' if kbv else 'stock':16}"
              f"{figures.sent:>9} sent {figures.lost:>6} lost {figures.servfail:>6} SERVFAIL"
              f" {figures.completed / seconds:>9.0f} answers/s", flush=True)
        if kbv:
            print(f"# {'sampled':16}{samples.asked:>9} asked {samples.lost:>5} lost "
                  f"{samples.failed:>6} TEMPFAIL {len(samples.wrong)} wrong", flush=True)
        return figures, samples


def no_loss(ours, stock, samples):
    assert ours.sent > 1000 and stock.sent > 1000, "hardly any load"
    allowed = stock.lost / stock.sent * ours.sent
    assert ours.lost <= allowed, f"{ours.lost} lost, where the stock Unbound's rate gives {allowed:.1f}"
    assert samples.lost <= allowed, f"{samples.lost} of the sampled questions lost"


def none_wrong(samples):
    """No matter how slow the machine is: a question that was lost or failed has no wrong answer."""
    assert samples.right > 20, f"only {samples.right} right answers"
    assert not samples.wrong, f"{len(samples.wrong)} wrong:\n" + "\n".join(samples.wrong[:20])


def hardly_any_failed(samples):
    assert samples.right > 100, f"only {samples.right} right answers"
    assert samples.failed <= samples.asked / 200, f"{samples.failed} TEMPFAIL of {samples.asked}"


def compared(soak, seconds):
    suite = tap.Suite("load")
    got = {}

    def under_load():
        got["stock"], _ = soak.run(programs.STOCK, False, seconds)
        got["ours"], got["samples"] = soak.run(programs.UNBOUND, True, seconds)

    def under_full_load():
        got["full"], got["full samples"] = soak.run(programs.UNBOUND, True, max(seconds // 3, 10),
                                                    rate=None, controlled=True)
        none_wrong(got["full samples"])
    suite.test("as much load as the machine bears: no hang, no wrong verdict, an end in good order",
               under_full_load)
    suite.test(f"{seconds} s of four threads on one slab: no hang, an end in good order", under_load)
    if "samples" in got:
        suite.test("no lost reply beyond the stock Unbound's", no_loss, got["ours"], got["stock"],
                   got["samples"])
        suite.test("no wrong verdict, and none past its T", none_wrong, got["samples"])
        suite.test("hardly a verdict that failed", hardly_any_failed, got["samples"])
    return suite


# ------------------------------------------------------------------------------- ThreadSanitizer

OURS = re.compile(r"#\d+ kbv_|\bmodule/(?:unbound|core)/|\blib/(?:buf|name|request|text|verdict)\.c")


def reports(folder):
    """The sanitizer's reports, one text each."""
    text = "".join(file.read_text(errors="replace") for file in sorted(folder.glob("tsan.*")))
    return [part for part in text.split("==================\n") if "WARNING: ThreadSanitizer" in part]


def summaries(found):
    return sorted({match[0] for part in found for match in [re.search(r"SUMMARY: .*", part)]
                   if match})


def log_reports(folder):
    """From now on those of programs begun go into folder."""
    folder.mkdir()
    os.environ["TSAN_OPTIONS"] = f"{TSAN_OPTIONS}:log_path={folder}/tsan"


def is_built_with(library):
    return library in subprocess.run(["ldd", str(programs.UNBOUND)], capture_output=True, text=True,
                                     check=True).stdout


def is_sanitized():
    assert is_built_with("libtsan"), f"{programs.UNBOUND} is no ThreadSanitizer build"


def none_of_ours(folder, known=()):
    """known: summaries that are there without the module, too."""
    found = reports(folder)
    ours = [part for part in found if OURS.search(part)]
    print(f"# ThreadSanitizer: {len(found)} reports, {len(ours)} in code of ours", flush=True)
    for line in summaries(found):
        print(f"#   {'also without: ' if line in known else ''}{line}", flush=True)
    assert not ours, "\n".join(ours[:3])


def sanitized(soak, seconds):
    suite = tap.Suite("load")
    folder = Path(soak.described["dir"])
    got = {}

    def loaded(kbv):
        logs = folder / ("tsan-kbv" if kbv else "tsan-stock")
        log_reports(logs)
        _, samples = soak.run(programs.UNBOUND, kbv, seconds, rate=RATE // 10, controlled=kbv)
        return logs, samples

    def under_load():
        got["without"], _ = loaded(False)
        got["with"], got["samples"] = loaded(True)

    def nothing_of_ours():
        known = summaries(reports(got["without"]))
        print(f"# ThreadSanitizer: {len(known)} kinds of reports without the module", flush=True)
        none_of_ours(got["with"], known)

    suite.test("the build is one with ThreadSanitizer", is_sanitized)
    if suite.failed:
        return suite
    suite.test(f"ThreadSanitizer: {seconds} s of load, no hang, an end in good order", under_load)
    if "samples" in got:
        suite.test("ThreadSanitizer: no report in code of ours", nothing_of_ours)
        suite.test("ThreadSanitizer: no wrong verdict, and none past its T", none_wrong,
                   got["samples"])
    return suite


def main(seconds, tsan):
    soak = Soak(programs.world())
    suite = sanitized(soak, seconds) if tsan else compared(soak, seconds)
    return 0 if suite.passed and not suite.failed else 1
