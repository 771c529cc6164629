"""The stored results are what the code gives. Whoever is compared with a baseline relies on it."""

from __future__ import annotations

import generated
import numpy as np
import pytest

from rmsuite import plugins, results
from rmsuite.book import read_book
from rmsuite.controls import CONTROLS
from rmsuite.executors import Local
from rmsuite.harness import Entrant, run


def plain(name: str) -> bool:
    """Whether a method is given without parameters."""
    return "[" not in name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "chosen"), [("hh-rlhf", bool), ("alpaca-eval", plain)], ids=["hh-rlhf", "alpaca-eval"]
)
def test_stored_results_are_reproduced(tmp_path, task, chosen):
    """To the bit on the machine that made them; within 1e-3 of a reward's spread on another processor or BLAS.

    Variants of a method, which share its code and its seconds, are fitted again on the smaller task only.
    """
    catalogue = plugins.load()
    names = [name for name in generated.reference_methods() if chosen(name)]
    entrants = [Entrant(catalogue.configured(name)[1], "rerun") for name in names]
    tasks = [read_book([generated.ROOT / "tasks" / "rmsuite_tasks"]).task(task).load()]
    for cell in run(tasks, entrants, 1, 0, Local(n_jobs=2), tmp_path):
        stored = results.read(results.cell_path(generated.STORED, cell))
        assert stored.signature == cell.signature
        assert stored.arrays.keys() == cell.arrays.keys()
        rewards = stored.arrays["rewards"]
        np.testing.assert_allclose(cell.arrays["rewards"], rewards, atol=1e-3 * rewards.std())


def test_stored_results_hold_every_baseline_and_control_in_every_repetition():
    cells = [(c.task, c.method, c.repetition, c.status) for c in results.read_all(generated.STORED)]
    book = read_book([generated.ROOT / "tasks" / "rmsuite_tasks"])
    suite = book.suite("default")
    methods = {method for _, method, _, _ in cells}
    labels = {plugins.at_hand(name).label for name in generated.reference_methods()}
    assert methods == labels | {control.name for control in CONTROLS}
    expected = {
        (book.task(t).label, m, r, "ok") for t in suite.tasks for m in methods for r in range(suite.repetitions)
    }
    assert set(cells) == expected
