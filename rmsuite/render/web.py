"""Tables as one HTML document: self-contained, without scripts, for any browser and without a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rmsuite.render.cells import Block, Cell, Grid, grid, overall_grid, plain
from rmsuite.render.footer import footer, overall_footer
from rmsuite.reports.records import Report

STYLE = (
    "body{font-family:system-ui,sans-serif;margin:2rem;max-width:80rem}"
    "div{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "th,td{padding:.25rem .6rem;text-align:right}th:first-child,td:first-child{text-align:left}"
    "thead th{border-bottom:1px solid;border-top:2px solid}tbody tr:last-child td{border-bottom:2px solid}"
    "li{font-size:.85rem}code{overflow-wrap:anywhere}"
)
HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>rmsuite: tables</title>'


def write(report: Report, more: Sequence[Block] = ()) -> str:
    """Return the document, with some more tables at its end."""
    blocks = [_block(table.task, grid(table), footer(table, bold=True)) for table in report.tables]
    if report.overall:
        blocks.append(_block("all tasks", overall_grid(report.overall), overall_footer(report.overall)))
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head>{HEAD}',
            f"<style>{STYLE}</style></head><body>",
            *blocks,
            *(_block(*one) for one in more),
            "</body></html>",
        ]
    )


def _block(title: str, table: Grid, lines: list[str]) -> str:
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in table.headers)
    return "\n".join(
        [
            f"<section><h2>{escape(plain(title))}</h2>",
            f"<div><table><thead><tr>{head}</tr></thead><tbody>",
            *(f"<tr>{''.join(map(_cell, row))}</tr>" for row in table.rows),
            "</tbody></table></div><ul>",
            *(f"<li>{_line(line)}</li>" for line in lines),
            "</ul></section>",
        ]
    )


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    return f"<td><strong>{text}</strong></td>" if cell.best else f"<td>{text}</td>"


def _line(line: str) -> str:
    if line.startswith("Signature: "):
        return f"Signature: <code>{escape(line.removeprefix('Signature: '))}</code>"
    return escape(line)
