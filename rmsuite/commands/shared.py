"""What several commands need: the catalogue of plugins, the cards, records and their tables."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path

from rmsuite import plugins, results
from rmsuite import tasks as cards
from rmsuite.bundles import levels
from rmsuite.errors import unknown_name
from rmsuite.plugins import Catalogue
from rmsuite.reports.records import Verification
from rmsuite.results import CellRecord
from rmsuite.tasks import TaskBook


def catalogue(options: Namespace) -> Catalogue:
    """Return the installed plugins and those given by path."""
    return plugins.load(options.plugin)


def book(found: Catalogue) -> TaskBook:
    """Return the cards of all plugins."""
    return cards.read_book(found.paths("rmsuite_tasks"))


def stored(found: Catalogue, tasks: set[str]) -> list[CellRecord]:
    """Return the stored results of all plugins on these tasks (labels)."""
    folders = found.paths("rmsuite_results")
    return [record for folder in folders for record in results.read_all(folder) if record.task in tasks]


def records(home: Path, tasks: Iterable[str] | None = None) -> list[CellRecord]:
    """Return the cells of a results folder, on these tasks (names or labels) only if given.

    Raises
    ------
    ResultsError
        If there are none.
    UnknownNameError
        If a task has none.
    """
    found = [results.read(path) for path in results.paths(home)]
    if not tasks:
        return found
    known = {record.task.partition("@")[0] for record in found}
    asked = {name.partition("@")[0] for name in tasks}
    for name in sorted(asked - known):
        raise unknown_name("task", name, known, f"see the folders in {str(home)!r}")
    return [record for record in found if record.task.partition("@")[0] in asked]


def level(*homes: Path) -> Callable[[CellRecord], Verification]:
    """Return how far records of these folders have been verified."""
    return levels.of(levels.read(home) for home in homes)
