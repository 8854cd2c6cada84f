#!/usr/bin/python3
"""kbv_tls.py HOST PORT: connects by TLS, and speaks only if the server's key is bound to it."""
import hashlib
import socket
import ssl
import sys

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import kbv_rr

host, port = sys.argv[1], int(sys.argv[2])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the verdict judges instead
with context.wrap_socket(socket.create_connection((host, port), 5), server_hostname=host) as tls:
    key = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True)).public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:  # a digest does not show it
        sys.exit("refused: a weak key")
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if not kbv_rr.bound(f"_{port}._tcp.{host}.", hashlib.sha256(spki).digest()):
        sys.exit("refused")
    print("accepted")  # and here tls.sendall(…)
