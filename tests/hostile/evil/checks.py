# SPDX-License-Identifier: BSD-3-Clause
"""What is looked at beside the status."""

from kbvtest import verdicts
from kbvtest.tap import same


def life_at_most(seconds):
    def check(found):
        for verdict in found:
            life = verdicts.life(verdict)
            assert 1 <= life <= seconds, f"it lives {life} s, at most {seconds} would be right"
    return check


def wildcard(found):
    for verdict in found:
        assert "wildcard" in verdict["flags"], f"flags {verdict['flags']} without wildcard"


def published(found):
    same("statuses", [verdict["status"] for verdict in found], ["PUBLISHED"])


def victim_unharmed(ask):
    """What the attacker said of victim.example is not believed."""
    found = ask("_443._tcp.js.victim.example.")
    same("the victim's verdicts", [verdict["status"] for verdict in found], ["PUBLISHED"])
    same("the victim's pins", verdicts.pins(found[0]), [
        "3 1 1 f8e5c4a15e5d6e2f4a1d1a4a0a7f5d1b8c3e2b8f0d4c7a9b6e5f4d3c2b1a0918"])
