# SPDX-License-Identifier: BSD-3-Clause
"""Clients that send what nobody should: EDNS options by the thousand, options that lie about their
length, questions without end on one connection, half of a question. Another client, whose questions
are in the cache, has its answers all the while, and so has each of these once it asks properly."""

import itertools
import random
import socket
import struct
import threading
import time
from pathlib import Path

from kbvtest import programs, spec, tap, verdicts, wire
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvtest.verdicts import kbv_decode
from kbvworld import capture, dnsmsg

FAR = capture.SERVICE[0]
OWNER = "_8003._tcp.js1.op-a.example."
SILENT = "silent.example."
TYPES = ("TYPE65300", "TLSA")
OPTION, OTHER_OPTION = 65100, 65432
HOSTILE, PEACEFUL = "127.0.1.1", "127.0.2.1"
PENDING, ASKED = 20, 60
MIB = 1 << 20


def opt(octets, length=None):
    """An OPT record; length: what it says of itself if that is not the truth."""
    return b"\0" + struct.pack(">HHIH", dnsmsg.TYPES["OPT"], 1232, 0,
                               len(octets) if length is None else length) + octets


def option(octets, code=OPTION, length=None):
    return struct.pack(">HH", code, len(octets) if length is None else length) + octets


def message(name, rrtype, record, number=None, more=0):
    number = random.getrandbits(16) if number is None else number
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 1 + more) + dnsmsg.encode_name(name) + \
        struct.pack(">2H", dnsmsg.TYPES[rrtype], 1) + record


def connected(source=HOSTILE, server="127.0.0.1"):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(20)
    if source:
        sock.bind((source, 0))
    sock.connect((server, 53))
    return sock


def receive(sock):
    """One reply of a connection; None where it was closed instead."""
    try:
        head = _exactly(sock, 2)
        return head and _exactly(sock, struct.unpack(">H", head)[0])
    except ConnectionError:
        return None


def _exactly(sock, n):
    octets = b""
    while len(octets) < n:
        part = sock.recv(n - len(octets))
        if not part:
            return None
        octets += part
    return octets


def over_tcp(query):
    with connected() as sock:
        sock.sendall(struct.pack(">H", len(query)) + query)
        return receive(sock)


def over_udp(query):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.bind((HOSTILE, 0))
        sock.connect(("127.0.0.1", 53))
        sock.send(query)
        try:
            return sock.recv(65535)
        except TimeoutError:
            return None


def read(reply):
    """(RCODE, the status in the option or None). With FORMERR the question comes back as it was."""
    rcode = dnsmsg.RCODES[reply[3] & 15]
    found = wire.options(reply) if rcode == "NOERROR" else []
    assert len(found) <= 1, f"{len(found)} options in the reply"
    return rcode, verdicts.decode(found[0])["status"] if found else None


class Peaceful:
    """Another client: its names are in the cache, and it wants each of its answers."""

    def __init__(self):
        self.asked, self.ending, self.failure = 0, threading.Event(), None

    def _loop(self):
        for rrtype, tcp in itertools.cycle(itertools.product(TYPES, (False, False, False, True))):
            if self.ending.is_set():
                return
            try:
                self._once(rrtype, tcp)
                self.asked += 1
            except (AssertionError, OSError) as error:
                self.failure = self.failure or error
            time.sleep(0.02)

    @staticmethod
    def _once(rrtype, tcp):
        for attempt in range(5):  # as clients do
            try:
                found = verdicts.decode(wire.ask(OWNER, rrtype, spec.request(), tcp=tcp,
                                                 source=PEACEFUL, timeout_s=4))
                same("status for the other client", found["status"], "PUBLISHED")
                return
            except OSError:
                if attempt == 4:
                    raise

    def __enter__(self):
        self.thread = threading.Thread(target=self._loop)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.thread.join()
        if kind is None:
            assert not self.failure, f"the other client: {self.failure!r}"
            assert self.asked, "the other client asked nothing"


def ours_is_read(key):
    """Ours is found between others, first, last and in the middle, of up to 91 options: Unbound
    reads a hundred."""
    ours = option(spec.request("spki-sha256", key["js1.next"]))
    other = option(b"", OTHER_OPTION)
    for rrtype, (before, after) in itertools.product(TYPES, [(0, 0), (0, 90), (90, 0), (45, 45)]):
        reply = over_tcp(message(OWNER, rrtype, opt(other * before + ours + other * after)))
        same(f"{rrtype}, {before} before, {after} behind", read(reply), ("NOERROR", "BOUND"))


