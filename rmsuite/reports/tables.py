"""From cell records to the tables of tasks. Reads records only; anyone's records can be tabulated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite.controls import CONTROLS
from rmsuite.metrics import Metric, metric
from rmsuite.reports import signatures
from rmsuite.reports.cells import Chosen, Group, across_tasks, by_task, choose, is_whole, why_not
from rmsuite.reports.overall import overall
from rmsuite.reports.records import RERUN, SELF, UNVERIFIED, Report, Row, Standing, Table, Verification
from rmsuite.reports.samples import Column, column, spread
from rmsuite.results import CellRecord
from rmsuite.statistics import Difference, holm

FLOORS = {control.name for control in CONTROLS if control.floor}
CEILINGS = {control.name for control in CONTROLS if not control.floor}
KIND_ORDER = {"method": 0, "control": 1}
Levels = Callable[[CellRecord], Verification]


@dataclass(frozen=True)
class _Compared:
    """Standings and gains of a task's rows, by metric and method."""

    standings: Mapping[str, Mapping[str, Standing]]
    gains: Mapping[str, Mapping[str, Difference]]


def report(
    run: Iterable[CellRecord],
    stored: Iterable[CellRecord] = (),
    *,
    metrics: Sequence[str] = (),
    allow_mixed: bool = False,
    level: Levels = lambda cell: UNVERIFIED,
    asked: Collection[str] = (),
) -> Report:
    """Return one table a task, and one over all tasks if there are several.

    Parameters
    ----------
    run, stored : records
        One's own cells, and reference cells to stand beside them. A method that is in both is taken from ``run``;
        stored cells with another signature, or without some repetition of the run, are left out, and the table says
        so.
    metrics : sequence of str
        Names of the metrics to show in place of the task's own columns.
    allow_mixed : bool
        Show cells of ``run`` with another signature than most, marked, without comparing them.
    level : callable
        How far a cell has been verified.
    asked : collection of str
        Methods that the run was to have: a stored one never stands in for them, and a table without one says so.

    Raises
    ------
    ResultsError
        If the cells of ``run`` on one task have different signatures.
    UnknownNameError
        If there is no such metric.
    """
    mine, theirs = by_task(run), by_task(record for record in stored if record.method not in asked)
    with threadpool_limits(limits=1):  # the number of threads decides the last bits of sums
        return _report(mine, theirs, metrics, allow_mixed, level, asked)


def _report(
    mine: Mapping[str, Sequence[CellRecord]],
    theirs: Mapping[str, Sequence[CellRecord]],
    metrics: Sequence[str],
    allow_mixed: bool,
    level: Levels,
    asked: Collection[str],
) -> Report:
    built = []
    for task, cells in sorted(mine.items()):
        chosen = choose(task, cells, theirs.get(task, []), allow_mixed)
        table, headline = _table(task, chosen, metrics, level)
        built.append((replace(table, omitted=(*table.omitted, *across_tasks(task, mine, asked))), headline))
    return Report(tuple(table for table, _ in built), overall(built))


def _table(task: str, chosen: Chosen, metrics: Sequence[str], level: Levels) -> tuple[Table, Column | None]:
    facts = next(iter(chosen.groups.values()))[0].facts
    shown = tuple(metric(name) for name in metrics or facts["columns"])
    comparable = {m: cells for m, cells in chosen.groups.items() if is_whole(cells) and m not in chosen.marked}
    columns = {one.name: found for one in shown if (found := column(task, comparable, one)) is not None}
    best = _best_control(columns.get(shown[0].name))
    compared = _Compared(
        {name: _standings(c) for name, c in columns.items() if c.metric.ordered},
        {name: _gains(c, comparable, best) for name, c in columns.items() if c.metric.ordered},
    )
    rows = [
        replace(_row(task, method, chosen, shown, columns, compared), verification=_verification(cells, level))
        for method, cells in chosen.groups.items()
    ]
    line = signatures.of_table(chosen)
    table = Table(
        task=task,
        signature=line,
        signatures={one.name: signatures.of_metric(line, one) for one in shown},
        columns=shown,
        rows=tuple(sorted(rows, key=lambda row: _order(row, shown[0]))),
        best_control=best,
        repetitions=chosen.repetitions,
        detectable={name: c.detectable(pairs) for name, c in columns.items() if (pairs := _pairs(c, comparable, best))},
        facts=facts,
        omitted=chosen.omitted,
    )
    return table, columns.get(shown[0].name)


def _best_control(headline: Column | None) -> str:
    """Return the best floor in the first metric; "" if there is none, or if the metric has no better and worse."""
    if headline is None or not headline.metric.ordered:
        return ""
    floors = [method for method in headline.methods if method in FLOORS]
    sign = 1 if headline.larger_is_better else -1
    return max(floors, key=lambda method: (sign * headline.value(method), method), default="")


