# SPDX-License-Identifier: BSD-3-Clause
"""tshark with the dissector under test, and what it says as Python sees it."""

import json
import os
import re
import struct
import subprocess
from datetime import datetime

from kbvtest import clients, programs

DISSECTOR = programs.TREE / "tools/wireshark/kbv.lua"
# Nobody's own settings, and not a second copy of the dissector from somebody's plugins.
ENVIRONMENT = os.environ | {"LC_ALL": "C.UTF-8", "TZ": "UTC", "WIRESHARK_CONFIG_DIR": "/nonexistent"}


def tshark(capture, *arguments):
    """What tshark prints. Whatever Lua complains of is a failure, and so is a fault that the
    dissector caught itself."""
    done = subprocess.run(["tshark", "-n", "-X", f"lua_script:{DISSECTOR}", "-r", str(capture),
                           *arguments], env=ENVIRONMENT, capture_output=True, check=False)
    output, errors = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == 0, errors
    assert "lua" not in errors.lower(), errors
    for fault in ("_ws.lua.error", "kbv.fault", "Lua Error"):
        assert fault not in output, f"{fault}: {output[max(0, output.find(fault) - 500):][:2000]}"
    return output


def frames(capture, *arguments):
    """The layers of each frame. tshark repeats keys: an object becomes a dict of lists."""
    def gather(pairs):
        found = {}
        for key, value in pairs:
            found.setdefault(key, []).append(value)
        return found
    text = tshark(capture, "-T", "json", "-J", "frame udp tcp dns kbv", *arguments)
    return [frame["_source"][0]["layers"][0]
            for frame in json.loads(text or "[]", object_pairs_hook=gather)]


def trees(frame):
    """The trees of the dissector in a frame; a lone empty one is a string."""
    return [tree if isinstance(tree, dict) else {} for tree in frame.get("kbv", [])]


def expert(tree, name):
    """Whether an expert information of this name is somewhere in a tree."""
    return f'"{name}"' in json.dumps(tree)


# ------------------------------------------------------------------------- as `kbv decode --json`


def _octets(text):
    return text.replace(":", "")


def _number(text):
    return int(text, 0)


def _time(text):
    """tshark says `Nov 22, 2026 05:00:00.000000000 UTC`."""
    seconds = re.sub(r"\.0+ UTC$", "", text)
    return datetime.strptime(seconds, "%b %d, %Y %H:%M:%S").strftime("%Y-%m-%dT%H:%M:%SZ")


def _first(tree, name, read):
    return read(tree[f"kbv.{name}"][0]) if f"kbv.{name}" in tree else None


def _associations(tlv):
    return [{"usage": _first(row, "association.usage", _number),
             "selector": _first(row, "association.selector", _number),
             "mtype": _first(row, "association.mtype", _number),
             "data": _first(row, "association.data", _octets)}
            for row in tlv.get("kbv.association", [])]


def _endpoint(tlv):
    return {"host": _first(tlv, "endpoint.host", str)} | \
        {key: _first(tlv, f"endpoint.{key}", _number)
         for key in ("port", "order", "preference", "priority", "weight")}


def _identifier(tlv):
    kinds = {1: "joineui", 2: "netid", 3: "deveui"}
    return {"kind": kinds[_first(tlv, "identifier.kind", _number)],
            "value": _first(tlv, "identifier.value", _octets).upper(),
            "name": _first(tlv, "identifier.name", str)}


TLVS = {1: ("nonce", lambda tlv: _first(tlv, "nonce", _octets)),
        2: ("identifier", _identifier),
        3: ("endpoint", _endpoint),
        4: ("associations", _associations),
        5: ("found_at", lambda tlv: _first(tlv, "found_at", str)),
        6: ("reference_names", lambda tlv: tlv.get("kbv.reference_name", [])),
        7: ("reason", lambda tlv: _first(tlv, "reason", str))}


