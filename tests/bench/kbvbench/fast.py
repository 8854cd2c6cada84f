# SPDX-License-Identifier: BSD-3-Clause
"""Repeated questions: dnsperf against a stock Unbound and against one with the module.

Both resolvers run all the time, one thread each, pinned to one processor; dnsperf has another one.
In each round, a few seconds long, every case gets its run; the next round begins one case later. A
ratio is taken within a round, against the stock resolver's figure of the same round, so that what
else the machine does at the time falls on both. What a question costs the resolver is read from its
processor clock: that figure holds when the machine is busy, or when dnsperf is the slower one.
"""

import re
import secrets
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field

from kbvworld import dnsmsg

from . import figures, names

OPTION = 65100
BOUND, NOT_BOUND, PUBLISHED = 1, 2, 6
VERDICT = 0x12
RUN = 20480     # questions of one run
DIGESTS = 4096  # different ones, for the names that are bound to nothing


@dataclass
class Case:
    name: str
    about: str
    resolver: str           # "stock", "module", or "signing": the module with a key
    questions: list         # (name, type)
    baseline: str = None    # the case of the stock resolver that it is compared with
    aim: float = None       # the ratio to reach
    option: str = None      # hex
    status: int = None      # of the verdict that must come
    qps: list = field(default_factory=list)     # answers a second, one figure a round
    cpu_us: list = field(default_factory=list)  # the resolver's time for one answer
    busy: list = field(default_factory=list)    # the share of the time that the resolver worked
    size: int = 0                               # octets of an answer


def digest_label(digest):
    """`s` and the digest in base32hex (RFC 4648 section 7), without padding."""
    alphabet = "0123456789abcdefghijklmnopqrstuv"
    bits = int.from_bytes(digest, "big") << 4
    return "s" + "".join(alphabet[bits >> 5 * n & 31] for n in reversed(range(52)))


def cases(world):
    key = bytes.fromhex(world["certs"][names.KEY]["spki_sha256"])
    option = (b"\x11\x00\x01\x00\x00\x20" + key).hex()
    signed = (b"\x11\x01\x01\x00\x00\x20" + key).hex()
    nonce = (b"\x11\x01\x01\x08NONCE---\x00\x20" + key).hex()
    some = range(names.N)
    owners = [names.owner(n) for n in some]
    def ask(asked, rrtype):
        return [(name, rrtype) for name in asked]
    bound = [f"{digest_label(key)}._kbv.{owner}" for owner in owners]
    others = [f"{digest_label(secrets.token_bytes(32))}._kbv.{owners[n % names.N]}"
              for n in range(DIGESTS)]
    hosts = ask([names.host(n) for n in some], "A")
    tlsa, verdict = ask(owners, "TLSA"), ask(owners, "TYPE65300")
    by_service = ask([names.by_service(n) for n in some], "TYPE65300")
    by_host = ask([names.by_host(n) for n in some], "TYPE65300")
    tlsa_by_host = ask([names.by_host(n) for n in some], "TLSA")
    return [
        Case("stock-tlsa", "TLSA, stock Unbound", "stock", tlsa),
        Case("stock-joineui", "TLSA at a JoinEUI's name, stock Unbound", "stock", tlsa_by_host),
        Case("stock-a", "A, stock Unbound", "stock", hosts),
        Case("tlsa", "TLSA, module loaded", "module", tlsa, "stock-tlsa", 0.98),
        Case("a", "A, module loaded", "module", hosts, "stock-a", 0.98),
        Case("rr-literal", "RR, literal owner", "module", verdict, "stock-tlsa", 1.0,
             status=PUBLISHED),
        Case("rr-host", "RR, JoinEUI with 1 endpoint", "module", by_host, "stock-joineui",
             1.0, status=PUBLISHED),
        Case("rr-service", "RR, JoinEUI with 2 endpoints", "module", by_service,
             "stock-joineui", 1.0, status=PUBLISHED),
        Case("option-rr", "option on an RR query, literal owner", "module", verdict, "stock-tlsa",
             0.9, option, BOUND),
        Case("option-host", "option on an RR query, JoinEUI, 1 endpoint", "module", by_host,
             "stock-joineui", 0.9, option, BOUND),
        Case("option-service", "option on an RR query, JoinEUI, 2 endpoints", "module", by_service,
             "stock-joineui", 0.9, option, BOUND),
        Case("option-tlsa", "option on a TLSA query", "module", tlsa, "stock-tlsa", 0.9, option,
             BOUND),
        Case("name-bound", "digest in the name, BOUND", "module", ask(bound, "TYPE65300"),
             "stock-tlsa", status=BOUND),
        Case("name-other", "digest in the name, NOT_BOUND, each a new one", "module",
             ask(others, "TYPE65300"), "stock-tlsa", status=NOT_BOUND),
        Case("signed-rr", "signed: RR, literal owner", "signing", verdict, "stock-tlsa", 1.0,
             status=PUBLISHED),
        Case("signed-option", "signed: option on an RR query, asked before", "signing", verdict,
             "stock-tlsa", 0.9, signed, BOUND),
        Case("signed-tlsa", "signed: option on a TLSA query, asked before", "signing", tlsa,
             "stock-tlsa", 0.9, signed, BOUND),
        Case("signed-name-other", "signed: digest in the name, NOT_BOUND, asked before", "signing",
             ask(others, "TYPE65300"), "stock-tlsa", status=NOT_BOUND),
        Case("signed-nonce", "signed: option with a nonce, each afresh", "signing", verdict,
             "stock-tlsa", option=nonce, status=BOUND),
    ]


