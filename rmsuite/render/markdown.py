"""Tables for a README or an issue."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from tabulate import tabulate

from rmsuite.render.cells import Block, Cell, Grid, grid, overall_grid, plain
from rmsuite.render.footer import footer, overall_footer
from rmsuite.reports.records import Report

LIVE = re.compile(r"([\\`*_|~#$]|\](?=[(\[:]))")
QUOTED = re.compile(r"\\([\\`*_|~#$\]])")


def write(report: Report, more: Sequence[Block] = ()) -> str:
    """Return all tables, and some more, each with its footer as a list."""
    blocks = [block(table.task, grid(table), footer(table, bold=True)) for table in report.tables]
    if report.overall:
        blocks.append(block("all tasks", overall_grid(report.overall), overall_footer(report.overall)))
    return "\n\n".join([*blocks, *(block(*one) for one in more)])


def block(title: str, table: Grid, lines: list[str]) -> str:
    """Return a table between its title and its footer, which is a list."""
    rows = [[_bold(cell) for cell in row] for row in table.rows]
    shown = str(tabulate(rows, [*map(escaped, table.headers)], tablefmt="github", disable_numparse=True))
    return "\n".join([f"### {escaped(plain(title))}", "", shown, "", *(f"- {_line(line)}" for line in lines)])


def _bold(cell: Cell) -> str:
    text = escaped(cell.text)
    return f"**{text}**" if cell.best else text


def _line(line: str) -> str:
    # A signature is code: it is copied as it stands.
    return f"Signature: {_code(line.removeprefix('Signature: '))}" if line.startswith("Signature: ") else escaped(line)


def _code(text: str) -> str:
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{text}{fence}"


def escaped(text: str) -> str:
    r"""Return text in which nothing is Markdown or HTML; brackets that make no link, as of intervals, stay readable.

    Examples
    --------
    >>> print(escaped("a|b [70.1, 72.6] <i>"))
    a\|b [70.1, 72.6] &lt;i&gt;
    """
    return html.escape(LIVE.sub(r"\\\1", text), quote=False)


def unescaped(text: str) -> str:
    """Return what ``escaped`` was given."""
    return QUOTED.sub(r"\1", html.unescape(text))
