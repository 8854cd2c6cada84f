# SPDX-License-Identifier: BSD-3-Clause
"""Who takes part in a join: the two programs of examples/, and resolvers that mislead them."""

import http.server
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from kbvtest import programs

EXAMPLES = Path(os.environ.get("KBV_EXAMPLES", programs.BUILD / "examples"))
RESOLVER = "127.0.0.1"
JOINEUIS = "joineuis.lora-alliance.org"
NETIDS = "netids.lora-alliance.org"
DEADLINE_S = 30
NOT_LOCAL = "198.18.0.66"  # an address of the world's network that no loopback trust covers


def network_server_words(phy_payload, cert, net_id, resolver=RESOLVER, more=()):
    """The command of a network server. cert: of the world's certificates."""
    return [str(EXAMPLES / "network-server"), "--netid", net_id, "--joineuis", JOINEUIS,
            "--resolver", resolver, "--cert", cert["chain"], "--key", cert["key"], *more,
            phy_payload]


def network_server(*arguments, **words):
    """Runs it: (exit status, the JoinAns or None, what it said)."""
    done = subprocess.run(network_server_words(*arguments, **words), capture_output=True, text=True,
                          check=False, timeout=DEADLINE_S)
    assert "Sanitizer" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def join_req(device, net_id, **changes):
    """A JoinReq of TS002 with some members changed, or, if None, left out."""
    whole = {"ProtocolVersion": "1.1", "SenderID": net_id, "ReceiverID": device.join_eui,
             "TransactionID": 4711, "MessageType": "JoinReq", "MACVersion": "1.0.4",
             "PHYPayload": device.join_request(), "DevEUI": device.dev_eui, "DevAddr": "14000001",
             "DLSettings": "00", "RxDelay": 1} | changes
    return {name: value for name, value in whole.items() if value is not None}


def plain_network_server(world, address, device, net_id):
    """A network server that knows nothing of TLS: curl. (the command, the JoinAns or None, errors)"""
    request = Path(world["dir"]) / "join-req.json"
    request.write_text(json.dumps(join_req(device, net_id)))
    words = ["curl", "-sS", "--json", f"@{request}", "http://{}:{}/".format(*address)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=DEADLINE_S)
    return words, json.loads(done.stdout) if done.stdout else None, done.stderr


class PlainJoinServer:
    """A join server that knows nothing of TLS, for one device. As a context manager it answers for
    the length of the block; requests: how many came."""

    def __init__(self, device):
        outer = self
        self.requests = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                outer.requests += 1
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                phy, nwk, app = device.accept(outer.requests, asked["SenderID"], asked["DevAddr"])
                body = json.dumps({
                    "MessageType": "JoinAns", "SenderID": asked["ReceiverID"],
                    "ReceiverID": asked["SenderID"], "TransactionID": asked["TransactionID"],
                    "Result": {"ResultCode": "Success"}, "PHYPayload": phy,
                    "NwkSKey": {"AESKey": nwk}, "AppSKey": {"AESKey": app}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.address = "{}:{}".format(*self.server.server_address)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class JoinServer:
    """A join server; as a context manager it runs for the length of the block."""

    def __init__(self, world, address, port, cert, devices, partners=("00050A", "00050B"),
                 resolver=RESOLVER, more=()):
        self.folder = Path(world["dir"]) / f"join-server-{address.replace(':', '-')}-{port}"
        self.folder.mkdir(exist_ok=True)
        self.address, self.port = address, port
        listed = self.folder / "devices.json"
        listed.write_text(json.dumps([device.row() for device in devices]))
        self.listen = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self.words = [str(EXAMPLES / "join-server"), "--listen", self.listen, "--netids", NETIDS,
                      "--resolver", resolver, "--cert", cert["chain"], "--key", cert["key"],
                      "--devices", str(listed), *more]
        for net_id in partners:
            self.words += ["--partner", net_id]
        self.file = self.folder / "log"

    def log(self):
        return self.file.read_text()

    def said(self, pattern):
        """Waits until a line of the log matches."""
        deadline = time.monotonic() + DEADLINE_S
        while not re.search(pattern, self.log()):
            assert self.process.poll() is None and time.monotonic() < deadline, \
                f"the join server did not say {pattern!r}: {self.log()}"
            time.sleep(0.01)

    def __enter__(self):
        with open(self.file, "wb") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        self.said("listening on")
        return self

    def __exit__(self, kind, *_):
        self.process.terminate()
        status = self.process.wait(DEADLINE_S)
        if kind is None:
            assert status == 0 and "Sanitizer" not in self.log(), f"{status}: {self.log()}"


class Listener:
    """Counts those who connect to a port, and hangs up."""

    def __init__(self, address, port):
        self.socket = socket.create_server((address, port))
        self.count = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.count += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Resolver:
    """A resolver over UDP that passes questions on to the real one, and changes the answers.

    change: octets of a DNS message to those that are sent instead; None: it keeps silent. As a
    context manager it answers for the length of the block.
    """

    def __init__(self, address, change=None):
        self.change, self.asked = change, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def _ask(self, message):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as upstream:
            upstream.settimeout(DEADLINE_S)
            upstream.sendto(message, (RESOLVER, 53))
            return upstream.recv(65535)

    def _serve(self):
        while True:
            message, client = self.socket.recvfrom(65535)
            if not message:
                return
            self.asked += 1
            if self.change:
                self.socket.sendto(self.change(self._ask(message)), client)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.socket.getsockname())
        self.thread.join(DEADLINE_S)
        self.socket.close()


def two_hours_old(message):
    """The same verdicts, as a resolver gave them two hours ago: T, at most an hour later, has passed."""
    def shift(match):
        times = struct.unpack(">II", match[2])
        return match[1] + struct.pack(">II", *(when - 7200 for when in times))
    # Version and kind, PUBLISHED, flags, no subject, no match, an algorithm; issued, T.
    return re.sub(rb"(\x12\x06[\x00-\x0f]\x00\xff\xff\xff.)(.{8})", shift, message, flags=re.S)


def with_key(old, new):
    """A change that puts one certificate's key in the place of another's."""
    return lambda message: message.replace(bytes.fromhex(old["spki_sha256"]),
                                           bytes.fromhex(new["spki_sha256"]))
