"""Run cells of a results folder a second time, with the code that made them, and compare to the bit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rmsuite import results, seeds
from rmsuite.book import TaskBook
from rmsuite.bundles.verify import Finding, Progress, Settings, Verification, silent, unequal
from rmsuite.errors import RmsuiteError
from rmsuite.harness import Entrant, Executor, Job, method_cell
from rmsuite.plugins import Catalogue
from rmsuite.reports.records import RERUN, SELF, UNVERIFIED
from rmsuite.results import CellRecord


def rerun(
    home: Path,
    found: Verification,
    book: TaskBook,
    catalogue: Catalogue,
    sample: int | None,
    seed: int,
    executor: Executor,
    progress: Progress = silent,
) -> Verification:
    """Fit and reward a random sample of the verified method cells again, with the tolerance of the verification.

    Nothing is written.

    Parameters
    ----------
    sample : int or None
        How many; None for all.
    seed : int
        Of the choice.
    """
    names = _sample([name for name, level in found.cells.items() if level == SELF], sample, seed)
    cells = {name: results.read(home / name) for name in names}
    settings, findings, known = Settings(book), [], {}
    for name, cell in cells.items():
        try:
            known[name] = _entrant(cell, catalogue)
        except _OtherCode as error:
            findings.append(Finding(name, *error.args))
    failed, jobs = set(), {Job(settings.of(cells[name]), entrant): name for name, entrant in known.items()}
    for job, outcome in progress(executor.run(list(jobs)), len(jobs)):
        again = method_cell(job, outcome)
        differing = [Finding(jobs[job], *parts) for parts in _compared(cells[jobs[job]], again, found.tolerance)]
        findings += differing
        failed |= {finding.where for finding in differing}
    changed = dict.fromkeys(known, RERUN) | dict.fromkeys(failed, UNVERIFIED)
    findings = sorted([*found.findings, *findings], key=lambda finding: finding.where)
    return replace(found, findings=tuple(findings), cells={**found.cells, **changed}, rerun=tuple(known))


def _sample(names: list[str], sample: int | None, seed: int) -> list[str]:
    order = seeds.generator(seed, "rerun").permutation(len(names))
    return [names[i] for i in sorted(order[:sample])]


class _OtherCode(Exception):  # noqa: N818 -- carries what a finding says, is none
    """The code at hand is not the one that made a cell."""


def _entrant(cell: CellRecord, catalogue: Catalogue) -> Entrant:
    """Return a cell's method, if its code is the one that the cell names."""
    try:
        plugin, configured = catalogue.configured(cell.method)
    except RmsuiteError as error:
        do = "give its plugin with --plugin; until then nothing confirms the cell"
        raise _OtherCode(f"the code of {cell.method}, to run it again", "no plugin that offers it", do) from error
    if plugin.source != cell.origin:
        do = "give the code that made the result; other code cannot confirm it, nor refute it"
        raise _OtherCode(f"code {cell.origin}, to run it again", plugin.source, do)
    return Entrant(configured, plugin.source)


def _compared(stored: CellRecord, again: CellRecord, tolerance: float) -> Iterator[tuple[str, str, str]]:
    """Yield what a second run gave otherwise: expected, got, do."""
    if again.status != "ok":
        yield "the same rewards again", f"{again.status} in {again.phase}: {again.error}", "read the plugin"
        return
    if _as_stored(again.parameters) != stored.parameters:
        yield f"parameters {_as_stored(again.parameters)}", f"{stored.parameters}", "run the cell again"
    do = "distrust the result, or compare machines and versions: same code, data and seed gave other numbers"
    for part, got in unequal(stored.arrays, again.arrays, tolerance):
        yield f"{part} as run again", got, do


def _as_stored(parameters: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(parameters), default=str))
