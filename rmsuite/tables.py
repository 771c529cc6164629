"""From cell records to tables: estimates, rows, text. Reads records only; anyone's records can be tabulated."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from tabulate import tabulate

from rmsuite import seeds, signature
from rmsuite.controls import CONTROLS
from rmsuite.errors import ResultsError
from rmsuite.metrics import Metric, metric
from rmsuite.results import CellRecord
from rmsuite.statistics import Estimate, Sample, estimates, paired_differences

N_DRAWS, LEVEL = 10_000, 0.95
FORMATS = ("text", "markdown", "csv", "json")
FLOORS = {control.name for control in CONTROLS if control.floor}
KIND_ORDER = {"method": 0, "control": 1}


@dataclass(frozen=True)
class Row:
    """One method or control on one task. A column without an estimate is a gap; ``note`` says why."""

    method: str
    kind: str
    origin: str
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    gain: Estimate | None = None
    spread: float | None = None
    fit_seconds: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    """The rows of one task, and what the footer says; all rows share the signature."""

    task: str
    signature: str
    columns: tuple[Metric, ...]
    rows: tuple[Row, ...]
    best_control: str
    repetitions: tuple[int, ...]
    facts: Mapping[str, Any]
    omitted: tuple[str, ...] = ()


def tables(run: Iterable[CellRecord], stored: Iterable[CellRecord] = ()) -> list[Table]:
    """Return one table a task.

    Parameters
    ----------
    run, stored : records
        One's own cells, and reference cells to stand beside them. A method that is in both is taken from ``run``; a
        stored cell with another signature is left out, and the table says so.

    Raises
    ------
    ResultsError
        If the cells of ``run`` on one task have different signatures.
    """
    mine, theirs = _by_task(run), _by_task(stored)
    return [_table(task, cells, theirs.get(task, [])) for task, cells in sorted(mine.items())]


def _by_task(records: Iterable[CellRecord]) -> dict[str, list[CellRecord]]:
    out: dict[str, list[CellRecord]] = {}
    for record in records:
        out.setdefault(record.task, []).append(record)
    return out


def _table(task: str, mine: Sequence[CellRecord], stored: Sequence[CellRecord]) -> Table:
    line = _one_signature(task, mine)
    fitting = [record for record in stored if record.signature == line]
    cells: dict[str, dict[int, CellRecord]] = {}
    for record in [*fitting, *mine]:  # later ones replace earlier ones: the run's own come last
        cells.setdefault(record.method, {})[record.repetition] = record
    repetitions = tuple(sorted(set.intersection(*(set(by_repetition) for by_repetition in cells.values()))))
    if not repetitions:
        counts = ", ".join(f"{method}: {sorted(by_repetition)}" for method, by_repetition in sorted(cells.items()))
        do = "run the missing repetitions, or give another folder"
        raise ResultsError(who=f"table of {task}", expected="a repetition that all methods have", got=counts, do=do)
    columns = tuple(metric(name) for name in mine[0].facts["columns"])
    groups = {method: [by_rep[r] for r in repetitions] for method, by_rep in cells.items()}
    rows, best = _rows(task, groups, columns)
    omitted = _omitted(line, stored)
    return Table(task, _complete(line, repetitions), columns, rows, best, repetitions, mine[0].facts, omitted)


def _one_signature(task: str, records: Sequence[CellRecord]) -> str:
    lines = {record.signature: record.method for record in records}
    if len(lines) > 1:
        (first, one), (second, two), *_ = lines.items()
        parts = "; ".join(f"{k}: {a} against {b}" for k, (a, b) in signature.differences(first, second).items())
        raise ResultsError(
            who=f"table of {task}",
            expected="results with one signature",
            got=f"{one!r} and {two!r} with {parts}",
            do="run them anew into one folder, or keep them in two (--output)",
        )
    return next(iter(lines))


def _complete(line: str, repetitions: Sequence[int]) -> str:
    interval = f"cluster-bootstrap-expanded-percentile({LEVEL:g},draws={N_DRAWS},seed=0)"
    numbers = ",".join(map(str, repetitions))
    return signature.write({**signature.read(line), "repetitions": numbers, "interval": interval})


def _omitted(line: str, stored: Sequence[CellRecord]) -> tuple[str, ...]:
    others = {record.method: record.signature for record in stored if record.signature != line}
    return tuple(
        f"stored results of {method} left out: " + ", ".join(signature.differences(line, other)) + " differ"
        for method, other in sorted(others.items())
    )


def _rows(
    task: str, groups: Mapping[str, Sequence[CellRecord]], columns: Sequence[Metric]
) -> tuple[tuple[Row, ...], str]:
    whole = {method: cells for method, cells in groups.items() if all(cell.status == "ok" for cell in cells)}
    found = {column.name: _column(task, whole, column) for column in columns} if whole else {}
    headline = columns[0]
    floors = [method for method in whole if method in FLOORS]
    best = max(floors, key=lambda m: (found[headline.name][m].value, m), default="")
    gains = _gains(task, whole, headline, best) if best else {}
    rows = [_row(method, cells, columns, found, gains) for method, cells in groups.items()]
    rows.sort(key=lambda row: (KIND_ORDER[row.kind], -_value(row, headline), row.method))
    return tuple(rows), best


def _value(row: Row, headline: Metric) -> float:
    return row.estimates[headline.name].value if headline.name in row.estimates else -np.inf


def _sample(whole: Mapping[str, Sequence[CellRecord]], column: Metric) -> Sample:
    cells = list(whole.values())
    values = np.array([np.mean([cell.arrays[column.name] for cell in group], axis=0) for group in cells])
    weights = np.array([group[0].arrays[f"{column.name}/weight"] for group in cells])
    n_items = int(cells[0][0].facts["n_test_responses"])
    return Sample(values, weights, column.low, column.high, n_items, len(cells[0]))


def _column(task: str, whole: Mapping[str, Sequence[CellRecord]], column: Metric) -> dict[str, Estimate]:
    rng = seeds.generator(0, "bootstrap", task=task)
    return dict(zip(whole, estimates(_sample(whole, column), rng, N_DRAWS, LEVEL), strict=True))


def _gains(task: str, whole: Mapping[str, Sequence[CellRecord]], column: Metric, control: str) -> dict[str, Estimate]:
    rng = seeds.generator(0, "bootstrap", task=task)
    against = list(whole).index(control)
    found = paired_differences(_sample(whole, column), against, rng, N_DRAWS, LEVEL)
    return {method: gain for method, gain in zip(whole, found, strict=True) if method != control}


def _row(
    method: str,
    cells: Sequence[CellRecord],
    columns: Sequence[Metric],
    found: Mapping[str, Mapping[str, Estimate]],
    gains: Mapping[str, Estimate],
) -> Row:
    first = cells[0]
    broken = [cell for cell in cells if cell.status != "ok"]
    if broken:
        note = f"{broken[0].status} in {len(broken)} of {len(cells)} repetitions: {_reason(broken[0])}"
        return Row(method, first.kind, first.origin, note=note)
    values = {column.name: found[column.name][method] for column in columns}
    seconds = [cell.facts["fit_seconds"] for cell in cells if "fit_seconds" in cell.facts]
    return Row(
        method,
        first.kind,
        first.origin,
        values,
        gains.get(method),
        _spread(cells, columns[0]),
        float(np.mean(seconds)) if seconds else None,
        "; ".join(sorted({note for cell in cells for note in cell.notes})),
    )


def _reason(cell: CellRecord) -> str:
    return f"{cell.phase}: {cell.error}" if cell.phase else cell.error


def _spread(cells: Sequence[CellRecord], column: Metric) -> float | None:
    """Return the standard deviation (n - 1) of the metric value over repetitions; None for a single one."""
    if len(cells) < 2:
        return None
    weight = f"{column.name}/weight"
    means = [np.average(cell.arrays[column.name], weights=cell.arrays[weight]) for cell in cells]
    return float(np.std(means, ddof=1))


# ---- text ----


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
        cell(row.gain, head, sign=True),
        "-" if row.spread is None else number(row.spread, head),
        "-" if row.fit_seconds is None else f"{row.fit_seconds:.2f}",
    ]


def footer(table: Table) -> list[str]:
    """Return what a reader must know of a table: population, counts, tie rules, gaps, licence, signature."""
    facts, head = table.facts, table.columns[0]
    agreement = facts["annotator_agreement"]
    labels = "human labels" if agreement is None else f"labels agree with gold in {agreement:.1%} of them"
    notes = [f"{row.method}: {row.note}" for row in table.rows if row.note]
    return [
        f"Rows in parentheses are controls. Gain: {head.name} minus that of {table.best_control or 'no control'}, "
        "the best control but the oracle, paired by prompt.",
        f"{LEVEL:.0%} intervals: {N_DRAWS:,} resamples of the {facts['n_test_prompts']:,} test prompts, for prompts "
        f"like these; sd: over {len(table.repetitions)} repetition(s) (new pairs, noise, initialisation), not in the "
        "intervals.",
        f"{facts['n_train_pairs']:,} training pairs of {facts['n_train_prompts']:,} prompts ({labels}); "
        f"{facts['n_test_responses']:,} test responses.",
        "Ties: " + "; ".join(f"{column.name}: {column.tie_rule}" for column in table.columns) + ".",
        *(f"Note: {note}" for note in [*notes, *table.omitted]),
        f"Data licence: {facts['licence']}.",
        f"Signature: {table.signature}",
    ]


def render(found: Sequence[Table], style: str = "text") -> str:
    """Print tables in one of ``FORMATS``."""
    writers = {"text": _text, "markdown": _markdown, "csv": _csv, "json": _json}
    return writers[style](found)


def _text(found: Sequence[Table]) -> str:
    return "\n\n".join("\n".join([f"{table.task}", _grid(table, "simple"), "", *footer(table)]) for table in found)


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
    writer.writerow(["task", "method", "kind", "origin", "metric", "value", "low", "high", "note", "signature"])
    for table in found:
        for row in table.rows:
            for column in table.columns:
                estimate = row.estimates.get(column.name)
                numbers = [estimate.value, estimate.low, estimate.high] if estimate else ["", "", ""]
                key = [table.task, row.method, row.kind, row.origin, column.name]
                writer.writerow([*key, *numbers, row.note, table.signature])
    return out.getvalue().rstrip("\n")


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
