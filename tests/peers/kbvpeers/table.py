# SPDX-License-Identifier: BSD-3-Clause
"""The table between the two markers of docs/peers.md: written, and read again."""

import itertools
import re
from dataclasses import dataclass

from kbvtest import pages

from .cases import OURS
from .verifiers import ACCEPTS, ERROR, NOT_ASKED, PEERS, PKIX, REFUSES

WRITER = "tests/peers/run"


@dataclass
class Row:
    case: object
    peers: list  # what each of PEERS says


def is_right(case, said):
    """False if a verifier accepts what no RFC lets it accept, or refuses a good one."""
    if said == NOT_ASKED or case.rule == OURS:
        return True
    if case.status == "UNUSABLE":  # RFC 6698 section 4.1: as if there were no TLSA record
        return said != ACCEPTS
    return said == ACCEPTS if case.status == "BOUND" else said in (REFUSES, ERROR)


def _record(text):
    numbers, what = text.rsplit(" ", 1) if re.search(r" [0-9a-f]{8,}$", text) else (text, None)
    return f"`{numbers}` {len(what) // 2} octets" if what else \
        "`{}` {}".format(*re.fullmatch(r"(\d+ \d+ \d+) (.*)", text).groups())


def _records(texts):
    if len(texts) > 4:
        return f"{len(texts)} of `3 1 1`, the last: leaf"
    return "; ".join(map(_record, texts))


def _left(case):
    return [case.number, case.about, ", ".join(case.sent), _records(case.records), case.rule,
            case.status]


def _cells(row):
    return [said if is_right(row.case, said) else f"**{said}**" for said in row.peers]


def _summary(rows, versions):
    yield pages.line(["verifier", "asked", "accepts what is to be refused",
                 "does not accept what is to be accepted"])
    yield pages.line(["---"] * 4)
    yield pages.line(["kbv", len(rows), 0, 0])
    for number, peer in enumerate(PEERS):
        asked = [(row.case, row.peers[number]) for row in rows
                 if row.peers[number] != NOT_ASKED]
        wrong = [said for case, said in asked if not is_right(case, said)]
        accepts = sum(said in (ACCEPTS, PKIX) for said in wrong)
        yield pages.line([f"{peer.name} {versions[number]}", len(asked), accepts,
                     len(wrong) - accepts])


def lines(rows, versions):
    """Everything between the markers."""
    yield from _summary(rows, versions)
    for group, members in itertools.groupby(rows, lambda row: row.case.group):
        yield from ("", f"### {group}", "")
        yield pages.line(["#", "case", "sends", "TLSA", "rule", "verdict",
                     *(peer.name for peer in PEERS)])
        yield pages.line(["---"] * (6 + len(PEERS)))
        for row in members:
            yield pages.line(_left(row.case) + _cells(row))


def write(file, rows, versions):
    pages.write(file, WRITER, lines(rows, versions))


def read(file):
    """(versions, {left cells: peers' cells}) of the table as it is."""
    versions, found = {}, {}
    for cells in pages.cells(file, WRITER):
        for peer in PEERS:
            if cells[0].startswith(peer.name + " "):
                versions[peer.name] = cells[0].removeprefix(peer.name + " ")
        if cells[0].isdigit():
            found[tuple(cells[:6])] = cells[6:]
    return versions, found


def key(case):
    """What read() finds the row of a case by."""
    return tuple(str(cell) for cell in _left(case))


def peers_cells(row):
    return _cells(row)
