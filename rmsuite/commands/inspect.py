"""``rmsuite inspect METHOD``: one method in detail, from its stored answers."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tabulate import tabulate
from threadpoolctl import threadpool_limits

from rmsuite import harness, results
from rmsuite.bundles.findings import seed_of
from rmsuite.bundles.verify import answers
from rmsuite.commands import shared
from rmsuite.errors import ResultsError, unknown_name
from rmsuite.reports.cells import by_task
from rmsuite.reports.details import best_of_n_curve, reliability
from rmsuite.results import CellRecord
from rmsuite.tasks import LoadedTask


def show_details(options: Namespace) -> int:
    """Print a method's best-of-n curve and the reliability of its probabilities, on each task."""
    catalogue = shared.catalogue(options)
    book = shared.book(catalogue)
    asked = {book.task(name).label for name in options.task or book.tasks}
    stored = [] if options.no_stored else shared.stored(catalogue, asked)
    records = [*results.read_all(options.output), *stored]
    if options.method not in {record.method for record in records}:
        known = sorted({record.method for record in records})
        raise unknown_name("method", options.method, known, f"run it into {str(options.output)!r} first")
    found = {}
    for task, cells in sorted(by_task(r for r in records if r.task in asked and r.method == options.method).items()):
        with threadpool_limits(limits=1):  # the number of threads decides the last bits of sums
            found[task] = _details(book.task(task).load(), cells)
    print(json.dumps(found, indent=1, allow_nan=False) if options.format == "json" else _text(options.method, found))
    return 0


def _details(task: LoadedTask, cells: Sequence[CellRecord]) -> dict[str, Any]:
    """Return what there is to say of the cells of one signature; own ones come before stored ones."""
    chosen = {cell.repetition: cell for cell in reversed(cells) if cell.signature == cells[0].signature}
    whole = [cell for _, cell in sorted(chosen.items()) if cell.status == "ok"]
    if not whole:
        return {"signature": cells[0].signature, "best-of-n": [], "reliability": []}
    line = harness.signature_line(task, seed_of(whole[0]))
    if line != whole[0].signature:
        do = "install the tasks that the results are of, or run the method anew"
        who, got = f"{whole[0].method} on {whole[0].task}", whole[0].signature
        raise ResultsError(who=who, expected=f"results of {line}", got=got, do=do)
    given = [answers(cell, task.test) for cell in whole]
    curve, bins = (of(task.card.label, task.test, given) for of in (best_of_n_curve, reliability))
    return {
        "signature": line,
        "repetitions": [cell.repetition for cell in whole],
        "best-of-n": [asdict(point) for point in curve],
        "reliability": [asdict(one) for one in bins],
    }


def _text(method: str, found: dict[str, dict[str, Any]]) -> str:
    lines = []
    for task, details in found.items():
        lines += [f"{method} on {task}", ""]
        curve = [[p["n"], f"{p['kl']:.2f}", _cell(p["gold"], 1, 3)] for p in details["best-of-n"]]
        bins = [
            [f"{b['low']:.2f} to {b['high']:.2f}", f"{b['n_pairs']:,}", f"{100 * b['confidence']:.1f}", _right(b)]
            for b in details["reliability"]
        ]
        lines += _block(curve, ["n", "KL in nats", "best-of-n gold (random 0, oracle 1)"])
        lines += _block(bins, ["confidence", "pairs", "mean confidence %", "right %"])
        lines += [] if curve or bins else ["No gold rewards and no probabilities, or no finished cell.", ""]
        lines += [f"Signature: {details['signature']}", ""]
    return "\n".join(lines).rstrip()


def _block(rows: Sequence[Sequence[Any]], headers: Sequence[str]) -> list[str]:
    return [tabulate(rows, headers, tablefmt="simple", disable_numparse=True), ""] if rows else []


def _right(one: dict[str, Any]) -> str:
    return _cell(one["right"], 100, 1)


def _cell(estimate: dict[str, Any], scale: float, digits: int) -> str:
    value, low, high = (f"{scale * estimate[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
