# SPDX-License-Identifier: BSD-3-Clause
"""How large a reply a small datagram brings: every status, in every form, whatever the client says
it can take, beside what Unbound sends for its own records."""

import itertools
import random
import socket
import struct
from dataclasses import dataclass, field

from kbvtest import programs, spec, tap, verdicts, wire
from kbvtest.resolver import PATIENT, Resolver
from kbvtest.tap import same
from kbvtest.verdicts import kbv_decode
from kbvworld import capture, dnsmsg

FAR = capture.SERVICE[0]            # to ask there is to ask from there: not loopback
UDP_MAX = 1232                      # octets of a reply, whatever size the client offers
LOCAL = "_443._tcp.local.op-v.example."
SIZES = (None, 0, 512, 1232, 4096, 65535)  # of the client's EDNS; None: it has none
SETTINGS = [(size, dnssec) for size in SIZES for dnssec in (False, True) if size is not None or
            not dnssec]
OPTION = 65100
# With the option the answer would not fit; nor without it.
LARGE = ("_443._tcp.many21.op-v.example.", "_443._tcp.many30.op-v.example.")
OWN_TYPES = ("TLSA", "TXT", "ANY", "DNSKEY", "NAPTR", "SRV", "SOA", "NS", "A", "DS")
NEVER = {"NONE"}


@dataclass
class Most:
    """The worst of some replies."""
    replies: int = 0
    octets: int = 0
    ratio: float = 0.0
    truncated: int = 0
    forms: set = field(default_factory=set)

    def add(self, form, query, reply):
        self.replies += 1
        self.truncated += bool(reply[2] & 2)
        self.octets = max(self.octets, len(reply))
        self.ratio = max(self.ratio, len(reply) / len(query))
        self.forms.add(form)


def limit_of(size):
    """What a reply may have: RFC 6891 section 6.2.3, and Unbound's max-udp-size."""
    return 512 if size is None else min(max(size, 512), UDP_MAX)


def question(name, rrtype, size, dnssec, options=()):
    octets = b"".join(struct.pack(">HH", OPTION, len(data)) + data for data in options)
    opt = b"" if size is None else b"\0" + struct.pack(
        ">HHIH", dnsmsg.TYPES["OPT"], size, 0x8000 if dnssec else 0, len(octets)) + octets
    return struct.pack(">6H", random.getrandbits(16), 0x0100, 1, 0, 0, bool(opt)) + \
        dnsmsg.encode_name(name) + struct.pack(">2H", dnsmsg.TYPES[rrtype], 1) + opt


