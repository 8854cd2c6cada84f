# SPDX-License-Identifier: BSD-3-Clause
"""A server that takes questions and never answers: UDP is read by nobody, TCP is accepted."""

import signal
import socket
import sys


def main(addresses):
    held = []
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            sock = socket.socket(family, kind)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((address, 53))
            if kind == socket.SOCK_STREAM:
                sock.listen(64)
            held.append(sock)
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
