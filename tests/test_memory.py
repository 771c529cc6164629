"""What a fit holds in memory beside embeddings that are mapped from a file. Whoever has more of those than fit relies.

And what a run holds of its cells: of thousands no more than of some, but for their records.

The matrix is small here, and the bounds up to which rows are kept in memory are lowered below it.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from running import TRIVIAL, entrants, loaded

from rmsuite import harness, reuse
from rmsuite.data import PreferencePairs, Ratings
from rmsuite.executors import InProcess
from rmsuite.harness import Entrant
from rmsuite.plugins import at_hand
from rmsuite.results import CellRecord
from rmsuite.tasks import LoadedTask
from rmsuite_baselines import rows
from rmsuite_baselines.bt_mlp import BradleyTerryMLP

pytestmark = pytest.mark.usefixtures("one_thread")

N_RESPONSES, N_FEATURES, N_PAIRS = 2**16, 64, 3000
WHOLE = 4 * N_RESPONSES * N_FEATURES  # bytes, in float32
ONE = "base=bt-linear[penalties=1.0]"  # a path of penalties takes long where each product reads the file
STREAMING = (
    "mean-difference",
    "bt-linear[penalties=1.0]",
    "clf-linear[penalties=1.0]",
    "bt-mlp[epochs=1,hidden=16]",
    "clf-mlp[epochs=1,hidden=16]",
    "decomposed",
    "regression[penalties=(0.1,)]",
    "regression[head=mlp,epochs=1,hidden=16]",
    "dmoerm[attributes=directions,epochs=1,hidden=16]",
    *(f"active[{ONE},labels=20,rounds=2,rule={rule}]" for rule in ("d-optimal", "greedy-d-optimal", "coreset")),
)


def mapped(folder: Path, n_responses: int, n_features: int) -> np.ndarray:
    """Return float16 embeddings in a file of their own."""
    rng = np.random.default_rng(0)
    found = np.lib.format.open_memmap(folder / "embeddings.npy", "w+", np.float16, (n_responses, n_features))
    found[:] = rng.standard_normal((n_responses, n_features), dtype=np.float32)
    return found


def paired(embeddings: np.ndarray, n_pairs: int, validation: PreferencePairs | None = None) -> PreferencePairs:
    """Return pairs of responses from all over the matrix, the first feature being preferred and rated."""
    ends = np.random.default_rng(1).permutation(len(embeddings))[: 2 * n_pairs].reshape(2, -1)
    order = np.argsort(embeddings[ends, 0], axis=0)
    rejected, chosen = np.take_along_axis(ends, order, axis=0)
    prompt, ratings = np.arange(n_pairs), Ratings(("first",), embeddings[:, :1])
    return PreferencePairs(embeddings, chosen, rejected, prompt, 0 * prompt, validation, (), ratings)


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that numpy holds at a time in doing some work."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", STREAMING)
def test_fitting_and_asking_take_less_memory_than_a_copy_of_the_embeddings(name, tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "EXACT", 0)
    monkeypatch.setattr(rows, "KEPT", 0)
    embeddings = mapped(tmp_path, N_RESPONSES, N_FEATURES)
    pairs = paired(embeddings, N_PAIRS, paired(embeddings, 300))
    model = at_hand(name).make()
    most = peak(lambda: model.fit(pairs, rng=np.random.default_rng(0)).reward(embeddings))
    assert most < 0.75 * WHOLE


def test_trees_need_their_points_whole_but_no_more_than_some_rows_of_what_they_judge(tmp_path):
    embeddings = mapped(tmp_path, N_RESPONSES, N_FEATURES)
    model = at_hand("clf-trees[trees=3]").make().fit(paired(embeddings, 300), rng=np.random.default_rng(0))
    assert peak(lambda: model.reward(embeddings)) < 0.75 * WHOLE


def test_a_perceptron_is_trained_in_little_more_than_a_batch_and_what_adam_keeps(tmp_path):
    """Beside the batch: the hidden units and their slopes, and six arrays of the weights' size.

    These are the weights, the best ones, both moments, the gradient and a place to work.
    """
    n_features, hidden, batch = 1024, 128, 256
    pairs = paired(mapped(tmp_path, 4000, n_features), 2000)
    model = BradleyTerryMLP(hidden=hidden, batch=batch, epochs=2)
    floats = 2 * batch * (n_features + 2 * hidden) + 6 * n_features * hidden
    assert peak(lambda: model.fit(pairs, rng=np.random.default_rng(0))) < 1.3 * 4 * floats


def not_asked(task: str, method: str, repetition: int) -> bool:
    return method != "trivial"


def computed(task: LoadedTask, entrant: Entrant, repetitions: int, home: Path) -> list[CellRecord]:
    """Compute the cells of a method, controls left out."""
    return harness.run([task], [entrant], repetitions, 0, InProcess(), home, done=not_asked)


def found_again(task: LoadedTask, entrant: Entrant, repetitions: int, home: Path) -> list[CellRecord]:
    """Compute them, and find them again."""
    computed(task, entrant, repetitions, home)
    cells = harness.wanted([task.card], [entrant], repetitions, 0)
    found = [reuse.kept(home, cell).record for cell in cells if cell.method == "trivial"]
    assert None not in found
    return found


@pytest.mark.parametrize("door", [computed, found_again])
def test_a_run_holds_no_more_of_a_cell_than_its_record(door, toy_root, tmp_path, monkeypatch):
    """Neither its arrays, which stay in their file until they are asked for, nor the pairs that it was trained on."""
    monkeypatch.setattr(harness, "KEPT", 2)
    few, many = 5, 45
    task, entrant = *loaded(toy_root, "toy-gold"), *entrants(TRIVIAL, ["trivial"])
    (cell,) = door(task, entrant, 1, tmp_path / "one")  # and what is imported and remembered once
    peaks = [peak(partial(door, task, entrant, n, tmp_path / f"{n}")) for n in (few, many)]
    of_arrays = sum(array.nbytes for array in cell.arrays.values())
    assert peaks[1] - peaks[0] < 0.5 * (many - few) * of_arrays
