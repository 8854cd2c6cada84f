# SPDX-License-Identifier: BSD-3-Clause
"""What tests/forwarders/run writes between the two markers of docs/forwarders.md, and reads again."""

from kbvtest import pages

WRITER = "tests/forwarders/run"

# A table each: columns and their heads.
TABLES = ({"rr": "RR", "name": "digest name", "txt": "digest name, TXT", "option": "option",
           "tlsa": "option on TLSA", "digits": "option, name without letters"},
          {"octets": "same octets", "eight": "eight endpoints", "nonce": "nonce", "ede": "EDE",
           "dnssec": "TLSA", "signed": "signed", "kbv-option": "`--form edns`",
           "kbv-name": "`--form name`"})
# Of daemons.LATE.
LATE = {"rr": "RR past its time", "name": "digest name past its time"}


def _lines(heads, findings):
    yield from ("", pages.line(["in front", *heads.values()]), pages.line(["---"] * (1 + len(heads))))
    for name, cells in findings.items():
        yield pages.line([name, *(cells[column] for column in heads)])


def lines(findings, versions):
    """Everything between the markers. findings: cells by forwarder's name; versions by program."""
    yield from (pages.line(["program", "version"]), pages.line(["---"] * 2))
    yield from (pages.line(row) for row in versions.items())
    late = {name: cells for name, cells in findings.items() if set(cells) == set(LATE)}
    for heads in TABLES:
        yield from _lines(heads, {name: cells for name, cells in findings.items()
                                  if name not in late})
    yield from _lines(LATE, late)


def write(file, findings, versions):
    pages.write(file, WRITER, lines(findings, versions))


def read(file):
    """(findings, versions) as the tables have them."""
    versions, findings, heads = {}, {}, {}
    for name, *cells in pages.cells(file, WRITER):
        if name == "in front":
            heads = next((heads for heads in (*TABLES, LATE) if list(heads.values()) == cells), {})
        elif heads and cells and name != "---":
            findings.setdefault(name, {}).update(zip(heads, cells))
        elif cells and name not in ("program", "---"):
            versions[name] = cells[0]
    return findings, versions
