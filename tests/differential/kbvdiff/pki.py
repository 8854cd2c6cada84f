# SPDX-License-Identifier: BSD-3-Clause
"""Keys and certificates that peers show, and those that almost are theirs."""

import datetime
import functools
import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DER = serialization.Encoding.DER
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
DAY = 86400
NOTHING = hashlib.sha256(b"").digest()


def spki(key):
    return key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def raw_public(key):
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def make_key(kind, rng):
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    curve = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}[kind]
    return ec.derive_private_key(rng.getrandbits(curve.key_size - 8) + 1, curve)


@dataclass
class Authority:
    """A CA: what signs, its certificate, and those above it."""
    name: str
    key: object
    der: bytes
    above: list  # DER, next first

    @property
    def spki(self):
        return spki(self.key)


@dataclass
class Credential:
    """What a peer shows. chain[0] is the end entity's certificate."""
    label: str
    spki: bytes
    chain: list
    anchors: list  # DER of CA certificates that a record may name, sent or not


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def certificate(subject, key, issuer, issuer_key, now, ca=False, names=(), begin=-DAY,
                end=365 * DAY, usages=()):
    moment = datetime.datetime.utcfromtimestamp
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer)) \
        .public_key(key.public_key()).serial_number(x509.random_serial_number()) \
        .not_valid_before(moment(now + begin)).not_valid_after(moment(now + end)) \
        .add_extension(x509.BasicConstraints(ca, None), True)
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), False)
    algorithm = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(issuer_key, algorithm).public_bytes(DER)


class Pki:
    """Three families of a root, an intermediate and one below it; a pool of keys."""

    def __init__(self, rng, now):
        self.rng, self.now = rng, now
        kinds = ["p256"] * 8 + ["ed25519"] * 2 + ["p384", "rsa2048", "rsa1024"]
        self.keys = [make_key(kind, rng) for kind in kinds]
        self.families = [self._family(f"ca{at}", kind)
                         for at, kind in enumerate(("p256", "p256", "rsa2048", "rsa1024"))]
        # Of the victim's name, and with another key: found by its name, signed nothing.
        self.families.append(self._family("ca0", "p256"))
        self.credentials = []

    def bundle_pem(self):
        """What `kbv-ca-bundle` trusts: one root."""
        root = x509.load_der_x509_certificate(self.families[0][0].der)
        return root.public_bytes(serialization.Encoding.PEM).decode()

    def _family(self, name, kind):
        key = make_key(kind, self.rng)
        root = Authority(name, key, certificate(name, key, name, key, self.now, ca=True), [])
        # An anchor that has run out, and is not self-issued: OpenSSL does not look at its dates.
        end = self.rng.choice((365 * DAY,) * 4 + (-3600, 900))
        middle = self._below(root, f"{name}-middle", end)
        return [root, middle, self._below(middle, f"{name}-low", 365 * DAY)]

    def _below(self, issuer, name, end):
        key = make_key("p256", self.rng)
        der = certificate(name, key, issuer.name, issuer.key, self.now, ca=True, end=end)
        return Authority(name, key, der, [issuer.der] + issuer.above)

    def credential(self, names, label):
        """A peer's certificate with these names, mostly a good one."""
        rng = self.rng
        key = rng.choice(self.keys)
        issuer = rng.choice(rng.choice(self.families))
        begin, end = rng.choice([(-DAY, 90 * DAY)] * 7 + [(-DAY, 1200)] * 3 +
                                [(-DAY, -60), (DAY, 2 * DAY)])
        usages = rng.choice([(), (), (SERVER, CLIENT), (SERVER,), (CLIENT,)])
        if rng.random() < 0.12:
            der = certificate(label, key, label, key, self.now, names=names, begin=begin, end=end,
                              usages=usages)
            made = Credential(label, spki(key), [der], [der])
        else:
            der = certificate(label, key, issuer.name, issuer.key, self.now, names=names,
                              begin=begin, end=end, usages=usages)
            made = Credential(label, spki(key), [der, issuer.der] + issuer.above,
                              [issuer.der] + issuer.above)
        self.credentials.append(made)
        return made


@functools.cache
def key_of(der):
    """The SubjectPublicKeyInfo of a certificate, as it stands in it."""
    return x509.load_der_x509_certificate(der).public_key().public_bytes(
        DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def associated(data, mtype):
    return data if mtype == 0 else (hashlib.sha256 if mtype == 1 else hashlib.sha512)(data).digest()


# ------------------------------------------------------------------------- presentations

SPKI_SHA256, CERT_SHA256, SPKI, CERT, CHAIN = 1, 2, 3, 4, 5


def harmed_chain(rng, chain, strangers):
    """Something near a chain."""
    chain = list(chain)
    what = rng.choice(("missing", "root", "shuffled", "more", "twice", "signature", "other leaf",
                       "fake anchor"))
    if what == "missing" and len(chain) > 1:
        del chain[rng.randrange(1, len(chain))]
    elif what == "root":
        chain = chain[:-1] or chain
    elif what == "shuffled":
        rest = chain[1:]
        rng.shuffle(rest)
        chain = chain[:1] + rest
    elif what == "more":
        chain += rng.choice(strangers).chain[1:]
    elif what == "twice":
        chain.append(rng.choice(chain))
    elif what == "signature":
        chain[0] = chain[0][:-3] + bytes([chain[0][-3] ^ 1]) + chain[0][-2:]
    elif what == "other leaf":
        chain[0] = rng.choice(strangers).chain[0]
    elif what == "fake anchor":  # an attacker's chain, with the victim's public anchor behind it
        chain = rng.choice(strangers).chain + chain[1:]
    return chain[:8]


def malformed(rng, der):
    return rng.choice((der[:-1], der + b"\0", der[:len(der) // 2], b"\x30\x80" + der,
                       rng.randbytes(60)))


def presentation(rng, credential, strangers, material):
    """(material, octets, chain or certificate or key): one thing that a peer might have shown."""
    certificate_, key = credential.chain[0], credential.spki
    if material == SPKI_SHA256:
        return material, hashlib.sha256(key).digest()
    if material == CERT_SHA256:
        return material, hashlib.sha256(certificate_).digest()
    bad = rng.random()
    if material == SPKI:
        return material, malformed(rng, key) if bad < 0.04 else key
    if material == CERT:
        return material, malformed(rng, certificate_) if bad < 0.04 else certificate_
    chain = credential.chain
    if bad < 0.4:
        chain = harmed_chain(rng, chain, strangers)
    elif bad < 0.43:
        chain = list(chain)
        at = rng.randrange(len(chain))
        chain[at] = malformed(rng, chain[at])
    return material, b"".join(len(der).to_bytes(2, "big") + der for der in chain)
