# SPDX-License-Identifier: BSD-3-Clause
"""Reads world.toml and checks it: what a typing mistake could break is found here, by name."""

import re
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "world.toml"
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SERVER_KINDS = ("nsd", "knot", "silent", "closed")
DENIALS = ("nsec", "nsec3", "nsec3 opt-out")
STATUSES = ("BOUND", "NOT_BOUND", "NO_BINDING", "UNUSABLE", "UNDECIDED", "PUBLISHED", "INSECURE",
            "INDETERMINATE", "BOGUS", "STALE", "DOWNGRADE", "TEMPFAIL", "REFUSED", "BAD_INPUT",
            "LIMIT")
TAMPERINGS = ("signature", "remove", "unsign")
OUTCOMES = ("secure", "insecure", "bogus", "servfail")


class Mistake(Exception):
    """Something in the description is wrong; the text says where and what."""


@dataclass
class Server:
    name: str
    kind: str
    addresses: list
    zones: list = field(default_factory=list)


@dataclass
class Zone:
    name: str
    servers: list
    algorithms: list
    denial: str
    inception: int  # seconds since the epoch
    expires: int
    ttl: int
    ds: str
    data: bool
    lines: list = field(default_factory=list)    # (origin, owner, text)
    tamper: list = field(default_factory=list)   # (owner, type, what)

    @property
    def signed(self):
        return bool(self.algorithms)


@dataclass
class Cert:
    name: str
    is_ca: bool
    issuer: str
    key: str
    dns_names: list
    pad: int


@dataclass
class World:
    servers: dict
    zones: dict
    certs: dict
    cases: dict
    kbv_zones: list
    kbv_require_secure: list

    def zone_of(self, owner):
        """The deepest zone that holds a name."""
        labels = owner.rstrip(".").split(".") if owner != "." else []
        for skip in range(len(labels) + 1):
            zone = self.zones.get(".".join(labels[skip:]) + ".")
            if zone:
                return zone
        raise Mistake(f"no zone holds {owner}")

    def parent_of(self, zone):
        return self.zone_of(zone.name.partition(".")[2] or ".") if zone.name != "." else None


def offset(text, now):
    match = re.fullmatch(r"([+-]\d+)([smhd])", text)
    if not match:
        raise Mistake(f"{text!r} is no offset such as +14d or -10m")
    return now + int(match[1]) * UNITS[match[2]]


def absolute(name, origin, asked=None):
    """A full name from one that may be relative, `@`, or end in `.@` (below the name asked)."""
    if asked and (name == "@" or name.endswith(".@")):
        return name[:-1] + asked
    if name == "@":
        return origin
    if name.endswith("."):
        return name.lower()
    return f"{name}.{origin}".lower() if origin != "." else name.lower() + "."


def identifier_name(kind, value, suffix, form):
    digits = value.lower()
    label = digits if form == "flat" else ".".join(reversed(digits))
    return f"{label}.{suffix}."


def _expect_keys(where, given, allowed):
    unknown = set(given) - set(allowed)
    if unknown:
        raise Mistake(f"{where}: unknown {', '.join(sorted(unknown))}")


def _read_servers(raw):
    servers, seen = {}, {}
    for name, row in raw.items():
        _expect_keys(f"server {name}", row, ("kind", "v4", "v6"))
        if row["kind"] not in SERVER_KINDS:
            raise Mistake(f"server {name}: kind {row['kind']!r} is none of {SERVER_KINDS}")
        addresses = [row[family] for family in ("v4", "v6") if family in row]
        for address in addresses:
            if seen.setdefault(address, name) != name:
                raise Mistake(f"server {name}: {address} belongs to {seen[address]}")
        servers[name] = Server(name, row["kind"], addresses)
    return servers


def _read_zones(raw, servers, default_ttl, now, overrides):
    zones = {}
    for name, row in raw.items():
        where = f"zone {name}"
        row = row | overrides.get(name.rstrip("."), {})
        _expect_keys(where, row, ("servers", "algorithm", "denial", "inception", "expires", "ttl",
                                  "ds", "data", "records"))
        if name != name.lower() or not name.endswith("."):
            raise Mistake(f"{where}: not a full name in lower case")
        algorithms = row.get("algorithm", [])
        zone = Zone(name, row["servers"],
                    [algorithms] if isinstance(algorithms, str) else algorithms,
                    row.get("denial", "nsec"), offset(row.get("inception", "-1h"), now),
                    offset(row.get("expires", "+14d"), now), int(row.get("ttl", default_ttl)),
                    row.get("ds", "right"), row.get("data", True))
        if zone.denial not in DENIALS:
            raise Mistake(f"{where}: denial {zone.denial!r} is none of {DENIALS}")
        if zone.ds not in ("right", "wrong"):
            raise Mistake(f"{where}: ds {zone.ds!r} is neither right nor wrong")
        for server in zone.servers:
            if server not in servers:
                raise Mistake(f"{where}: no server {server}")
            servers[server].zones.append(name)
        for line in row.get("records", "").splitlines():
            if line.strip():
                owner, text = line.split(None, 1)
                zone.lines.append((name, absolute(owner, name), text))
        zones[name] = zone
    return zones


def _read_certs(raw):
    certs = {}
    for name, row in raw.items():
        _expect_keys(f"cert {name}", row, ("ca", "key", "names", "pad"))
        ca = row.get("ca")
        issuer = ca if isinstance(ca, str) else name
        if issuer != name and issuer not in certs:
            raise Mistake(f"cert {name}: no CA {issuer} above it")
        certs[name] = Cert(name, ca is True, issuer, row.get("key", "P-256"),
                           row.get("names", []), row.get("pad", 0))
    return certs


