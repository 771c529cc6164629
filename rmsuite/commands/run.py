"""``rmsuite run``: run methods on tasks, and print the tables."""

from __future__ import annotations

import contextlib
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from rmsuite import harness, plugins, results, signature
from rmsuite.book import TaskBook
from rmsuite.commands import shared
from rmsuite.commands.table import print_report
from rmsuite.controls import CONTROLS
from rmsuite.errors import ResultsError, UnknownNameError
from rmsuite.executors import Local
from rmsuite.plugins import Catalogue
from rmsuite.results import CellRecord
from rmsuite.sweeps import studies, tasks_of
from rmsuite.tasks import LoadedTask, Task


def run(options: Namespace) -> int:
    """Run methods on tasks, and print the tables."""
    catalogue = shared.catalogue(options)
    records = run_cells(catalogue, options, entrants(catalogue, options.method))
    print_report(catalogue, options, records)
    return conclude(options.output, records)


def run_cells(catalogue: Catalogue, options: Namespace, chosen: Sequence[harness.Entrant]) -> list[CellRecord]:
    """Run methods on the tasks that the options name, with a bar, and return all cells.

    Raises
    ------
    ResultsError
        If the results folder holds cells of another signature.
    """
    book = shared.book(catalogue)
    suite = book.suite(options.suite)
    tasks = asked(book, options)
    _warn_of_superseded(tasks)
    loaded = [task.load() for task in tasks]
    repetitions = options.repetitions or suite.repetitions
    _refuse_another_signature(loaded, options.seed, options.output)
    workers = executor(catalogue, book, options.output, options.jobs, tasks)
    n_cells = len(loaded) * repetitions * (len(chosen) + len(CONTROLS))
    with _progress(n_cells, options.output) as advance:
        return harness.run(loaded, chosen, repetitions, options.seed, workers, options.output, on_cell=advance)


def asked(book: TaskBook, options: Namespace) -> list[Task]:
    """Return the tasks that the options name, or those of their suite, each once."""
    named = [book.task(text) for text in options.task or ()]
    return list({task.label: task for task in named}.values()) or tasks_of(studies(book, book.suite(options.suite)))


def conclude(home: Path, records: Sequence[CellRecord]) -> int:
    """Say where the results are and what failed; return the exit code."""
    print(f"Results: {home}", file=sys.stderr)
    return _report_failures(home, records)


def _warn_of_superseded(tasks: Iterable[Task]) -> None:
    for task in tasks:
        if task.superseded_by:
            print(f"rmsuite: {task.label} is superseded by {task.superseded_by}: run that one instead", file=sys.stderr)


def _refuse_another_signature(loaded: Iterable[LoadedTask], seed: int, home: Path) -> None:
    for task in loaded:
        line = harness.signature_line(task, seed)
        for other in results.signatures(results.task_folder(home, task.card.label)) - {line}:
            raise ResultsError(
                who=f"results folder {home}",
                expected=f"results of {task.card.label} with the signature of this run",
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
        found[configured.label] = harness.Entrant(configured, plugin.source)
    clash = sorted({control.name for control in CONTROLS} & set(found))
    if clash:
        got = f"{clash[0]!r}, which is a control of every table"
        raise UnknownNameError(who="--method", expected="a method", got=got, do="rename the method")
    return list(found.values())


def executor(catalogue: Catalogue, book: TaskBook, home: Path, jobs: int | None, tasks: Iterable[Task] = ()) -> Local:
    """Return local workers that know the catalogue's plugin files, and may not open pools and results.

    ``tasks`` are those to be run, for the variants among them are not in the book.
    """
    loaders = tuple(partial(plugins.load_file, path) for path in catalogue.files)
    return Local(jobs or n_cores(), _forbidden(catalogue, book, home, tasks), loaders, catalogue.modules)


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _forbidden(catalogue: Catalogue, book: TaskBook, output: Path, tasks: Iterable[Task]) -> tuple[Path, ...]:
    # What holds gold, not the folders around it: a plugin's own modules may lie beside its pools, or in the output.
    pools = {root / "pools" for root in catalogue.paths("rmsuite_tasks")}
    stored = {cells for home in (output, *catalogue.paths("rmsuite_results")) for cells in home.glob("*@*")}
    made = {results.task_folder(output, task.label) for task in (*book.tasks.values(), *tasks)}
    return tuple(sorted(pools | stored | made))


@contextlib.contextmanager
def _progress(total: int, home: Path) -> Iterator[Callable[[CellRecord], None]]:
    count = 0
    with tqdm(total=total, unit="cell", leave=False, disable=not sys.stderr.isatty()) as bar:

        def advance(_record: CellRecord) -> None:
            nonlocal count
            count += 1
            bar.update()

        try:
            yield advance
        except KeyboardInterrupt:
            bar.close()
            kept = f"{count} of {total} cells are finished and kept in {home}; a new run starts over"
            print(f"rmsuite: {kept}", file=sys.stderr)
            raise


def _report_failures(home: Path, records: Sequence[CellRecord]) -> int:
    groups: dict[tuple[str, ...], list[CellRecord]] = {}
    for record in records:
        if record.status == "failed":
            groups.setdefault((record.method, record.task, record.phase, record.error), []).append(record)
    for (method, task, phase, error), group in groups.items():
        numbers = ", ".join(map(str, sorted(record.repetition for record in group)))
        where = f"{method} on {task}, repetition{'s' if len(group) > 1 else ''} {numbers}"
        print(f"rmsuite: {where} failed in {phase}: {error}", file=sys.stderr)
        print(f"  its traceback and output: {results.cell_path(home, group[0])}", file=sys.stderr)
    return 1 if groups else 0
