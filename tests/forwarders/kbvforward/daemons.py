# SPDX-License-Identifier: BSD-3-Clause
"""The forwarders: Debian's programs, as their users set them up, each on an address of its own."""

import contextlib
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from kbvtest import programs
from kbvworld import capture, dnsmsg

from . import tree

UPSTREAM, _ = capture.SERVICE  # as a resolver on another machine: not loopback
TLS_PORT = 853
READY_S = 60

# Unpacked by `packages` and laid over /usr, where each daemon looks for what is its own.
PACKAGES = ["bind9", "dnsdist", "dnsmasq-base", "knot-resolver", "pdns-recursor", "stubby",
            "systemd-resolved", "unbound"]


@dataclass(frozen=True)
class Place:
    """What a configuration refers to."""
    folder: Path
    address: str
    anchor: str  # "TAG ALGORITHM DIGESTTYPE DIGEST" of the world's root
    anchor_file: str
    pin: str     # of the resolver's TLS key, in base64


def _dnsmasq(*lines):
    def make(place):
        (place.folder / "conf").write_text("\n".join([
            "port=53", f"listen-address={place.address}", "bind-interfaces", "no-resolv",
            "no-hosts", "user=root", "pid-file", "cache-size=5000",
            f"server={UPSTREAM}",
            *(line.format(anchor=place.anchor.replace(" ", ",")) for line in lines)]) + "\n")
        # It insists on changing its group, unless it is debugged; in a user namespace it cannot.
        alone = Path("/proc/self/setgroups").read_text() == "deny\n"
        return ["/usr/sbin/dnsmasq", "--no-daemon" if alone else "--keep-in-foreground",
                f"--conf-file={place.folder}/conf", "--log-facility=-"]
    return make


def _dnsdist(cache=None, server="", *lines, health="up"):
    def make(place):
        (place.folder / "conf").write_text("\n".join([
            f"setLocal('{place.address}:53')", "setACL({'0.0.0.0/0'})", "setSecurityPollSuffix('')",
            "setUDPTimeout(9)",
            f"newServer({{address='{UPSTREAM}:53', healthCheckMode='{health}'{server}}})",
            *([f"getPool(''):setCache(newPacketCache(10000, {{{cache}}}))"] * (cache is not None)),
            *lines]) + "\n")
        return ["/usr/bin/dnsdist", "--supervised", "--disable-syslog", "-C",
                f"{place.folder}/conf"]
    return make


def _resolved(*lines, listener=None):
    def make(place):
        # It reads from fixed places, and becomes a user that only an installed package makes.
        run = place.folder / "run/systemd"
        (run / "resolved.conf.d").mkdir(parents=True)
        (run / "resolve").mkdir()
        (run / "resolved.conf.d/kbv.conf").write_text("\n".join([
            "[Resolve]", f"DNS={UPSTREAM}", "FallbackDNS=", "Domains=~.", "LLMNR=no",
            "MulticastDNS=no", "ReadEtcHosts=no", *lines,
            *(listener or ["DNSStubListener=no", f"DNSStubListenerExtra={place.address}"])]) + "\n")
        (place.folder / "run/dnssec-trust-anchors.d").mkdir()
        (place.folder / "run/dnssec-trust-anchors.d/root.positive").write_text(
            f". IN DS {place.anchor}\n")
        (place.folder / "passwd").write_text(Path("/etc/passwd").read_text() +
                                             "systemd-resolve:x:0:0::/:/usr/sbin/nologin\n")
        mounts = f"mount --bind {place.folder}/run /run && " \
                 f"mount --bind {place.folder}/passwd /etc/passwd && exec \"$0\""
        return ["/bin/sh", "-c", mounts, "/usr/lib/systemd/systemd-resolved"]
    return make


def _unbound(modules, *lines, ours=False):
    def make(place):
        (place.folder / "conf").write_text("\n".join([
            "server:", f"    module-config: \"{modules}\"", f"    interface: {place.address}",
            "    access-control: 0.0.0.0/0 allow", f"    directory: \"{place.folder}\"",
            "    username: \"\"", "    chroot: \"\"", "    pidfile: \"\"", "    use-syslog: no",
            "    do-daemonize: no", "    trust-anchor-signaling: no",
            *([f"    trust-anchor-file: \"{place.anchor_file}\""] * ("validator" in modules)),
            "remote-control:", "    control-enable: no",
            "forward-zone:", "    name: \".\"", f"    forward-addr: {UPSTREAM}",
            *(line.format(folder=place.folder) for line in lines)]) + "\n")
        # Debian's is built without cachedb.
        return [str(programs.UNBOUND) if ours else "/usr/sbin/unbound", "-d", "-c",
                f"{place.folder}/conf"]
    return make


