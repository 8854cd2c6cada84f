#!/usr/bin/python3
"""kbv_rr.py OWNER SPKI-SHA256: does this host's resolver prove that the key is bound to OWNER?"""
import base64
import struct
import sys
import time

import dns.exception
import dns.name
import dns.resolver


def accepts(octets, owner, digest, now):
    """All that docs/verdict-format.md section 10 asks, but for the channel, of a verdict on a TLSA
    owner for which SHA-256 of a key was presented. What is not exactly so is a refusal."""
    name = dns.name.from_text(owner).canonicalize().to_wire()
    if len(octets) < 66 + len(name) + 3 or octets[66:66 + len(name)] != name:
        return False  # cut, or on another owner
    kind, status, flags, subject_kind, usage, selector, mtype = octets[:7]
    issued, not_after = struct.unpack_from(">II", octets, 8)
    return ((kind, status, subject_kind) == (0x12, 1, 1)  # a verdict; BOUND; of a key
            and flags & 0xF1 == 0x01                      # keyed, and nothing critical
            and usage <= 3 and selector <= 1 and mtype <= 2
            and octets[16:48] == digest                   # of this key
            and (now - issued + 300) % 2**32 < 2**31      # issued - 300 <= now
            and (now - not_after) % 2**32 >= 2**31        # now < T
            and ends_well(octets[66 + len(name):]))


def ends_well(rest):
    """TLVs and signature, as far as a reader that uses neither must look at them."""
    end = 2 + int.from_bytes(rest[:2], "big")
    tlvs, auth, last = rest[2:end], rest[end:], 0
    while tlvs:
        key, length = int.from_bytes(tlvs[:2], "big"), int.from_bytes(tlvs[2:4], "big")
        # Ascending, none critical, and none that is for other questions than ours.
        if key <= last or key >= 0x8000 or key in (1, 2, 3, 4, 6) or len(tlvs) < 4 + length:
            return False
        tlvs, last = tlvs[4 + length:], key
    return auth == b"\0" or (auth[:1] == b"\1" and len(auth) == 69)


def bound(owner, digest):
    """Asks the resolver on this host; dns.exception.DNSException if there is no answer."""
    label = "s" + base64.b32hexencode(digest).decode().rstrip("=").lower()
    resolver = dns.resolver.Resolver(configure=False)  # not what resolv.conf names
    resolver.nameservers, resolver.lifetime = ["127.0.0.1"], 6
    answer = [record.data for record in resolver.resolve(f"{label}._kbv.{owner}", 65300)]
    return len(answer) == 1 and accepts(answer[0], owner, digest, int(time.time()))


if __name__ == "__main__":
    try:
        sys.exit(0 if bound(sys.argv[1], bytes.fromhex(sys.argv[2])) else 1)
    except dns.exception.DNSException as error:
        print(f"no verdict: {error}", file=sys.stderr)
        sys.exit(3)
