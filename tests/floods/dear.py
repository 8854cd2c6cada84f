# SPDX-License-Identifier: BSD-3-Clause
"""A chain that costs as much as one can: as many signatures as may be sent, by the slowest curve."""

import datetime
import hashlib
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

ZONE, HOST = "op-v.example", "dear.op-v.example"
OWNER = f"_443._tcp.{HOST}."
LENGTH = 6  # of 8: two more of other certificates make each question another one
FILE = "KBV_DEAR_CHAIN"


def _name(n):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"dear {n}")])


def make():
    """The chain, end entity first, as DER."""
    keys = [ec.generate_private_key(ec.BrainpoolP512R1()) for _ in range(LENGTH)]
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    made = []
    for n, key in enumerate(keys):
        up = min(n + 1, LENGTH - 1)
        builder = x509.CertificateBuilder().subject_name(_name(n)).issuer_name(_name(up)) \
            .serial_number(n + 1).public_key(key.public_key()) \
            .not_valid_before(now - day).not_valid_after(now + day)
        if n == 0:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        else:
            builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        made.append(builder.sign(keys[up], hashes.SHA256()).public_bytes(Encoding.DER))
    return made


def publish(folder):
    """Makes a chain, keeps it in a file of the folder, and gives its record: {ZONE: LINES}."""
    made = make()
    os.environ[FILE] = str(Path(folder) / "chain")
    Path(os.environ[FILE]).write_text("\n".join(der.hex() for der in made))
    return {ZONE: f"_443._tcp.dear TLSA 2 0 1 {hashlib.sha256(made[-1]).hexdigest()}\n"}


def load():
    return [bytes.fromhex(line) for line in Path(os.environ[FILE]).read_text().split()]
