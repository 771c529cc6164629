"""Recompute metrics from stored answers, without fitting anything: for new metrics, or new versions of old ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rmsuite import harness, results, signature
from rmsuite.book import TaskBook
from rmsuite.bundles import folders
from rmsuite.bundles.findings import Progress, seed_of, silent
from rmsuite.bundles.verify import answers
from rmsuite.errors import ResultsError
from rmsuite.results import CellRecord
from rmsuite.tasks import LoadedTask


@dataclass(frozen=True)
class Rescored:
    """A cell whose metrics changed, were added or dropped, by name."""

    cell: CellRecord
    changed: tuple[str, ...]
    added: tuple[str, ...]
    dropped: tuple[str, ...]


def score(home: Path, book: TaskBook, progress: Progress = silent) -> Iterator[Rescored]:
    """Recompute every cell that has rewards; those that change are rewritten, one by one, atomically.

    All cells are looked at before the first is rewritten: a folder that is refused stays as it was. Cells of policies
    have no metrics, and stay as they are.

    Raises
    ------
    ResultsError
        If there are none, one is damaged, or one is of other data than those at hand.
    ContractError
        If stored answers are none.
    UnknownNameError
        If a task is not at hand.
    """
    if not results.found(home) and folders.found(home):
        _refuse_policies(home)
    tasks = _tasks(home, book)
    paths = results.paths(home)
    for path in progress(paths, len(paths)):
        record = results.read(path)
        if record.status == "ok":
            test = tasks[record.task].test
            arrays = harness.measured(test, answers(record, test))
            found = _compared(record, arrays)
            if found.changed or found.added or found.dropped:
                results.write(home, replace(record, arrays=arrays))
                yield found


def _refuse_policies(home: Path) -> None:
    do = "verify them (`rmsuite verify`): what they hold does not depend on metrics"
    raise ResultsError(who=f"score of {home}", expected="cells of methods", got="cells of policies", do=do)


def _tasks(home: Path, book: TaskBook) -> dict[str, LoadedTask]:
    """Return the tasks of all cells by label, or refuse the folder."""
    tasks: dict[str, LoadedTask] = {}
    for record in results.read_all(home):
        if record.kind == "policy":
            _refuse_policies(home)
        if record.status == "ok":
            if record.task not in tasks:
                tasks[record.task] = book.task(record.task).load()
            task = tasks[record.task]
            _refuse_other_data(record, harness.signature_line(task, seed_of(record)))
            answers(record, task.test)
    return tasks


def _refuse_other_data(record: CellRecord, line: str) -> None:
    if record.signature != line:
        raise ResultsError(
            who=f"score of {record.method} on {record.task}",
            expected="results of the data and the protocol at hand",
            got=signature.worded(record.signature, line) or "the same parts in another order",
            do="run it anew: rewards of other data cannot be scored with these",
        )


def _compared(record: CellRecord, arrays: Mapping[str, np.ndarray]) -> Rescored:
    before = record.arrays
    both = set(before) & set(arrays)
    changed = sorted(name for name in both if not _same(before[name], arrays[name]))
    return Rescored(record, tuple(changed), tuple(sorted(set(arrays) - both)), tuple(sorted(set(before) - both)))


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()
