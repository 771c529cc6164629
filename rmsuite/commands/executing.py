"""Where and with what the cells of a command run: in worker processes here, in this one, or on a Dask cluster."""

from __future__ import annotations

import contextlib
import json
import os
import pdb
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rmsuite import plugins, results, reuse
from rmsuite.book import TaskBook
from rmsuite.catalogue import FILE_PREFIX
from rmsuite.cells import Conditions
from rmsuite.closure import CORE, closure, closure_of, version
from rmsuite.clusters import Dask
from rmsuite.commands import shared
from rmsuite.errors import ClusterError, describe
from rmsuite.executors import InProcess, Local
from rmsuite.harness import Entrant
from rmsuite.method import Configured
from rmsuite.plugins import Catalogue
from rmsuite.policy_study import FOLDER, Improver
from rmsuite.sites import Order, PluginFile
from rmsuite.tasks import Task

ENVIRONMENT = "environment.json"  # in a folder of cells: what the last of them were made with
CODE = "code of "  # and the name of a module
TRAINING = "rmsuite.policy_worker"  # what a worker that trains policies imports


def local(
    catalogue: Catalogue,
    book: TaskBook,
    home: Path,
    jobs: int | None,
    chosen: Iterable[Configured],
    tasks: Iterable[Task] = (),
) -> Local:
    """Return local workers for methods, which know the catalogue's plugin files, and may not open pools and results.

    ``tasks`` are those to be run, for the variants among them are not in the book.
    """
    return Local(jobs or n_cores(), _conditions(catalogue, book, home, tasks, modules_of(catalogue, chosen)))


def executor(
    catalogue: Catalogue,
    book: TaskBook,
    options: Namespace,
    tasks: Sequence[Task],
    chosen: Sequence[Entrant],
    improvers: Sequence[Improver] = (),
) -> Local | InProcess | Dask:
    """Return the executor that the options name, with their limits, for methods, and optimizers if there are any."""
    if options.in_process or options.pdb:
        return InProcess(_post_mortem if options.pdb else None)
    memory = options.memory and int(options.memory * 2**20)
    modules = modules_of(catalogue, [entrant.configured for entrant in chosen], improvers)
    conditions = _conditions(catalogue, book, options.output, tasks, modules, options.timeout, memory)
    if (options.executor == "dask") != bool(options.address):
        expected, do = "both or neither", "say --executor dask --address tcp://HOST:8786"
        raise ClusterError(who="--executor dask and --address", expected=expected, got="one of them", do=do)
    if options.executor == "dask":
        return Dask(options.address, order(catalogue, chosen, conditions, improvers))
    return Local(1 if options.executor == "serial" else options.jobs or n_cores(), conditions)


def _post_mortem(error: BaseException) -> None:
    print(f"rmsuite: {describe(error)}", file=sys.stderr)
    pdb.post_mortem(error.__traceback__)


def n_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _conditions(
    catalogue: Catalogue,
    book: TaskBook,
    home: Path,
    tasks: Iterable[Task],
    modules: Iterable[str],
    timeout: float | None = None,
    memory: int | None = None,
) -> Conditions:
    files = {plugins.load_file(path).__name__: path for path in catalogue.files}
    others = tuple(name for name in modules if name not in files)
    return Conditions(_forbidden(catalogue, book, home, tasks), files, others, timeout, memory)


def modules_of(catalogue: Catalogue, chosen: Iterable[Configured], improvers: Iterable[Improver] = ()) -> list[str]:
    """Return the top-level modules of methods, and of those that their parameters name; and those for optimizers."""
    found = {module.__name__ for one in chosen for module in catalogue.modules_of(one)}
    made = [catalogue.module_of(one.configured.optimizer.make) for one in improvers]
    theirs = {module.__name__ for module in made if module} - {CORE}
    return sorted(found | theirs | ({TRAINING} if made else set()))


def _forbidden(catalogue: Catalogue, book: TaskBook, output: Path, tasks: Iterable[Task]) -> tuple[Path, ...]:
    # What holds gold, not the folders around it: a plugin's own modules may lie beside its pools, or in the output.
    pools = {root / "pools" for root in catalogue.paths("rmsuite_tasks")}
    homes = (output, *catalogue.paths("rmsuite_results"))
    stored = {cells for home in homes for cells in (*home.glob("*@*"), home / FOLDER)}
    made = {results.task_folder(output, task.label) for task in (*book.tasks.values(), *tasks)}
    return tuple(sorted(pools | stored | made))


def order(
    catalogue: Catalogue, chosen: Sequence[Entrant], conditions: Conditions, improvers: Sequence[Improver] = ()
) -> Order:
    """Return what the workers of a cluster have to know: the plugin files, and what must be there as it is here."""
    names = {reuse.PACKAGE + name for name in _packages(chosen, improvers)}
    modules = modules_of(catalogue, [entrant.configured for entrant in chosen], improvers)
    code = {CODE + name for name in modules if not name.startswith((FILE_PREFIX, TRAINING))}
    files = tuple(map(_shipped, catalogue.files))
    return Order(conditions, files, look([*reuse.core(), *sorted(names | code)]), look, task_roots)


def _shipped(path: Path) -> PluginFile:
    """Return a plugin file with those of its sources that lie in its folder: others have to be installed."""
    module = plugins.load_file(path)
    found = {name: path.parent / name for name in closure(module).sources}
    sources = {name: file.read_bytes() for name, file in found.items() if file.is_file()}
    return PluginFile(path.name, module.__name__, sources)


def look(names: Iterable[str]) -> Mapping[str, str]:
    """Return what numbers rest on in this process: of rmsuite, of packages, and of the code of modules."""
    return {name: _looked_up(name) for name in names}


def _looked_up(name: str) -> str:
    if name.startswith(reuse.PACKAGE):
        return version(name.removeprefix(reuse.PACKAGE))
    if name.startswith(CODE):
        found = closure_of(name.removeprefix(CODE))
        return reuse.of_code([found])["code"] if found else "absent"
    return reuse.core().get(name, "absent")


def task_roots() -> list[Path]:
    """Return the folders of tasks of this process: those of installed plugins and of the environment."""
    folders = [folder for folder in shared.folders_of_environment() if folder.is_dir()]
    return [*folders, *plugins.load().paths("rmsuite_tasks")]


@contextlib.contextmanager
def noted(
    catalogue: Catalogue,
    options: Namespace,
    home: Path,
    chosen: Sequence[Entrant],
    improvers: Sequence[Improver] = (),
) -> Iterator[None]:
    """Keep beside the cells that a command computes, if there are some at its end, what they were made with."""
    try:
        yield
    finally:
        if home.is_dir():
            place = f"on {options.address}" if options.address else "here"
            environment = shared.environment_of(catalogue.plugins, _packages(chosen, improvers))
            found = {**environment, "cells": f"{place}, each on one thread"}
            with contextlib.suppress(OSError):  # a full disk was said already
                results.write_text(home / ENVIRONMENT, json.dumps(found, indent=1) + "\n")


def _packages(chosen: Iterable[Entrant], improvers: Iterable[Improver]) -> set[str]:
    of_methods = {name for one in chosen for name in one.packages}
    return of_methods.union(*(one.packages for one in improvers))
