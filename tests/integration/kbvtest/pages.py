# SPDX-License-Identifier: BSD-3-Clause
"""What a test writes into a page of docs/, between two markers, and reads again."""

END = "<!-- to here -->"


def line(cells):
    """A line of a Markdown table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _split(file, writer):
    begin, text = f"<!-- {writer} writes from here -->\n", file.read_text()
    before, found, rest = text.partition(begin)
    between, end, after = rest.partition(f"{END}\n")
    if not found or not end:
        raise ValueError(f"{file}: {writer} finds no markers of its own")
    return before + begin, between, end + after


def write(file, writer, lines):
    before, _, after = _split(file, writer)
    file.write_text(before + "\n".join(lines) + "\n" + after)


def cells(file, writer):
    """Those of each line between the markers, as they stand there."""
    for row in _split(file, writer)[1].splitlines():
        yield [cell.strip() for cell in row.strip("|").split(" | ")]
