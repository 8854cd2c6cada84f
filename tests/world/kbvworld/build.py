# SPDX-License-Identifier: BSD-3-Clause
"""From the description to a run directory: certificates, zones, server folders, world.json."""

import hashlib
import json

from . import capture, certs, servers, zones

SKEW_MIN_S, SKEW_MAX_S = 3600, 86400  # Unbound's val-sig-skew-min and -max


def _security(zone, world, now):
    """What validation must make of the records of a zone: secure, insecure, bogus or servfail."""
    if not zone.data:
        return "servfail"
    parent = world.parent_of(zone)
    above = _security(parent, world, now) if parent else "secure"
    if above != "secure" or not zone.signed:
        return "insecure" if above == "secure" else above
    skew = min(max((zone.expires - zone.inception) // 10, SKEW_MIN_S), SKEW_MAX_S)
    fresh = zone.inception - skew <= now <= zone.expires + skew
    return "secure" if fresh and zone.ds == "right" else "bogus"


def _pins(pins, made):
    """Every pin with its data: ["3 1 1 <hex>"]."""
    return sorted(record.removeprefix("TLSA ")
                  for pin in pins for record in zones.expand(f"TLSA {pin}", made))


def _case(case, made):
    expect = [verdict | {"pins": verdict["pins"] and _pins(verdict["pins"], made)}
              for verdict in case["expect"]]
    return case | {"expect": expect}


def _host_addresses(world):
    """Every address in the zones: tests may serve there."""
    return {text.split()[1] for zone in world.zones.values() for _, _, text in zone.lines
            if text.split()[0] in ("A", "AAAA")}


def build(world, run_dir, now):
    """Fills an existing, empty run directory. Returns the contents of world.json."""
    made = certs.make(world.certs, run_dir / "certs")
    anchor = zones.make(world, made, run_dir / "zones")
    servers.configure(world, run_dir)
    (run_dir / "root.key").write_text(anchor)
    hints = []
    for name in world.zones["."].servers:
        hints.append(f". 3600000 NS {name}.root-servers.")
        hints += [f"{name}.root-servers. 3600000 {'AAAA' if ':' in address else 'A'} {address}"
                  for address in world.servers[name].addresses]
    (run_dir / "root.hints").write_text("\n".join(hints) + "\n")
    (run_dir / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    described = {
        "dir": str(run_dir), "hints": str(run_dir / "root.hints"),
        "anchor": str(run_dir / "root.key"), "certs_dir": str(run_dir / "certs"),
        "capture": str(run_dir / "capture.pcap"), "built": now,
        "service": capture.SERVICE, "outgoing": capture.OUTGOING,
        "addresses": sorted(_host_addresses(world)),
        "kbv_zones": world.kbv_zones, "kbv_require_secure": world.kbv_require_secure,
        "servers": {name: vars(server) for name, server in world.servers.items()},
        "zones": {name: {"servers": zone.servers, "algorithms": zone.algorithms,
                         "denial": zone.denial if zone.signed else None, "ttl": zone.ttl,
                         "inception": zone.inception, "expires": zone.expires,
                         "data": zone.data, "security": _security(zone, world, now),
                         "file": str(run_dir / "zones" / f"{zones.file_name(zone)}.zone")}
                  for name, zone in world.zones.items()},
        "certs": {name: {"cert": str(entry.cert), "key": str(entry.key),
                         "chain": str(entry.chain), "issuer": world.certs[name].issuer,
                         "names": world.certs[name].dns_names,
                         "cert_sha256": hashlib.sha256(entry.cert_der).hexdigest(),
                         "spki_sha256": hashlib.sha256(entry.spki_der).hexdigest()}
                  for name, entry in made.items()},
        "cases": [_case(case, made) for case in world.cases.values()],
    }
    (run_dir / "world.json").write_text(json.dumps(described, indent=1) + "\n")
    return described


def addresses(described):
    """All addresses that the namespace must have."""
    found = set(described["service"]) | set(described["outgoing"]) | set(described["addresses"])
    for server in described["servers"].values():
        found |= set(server["addresses"])
    return found