def _kresd(policy, *lines):
    def make(place):
        (place.folder / "conf").write_text("\n".join([
            f"net.listen('{place.address}', 53, {{kind = 'dns'}})", "cache.size = 10 * MB",
            "modules.unload('priming')", "modules.unload('ta_update')",
            "modules.unload('ta_signal_query')", "modules.unload('detect_time_skew')",
            "trust_anchors.remove('.')", f"trust_anchors.add('. IN DS {place.anchor}')",
            f"policy.add(policy.all(policy.{policy}('{UPSTREAM}')))", *lines]) + "\n")
        return ["/usr/sbin/kresd", "-n", "-c", f"{place.folder}/conf", str(place.folder)]
    return make


def _named(validation, *lines):
    def make(place):
        tag, algorithm, kind, digest = place.anchor.split()
        anchor = f"trust-anchors {{ . static-ds {tag} {algorithm} {kind} \"{digest}\"; }};" \
            if validation == "yes" else ""
        (place.folder / "conf").write_text("\n".join([
            "options {", f"    directory \"{place.folder}\"; pid-file none; session-keyfile none;",
            f"    listen-on {{ {place.address}; }}; listen-on-v6 {{ none; }};",
            f"    forward only; forwarders {{ {UPSTREAM}; }};",
            "    allow-query { any; }; max-cache-size 20m;",
            f"    dnssec-validation {validation};", *lines, "};", "controls { };", anchor]) + "\n")
        return ["/usr/sbin/named", "-g", "-n", "1", "-c", f"{place.folder}/conf"]
    return make


def _recursor(dnssec, *lines):
    def make(place):
        (place.folder / "lua").write_text(f"clearTA()\naddTA('.', '{place.anchor}')\n")
        (place.folder / "recursor.conf").write_text("\n".join([
            f"local-address={place.address}", "local-port=53", f"socket-dir={place.folder}",
            f"forward-zones-recurse=.={UPSTREAM}", f"dnssec={dnssec}", "allow-from=0.0.0.0/0",
            "dont-query=", "network-timeout=9000", "security-poll-suffix=", "threads=1",
            "pdns-distributes-queries=no", "hint-file=no", f"lua-config-file={place.folder}/lua", *lines]) + "\n")
        return ["/usr/sbin/pdns_recursor", f"--config-dir={place.folder}", "--daemon=no",
                "--write-pid=no", "--disable-syslog"]
    return make


def _stubby(place):
    (place.folder / "stubby.yml").write_text("\n".join([
        "resolution_type: GETDNS_RESOLUTION_STUB",
        "dns_transport_list:", "  - GETDNS_TRANSPORT_TLS",
        "tls_authentication: GETDNS_AUTHENTICATION_REQUIRED",
        "tls_query_padding_blocksize: 128", "edns_client_subnet_private: 1",
        "round_robin_upstreams: 0", "idle_timeout: 10000", "listen_addresses:",
        f"  - {place.address}", "upstream_recursive_servers:", f"  - address_data: {UPSTREAM}",
        f"    tls_port: {TLS_PORT}", "    tls_pubkey_pinset:", "      - digest: \"sha256\"",
        f"        value: {place.pin}"]) + "\n")
    return ["/usr/bin/stubby", "-C", f"{place.folder}/stubby.yml"]


REDIS = "{folder}/../redis.socket"