def ten_thousand(key):
    """Options by the thousand: an error, or an answer without a verdict on the key that stands
    behind them, and never more than one option in return."""
    ours = option(spec.request("spki-sha256", key["js1.next"]))
    for rrtype, code, place in itertools.product(TYPES, (OTHER_OPTION, OPTION), ("last", "none")):
        for octets in (b"", b"\x11"):
            many = option(octets, code) * 10000
            record = opt(many + (ours if place == "last" else b""))
            reply = over_tcp(message(OWNER, rrtype, record))
            assert reply, "closed instead of an answer"
            rcode, status = read(reply)
            assert (rcode, status) in [("FORMERR", None), ("NOERROR", None),
                                       ("NOERROR", "BAD_INPUT")], \
                f"{rrtype}, 10000 of {code}, ours {place}: {rcode} {status}"
            assert len(reply) < 4096, f"{len(reply)} octets in return"


def our_own_twice(key):
    """The same option again and again, alike or not, next to each other or far apart."""
    right = option(spec.request("spki-sha256", key["js1.next"]))
    wrong = option(spec.request("spki-sha256", key["other"]))
    other = option(bytes(8), OTHER_OPTION)
    for rrtype, row in itertools.product(TYPES, [right * 2, right + wrong, wrong + right,
                                                 right + other * 50 + right, right * 90,
                                                 option(b"") + right, right + option(b"")]):
        same(f"{rrtype}, {len(row)} octets", read(over_tcp(message(OWNER, rrtype, opt(row)))),
             ("NOERROR", "BAD_INPUT"))


def full_size(key):
    """An option of 64 KB, and material that is as long as it may be and a little longer."""
    free = 65535 - len(message(OWNER, "TLSA", opt(b""))) - 4
    right = spec.request("spki-sha256", key["js1.next"])
    for rrtype in TYPES:
        for octets in (bytes(free), b"\x11" * free, right + bytes(free - len(right)),
                       struct.pack(">BBBBH", 0x11, 0, 5, 0, 16384) + bytes(16384),
                       struct.pack(">BBBBH", 0x11, 0, 5, 0, 16385) + bytes(16385),
                       struct.pack(">BBBBH", 0x11, 0, 4, 0, 4096) + b"\x30" * 4096,
                       struct.pack(">BBBBH", 0x11, 0, 5, 0, 65000) + b"\xff" * 65000):
            same(f"{rrtype}, {len(octets)} octets",
                 read(over_tcp(message(OWNER, rrtype, opt(option(octets))))),
                 ("NOERROR", "BAD_INPUT"))


def lengths_that_lie(key):
    """Options and OPT records that end elsewhere than they say: an error or silence, no verdict
    from octets that are not the option's. What stands behind a whole option is Unbound's to judge."""
    right = spec.request("spki-sha256", key["js1.next"])
    lies = [opt(option(right, length=length)) for length in (0, 1, 37, 39, 1000, 65535)]
    lies += [opt(option(right), length) for length in (0, 1, 3, 4, 41, 43, 1000, 65535)]
    whole = [opt(option(right) + tail) for tail in (b"\xfe", b"\xfe\x4c\0",
                                                     struct.pack(">HH", OPTION, 1))]
    rows = [(record, 0, set()) for record in lies] + [(record, 0, {"BOUND"}) for record in whole]
    rows.append((opt(option(right)) * 2, 1, set()))  # two OPT records
    for rrtype, (record, more, also), ask in itertools.product(TYPES, rows, (over_udp, over_tcp)):
        reply = ask(message(OWNER, rrtype, record, more=more))
        if reply is None:
            continue
        rcode, status = read(reply)
        assert rcode in ("FORMERR", "NOERROR") and status in {None, "BAD_INPUT"} | also, \
            f"{rrtype} {record[9:40].hex()}…: {rcode} {status}"


def many_on_one_connection(key):
    """500 questions at once, of different kinds, before the first answer is read."""
    requests = [None, spec.request("spki-sha256", key["js1.next"]),
                spec.request("spki-sha256", key["other"]), b"\x11",
                spec.request("spki-sha256", key["js1.next"], bytes(16))]
    expected = [None, "BOUND", "NOT_BOUND", "BAD_INPUT", "BOUND"]
    with connected() as sock:
        octets = b""
        for number in range(500):
            request = requests[number % len(requests)]
            query = message(OWNER, TYPES[number % 2],
                            opt(b"" if request is None else option(request)), number)
            octets += struct.pack(">H", len(query)) + query
        writer = threading.Thread(target=sock.sendall, args=(octets,))
        writer.start()
        seen = {}
        while len(seen) < 500:
            reply = receive(sock)
            if reply is None:
                break
            number = struct.unpack(">H", reply[:2])[0]
            seen[number] = read(reply)[1]
        writer.join()
    wrong = {number: status for number, status in seen.items()
             if status != expected[number % len(expected)]}
    same("answers, wrong ones", (len(seen), wrong), (500, {}))


