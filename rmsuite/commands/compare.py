"""``rmsuite compare A B``: two methods, paired by prompt."""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tabulate import tabulate

from rmsuite import results
from rmsuite.bundles.export import as_csv
from rmsuite.commands import shared
from rmsuite.errors import ResultsError, unknown_name
from rmsuite.render.cells import GAP, cell
from rmsuite.reports.cells import by_task
from rmsuite.reports.comparison import Compared, Comparison, Prompts, TaskComparison, compare, prompts
from rmsuite.results import CellRecord
from rmsuite.statistics.aggregates import RULES
from rmsuite.tasks import LoadedTask

HEADERS = ["", "first", "second", "first - second", "p", "p (Holm)", "p (permutation)", "detectable"]


def show_comparison(options: Namespace) -> int:
    """Compare two methods on every task that both have, and print it."""
    catalogue = shared.catalogue(options)
    book = shared.book(catalogue)
    asked = {book.task(name).label for name in options.task or book.tasks}
    cells = _cells(options, shared.stored(catalogue, asked), asked)
    known = {task: _prompts(book.task(task).load()) for task in cells}
    found = compare(options.first, options.second, cells, known)
    print(json.dumps(_document(found), indent=1) if options.format == "json" else _text(found))
    if options.items:
        write_items(options.items, found)
    return 0


def _prompts(loaded: LoadedTask) -> Prompts:
    return prompts(loaded.test, loaded.pool.categories)


def _cells(options: Namespace, stored: Sequence[CellRecord], asked: set[str]) -> dict[str, list[CellRecord]]:
    """Return both methods' cells by task: one's own, and stored ones where one has none."""
    own = [record for record in results.read_all(options.output) if record.task in asked]
    stored = [] if options.no_stored else stored
    names = sorted({record.method for record in [*own, *stored]})
    out: dict[str, list[CellRecord]] = {}
    for name in dict.fromkeys([options.first, options.second]):
        if name not in names:
            raise unknown_name("method", name, names, f"run it into {str(options.output)!r} first")
        mine, theirs = (by_task(r for r in source if r.method == name) for source in (own, stored))
        for task, group in {**theirs, **mine}.items():
            out.setdefault(task, []).extend(group)
    return out


def _text(found: Comparison) -> str:
    lines = [f"{found.first} (first) against {found.second} (second), paired by prompt", ""]
    for task in found.tasks:
        lines += [*_task_text(task), ""]
    if found.overall:
        o = found.overall
        lines += [
            f"All tasks, {RULES[0].name} (normalised: 0 chance, 1 perfect), first - second: "
            f"{o.value:+.3f} [{o.low:+.3f}, {o.high:+.3f}]"
        ]
    lines += [f"Note: {text}" for text in found.omitted]
    return "\n".join(lines).rstrip()


def _task_text(task: TaskComparison) -> list[str]:
    head = task.metrics[0].metric.name
    rows = [_line(one.metric.name, one) for one in task.metrics]
    categories = [_line(f"  {name}", one) for name, one in task.by_category.items()]
    some = task.metrics[0].first
    return [
        task.task,
        tabulate([*rows, [f"{head} by category"], *categories], HEADERS, tablefmt="simple", disable_numparse=True),
        "",
        f"Prompts by {head}: {task.wins} better, {task.losses} worse, {task.ties} the same.",
        f"{some.level:.0%} intervals: {some.method}, {some.n_draws:,} draws of {some.n_clusters:,} prompts, mean of "
        f"{some.n_repetitions} repetition(s). Holm: over the metrics, and over the categories.",
        "Detectable: the true difference that such a test part shows with probability 0.8.",
        f"Signature: {task.signature}",
    ]


def _line(name: str, one: Compared) -> list[str]:
    return [
        name + (" %" if one.metric.percent else ""),
        cell(one.first, one.metric),
        cell(one.second, one.metric),
        cell(one.difference.estimate, one.metric, sign=True),
        _p(one.difference.p),
        _p(one.difference.p_holm),
        _p(one.p_permutation),
        _effect(one),
    ]


def _effect(one: Compared) -> str:
    if not math.isfinite(one.detectable):
        return GAP
    return f"{100 * one.detectable:.1f}" if one.metric.percent else f"{one.detectable:.3f}"


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _document(found: Comparison) -> dict[str, Any]:
    document = asdict(found)
    for task, one in zip(document["tasks"], found.tasks, strict=True):
        task["metrics"] = [_compared_document(c) for c in one.metrics]
        task["by_category"] = {name: _compared_document(c) for name, c in one.by_category.items()}
    return document


def _compared_document(one: Compared) -> dict[str, Any]:
    found = {key: value for key, value in asdict(one).items() if key != "metric"}
    effect = one.detectable if math.isfinite(one.detectable) else None
    return {"metric": one.metric.name, **found, "detectable": effect}


def write_items(path: Path, found: Comparison) -> None:
    """Write one line a prompt, hardest first within a task."""
    rows = [
        {**asdict(item), "difference": item.first - item.second, "metric": task.metrics[0].metric.name}
        | {"first_method": found.first, "second_method": found.second}
        for task in found.tasks
        for item in task.items
    ]
    try:
        path.write_text(as_csv(rows), encoding="utf-8", newline="\n")
    except OSError as error:
        do = "give another file with --items"
        raise ResultsError(who=f"items {path}", expected="a writable file", got=str(error), do=do) from None
