# SPDX-License-Identifier: BSD-3-Clause
"""The authority, the two resolvers and their clients, in the network namespace of this process."""

import collections
import socket
import struct
import subprocess
import time

from . import pki, wire

AUTHORITIES = [f"127.1.{at}.1" for at in range(4)]
OURS, STOCK = ("127.0.0.1", 5301), ("127.0.0.1", 5302)
# Not on the resolver's own host, as far as it can tell: no loopback addresses.
OURS_FROM_AFAR, AFAR = ("192.0.2.53", 5301), ("192.0.2.7", 0)
READY_S, PATIENCE_S = 60, 20


def _nsd(folder, zones):
    lines = ["server:", *(f"    ip-address: {address}" for address in AUTHORITIES),
             "    server-count: 1", "    database: \"\"", "    username: \"\"", "    chroot: \"\"",
             f"    zonesdir: \"{folder}\"", f"    logfile: \"{folder}/nsd.log\"",
             f"    pidfile: \"{folder}/nsd.pid\"", f"    xfrdfile: \"{folder}/xfrd.state\"",
             f"    xfrdir: \"{folder}\"", f"    zonelistfile: \"{folder}/zone.list\"",
             "    rrl-ratelimit: 0", "    rrl-whitelist-ratelimit: 0", "    tcp-count: 200",
             "remote-control:", "    control-enable: no"]
    for zone, file in zones:
        lines += ["zone:", f"    name: \"{wire.text(zone.name)}\"", f"    zonefile: \"{file}\""]
    return lines, ["nsd", "-d", "-c"]


def _knot(folder, zones):
    lines = ["server:", f"    rundir: \"{folder}\"", "    udp-workers: 1", "    tcp-workers: 1",
             "    background-workers: 1",
             f"    listen: [ {', '.join(f'{address}@53' for address in AUTHORITIES)} ]",
             "database:", f"    storage: \"{folder}\"", "log:", "  - target: stderr",
             "    any: info", "template:", "  - id: default", "    semantic-checks: off",
             "    journal-content: none", "    zonefile-load: whole", "    zonefile-sync: -1",
             "zone:"]
    for zone, file in zones:
        lines += [f"  - domain: \"{wire.text(zone.name)}\"", f"    file: \"{file}\""]
    return lines, ["knotd", "-c"]


def unbound_conf(folder, port, hints, tree, kbv):
    """kbv: the lines of a clause of ours; None: a stock Unbound."""
    lines = ["server:",
             f"    module-config: \"{'' if kbv is None else 'kbv '}validator iterator\"",
             f"    directory: \"{folder}\"", "    chroot: \"\"", "    username: \"\"",
             "    pidfile: \"\"", f"    logfile: \"{folder}/unbound-{port}.log\"",
             "    use-syslog: no", "    do-daemonize: no", "    verbosity: 1", "    ede: yes",
             "    val-log-level: 2", f"    interface: 127.0.0.1@{port}",
             f"    interface: {OURS_FROM_AFAR[0]}@{port}", "    ip-freebind: yes",
             "    do-ip6: no", "    access-control: 0.0.0.0/0 allow",
             "    do-not-query-localhost: no", f"    root-hints: \"{hints}\"",
             f"    trust-anchor-file: \"{folder}/anchor\"",
             *(f"    domain-insecure: \"{wire.text(name)}\"" for name in tree.unchecked),
             "    trust-anchor-signaling: no", "    qname-minimisation: no",
             "    discard-timeout: 20000", "    msg-cache-size: 64m", "    rrset-cache-size: 64m",
             "    so-rcvbuf: 4m",
             # What a cached answer is worth is others' affair: here every TTL is the zone's.
             "    prefetch: no", "    infra-host-ttl: 5", "    infra-keep-probing: yes",
             "    infra-cache-max-rtt: 1000", "remote-control:", "    control-enable: no"]
    if kbv is not None:
        lines += ["kbv:", *kbv]
    return "\n".join(lines) + "\n"


def wait(address, qname, qtype, process, log):
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            reply = ask(address, qname, qtype, timeout=0.5)
            if reply.rcode == wire.NOERROR:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} does not answer: {log.read_text()[-3000:]}")


