"""Recompute everything in a results folder from the stored answers, the task's data and the seed in the signature.

What is found: damage, a changed metric value, fact, hash or signature, a missing cell, any change of a control. What is
not: answers that were never a method's, with everything recomputed and sealed anew around them (``rerun`` finds those),
and seconds, which no second run gives again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rmsuite import results, signature
from rmsuite.arrays import as_probability, as_rewards, as_uncertainty
from rmsuite.book import TaskBook
from rmsuite.controls import CONTROLS
from rmsuite.errors import ResultsError, RmsuiteError
from rmsuite.harness import THREADS, control_cells, measured, notes, signature_line
from rmsuite.reports.records import RERUN, SELF, UNVERIFIED
from rmsuite.reports.records import Verification as Level
from rmsuite.results import CellRecord
from rmsuite.setting import Setting
from rmsuite.tasks import LoadedTask
from rmsuite.tested import Answers, TestSet
from rmsuite.worker import Phase

MEASURED_FACTS = {*(f"{phase}_seconds" for phase in get_args(Phase)), "made_of", "failure"}  # not to be reproduced
ROUNDING = 1e-9  # of the largest number of an array
NAMES = {control.name for control in CONTROLS}
Progress = Callable[[Iterable[Any], int], Iterable[Any]]  # (items, how many) -> the items, with a bar


def silent(items: Iterable[Any], total: int) -> Iterable[Any]:  # noqa: ARG001 -- a bar would need it
    """Return the items: no bar."""
    return items


@dataclass(frozen=True)
class Finding:
    """Something in a folder that is not as it should be; ``where`` is a path within it."""

    where: str
    expected: str
    got: str
    do: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}, got {self.got}. Do: {self.do}."


@dataclass(frozen=True)
class Verification:
    """What verifying a folder showed.

    Attributes
    ----------
    findings : tuple of Finding
    cells : mapping
        Level by the path of each record within the folder, "unverified" where something was found.
    seals : mapping
        The seal of each record as it was read, by the same path; damaged ones are left out.
    tolerance : float
        By how much numbers were allowed to differ, as a share of the largest of their array.
    without_numbers : tuple of str
        Cells that failed or were skipped: there is nothing to verify in them.
    rerun : tuple of str
        Cells that were run again, the same or not.
    """

    findings: tuple[Finding, ...]
    cells: Mapping[str, Level]
    without_numbers: tuple[str, ...]
    seals: Mapping[str, str]
    tolerance: float
    rerun: tuple[str, ...] = ()


@dataclass
class _Folder:
    """The cells of a folder that could be read, by path within it, and what was found so far."""

    home: Path
    tolerance: float = 0.0
    cells: dict[str, CellRecord] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def find(self, where: str, expected: str, got: str, do: str) -> None:
        self.findings.append(Finding(where, expected, got, do))


def verify(home: Path, book: TaskBook, *, rounding: bool = False, progress: Progress = silent) -> Verification:
    """Recompute a results folder.

    Parameters
    ----------
    home : Path
        A folder of results.
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
    folder, settings = _Folder(home, ROUNDING if rounding else 0.0), Settings(book)
    _read(folder)
    # Repetition by repetition: what is drawn for one of them serves all its methods.
    order = sorted(folder.cells, key=lambda name: (folder.cells[name].task, folder.cells[name].repetition, name))
    for name in progress(order, len(order)):
        _check(folder, name, folder.cells[name], settings)
    _unmixed(folder)
    _complete(folder)
    bad = {finding.where for finding in folder.findings}
    whole = dict.fromkeys(folder.unreadable, UNVERIFIED)
    whole |= {name: UNVERIFIED if name in bad else _reached(cell) for name, cell in folder.cells.items()}
    empty = tuple(f"{name} ({cell.status})" for name, cell in folder.cells.items() if cell.status != "ok")
    findings = sorted(folder.findings, key=lambda finding: finding.where)
    seals = {name: cell.seal for name, cell in folder.cells.items()}
    return Verification(tuple(findings), dict(sorted(whole.items())), empty, seals, folder.tolerance)


