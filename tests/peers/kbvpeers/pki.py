# SPDX-License-Identifier: BSD-3-Clause
"""Certificates as good and as bad as a case wants them, made with python3-cryptography."""

import datetime
import hashlib
import ssl
import warnings
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

NOW = datetime.datetime.utcnow().replace(microsecond=0)
PURPOSES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
SMTP_UTF8_MAILBOX = ObjectIdentifier("1.3.6.1.5.5.7.8.9")
HASHES = {"sha256": hashes.SHA256, "sha1": hashes.SHA1}


@dataclass
class Signer:
    """What it takes to issue in somebody's name."""
    key: object
    subject: x509.Name
    key_id: bytes  # subject key identifier


@dataclass
class Cert:
    der: bytes
    spki: bytes
    key_pem: str
    signer: Signer = field(repr=False)

    def __getstate__(self):
        """For another process: what no longer signs anything."""
        return self.__dict__ | {"signer": None}

    @property
    def pem(self):
        return ssl.DER_cert_to_PEM_cert(self.der)

    def association(self, selector, mtype):
        """Certificate association data (RFC 6698 section 2.1), in hex."""
        data = self.der if selector == 0 else self.spki
        return {0: data.hex, 1: hashlib.sha256(data).hexdigest,
                2: hashlib.sha512(data).hexdigest}[mtype]()


def new_key(kind="P-256"):
    if kind == "RSA-1024":
        return rsa.generate_private_key(65537, 1024)
    return ec.generate_private_key(ec.SECP256R1())


def issue(issuer=None, *, cn="peer", names=(), addresses=(), other_name=False, ca=False,
          path_len=None, only_below=None, purpose="server", days=(-1, 30), key="P-256",
          digest="sha256", critical=None, key_id=None, subject=None, broken=False):
    """A certificate of `issuer`, self-signed if there is none.

    other_name: adds one to the dNSNames. days: notBefore and notAfter from now. only_below: a name
    constraint. purpose: extended key usage, None for none. critical: an OID of a critical extension
    that nobody knows. key: a kind, or a private key. broken: the signature does not verify.
    """
    key = new_key(key) if isinstance(key, str) else key
    issuer = issuer and issuer.signer
    subject = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    own_id = key_id or x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
    builder = (x509.CertificateBuilder().subject_name(subject)
               .issuer_name(issuer.subject if issuer else subject)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(NOW + datetime.timedelta(days=days[0]))
               .not_valid_after(NOW + datetime.timedelta(days=days[1]))
               .add_extension(x509.BasicConstraints(ca, path_len), True)
               .add_extension(x509.SubjectKeyIdentifier(own_id), False)
               .add_extension(x509.AuthorityKeyIdentifier(issuer.key_id if issuer else own_id,
                                                          None, None), False))
    if names or addresses:
        builder = builder.add_extension(x509.SubjectAlternativeName(
            [x509.DNSName(name) for name in names] +
            [x509.IPAddress(address) for address in addresses] +
            [x509.OtherName(SMTP_UTF8_MAILBOX, b"\x0c\x03a@b")] * other_name), False)
    if ca:
        builder = builder.add_extension(x509.KeyUsage(
            False, False, False, False, False, True, True, False, False), True)
    elif purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([PURPOSES[purpose]]), False)
    if only_below:
        constraints = x509.NameConstraints([x509.DNSName(only_below)], None)
        builder = builder.add_extension(constraints, True)
    if critical:
        unknown = x509.UnrecognizedExtension(ObjectIdentifier(critical), b"\5\0")
        builder = builder.add_extension(unknown, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SHA-1 is what a case wants
        signed = builder.sign(issuer.key if issuer else key, HASHES[digest]())
    der = signed.public_bytes(serialization.Encoding.DER)
    if broken:
        der = der[:-1] + bytes([der[-1] ^ 1])
    return Cert(der, key.public_key().public_bytes(serialization.Encoding.DER,
                                                   serialization.PublicFormat.SubjectPublicKeyInfo),
                key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()).decode(),
                Signer(key, subject, own_id))


def with_unknown_key(cert):
    """The same certificate, its key of an algorithm that nobody knows, its signature broken."""
    known, unknown = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f")
    assert cert.der.count(known) == 1, "not a key on a named curve"
    return Cert(cert.der.replace(known, unknown), cert.spki.replace(known, unknown), cert.key_pem,
                cert.signer)


def authority(cn, issuer=None, **how):
    return issue(issuer, cn=cn, ca=True, **how)
