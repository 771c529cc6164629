"""``rmsuite run``: run methods on tasks, and print the tables."""

from __future__ import annotations

import contextlib
import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rmsuite import harness, results, reuse, signature
from rmsuite.book import TaskBook
from rmsuite.commands import ending, executing, shared
from rmsuite.commands.table import print_report
from rmsuite.controls import CONTROLS
from rmsuite.errors import ResultsError, RmsuiteError, UnknownNameError, unknown_name
from rmsuite.plugins import Catalogue
from rmsuite.results import CellRecord
from rmsuite.sweeps import studies, tasks_of
from rmsuite.tasks import Task

ENVIRONMENT = "environment.json"  # in a results folder: what its last run was made with


def run(options: Namespace) -> int:
    """Run methods on tasks, and print the tables."""
    catalogue = shared.catalogue(options)
    chosen = entrants(catalogue, options.method)
    if options.dry_run:
        return show_plan(shared.book(catalogue), options, chosen)
    if options.in_process or options.pdb:
        return _try_out(catalogue, options, chosen)
    ran = run_cells(catalogue, options, chosen)
    _print(catalogue, options, chosen, ran)
    return ending.conclude(options, ran)


def _print(catalogue: Catalogue, options: Namespace, chosen: Sequence[harness.Entrant], ran: ending.Ran) -> None:
    with ending.with_what_is_there(ran):
        print_report(catalogue, options, ran.records, asked=[entrant.configured.label for entrant in chosen])


def _try_out(catalogue: Catalogue, options: Namespace, chosen: Sequence[harness.Entrant]) -> int:
    """Run methods where nothing keeps them from gold rewards and from each other: no result of that is kept."""
    _refuse_what_has_no_effect(options)
    with TemporaryDirectory() as folder:
        options = Namespace(**{**vars(options), "output": Path(folder)})
        ran = run_cells(catalogue, options, chosen)
        _print(catalogue, options, chosen, ran)
    return ending.conclude_try_out(ran)


def _refuse_what_has_no_effect(options: Namespace) -> None:
    """Refuse what is of worker processes, or of cells that are there: there are none."""
    got = "--pdb" if options.pdb else "--in-process"
    for name in ("only", "timeout", "memory", "address"):
        if getattr(options, name) is not None:
            expected, do = "a run in worker processes that keeps results", f"leave out {got} or --{name}"
            raise RmsuiteError(who=f"--{name}", expected=expected, got=got, do=do)


def run_cells(catalogue: Catalogue, options: Namespace, chosen: Sequence[harness.Entrant]) -> ending.Ran:
    """Run methods on the tasks that the options name, with a bar, and return all cells that are there then.

    Raises
    ------
    ResultsError
        If the results folder holds cells of another signature.
    """
    book = shared.book(catalogue)
    tasks, repetitions = asked(book, options), n_repetitions(book, options)
    _warn_of_superseded(tasks)
    plan = planned(tasks, chosen, repetitions, options)
    if plan.kept:
        print(f"rmsuite: {len(plan.kept)} of {plan.n_cells} cells are there already", file=sys.stderr)
    workers = executing.asked(catalogue, book, options, tasks, chosen)
    todo, home = {(cell.task, cell.method, cell.repetition) for cell in plan.open}, options.output
    with ending.progress(len(todo), options) as advance:
        watch = ending.watch(options, len(todo), advance)
        loaded = [task.load() for task in tasks if any(cell.task == task.label for cell in plan.open)]
        with _noted(catalogue, options, chosen), contextlib.suppress(ending.TooManyFailures):
            harness.run(loaded, chosen, repetitions, options.seed, workers, home, watch, lambda *c: c not in todo)
    return ending.Ran([*plan.kept, *watch.records], plan.n_cells, watch.stopped)


@dataclass(frozen=True)
class Plan:
    """The cells of a run: results that are there and stay, cells to compute, and how many the run has."""

    kept: tuple[CellRecord, ...]
    open: tuple[reuse.Wanted, ...]
    n_cells: int


def n_repetitions(book: TaskBook, options: Namespace) -> int:
    """Return how often each cell is repeated: as the options say, else the suite."""
    suite = book.suite(options.suite)  # an unknown one is a mistake, needed or not
    return int(options.repetitions or suite.repetitions)


def show_plan(book: TaskBook, options: Namespace, chosen: Sequence[harness.Entrant]) -> int:
    """Print how many cells of each method would be computed, and how long its fits took before."""
    plan = planned(asked(book, options), chosen, n_repetitions(book, options), options)
    for name in dict.fromkeys(cell.method for cell in plan.open):
        cells = [cell for cell in plan.open if cell.method == name]
        print(f"{name}: {len(cells)} cells{_expected(options.output, cells)}")
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


