"""From cell records to tables: estimates and rows. Reads records only; anyone's records can be tabulated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rmsuite import seeds, signature
from rmsuite.controls import CONTROLS
from rmsuite.errors import ResultsError
from rmsuite.metrics import Metric, metric
from rmsuite.results import CellRecord
from rmsuite.statistics import Estimate, Sample, estimates, paired_differences

N_DRAWS, LEVEL = 10_000, 0.95
FLOORS = {control.name for control in CONTROLS if control.floor}
KIND_ORDER = {"method": 0, "control": 1}


@dataclass(frozen=True)
class Row:
    """One method or control on one task.

    A column without an estimate is a gap, and ``note`` says why. ``gains``: each column's value minus that of the best
    control of the table, paired by prompt. ``spread``: of the first column. ``stored``: from stored results, not from
    the run.
    """

    method: str
    kind: str
    origin: str
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    gains: Mapping[str, Estimate] = field(default_factory=dict)
    spread: float | None = None
    fit_seconds: float | None = None
    note: str = ""
    stored: bool = False


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
        One's own cells, and reference cells to stand beside them. A method that is in both is taken from ``run``;
        stored cells with another signature, or without some repetition of the run, are left out, and the table says
        so.

    Raises
    ------
    ResultsError
        If the cells of ``run`` on one task have different signatures.
    """
    mine, theirs = _by_task(run), _by_task(stored)
    found = [_table(task, cells, theirs.get(task, [])) for task, cells in sorted(mine.items())]
    return [replace(table, omitted=(*table.omitted, *_across_tasks(table.task, mine))) for table in found]


def _across_tasks(task: str, cells: Mapping[str, Sequence[CellRecord]]) -> list[str]:
    """Say which methods have results on other tasks only, or of another code there."""
    here = {cell.method: cell.origin for cell in cells[task]}
    there = {cell.method: (cell.origin, other) for other in sorted(cells) if other != task for cell in cells[other]}
    absent = [f"{method} has no results here" for method in sorted(set(there) - set(here))]
    changed = [
        f"{method} is of other code here ({origin}) than on {there[method][1]} ({there[method][0]})"
        for method, origin in sorted(here.items())
        if method in there and there[method][0] != origin
    ]
    return [*absent, *changed]


def _by_task(records: Iterable[CellRecord]) -> dict[str, list[CellRecord]]:
    out: dict[str, list[CellRecord]] = {}
    for record in records:
        out.setdefault(record.task, []).append(record)
    return out


def _table(task: str, mine: Sequence[CellRecord], stored: Sequence[CellRecord]) -> Table:
    line = _one_signature(task, mine)
    cells = _by_method(mine)
    repetitions = _common_repetitions(task, cells)
    reference = _by_method(record for record in stored if record.signature == line and record.method not in cells)
    short = [method for method, by_repetition in reference.items() if not set(repetitions) <= set(by_repetition)]
    omitted = (*_other_signatures(line, stored), *_too_short(short), *_other_repetitions(cells, repetitions))
    cells |= {method: by_repetition for method, by_repetition in reference.items() if method not in short}
    columns = tuple(metric(name) for name in mine[0].facts["columns"])
    groups = {method: [by_rep[r] for r in repetitions] for method, by_rep in cells.items()}
    rows, best = _rows(task, groups, columns)
    own = {record.method for record in mine}
    rows = tuple(replace(row, stored=row.method not in own) for row in rows)
    return Table(task, _complete(line, repetitions), columns, rows, best, repetitions, mine[0].facts, omitted)


def _by_method(records: Iterable[CellRecord]) -> dict[str, dict[int, CellRecord]]:
    out: dict[str, dict[int, CellRecord]] = {}
    for record in records:
        out.setdefault(record.method, {})[record.repetition] = record
    return out


def _common_repetitions(task: str, cells: Mapping[str, Mapping[int, CellRecord]]) -> tuple[int, ...]:
    common = tuple(sorted(set.intersection(*(set(by_repetition) for by_repetition in cells.values()))))
    if not common:
        counts = ", ".join(f"{method}: {sorted(by_repetition)}" for method, by_repetition in sorted(cells.items()))
        do = "run the missing repetitions, or give another folder"
        raise ResultsError(who=f"table of {task}", expected="a repetition that all methods have", got=counts, do=do)
    return common


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


def _other_signatures(line: str, stored: Sequence[CellRecord]) -> list[str]:
    methods: dict[str, set[str]] = {}
    for record in stored:
        if record.signature != line:
            parts = ", ".join(signature.differences(line, record.signature))
            methods.setdefault(parts, set()).add(record.method)
    return [
        f"stored results of {', '.join(sorted(names))} are left out: they differ in {parts}"
        for parts, names in sorted(methods.items())
    ]


def _too_short(methods: Sequence[str]) -> list[str]:
    if not methods:
        return []
    names = ", ".join(sorted(methods))
    return [f"stored results of {names} are left out: they have fewer repetitions; run them too to compare"]


def _other_repetitions(cells: Mapping[str, Mapping[int, CellRecord]], common: Sequence[int]) -> list[str]:
    short = sorted(method for method, by_repetition in cells.items() if set(by_repetition) == set(common))
    extra = sorted({number for by_repetition in cells.values() for number in by_repetition} - set(common))
    if not extra:
        return []
    numbers = ", ".join(map(str, extra))
    return [f"repetition(s) {numbers} are left out: {', '.join(short)} have none"]


def _rows(
    task: str, groups: Mapping[str, Sequence[CellRecord]], columns: Sequence[Metric]
) -> tuple[tuple[Row, ...], str]:
    whole = {method: cells for method, cells in groups.items() if _is_whole(cells)}
    found = {column.name: _column(task, whole, column) for column in columns} if whole else {}
    headline = columns[0]
    floors = [method for method in whole if method in FLOORS]
    best = max(floors, key=lambda m: (found[headline.name][m].value, m), default="")
    gains = {column.name: _gains(task, whole, column, best) for column in columns} if best else {}
    rows = [_row(method, cells, columns, found, gains) for method, cells in groups.items()]
    rows.sort(key=lambda row: (KIND_ORDER[row.kind], -_value(row, headline), row.method))
    return tuple(rows), best


def _is_whole(cells: Sequence[CellRecord]) -> bool:
    return all(cell.status == "ok" for cell in cells) and len({cell.origin for cell in cells}) == 1


def _value(row: Row, headline: Metric) -> float:
    return row.estimates[headline.name].value if headline.name in row.estimates else -np.inf


def _sample(whole: Mapping[str, Sequence[CellRecord]], column: Metric) -> Sample:
    cells = list(whole.values())
    values = np.array([np.mean([cell.arrays[column.name] for cell in group], axis=0) for group in cells])
    weights = np.array([group[0].arrays[f"{column.name}/weight"] for group in cells])
    n_items = int(weights[0].sum()) if column.needs == "pairs" else int(cells[0][0].facts["n_test_responses"])
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
    gains: Mapping[str, Mapping[str, Estimate]],
) -> Row:
    first = cells[0]
    if len({cell.origin for cell in cells}) > 1:
        origins = ", ".join(f"{cell.repetition}: {cell.origin}" for cell in cells)
        return Row(method, first.kind, first.origin, note=f"repetitions of different code, run it anew ({origins})")
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
        {name: by_method[method] for name, by_method in gains.items() if method in by_method},
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