# name (as in the table): the program that its version is asked of, configuration, address if fixed.
FORWARDERS = {
    "nothing": (None, None, "127.0.0.1"),
    "dnsmasq": ("dnsmasq", _dnsmasq(), None),
    "dnsmasq, `cache-rr=ANY`": ("dnsmasq", _dnsmasq("cache-rr=ANY"), None),
    "dnsmasq, `add-subnet=32,128`": ("dnsmasq", _dnsmasq("add-subnet=32,128"), None),
    "dnsmasq, `dnssec`": ("dnsmasq", _dnsmasq("dnssec", "trust-anchor=.,{anchor}"), None),
    "dnsdist": ("dnsdist", _dnsdist(), None),
    "dnsdist, packet cache": ("dnsdist", _dnsdist(""), None),
    "dnsdist, packet cache, `cookieHashing`, ECS": (
        "dnsdist", _dnsdist("cookieHashing=true, parseECS=true", ", useClientSubnet=true"), None),
    "dnsdist, packet cache, `skipOptions={65100}`": (
        "dnsdist", _dnsdist("skipOptions={65100}"), None),
    "systemd-resolved, 127.0.0.53": (
        "resolved", _resolved("DNSSEC=no", listener=["DNSStubListener=yes"]), "127.0.0.53"),
    "systemd-resolved, 127.0.0.54": ("resolved", "systemd-resolved, 127.0.0.53", "127.0.0.54"),
    "systemd-resolved, `DNSSEC=yes`": ("resolved", _resolved("DNSSEC=yes"), None),
    "Unbound, `iterator`": ("unbound", _unbound("iterator"), None),
    "Unbound, `validator iterator`": ("unbound", _unbound("validator iterator"), None),
    "Unbound, `subnetcache validator iterator`": (
        "unbound", _unbound("subnetcache validator iterator", "server:",
                            f"    send-client-subnet: {UPSTREAM}",
                            "    client-subnet-always-forward: yes"), None),
    "Unbound, `cachedb iterator`": (
        "ours", _unbound("cachedb iterator", "cachedb:", "    backend: redis",
                         f"    redis-server-path: \"{REDIS}\"", ours=True), None),
    "Knot Resolver, `policy.STUB`": ("kresd", _kresd("STUB"), None),
    "Knot Resolver, `policy.FORWARD`": ("kresd", _kresd("FORWARD"), None),
    "BIND, `dnssec-validation no`": ("named", _named("no"), None),
    "BIND, `dnssec-validation yes`": ("named", _named("yes"), None),
    "PowerDNS Recursor, `dnssec=off`": ("recursor", _recursor("off"), None),
    "PowerDNS Recursor, `dnssec=process`": ("recursor", _recursor("process"), None),
    "PowerDNS Recursor, `dnssec=validate`": ("recursor", _recursor("validate"), None),
    "Stubby": ("stubby", _stubby, None),
}

# They give out what they have for longer than they were told to.
LATE = {
    "dnsmasq, `cache-rr=ANY`, `min-cache-ttl=60`": (
        "dnsmasq", _dnsmasq("cache-rr=ANY", "min-cache-ttl=60"), None),
    "dnsmasq, `cache-rr=ANY`, `use-stale-cache`": (
        "dnsmasq", _dnsmasq("cache-rr=ANY", "use-stale-cache"), None),
    "dnsdist, packet cache, `setStaleCacheEntriesTTL`": (
        "dnsdist", _dnsdist("keepStaleData=true", ", checkInterval=1, checkTimeout=500",
                            "setStaleCacheEntriesTTL(3600)", health="auto"), None),
    "Unbound, `cache-min-ttl: 60`": (
        "unbound", _unbound("iterator", "server:", "    cache-min-ttl: 60"), None),
    "Unbound, `serve-expired`": (
        "unbound", _unbound("iterator", "server:", "    serve-expired: yes"), None),
    "Knot Resolver, `cache.min_ttl(60)`": ("kresd", _kresd("STUB", "cache.min_ttl(60)"), None),
    "Knot Resolver, `serve_stale`": (
        "kresd", _kresd("STUB", "modules = { 'serve_stale < cache' }"), None),
    "BIND, `min-cache-ttl 60`": ("named", _named("no", "    min-cache-ttl 60;"), None),
    "BIND, `stale-answer-enable`": (
        "named", _named("no", "    stale-cache-enable yes; stale-answer-enable yes;",
                        "    stale-answer-client-timeout 0;"), None),
    "PowerDNS Recursor, `minimum-ttl-override=60`": (
        "recursor", _recursor("off", "minimum-ttl-override=60"), None),
}

