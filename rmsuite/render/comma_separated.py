"""Tables as CSV: one line a task, method and metric, in full precision."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from rmsuite.render.cells import finite, plain, reason
from rmsuite.reports.records import Aggregated, Overall, Report, Row, Table
from rmsuite.statistics import Difference, Estimate

FIELDS = (
    "task",
    "method",
    "kind",
    "metric",
    "value",
    "low",
    "high",
    "letters",
    "rank_low",
    "rank_high",
    "gain",
    "gain_low",
    "gain_high",
    "gain_p",
    "gain_p_holm",
    "sd",
    "fit_seconds",
    "origin",
    "stored",
    "verification",
    "mark",
    "note",
    "signature",
)
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
ALL_TASKS = "overall"


def write(report: Report) -> str:
    """Return the lines of all tables under one header; a gap is an empty cell, and the note says why."""
    overall = _overall_lines(report.overall) if report.overall else ()
    return printed(FIELDS, map(_guarded, chain(*map(_lines, report.tables), overall)))


def printed(fields: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """Return lines under a header of all fields, without an end of the last; a field that one lacks is an empty cell.

    Text that a stranger named is to be ``guarded`` before.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, fields, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue().rstrip("\n").encode("utf-8", "replace").decode()  # half characters cannot be stored


def _lines(table: Table) -> Iterator[dict[str, object]]:
    names = [column.name for column in table.columns]
    for row in table.rows:
        for column in table.columns:
            yield {
                **_row(table.task, row, names),
                "metric": column.name,
                **_numbers(row.estimates.get(column.name)),
                **_standing(row, column.name),
                **_gain(row.gains.get(column.name)),
                **_spread(row, column.name == table.columns[0].name),
                "signature": table.signatures[column.name],
            }


def _row(task: str, row: Row, names: list[str]) -> dict[str, object]:
    return {
        "task": task,
        "method": row.method,
        "kind": row.kind,
        "origin": row.origin,
        "stored": row.stored,
        "verification": row.verification,
        "mark": row.mark,
        "note": plain(reason(row, names)),
    }


def _numbers(estimate: Estimate | None) -> dict[str, object]:
    estimate = finite(estimate)
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high} if estimate else {}


def _standing(row: Row, name: str) -> dict[str, object]:
    if name not in row.standings:
        return {}
    standing = row.standings[name]
    return {"letters": standing.letters, "rank_low": standing.rank[0], "rank_high": standing.rank[1]}


def _gain(gain: Difference | None) -> dict[str, object]:
    if gain is None or not finite(gain.estimate):
        return {}
    e = gain.estimate
    return {
        "gain": e.value,
        "gain_low": e.low,
        "gain_high": e.high,
        "gain_p": gain.p,
        "gain_p_holm": gain.p_holm,
    }


def _spread(row: Row, first: bool) -> dict[str, object]:
    found = {"fit_seconds": row.fit_seconds, "sd": row.spread.spread if row.spread and first else None}
    return {key: value for key, value in found.items() if value is not None and math.isfinite(value)}


def _overall_lines(overall: Overall) -> Iterator[dict[str, object]]:
    for row in overall.rows:
        for rule in overall.rules:
            yield _overall_line(overall, row, rule)


def _overall_line(overall: Overall, row: Aggregated, rule: str) -> dict[str, object]:
    return {
        "task": ALL_TASKS,
        "method": row.method,
        "kind": row.kind,
        "metric": rule,
        **_numbers(row.estimates.get(rule)),
        "note": plain(reason(row, list(overall.rules))),
        "signature": overall.signature,
    }


def _guarded(line: dict[str, object]) -> dict[str, object]:
    return {key: guarded(value) if isinstance(value, str) else value for key, value in line.items()}


def guarded(text: str) -> str:
    """Return text that a spreadsheet does not take for a formula; ``unguarded`` gives it back."""
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def unguarded(text: str) -> str:
    """Return what ``guarded`` was given."""
    return text.removeprefix("'")
