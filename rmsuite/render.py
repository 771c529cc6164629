"""From tables to text: for a terminal, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict

from tabulate import tabulate

from rmsuite.metrics import Metric, metric
from rmsuite.statistics import Estimate
from rmsuite.tables import LEVEL, N_DRAWS, Row, Table


def number(value: float, column: Metric, sign: bool = False) -> str:
    """Print a metric value: percentages with one decimal, others with three."""
    text = f"{value * 100:+.1f}" if column.percent else f"{value:+.3f}"
    return text if sign else text.removeprefix("+")


def cell(estimate: Estimate | None, column: Metric, sign: bool = False) -> str:
    """Print an estimate as ``82.4 [81.1, 83.6]``; a gap as a dash."""
    if estimate is None:
        return "-"
    value, low, high = (number(x, column, sign) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def _headers(table: Table) -> list[str]:
    arrows = {"larger is better": "↑", "smaller is better": "↓"}
    names = [f"{c.name}{' %' if c.percent else ''} {arrows[c.direction]}" for c in table.columns]
    return ["method", *names, f"gain over {table.best_control or 'control'}", "sd over rep.", "fit s"]


def _cells(row: Row, table: Table) -> list[str]:
    head = table.columns[0]
    name = f"({row.method})" if row.kind == "control" else row.method
    if not row.estimates:
        return [name, *["-"] * (len(table.columns) + 3)]
    return [
        name,
        *(cell(row.estimates.get(column.name), column) for column in table.columns),
        cell(row.gains.get(head.name), head, sign=True),
        "-" if row.spread is None else number(row.spread, head),
        "-" if row.fit_seconds is None else f"{row.fit_seconds:.2f}",
    ]


def footer(table: Table) -> list[str]:
    """Return what a reader must know of a table: population, counts, tie rules, gaps, licence, signature."""
    facts, head = table.facts, table.columns[0]
    agreement = facts["annotator_agreement"]
    labels = "human labels" if agreement is None else f"labels agree with gold in {agreement:.1%} of them"
    notes = [f"{row.method}: {row.note}" for row in table.rows if row.note]
    stored = [f"{row.method} ({row.origin})" for row in table.rows if row.stored]
    return [
        f"Rows in parentheses are controls. Gain: {head.name} minus that of {table.best_control or 'no control'}, "
        "the best control but the oracle, paired by prompt. It is chosen on the same prompts, so gains lean downwards; "
        f"intervals are not adjusted for several methods. sd: of {head.name}; fit s: mean seconds a fit.",
        f"{LEVEL:.0%} intervals: {N_DRAWS:,} resamples of the {facts['n_test_prompts']:,} test prompts, for prompts "
        f"like these answered by the same generators; sd: over {len(table.repetitions)} repetition(s) on the same "
        "training prompts, not in the intervals; with so few, shuffled-labels need not be at chance.",
        f"{facts['n_train_pairs']:,} training pairs of {facts['n_train_prompts']:,} prompts ({labels}); "
        f"{facts['n_test_responses']:,} test responses{_n_pairs(table)}.",
        "Ties: " + "; ".join(f"{column.name}: {column.tie_rule}" for column in table.columns) + ".",
        *([f"Stored results, their seconds measured elsewhere: {', '.join(stored)}."] if stored else []),
        *(f"Note: {note}" for note in [*notes, *table.omitted]),
        f"Data licence: {facts['licence']}.",
        f"Signature: {table.signature}",
    ]


def _n_pairs(table: Table) -> str:
    pairs = [e.n_items for row in table.rows for name, e in row.estimates.items() if metric(name).needs == "pairs"]
    return f" in {pairs[0]:,} pairs" if pairs else ""


def render(found: Sequence[Table], style: str = "text") -> str:
    """Print tables as ``text``, ``markdown``, ``csv`` or ``json``."""
    writers = {"text": _text, "markdown": _markdown, "csv": _csv, "json": _json}
    return writers[style](found)


def _text(found: Sequence[Table]) -> str:
    return "\n\n".join(
        "\n".join([f"{table.task}", _grid(table, "simple"), "", *map(_wrapped, footer(table))]) for table in found
    )


def _wrapped(line: str) -> str:
    # A signature is to be copied whole.
    return line if line.startswith("Signature: ") else textwrap.fill(line, 120, subsequent_indent="  ")


def _markdown(found: Sequence[Table]) -> str:
    return "\n\n".join(
        "\n".join([f"### {table.task}", "", _grid(table, "github"), "", *(f"- {line}" for line in footer(table))])
        for table in found
    )


def _grid(table: Table, style: str) -> str:
    rows = [_cells(row, table) for row in table.rows]
    return str(tabulate(rows, _headers(table), tablefmt=style, disable_numparse=True))


def _csv(found: Sequence[Table]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    numbers = ["value", "low", "high", "gain", "gain_low", "gain_high"]
    writer.writerow(["task", "method", "kind", "origin", "stored", "metric", *numbers, "note", "signature"])
    for table in found:
        for row in table.rows:
            for column in table.columns:
                values = [*_numbers(row.estimates.get(column.name)), *_numbers(row.gains.get(column.name))]
                key = [table.task, row.method, row.kind, row.origin, row.stored, column.name]
                writer.writerow([*key, *values, row.note, table.signature])
    return out.getvalue().rstrip("\n")


def _numbers(estimate: Estimate | None) -> list[float | str]:
    return [estimate.value, estimate.low, estimate.high] if estimate else ["", "", ""]


def _json(found: Sequence[Table]) -> str:
    documents = [
        {
            "task": table.task,
            "signature": table.signature,
            "metrics": [column.name for column in table.columns],
            "best_control": table.best_control,
            "facts": dict(table.facts),
            "footer": footer(table),
            "rows": [asdict(row) for row in table.rows],
        }
        for table in found
    ]
    return json.dumps(documents, indent=1, ensure_ascii=False)
