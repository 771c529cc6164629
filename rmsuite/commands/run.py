"""``rmsuite run``: run methods on tasks, and print the tables."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rmsuite import harness
from rmsuite.book import TaskBook
from rmsuite.commands import ending, executing, planning, shared
from rmsuite.commands.table import print_report
from rmsuite.errors import RmsuiteError
from rmsuite.plugins import Catalogue
from rmsuite.tasks import Task


def run(options: Namespace) -> int:
    """Run methods on tasks, and print the tables."""
    catalogue = shared.catalogue(options)
    chosen = planning.entrants(catalogue, options.method)
    if options.dry_run:
        book = shared.book(catalogue)
        plan = _planned(planning.asked_tasks(book, options), chosen, n_repetitions(book, options), options)
        return planning.show(plan, options.output)
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
    tasks, repetitions = planning.asked_tasks(book, options), n_repetitions(book, options)
    plan = _planned(tasks, chosen, repetitions, options)
    planning.announce(plan, tasks)
    workers = executing.executor(catalogue, book, options, tasks, chosen)
    with ending.progress(len(plan.open), options) as advance:
        watch, loaded = ending.watch(options, len(plan.open), advance), plan.loaded(tasks)
        with executing.noted(catalogue, options, options.output, chosen), contextlib.suppress(ending.TooManyFailures):
            harness.run(loaded, chosen, repetitions, options.seed, workers, options.output, watch, plan.leaves_out)
    return ending.Ran([*plan.kept, *watch.records], plan.n_cells, watch.stopped)


def n_repetitions(book: TaskBook, options: Namespace) -> int:
    """Return how often each cell is repeated: as the options say, else the suite."""
    suite = book.suite(options.suite)  # an unknown one is a mistake, needed or not
    return int(options.repetitions or suite.repetitions)


def _planned(
    tasks: Sequence[Task], chosen: Sequence[harness.Entrant], repetitions: int, options: Namespace
) -> planning.Plan:
    cells = harness.wanted(tasks, chosen, repetitions, options.seed)
    return planning.planned(cells, options, options.output, planning.names)