# They know that the tree is signed and verdicts are not.
VALIDATING = {"dnsmasq, `dnssec`", "Unbound, `validator iterator`",
              "Unbound, `subnetcache validator iterator`", "Knot Resolver, `policy.FORWARD`",
              "BIND, `dnssec-validation yes`", "PowerDNS Recursor, `dnssec=validate`"}

VERSIONS = {
    "dnsmasq": ("dnsmasq", ["/usr/sbin/dnsmasq", "--version"]),
    "dnsdist": ("dnsdist", ["/usr/bin/dnsdist", "--version"]),
    "resolved": ("systemd-resolved", ["/usr/lib/systemd/systemd-resolved", "--version"]),
    "unbound": ("Unbound", ["/usr/sbin/unbound", "-V"]),
    "ours": ("Unbound with cachedb", [str(programs.UNBOUND), "-V"]),
    "kresd": ("Knot Resolver", ["/usr/sbin/kresd", "--version"]),
    "named": ("BIND", ["/usr/sbin/named", "-v"]),
    "recursor": ("PowerDNS Recursor", ["/usr/sbin/pdns_recursor", "--version"]),
    "stubby": ("Stubby", ["/usr/bin/stubby", "-V"]),
}
_VERSION = re.compile(r"(?<![\w.])(\d+(?:\.\d+)+|(?<=systemd )\d+)")


def versions():
    """The number that each program gives itself, by the name in the tables."""
    found = {}
    for name, command in VERSIONS.values():
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        match = _VERSION.search(done.stdout + done.stderr)
        assert match, f"no version: {command}: {done.stdout}{done.stderr}"
        found[name] = match[1]
    return found


def address(number):
    return f"127.0.1.{number + 1}"


def enter(unpacked):
    """Lays the unpacked packages over /usr, for this world alone, and makes a network that
    systemd-resolved takes for one: it does not ask by loopback interfaces only."""
    # In a chroot it would be seen outside.
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={unpacked}/usr:/usr",
                    "/usr"], check=True)
    for words in ("link add kbv0 type veth peer name kbv1", "address add 192.0.2.99/32 dev kbv0",
                  "link set kbv0 up", "link set kbv1 up",
                  # BIND listens where an interface has the very address.
                  *(f"address add {address(number)}/32 dev lo"
                    for number in range(len(FORWARDERS) + len(LATE)))):
        subprocess.run(["ip", *words.split()], check=True)


class Forwarder:
    """One of FORWARDERS or LATE."""

    def __init__(self, number, name, row, world, pin):
        self.name = name
        self.program, self._make, fixed = row
        self.address = fixed or address(number)
        self.folder = Path(world["dir"]) / "forwarders" / str(number)
        self.process = None
        self._place = Place(self.folder, self.address,
                            Path(world["anchor"]).read_text().strip().split(" DS ")[1],
                            world["anchor"], pin)

    @property
    def own(self):
        """False if another row's daemon listens here too."""
        return callable(self._make)

    def start(self):
        """Starts it, in a mount namespace of its own; does not wait for it."""
        if not self.own:
            return
        self.folder.mkdir(parents=True)
        command = self._make(self._place)
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen(["unshare", "-m", *command], cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait(self):
        """Returns once it has an answer, over UDP and over TCP."""
        deadline = time.monotonic() + READY_S
        why = ""
        while time.monotonic() < deadline:
            if self.process and self.process.poll() is not None:
                break
            try:
                for tcp in (False, True):
                    reply = dnsmsg.ask(self.address, tree.READY, "A", timeout=2, tcp=tcp)
                    if reply.rcode != "NOERROR" or not reply.answer:
                        raise OSError(reply.rcode)
                return
            except (OSError, ValueError) as error:
                why = str(error)
                time.sleep(0.05)
        raise RuntimeError(f"{self.name} does not answer ({why}): {self.log()[-2000:]}")

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def log(self):
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""


@contextlib.contextmanager
def running(world, pin):
    """All of FORWARDERS and of LATE, for the length of the block."""
    forwarders = [Forwarder(number, name, row, world, pin)
                  for number, (name, row) in enumerate({**FORWARDERS, **LATE}.items())]
    try:
        for one in forwarders:
            one.start()
        for one in forwarders:
            one.wait()
        yield forwarders[:len(FORWARDERS)], forwarders[len(FORWARDERS):]
    finally:
        for one in forwarders:
            one.stop()
