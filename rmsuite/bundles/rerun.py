"""Run cells of a results folder a second time, with the code that made them, and compare to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from rmsuite import policy_cells, results, seeds
from rmsuite.book import TaskBook
from rmsuite.bundles.findings import MEASURED_FACTS, Finding, Progress, Settings, Verification, seed_of, silent, unequal
from rmsuite.errors import RmsuiteError
from rmsuite.executors import Local
from rmsuite.harness import Entrant, Job, method_cell
from rmsuite.plugins import Catalogue
from rmsuite.policy_study import Improver, Study, of_signature
from rmsuite.reports.records import RERUN, SELF, UNVERIFIED
from rmsuite.results import CellRecord

T = TypeVar("T")


def rerun(
    home: Path,
    found: Verification,
    book: TaskBook,
    catalogue: Catalogue,
    sample: int | None,
    seed: int,
    executor: Local,
    progress: Progress = silent,
) -> Verification:
    """Run a random sample of the verified cells of methods and policies again, with the tolerance of the verification.

    Nothing is written in the folder.

    Parameters
    ----------
    sample : int or None
        How many; None for all.
    seed : int
        Of the choice.
    """
    names = _sample([name for name, level in found.cells.items() if level == SELF], sample, seed)
    cells = {name: results.read(home / name) for name in names}
    settings, findings = Settings(book), list[Finding]()
    methods, policies = dict[str, Entrant](), dict[str, Pair]()
    for name, cell in cells.items():
        try:
            if cell.kind == "policy":
                policies[name] = _crossed(cell, catalogue)
            else:
                methods[name] = _entrant(cell, catalogue)
        except _OtherCode as error:
            findings.append(Finding(name, *error.args))
    failed = set()
    runs = chain(_methods(cells, methods, settings, executor), _policies(cells, policies, settings, executor))
    for name, again in progress(runs, len(methods) + len(policies)):
        differing = [Finding(name, *parts) for parts in _compared(cells[name], again, found.tolerance)]
        findings += differing
        failed |= {finding.where for finding in differing}
    known = [name for name in cells if name in methods or name in policies]
    changed = dict.fromkeys(known, RERUN) | dict.fromkeys(failed, UNVERIFIED)
    findings = sorted([*found.findings, *findings], key=lambda finding: finding.where)
    return replace(found, findings=tuple(findings), cells={**found.cells, **changed}, rerun=tuple(known))


Cells = Mapping[str, CellRecord]  # by path within the folder
Pair = tuple[Entrant, Improver]  # method and optimizer of a policy cell


def _methods(
    cells: Cells, entrants: Mapping[str, Entrant], settings: Settings, executor: Local
) -> Iterator[tuple[str, CellRecord]]:
    """Fit and reward again, and yield each cell as it is done."""
    jobs = {Job(settings.of(cells[name]), entrant): name for name, entrant in entrants.items()}
    for job, outcome in executor.run(list(jobs)) if jobs else ():
        yield jobs[job], method_cell(job, outcome)


def _policies(
    cells: Cells, crossed: Mapping[str, Pair], settings: Settings, executor: Local
) -> Iterator[tuple[str, CellRecord]]:
    """Fit and train again, study by study, and yield the cells of each."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for name in crossed:
        watch = tuple(cells[name].arrays["steps"][1:-1].tolist())
        groups.setdefault((cells[name].task, cells[name].signature, watch), []).append(name)
    for (_, line, watch), names in groups.items():
        yield from _study(cells, {name: crossed[name] for name in names}, of_signature(line, watch), settings, executor)


def _study(
    cells: Cells, crossed: Mapping[str, Pair], study: Study, settings: Settings, executor: Local
) -> Iterator[tuple[str, CellRecord]]:
    open_ = {(cells[name].method, cells[name].repetition): name for name in crossed}
    one = cells[next(iter(crossed))]
    entrants = {entrant.configured.label: entrant for entrant, _ in crossed.values()}
    improvers = {improver.configured.label: improver for _, improver in crossed.values()}
    betas = [beta for beta in dict.fromkeys(cells[name].facts["beta"] for name in crossed) if beta is not None]
    study = replace(study, improvers=list(improvers.values()), betas=betas)
    repetitions = max(repetition for _, repetition in open_) + 1
    with TemporaryDirectory() as folder:
        records = policy_cells.run(
            [settings.of(one).task],
            policy_cells.Crossed(list(entrants.values()), study, repetitions, seed_of(one)),
            executor.forbidding(Path(folder)),
            Path(folder),
            done=lambda _, method, repetition: (method, repetition) not in open_,
        )
        yield from ((open_[record.method, record.repetition], record) for record in records)


def _sample(names: list[str], sample: int | None, seed: int) -> list[str]:
    order = seeds.generator(seed, "rerun").permutation(len(names))
    return [names[i] for i in sorted(order[:sample])]


class _OtherCode(Exception):  # noqa: N818 -- carries what a finding says, is none
    """The code at hand is not the one that made a cell."""


def _entrant(cell: CellRecord, catalogue: Catalogue) -> Entrant:
    """Return a cell's method, if its code is the one that the cell names."""
    plugin, configured = _at_hand(catalogue.configured, cell.method)
    _refuse_other_code(cell, plugin.source)
    return Entrant(configured, plugin.source)


def _crossed(cell: CellRecord, catalogue: Catalogue) -> Pair:
    """Return a policy cell's reward model and optimizer, if their code is the one that the cell names."""
    plugin, configured = _at_hand(catalogue.configured, cell.facts["reward_model"])
    other, optimizer = _at_hand(catalogue.optimizer, cell.facts["optimizer"])
    _refuse_other_code(cell, f"{plugin.source}; {other.source}")
    return Entrant(configured, plugin.source), Improver(
        optimizer, other.source, uses_beta=cell.facts["beta"] is not None
    )


def _at_hand(find: Callable[[str], T], name: str) -> T:
    try:
        return find(name)
    except RmsuiteError as error:
        do = "give its plugin with --plugin; until then nothing confirms the cell"
        raise _OtherCode(f"the code of {name}, to run it again", "no plugin that offers it", do) from error


def _refuse_other_code(cell: CellRecord, source: str) -> None:
    if source != cell.origin:
        do = "give the code that made the result; other code cannot confirm it, nor refute it"
        raise _OtherCode(f"code {cell.origin}, to run it again", source, do)


def _compared(stored: CellRecord, again: CellRecord, tolerance: float) -> Iterator[tuple[str, str, str]]:
    """Yield what a second run gave otherwise: expected, got, do."""
    if again.status != "ok":
        yield "the same rewards again", f"{again.status} in {again.phase}: {again.error}", "read the plugin"
        return
    if _as_stored(again.parameters) != stored.parameters:
        yield f"parameters {_as_stored(again.parameters)}", f"{stored.parameters}", "run the cell again"
    for fact in sorted(again.facts.keys() - MEASURED_FACTS):
        if (value := _as_stored({fact: again.facts[fact]})[fact]) != stored.facts.get(fact):
            yield f"fact {fact} = {value!r}", f"{stored.facts.get(fact)!r}", "run the cell again"
    do = "distrust the result, or compare machines and versions: same code, data and seed gave other numbers"
    for part, got in unequal(stored.arrays, again.arrays, tolerance):
        yield f"{part} as run again", got, do


def _as_stored(parameters: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(dict(parameters), default=str))
