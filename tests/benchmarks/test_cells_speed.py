"""What a cell takes beside its method, as a ratio to a plain loop: ``pytest tests/benchmarks/test_cells_speed.py``.

Nothing is asserted about time; each benchmark asserts that it gave the loop's numbers, to the bit.
``RMSUITE_BENCH=full`` takes 1,000 cells, so that seconds read as milliseconds a cell. The rival does the same fits and
metrics one after another in one process, without files: nothing of it outlives a crash. Controls are left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from clusters import cluster
from conftest import write_root
from running import TRIVIAL, entrants, executor, loaded, same_arrays, settings

from rmsuite import harness, plugins, reuse
from rmsuite.cells import Conditions
from rmsuite.clusters import Dask
from rmsuite.commands import executing
from rmsuite.executors import InProcess
from rmsuite.harness import Entrant, Executor
from rmsuite.results import CellRecord
from rmsuite.tasks import LoadedTask
from rmsuite.tested import Answers

FULL = os.environ.get("RMSUITE_BENCH") == "full"
N_METHODS, N_REPETITIONS, ROUNDS = (10, 100, 3) if FULL else (5, 4, 1)
N_CELLS = N_METHODS * N_REPETITIONS
GROUP = f"{N_CELLS:,} trivial cells"


@dataclass(frozen=True)
class Toys:
    """A toy task, some methods that do nothing, and a folder for results."""

    root: Path
    folder: Path
    task: LoadedTask
    entrants: list[Entrant]
    scheduler: str

    def run(self, executor: Executor, home: Path) -> list[CellRecord]:
        """Compute all cells of the methods."""
        mine = {entrant.configured.label for entrant in self.entrants}
        return harness.run(
            [self.task], self.entrants, N_REPETITIONS, 0, executor, home, done=lambda _, method, __: method not in mine
        )

    def on_cluster(self) -> Dask:
        """Return the executor of a cluster on this machine."""
        conditions = Conditions((self.root, self.folder))
        return Dask(
            self.scheduler, executing.order(plugins.load([TRIVIAL], installed=False), self.entrants, conditions)
        )

    def resume(self, home: Path) -> list[CellRecord | None]:
        """Find the cells of the methods in a folder."""
        mine = {entrant.configured.label for entrant in self.entrants}
        cells = harness.wanted([self.task.card], self.entrants, N_REPETITIONS, 0)
        return [reuse.kept(home, cell).record for cell in cells if cell.method in mine]


Arrays = Mapping[str, np.ndarray]
EXECUTORS: dict[str, Callable[[Toys], Executor]] = {
    "no worker": lambda toys: InProcess(),
    "-j 1": lambda toys: executor(TRIVIAL, [toys.root, toys.folder]),
    "-j 2": lambda toys: executor(TRIVIAL, [toys.root, toys.folder], n_jobs=2),
    "dask, 2 workers": lambda toys: toys.on_cluster(),
}


@pytest.fixture(scope="module")
def toys(tmp_path_factory) -> Iterator[Toys]:
    folder = tmp_path_factory.mktemp("cells")
    root = write_root(folder / "toy-tasks")
    methods = entrants(TRIVIAL, [f"trivial[tag={number}]" for number in range(1, N_METHODS + 1)])
    with cluster(folder / "cluster") as dask:
        yield Toys(root, folder, *loaded(root, "toy-gold"), methods, dask.address)


@pytest.fixture(scope="module")
def expected(toys) -> dict[tuple[str, int], Arrays]:
    return loop(toys)


def loop(toys: Toys) -> dict[tuple[str, int], Arrays]:
    """Fit, reward and measure one cell after another."""
    found: dict[tuple[str, int], Arrays] = {}
    for setting in settings(toys.task, N_REPETITIONS):
        for entrant in toys.entrants:
            model = entrant.configured.make().fit(setting.pairs, rng=np.random.default_rng(0))
            rewards = np.empty(setting.n_rewarded)
            rewards[setting.test_order] = model.reward(setting.test_embeddings)
            found[entrant.configured.label, setting.repetition] = harness.measured(toys.task.test, Answers(rewards))
    return found


def assert_same(records: list[CellRecord | None], expected: Mapping[tuple[str, int], Arrays]) -> None:
    cells = {(record.method, record.repetition): record for record in records if record is not None}
    assert cells.keys() == expected.keys()
    assert len(records) == N_CELLS
    assert {record.status for record in cells.values()} == {"ok"}
    assert all(same_arrays(cells[key].arrays, expected[key]) for key in expected)


@pytest.mark.benchmark(group=GROUP)
def test_a_plain_loop(benchmark, toys, expected):
    found = benchmark.pedantic(loop, (toys,), rounds=ROUNDS, warmup_rounds=1)
    assert found.keys() == expected.keys()
    assert all(same_arrays(found[key], expected[key]) for key in expected)


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("name", EXECUTORS)
def test_cells_that_are_computed(benchmark, toys, expected, name, tmp_path):
    homes = (tmp_path / str(number) for number in count())
    found = benchmark.pedantic(
        toys.run, setup=lambda: ((EXECUTORS[name](toys), next(homes)), {}), rounds=ROUNDS, warmup_rounds=FULL
    )
    assert_same(found, expected)


@pytest.mark.benchmark(group=GROUP)
def test_cells_that_are_there(benchmark, toys, expected, tmp_path):
    toys.run(InProcess(), tmp_path)
    assert_same(benchmark.pedantic(toys.resume, (tmp_path,), rounds=ROUNDS, warmup_rounds=1), expected)