@contextlib.contextmanager
def _noted(catalogue: Catalogue, options: Namespace, chosen: Sequence[harness.Entrant]) -> Iterator[None]:
    """Keep beside the cells of a run, if there are some at its end, what it was made with."""
    try:
        yield
    finally:
        if options.output.is_dir():
            text = json.dumps({**_environment(catalogue, chosen), "cells": _where(options)}, indent=1)
            with contextlib.suppress(OSError):  # a full disk was said already
                results.write_text(options.output / ENVIRONMENT, text + "\n")


def _environment(catalogue: Catalogue, chosen: Sequence[harness.Entrant]) -> dict[str, Any]:
    return shared.environment_of(catalogue.plugins, {package for one in chosen for package in one.packages})


def _where(options: Namespace) -> str:
    place = f"on {options.address}" if options.address else "here"
    return f"{place}, each on one thread"


def planned(tasks: Sequence[Task], chosen: Sequence[harness.Entrant], repetitions: int, options: Namespace) -> Plan:
    """Decide which cells are computed; say why, if the options ask for it.

    Raises
    ------
    ResultsError
        If the results folder holds cells of another signature.
    UnknownNameError
        If the options force a method that the run does not have.
    """
    _refuse_another_signature(tasks, options.seed, options.output)
    cells = list(harness.wanted(tasks, chosen, repetitions, options.seed))
    _refuse_unknown(options.force or (), {cell.method for cell in cells})
    found = [(cell, _found(cell, options)) for cell in cells]
    wanted = [(cell, one) for cell, one in found if one.state != "kept" and options.only in (None, one.state)]
    if options.explain_cache:
        for cell, one in wanted:
            print(f"rmsuite: {cell.method} on {cell.task}, repetition {cell.repetition}: {one.why}", file=sys.stderr)
    kept = tuple(one.record for _, one in found if one.record is not None)
    return Plan(kept, tuple(cell for cell, _ in wanted), len(cells))


def _found(cell: reuse.Wanted, options: Namespace) -> reuse.Found:
    if options.no_cache:
        return reuse.Found("forced", why="--no-cache")
    if _names(cell.method) & set(options.force or ()):
        return reuse.Found("forced", why="--force")
    return reuse.kept(options.output, cell)


def _refuse_unknown(forced: Iterable[str], labels: Iterable[str]) -> None:
    known = {name for label in labels for name in _names(label)}
    for name in forced:
        if name not in known:
            raise unknown_name("--force", name, known, "name a method of this run, or a control")


def _names(label: str) -> set[str]:
    """Return what --force may call a method: its label, and its name alone."""
    return {label, label.partition("[")[0]}


def asked(book: TaskBook, options: Namespace) -> list[Task]:
    """Return the tasks that the options name, or those of their suite, each once."""
    named = [book.task(text) for text in options.task or ()]
    return list({task.label: task for task in named}.values()) or tasks_of(studies(book, book.suite(options.suite)))


def _warn_of_superseded(tasks: Iterable[Task]) -> None:
    for task in tasks:
        if task.superseded_by:
            print(f"rmsuite: {task.label} is superseded by {task.superseded_by}: run that one instead", file=sys.stderr)


def _refuse_another_signature(tasks: Iterable[Task], seed: int, home: Path) -> None:
    for task in tasks:
        line = harness.signature_line(task, seed)
        for other in results.signatures(results.task_folder(home, task.label)) - {line}:
            raise ResultsError(
                who=f"results folder {home}",
                expected=f"results of {task.label} with the signature of this run",
                got=f"others ({signature.worded(other, line)})",
                do="give another folder with --output, or delete this one",
            )


def entrants(catalogue: Catalogue, names: Iterable[str]) -> list[harness.Entrant]:
    """Return the methods that names with parameters stand for, each once.

    Raises
    ------
    UnknownNameError
        If there is no such method, or a control has its name.
    """
    found = {}
    for text in names:
        plugin, configured = catalogue.configured(text)
        found[configured.label] = harness.Entrant(configured, plugin.source, catalogue.made_of(configured))
    clash = sorted({control.name for control in CONTROLS} & set(found))
    if clash:
        got = f"{clash[0]!r}, which is a control of every table"
        raise UnknownNameError(who="--method", expected="a method", got=got, do="rename the method")
    return list(found.values())
