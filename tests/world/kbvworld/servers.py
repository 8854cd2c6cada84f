# SPDX-License-Identifier: BSD-3-Clause
"""The authoritative servers: configured, started, stopped, waited for.

A server is a folder servers/NAME in the run directory with its configuration, log and pid. Whoever
is in the namespace can stop and start it; no process watches over them.
"""

import os
import signal
import subprocess
import sys
import time

from . import dnsmsg
from .zones import file_name

READY_S = 20


def _nsd_config(server, zones, folder, zone_folder):
    lines = ["server:", *(f"    ip-address: {address}" for address in server.addresses),
             "    server-count: 1", "    database: \"\"", "    username: \"\"", "    chroot: \"\"",
             f"    zonesdir: \"{zone_folder}\"", f"    logfile: \"{folder}/log\"",
             f"    pidfile: \"{folder}/nsd.pid\"", f"    xfrdfile: \"{folder}/xfrd.state\"",
             f"    xfrdir: \"{folder}\"", f"    zonelistfile: \"{folder}/zone.list\"",
             # A test asks the same thing often: no rate limit.
             "    rrl-ratelimit: 0", "    rrl-whitelist-ratelimit: 0", "    verbosity: 1",
             "    tcp-count: 200", "remote-control:", "    control-enable: no"]
    for zone in zones:
        lines += ["zone:", f"    name: \"{zone.name}\"",
                  f"    zonefile: \"{file_name(zone)}.zone\""]
    return lines


def _knot_config(server, zones, folder, zone_folder):
    lines = ["server:", f"    rundir: \"{folder}\"", "    udp-workers: 1", "    tcp-workers: 1",
             "    background-workers: 1",
             f"    listen: [ {', '.join(f'{address}@53' for address in server.addresses)} ]",
             "database:", f"    storage: \"{folder}\"", "log:", "  - target: stderr",
             "    any: info", "template:", "  - id: default", f"    storage: \"{zone_folder}\"",
             "    journal-content: none", "    zonefile-load: whole", "    zonefile-sync: -1",
             "zone:"]
    for zone in zones:
        lines += [f"  - domain: \"{zone.name}\"", f"    file: \"{file_name(zone)}.zone\""]
    return lines


def configure(world, run_dir):
    """Writes every server's folder."""
    for server in world.servers.values():
        folder = run_dir / "servers" / server.name
        folder.mkdir(parents=True)
        make = {"nsd": _nsd_config, "knot": _knot_config}.get(server.kind)
        if make:
            zones = [world.zones[name] for name in server.zones]
            lines = make(server, zones, folder, run_dir / "zones")
            (folder / "conf").write_text("\n".join(lines) + "\n")


def _command(server, folder):
    return {"nsd": ["nsd", "-d", "-c", str(folder / "conf")],
            "knot": ["knotd", "-c", str(folder / "conf")],
            "silent": [sys.executable, "-m", "kbvworld.silent", *server["addresses"]]
            }[server["kind"]]


def pid(folder):
    """The server's process, or None where it does not run."""
    try:
        number = int((folder / "pid").read_text())
        os.kill(number, 0)
        return number
    except (FileNotFoundError, ProcessLookupError):
        return None


def start(server, run_dir):
    """Starts a server, given as its entry in world.json; does not wait for it."""
    folder = run_dir / "servers" / server["name"]
    if server["kind"] == "closed" or pid(folder):
        return
    with open(folder / "log", "ab") as log:
        process = subprocess.Popen(_command(server, folder), stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, start_new_session=True)
    (folder / "pid").write_text(f"{process.pid}\n")


def stop(server, run_dir, wait_s=5):
    """Kills a server at once, with all its processes: an authority that is gone, not one that
    says goodbye."""
    folder = run_dir / "servers" / server["name"]
    number = pid(folder)
    if number is None:
        return
    os.killpg(number, signal.SIGKILL)
    (folder / "pid").unlink()
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        try:
            os.waitpid(number, os.WNOHANG)  # where it is this process's own child
        except ChildProcessError:
            pass
        try:
            os.killpg(number, 0)
        except ProcessLookupError:
            return
        time.sleep(0.005)
    raise TimeoutError(f"{server['name']} does not die")


def pause(server, run_dir, resume=False):
    """Makes a server silent without closing its sockets (time-outs, not refusals), or undoes it."""
    number = pid(run_dir / "servers" / server["name"])
    if number is None:
        raise ProcessLookupError(f"{server['name']} does not run")
    os.killpg(number, signal.SIGCONT if resume else signal.SIGSTOP)
    while not resume:  # until it has taken effect
        try:
            dnsmsg.ask(server["addresses"][0], server["zones"][0], "SOA", timeout=0.2, rd=False)
        except TimeoutError:
            return


def _answers(address, zone, expected):
    for tcp in (False, True):
        reply = dnsmsg.ask(address, zone, "SOA", timeout=0.5, tcp=tcp, rd=False)
        if reply.rcode != expected or (expected == "NOERROR" and not reply.aa):
            return f"{address}: {zone} SOA is {reply.rcode}"
    return None


def wait(server, zones, run_dir, timeout=READY_S):
    """Waits until a server answers for each of its zones, over UDP and TCP, on every address.

    zones: the world's, by name, as in world.json. TimeoutError names what is missing.
    """
    if server["kind"] not in ("nsd", "knot"):
        return
    deadline = time.monotonic() + timeout
    for address in server["addresses"]:
        for zone in server["zones"]:
            expected = "NOERROR" if zones[zone]["data"] else "SERVFAIL"
            while True:
                try:
                    missing = _answers(address, zone, expected)
                except (OSError, ValueError) as error:
                    missing = f"{address}: {zone} SOA: {error}"
                if not missing:
                    break
                if time.monotonic() > deadline:
                    log = run_dir / "servers" / server["name"] / "log"
                    raise TimeoutError(f"server {server['name']} is not ready; {missing}; "
                                       f"its log ends:\n{log.read_text()[-2000:]}")
                time.sleep(0.01)
