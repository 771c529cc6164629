"""What several commands need: the catalogue of plugins, the cards, records and their tables."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from rmsuite import plugins, results
from rmsuite import tasks as cards
from rmsuite.bundles import levels
from rmsuite.errors import ResultsError, unknown_name
from rmsuite.plugins import Catalogue
from rmsuite.reports.records import Verification
from rmsuite.results import CellRecord
from rmsuite.tasks import TaskBook


def catalogue(options: Namespace) -> Catalogue:
    """Return the installed plugins and those given by path."""
    return plugins.load(options.plugin)


def book(found: Catalogue) -> TaskBook:
    """Return the cards of all plugins."""
    return cards.read_book(found.folders("rmsuite_tasks"))


def stored(found: Catalogue, tasks: set[str]) -> list[CellRecord]:
    """Return the stored results of all plugins on these tasks (labels)."""
    folders = found.folders("rmsuite_results")
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
    found = [*results.read_all(home)]
    if not found:
        do = "run `rmsuite run --method NAME` first, or give another folder with --output"
        raise ResultsError(who=f"results folder {home}", expected="finished cells", got="none", do=do)
    if not tasks:
        return found
    known = {record.task.partition("@")[0] for record in found}
    asked = {name.partition("@")[0] for name in tasks}
    for name in sorted(asked - known):
        raise unknown_name("task", name, known, f"see the folders in {str(home)!r}")
    return [record for record in found if record.task.partition("@")[0] in asked]


def level(*homes: Path) -> Callable[[CellRecord], Verification]:
    """Return how far the cells of these folders have been verified; the first folder that has a cell tells."""
    known = {home: levels.read(home) for home in homes}

    def of(record: CellRecord) -> Verification:
        found = (levels.level(home, known[home], record) for home in homes)
        return cast("Verification", next((one for one in found if one != "unverified"), "unverified"))

    return of


def level_of_run(run: Iterable[CellRecord], home: Path, found: Catalogue) -> Callable[[CellRecord], Verification]:
    """Return how far cells have been verified: those of ``run`` in its folder, all others in the stored ones."""
    own, mine = {id(record) for record in run}, level(home)
    theirs = level(*found.folders("rmsuite_results"))
    return lambda record: mine(record) if id(record) in own else theirs(record)
