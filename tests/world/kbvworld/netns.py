# SPDX-License-Identifier: BSD-3-Clause
"""A private network for one process tree, as root or, through a user namespace, without.

The namespace has a loopback interface and nothing else, so nothing can leave it. On that interface
every address in the world is local: a packet to an address that the world does not have is seen by
the capture and refused, instead of not being sent.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _call(what, *arguments):
    if getattr(_libc, what)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def enter(user_namespace=False):
    """Moves this process to new namespaces; its next child is the first in the PID namespace.

    A user namespace is made too where this is not root, or on demand.
    """
    uid, gid = os.geteuid(), os.getegid()
    user = CLONE_NEWUSER if uid != 0 or user_namespace else 0
    _call("unshare", CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | user)
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def die_with_parent():
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _mount(resolv_conf):
    """Gives the process tree its own /proc and resolv.conf.

    Not in a chroot: its root is no mount point, so mounts could not be kept from the outside. There
    /proc shows outer process numbers and resolv.conf is the outer one; the network is still ours.
    """
    private = subprocess.run(["mount", "--make-rprivate", "/"], stderr=subprocess.PIPE, text=True)
    if private.returncode != 0:
        print(f"run: no mounts of our own here: {private.stderr.splitlines()[0]}", file=sys.stderr)
        return
    subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
    outer = Path("/etc/resolv.conf")
    if outer.exists():
        subprocess.run(["mount", "--bind", str(resolv_conf), str(outer.resolve())], check=True)


def prepare(addresses, resolv_conf):
    """Run by the first process inside: its own /proc, loopback, every address of the world."""
    _mount(resolv_conf)
    # Where IPv6 is off by default (containers), turn it on for this namespace.
    for name in ("all", "default", "lo"):
        Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("0")
    batch = ["link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"]
    for address in sorted(addresses):
        batch.append(f"-6 address add {address}/128 dev lo nodad" if ":" in address
                     else f"address add {address}/32 dev lo")
    # `ip -batch` takes no family per line: one batch for each.
    for family in ("-4", "-6"):
        lines = [line.removeprefix("-6 ") for line in batch
                 if line.startswith("-6") == (family == "-6")]
        subprocess.run(["ip", family, "-batch", "-"], input="\n".join(lines) + "\n", text=True,
                       check=True)
