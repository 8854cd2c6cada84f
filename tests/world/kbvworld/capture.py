# SPDX-License-Identifier: BSD-3-Clause
"""Captures what the resolver under test and the servers say to each other, and reads it back.

Written to capture.pcap (any pcap tool reads it) are all packets of the namespace but those to or
from loopback addresses and the resolver's service addresses: clients ask there, and a load test
must not drown the capture. tcpdump would do, but it cannot run in a user namespace.
"""

import ctypes
import ipaddress
import os
import secrets
import socket
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from . import dnsmsg

SERVICE = ("192.0.2.53", "2001:db8::53")   # clients ask the resolver here, or on loopback
OUTGOING = ("192.0.2.54", "2001:db8::54")  # the resolver asks from here
MARK_PORT = 9

_GLOBAL_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
_SO_ATTACH_FILTER, _SO_RCVBUFFORCE, _SOL_PACKET = 26, 33, 263
_PACKET_STATISTICS, _PACKET_OUTGOING = 6, 4
_ETH_IPV4, _ETH_IPV6 = 0x0800, 0x86DD


def _filter():
    """Classic BPF: drop loopback and service addresses, by source or destination."""
    load_half, load_word = 0x28, 0x20
    def word(address, at=0):
        return struct.unpack_from(">I", ipaddress.ip_address(address).packed, at)[0]
    # Each test: (load at offset, compare with); a packet that fulfils one group is dropped.
    groups = []
    for at in (26, 30):  # IPv4 source, destination
        groups.append((_ETH_IPV4, [(at, 0xFF000000, word("127.0.0.0"))]))
        groups.append((_ETH_IPV4, [(at, 0xFFFFFFFF, word(SERVICE[0]))]))
    for at in (22, 38):  # IPv6 source, destination
        for address in ("::1", SERVICE[1]):
            groups.append((_ETH_IPV6, [(at + 4 * n, 0xFFFFFFFF, word(address, 4 * n))
                                       for n in range(4)]))
    code = []
    for ethertype, tests in groups:
        length = 2 + 3 * len(tests) + 1
        code += [(load_half, 0, 0, 12), (0x15, 0, length - 2, ethertype)]
        for n, (at, mask, value) in enumerate(tests):
            code += [(load_word, 0, 0, at), (0x54, 0, 0, mask),
                     (0x15, 0, length - 2 - 3 * (n + 1), value)]
        code.append((0x06, 0, 0, 0))
    code.append((0x06, 0, 0, 262144))
    return code


def _attach(sock):
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _filter())
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HP", len(code) // 8, ctypes.addressof(buffer))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def record(path):
    """Captures for ever; run as a process of its own. A file beside counts lost packets."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as sock:
        _attach(sock)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 25)
        except PermissionError:  # in a user namespace: as much as the system grants
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 25)
        sock.bind(("lo", 0))
        _write(sock, path)


def _write(sock, path):
    with open(path, "wb", buffering=0) as out:  # once it is there, nothing is missed
        out.write(_GLOBAL_HEADER)
        lost = 0
        while True:
            packet, address = sock.recvfrom(262144)
            if address[2] == _PACKET_OUTGOING:  # each packet comes twice on lo
                continue
            now = time.time_ns()
            out.write(struct.pack("<IIII", now // 10**9, now % 10**9 // 1000, len(packet),
                                  len(packet)) + packet)
            lost += struct.unpack("II", sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
            if lost:
                Path(f"{path}.lost").write_text(f"{lost}\n")


@dataclass
class Packet:
    time: float
    source: str
    destination: str
    protocol: str  # udp, tcp or a number
    source_port: int
    port: int
    payload: bytes


def _parse(stamp, frame):
    ethertype = struct.unpack_from(">H", frame, 12)[0]
    if ethertype == _ETH_IPV4:
        body = frame[14 + (frame[14] & 15) * 4:14 + struct.unpack_from(">H", frame, 16)[0]]
        protocol, source, destination = frame[23], frame[26:30], frame[30:34]
    elif ethertype == _ETH_IPV6:
        body = frame[54:54 + struct.unpack_from(">H", frame, 18)[0]]
        protocol, source, destination = frame[20], frame[22:38], frame[38:54]
    else:
        return None
    source, destination = str(ipaddress.ip_address(source)), str(ipaddress.ip_address(destination))
    if protocol not in (6, 17):
        return Packet(stamp, source, destination, str(protocol), 0, 0, b"")
    source_port, port = struct.unpack_from(">HH", body)
    payload = body[8:] if protocol == 17 else body[(body[12] >> 4) * 4:]
    return Packet(stamp, source, destination, "udp" if protocol == 17 else "tcp", source_port,
                  port, payload)


def _flush(path):
    """Waits until everything sent before this call is in the file."""
    token = secrets.token_bytes(16)
    deadline = time.monotonic() + 5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("192.0.2.54", 0))
        sock.sendto(token, ("192.0.2.55", MARK_PORT))
        while time.monotonic() < deadline:
            with open(path, "rb") as file:
                file.seek(max(0, os.path.getsize(path) - (1 << 20)))
                if token in file.read():
                    return
            time.sleep(0.01)
    raise TimeoutError("the capture does not keep up or has ended")


def position(path):
    """A place in the capture, to read from later."""
    _flush(path)
    return os.path.getsize(path)


def packets(path, since=0):
    """Everything captured from a position on, the marks of this module left out."""
    _flush(path)
    data = Path(path).read_bytes()
    at = max(since, len(_GLOBAL_HEADER))
    while at + 16 <= len(data):
        seconds, micros, length, _ = struct.unpack_from("<IIII", data, at)
        frame = data[at + 16:at + 16 + length]
        at += 16 + length
        packet = _parse(seconds + micros / 1e6, frame)
        if packet and "192.0.2.55" not in (packet.source, packet.destination):
            yield packet


def lost(path):
    """Packets that the capture did not get: a count from it is a lower bound if not 0."""
    file = Path(f"{path}.lost")
    return int(file.read_text()) if file.exists() else 0


@dataclass
class Query:
    time: float
    server: str
    protocol: str
    name: str
    type: str

    @property
    def is_planted(self):
        """Ours by type or name: such a question must never go upstream."""
        return self.type == "TYPE65300" or "_kbv" in self.name.split(".")


def queries(path, since=0):
    """The questions that the resolver sent upstream from a position on."""
    for packet in packets(path, since):
        if packet.source not in OUTGOING or packet.port != 53 or not packet.payload:
            continue
        payload = packet.payload[2:] if packet.protocol == "tcp" else packet.payload
        try:
            message = dnsmsg.decode(payload)
        except ValueError:  # a segment that does not begin a message
            continue
        if not message.response:
            yield Query(packet.time, packet.destination, packet.protocol, message.qname,
                        message.qtype)


def strays(path, known, since=0):
    """Packets of the resolver to addresses that are none of the world's servers."""
    return [packet for packet in packets(path, since)
            if packet.source in OUTGOING and packet.destination not in known
            and packet.protocol in ("udp", "tcp")]


if __name__ == "__main__":
    record(sys.argv[1])
