# SPDX-License-Identifier: BSD-3-Clause
"""Medians, quartiles and tables."""

import statistics


def spread(values):
    """The three quartiles of a list of at least one value."""
    if len(values) == 1:
        return values * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def text(quartiles, digits):
    low, median, high = (f"{value:.{digits}f}" for value in quartiles)
    return f"{median} ({low}-{high})"


def table(head, rows):
    """Text columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    def line(row):
        return "  ".join(cell.rjust(width) if column else cell.ljust(width)
                         for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
    return "\n".join(["  " + line(row) for row in [head, ["-" * width for width in widths], *rows]])