def who_does_not_read(key):
    """Connections whose client sends questions and never reads an answer, and such as say nothing or
    end in the middle of a question."""
    query = message(OWNER, "TYPE65300", opt(option(spec.request("spki-sha256", key["other"]))))
    query = struct.pack(">H", len(query)) + query
    held = []
    try:
        for number in range(60):
            sock = connected()
            sock.setblocking(False)
            held.append(sock)
            try:
                sock.send((query * 200, query[:len(query) // 2], b"\0", b"")[number % 4])
            except OSError:  # closed on us, or full
                pass
        found = None
        for _ in range(20):
            try:
                found = verdicts.decode(wire.ask(OWNER, "TLSA", spec.request(), source=PEACEFUL,
                                                 timeout_s=3))["status"]
                break
            except (OSError, AssertionError):
                time.sleep(0.2)
        same("status over TCP meanwhile", found, "PUBLISHED")
    finally:
        for sock in held:
            sock.close()


def too_many_in_progress(_):
    """Beyond kbv-max-pending LIMIT at once, with its reason; what is in the cache is served, and when
    those in progress have ended there is room again."""
    def ask(number, found):
        name = f"_443._tcp.h{number}.{SILENT}"
        query = message(name, "TYPE65300", opt(b""), number)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(20)
            sock.connect((FAR, 53))
            began = time.monotonic()
            try:
                sock.send(query)
                verdict = verdicts.decode(kbv_decode.from_message(sock.recv(65535))[0])
                found[number] = verdict["status"], verdict["reason"], verdicts.life(verdict), \
                    verdict["ede"], time.monotonic() - began
            except OSError:
                found[number] = "lost", None, 0, None, 20
    found = {}
    threads = [threading.Thread(target=ask, args=(number, found)) for number in range(ASKED)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limited = [row for row in found.values() if row[0] == "LIMIT"]
    rest = [row for row in found.values() if row[0] != "LIMIT"]
    assert len(limited) >= ASKED - 2 * PENDING, f"only {len(limited)} of {ASKED} limited"
    assert len(rest) >= PENDING, f"only {len(rest)} of {PENDING} in progress"
    same("refusals", {row[1:4] for row in limited},
         {("too many verdicts in progress", 5, 49159)})
    same("the others", {row[0] for row in rest} - {"lost"}, {"TEMPFAIL"})
    # Not kept: who asks the next time is not told of a limit that is no longer there.
    again = {}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and again.get(0, ("LIMIT",))[0] == "LIMIT":
        ask(0, again)
    same("asked again", again[0][0], "TEMPFAIL")


def beside(function):
    def test(key):
        with Peaceful():
            function(key)
    return test


def main():
    suite = tap.Suite("hostile clients")
    described = programs.world()
    world = verdicts.World(described)
    key = {name: cert["spki-sha256"] for name, cert in world.certs.items()}
    extra = [*PATIENT, "kbv:", f"    kbv-max-pending: {PENDING}", "    kbv-chain-ratelimit: 5"]
    with Resolver(described, extra=extra) as resolver:
        over_udp(message(OWNER, "TYPE65300", opt(b"")))
        def resident():
            return int(Path(f"/proc/{resolver.process.pid}/statm").read_text().split()[1]) * 4096
        before = resident()
        for name, function in [
                ("our option among others", ours_is_read),
                ("10 000 options", ten_thousand),
                ("our option more than once", our_own_twice),
                ("options as large as they come", full_size),
                ("lengths that lie", lengths_that_lie),
                ("500 questions on one connection", many_on_one_connection),
                ("clients that do not read, or stop in the middle", who_does_not_read),
                ("more verdicts in progress than may be", too_many_in_progress)]:
            suite.test(name, beside(function), key)
        print(f"# RSS {before / MIB:.1f} MiB before, {resident() / MIB:.1f} after", flush=True)
        suite.test("the resolver ends in good order", resolver.end)
    suite.finish()


main()
