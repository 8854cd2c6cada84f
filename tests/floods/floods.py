# SPDX-License-Identifier: BSD-3-Clause
"""The floods, the client beside them, and what is made of both."""

import itertools
import os
import random
import re
import socket
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import crowd
import dear
from kbvtest import chains, programs, signing, spec, tap, verdicts, wire
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvtest.verdicts import kbv_decode
from kbvworld import dnsmsg

MIB = 1 << 20
MSG_MIB, RRSET_MIB, KBV_MIB = 4, 8, 1
# The caches whose size is not asked for here, at Unbound's defaults, and what it keeps of servers.
KEY_MIB, NEG_MIB, INFRA_MIB = 4, 1, 2
# What kbv-max-pending allows in each thread: eight queries in Unbound for each verdict, beside
# num-queries-per-thread. A query in progress takes 27 KiB, with the module or without
# (docs/performance.md).
THREADS, PENDING, QUERIES = 2, 100, 200
PENDING_MIB = THREADS * (8 * PENDING + QUERIES) * 27 / 1024
# The C library's arenas, one a thread, keep up to as much again in holes: that is not what this is about.
ARENAS = {"MALLOC_ARENA_MAX": "1"}
# Of the names that a flood makes up, how many may share a place in a cache's table.
COLLISIONS = 30
SETTINGS = [*PATIENT, f"    num-threads: {THREADS}",
            f"    num-queries-per-thread: {QUERIES}", f"    msg-cache-size: {MSG_MIB}m",
            f"    rrset-cache-size: {RRSET_MIB}m", "    extended-statistics: yes",
            "kbv:", f"    kbv-cache-size: {KBV_MIB}m", f"    kbv-max-pending: {PENDING}"]
LITERAL, CHAINED = "_8003._tcp.js1.op-a.example.", "_443._tcp.js2.op-a.example."
FLOODER, SLOW, OTHER = "127.0.1.1", "127.0.3.1", "127.0.2.1"
OTHERS_PER_S = 60
WINDOW = 100  # no more than the daemon's socket holds, so that what is lost is lost by the daemon
QUIET_S, CHAINS_S, SLOW_S, SLOW_CLIENTS = 5, 8, 8, 60
NONCES_S, NONCES_PER_S = 5, 5
PATIENCE_S = 30
TRY_S, TRIES = 3, 10


