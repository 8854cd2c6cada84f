# SPDX-License-Identifier: BSD-3-Clause
"""The signed DNS tree that verifiers are asked in, and the root's key for those with their own idea."""

import os
import subprocess
from pathlib import Path

# Where Debian's libunbound, and so danetool, looks for the root's key.
ROOT_KEY = Path("/usr/share/dns/root.key")

DESCRIPTION = """
ttl = 3600
origin = "example."
kbv_zones = []
kbv_require_secure = []
[server]
root = {{ kind = "nsd", v4 = "198.51.100.1" }}
sole = {{ kind = "nsd", v4 = "198.51.100.2" }}
[zone."."]
servers = ["root"]
algorithm = "ECDSAP256SHA256"
[zone."example."]
servers = ["sole"]
algorithm = "ECDSAP256SHA256"
records = '''
{records}
'''
[cert]
[case]
"""


def use_own_root():
    """Gives libunbound this world's root key; mounts are private to the world."""
    done = subprocess.run(["mount", "--bind", os.environ["KBV_WORLD_ANCHOR"], str(ROOT_KEY)],
                          capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stderr.strip()
