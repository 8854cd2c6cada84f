# SPDX-License-Identifier: BSD-3-Clause
"""Random trees: a root, a few top-level zones, in each a registry of identifiers and its operators.

Nothing here knows what a verdict would be; it is only made sure that what a verdict depends on
comes up often, and that what is wrong is often wrong in one thing alone.
"""

import random
from dataclasses import dataclass, field

from . import pki, wire, zones

# The denial, the signatures, the delegation: what may be with a zone.
ALGORITHMS = (13,) * 12 + (15,) * 3 + (8, 14)
OPERATOR_STATES = ("good",) * 14 + (
    "unsigned", "unsigned", "wrong ds", "unknown ds", "island", "expired", "skewed", "future",
    "stripped", "other key", "lame", "two keys", "two keys")
REGISTRY_STATES = ("good",) * 16 + ("unsigned", "skewed", "wrong ds")
# Mostly more than signatures and certificates that are about to run out leave to a verdict.
TTLS = (7200,) * 7 + (86400, 86400, 86400, 1800, 600, 120)


@dataclass
class Suffix:
    """A line kbv-zone."""
    name: str
    kind: str
    form: str
    lookup: str
    ports: list

    def line(self):
        ports = f" port={','.join(map(str, self.ports))}" if self.lookup == "service" else ""
        return f"{self.name} {self.kind} form={self.form} lookup={self.lookup}{ports}"


@dataclass
class Subject:
    """A name that is asked for, and the peers that might have something to do with it."""
    name: bytes
    suffix: object = None  # None: a literal owner
    credentials: list = field(default_factory=list)


@dataclass
class Operator:
    zone: zones.Zone
    origin: str
    hosts: list = field(default_factory=list)  # text
    services: list = field(default_factory=list)
    chains: list = field(default_factory=list)  # NAPTR names to go on at
    credentials: list = field(default_factory=list)


DAY_OUT = 5 * pki.DAY  # beyond the validator's skew, which is a tenth of a signature's time


def harm(rng, keys):
    """What may be wrong with one RRset."""
    return rng.choice((
        zones.Harm(broken=True), zones.Harm(stripped=True), zones.Harm(removed=True),
        zones.Harm(begin=-30 * pki.DAY, end=-DAY_OUT),
        zones.Harm(begin=-30 * pki.DAY, end=-600), zones.Harm(begin=-30 * pki.DAY, end=-600),
        zones.Harm(begin=600, end=30 * pki.DAY), zones.Harm(key=rng.choice(keys)),
        zones.Harm(end=1500), zones.Harm(end=2400),
        zones.Harm(begin=-30 * pki.DAY, end=1500, also=(-60, 3000)),
        # The validator may well take the one that lives longer, and cuts the TTL to that alone.
        zones.Harm(begin=-60, end=3000, also=(-30 * pki.DAY, 1500)),
        zones.Harm(begin=-60, end=3000, also=(-30 * pki.DAY, 1500)),
        zones.Harm(begin=-30 * pki.DAY, end=-700, also=(-60, 30 * pki.DAY))))


