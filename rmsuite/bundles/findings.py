"""What verifying finds, the settings that cells name, and how numbers are compared: for cells of every kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rmsuite import signature
from rmsuite.book import TaskBook
from rmsuite.errors import ResultsError
from rmsuite.harness import THREADS, control_cells
from rmsuite.policy_reference import UNIFORM
from rmsuite.policy_setting import PolicySetting
from rmsuite.reports.records import Verification as Level
from rmsuite.results import CellRecord
from rmsuite.setting import Setting
from rmsuite.tasks import LoadedTask
from rmsuite.worker import Phase

OTHER_NUMBERS = (
    "run `rmsuite score` if only metrics changed between versions, verify with --rounding if the last bits of "
    "another kind of processor may be it, else distrust the cell and run it anew"
)
MEASURED_FACTS = {*(f"{phase}_seconds" for phase in get_args(Phase)), "made_of", "failure"}  # not to be reproduced
ROUNDING = 1e-9  # of the largest number of an array
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
    kinds : mapping
        The kind of each cell, by the same path: of a damaged one that of those which lie where it does.
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
    kinds: Mapping[str, str]
    tolerance: float
    rerun: tuple[str, ...] = ()


@dataclass
class Folder:
    """The cells of a folder that could be read, by path within it, and what was found so far."""

    home: Path
    tolerance: float = 0.0
    cells: dict[str, CellRecord] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def find(self, where: str, expected: str, got: str, do: str) -> None:
        """Add what is not as it should be."""
        self.findings.append(Finding(where, expected, got, do))

    def check_signature(self, name: str, cell: CellRecord, line: str) -> None:
        """Find where a cell's signature is not the one that the data at hand give."""
        for part, (said, found) in signature.differences(cell.signature, line).items():
            self.find(name, f"signature part {part}:{found}", f"{part}:{said}", "run it anew with the data at hand")
        if cell.signature != line and not signature.differences(cell.signature, line):
            self.find(name, "the signature's parts in their order", cell.signature, "run it anew")

    def check_facts(self, name: str, cell: CellRecord, facts: Mapping[str, Any]) -> None:
        """Find where a cell's facts are not these, its task among them; measurements are left out."""
        said = {"task": cell.task, **cell.facts}
        for key in sorted((set(facts) | set(said)) - MEASURED_FACTS):
            if said.get(key) != facts.get(key):
                self.find(name, f"fact {key} = {facts.get(key)!r}", repr(said.get(key)), "run it anew")

    def check_notes(self, name: str, cell: CellRecord, notes: tuple[str, ...]) -> None:
        """Find whether a cell's notes are others; what it ran beside its thread is the word of whoever ran it."""
        if tuple(note for note in cell.notes if not note.endswith(THREADS)) != notes:
            self.find(name, f"notes {list(notes)}", f"{list(cell.notes)}", "run it anew")

    def check_arrays(self, name: str, cell: CellRecord, expected: Mapping[str, np.ndarray]) -> None:
        """Find where a cell's arrays are not these."""
        for part, got in unequal(cell.arrays, expected, self.tolerance):
            self.find(name, f"{part} as recomputed", got, OTHER_NUMBERS)

    def no_task(self, name: str, cell: CellRecord, got: str) -> None:
        """Add that nothing of a cell can be recomputed."""
        do = "install the task, in the version that the record names; until then the cell cannot be verified"
        self.find(name, f"task {cell.task} at hand, and a whole signature with its seed", got, do)


class Settings:
    """The settings of cells; what is drawn for one is kept for the next."""

    def __init__(self, book: TaskBook) -> None:
        self.book = book
        self.setting = lru_cache(maxsize=2)(self._setting)
        self.controls = lru_cache(maxsize=2)(self._controls)
        self.policies = lru_cache(maxsize=2)(PolicySetting)
        self.task = lru_cache(maxsize=None)(self._task)

    def of(self, cell: CellRecord) -> Setting:
        """Return the setting that a cell names, with the seed in its signature."""
        return self.setting(cell.task, seed_of(cell), cell.repetition)

    def policies_of(self, cell: CellRecord) -> PolicySetting:
        """Return the same for policies."""
        return self.policies(self.of(cell), signature.read(cell.signature).get("reference", UNIFORM))

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
