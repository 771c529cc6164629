"""A small results folder with cells of methods and of policies, for the tests of what is done with such folders."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from bundled_results import Bundle
from conftest import write_root
from plugin_files import METHOD, TASKS, write

from rmsuite import harness, policy_cells, results
from rmsuite.policies import Training
from rmsuite.policy_study import FOLDER, Improver, Study
from rmsuite.results import CellRecord

PLUGIN = (
    METHOD
    + """

from rmsuite.policies import Optimum, ReMax

@rmsuite.hookimpl
def rmsuite_methods():
    return [rmsuite.Method(name="mean", make=Mean, reference="doi:10.1000/mine")]


@rmsuite.hookimpl
def rmsuite_optimizers():
    return [
        rmsuite.PolicyOptimizer(name="greedy", make=ReMax, reference="arXiv:2310.10505"),
        rmsuite.PolicyOptimizer(name="best", make=Optimum),
    ]
"""
)
OPTIMIZERS, BETAS, REPETITIONS = ("greedy", "best"), (0.05, 1.0), 2
TRAINING = Training(steps=6, learning_rate=0.1, watch=(2, 4))


def make(folder: Path) -> Bundle:
    """Run a method, and policies against it, on a toy task with gold rewards."""
    bundle = Bundle(folder)
    write_root(bundle.root)
    write(bundle.plugin, PLUGIN + TASKS.format(root=str(bundle.root)))
    run_method(bundle, bundle.home)
    run_policies(bundle, bundle.home)
    return bundle


def run_method(bundle: Bundle, home: Path) -> None:
    harness.run(_tasks(bundle), _entrants(bundle), REPETITIONS, 0, bundle.executor, home)


def run_policies(bundle: Bundle, home: Path, optimizers: tuple[str, ...] = OPTIMIZERS, **training: Any) -> None:
    found = (bundle.catalogue.optimizer(text) for text in optimizers)
    improvers = [Improver(configured, owner.source) for owner, configured in found]
    study = Study(improvers, BETAS, replace(TRAINING, **training), 2)
    crossed = policy_cells.Crossed(_entrants(bundle), study, REPETITIONS, 0)
    policy_cells.run(_tasks(bundle), crossed, bundle.executor, home)


def mix_in(bundle: Bundle, optimizer: str, **training: Any) -> None:
    """Put policies of an optimizer that were trained in another way in the place of those that are there."""
    with TemporaryDirectory() as folder:
        run_policies(bundle, Path(folder), (optimizer,), **training)
        for other in (Path(folder) / FOLDER / "toy-gold@1").iterdir():
            there = bundle.home / FOLDER / "toy-gold@1" / other.name
            shutil.rmtree(there)
            shutil.copytree(other, there)


def _tasks(bundle: Bundle) -> list:
    return [bundle.book.task("toy-gold").load()]


def _entrants(bundle: Bundle) -> list[harness.Entrant]:
    owner, configured = bundle.catalogue.configured("mean")
    return [harness.Entrant(configured, owner.source)]


def path(bundle: Bundle, optimizer: str = "greedy", repetition: int = 0, beta: float = 0.05) -> Path:
    """Where a policy cell lies."""
    method = policy_cells.label("mean", optimizer, beta)
    return results.path_of(bundle.home / FOLDER, "toy-gold@1", method, repetition)


def cell(bundle: Bundle, *key: Any, **named: Any) -> CellRecord:
    return results.read(path(bundle, *key, **named))


def forge(bundle: Bundle, record: CellRecord, **changes: Any) -> str:
    """Change a policy cell and seal it anew, as somebody who knows the format would; return its name."""
    written = results.write(bundle.home / FOLDER, replace(record, **changes))
    return written.relative_to(bundle.home).as_posix()


def one_number(array: np.ndarray, place: tuple[int, ...]) -> np.ndarray:
    """Change one number, by as much as a reader would see."""
    changed = array.copy()
    changed[place] += np.asarray(0.01 if array.dtype.kind == "f" else 1, array.dtype)
    return changed
