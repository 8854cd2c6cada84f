# SPDX-License-Identifier: BSD-3-Clause
"""Verdicts as the independent decoder reads them, compared with what the world's description and
the specification demand."""

import sys
import time
from datetime import datetime

from . import spec
from .programs import TREE
from .tap import same, within

sys.path.insert(0, str(TREE / "tests/decoder"))
import kbv_decode  # noqa: E402

CLOCK_S = 2  # the resolver counts whole seconds, and its answer takes its time to get here


def decode(octets):
    """The members that docs/verdict-format.md section 12 names; ValueError if malformed."""
    return kbv_decode.describe(kbv_decode.decode(octets))


def epoch(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def life(verdict):
    return epoch(verdict["not_after"]) - epoch(verdict["issued"])


def endpoint(verdict):
    """The endpoint as the world's description has it: the host with its final dot."""
    point = verdict["endpoint"]
    return point and point | {"host": point["host"].rstrip(".") + "."}


def pins(verdict):
    """The associations as the world's description writes them."""
    return sorted(f"{row['usage']} {row['selector']} {row['mtype']} {row['data'].lower()}"
                  for row in verdict["associations"] or [])


def flags(verdict):
    return sorted(flag for flag in verdict["flags"] if flag != "keyed")


class World:
    """What the tests look up in world.json."""

    def __init__(self, world):
        self.zones = world["zones"]
        self.certs = {name: {"spki-sha256": bytes.fromhex(cert["spki_sha256"]),
                             "cert-sha256": bytes.fromhex(cert["cert_sha256"])}
                      for name, cert in world["certs"].items()}
        self.spki_of = {cert["cert-sha256"]: cert["spki-sha256"] for cert in self.certs.values()}
        self.cases = {case["id"]: case for case in world["cases"]}

    def zone_of(self, name):
        labels = name.rstrip(".").split(".")
        return next(zone for skip in range(len(labels) + 1)
                    if (zone := self.zones.get(".".join(labels[skip:]) + ".")))

    def keyed(self, case, material, digest):
        """What a case must say when a digest is presented: its verdicts, each with `match`."""
        found = []
        for verdict in case["expect"]:
            status, match = spec.judge(verdict["status"], verdict["pins"] or [], material, digest,
                                       self.spki_of)
            found.append(verdict | {"status": status, "match": match})
        return found


def check_expected(found, expected, case):
    """One decoded verdict against one of the description's, whatever was presented."""
    same("status", found["status"], expected["status"])
    if expected["owner"]:  # the verdict that says "there were more" has none to compare
        same("owner", found["owner"], expected["owner"])
        same("endpoint", endpoint(found), expected["endpoint"])
    if expected["status"] in ("PUBLISHED", "BOUND", "NOT_BOUND", "UNDECIDED", "UNUSABLE"):
        same("found_at", found["found_at"], expected["found_at"])
    if expected["flags"] is not None:
        same("flags", flags(found), expected["flags"])
    if expected["algorithm"] is not None:
        same("algorithm", found["algorithm"], expected["algorithm"])
    if case["kind"] == "literal":
        same("identifier", found["identifier"], None)
    else:
        same("identifier", found["identifier"],
             {"kind": case["kind"], "value": case["value"].upper(), "name": case["name"]})
    same("signed", found["signed"], None)
    check_ede(found)
    check_life(found)


def check_ede(found):
    _, ede = spec.STATUSES[found["status"]]
    if found["status"] == "BOGUS":
        assert found["ede"] in spec.BOGUS_EDES, f"EDE {found['ede']} in a BOGUS verdict"
    else:
        same("EDE in the verdict", found["ede"], ede)


def check_life(found):
    """`issued` is not in the future, T is as far away as the status allows, and not past."""
    now, status = time.time(), found["status"]
    assert epoch(found["issued"]) <= now + 1, f"issued in the future: {found['issued']}"
    fixed = spec.FIXED_LIFE.get(status)
    if fixed is not None:
        # A keyed verdict ends no later than the one it was derived from.
        within(f"life of {status}", life(found), 0 if "keyed" in found["flags"] else fixed, fixed)
    else:
        cap = spec.MAX_TTL if status in ("PUBLISHED", "BOUND") else spec.MAX_NEGATIVE_TTL
        within(f"life of {status}", life(found), 1, cap)
    # Served while now <= T.
    assert epoch(found["not_after"]) >= now - CLOCK_S, f"served past T: {found['not_after']}"


def check_unkeyed(found, expected):
    """What only the answer to a question without a key carries."""
    same("subject", (found["subject"], found["subject_kind"]), (None, None))
    same("match", (found["usage"], found["selector"], found["mtype"]), (None, None, None))
    assert "keyed" not in found["flags"], "keyed without a key"
    if expected["status"] == "PUBLISHED":
        same("associations", pins(found), expected["pins"])
        assert found["reference_names"] is not None, "no REFERENCE_NAMES"
    else:
        same("associations", pins(found), [])
    if expected["names"] is not None:
        same("reference names", sorted(found["reference_names"]), expected["names"])


def check_keyed(found, expected, material, digest):
    """What the answer to a question with a key says of that key."""
    if found["status"] != "BAD_INPUT":
        assert "keyed" in found["flags"], "keyed flag missing"
        same("subject", (found["subject_kind"], found["subject"]),
             (material.removesuffix("-sha256"), digest.hex()))
    match = expected["match"] or (None, None, None)
    same("match", (found["usage"], found["selector"], found["mtype"]), tuple(match))
    # They stand in the unkeyed verdict alone.
    same("associations", pins(found), [])
    assert not found["reference_names"], "REFERENCE_NAMES in a keyed verdict"


def check_set(found, expected, check_one):
    """Every found verdict with the expected one of its owner; neither has more than the other."""
    rest = list(expected)
    for verdict in found:
        fitting = [row for row in rest if row["owner"] in (verdict["owner"], None)]
        assert fitting, f"an unexpected verdict: {verdict['status']} of {verdict['owner']}"
        row = max(fitting, key=lambda candidate: (candidate["status"] == verdict["status"],
                                                  candidate["owner"] is not None))
        rest.remove(row)
        check_one(verdict, row)
    assert not rest, f"no verdict {rest[0]['status']} of {rest[0]['owner']}"
