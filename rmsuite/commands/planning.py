"""What a command that computes cells is asked for, and which of the cells are there already."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rmsuite import harness, results, reuse, signature
from rmsuite.book import TaskBook
from rmsuite.controls import CONTROLS
from rmsuite.errors import ResultsError, UnknownNameError, unknown_name
from rmsuite.plugins import Catalogue
from rmsuite.results import CellRecord
from rmsuite.sweeps import studies, tasks_of
from rmsuite.tasks import LoadedTask, Task

Names = Callable[[str], set[str]]  # what --force may call the cells of a label


@dataclass(frozen=True)
class Plan:
    """All cells of a command: results that are there and stay, and cells to compute; options may leave others out."""

    cells: tuple[reuse.Wanted, ...]
    kept: tuple[CellRecord, ...]
    open: tuple[reuse.Wanted, ...]

    @property
    def n_cells(self) -> int:
        """How many cells the command has."""
        return len(self.cells)

    def in_order(self, records: Iterable[CellRecord]) -> list[CellRecord]:
        """Return records of the cells in the order of the cells."""
        place = {_key(cell): number for number, cell in enumerate(self.cells)}
        return sorted(records, key=lambda record: place[_key(record)])

    @cached_property
    def _todo(self) -> set[tuple[str, str, int]]:
        return set(map(_key, self.open))

    def leaves_out(self, task: str, method: str, repetition: int) -> bool:
        """Whether a cell is not to be computed."""
        return (task, method, repetition) not in self._todo

    def without(self, finished: Iterable[CellRecord]) -> Plan:
        """Return the plan with some cells finished."""
        there = set(map(_key, finished))
        return replace(self, open=tuple(cell for cell in self.open if _key(cell) not in there))

    def loaded(self, tasks: Iterable[Task]) -> list[LoadedTask]:
        """Return those of some tasks that have a cell to compute."""
        labels = {cell.task for cell in self.open}
        return [task.load() for task in tasks if task.label in labels]


def _key(cell: reuse.Wanted | CellRecord) -> tuple[str, str, int]:
    return cell.task, cell.method, cell.repetition


def planned(cells: Iterable[reuse.Wanted], options: Namespace, home: Path, names: Names) -> Plan:
    """Decide which cells of a command are computed; say why, if the options ask for it.

    Parameters
    ----------
    home : Path
        The results folder.
    names : callable
        What the options may call a cell, by its label, to have it computed anew.

    Raises
    ------
    ResultsError
        If the results folder holds cells of another signature.
    UnknownNameError
        If the options force what is not there.
    """
    cells = tuple(cells)
    _refuse_another_signature({cell.task: cell.made_of["signature"] for cell in cells}, home)
    _refuse_unknown(options.force or (), {name for label in {cell.method for cell in cells} for name in names(label)})
    found = [(cell, _found(cell, options, home, names)) for cell in cells]
    wanted = [(cell, one) for cell, one in found if one.state != "kept" and options.only in (None, one.state)]
    if options.explain_cache:
        for cell, one in wanted:
            print(f"rmsuite: {cell.method} on {cell.task}, repetition {cell.repetition}: {one.why}", file=sys.stderr)
    kept = tuple(one.record for _, one in found if one.record is not None)
    return Plan(cells, kept, tuple(cell for cell, _ in wanted))


def _found(cell: reuse.Wanted, options: Namespace, home: Path, names: Names) -> reuse.Found:
    if options.no_cache:
        return reuse.Found("forced", why="--no-cache")
    if options.force and names(cell.method) & set(options.force):
        return reuse.Found("forced", why="--force")
    return reuse.kept(home, cell)


def _refuse_unknown(forced: Iterable[str], known: set[str]) -> None:
    for name in forced:
        if name not in known:
            raise unknown_name("--force", name, known, "name a row of this run's tables, or what one is of")


def names(label: str) -> set[str]:
    """Return what --force may call a method or an optimizer: its label, and its name alone."""
    return {label, label.partition("[")[0]}


def _refuse_another_signature(lines: Mapping[str, str], home: Path) -> None:
    for task, line in lines.items():
        for other in results.signatures(results.task_folder(home, task)) - {line}:
            raise ResultsError(
                who=f"results folder {home}",
                expected=f"results of {task} with the signature of this run",
                got=f"others ({signature.worded(other, line)})",
                do="give another folder with --output, or delete this one",
            )


def announce(plan: Plan, tasks: Iterable[Task]) -> None:
    """Say before cells are computed which of the tasks are superseded, and how many cells need not be."""
    for task in tasks:
        if task.superseded_by:
            print(f"rmsuite: {task.label} is superseded by {task.superseded_by}: run that one instead", file=sys.stderr)
    if plan.kept:
        print(f"rmsuite: {len(plan.kept)} of {plan.n_cells} cells are there already", file=sys.stderr)


def show(plan: Plan, home: Path) -> int:
    """Print how many cells of each label would be computed, and how long such took before; return the exit code."""
    for name in dict.fromkeys(cell.method for cell in plan.open):
        cells = [cell for cell in plan.open if cell.method == name]
        print(f"{name}: {len(cells)} cells{_expected(home, cells)}")
    print(f"{len(plan.open)} of {plan.n_cells} cells would be computed; nothing was")
    return 0


def _expected(home: Path, cells: Sequence[reuse.Wanted]) -> str:
    """Say how long cells should take by other repetitions of theirs in the folder; nothing where there are none."""
    seconds = [results.seconds(home, cell.task, cell.method) for cell in cells]
    known = [one for one in seconds if one is not None]
    if not known:
        return ""
    whole = sum(known) / len(known) * len(cells)
    return f", about {whole:.1f} s of one core (by the seconds of earlier results of {len(known)} of them)"


def asked_tasks(book: TaskBook, options: Namespace) -> list[Task]:
    """Return the tasks that the options name, or those of their suite, each once."""
    named = [book.task(text) for text in options.task or ()]
    return list({task.label: task for task in named}.values()) or tasks_of(studies(book, book.suite(options.suite)))


def entrants(catalogue: Catalogue, texts: Iterable[str]) -> list[harness.Entrant]:
    """Return the methods that names with parameters stand for, each once.

    Raises
    ------
    UnknownNameError
        If there is no such method, or a control has its name.
    """
    found = {}
    for text in texts:
        plugin, configured = catalogue.configured(text)
        found[configured.label] = harness.Entrant(configured, plugin.source, catalogue.made_of(configured))
    clash = sorted({control.name for control in CONTROLS} & set(found))
    if clash:
        got = f"{clash[0]!r}, which is a control of every table"
        raise UnknownNameError(who="--method", expected="a method", got=got, do="rename the method")
    return list(found.values())