class Servers:
    """Everything that runs for one tree."""

    def __init__(self, tree, zones, folder, ours, stock):
        self.tree, self.zones, self.folder, self.binaries = tree, zones, folder, (ours, stock)
        self.processes = []

    def _start(self, words, name):
        log = self.folder / f"{name}.out"
        with open(log, "wb") as out:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.processes.append(process)
        return process, log

    def __enter__(self):
        try:
            return self._enter()
        except BaseException:
            self.__exit__()
            raise

    def _enter(self):
        folder, tree = self.folder, self.tree
        lines, words = (_nsd if tree.rng.random() < 0.5 else _knot)(folder, self.zones)
        (folder / "authority.conf").write_text("\n".join(lines) + "\n")
        self.authority = words[0]
        authority = self._start([*words, str(folder / "authority.conf")], words[0])
        hints = folder / "hints"
        hints.write_text(f". 3600 NS ns0.\nns0. 3600 A {tree.root.servers[0]}\n")
        (folder / "anchor").write_text("".join(
            f"{wire.text(zone.name)} 3600 IN TYPE43 \\# {len(ds)} {ds.hex()}\n"
            for zone in tree.anchored for ds in zone.anchors()))
        kbv = [f"    kbv-zone: \"{suffix.line()}\"" for suffix in tree.suffixes]
        kbv += [f"    kbv-require-secure: \"{name}\"" for name in tree.strict]
        kbv += ["    kbv-chain-ratelimit: 0", f"    kbv-security-level: {tree.level}"]
        kbv += [f"    kbv-literal: {'yes' if tree.literal else 'no'}",
                f"    kbv-txt: {'yes' if tree.txt else 'no'}"]
        if tree.bundle:
            kbv += [f"    kbv-ca-bundle: \"{folder}/bundle.pem\""]
        if tree.signer is not None:
            key = folder / "signer.pem"
            key.touch(mode=0o600)
            key.write_bytes(pki.private_pem(tree.signer))
            kbv += [f"    kbv-signing-key: \"{key}\"", f"    kbv-sign: {tree.sign}"]
        wait((tree.root.servers[0], 53), tree.root.name, wire.SOA, *authority)
        self.started = int(time.time())
        for binary, (_, port), clause in zip(self.binaries, (OURS, STOCK), (kbv, None)):
            conf = folder / f"unbound-{port}.conf"
            conf.write_text(unbound_conf(folder, port, hints, tree, clause))
            process = self._start([str(binary), "-d", "-c", str(conf)], f"unbound-{port}")
            wait(("127.0.0.1", port), tree.root.name, wire.SOA, *process)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        self.statuses = []
        for process in self.processes:
            try:
                self.statuses.append(process.wait(20))
            except subprocess.TimeoutExpired:
                process.kill()
                self.statuses.append(process.wait())

    def complaints(self):
        """What our Unbound says against itself."""
        text = "".join(file.read_text(errors="replace") for file in
                       (self.folder / "unbound-5301.out", self.folder / "unbound-5301.log")
                       if file.exists())
        return [line for line in text.splitlines() if any(
            word in line for word in ("runtime error:", "Sanitizer", "fatal error",
                                      "internal error", "assertion"))]


# --------------------------------------------------------------------------------------- clients

def tcp(address, question, timeout=PATIENCE_S, source=None):
    with socket.create_connection(address, timeout, source) as sock:
        sock.sendall(struct.pack(">H", len(question)) + question)
        data = b""
        while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
            more = sock.recv(65536)
            if not more:
                raise ConnectionError("closed")
            data += more
        return data[2:]


def ask(address, qname, qtype, timeout=PATIENCE_S, do=True):
    """One answer; over TCP where it is truncated."""
    question = wire.query(hash((qname, qtype)) & 0xFFFF, qname, qtype, do=do)
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        while True:
            sock.settimeout(max(0.01, min(5, deadline - time.monotonic())))
            try:
                sock.send(question)
                reply = wire.Message(sock.recv(65535))
                break
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise
    if reply.tc:
        reply = wire.Message(tcp(address, question))
    return reply


def burst(address, cases, source_address, window):
    """Puts many questions over UDP, some at a time. cases: (key, octets of the question without
    its identifier); yields (key, answer, when it was asked)."""
    waiting, free, source, done = {}, collections.deque(range(1, 65536)), iter(cases), False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if source_address:
            sock.bind(source_address)
        sock.connect(address)
        sock.settimeout(3)
        while True:
            while not done and len(waiting) < window:
                case = next(source, None)
                if case is None:
                    done = True
                    break
                ident = free.popleft()
                waiting[ident] = (case, time.time(), 0)
                sock.send(struct.pack(">H", ident) + case[1][2:])
            if not waiting:
                return
            try:
                octets = sock.recv(65535)
            except TimeoutError:
                for ident, (case, began, again) in waiting.items():
                    if again > 8:
                        raise
                    waiting[ident] = (case, began, again + 1)
                    sock.send(struct.pack(">H", ident) + case[1][2:])
                continue
            ident = int.from_bytes(octets[:2], "big")
            found = waiting.pop(ident, None)
            if found is None:
                continue  # the second answer to what was asked twice
            if not found[2]:
                free.append(ident)
            yield found[0][0], octets, found[1]