def _reached(cell: CellRecord) -> Level:
    """Return the level of a cell in which nothing was found; a control was made anew, rewards and all."""
    if cell.status != "ok":
        return UNVERIFIED
    return RERUN if cell.kind == "control" else SELF


def _read(folder: _Folder) -> None:
    for path in results.paths(folder.home):
        name = path.relative_to(folder.home).as_posix()
        try:
            cell, wrong = results.read(path), ""
        except RmsuiteError as error:
            wrong = error.got
        wrong = wrong or _impossible(cell)
        if wrong:
            folder.unreadable.append(name)
            folder.find(name, "a whole record of a cell, with the sha256 that it says", wrong, "run the cell again")
            continue
        folder.cells[name] = cell
        right = results.cell_path(folder.home, cell).relative_to(folder.home).as_posix()
        if right != name:
            folder.find(name, f"this record at {right}", "it here", "move it, or delete the copy")


def _impossible(cell: CellRecord) -> str:
    """Return what no run writes of a method or a control of this name."""
    if cell.kind != ("control" if cell.method in NAMES else "method"):
        return f"kind {cell.kind!r} of {cell.method!r}"
    return f"status {cell.status!r} of a control" if cell.kind == "control" and cell.status != "ok" else ""


class Settings:
    """The settings of cells; what is drawn for one is kept for the next."""

    def __init__(self, book: TaskBook) -> None:
        self.book = book
        self.setting = lru_cache(maxsize=2)(self._setting)
        self.controls = lru_cache(maxsize=2)(self._controls)
        self.task = lru_cache(maxsize=None)(self._task)

    def of(self, cell: CellRecord) -> Setting:
        """Return the setting that a cell names, with the seed in its signature."""
        return self.setting(cell.task, seed_of(cell), cell.repetition)

    def _task(self, label: str) -> LoadedTask:
        return self.book.task(label).load()

    def _setting(self, label: str, seed: int, repetition: int) -> Setting:
        return Setting(self.task(label), seed, repetition)

    def _controls(self, label: str, seed: int, repetition: int) -> dict[str, CellRecord]:
        return {cell.method: cell for cell in control_cells(self.setting(label, seed, repetition))}


def seed_of(record: CellRecord) -> int:
    """Return the root seed that a record's signature says.

    Raises
    ------
    ResultsError
        If it says none.
    """
    seed = signature.read(record.signature).get("seed", "none")
    if not re.fullmatch(r"-?[0-9]+", seed):
        do = "run it anew: nobody knows what made it"
        who = f"signature of {record.method} on {record.task}"
        raise ResultsError(who=who, expected="a seed", got=seed or "none", do=do)
    return int(seed)


def _check(folder: _Folder, name: str, cell: CellRecord, settings: Settings) -> None:
    """Add what is wrong with one cell."""
    try:
        setting = settings.of(cell)
        facts = setting.facts()
    except RmsuiteError as error:
        do = "install the task, in the version that the record names; until then the cell cannot be verified"
        folder.find(name, f"task {cell.task} at hand, and a whole signature with its seed", error.got, do)
        return
    line = signature_line(setting.task, seed_of(cell))
    for part, (said, found) in signature.differences(cell.signature, line).items():
        folder.find(name, f"signature part {part}:{found}", f"{part}:{said}", "run it anew with the data at hand")
    if cell.signature != line and not signature.differences(cell.signature, line):
        folder.find(name, "the signature's parts in their order", cell.signature, "run it anew")
    _check_facts(folder, name, cell, {"task": setting.task.card.label, **facts})
    if cell.status == "ok":
        _check_arrays(folder, name, cell, setting, settings)


def _check_facts(folder: _Folder, name: str, cell: CellRecord, facts: Mapping[str, Any]) -> None:
    said = {"task": cell.task, **cell.facts}
    for key in sorted((set(facts) | set(said)) - MEASURED_FACTS):
        if said.get(key) != facts.get(key):
            folder.find(name, f"fact {key} = {facts.get(key)!r}", repr(said.get(key)), "run it anew")


