"""Tables for a terminal: columns of letters, two spaces apart."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

from rmsuite.render.cells import Block, Grid, grid, overall_grid, plain
from rmsuite.render.footer import footer, overall_footer
from rmsuite.reports.records import Report

WIDTH = 120
BETWEEN = "  "


def write(report: Report, more: Sequence[Block] = ()) -> str:
    """Return all tables, and some more, each with its footer."""
    blocks = [block(table.task, grid(table), footer(table)) for table in report.tables]
    if report.overall:
        blocks.append(block("all tasks", overall_grid(report.overall), overall_footer(report.overall)))
    return "\n\n".join([*blocks, *(block(*one) for one in more)])


def block(title: str, table: Grid, lines: list[str]) -> str:
    """Return a table between its title and its footer."""
    return "\n".join([plain(title), *_shown(table), "", *map(_wrapped, lines)])


def _shown(table: Grid) -> list[str]:
    """Return the lines of a grid. No cell holds two spaces in a row, so that columns can be told apart again."""
    headers = [_two_lines(header) for header in table.headers]
    rows = [[cell.text for cell in row] for row in table.rows]
    above = [list(line) for line in zip_longest(*headers, fillvalue="")]
    widths = [max(map(width, column)) for column in zip(*above, *rows, strict=True)]
    rule = BETWEEN.join("-" * size for size in widths)
    return [*(_line(row, widths) for row in above), rule, *(_line(row, widths) for row in rows)]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell + " " * (size - width(cell)) for cell, size in zip(cells, widths, strict=True)]
    return BETWEEN.join(padded).rstrip()


def _two_lines(header: str) -> list[str]:
    # "gain over length" is wider than what stands below it.
    return ["gain over", header.removeprefix("gain over ")] if header.startswith("gain over ") else [header]


def width(text: str) -> int:
    r"""Return how many columns of a terminal a text takes: two for wide letters, none for combining ones.

    Examples
    --------
    >>> width("ab"), width("日本"), width("e\u0301")
    (2, 4, 1)
    """
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def _wrapped(line: str) -> str:
    # A signature is to be copied whole.
    return (
        line
        if line.startswith("Signature: ")
        else textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    )
