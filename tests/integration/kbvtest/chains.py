# SPDX-License-Identifier: BSD-3-Clause
"""Requests with certificate chains (material 5), of the world's certificates and of made-up ones."""

import datetime
import ssl
import struct
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

CHAIN = 5


class Chains:
    def __init__(self, described):
        self.files = {name: entry["cert"] for name, entry in described["certs"].items()}

    def request(self, *names, more=()):
        ders = [ssl.PEM_cert_to_DER_cert(Path(self.files[name]).read_text()) for name in names]
        ders += more
        octets = b"".join(struct.pack(">H", len(der)) + der for der in ders)
        return struct.pack(">BBBBH", 0x11, 0, CHAIN, 0, len(octets)) + octets


def made_up(n):
    """A certificate that nobody needs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"nobody {n}")])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    return x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(n + 1) \
        .public_key(key.public_key()).not_valid_before(now - day).not_valid_after(now + day) \
        .sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
