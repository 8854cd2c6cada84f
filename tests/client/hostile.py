# SPDX-License-Identifier: BSD-3-Clause
"""A resolver that answers whatever a test has it answer, over UDP, TCP and TLS on real sockets."""

import datetime
import hashlib
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

RRTYPE, OPTION, TLSA, TXT = 65300, 65100, 52, 16
OWNER = "_8003._tcp.js1.op-a.example."
OUR_KEY = hashlib.sha256(b"the key that the peer proved").digest()
OTHER_KEY = hashlib.sha256(b"the key of somebody else").digest()


def u16(n):
    return struct.pack(">H", n)


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


# ------------------------------------------------------------------------------------- verdicts


def tlv(key, value):
    return u16(key) + u16(len(value)) + value


def endpoint(host, port):
    return tlv(3, struct.pack(">HHHHH", 0, 0, 0, 0, port) + wire(host))


def identifier(name, value="70b3d57ed0000000"):
    return tlv(2, b"\1" + bytes.fromhex(value) + wire(name))


def verdict(status=1, owner=OWNER, key=OUR_KEY, issued=-10, until=300, tlvs=b"", match=(3, 1, 1),
            signer=None, now=None):
    """The octets of a verdict. key None: unkeyed. issued, until: [s] from now. tlvs in their order."""
    now = int(time.time()) if now is None else now
    keyed = key is not None
    octets = bytes([0x12, status, keyed, keyed, *(match if status == 1 else (255, 255, 255)), 13])
    octets += struct.pack(">II", now + issued & 0xFFFFFFFF, now + until & 0xFFFFFFFF)
    octets += (key or bytes(32)) + bytes(16) + b"\xff\xff" + wire(owner) + u16(len(tlvs)) + tlvs
    return signer.sign(octets) if signer else octets + b"\0"


class Signer:
    """An Ed25519 key as a resolver has it."""

    def __init__(self):
        self.private = ed25519.Ed25519PrivateKey.generate()
        self.public = self.private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def sign(self, octets):
        octets += b"\1" + hashlib.sha256(self.public).digest()[:4]
        return octets + self.private.sign(b"lorawan-kbv-v1\0" + octets)


# ------------------------------------------------------------------------------------- messages


@dataclass
class Query:
    """What the client sent, and whence."""
    octets: bytes
    over: str  # "udp", "tcp" or "tls"
    peer: tuple
    at: float = field(default_factory=time.monotonic)

    def __post_init__(self):
        self.id, self.flags, *self.counts = struct.unpack(">HHHHHH", self.octets[:12])
        end = 12
        while self.octets[end]:
            end += 1 + self.octets[end]
        self.name = self.octets[12:end + 1]
        self.qtype, self.qclass = struct.unpack(">HH", self.octets[end + 1:end + 5])
        self.additional = self.octets[end + 5:]

    @property
    def text(self):
        labels, rest = [], self.name
        while rest[0]:
            labels.append(rest[1:1 + rest[0]].decode())
            rest = rest[1 + rest[0]:]
        return ".".join(labels) + "."

    @property
    def option(self):
        """The data of the one option 65100, None if there is none."""
        options, rest = self.additional[11:], []
        while options:
            code, length = struct.unpack(">HH", options[:4])
            rest.append((code, options[4:4 + length]))
            options = options[4 + length:]
        assert len(rest) <= 1 and all(code == OPTION for code, _ in rest), "strange options"
        return rest[0][1] if rest else None

    @property
    def nonce(self):
        return self.option[4:4 + self.option[3]]


def opt(*options, size=1232, ttl=0):
    data = b"".join(u16(code) + u16(len(value)) + value for code, value in options)
    return b"\0" + struct.pack(">HHIH", 41, size, ttl, len(data)) + data


def rr(octets, name=b"\xc0\x0c", rrtype=RRTYPE, rrclass=1, ttl=60):
    return name + struct.pack(">HHIH", rrtype, rrclass, ttl, len(octets)) + octets


