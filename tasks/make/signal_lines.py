"""Write how far a plain method rises above the controls: table ``signal`` of a pool's ``facts.toml``, by task.

Run by hand on the results of ``rmsuite run --task TASK --method bt-linear --method bt-mlp -o FOLDER``:
``python tasks/make/signal_lines.py FOLDER``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pool_facts

from rmsuite import results
from rmsuite.book import read_book
from rmsuite.reports.records import Row, Table
from rmsuite.reports.tables import report
from rmsuite.statistics.estimate import Estimate

METHODS = ("bt-linear", "bt-mlp")
HEADLINE = "pair-accuracy"


def standard_errors(gain: Estimate) -> float:
    """Return a gain over half the width of its interval, in standard errors of a normal variable of that level."""
    half = (gain.high - gain.low) / 2
    return gain.value / half * NormalDist().inv_cdf((1 + gain.level) / 2)


def triple(estimate: Estimate) -> list[float]:
    """Return value and interval."""
    return [round(number, 4) + 0.0 for number in (estimate.value, estimate.low, estimate.high)]


def line(table: Table) -> dict[str, Any]:
    """Return what the card says of one task, of the method with the larger gain."""
    rows = {row.method: row for row in table.rows}
    best = max((rows[name] for name in METHODS), key=lambda row: row.gains[HEADLINE].estimate.value)
    name = table.task.split("@")[0]
    return {
        "command": " ".join(["rmsuite run --task", name, *(f"--method {method}" for method in METHODS)]),
        "method": best.method,
        "pair_accuracy": triple(best.estimates[HEADLINE]),
        "controls": {name: triple(rows[name].estimates[HEADLINE]) for name in ("length", "random")},
        "best_control": table.best_control,
        "gain": triple(best.gains[HEADLINE].estimate),
        "gain_in_standard_errors": round(standard_errors(best.gains[HEADLINE].estimate), 1),
        "best_of_n": best_of(best),
    }


def best_of(row: Row) -> dict[str, list[float]]:
    """Return the best-of-n columns of a row."""
    return {name: triple(value) for name, value in row.estimates.items() if name.startswith("best-of-")}


def main(folder: Path) -> None:
    """Write the lines of all tasks in a results folder."""
    book = read_book([pool_facts.POOLS.parent])
    cells = [cell for cell in results.read_all(folder) if cell.method in METHODS or cell.kind == "control"]
    for table in report(cells).tables:
        pool = book.task(table.task).pool_folder
        signal = {**pool_facts.read(pool).get("signal", {}), table.task: line(table)}
        pool_facts.write(pool, "signal", dict(sorted(signal.items())))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
