# SPDX-License-Identifier: BSD-3-Clause
"""Keys and signatures that are only there to be tried, and octets that look like something."""

import base64
import functools
import os
import struct

import dns.dnssec
from cryptography.hazmat.primitives.asymmetric import ec
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from .zone import IN, T, sign

P384 = 14
REVOKED, ZONE = 0x0080, 0x0100


@functools.cache
def _points(count):
    """Public keys that really are keys."""
    return [dns.dnssec.make_dnskey(ec.generate_private_key(ec.SECP384R1()).public_key(), P384, ZONE)
            for _ in range(count)]


def colliding(count, tag):
    """DNSKEY records of valid P-384 keys with a given key tag. The tag is a sum over the record's
    16-bit words (RFC 4034 appendix B), so the unused bits of the flags can make it anything."""
    found, spare = [], 8
    while len(found) < count:
        for dnskey in _points(count * spare):
            if len(found) == count:
                break
            for flags in ((ZONE + tag - dns.dnssec.key_id(dnskey)) % 65535,
                          (ZONE + tag - dns.dnssec.key_id(dnskey) - 1) % 65535):
                other = DNSKEY(IN, T.DNSKEY, flags, 3, P384, dnskey.key)
                if flags & ZONE and not flags & REVOKED and dns.dnssec.key_id(other) == tag:
                    found.append(other)
                    break
        spare *= 2
    return found[:count]


def false_over(zone, rrset, count):
    """Signatures over rrset with the zone's tag and algorithm that no key made. Each is in range,
    so that it takes a whole verification to find out."""
    pattern = sign(rrset, zone.key, zone.name)
    half = len(pattern.signature) // 2
    return [pattern.replace(signature=b"\0" + os.urandom(half - 1) + b"\0" + os.urandom(half - 1))
            for _ in range(count)]


def false_signatures(zone, owner, rrtype, count):
    return false_over(zone, zone.records[owner, rrtype], count)


def _der(tag, octets):
    if len(octets) < 128:
        return bytes([tag, len(octets)]) + octets
    length = len(octets).to_bytes((len(octets).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + octets


def rsa_spki(octets):
    """A SubjectPublicKeyInfo with a modulus of so many octets."""
    key = _der(0x30, _der(2, b"\x55" * octets) + _der(2, b"\1\0\1"))
    algorithm = _der(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    return _der(0x30, algorithm + _der(3, b"\0" + key))


def verdict_bound(digest):
    """The octets of a verdict that says BOUND about a key: what an attacker would plant."""
    owner = b"\4_443\4_tcp\2js\7planted\4evil\7example\0"
    return struct.pack(">4B3BBII", 0x12, 1, 1, 1, 3, 1, 1, 13, 0, 0xffffffff) + digest + \
        bytes(16) + b"\xff\xff" + owner + b"\0\0\0"


def digest_label(digest):
    return "s" + base64.b32hexencode(digest).decode().rstrip("=").lower()