def _read_ask(case_id, text, kbv_zones):
    """What a case asks: kind, value, suffix and full name."""
    kind, value, *rest = text.split()
    if kind == "literal":
        return {"kind": kind, "value": None, "suffix": None, "name": value.lower()}
    for line in kbv_zones:
        suffix, zone_kind, *attributes = line.split()
        if zone_kind == kind and (not rest or rest[0] == suffix):
            flat = "form=flat" in attributes or kind == "netid"
            name = identifier_name(kind, value, suffix, "flat" if flat else "nibble")
            return {"kind": kind, "value": value, "suffix": suffix, "name": name}
    raise Mistake(f"case {case_id}: no kbv zone for {text!r}")


def _read_verdict(where, row, origin, asked, certs):
    _expect_keys(where, row, ("status", "owner", "endpoint", "found_at", "flags", "pins", "names",
                              "algorithm"))
    if row["status"] not in STATUSES:
        raise Mistake(f"{where}: status {row['status']!r}")
    if row["status"] == "PUBLISHED" and not row.get("pins"):
        raise Mistake(f"{where}: PUBLISHED without pins")
    verdict = {"status": row["status"], "owner": asked, "endpoint": None, "found_at": None,
               "flags": sorted(row.get("flags", [])), "pins": row.get("pins"), "names": None,
               "algorithm": row.get("algorithm")}
    if "endpoint" in row:
        *numbers, host = row["endpoint"].split()
        order, preference, priority, weight, port = map(int, numbers)
        host = absolute(host, origin, asked)
        verdict["endpoint"] = {"order": order, "preference": preference, "priority": priority,
                               "weight": weight, "port": port, "host": host}
        verdict["owner"] = f"_{port}._tcp.{host}"
    if row.get("owner") == "any":
        verdict["owner"] = None
    elif "owner" in row:
        verdict["owner"] = absolute(row["owner"], origin, asked)
    if "found_at" in row:
        verdict["found_at"] = absolute(row["found_at"], origin, asked)
    if "names" in row:
        verdict["names"] = sorted(absolute(name, origin, asked) for name in row["names"])
    # What a failed verdict says of aliases on its way is compared only where the case says it.
    if verdict["status"] != "PUBLISHED" and "flags" not in row:
        verdict["flags"] = None
    for pin in verdict["pins"] or []:
        symbol = pin.split()[3]
        if symbol.startswith("@") and not symbol.startswith("@filler") \
                and symbol[1:] not in certs:
            raise Mistake(f"{where}: no certificate {symbol}")
    return verdict


def _read_case(case_id, row, world, origin):
    where = f"case {case_id}"
    _expect_keys(where, row, ("about", "ask", "records", "tamper", "expect", "keys", "proof",
                              "slow"))
    ask = _read_ask(case_id, row["ask"], world.kbv_zones)
    asked = ask["name"]
    for line in row.get("records", "").splitlines():
        if line.strip():
            owner, text = line.split(None, 1)
            owner = absolute(owner, origin, asked)
            world.zone_of(owner).lines.append((origin, owner, text))
    for line in row.get("tamper", []):
        owner, rrtype, what = line.split()
        if what not in TAMPERINGS:
            raise Mistake(f"{where}: tamper {what!r} is none of {TAMPERINGS}")
        owner = absolute(owner, origin, asked)
        world.zone_of(owner).tamper.append((owner, rrtype, what))
    proof = []
    for line in row.get("proof", []):
        owner, rrtype, outcome, *answer = line.split()
        if outcome not in OUTCOMES or answer not in ([], ["nodata"], ["nxdomain"]):
            raise Mistake(f"{where}: proof {line!r}")
        proof.append({"name": absolute(owner, origin, asked), "type": rrtype, "outcome": outcome,
                      "answer": answer[0] if answer else None})
    keys = []
    for key in row.get("keys", []):
        _expect_keys(where, key, ("key", "material", "status", "match"))
        if key["key"] not in world.certs or key["status"] not in STATUSES:
            raise Mistake(f"{where}: key {key}")
        keys.append({"key": key["key"], "material": key.get("material", "spki-sha256"),
                     "status": key["status"], "match": key.get("match")})
    expect = [_read_verdict(where, verdict, origin, asked, world.certs)
              for verdict in row["expect"]]
    return {"id": case_id, "about": row["about"], "slow": row.get("slow", False), **ask,
            "expect": expect, "keys": keys, "proof": proof}


def load(overrides=None, now=None, text=None):
    """The world as described. `overrides`: {zone without its final dot: {field: value}}; `text`:
    another description than world.toml."""
    now = int(now or time.time())
    overrides = overrides or {}
    raw = tomllib.loads(text or FILE.read_text())
    servers = _read_servers(raw["server"])
    zones = _read_zones(raw["zone"], servers, raw["ttl"], now, overrides)
    unknown = set(overrides) - {name.rstrip(".") for name in zones}
    if unknown:
        raise Mistake(f"no zone {', '.join(unknown)} to set anything in")
    world = World(servers, zones, _read_certs(raw["cert"]), {}, raw["kbv_zones"],
                  raw["kbv_require_secure"])
    for case_id, row in raw["case"].items():
        world.cases[case_id] = _read_case(case_id, row, world, raw["origin"])
    return world
