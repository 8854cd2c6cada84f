# SPDX-License-Identifier: BSD-3-Clause
"""The names that are asked: hosts and JoinEUIs which the benchmark adds to the world.

Added to operator A: N hosts with an address and a TLSA record each. Added to the registry: N
JoinEUIs of each way to be registered: by SRV (operator A's two join servers), by host (one of those
hosts each), by alias (operator B's, as ChirpStack does it). Those by host have a TLSA record of
their own, which means nothing: it is there to be asked for, as a record with such a long name.
"""

import tomllib

from kbvworld import description

N = 256  # of each kind: more than one, so that no answer is always in the processor's own cache
TTL_S = 7200  # longer than any run: nothing that is cached expires while it is measured

REGISTRY = "joineuis.lora-alliance.org"
OPERATOR = "op-a.example"
SERVICE = "_lwn._j2h.op-a.example."
SERVERS = (("js1.op-a.example.", 8003), ("js2.op-a.example.", 443))
ALIASED = "js1.op-b.example."
KEY = "js1.current"  # the certificate whose key every host has, and js1 too


def host(n):
    return f"bench{n}.{OPERATOR}."


def owner(n):
    return f"_443._tcp.{host(n)}"


def _joineui(block, n):
    value = f"70B3D57EDA{block:02X}{n:04X}"
    return description.identifier_name("joineui", value, REGISTRY, "nibble")


def by_service(n):
    return _joineui(1, n)


def by_host(n):
    return _joineui(2, n)


def by_alias(n):
    return _joineui(3, n)


def unregistered(n):
    return _joineui(4, n * 7919 % 65536)


def world_settings():
    """Arguments for tests/world/run that add all of it."""
    zones = tomllib.loads(description.FILE.read_text())["zone"]
    hosts = "\n".join(f"{host(n)} A 203.0.113.{n % 200 + 20}\n{host(n)} AAAA 2001:db8:113::{n:x}\n"
                      f"{owner(n)} TLSA 3 1 1 @{KEY}" for n in range(N))
    euis = "\n".join(f'{by_service(n)} NAPTR 50 50 "S" "LWNS" "" {SERVICE}\n'
                     f'{by_host(n)} NAPTR 50 50 "A" "LWNS" "" {host(n)}\n'
                     f"{by_host(n)} TLSA 3 1 1 @{KEY}\n"
                     f"{by_alias(n)} CNAME {ALIASED}" for n in range(N))
    added = {OPERATOR: hosts, REGISTRY: euis}
    settings = []
    for zone, lines in added.items():
        records = zones[f"{zone}."].get("records", "") + lines
        settings += ["--set", f"{zone}.records={records}", "--set", f"{zone}.ttl={TTL_S}"]
    return settings + ["--set", f"op-b.example.ttl={TTL_S}"]
