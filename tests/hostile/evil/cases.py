# SPDX-License-Identifier: BSD-3-Clause
"""What a case is, and the world of zones that the attacks stand in: evil.example, one zone a case
below it on an address of its own, and a registry of JoinEUIs in the attacker's hands."""

import hashlib
import subprocess
from dataclasses import dataclass, field

from kbvtest import programs

from .authority import Authority
from .zone import Key, Zone

PARENT = "evil.example."
REGISTRY = "joineuis.evil.example."
STRICT = "joineuis.strict.example."
PARENT_ADDRESS = "198.51.100.66"

RIGHT = hashlib.sha256(b"the owner's key").digest()
EVIL = hashlib.sha256(b"the attacker's key").digest()
RIGHT_PIN, EVIL_PIN = f"3 1 1 {RIGHT.hex()}", f"3 1 1 {EVIL.hex()}"

# Upstream questions that an attack may cost, unless it says otherwise: for a literal owner one
# sub-query, for an identifier those of discovery; each with its DS and DNSKEY, and what Unbound
# repeats (outbound-msg-retry 5 a server, val-max-restart 5).
LITERAL_BOUND, IDENTIFIER_BOUND = 100, 160
# What no attack may exceed: the budget of a verdict (three times max-global-quota, 128 or in newer
# Unbounds 200), and beside it what was asked for the plain TLSA question. Keys have as much again.
QUOTAS = 3 * int(subprocess.check_output(
    [str(programs.CHECKCONF), "-o", "max-global-quota", "/dev/null"], text=True))
BUDGET = QUOTAS + 64


@dataclass
class Case:
    id: str
    about: str
    why: str       # the rule that makes the status what it is
    ask: str       # the name
    expect: list   # the statuses of the unkeyed verdicts; several lists: any of them; a set: each
                   # verdict has one of these
    zone: Zone
    address: str
    suffixes: list  # how names end whose upstream questions are this case's doing
    bound: int
    slow: bool = False     # it waits for the deadline: runs beside the other slow ones
    stock: bool = False    # put to a stock Unbound too, to compare the cost
    pins: tuple = (RIGHT_PIN,)
    check: object = None   # a function of the decoded unkeyed verdicts
    after: object = None   # a function of verdicts_of(), once it has been asked
    beside: dict = field(default_factory=dict)  # names that others ask about meanwhile, and which
                                                # statuses their verdicts may have
    beside_s: float = 0                         # how much later they do

    def expects(self, statuses):
        """Whether these are what is expected."""
        if isinstance(self.expect, set):
            return bool(statuses) and set(statuses) <= self.expect
        return sorted(statuses) in [sorted(row) for row in self.expect]

    @property
    def title(self):
        return f"{self.id}: {self.about}"


class Book:
    """Collects cases and their zones."""

    def __init__(self, keys_folder):
        self.authority = Authority()
        self.cases = []
        self.parent = Zone(PARENT, Key.of_world(keys_folder, PARENT))
        self.strict = Zone("strict.example.", Key.of_world(keys_folder, "strict.example."))
        self.registry, self.strict_registry = Zone(REGISTRY), Zone(STRICT)
        self.parent.add("ns", "A", PARENT_ADDRESS)
        self.strict.add("ns", "A", PARENT_ADDRESS)
        for parent, child in ((self.parent, self.registry), (self.strict, self.strict_registry)):
            child.add("ns", "A", PARENT_ADDRESS)
            parent.delegate(child, f"ns.{child.name}", glue=[PARENT_ADDRESS])
        self.authority.serve(PARENT_ADDRESS, self.parent, self.strict, self.registry,
                             self.strict_registry)
        self._addresses = 0

    def address(self):
        self._addresses += 1
        return f"198.18.{self._addresses // 250}.{self._addresses % 250 + 1}"

    def zone(self, text, parent=None, address=None, ds=True, **how):
        """A zone below parent on an address of its own: (zone, address)."""
        address = address or self.address()
        zone = Zone(text, **how)
        zone.add("ns", "A", address)
        (parent or self.parent).delegate(zone, f"ns.{text}", glue=[address], ds=ds)
        self.authority.serve(address, zone)
        return zone, address

    @staticmethod
    def operator(zone, tlsa=RIGHT_PIN, srv=True):
        """What an honest operator has."""
        zone.add("js", "A", "203.0.113.9").add("js", "AAAA", "2001:db8:113::9")
        if tlsa:
            zone.add("_443._tcp.js", "TLSA", tlsa)
        if srv:
            zone.add("_lwn._j2h", "SRV", "0 1 443 js")
        return zone

    def _keep(self, *words, **more):
        case = Case(*words, **more)
        if isinstance(case.expect, list) and not isinstance(case.expect[0], list):
            case.expect = [case.expect]
        self.cases.append(case)
        return case

    def literal(self, label, about, why, expect, hook=None, owner="_443._tcp.js", tlsa=RIGHT_PIN,
                zone_how=None, bound=LITERAL_BOUND, **more):
        """A TLSA owner in a zone of its own: js.LABEL.evil.example."""
        zone, address = self.zone(f"{label}.{PARENT}", **(zone_how or {}))
        self.operator(zone, tlsa).hook = hook
        return self._keep(label, about, why, f"{owner}.{zone.name}", expect, zone, address,
                          [f".{zone.name}"], bound, **more)

    def joineui_name(self, registry=REGISTRY):
        digits = f"{0xA000000000000000 + 0x1111 * (len(self.cases) + 1):016x}"
        return f"{'.'.join(reversed(digits))}.{registry}"

    def joineui(self, label, about, why, expect, hook=None, own_name=False, tlsa=RIGHT_PIN,
                zone_how=None, naptr=None, bound=IDENTIFIER_BOUND, registry=None, **more):
        """A JoinEUI whose NAPTR leads to LABEL.evil.example. own_name: the name of the JoinEUI is a
        zone of its own on the same address, so that hook lies about its NAPTR too."""
        registry = registry or self.registry
        asked = self.joineui_name(registry.name)
        zone, address = self.zone(f"{label}.{PARENT}", **(zone_how or {}))
        self.operator(zone, tlsa).hook = hook
        upper, owner = registry, asked
        if own_name:
            upper, _ = self.zone(asked, registry, address)
            upper.hook, owner = hook, "@"
        naptr = [f'50 50 "S" "LWNS" "" _lwn._j2h.{zone.name}'] if naptr is None else naptr
        if naptr:
            upper.add(owner, "NAPTR", *naptr)
        return self._keep(label, about, why, asked, expect, zone, address,
                          [f".{zone.name}", f".{asked}"], bound, **more)
