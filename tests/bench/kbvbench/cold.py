# SPDX-License-Identifier: BSD-3-Clause
"""Questions that the resolver has to go out for: the time until the asker knows everything, and the
queries sent upstream for it.

With the module the asker puts one question, and asks for the first join server's addresses then.
Without, it has to find its way itself: NAPTR, SRV, then TLSA and addresses of every server, each
step's questions at once.
"""

import socket
import time
from dataclasses import dataclass

from kbvworld import capture, dnsmsg, resolver

from . import figures, names


@dataclass
class Way:
    """How a resolver is set up and asked."""
    name: str
    about: str
    with_module: bool
    extra: tuple = ()


WAYS = (
    Way("module", "module: one question", True),
    Way("minimising", "the same, kbv-qname-minimisation: yes", True,
        ("kbv:", "    kbv-qname-minimisation: yes")),
    Way("stock", "stock Unbound, asker does discovery", False),
)


def addresses(host):
    return [(host, "A"), (host, "AAAA")]


def server(host, port):
    return [(f"_{port}._tcp.{host}", "TLSA"), *addresses(host)]


@dataclass
class Kind:
    """Identifiers of one kind, and what one costs either asker: steps of questions."""
    name: str
    about: str
    joineui: object  # from a number to a name
    stock: object    # from that name and number to the steps without the module
    host: object     # from the number to the host whose addresses are asked in the end, or to None

    def steps(self, n, with_module):
        name = self.joineui(n)
        if not with_module:
            return self.stock(name, n)
        host = self.host(n)
        return [[(name, "TYPE65300")]] + ([addresses(host)] if host else [])


KINDS = (
    Kind("service", "JoinEUI, SRV with two servers", names.by_service,
         lambda name, n: [[(name, "NAPTR")], [(names.SERVICE, "SRV")],
                          [question for host, port in names.SERVERS
                           for question in server(host, port)]],
         lambda n: names.SERVERS[0][0]),
    Kind("host", "JoinEUI, host of its own", names.by_host,
         lambda name, n: [[(name, "NAPTR")], server(names.host(n), 443)],
         names.host),
    Kind("alias", "JoinEUI, alias to a server", names.by_alias,
         lambda name, n: [[(name, "NAPTR")], addresses(name),
                          [(f"_443._tcp.{names.ALIASED}", "TLSA")]],
         lambda n: names.ALIASED),
    Kind("unregistered", "JoinEUI that nobody registered", names.unregistered,
         lambda name, n: [[(name, "NAPTR")]],
         lambda n: None),
)


def ask_all(port, questions, timeout_s=20):
    """Asks a resolver all of them at once; returns when every answer is there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect(("127.0.0.1", port))
        waiting = {}
        for name, rrtype in questions:
            query = dnsmsg.encode_query(name, rrtype)
            waiting[query[:2]] = (name, rrtype)
            sock.send(query)
        while waiting:
            octets = sock.recv(65535)
            if octets[:2] not in waiting:
                continue
            name, rrtype = waiting.pop(octets[:2])
            reply = dnsmsg.decode(octets)
            if reply.rcode not in ("NOERROR", "NXDOMAIN"):
                raise RuntimeError(f"{name} {rrtype}: {reply.rcode}")


def timed(port, steps):
    """Goes through the steps; milliseconds."""
    started = time.perf_counter()
    for questions in steps:
        ask_all(port, questions)
    return (time.perf_counter() - started) * 1000


class Measured:
    """The samples of one kind by one way."""

    def __init__(self, kind, way, known):
        self.kind, self.way, self.known = kind, way, known
        self.ms, self.upstream = [], []

    def batch(self, world, port, numbers):
        """Asks for some identifiers and counts what went upstream meanwhile."""
        since = capture.position(world["capture"])
        self.ms += [timed(port, self.kind.steps(n, self.way.with_module)) for n in numbers]
        sent = sum(1 for _ in capture.queries(world["capture"], since))
        self.upstream.append(sent / len(numbers))


def measure(world, binaries, port, samples, restarts, progress):
    """All kinds by all ways; once with the operator known to the resolver, once with nothing."""
    results = []
    for way in WAYS:
        binary = binaries["module" if way.with_module else "stock"]
        def start(way=way, binary=binary):
            return resolver.Resolver(world, binary, f"cold-{way.name}", way.with_module, port,
                                     way.extra)
        with start():
            for kind in KINDS:
                known = Measured(kind, way, True)
                timed(port, kind.steps(0, way.with_module))
                known.batch(world, port, range(1, samples + 1))
                results.append(known)
        for kind in KINDS:
            unknown = Measured(kind, way, False)
            for n in range(restarts):
                with start():
                    unknown.batch(world, port, [n])
            results.append(unknown)
        progress(f"cold identifiers: {way.about}")
    return results


def report(results):
    """The table, and the same as objects for JSON."""
    rows, objects = [], []
    for known in (True, False):
        for kind in KINDS:
            for result in results:
                if result.kind is not kind or result.known != known:
                    continue
                ms = figures.spread(result.ms)
                upstream = sum(result.upstream) / len(result.upstream)
                rows.append([kind.about if result.way is WAYS[0] else "", result.way.about,
                             "registry and operator" if known else "nothing",
                             figures.text(ms, 2), f"{upstream:.1f}"])
                objects.append({"kind": kind.name, "way": result.way.name,
                                "cached": "zones" if known else "nothing", "ms": ms,
                                "upstream": upstream, "samples": len(result.ms)})
    head = ["cold identifier", "asked by way of", "known before", "ms", "upstream queries"]
    return figures.table(head, rows), objects
