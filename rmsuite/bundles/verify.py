"""Recompute everything in a results folder from the stored answers, the task's data and the seed in the signature.

What is found: damage, a changed metric value, fact, hash or signature, a missing cell, any change of a control. What is
not: answers that were never a method's, with everything recomputed and sealed anew around them (``rerun`` finds those),
and seconds, which no second run gives again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from rmsuite import results, signature
from rmsuite.arrays import as_probability, as_rewards, as_uncertainty
from rmsuite.book import TaskBook
from rmsuite.bundles import folders, verify_policies
from rmsuite.bundles.findings import ROUNDING, Folder, Progress, Settings, Verification, seed_of, silent
from rmsuite.controls import CONTROLS
from rmsuite.errors import RmsuiteError
from rmsuite.harness import measured, notes, signature_line
from rmsuite.reports.records import RERUN, SELF, UNVERIFIED
from rmsuite.reports.records import Verification as Level
from rmsuite.results import CellRecord
from rmsuite.setting import Setting
from rmsuite.tested import Answers, TestSet

NAMES = {control.name for control in CONTROLS}


def verify(home: Path, book: TaskBook, *, rounding: bool = False, progress: Progress = silent) -> Verification:
    """Recompute a results folder, its cells of policies too.

    Parameters
    ----------
    home : Path
        A folder of results, or the folder of policies in one.
    book : TaskBook
        The cards of the tasks at hand.
    rounding : bool
        Let numbers differ by ``ROUNDING``: another kind of processor sums in another order.
    progress : callable
        Shows a bar.

    Raises
    ------
    ResultsError
        If the folder holds no results.
    """
    folder, settings = Folder(home, ROUNDING if rounding else 0.0), Settings(book)
    _read(folder)
    # Repetition by repetition: what is drawn for one of them serves all its methods.
    order = sorted(folder.cells, key=lambda name: (folder.cells[name].task, folder.cells[name].repetition, name))
    for name in progress(order, len(order)):
        check = verify_policies.check if folder.cells[name].kind == "policy" else _check
        check(folder, name, folder.cells[name], settings)
    _unmixed(folder)
    _complete(folder)
    bad = {finding.where for finding in folder.findings}
    whole = dict.fromkeys(folder.unreadable, UNVERIFIED)
    whole |= {name: UNVERIFIED if name in bad else _reached(cell) for name, cell in folder.cells.items()}
    empty = tuple(f"{name} ({cell.status})" for name, cell in folder.cells.items() if cell.status != "ok")
    findings = sorted(folder.findings, key=lambda finding: finding.where)
    seals = {name: cell.seal for name, cell in folder.cells.items()}
    kinds = {name: _kind(folder, name) for name in whole}
    return Verification(tuple(findings), dict(sorted(whole.items())), empty, seals, kinds, folder.tolerance)


def _kind(folder: Folder, name: str) -> str:
    if name in folder.cells:
        return folder.cells[name].kind
    return "policy" if folders.holds_policies(folders.root(folder.home / name)) else "method"


def _reached(cell: CellRecord) -> Level:
    """Return the level of a cell in which nothing was found; a control was made anew, rewards and all."""
    if cell.status != "ok":
        return UNVERIFIED
    return RERUN if cell.kind == "control" else SELF


def _read(folder: Folder) -> None:
    for path in folders.paths(folder.home):
        name = path.relative_to(folder.home).as_posix()
        try:
            cell, wrong = results.read(path), ""
        except RmsuiteError as error:
            wrong = error.got
        wrong = wrong or _impossible(cell, folders.holds_policies(folders.root(path)))
        if wrong:
            folder.unreadable.append(name)
            folder.find(name, "a whole record of a cell, with the sha256 that it says", wrong, "run the cell again")
            continue
        folder.cells[name] = cell
        right = folders.place(path, cell).relative_to(folder.home).as_posix()
        if right != name:
            folder.find(name, f"this record at {right}", "it here", "move it, or delete the copy")


def _impossible(cell: CellRecord, among_policies: bool) -> str:
    """Return what no run writes of a method, a control or a policy of this name."""
    if cell.kind == "policy" and among_policies:
        return verify_policies.impossible(cell)
    if cell.kind != ("control" if cell.method in NAMES else "method"):
        return f"kind {cell.kind!r} of {cell.method!r}"
    return f"status {cell.status!r} of a control" if cell.kind == "control" and cell.status != "ok" else ""


def _check(folder: Folder, name: str, cell: CellRecord, settings: Settings) -> None:
    """Add what is wrong with one cell."""
    try:
        setting = settings.of(cell)
        facts = setting.facts()
    except RmsuiteError as error:
        folder.no_task(name, cell, error.got)
        return
    folder.check_signature(name, cell, signature_line(setting.task, seed_of(cell)))
    folder.check_facts(name, cell, {"task": setting.task.card.label, **facts})
    if cell.status == "ok":
        _check_arrays(folder, name, cell, setting, settings)


def _check_arrays(folder: Folder, name: str, cell: CellRecord, setting: Setting, settings: Settings) -> None:
    try:
        given = answers(cell, setting.task.test)
    except RmsuiteError as error:
        folder.find(name, error.expected, error.got, "distrust the cell and run it anew")
        return
    folder.check_notes(name, cell, notes(given) if cell.kind == "method" else ())
    if cell.kind == "control":  # all of it follows from the task and the seed
        expected = settings.controls(cell.task, seed_of(cell), cell.repetition)[cell.method].arrays
    else:
        expected = measured(setting.task.test, given)
    folder.check_arrays(name, cell, expected)


def answers(cell: CellRecord, test: TestSet) -> Answers:
    """Return the stored answers of a cell.

    Raises
    ------
    ContractError
        If they are not what a method may answer on this test set.
    """
    arrays, n, who, nothing = cell.arrays, len(test.rows), repr(cell.method), np.empty(0)
    uncertainty, probability, planted = arrays.get("uncertainty"), arrays.get("probability"), test.planted
    return Answers(
        as_rewards(arrays.get("rewards", nothing), n, who=who),
        None if uncertainty is None else as_uncertainty(uncertainty, n, who=who),
        None if probability is None else as_probability(probability, len(test.asked.first), who=who),
        None if planted is None else as_rewards(arrays.get("planted", nothing), len(planted.rows), who=who),
    )


Group = tuple[Path, str]  # cells that one table shows: where they lie, and their task


def _group(folder: Folder, name: str) -> Group:
    return folders.root(folder.home / name), folder.cells[name].task


def _unmixed(folder: Folder) -> None:
    """Find cells of another signature than most of their task: no table shows the two together."""
    lines: dict[Group, Counter[str]] = {}
    for name, cell in folder.cells.items():
        lines.setdefault(_group(folder, name), Counter())[cell.signature] += 1
    for name, cell in folder.cells.items():
        (most, _), *others = lines[_group(folder, name)].most_common()
        if others and cell.signature != most:
            do = "run it anew, or keep it in a folder of its own"
            folder.find(name, "the signature of the task's other cells", signature.worded(most, cell.signature), do)


def _complete(folder: Folder) -> None:
    """Find cells that are missing: a run gives every method, control and policy every repetition up to the last."""
    groups: dict[Group, dict[str, CellRecord]] = {}
    last: dict[Group, int] = {}
    for name, cell in folder.cells.items():
        group = _group(folder, name)
        groups.setdefault(group, {})[cell.method] = cell
        last[group] = max(cell.repetition, last.get(group, 0))
    there = {folders.place(folder.home / name, cell) for name, cell in folder.cells.items()}
    there |= {folder.home / name for name in folder.unreadable}  # damaged is not missing
    for group, methods in sorted(groups.items(), key=lambda item: item[0]):
        one = next(iter(methods.values()))
        methods |= {} if one.kind == "policy" else {name: replace(one, method=name) for name in NAMES}
        for cell in methods.values():
            for number in range(last[group] + 1):
                path = results.cell_path(group[0], replace(cell, repetition=number))
                if path not in there:
                    where = path.relative_to(folder.home).as_posix()
                    folder.find(where, "this cell: a run writes it with the others", "none", "run the task again")