def verdict(tree):
    """The object of docs/verdict-format.md section 12 for a tree; None if it is marked malformed."""
    if expert(tree, "kbv.malformed"):
        return None
    match = [_first(tree, name, _number) for name in ("usage", "selector", "mtype")]
    subject_kind = _first(tree, "subject_kind", _number)
    ede = _first(tree, "ede", _number)
    algorithm = _first(tree, "algorithm", _number)
    rrset_hash = _first(tree, "rrset_hash", _octets)
    code = _first(tree, "status", _number)
    flags = tree["kbv.flags_tree"][0]
    found = {
        "status": NAMES[code], "code": code, "owner": _first(tree, "owner", str),
        **{name: None if match == [255] * 3 else value
           for name, value in zip(("usage", "selector", "mtype"), match)},
        "subject": _first(tree, "subject", _octets) if subject_kind else None,
        "issued": _first(tree, "issued", _time), "not_after": _first(tree, "not_after", _time),
        "flags": [flag for flag in ("keyed", "aliased", "wildcard", "dates")
                  if _first(flags, f"flags.{flag}", _number)],
        "ede": None if ede == 0xFFFF else ede,
        "signed": {"key_id": _first(tree, "key_id", _octets), "verified": None}
        if "kbv.key_id" in tree else None,
        "subject_kind": {0: None, 1: "spki", 2: "cert"}[subject_kind],
        "algorithm": algorithm or None,
        "rrset_hash": rrset_hash if rrset_hash.strip("0") else None}
    found |= dict.fromkeys(name for name, _ in TLVS.values())
    for tlv in tree.get("kbv.tlv", []):
        key = _first(tlv, "tlv.key", _number)
        if key in TLVS:
            name, read = TLVS[key]
            found[name] = read(tlv)
    return found


NAMES = {1: "BOUND", 2: "NOT_BOUND", 3: "NO_BINDING", 4: "UNUSABLE", 5: "UNDECIDED", 6: "PUBLISHED",
         16: "INSECURE", 17: "INDETERMINATE", 18: "BOGUS", 19: "STALE", 20: "DOWNGRADE",
         32: "TEMPFAIL", 33: "REFUSED", 34: "BAD_INPUT", 35: "LIMIT"}


def as_shown(described):
    """Of a verdict's JSON object what the dissector shows differently: control characters."""
    reason = described["reason"]
    return described | {"reason": reason and re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", reason)}


def decoded(octets):
    """What `kbv decode --json` says; None if it refuses."""
    done = subprocess.run([str(programs.KBV), "decode", "--json", octets.hex()], text=True,
                          capture_output=True, check=False)
    return json.loads(done.stdout) if done.stdout else None


# ------------------------------------------------------------------------------ crafted captures

NAME = b"\2js\7example\0"


def record(octets, rrtype=65300):
    return b"\xc0\x0c" + struct.pack(">HHIH", rrtype, 1, 60, len(octets)) + octets


def option(octets, code=clients.OPTION):
    return b"\0" + struct.pack(">HHIH", 41, 1232, 0, len(octets) + 4) + \
        struct.pack(">HH", code, len(octets)) + octets


def message(flags, *, answers=(), additional=(), qname=NAME, qtype=65300):
    return struct.pack(">6H", 1, flags, 1, len(answers), 0, len(additional)) + qname + \
        struct.pack(">HH", qtype, 1) + b"".join(answers) + b"".join(additional)


def write_capture(path, messages, *arguments):
    """Each message as one UDP datagram; arguments: others of text2pcap's, such as -T PORT,PORT."""
    lines = []
    for octets in messages:
        for at in range(0, len(octets), 16):
            lines.append(f"{at:06x} {octets[at:at + 16].hex(' ')}")
    text = path.with_suffix(".txt")
    text.write_text("\n".join(lines) + "\n")
    subprocess.run(["text2pcap", "-q", *(arguments or ("-u", "40000,53")), str(text), str(path)],
                   capture_output=True, check=True)
