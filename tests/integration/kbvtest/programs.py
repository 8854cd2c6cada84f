# SPDX-License-Identifier: BSD-3-Clause
"""Where things are: the tree, and the programs that the build made."""

import json
import os
import subprocess
from pathlib import Path

TREE = Path(__file__).resolve().parents[3]
WORLD = TREE / "tests/world/run"


def _build():
    """$KBV_BUILD_DIR, else the first of these folders that has an Unbound of ours."""
    given = os.environ.get("KBV_BUILD_DIR")
    usual = [Path.cwd(), TREE / "_build", TREE]
    return Path(given).absolute() if given else \
        next((folder for folder in usual if (folder / "unbound/unbound").exists()), TREE)


BUILD = _build()

UNBOUND = BUILD / "unbound/unbound"
CHECKCONF = BUILD / "unbound/unbound-checkconf"
CONTROL = BUILD / "unbound/unbound-control"
KBV = BUILD / "cli/kbv"
# Unpatched, of the same source and flags: `make bench-programs` puts it there.
STOCK = Path(os.environ.get("KBV_STOCK_UNBOUND", BUILD / "tests/bench/stock/unbound"))


def missing(*programs):
    """What of the programs is not built, as a sentence; empty if everything is there."""
    absent = [str(program) for program in programs if not os.access(program, os.X_OK)]
    return f"not built: {' '.join(absent)} (KBV_BUILD_DIR={BUILD})" if absent else ""


def knows_fast_reload():
    """Unbound 1.23 and newer."""
    usage = subprocess.run([str(CONTROL), "-h"], check=False, capture_output=True, text=True)
    return "fast_reload" in usage.stdout + usage.stderr


def world():
    """The description of the world that this process runs in."""
    return json.loads(Path(os.environ["KBV_WORLD_JSON"]).read_text())
