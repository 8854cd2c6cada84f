# SPDX-License-Identifier: BSD-3-Clause
"""Zone files: compiled from the description, signed with ldns, tampered with where asked."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

from .certs import tlsa_data

KEY_BITS = {"RSASHA256": "2048"}


def file_name(zone):
    return zone.name.rstrip(".") or "root"


def _address_lines(name, server):
    return [f"{name} {'AAAA' if ':' in address else 'A'} {address}"
            for address in server.addresses]


def _delegation(zone, world):
    """NS and glue, the same text in the zone and in its parent."""
    lines = []
    for server in zone.servers:
        name = f"{server}.{zone.name if zone.name != '.' else 'root-servers.'}"
        lines.append(f"{zone.name} NS {name}")
        lines += _address_lines(name, world.servers[server])
    return lines


def _keygen(zone, folder):
    """Makes the zone's keys. Returns their base names and the DS records of the parent."""
    bases, ds = [], []
    for algorithm in zone.algorithms:
        bits = ["-b", KEY_BITS[algorithm]] if algorithm in KEY_BITS else []
        base = subprocess.run(["ldns-keygen", "-r", "/dev/urandom", "-a", algorithm, *bits, "-k",
                               zone.name], cwd=folder, check=True, stdout=subprocess.PIPE,
                              text=True).stdout.strip()
        bases.append(base)
        line = (folder / f"{base}.ds").read_text().split()
        if zone.ds == "wrong":
            line[-1] = line[-1][:-2] + ("00" if line[-1][-2:] != "00" else "ff")
        ds.append(" ".join(line))
    return bases, ds


def expand(text, made):
    """A record's text with @symbols replaced: one line, or several for @filler."""
    match = re.fullmatch(r"TLSA\s+(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s*(;.*)?", text)
    if not match:
        return [text]
    usage, selector, mtype = (int(number) for number in match.groups()[:3])
    return [f"TLSA {usage} {selector} {mtype} {data}"
            for data in tlsa_data(match[4], selector, mtype, made)]


def _unsigned_children(zone, world):
    return [child for child in world.zones.values()
            if not child.signed and world.parent_of(child) is zone]


def _compile(zone, world, ds, made):
    # Out of an opt-out span unsigned delegations are left: they go in once it is signed, as ldns
    # would make NSEC3 records for them.
    late = _unsigned_children(zone, world) if zone.denial == "nsec3 opt-out" else []
    lines = [f"$TTL {zone.ttl}", "$ORIGIN .",
             f"{zone.name} SOA {zone.servers[0]}.{zone.name.lstrip('.')} "
             f"hostmaster.{zone.name.lstrip('.')} 1 3600 600 86400 {min(zone.ttl, 60)}"]
    lines += _delegation(zone, world)
    for child in world.zones.values():
        if world.parent_of(child) is zone and child not in late:
            lines += _delegation(child, world) + ds[child.name]
    origin = "."
    for line_origin, owner, text in zone.lines:
        if line_origin != origin:
            origin = line_origin
            lines.append(f"$ORIGIN {origin}")
        lines += [f"{owner} {record}" for record in expand(text, made)]
    return "\n".join(lines) + "\n"


def _is_rrset(line, owner, rrtype):
    words = line.split(None, 5)
    return len(words) > 4 and words[0].lower() == owner and words[3] == rrtype


def _is_signature(line, owner, rrtype):
    return _is_rrset(line, owner, "RRSIG") and line.split(None, 5)[4] == rrtype


def _break(line):
    """The same RRSIG with another signature: one character in the middle of the base64."""
    head, signature = line.split(" ;", 1)[0].rsplit(None, 1)
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    return f"{head} {signature[:middle]}{other}{signature[middle + 1:]}"


def tamper(lines, owner, rrtype, what):
    """What an attacker without the key can do to a signed zone, given as one record a line."""
    hits = [line for line in lines if _is_signature(line, owner, rrtype)]
    if not hits:
        raise ValueError(f"nothing signed at {owner} {rrtype}")
    if what == "signature":
        return [_break(line) if line in hits else line for line in lines]
    gone = [line for line in lines
            if line in hits or (what == "remove" and _is_rrset(line, owner, rrtype))]
    return [line for line in lines if line not in gone]


def _sign(zone, world, bases, folder):
    source, signed = folder / f"{file_name(zone)}.plain", folder / f"{file_name(zone)}.zone"
    denial = {"nsec": [], "nsec3": ["-n", "-t", "0"], "nsec3 opt-out": ["-n", "-p", "-t", "0"]}
    subprocess.run(["ldns-signzone", "-o", zone.name, "-i", str(zone.inception),
                    "-e", str(zone.expires), "-f", str(signed), *denial[zone.denial],
                    *(["-U"] if len(bases) > 1 else []), str(source), *bases],
                   cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    lines = signed.read_text().splitlines()
    for owner, rrtype, what in zone.tamper:
        lines = tamper(lines, owner, rrtype, what)
    if zone.denial == "nsec3 opt-out":
        for child in _unsigned_children(zone, world):
            lines += [f"$TTL {zone.ttl}", "$ORIGIN .", *_delegation(child, world)]
    signed.write_text("\n".join(lines) + "\n")


def make(world, made, folder):
    """Writes <zone>.zone for every zone with data. Returns the root's DS, the trust anchor."""
    folder.mkdir()
    zones = list(world.zones.values())
    with ThreadPoolExecutor(2) as pool:
        keys = dict(zip(world.zones, pool.map(lambda zone: _keygen(zone, folder), zones)))
        ds = {name: lines for name, (_, lines) in keys.items()}
        served = [zone for zone in zones if zone.data]
        for zone in served:
            end = "plain" if zone.signed else "zone"
            (folder / f"{file_name(zone)}.{end}").write_text(_compile(zone, world, ds, made))
        list(pool.map(lambda zone: _sign(zone, world, keys[zone.name][0], folder),
                      [zone for zone in served if zone.signed]))
    return "\n".join(ds["."]) + "\n"