def exchange(query):
    """The one reply. A busy machine may drop a datagram: asked again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((FAR, 53))
        for _ in range(8):
            sock.send(query)
            try:
                reply = sock.recv(65535)
                same("id", reply[:2], query[:2])
                return reply
            except TimeoutError:
                pass
    raise AssertionError("no reply")


def statuses(reply, keyed):
    """Of the verdicts in a reply, as names; of the option alone where one was sent."""
    found = kbv_decode.from_message(reply)
    if keyed and found:
        found = found[-1:]
    return {verdicts.decode(octets)["status"] for octets in found}


def text_statuses(reply):
    try:
        answer = dnsmsg.decode(reply).answer
    except ValueError:  # cut off in the middle of it
        return set()
    return {item.decode().removeprefix("status=") for record in answer if record.rrtype == "TXT"
            for item in _strings(record.data) if item.startswith(b"status=")}


def _strings(data):
    while data:
        yield data[1:1 + data[0]]
        data = data[1 + data[0]:]


class Amplification:
    def __init__(self, described):
        self.world = verdicts.World(described)
        self.cases = [case for case in self.world.cases.values() if not case["slow"]]
        self.ours, self.own = {}, {}        # by settings
        self.by_status = {}

    def _ours(self, form, name, rrtype, settings, options=()):
        query = question(name, rrtype, *settings, options)
        reply = exchange(query)
        size, _ = settings
        assert len(reply) <= limit_of(size), \
            f"{form} {name} {rrtype} {settings}: {len(reply)} octets"
        self.ours.setdefault(settings, Most()).add(form, query, reply)
        found = text_statuses(reply) if rrtype == "TXT" else statuses(reply, bool(options))
        for status in found:
            self.by_status.setdefault(status, Most()).add(form, query, reply)
        if options and (size or 0) >= UDP_MAX and not reply[2] & 2:
            same(f"options in the reply to {form} {name} {rrtype} {settings}",
                 len(wire.options(reply)), 1)
        if not found:
            assert reply[2] & 2 or size is None and options, \
                f"{form} {name} {rrtype} {settings}: neither verdict nor TC"
        return found

    def every_status(self):
        """All cases of the world as RR, TXT, digest name and option, and what is wrong in itself."""
        key = self.world.certs["js-v"]["spki-sha256"]
        keys = [self.world.certs[name]["spki-sha256"]
                for name in ("js-v", "js1.current", "other")]
        for case, settings in itertools.product(self.cases, SETTINGS):
            name = case["name"]
            self._ours("RR", name, "TYPE65300", settings)
            self._ours("TXT", f"_kbv.{name}", "TXT", settings)
            for digest in keys:
                asked = spec.digest_name("spki-sha256", digest, name)
                if len(asked) < 250:
                    self._ours("digest name", asked, "TYPE65300", settings)
                if settings[0] is not None:
                    self._ours("option", name, "TYPE65300", settings,
                               [spec.request("spki-sha256", digest)])
            if settings[0] is None:
                continue
            for rrtype in ("TYPE65300", "TLSA"):
                self._ours("option without key", name, rrtype, settings, [spec.request()])
                self._ours("nonce", name, rrtype, settings,
                           [spec.request("spki-sha256", key, bytes(16))])
        for settings in SETTINGS[1:]:
            self._ours("option on local data", LOCAL, "TLSA", settings, [spec.request()])
            for name, rrtype in itertools.product(LARGE, ("TYPE65300", "TLSA")):
                self._ours("option without key", name, rrtype, settings, [spec.request()])

    def malformed(self):
        """Malformed options, two of them, malformed digest names."""
        vectors = (programs.TREE / "tests/data/requests.txt").read_text().splitlines()
        wrong = [bytes.fromhex(octets[0]) if octets else b"" for word, _, *octets in
                 (line.split() for line in vectors if not line.startswith("#")) if word == "refuse"]
        wrong = [octets for octets in wrong if len(octets) < 4000]
        assert len(wrong) > 20, "no vectors"
        name = "_443._tcp.many21.op-v.example."
        for settings, rrtype in itertools.product(SETTINGS[1:], ("TYPE65300", "TLSA")):
            for octets in wrong:
                same("status", self._ours("malformed option", name, rrtype, settings, [octets]),
                     {"BAD_INPUT"})
            same("status of two", self._ours("two options", name, rrtype, settings,
                                             [spec.request()] * 2), {"BAD_INPUT"})
        for settings, front in itertools.product(SETTINGS, ("_kbv._kbv", "s00._kbv", "x._kbv")):
            self._ours("malformed name", f"{front}.{name}", "TYPE65300", settings)

    def all_there(self):
        missing = set(spec.STATUSES) - set(self.by_status) - NEVER
        assert not missing, f"no reply with {sorted(missing)}"
        for status, most in sorted(self.by_status.items()):
            print(f"# {status:14}{most.replies:6} replies, {most.octets:5} octets at most, "
                  f"{most.ratio:5.1f} times the question; {', '.join(sorted(most.forms))}")

    def no_more_than_unbound(self):
        """For each of the client's settings the worst of ours against the worst of Unbound's own
        records of the same zones and names."""
        names = {case["name"] for case in self.cases} | {zone for zone in self.world.zones}
        for settings, name, rrtype in itertools.product(SETTINGS, sorted(names), OWN_TYPES):
            zone = self.world.zone_of(name)
            if not zone["data"] or (rrtype in ("DNSKEY", "SOA", "NS", "DS") and
                                    name not in self.world.zones):
                continue
            query = question(name, rrtype, *settings)
            self.own.setdefault(settings, Most()).add(rrtype, query, exchange(query))
        for settings in SETTINGS:
            ours, own = self.ours[settings], self.own[settings]
            print(f"# EDNS size {settings[0]}, DO {int(settings[1])}: ours {ours.octets} octets, "
                  f"{ours.ratio:.1f} times the question, {ours.truncated} with TC; Unbound's own "
                  f"{own.octets} octets, {own.ratio:.1f} times, {own.truncated} with TC", flush=True)
            assert ours.ratio <= own.ratio, f"{settings}: {ours.ratio:.1f}, own {own.ratio:.1f}"


def main():
    suite = tap.Suite("amplification")
    described = programs.world()
    test = Amplification(described)
    local = ["server:", f"    local-zone: \"local.op-v.example.\" static",
             f"    local-data: \"{LOCAL} 300 IN TLSA 3 1 1 {'11' * 32}\""]
    with Resolver(described, extra=[*PATIENT, *local]):
        suite.test("no reply to a datagram is too large, in any form", test.every_status)
        suite.test("nor to one that is malformed", test.malformed)
        suite.test("every status was among them", test.all_there)
        suite.test("nor is one larger for its question than Unbound's own",
                   test.no_more_than_unbound)
    suite.finish()


main()