def _options(message):
    """The EDNS options of a reply whose last record is OPT, as ours and Unbound's are."""
    at = message.rfind(b"\0\0\x29")  # root, OPT
    data, found = message[at + 11:], {}
    while len(data) >= 4:
        code, length = struct.unpack_from(">HH", data)
        found[code], data = data[4:4 + length], data[4 + length:]
    return found


def check(case, port):
    """A case that does not get the answers it is about measures nothing: RuntimeError."""
    name, rrtype = case.questions[0]
    query = dnsmsg.encode_query(name, rrtype)
    if case.option:
        option = bytes.fromhex(case.option)
        query = query[:-2] + struct.pack(">HHH", len(option) + 4, OPTION, len(option)) + option
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(20)
        sock.connect(("127.0.0.1", port))
        sock.send(query)
        octets = sock.recv(65535)
    reply = dnsmsg.decode(octets)
    verdicts = [record.data for record in reply.answer if record.rrtype == "TYPE65300"]
    if case.option:
        verdicts = [_options(octets).get(OPTION, b"")]
    got = {(data[0], data[1]) for data in verdicts if len(data) > 1}
    if reply.rcode != "NOERROR" or not reply.answer or reply.tc or \
            (case.status is not None and got != {(VERDICT, case.status)}):
        raise RuntimeError(f"{case.name}: {name} {rrtype} is answered by {reply.rcode}, "
                           f"{len(reply.answer)} records, verdicts {got}")


def _number(pattern, output):
    match = re.search(pattern, output)
    return float(match[1]) if match else 0.0


def dnsperf(case, file, port, processor, *limit):
    """One run; answers a second, how many, octets of an answer."""
    command = ["taskset", "-c", str(processor), "dnsperf", "-s", "127.0.0.1", "-p", str(port),
               "-d", str(file), *limit]
    command += ["-E", f"{OPTION}:{case.option}"] if case.option else ["-e"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = _number(r"Queries completed:\s+(\d+)", done.stdout)
    good = _number(r"NOERROR (\d+)", done.stdout)
    if not answers or good < answers:
        raise RuntimeError(f"{case.name}: {answers:.0f} answers, {good:.0f} of them NOERROR:\n"
                           f"{done.stdout[-1500:]}{done.stderr[-500:]}")
    return _number(r"Queries per second:\s+([\d.]+)", done.stdout), answers, \
        _number(r"response (\d+)", done.stdout)


def cpu_ns(pid):
    """The processor time of a process so far (the clock of clock_getcpuclockid(3))."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def measure(world, folder, resolvers, processor, rounds, progress):
    """Runs all rounds. resolvers: {"stock": …, "module": …, "signing": …}, running."""
    measured = cases(world)
    files = {}
    for case in measured:
        files[case.name] = folder / f"{case.name}.txt"
        files[case.name].write_text("".join(f"{name} {rrtype}\n" for name, rrtype in case.questions))
    for case in measured:
        resolver = resolvers[case.resolver]
        check(case, resolver.port)
        dnsperf(case, files[case.name], resolver.port, processor, "-n", "1", "-t", "20", "-q", "20")
    for number in range(rounds):
        shift = number % len(measured)
        for case in measured[shift:] + measured[:shift]:
            resolver = resolvers[case.resolver]
            before, started = cpu_ns(resolver.process.pid), time.monotonic_ns()
            qps, answers, size = dnsperf(case, files[case.name], resolver.port, processor, "-n",
                                         str(RUN // len(case.questions)))
            used = cpu_ns(resolver.process.pid) - before
            case.qps.append(qps)
            case.cpu_us.append(used / answers / 1000)
            case.busy.append(used / (time.monotonic_ns() - started))
            case.size = int(size)
        progress(f"round {number + 1} of {rounds}")
    return measured


def ratios(case, baseline):
    """Of one case to its baseline, quartiles: of the answers a second, and of the processor time,
    both such that more is better."""
    return (figures.spread([a / b for a, b in zip(case.qps, baseline.qps)]),
            figures.spread([b / a for a, b in zip(case.cpu_us, baseline.cpu_us)]))


def report(measured):
    """The table, and the same as objects for JSON."""
    by_name = {case.name: case for case in measured}
    rows, objects = [], []
    for case in measured:
        qps, cpu = figures.spread(case.qps), figures.spread(case.cpu_us)
        row = [case.about, str(case.size), f"{qps[1] / 1000:.1f}", f"{cpu[1]:.2f}"]
        found = {"name": case.name, "about": case.about, "octets": case.size, "qps": qps,
                 "cpu_us": cpu, "busy": figures.spread(case.busy), "baseline": case.baseline,
                 "aim": case.aim}
        if case.baseline:
            by_qps, by_cpu = ratios(case, by_name[case.baseline])
            row += [figures.text(by_qps, 2), figures.text(by_cpu, 2),
                    f"{case.aim:.2f}" if case.aim else ""]
            found |= {"ratio": by_qps, "ratio_cpu": by_cpu}
        rows.append(row + [""] * (7 - len(row)))
        objects.append(found)
    head = ["question, answered from the cache", "octets", "k/s", "us CPU", "x stock, answers/s",
            "x stock, CPU", "aim"]
    return figures.table(head, rows), objects