def reply(query, *options, answer=(), authority=(), additional=None, flags=0x8180, number=None,
          name=None, qtype=None, qclass=1, questions=1, rcode=0, counts=None):
    """A reply. options: (code, data); additional None: an OPT that holds them."""
    additional = [opt(*options)] if additional is None else additional
    counts = counts or (questions, len(answer), len(authority), len(additional))
    question = (query.name if name is None else name) + \
        struct.pack(">HH", query.qtype if qtype is None else qtype, qclass)
    return struct.pack(">HHHHHH", query.id if number is None else number, flags | rcode, *counts) + \
        question * questions + b"".join([*answer, *authority, *additional])


def honest(query):
    """What a resolver would answer for our key."""
    if query.option is None:
        return reply(query, answer=[rr(verdict())])
    return reply(query, (OPTION, verdict(tlvs=tlv(1, query.nonce) if query.nonce else b"")))


# -------------------------------------------------------------------------------------- servers


class Certificate:
    """A self-signed one, and the pin of its key."""

    def __init__(self, folder, name):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        day = datetime.timedelta(days=1)
        begin = datetime.datetime(2020, 1, 1)  # expired: the pin is all that counts
        certificate = x509.CertificateBuilder().subject_name(subject).issuer_name(subject) \
            .public_key(key.public_key()).serial_number(1).not_valid_before(begin) \
            .not_valid_after(begin + day).sign(key, hashes.SHA256())
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.key = key.private_bytes(serialization.Encoding.PEM,
                                     serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.key + self.pem)
        spki = key.public_key().public_bytes(serialization.Encoding.DER,
                                             serialization.PublicFormat.SubjectPublicKeyInfo)
        self.pin = hashlib.sha256(spki).digest()


class Stop(Exception):
    """Of a behaviour: this connection is over."""


class Connection:
    """What a behaviour writes to."""

    def __init__(self, send, sock=None):
        self._send, self.sock = send, sock

    def reply(self, octets):
        self._send(octets if self.sock is None else u16(len(octets)) + octets)

    def raw(self, octets):
        self._send(octets)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Stop

    def close(self):
        raise Stop


class Server:
    """behave(query, connection) is called for each query. It listens on UDP and TCP, or on TLS."""

    def __init__(self, behave, address="127.0.0.1", tls=None, port=0, context=None):
        self.behave, self.queries, self.errors, self._tls = behave, [], [], None
        self._ended = False
        if tls:
            self._tls = context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(tls.file)
        self._datagrams = None if tls else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._streams = self._listen(address, port)
        self.address, self.port = self._streams.getsockname()[:2]
        for target in [self._accept] if tls else [self._accept, self._receive]:
            threading.Thread(target=target, daemon=True).start()

    def _listen(self, address, port):
        """A port that is free for both; the ports of the clients of other tests are not."""
        while True:
            streams = socket.create_server((address, port), backlog=300)
            try:
                if self._datagrams:
                    self._datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                    self._datagrams.bind(streams.getsockname())
                return streams
            except OSError:
                streams.close()
                if port:
                    raise

    @property
    def words(self):
        return ["--server", f"{self.address}@{self.port}"]

    def _handle(self, query, connection):
        self.queries.append(query)
        try:
            self.behave(query, connection)
        except (Stop, OSError):
            return False
        except Exception as error:  # a fault of the test's, not the client's
            self.errors.append(repr(error))
            return False
        return True

    def _receive(self):
        while not self._ended:
            try:
                octets, peer = self._datagrams.recvfrom(65535)
            except OSError:
                return
            connection = Connection(lambda reply, to=peer: self._datagrams.sendto(reply, to))
            threading.Thread(target=self._handle, args=(Query(octets, "udp", peer), connection),
                             daemon=True).start()

    def _accept(self):
        while not self._ended:
            try:
                sock, peer = self._streams.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock, peer), daemon=True).start()

    def _serve(self, sock, peer):
        try:
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as stream:
                while True:
                    length = stream.read(2)
                    if len(length) < 2:
                        return
                    octets = stream.read(struct.unpack(">H", length)[0])
                    query = Query(octets, "tls" if self._tls else "tcp", peer)
                    if not self._handle(query, Connection(sock.sendall, sock)):
                        return
        except OSError:
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._ended = True
        self._streams.close()
        if self._datagrams:
            self._datagrams.close()