class Other:
    """A client that asks for the same names again and again, and sees whether each answer is the
    one that was in the cache: its verdicts issued when they were, its TTLs as they count down."""

    def __init__(self, described):
        world = verdicts.World(described)
        key = self.key = world.certs["js1.current"]["spki-sha256"]
        names = [LITERAL, CHAINED, world.cases["joineui-a"]["name"],
                 world.cases["joineui-b"]["name"], spec.digest_name("spki-sha256", key, LITERAL)]
        self.questions = [(name, "TYPE65300") for name in names]
        self.questions += [(LITERAL, "TLSA"), (CHAINED, "TLSA")]
        self.questions += [(host, rrtype) for host in ("js1.op-a.example.", "js2.op-a.example.",
                                                       "ns.op-a.example.", "js1.op-b.example.",
                                                       "js.op-v.example.")
                           for rrtype in ("A", "AAAA")]
        self.known, self._ending = {}, threading.Event()
        self.forget()

    def forget(self):
        self.hits, self.misses, self.lost, self.again, self.ms = 0, [], 0, 0, []

    def _exchange(self, query):
        """The reply; as clients do, asked again when there is none: a datagram may be dropped where
        a flood fills the daemon's socket."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(TRY_S)
            sock.bind((OTHER, 0))
            sock.connect(("127.0.0.1", 53))
            for attempt in range(TRIES):
                sock.send(query)
                try:
                    self.again += attempt > 0
                    return sock.recv(65535)
                except TimeoutError:
                    pass
        raise TimeoutError

    def _ask(self, name, rrtype):
        """(until when this answer would hold, when it was issued); None: there was no result."""
        query = dnsmsg.encode_query(name, rrtype)
        began = time.monotonic()
        octets = self._exchange(query)
        self.ms.append((time.monotonic() - began) * 1000)
        answer = dnsmsg.decode(octets)
        same(f"{name} {rrtype}", (answer.id, answer.rcode, bool(answer.answer)),
             (struct.unpack(">H", query[:2])[0], "NOERROR", True))
        if rrtype != "TYPE65300":
            return time.time() + min(record.ttl for record in answer.answer), None
        found = [verdicts.decode(one) for one in kbv_decode.from_message(octets)]
        if "TEMPFAIL" in {row["status"] for row in found}:
            return None
        assert {row["status"] for row in found} <= {"PUBLISHED", "BOUND"}, f"{name}: {found}"
        return min(verdicts.epoch(row["not_after"]) for row in found), \
            sorted(row["issued"] for row in found)

    def warm(self):
        for question in self.questions:
            for _ in range(TRIES):
                self.known[question] = self._ask(*question)
                if self.known[question]:
                    break
                time.sleep(1)
        self.forget()

    def _once(self, question):
        before = self.known[question]
        try:
            now = self._ask(*question)
        except OSError:
            self.lost += 1
            return
        # Two seconds: a TTL is counted in whole ones, and the answer takes its time.
        if now and now[1] == before[1] and now[0] < before[0] + 2:
            self.hits += 1
        elif time.time() < before[0] - 2:  # it would have held
            self.misses.append(question)
        self.known[question] = now or before

    def _loop(self):
        """Each question once at least, however soon the flood is over."""
        for number, question in enumerate(itertools.cycle(self.questions)):
            if self._ending.wait(1 / OTHERS_PER_S) and number >= len(self.questions):
                return
            self._once(question)

    def beside(self, function):
        """Asks while function() runs; its result."""
        self.forget()
        self._ending.clear()
        failed = []

        def loop():
            try:
                self._loop()
            except AssertionError as error:
                failed.append(error)
        thread = threading.Thread(target=loop)
        thread.start()
        try:
            return function()
        finally:
            self._ending.set()
            thread.join()
            if failed:
                raise failed[0]

    def share(self):
        return self.hits / max(1, self.hits + len(self.misses) + self.lost)

    def row(self):
        at = sorted(self.ms) or [0]
        return f"the other client: {self.hits} from the cache, {len(self.misses)} not, " \
               f"{self.lost} lost, {self.again} asked again; ms {at[len(at) // 2]:.1f} (99 of 100 below " \
               f"{at[len(at) * 99 // 100]:.1f}, the last {at[-1]:.0f})"


def sanitized():
    """With AddressSanitizer: memory is its own, red zones and what it keeps of what was freed."""
    return "libasan" in subprocess.run(["ldd", str(programs.UNBOUND)], capture_output=True,
                                       text=True, check=True).stdout


class Flooded:
    def __init__(self, described, resolver):
        self.described, self.resolver = described, resolver
        self.other = Other(described)
        self.chains = chains.Chains(described)
        self.base = self.unflooded = None

    def statistics(self):
        done = subprocess.run([str(programs.CONTROL), "-c", str(self.resolver.conf),
                               "stats_noreset"], capture_output=True, text=True, check=True)
        return {key: float(value) for key, value in
                (line.split("=") for line in done.stdout.splitlines()) if re.match(r"[\d.]+$", value)}

    def resident(self):
        pages = Path(f"/proc/{self.resolver.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self):
        fields = Path(f"/proc/{self.resolver.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    # ---- without a flood

    def quiet(self):
        self.other.warm()
        # What each form takes once: threads' own buffers, servers, keys.
        for form, name in (("name", LITERAL), ("option", LITERAL),
                           ("joineui", crowd.UNREGISTERED), ("joineui", crowd.REGISTERED)):
            crowd.finished(crowd.start(form, name, questions=200, seed=99))
        self.other.beside(lambda: time.sleep(QUIET_S))
        self.base, self.unflooded = self.resident(), self.other.share()
        print(f"# no flood: RSS {self.base / MIB:.1f} MiB; {self.other.row()}", flush=True)
        same("answers from the cache without a flood", self.unflooded, 1.0)

    # ---- what came of a flood

    def bound(self):
        return self.base + (MSG_MIB + RRSET_MIB + KBV_MIB + KEY_MIB + NEG_MIB + INFRA_MIB +
                            PENDING_MIB) * MIB

    def spread(self):
        """What is in a cache is spread over its table: a question costs the same in a full one."""
        found = self.statistics()
        for cache in ("msg", "rrset", "infra"):
            longest = found.get(f"{cache}.cache.max_collisions", 0)
            assert longest <= COLLISIONS, f"{longest:.0f} entries of the {cache} cache in one place"

    def within_bounds(self, what, before):
        after, rss = self.statistics(), self.resident()
        def more(key):
            return after.get(key, 0) - before.get(key, 0)
        print(f"# {what}: {more('total.num.queries'):.0f} questions, "
              f"{more('total.num.cachehits'):.0f} from the cache, "
              f"{more('num.query.udpout'):.0f} upstream; RSS {rss / MIB:.1f} MiB "
              f"({(rss - self.base) / MIB:+.1f}); caches [MiB]: "
              + ", ".join(f"{name} {after.get('mem.' + key, 0) / MIB:.2f}" for name, key in
                          (("message", "cache.message"), ("rrset", "cache.rrset"),
                           ("kbv", "mod.kbv"), ("validator", "mod.validator"))))
        print(f"#   {self.other.row()}", flush=True)
        assert sanitized() or rss <= self.bound(), \
            f"RSS {rss / MIB:.1f} MiB, the bound is {self.bound() / MIB:.1f}"
        assert not self.other.lost, f"{self.other.lost} questions of the other client lost"
        same("the other client's share of answers from the cache", self.other.share(),
             self.unflooded)

    def flood(self, what, form, rrtype, names, questions, allowed):
        before, cpu = self.statistics(), self.cpu_s()
        found = self.other.beside(lambda: crowd.finished(crowd.start(
            form, *names, questions=questions, window=WINDOW, source=FLOODER, rrtype=rrtype)))
        print(f"# {what}: " + ", ".join(f"{key} {value}" for key, value in found.items())
              + f"; CPU {(self.cpu_s() - cpu) * 1e6 / questions:.0f} us a question")
        self.within_bounds(what, before)
        self.spread()
        if allowed != {"PUBLISHED"}:  # what anybody can make up takes no room from others
            grown = sum(self.statistics()[f"mem.cache.{cache}"] - before[f"mem.cache.{cache}"]
                        for cache in ("message", "rrset"))
            assert grown < questions * 10 + MIB / 4, f"{grown:.0f} octets more in the caches"
        other = {key for key in found if key.isupper()} - allowed - {"TEMPFAIL", "LIMIT"}
        assert not other, f"verdicts {sorted(other)}"
        assert found["answered"] >= questions * 0.9, f"hardly answered: {found}"

    # ---- certificates

    def _askers(self, seconds, ask):
        """Four clients at one address, each asking as fast as it is answered: how often what came."""
        counts, until, lock = {}, time.monotonic() + seconds, threading.Lock()

        def loop():
            while time.monotonic() < until:
                try:
                    status = verdicts.decode(ask())["status"]
                except (OSError, AssertionError):
                    status = "lost"
                with lock:
                    counts[status] = counts.get(status, 0) + 1
        threads = [threading.Thread(target=loop) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return counts

    def dear_chains(self):
        """One client asks for chains made to be dear, never the same twice."""
        before, ders = self.statistics(), dear.load()
        others = itertools.permutations([chains.made_up(n) for n in range(60)], 2)
        requests = [self.chains.request(more=[*ders, *pair]) for pair in
                    itertools.islice(others, 3000)]
        source = iter(itertools.cycle(requests))
        lock = threading.Lock()

        def ask():
            with lock:
                request = next(source)
            return wire.ask(dear.OWNER, "TYPE65300", request, source=FLOODER,
                            timeout_s=PATIENCE_S)
        found = self.other.beside(lambda: self._askers(CHAINS_S, ask))
        print(f"# dear chains by one client: {found}")
        self.within_bounds("dear chains", before)
        assert found.get("BOUND", 0) > 10 and set(found) <= {"BOUND", "REFUSED", "lost"}, found

    def malformed_certificates(self):
        """Certificates with octets changed, cut off, and none at all; as end entity and in chains."""
        before = self.statistics()
        leaf = self.chains.request("js1.next")[8:]  # behind the option's head and a length

        def ask():
            der = bytearray(leaf)
            for _ in range(random.randrange(1, 6)):
                der[random.randrange(len(der))] = random.randrange(256)
            der = bytes(der[:random.choice((len(der), random.randrange(1, len(der))))])
            if random.random() < 0.5:
                return wire.ask(CHAINED, "TYPE65300", self.chains.request(more=[der]),
                                source=FLOODER, timeout_s=PATIENCE_S)
            return wire.ask(LITERAL, "TLSA", struct.pack(">BBBBH", 0x11, 0, 4, 0, len(der)) + der,
                            source=FLOODER, timeout_s=PATIENCE_S, tcp=False)
        found = self.other.beside(lambda: self._askers(CHAINS_S, ask))
        print(f"# malformed certificates: {found}")
        self.within_bounds("malformed certificates", before)
        # A changed signature leaves the key what it was, and usage 3 asks for no more.
        assert found.get("BAD_INPUT", 0) > 100, found

    # ---- signatures

    def nonces(self):
        """One client wants nonces signed as fast as it can; another one, now and then. Of a resolver
        of its own: the others have no key."""
        with tempfile.TemporaryDirectory() as folder:
            key = signing.Key(Path(folder), "floods")
            limit = f"    kbv-chain-ratelimit: {NONCES_PER_S}"
            with Resolver(self.described, "nonces", [*PATIENT, *key.conf(limit)]):
                began = time.monotonic()
                flooded, beside = self._nonces(key)
                seconds = time.monotonic() - began
        print(f"# nonces: {flooded}; the other client: {beside}")
        assert set(flooded) <= {"BOUND", "REFUSED", "lost"} and flooded.get("REFUSED"), flooded
        assert flooded.get("BOUND", 0) <= NONCES_PER_S * (seconds + 2), flooded
        assert set(beside) == {"BOUND"}, f"the other client: {beside}"

    def _nonces(self, key):
        def ask(source):
            octets = wire.ask(LITERAL, "TYPE65300",
                              spec.request("spki-sha256", self.other.key, os.urandom(16), sign=True),
                              source=source, timeout_s=PATIENCE_S, tcp=False)
            status = verdicts.decode(octets)["status"]
            same(f"{status}: signed", key.signed(octets), status == "BOUND")
            return octets

        def now_and_then():
            while not over.wait(1):
                status = verdicts.decode(ask(OTHER))["status"]
                beside[status] = beside.get(status, 0) + 1
        beside, over = {}, threading.Event()
        ask(OTHER)  # what it rests on is not asked for in a hurry
        thread = threading.Thread(target=now_and_then)
        thread.start()
        try:
            return self._askers(NONCES_S, lambda: ask(FLOODER)), beside
        finally:
            over.set()
            thread.join()

    # ---- clients that do not get on

    def slow_clients(self):
        """Connections that get one octet of a question now and then."""
        before = self.statistics()
        message = dnsmsg.encode_query(LITERAL, "TYPE65300")
        message = struct.pack(">H", len(message)) + message
        answered = []

        def connect():
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.settimeout(1)
            sock.bind((SLOW, 0))
            sock.connect(("127.0.0.1", 53))
            return [sock, 0]

        def trickle():
            connections, until = [connect() for _ in range(SLOW_CLIENTS)], \
                time.monotonic() + SLOW_S
            while time.monotonic() < until:
                for entry in connections:
                    try:
                        entry[0].send(message[entry[1]:entry[1] + 1])
                        entry[1] = min(entry[1] + 1, len(message) - 2)
                    except OSError:  # closed on us: once more
                        entry[0].close()
                        entry[:] = connect()
                try:
                    wire.ask(LITERAL, "TLSA", spec.request(), source=OTHER, timeout_s=3)
                    answered.append(True)
                except (OSError, AssertionError):
                    answered.append(False)
                time.sleep(0.1)
            for sock, _ in connections:
                sock.close()
        self.other.beside(trickle)
        print(f"# slow TCP clients: of {len(answered)} questions of others over TCP "
              f"{sum(answered)} were answered at the first try")
        self.within_bounds("slow TCP clients", before)
        assert any(answered), "nobody else was answered over TCP"


def main(names):
    suite = tap.Suite("floods")
    described = programs.world()
    os.environ |= ARENAS
    with Resolver(described, "floods", extra=SETTINGS) as resolver:
        flooded = Flooded(described, resolver)
        suite.test("another client, before the floods", flooded.quiet)
        if suite.failed:
            suite.finish()
        for share, what, form, rrtype, asked, allowed in [
                (5, "digests in names", "name", "TYPE65300", [LITERAL, CHAINED],
                 {"NOT_BOUND", "UNDECIDED"}),
                (3, "digests in options", "option", "TYPE65300", [LITERAL], {"NOT_BOUND"}),
                (2, "digests in options on TLSA", "option", "TLSA", [LITERAL], {"NOT_BOUND"}),
                (8, "JoinEUIs that nobody registered", "joineui", "TYPE65300",
                 [crowd.UNREGISTERED], {"NO_BINDING"}),
                (2, "JoinEUIs registered by a wildcard", "joineui", "TYPE65300",
                 [crowd.REGISTERED], {"PUBLISHED"})]:
            number = names * share // 10
            suite.test(f"{number} {what}", flooded.flood, what, form, rrtype, asked, number,
                       allowed)
        for what, function in [("chains made to be dear", flooded.dear_chains),
                               ("malformed certificates", flooded.malformed_certificates),
                               ("slow TCP clients", flooded.slow_clients)]:
            suite.test(what, function)
        suite.test("the resolver ends in good order", resolver.end)
    suite.test("nonces to be signed", flooded.nonces)
    suite.finish()
