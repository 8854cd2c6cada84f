# SPDX-License-Identifier: BSD-3-Clause
"""The specification of verdicts as the tests understand it: code points, requests, and a model of
what a digest decides. Written from docs/verdict-format.md; nothing here is shared with the code."""

import base64
import hashlib
import struct

# Status: code, EDE info code (None: no EDE goes out).
STATUSES = {
    "BOUND": (1, None), "NOT_BOUND": (2, 49152), "NO_BINDING": (3, 49153), "UNUSABLE": (4, 49154),
    "UNDECIDED": (5, 49155), "PUBLISHED": (6, None), "INSECURE": (16, 49156),
    "INDETERMINATE": (17, 5), "BOGUS": (18, 6), "STALE": (19, 3), "DOWNGRADE": (20, 49157),
    "TEMPFAIL": (32, 22), "REFUSED": (33, 18), "BAD_INPUT": (34, 49158), "LIMIT": (35, 49159),
}
# Finer codes that may stand for a bogus answer (RFC 8914): algorithms, DNSKEYs, signatures, denial.
BOGUS_EDES = {1, 2, 5, 6, 7, 8, 9, 10, 11, 12}
MAX_TTL, MAX_NEGATIVE_TTL = 3600, 300
# From 16 on the lifetime is this and nothing else.
FIXED_LIFE = {"INSECURE": 60, "INDETERMINATE": 60, "DOWNGRADE": 60, "BOGUS": 60, "STALE": 5,
              "TEMPFAIL": 5, "LIMIT": 5, "REFUSED": 0, "BAD_INPUT": 0}
MATERIALS = {None: 0, "spki-sha256": 1, "cert-sha256": 2, "chain": 5}
ALGORITHMS = {"RSASHA256": 8, "ECDSAP256SHA256": 13, "ED25519": 15}
DIGEST_OF_NOTHING = hashlib.sha256(b"").digest()


def request(material=None, octets=b"", nonce=b"", sign=False):
    """The octets of the EDNS option in a question."""
    return struct.pack(">BBBB", 0x11, sign, MATERIALS[material], len(nonce)) + nonce + \
        struct.pack(">H", len(octets)) + octets


def chain_material(certificates):
    """The material of a chain, of certificates in DER."""
    return b"".join(struct.pack(">H", len(der)) + der for der in certificates)


def digest_name(material, digest, name):
    """NAME with the digest in front of it."""
    letter = {"spki-sha256": "s", "cert-sha256": "c"}[material]
    return f"{letter}{base64.b32hexencode(digest).decode().rstrip('=').lower()}._kbv.{name}"


def parse_pin(pin):
    """(usage, selector, matching type, data) of "3 1 1 HEX"."""
    usage, selector, mtype, data = pin.split()
    return int(usage), int(selector), int(mtype), bytes.fromhex(data)


def _decide(pin, material, digest, spki_of):
    """True, False, or None where this digest cannot decide the record."""
    usage, selector, mtype, data = pin
    if usage != 3:
        return None
    if material == "spki-sha256":
        if (selector, mtype) == (1, 1):
            return data == digest
        if (selector, mtype) == (1, 0):
            return hashlib.sha256(data).digest() == digest
        # Another key than that of the certificate in the record: surely no match.
        if (selector, mtype) == (0, 0) and spki_of.get(hashlib.sha256(data).digest()) != digest:
            return False
    if material == "cert-sha256":
        if (selector, mtype) == (0, 1):
            return data == digest
        if (selector, mtype) == (0, 0):
            return hashlib.sha256(data).digest() == digest
    return None


def judge(status, pins, material, digest, spki_of):
    """(status, match) of a verdict when a digest is presented.

    status, pins: of the unkeyed verdict. spki_of: SHA-256 of a certificate to that of its key.
    """
    if status != "PUBLISHED":
        return status, None
    rows = sorted((parse_pin(pin) for pin in pins),
                  key=lambda row: bytes(row[:3]) + row[3])
    decided = [(row, _decide(row, material, digest, spki_of)) for row in rows]
    matches = [row for row, decision in decided if decision]
    if matches:
        return "BOUND", min(matches, key=lambda row: row[0] != 3)[:3]
    return ("UNDECIDED" if None in (decision for _, decision in decided) else "NOT_BOUND"), None


def _endpoint_order(verdict):
    """Verdicts without an endpoint come last."""
    point = verdict["endpoint"]
    if point is None:
        return (1,)
    labels = point["host"].rstrip(".").lower().encode().split(b".")
    return (0, point["order"], point["preference"], point["priority"], -point["weight"],
            point["port"], labels[::-1])


def select(verdicts, keyed):
    """The one that an option carries, of dicts with `status` and `endpoint`."""
    bad = [name for name, (code, _) in STATUSES.items() if code >= 16]
    ranks = [["BOUND"], bad, ["UNDECIDED"], ["NOT_BOUND"], ["UNUSABLE"], ["NO_BINDING"]] if keyed \
        else [["PUBLISHED"], bad, ["UNUSABLE"], ["NO_BINDING"]]
    rank = {name: number for number, names in enumerate(ranks) for name in names}
    return min(verdicts, key=lambda verdict: (rank[verdict["status"]], _endpoint_order(verdict)))


def rrset_hash(rdatas):
    """The first 16 octets of SHA-256 over an RRset's RDATA, sorted, each after its length."""
    text = b"".join(struct.pack(">H", len(rdata)) + rdata for rdata in sorted(rdatas))
    return hashlib.sha256(text).digest()[:16]
