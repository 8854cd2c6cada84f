# SPDX-License-Identifier: BSD-3-Clause
"""One TLS server for all cases: the address that a client came to says what it sends."""

import socket
import socketserver
import ssl
import threading
from pathlib import Path


def _context(case, folder):
    """What a case's server sends; OpenSSL's own ideas of what is too weak to be sent are off."""
    file = Path(folder) / f"{case.host}.pem"
    file.write_text(case.chain[0].key_pem + "".join(cert.pem for cert in case.chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.load_cert_chain(file)
    return context


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        context = self.server.contexts.get(self.request.getsockname()[0])
        self.request.settimeout(20)
        with context.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False) \
                as connection:
            try:
                connection.do_handshake()
                while connection.recv(4096):
                    pass
            except (ssl.SSLError, OSError):
                pass  # refused, or gone without a word: that is the client's to say
            try:  # never first to close: a client may be writing
                while socket.socket.recv(connection, 4096):
                    pass
            except OSError:
                pass


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128


class Servers:
    """Serves every case's chain on port 443 of its address, for the length of the block."""

    def __init__(self, cases, folder):
        self.server = _Server(("0.0.0.0", 443), _Handler, bind_and_activate=False)
        self.server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.server.contexts = {case.address: _context(case, folder)
                                for case in cases if not case.client}

    def __enter__(self):
        self.server.server_bind()
        self.server.server_activate()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