class Tree:
    """One batch: everything that one pair of resolvers is asked about."""

    def __init__(self, seed, trees, now):
        self.rng = rng = random.Random(seed)
        self.now, self.zones, self.subjects, self.suffixes, self.hosts = now, [], [], [], []
        self.pki = pki.Pki(rng, now)
        self.signers = {algorithm: [zones.Key(algorithm, rng) for _ in range(2)]
                        for algorithm in (8, 13, 14, 15)}
        self.strangers = [zones.Key(13, rng)]
        self.sources = {}  # whose a TLSA record is
        self.bundle = rng.random() < 0.6
        self.level = rng.choice((2, 2, 2, 2, 0, 1, 3))
        self.strict = []  # kbv-require-secure
        self.literal, self.txt = rng.random() < 0.93, rng.random() < 0.95
        self.signer = pki.make_key("ed25519", rng) if rng.random() < 0.6 else None
        self.sign = rng.choice(("always", "asked"))
        self.root = self.zone(".", "good", None, algorithm=13)
        self.tops = []
        for at in range(trees):
            self.grow(f"t{at}.")
        self.anchored, self.unchecked = self.anchors(), []
        for zone in self.zones[1:]:
            if rng.random() < 0.02:
                self.unchecked.append(zone.name)

    def anchors(self):
        """The zones whose keys the resolvers are told: the root, or all but a few below it; and
        some island's."""
        rng = self.rng
        found = [self.root]
        if rng.random() < 0.3:
            found = [top for top in self.tops if top.keys and rng.random() < 0.75]
        found += [zone for zone in self.zones if zone.keys and zone.ds == "none" and
                  zone not in found + [self.root] and rng.random() < 0.3]
        return found or [self.root]

    # ----------------------------------------------------------------------------------- zones

    def zone(self, origin, state, above, algorithm=None):
        rng = self.rng
        algorithm = algorithm or rng.choice(ALGORITHMS)
        keys = [rng.choice(self.signers[algorithm])]
        made = zones.Zone(wire.name(origin), keys, [f"127.1.{rng.randrange(4)}.1"],
                          denial=rng.choice(("nsec", "nsec", "nsec3", "opt-out")),
                          ttl=rng.choice(TTLS), minimum=rng.choice((300, 1800, 7200)))
        if made.denial != "nsec" and rng.random() < 0.5:
            made.salt, made.iterations = rng.randbytes(4), rng.choice((0, 1, 5))
        made.fake_key = rng.choice(self.strangers)
        out = zones.Harm
        if state == "unsigned":
            made.keys, made.ds = [], "none"
        elif state == "island":
            made.ds = "none"
        elif state == "wrong ds":
            made.ds = "wrong"
        elif state == "unknown ds":
            made.ds = "unknown"
        elif state == "expired":
            made.harm = out(begin=-30 * pki.DAY, end=-DAY_OUT)
        elif state == "skewed":
            made.harm = out(begin=-30 * pki.DAY, end=-900)
        elif state == "future":
            made.harm = out(begin=DAY_OUT)
        elif state == "stripped":
            made.keys = []
        elif state == "other key":
            made.harm = out(key=self.strangers[0])
        elif state == "lame":
            made.served = False
        elif state == "two keys":
            made.keys = [self.signers[13][0], self.signers[15][0]]
            if rng.random() < 0.7:  # the validator is content with the first, whatever the server
                made.harm = out(end=3000, sooner=1500)
        if above is not None:
            above.children.append(made)
        self.zones.append(made)
        return made

    def grow(self, origin):
        rng = self.rng
        top = self.zone(origin, rng.choice(("good",) * 30 + ("unsigned", "skewed")), self.root)
        self.tops.append(top)
        if top.denial == "nsec":
            top.add(f"*.{origin}", wire.TXT, wire.string(b"wildcard"))
        if rng.random() < 0.3:
            self.strict.append(rng.choice((origin, f"reg.{origin}", f"op0.{origin}")))
        operators = [self.operator(top, origin, at) for at in range(rng.randrange(2, 5))]
        registry = self.zone(f"reg.{origin}", rng.choice(REGISTRY_STATES), top)
        for kind in rng.sample(("joineui", "joineui", "netid", "netid", "deveui"), 3):
            self.suffix(registry, kind, operators)
        for operator in operators:
            self.literals(operator)
        self.harm_some(registry, 0.1)
        for operator in operators:
            self.harm_some(operator.zone, 0.08)

    def harm_some(self, zone, chance):
        for owner, rrtype in zone.records:
            if self.rng.random() < chance:
                zone.harms[(owner, rrtype)] = harm(self.rng, self.strangers)
        if self.rng.random() < 0.05:
            found = harm(self.rng, self.strangers)
            if not found.removed:  # NSD serves no zone without one
                zone.harms[(zone.name, wire.SOA)] = found

    # ------------------------------------------------------------------------------- operators

    def operator(self, above, origin, at):
        rng = self.rng
        origin = f"op{at}.{origin}"
        zone = self.zone(origin, rng.choice(OPERATOR_STATES), above)
        made = Operator(zone, origin)
        for number in range(rng.randrange(2, 5)):
            self.host(made, f"js{number}.{origin}")
        if rng.random() < 0.4:
            self.host_alias(made)
        if rng.random() < 0.35:
            self.crossings(made)
        for number in range(rng.randrange(1, 4)):
            self.service(made, f"_lwn._j{number}h.{origin}")
        for number in range(rng.randrange(0, 3)):
            name = f"next{number}.{origin}"
            made.chains.append(name)
            for _ in range(rng.choice((0, 1, 1, 2))):
                zone.add(name, wire.NAPTR, self.naptr([made], made))
        return made

    def address(self, zone, name):
        rng = self.rng
        if rng.random() < 0.85:
            zone.add(name, wire.A, rng.randbytes(4), rng.choice(TTLS))
        if rng.random() < 0.3:
            zone.add(name, wire.AAAA, rng.randbytes(16), rng.choice(TTLS))

    def host(self, operator, name, zone=None):
        """A host, its certificates, and the TLSA records at a port or two."""
        rng, zone = self.rng, zone or operator.zone
        operator.hosts.append(name)
        self.hosts.append(name)
        bare = name.rstrip(".")
        domain = operator.origin.rstrip(".")
        for number in range(rng.randrange(1, 3)):
            names = rng.choice(([bare],) * 6 + (
                [f"*.{domain}"], [domain], [f"other.{domain}"], [], [bare, domain],
                [f"_443._tcp.{bare}"], ["*"], [f"J*.{domain}"]))
            operator.credentials.append(self.pki.credential(names, f"{bare}-{number}"))
        self.address(zone, name)
        for port in rng.sample((443, 8003, 8443), rng.randrange(1, 3)):
            owner = f"_{port}._tcp.{name}"
            how = rng.random()
            if how < 0.08:
                owner = f"*._tcp.{name}"
            elif how < 0.14:
                target = f"tlsa{rng.randrange(3)}.{wire.text(zone.name)}"
                zone.add(owner, wire.CNAME, wire.name(target), rng.choice(TTLS))
                owner = target
            self.tlsa(zone, owner, operator.credentials[-(number + 1 + (rng.random() < 0.2)):])

    def host_alias(self, operator):
        """Hosts that are aliases: CNAMEs, chains of them, a DNAME."""
        rng, zone, origin = self.rng, operator.zone, operator.origin
        plain = list(operator.hosts)
        for number in range(rng.randrange(1, 3)):
            name = f"alias{number}.{origin}"
            target = rng.choice(plain + [self.any_host() or f"absent.{origin}"])
            operator.hosts.append(name)
            # 9 are over the limit; what goes beyond Unbound's own, 11, fails in more ways than one.
            for hop in range(rng.choice((0, 0, 0, 1, 2, 7, 8))):
                following = f"hop{number}-{hop}.{origin}"
                zone.add(name, wire.CNAME, wire.name(following), rng.choice(TTLS))
                name = following
            zone.add(name, wire.CNAME, wire.name(target), rng.choice(TTLS))
            if rng.random() < 0.5:
                self.tlsa(zone, f"_443._tcp.alias{number}.{origin}", operator.credentials)
        if rng.random() < 0.3:
            zone.add(f"moved.{origin}", wire.DNAME, wire.name(origin), rng.choice(TTLS))
            operator.hosts.append(f"js0.moved.{origin}")
        if rng.random() < 0.3:
            zone.add(f"*.wild.{origin}", wire.A, rng.randbytes(4))
            self.tlsa(zone, f"*._tcp.x.wild.{origin}", operator.credentials)
            operator.hosts.append(f"x.wild.{origin}")
        if rng.random() < 0.3:
            zone.add(f"*.pointer.{origin}", wire.CNAME, wire.name(rng.choice(operator.hosts)))
            operator.hosts.append(f"y.pointer.{origin}")

    def crossings(self, operator):
        """Ways out of a zone into an unsigned one below it, and back: each has one step that is
        not secure, the first or the last."""
        rng, above, origin = self.rng, operator.zone, operator.origin
        secure = list(operator.hosts)
        plain = self.zone(f"plain.{origin}", "unsigned", above)
        within = f"in.plain.{origin}"
        self.host(operator, within, plain)
        out = f"out.plain.{origin}"  # the alias is unsigned, what it leads to is signed
        plain.add(out, wire.CNAME, wire.name(rng.choice(secure)), rng.choice(TTLS))
        into = f"into.{origin}"  # the alias is signed, what it leads to is not
        above.add(into, wire.CNAME, wire.name(within), rng.choice(TTLS))
        below = f"below.{origin}"  # a host that is signed, its TLSA records are not
        self.address(above, below)
        port = rng.choice((443, 8003))
        records = self.zone(f"_tcp.{below}", "unsigned", above)
        self.tlsa(records, f"_{port}._tcp.{below}", operator.credentials)
        # TLSA owners that are aliases, from either side.
        self.tlsa(plain, f"kept.plain.{origin}", operator.credentials)
        self.tlsa(above, f"kept.{origin}", operator.credentials)
        there, back = f"there.{origin}", f"back.plain.{origin}"
        self.address(above, there)
        self.address(plain, back)
        above.add(f"_443._tcp.{there}", wire.CNAME, wire.name(f"kept.plain.{origin}"))
        plain.add(f"_443._tcp.{back}", wire.CNAME, wire.name(f"kept.{origin}"))
        operator.hosts += [out, into, below, there, back]

    def any_host(self):
        return self.rng.choice(self.hosts[-20:]) if self.hosts else None

    def service(self, operator, name):
        rng = self.rng
        operator.services.append(name)
        how = rng.random()
        if how < 0.05:
            return
        if how < 0.1:
            operator.zone.add(name, wire.SRV, wire.srv(0, 0, 0, "."))
            return
        if how < 0.14:
            alias = f"real-{name.lstrip('_').replace('._', '-')}"
            operator.zone.add(name, wire.CNAME, wire.name(alias))
            name = alias
        ttl = rng.choice(TTLS)
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 3, 9)) if how < 0.97 else 12):
            operator.zone.add(name, wire.SRV, wire.srv(
                rng.randrange(3), rng.choice((0, 0, 1, 5)), rng.choice((443, 443, 8003, 8443, 0)),
                rng.choice(operator.hosts + operator.hosts + [f"absent.{operator.origin}"])), ttl)

    # ------------------------------------------------------------------------------------ TLSA

    def tlsa(self, zone, owner, credentials):
        rng = self.rng
        count = rng.choice((1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 0)) if rng.random() < 0.99 else 65
        ttl = rng.choice(TTLS)
        agile = rng.random() < 0.2  # SHA-256 beside SHA-512, of one key or of two
        paths = rng.random() < 0.35  # nothing but what needs a chain
        for at in range(count):
            of = rng.choice(credentials)
            if count == 65:
                rdata = bytes([3, 1, 1]) + rng.randbytes(32)
            elif paths:
                rdata = self.association(of, rng.choice((2, 2, 2, 2, 2, 0, 1)), rng.randrange(2),
                                         rng.choice((0, 1, 1, 2)))
            elif agile:
                rdata = self.association(of, rng.choice((3, 3, 2)), 1, rng.choice((1, 2)))
            elif rng.random() < 0.2:
                rdata = self.odd(of)
            else:
                rdata = self.association(of, rng.choice((3, 3, 3, 3, 2, 2, 2, 0, 1)),
                                         rng.randrange(2), rng.choice((0, 1, 1, 1, 2)))
            zone.add(owner, wire.TLSA, rdata, ttl)

    def association(self, credential, usage, selector, mtype):
        der = credential.chain[0] if usage in (1, 3) else self.rng.choice(credential.anchors)
        key = credential.spki if der == credential.chain[0] else pki.key_of(der)
        made = bytes([usage, selector, mtype])
        made += pki.associated(der if selector == 0 else key, mtype)
        self.sources[made] = credential
        return made

    def odd(self, credential):
        """A record that cannot be used, or that looks as if it could."""
        rng = self.rng
        good = self.association(credential, rng.choice((2, 3)), rng.randrange(2), rng.randrange(3))
        head, data = good[:3], good[3:]
        return rng.choice((
            bytes([rng.choice((4, 17, 255))]) + head[1:] + data,
            head[:1] + bytes([rng.choice((2, 255))]) + head[2:] + data,
            head[:2] + bytes([rng.choice((3, 255))]) + data,
            head + data[:-1], head + data + b"\0", head + data[:16], head,
            bytes([3, 1, 1]) + pki.NOTHING, bytes([3, 1, 1]) + bytes(32),
            bytes([3, 1, 2]) + rng.randbytes(64),
            # The matching types taken for each other; the key where the certificate belongs.
            head[:1] + bytes([head[1] ^ 1]) + head[2:] + data,
            head[:2] + bytes([head[2] ^ 1]) + data,
            bytes([head[0] ^ 1]) + head[1:] + data,
            bytes([3, 0, 0]) + credential.chain[0] + b"\0\0",
            bytes([2, 1, 0]) + credential.spki, bytes([2, 0, 0]) + credential.chain[0]))

    # ------------------------------------------------------------------------------- registries

    def suffix(self, registry, kind, operators):
        rng = self.rng
        form = {"joineui": "nibble", "netid": "flat"}.get(kind) or rng.choice(("nibble", "flat"))
        lookup = rng.choice(("identity", "identity", "service") if kind == "deveui" else
                            ("service", "service", "service", "identity"))
        origin = wire.text(registry.name)
        name = f"{kind}s{len(self.suffixes)}.{origin}"
        suffix = Suffix(name, kind, form, lookup,
                        rng.choice(([443], [443], [8003, 443], [8443, 443, 8003])))
        self.suffixes.append(suffix)
        block = rng.randbytes(6)  # neighbours share it
        for number in range(rng.randrange(3, 6)):
            value = rng.randbytes(3) if kind == "netid" else \
                block + bytes([0, number * 16 + rng.randrange(2)])
            self.identifier(registry, suffix, value, operators)
        if kind != "netid" and form == "nibble" and rng.random() < 0.5:
            nibbles = ".".join(reversed(block.hex()))
            wild = f"*.{nibbles}.{name}"
            if lookup == "identity":
                self.tlsa(registry, wild, self.credentials(operators))
            elif rng.random() < 0.3:
                registry.add(wild, wire.CNAME, wire.name(rng.choice(rng.choice(operators).hosts)))
            else:
                registry.add(wild, wire.NAPTR, self.naptr(operators, rng.choice(operators)))
            for _ in range(2):
                self.subject(suffix, block + rng.randbytes(2), operators)
        if rng.random() < 0.3:
            self.subjects.append(Subject(wire.name(f"not-one.{name}"), suffix))

    def credentials(self, operators):
        return [one for operator in operators for one in operator.credentials]

    def subject(self, suffix, value, operators):
        hexes = value.hex()
        label = ".".join(reversed(hexes)) if suffix.form == "nibble" else hexes
        subject = Subject(wire.name(f"{label}.{suffix.name}"), suffix, self.credentials(operators))
        self.subjects.append(subject)
        return f"{label}.{suffix.name}"

    def identifier(self, zone, suffix, value, operators):
        rng = self.rng
        name = self.subject(suffix, value, operators)
        operator = rng.choice(operators)
        if rng.random() < 0.3:
            client = f"_ns-client.{name}"
            peer = self.pki.credential(rng.choice(([client.rstrip(".")], [name.rstrip(".")],
                                                   [f"*.{name.rstrip('.')}"])), client)
            self.tlsa(zone, client, [peer] + operator.credentials)
            self.subjects.append(Subject(wire.name(client), None, [peer] + operator.credentials))
        if suffix.lookup == "identity":
            peer = self.pki.credential(rng.choice(([name.rstrip(".")], [])), name)
            self.subjects[-1].credentials.append(peer)
            how = rng.random()
            if how < 0.12:
                target = f"_id{rng.getrandbits(32):08x}.{operator.origin}"
                zone.add(name, wire.CNAME, wire.name(target))
                if wire.below(wire.name(target), operator.zone.name):
                    self.tlsa(operator.zone, target, [peer])
            elif how < 0.92:
                self.tlsa(zone, name, [peer] + operator.credentials[:1])
            return
        how = rng.random()
        ttl = rng.choice(TTLS)
        if how < 0.62:
            for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3, 4))):
                zone.add(name, wire.NAPTR, self.naptr(operators, operator), ttl)
        elif how < 0.74:  # the ChirpStack way
            zone.add(name, wire.CNAME, wire.name(rng.choice(operator.hosts)), ttl)
        elif how < 0.88:
            self.address(zone, name)
            bare = name.rstrip(".")
            peer = self.pki.credential([bare], bare)
            for port in suffix.ports[:rng.randrange(1, 4)]:
                self.tlsa(zone, f"_{port}._tcp.{name}", [peer] + operator.credentials[:1])
            self.subjects[-1].credentials = [peer] + operator.credentials
        elif how < 0.94:
            zone.add(name, wire.TXT, wire.string(b"neither"), ttl)

    def naptr(self, operators, operator):
        """A NAPTR record that leads somewhere, mostly."""
        rng = self.rng
        order, preference = rng.choice((10, 50, 50, 90)), rng.choice((10, 50))
        service = rng.choice(("LWNS",) * 12 + ("lwns", "LWN", "LWN", "LWNS:x", "E2U+sip", ""))
        host, srv = rng.choice(operator.hosts), rng.choice(operator.services)
        following = rng.choice(operator.chains or operator.services)
        bare = host.rstrip(".")
        flag, regexp, target = rng.choice((
            ("S", "", srv), ("S", "", srv), ("s", "", srv), ("S", "", srv), ("S", "", srv),
            ("A", "", host), ("A", "", host), ("a", "", host),
            ("U", f"!.*!https://{bare}!", "."), ("U", f"!^.*$!https://{bare}:8003/x!", "."),
            ("u", f"#.*#https://{bare}:443#i", "."), ("U", f"!.*!https://{bare}./!", host),
            ("P", "", following), ("", "", following)) if rng.random() < 0.85 else (
            ("S", "!.*!https://x!", srv), ("S", "", "."), ("A", "", "."), ("X", "", host),
            ("SA", "", srv), ("U", "", host), ("U", f"!.*!http://{bare}!", "."),
            ("U", f"!.+!https://{bare}!", "."), ("U", f"!.*!https://u@{bare}!", "."),
            ("U", "!.*!https://192.0.2.1!", "."), ("U", f"!(.*)!https://\\1.{bare}!", "."),
            ("U", f"!.*!https://{bare}:0!", "."), ("U", f"!.*!https://{bare}:65536!", "."),
            ("U", f"!.*!https://{bare}", "."), ("U", f"1.*1https://{bare}1", "."),
            ("U", f"!.*!https://{bare}:!", "."), ("P", "", ".")))
        return wire.naptr(order, preference, flag, service, regexp, target)

    # --------------------------------------------------------------------------------- literals

    def literals(self, operator):
        """TLSA owners that are asked for themselves: those of hosts, and clients'."""
        rng, origin = self.rng, operator.origin
        for host in operator.hosts:
            for port in rng.sample((443, 8003, 8443), 1 + (rng.random() < 0.4)):
                self.subjects.append(Subject(wire.name(f"_{port}._tcp.{host}"), None,
                                             operator.credentials))
        for number in range(rng.randrange(1, 3)):
            client = f"_ns-client.ns{number}x.{origin}"
            bare = client.rstrip(".")
            peer = self.pki.credential(rng.choice(([bare], [bare], [bare.partition(".")[2]], [],
                                                   [f"*.{bare.partition('.')[2]}"])), bare)
            self.tlsa(operator.zone, client, [peer] + operator.credentials[:1])
            self.subjects.append(Subject(wire.name(client), None, [peer] + operator.credentials))
        if operator.chains:
            self.subjects.append(Subject(wire.name(operator.chains[0]), None, operator.credentials))