def _verification(cells: Group, level: Levels) -> Verification:
    """Return the level of a row: re-run verified if all its cells are verified, and at least one by a second run."""
    found = {level(cell) for cell in cells}
    if UNVERIFIED in found:
        return UNVERIFIED
    return RERUN if RERUN in found else SELF


def _standings(found: Column) -> dict[str, Standing]:
    """Return where each method and control stands; the ceilings do not take part."""
    methods = [method for method in found.methods if method not in CEILINGS]
    all_ = found.standings(methods)
    each = zip(methods, all_.letters, all_.ranks, all_.best, strict=True)
    return {method: Standing(letters, rank, best) for method, letters, rank, best in each}


def _gains(found: Column, groups: Mapping[str, Group], control: str) -> dict[str, Difference]:
    """Return each row's difference from the best control; methods and controls are Holm-corrected apart.

    The p value of a method that lies above the best control is the largest over all controls: which of them is best is
    not known, and better than the best means better than each (an intersection-union test, Berger 1982).
    """
    if control not in found.methods:
        return {}
    rows = [method for method in found.methods if method != control]
    floors = [method for method in found.methods if method in FLOORS]
    p = {method: _p_above(found, method, control, floors) for method in rows}
    out = {}
    for kind in KIND_ORDER:
        family = [method for method in rows if groups[method][0].kind == kind]
        for method, corrected in zip(family, holm([p[method] for method in family]), strict=True):
            out[method] = Difference(found.difference(method, control), p[method], corrected)
    return out


def _p_above(found: Column, method: str, control: str, floors: Sequence[str]) -> float:
    if not _is_above(found, method, control):
        return found.p(method, control)
    rivals = [floor for floor in floors if floor != method]
    return max(found.p(method, rival) if _is_above(found, method, rival) else 1.0 for rival in rivals)


def _is_above(found: Column, method: str, rival: str) -> bool:
    gap = found.value(method) - found.value(rival)
    return gap > 0 if found.larger_is_better else gap < 0


def _pairs(found: Column, groups: Mapping[str, Group], control: str) -> list[tuple[str, str]]:
    """Return the pairs of methods, or the method and the best control where there is one method only."""
    methods = [method for method in found.methods if groups[method][0].kind == "method"]
    if len(methods) == 1 and control in found.methods:
        methods.append(control)
    return list(combinations(methods, 2))


def _row(
    task: str,
    method: str,
    chosen: Chosen,
    shown: Sequence[Metric],
    columns: Mapping[str, Column],
    compared: _Compared,
) -> Row:
    cells, mark = chosen.groups[method], chosen.marked.get(method, "")
    kind: Literal["method", "control"] = "control" if cells[0].kind == "control" else "method"
    row = Row(method, kind, cells[0].origin, stored=method in chosen.stored, mark=mark)
    if not is_whole(cells):
        return replace(row, note=why_not(cells))
    if mark:  # of other prompts or pairs, perhaps: its numbers stand alone
        columns = {one.name: found for one in shown if (found := column(task, {method: cells}, one)) is not None}
    present = {name: found for name, found in columns.items() if method in found.methods}
    seconds = [cell.facts["fit_seconds"] for cell in cells if "fit_seconds" in cell.facts]
    return replace(
        row,
        estimates={name: found.resampled.estimate(found.index(method)) for name, found in present.items()},
        standings={name: by[method] for name, by in compared.standings.items() if method in by},
        gains={name: by[method] for name, by in compared.gains.items() if method in by},
        spread=spread(cells, shown[0]) if shown[0].name in present else None,
        fit_seconds=float(np.mean(seconds)) if seconds else None,
        note="; ".join([*_notes(cells), *_undefined(shown, present)]),
    )


def _notes(cells: Group) -> list[str]:
    return sorted({note for cell in cells for note in cell.notes})


def _undefined(shown: Sequence[Metric], present: Mapping[str, Column]) -> list[str]:
    return [
        f"{one.name} is not defined for it (it needs {', '.join(sorted(one.needs))})"
        for one in shown
        if one.name not in present
    ]


def _order(row: Row, headline: Metric) -> tuple[int, float, str]:
    """Return what rows are sorted by: methods first, the best first."""
    if headline.name not in row.estimates:
        return KIND_ORDER[row.kind], np.inf, row.method
    value = row.estimates[headline.name].value
    key = {
        "larger is better": -value,
        "smaller is better": value,
        "nearer 0 is better": abs(value),
        "not ranked": -value,
    }
    return KIND_ORDER[row.kind], key[headline.direction], row.method
