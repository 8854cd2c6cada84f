# SPDX-License-Identifier: BSD-3-Clause
"""Keys and certificates, made afresh with openssl, and their TLSA data."""

import hashlib
import re
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

KEY_ARGUMENTS = {
    "P-256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "RSA-2048": ["-newkey", "rsa:2048"],
    "ED25519": ["-newkey", "ed25519"],
}


@dataclass
class Made:
    """A certificate on disk: PEM files, and both things that a TLSA record can bind."""
    cert: Path
    key: Path
    chain: Path  # what a TLS peer would send: end entity, then its CA
    cert_der: bytes
    spki_der: bytes


def _make_one(cert, folder):
    pem, key, chain = (folder / f"{cert.name}.{end}" for end in ("pem", "key", "chain.pem"))
    command = ["openssl", "req", "-x509", "-nodes", "-sha256", "-days", "30",
               "-config", str(folder / "openssl.cnf"), "-subj", f"/CN={cert.name}",
               *KEY_ARGUMENTS[cert.key], "-keyout", str(key), "-out", str(pem)]
    if cert.is_ca:
        extensions = ["basicConstraints=critical,CA:TRUE",
                      "keyUsage=critical,keyCertSign,cRLSign"]
    else:
        extensions = ["basicConstraints=critical,CA:FALSE",
                      "keyUsage=critical,digitalSignature",
                      "extendedKeyUsage=serverAuth,clientAuth"]
    if cert.issuer != cert.name:
        command += ["-CA", str(folder / f"{cert.issuer}.pem"),
                    "-CAkey", str(folder / f"{cert.issuer}.key")]
    if cert.dns_names:
        extensions.append("subjectAltName=" + ",".join(f"DNS:{name}" for name in cert.dns_names))
    if cert.pad:
        extensions.append("nsComment=" + "x" * cert.pad)
    for extension in extensions:
        command += ["-addext", extension]
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    spki = subprocess.run(["openssl", "pkey", "-in", str(key), "-pubout", "-outform", "DER"],
                          check=True, stdout=subprocess.PIPE).stdout
    text = pem.read_text()
    issuer = (folder / f"{cert.issuer}.pem").read_text() if cert.issuer != cert.name else ""
    chain.write_text(text + issuer)
    return Made(pem, key, chain, ssl.PEM_cert_to_DER_cert(text), spki)


def make(certs, folder):
    """Every certificate of the description in a folder: {name: Made}."""
    folder.mkdir()
    # openssl req wants a configuration; the system's own must not add anything.
    (folder / "openssl.cnf").write_text("[req]\ndistinguished_name = name\n[name]\n")
    made = {}
    with ThreadPoolExecutor(2) as pool:
        for generation in (True, False):  # authorities first: they sign the others
            batch = [cert for cert in certs.values() if cert.is_ca is generation]
            for cert, result in zip(batch, pool.map(lambda cert: _make_one(cert, folder), batch)):
                made[cert.name] = result
    return made


def tlsa_data(symbol, selector, mtype, made):
    """Certificate association data in hex (RFC 6698 §2.1): a list, as @filler makes several."""
    filler = re.fullmatch(r"@filler\((\d+)\.\.(\d+)\)", symbol)
    if filler:
        first, last = map(int, filler.groups())
        return [hashlib.sha256(f"filler {n}".encode()).hexdigest() for n in range(first, last + 1)]
    if not symbol.startswith("@"):
        return [symbol]
    entry = made[symbol[1:]]
    data = entry.cert_der if selector == 0 else entry.spki_der
    return [{0: data.hex, 1: hashlib.sha256(data).hexdigest,
             2: hashlib.sha512(data).hexdigest}[mtype]()]
