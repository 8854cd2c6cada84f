# SPDX-License-Identifier: BSD-3-Clause
"""Questions that nobody asked before: the names that are made up, and the program that asks them."""

import subprocess
import tomllib

from kbvtest import programs
from kbvworld import description, dnsmsg

FLOOD = programs.BUILD / "tests/floods/flood"
REGISTRY = "joineuis.lora-alliance.org"
# Two blocks of JoinEUIs, 70B3D57EDB…… and 70B3D57ED9……: of the first one each is registered, by a
# wildcard, of the second one none is.
REGISTERED = f"b.d.e.7.5.d.3.b.0.7.{REGISTRY}."
UNREGISTERED = f"9.d.e.7.5.d.3.b.0.7.{REGISTRY}."
SERVER = "ns.op-a.example."


def world_settings(added=None, ttl_s=None):
    """Arguments for tests/world/run that add the wildcard, and records to zones: {ZONE: LINES}."""
    zones = tomllib.loads(description.FILE.read_text())["zone"]
    lines = {REGISTRY: f'*.{REGISTERED} NAPTR 50 50 "A" "LWNS" "" {SERVER}\n', **(added or {})}
    settings = []
    for zone, text in lines.items():
        settings += ["--set", f"{zone}.records={zones[zone + '.'].get('records', '')}{text}"]
    if ttl_s:
        settings += [word for zone in (REGISTRY, "op-a.example", "op-b.example", "op-v.example")
                     for word in ("--set", f"{zone}.ttl={ttl_s}")]
    return settings


def start(form, *names, questions=None, seconds=None, rate=None, window=None, seed=1, source=None,
          rrtype=None, port=None):
    """A running flood: see flood.c for what the words mean."""
    words = [str(FLOOD), "-k", str(seed)]
    for letter, value in (("n", questions), ("l", seconds), ("r", rate), ("w", window),
                          ("b", source), ("t", rrtype and dnsmsg.TYPES[rrtype]), ("p", port)):
        if value is not None:
            words += [f"-{letter}", str(value)]
    return subprocess.Popen([*words, form, *names], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True)


def finished(process, timeout_s=None):
    """Its figures: {"sent": …, "answered": …, "lost": …, "longest": …, STATUS: …}."""
    output, _ = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, f"flood ended with {process.returncode}: {output}"
    return {word: float(value) if "." in value else int(value)
            for word, value in (line.split() for line in output.splitlines())}