def _check_arrays(folder: _Folder, name: str, cell: CellRecord, setting: Setting, settings: Settings) -> None:
    try:
        given = answers(cell, setting.task.test)
    except RmsuiteError as error:
        folder.find(name, error.expected, error.got, "distrust the cell and run it anew")
        return
    said = notes(given) if cell.kind == "method" else ()
    if tuple(note for note in cell.notes if not note.endswith(THREADS)) != said:
        folder.find(name, f"notes {list(said)}", f"{list(cell.notes)}", "run it anew")
    if cell.kind == "control":  # all of it follows from the task and the seed
        expected = settings.controls(cell.task, seed_of(cell), cell.repetition)[cell.method].arrays
    else:
        expected = measured(setting.task.test, given)
    for part, got in unequal(cell.arrays, expected, folder.tolerance):
        do = (
            "run `rmsuite score` if only metrics changed between versions, verify with --rounding if the last bits of "
            "another kind of processor may be it, else distrust the cell and run it anew"
        )
        folder.find(name, f"{part} as recomputed", got, do)


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


def unequal(
    got: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float = 0.0
) -> Iterator[tuple[str, str]]:
    """Yield the arrays that are not the same, to the bit if there is no tolerance, and in what they differ."""
    for name in sorted(set(got) | set(expected)):
        if name not in got:
            yield name, "none"
        elif name not in expected:
            yield f"no {name}", "one"
        elif (got[name].shape, got[name].dtype) != (expected[name].shape, expected[name].dtype):
            yield name, f"{got[name].dtype} of shape {got[name].shape}"
        elif got[name].tobytes() != expected[name].tobytes() and not _close(got[name], expected[name], tolerance):
            yield name, _apart(got[name], expected[name])


def _close(got: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    return tolerance > 0 and np.allclose(got, expected, rtol=0, atol=tolerance * largest, equal_nan=True)


def _apart(got: np.ndarray, expected: np.ndarray) -> str:
    """Say how many numbers differ and by how much: last bits may be another machine's arithmetic, more is not."""
    differing = got != expected
    places = f"other bits in {np.count_nonzero(differing)} of {got.size} places"
    if got.dtype.kind != "f" or not differing.any():
        return places
    with np.errstate(invalid="ignore", over="ignore"):
        return f"{places}, by at most {np.abs(got - expected)[differing].max():.1e}"


def _unmixed(folder: _Folder) -> None:
    """Find cells of another signature than most of their task: no table shows the two together."""
    lines: dict[str, Counter[str]] = {}
    for cell in folder.cells.values():
        lines.setdefault(cell.task, Counter())[cell.signature] += 1
    for name, cell in folder.cells.items():
        (most, _), *others = lines[cell.task].most_common()
        if others and cell.signature != most:
            do = "run it anew, or keep it in a folder of its own"
            folder.find(name, "the signature of the task's other cells", signature.worded(most, cell.signature), do)


def _complete(folder: _Folder) -> None:
    """Find cells that are missing: a run gives every method and control every repetition up to the last."""
    by_task: dict[str, dict[str, CellRecord]] = {}
    last: dict[str, int] = {}
    for cell in folder.cells.values():
        by_task.setdefault(cell.task, {})[cell.method] = cell
        last[cell.task] = max(cell.repetition, last.get(cell.task, 0))
    there = {results.cell_path(folder.home, cell) for cell in folder.cells.values()}
    there |= {folder.home / name for name in folder.unreadable}  # damaged is not missing
    for task, methods in sorted(by_task.items()):
        one = next(iter(methods.values()))
        methods |= {name: replace(one, method=name) for name in NAMES}
        for cell in methods.values():
            for number in range(last[task] + 1):
                path = results.cell_path(folder.home, replace(cell, repetition=number))
                if path not in there:
                    where = path.relative_to(folder.home).as_posix()
                    folder.find(where, "this cell: a run writes it with the others", "none", "run the task again")
