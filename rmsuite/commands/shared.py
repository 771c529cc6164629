"""What several commands need: the catalogue of plugins, the cards, records and their tables."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rmsuite import plugins, results, signature
from rmsuite.book import TaskBook, read_book
from rmsuite.bundles import levels
from rmsuite.catalogue import Plugin
from rmsuite.environment import environment
from rmsuite.errors import ResultsError, unknown_name
from rmsuite.plugins import Catalogue
from rmsuite.policy_study import FOLDER
from rmsuite.reports.records import Verification
from rmsuite.results import CellRecord

TASKS_VARIABLE = "RMSUITE_TASKS"  # folders of tasks, separated as those of PATH are


def catalogue(options: Namespace, strict: bool = True) -> Catalogue:
    """Return the installed plugins and those given by path, with the folders of tasks of options and environment."""
    return plugins.load(options.plugin, strict=strict, folders=folders(options))


def folders(options: Namespace) -> list[Path]:
    """Return the folders of tasks that options and environment name."""
    return [*options.tasks, *folders_of_environment()]


def folders_of_environment() -> list[Path]:
    """Return the folders of tasks that the environment names."""
    return [Path(folder) for folder in os.environ.get(TASKS_VARIABLE, "").split(os.pathsep) if folder]


def book(found: Catalogue) -> TaskBook:
    """Return the cards of all plugins."""
    return read_book(found.paths("rmsuite_tasks"), found.annotators)


def stored(found: Catalogue, tasks: set[str]) -> list[CellRecord]:
    """Return the stored results of all plugins on these tasks (labels)."""
    folders = found.paths("rmsuite_results")
    return [record for folder in folders for record in results.read_all(folder) if record.task in tasks]


def records(home: Path, tasks: Iterable[str] | None = None) -> list[CellRecord]:
    """Return the cells of a results folder, on these tasks (names or labels) only if given.

    A name stands for the task and for all its variants; with brackets, as tables print it, for that variant only.

    Raises
    ------
    ResultsError
        If there are none, or they are of policies.
    UnknownNameError
        If a task has none.
    """
    found = [results.read(path) for path in results.paths(home)]
    if any(record.kind == "policy" for record in found):
        do = "give the folder around it"
        raise ResultsError(who=f"results folder {home}", expected="cells of methods", got="policy cells", do=do)
    return on(tasks, found, home)


def all_records(home: Path, tasks: Iterable[str] | None = None) -> tuple[list[CellRecord], list[CellRecord]]:
    """Return the cells of methods and controls in a results folder, and those of policies; one of the two may be none.

    Raises as ``records``, if there are neither.
    """
    policies = [results.read(path) for path in results.found(home / FOLDER)]
    methods = [] if policies and not results.found(home) else records(home)
    asked = on(tasks, [*methods, *policies], home)
    return [r for r in asked if r.kind != "policy"], [r for r in asked if r.kind == "policy"]


def on(tasks: Iterable[str] | None, found: list[CellRecord], home: Path) -> list[CellRecord]:
    """Return those of a folder's cells that are on these tasks, all if none is given; raises ``UnknownNameError``."""
    if not tasks:
        return found
    names = {record.task: signature.unversioned(record.task) for record in found}
    known = {name for text in names.values() for name in (text, text.partition("[")[0])}
    asked = {signature.unversioned(name) for name in tasks}
    for name in sorted(asked - known):
        raise unknown_name("task", name, known, f"see the folders in {str(home)!r}")
    return [r for r in found if {names[r.task], names[r.task].partition("[")[0]} & asked]


def level(*homes: Path) -> Callable[[CellRecord], Verification]:
    """Return how far records of these folders have been verified."""
    return levels.of(levels.read(home) for home in homes)


def environment_of(plugins: Iterable[Plugin], imported: Iterable[str] = ()) -> dict[str, Any]:
    """Return the environment with installed plugins, the folders of plugin files, and packages that they import."""
    files, installed = [], list(imported)
    for plugin in plugins:
        if plugin.origin.endswith(".py"):
            files.append(Path(plugin.origin).parent)
        elif plugin.methods or plugin.optimizers:
            installed.append(plugin.origin.partition(" ")[0])
    return environment(files, installed)
