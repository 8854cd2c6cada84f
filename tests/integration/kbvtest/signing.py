# SPDX-License-Identifier: BSD-3-Clause
"""Keys that sign verdicts, made for a test, and signatures verified without code of the project's."""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (Encoding, NoEncryption, PrivateFormat,
                                                          PublicFormat)

from . import verdicts

SIGNED_LEN = 4 + 64  # key id and signature


def pem(private, form=PrivateFormat.PKCS8, encryption=None):
    return private.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def write(path, octets, mode=0o600):
    path.unlink(missing_ok=True)
    path.write_bytes(octets)
    path.chmod(mode)


class Key:
    """A signing key in a file of its own, folder/name.pem."""

    def __init__(self, folder, name):
        self.private = ed25519.Ed25519PrivateKey.generate()
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.pin = base64.b64encode(raw).decode()
        self.id = hashlib.sha256(raw).digest()[:4]
        self.file = folder / f"{name}.pem"
        write(self.file, pem(self.private))

    def signed(self, octets):
        """True if this key signed the verdict; False if none did; an AssertionError for any other."""
        verdict = verdicts.decode(octets)
        if verdict["signed"] is None:
            return False
        assert verdict["signed"]["key_id"] == self.id.hex(), f"signed by {verdict['signed']}"
        try:
            self.private.public_key().verify(octets[-64:], b"lorawan-kbv-v1\0" + octets[:-64])
        except InvalidSignature:
            raise AssertionError(f"a wrong signature: {octets.hex()}") from None
        return True

    def conf(self, *lines):
        """Lines of unbound.conf."""
        return ["kbv:", f'    kbv-signing-key: "{self.file}"', *lines]
