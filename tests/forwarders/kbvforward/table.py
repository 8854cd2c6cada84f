# SPDX-License-Identifier: BSD-3-Clause
"""What tests/forwarders/run writes between the two markers of docs/forwarders.md, and reads again."""

BEGIN, END = "<!-- tests/forwarders/run writes from here -->", "<!-- to here -->"

# A table each: columns and their heads.
TABLES = ({"rr": "RR", "name": "digest name", "txt": "digest name, TXT", "option": "option",
           "tlsa": "option on TLSA", "digits": "option, name without letters"},
          {"octets": "same octets", "eight": "eight endpoints", "nonce": "nonce", "ede": "EDE",
           "dnssec": "TLSA", "signed": "signed", "kbv-option": "`--form edns`",
           "kbv-name": "`--form name`"})
# Of daemons.LATE.
LATE = {"rr": "RR past its time", "name": "digest name past its time"}


def _line(cells):
    return f"| {' | '.join(cells)} |"


def _lines(heads, findings):
    yield from ("", _line(["in front", *heads.values()]), _line(["---"] * (1 + len(heads))))
    for name, cells in findings.items():
        yield _line([name, *(cells[column] for column in heads)])


def lines(findings, versions):
    """Everything between the markers. findings: cells by forwarder's name; versions by program."""
    yield from (_line(["program", "version"]), _line(["---"] * 2))
    yield from (_line(row) for row in versions.items())
    late = {name: cells for name, cells in findings.items() if set(cells) == set(LATE)}
    for heads in TABLES:
        yield from _lines(heads, {name: cells for name, cells in findings.items()
                                  if name not in late})
    yield from _lines(LATE, late)


def _split(text):
    before, begin, rest = text.partition(f"{BEGIN}\n")
    table, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise ValueError("the markers of the tables are not there")
    return before + begin, table, end + after


def write(file, findings, versions):
    before, _, after = _split(file.read_text())
    file.write_text(before + "\n".join(lines(findings, versions)) + "\n" + after)


def read(file):
    """(findings, versions) as the tables have them."""
    versions, findings, heads = {}, {}, {}
    for line in _split(file.read_text())[1].splitlines():
        name, *cells = (cell.strip() for cell in line.strip("|").split(" | "))
        if name == "in front":
            heads = next((heads for heads in (*TABLES, LATE) if list(heads.values()) == cells), {})
        elif heads and cells and name != "---":
            findings.setdefault(name, {}).update(zip(heads, cells))
        elif cells and name not in ("program", "---"):
            versions[name] = cells[0]
    return findings, versions
