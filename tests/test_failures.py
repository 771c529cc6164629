"""A failing method costs its own cells only, and says where and why. Whoever runs a stranger's method relies on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import write_root
from misbehaving import FAILING
from running import run, same_arrays

from rmsuite import results
from rmsuite.tracebacks import PASSED_THROUGH

# For each failing method: status, phase, and what its recorded error says.
OUTCOMES = {
    "fails-in-make": ("failed", "make", "ValueError: no such setting"),
    "fails-in-fit": ("failed", "fit", "ValueError: cannot fit"),
    "fails-in-reward": ("failed", "reward", "ValueError: cannot reward"),
    "not-finite": ("failed", "reward", "expected finite rewards, got 1 of"),
    "wrong-shape": ("failed", "reward", "expected shape ("),
    "too-few": ("failed", "reward", "expected shape ("),
    "text": ("failed", "reward", "expected real numbers, got dtype <U4"),
    "complex": ("failed", "reward", "expected real numbers, got dtype complex64"),
    "objects": ("failed", "reward", "expected real numbers, got dtype object"),
    "ragged": ("failed", "reward", "ValueError: setting an array element"),
    "exits": ("failed", "fit", "SystemExit: 3"),
    "interrupts": ("failed", "fit", "KeyboardInterrupt"),
    "stops": ("failed", "fit", "StoppedError: stop"),
    "recurses": ("failed", "fit", "RecursionError: maximum recursion depth"),
    "mute": ("failed", "fit", "MuteError: its message cannot be made"),
    "mute-refusal": ("skipped", "reward", "its message cannot be made"),
    "locked": ("failed", "fit", "LockedError: ('holds a lock'"),
    "dies": ("failed", "worker", "the worker process died (EXIT(7))"),
    "dies-in-reward": ("failed", "worker", "EXIT(7)"),
    "dies-in-make": ("failed", "worker", "EXIT(7)"),
    "segfault": ("failed", "worker", "SIGSEGV"),
    "killed": ("failed", "worker", "SIGKILL"),
    "refuses": ("skipped", "fit", "needs attributes"),
    "refuses-in-make": ("skipped", "make", "needs a licence"),
    "refuses-in-reward": ("skipped", "reward", "too wide"),
    "refuses-without-words": ("skipped", "fit", "no reason given"),
    "writes-embeddings": ("failed", "fit", "ValueError: assignment destination is read-only"),
    "writes-chosen": ("failed", "fit", "ValueError: assignment destination is read-only"),
    "writes-test": ("failed", "reward", "ValueError: assignment destination is read-only"),
    "writes-below": ("failed", "fit", "RuntimeError: went behind the flag"),
    "more-than-certain": ("failed", "probability", "expected numbers from 0 to 1, got"),
    "less-than-impossible": ("failed", "probability", "outside (the first is -1e-09 in row 0)"),
    "unknown-probability": ("failed", "probability", "expected finite probabilities, got"),
    "one-probability": ("failed", "probability", "got shape (). Do: return a one-dimensional array, one probability a"),
    "no-probability": ("failed", "probability", "expected shape ("),
    "refuses-in-probability": ("skipped", "probability", "not for me"),
    "dies-in-probability": ("failed", "worker", "EXIT(7)"),
    "negative-uncertainty": ("failed", "uncertainty", "expected numbers from 0 to inf, got"),
    "endless-uncertainty": ("failed", "uncertainty", "expected finite standard deviations, got"),
    "too-few-uncertainties": ("failed", "uncertainty", "expected shape ("),
    "fails-in-uncertainty": ("failed", "uncertainty", "ValueError: cannot tell"),
    "cannot-be-sent": ("failed", "worker", "TypeError: cannot pickle"),
}
NAMES = tuple(OUTCOMES)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("failures") / "toy-tasks")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("failures") / "results"


@pytest.fixture(scope="module")
def cells(root, home):
    """All failing methods in one slot, and after each of them an honest one."""
    methods = [text for i, name in enumerate(NAMES) for text in (name, f"honest[tag={i + 1}]")]
    return run(root, home, methods)


@pytest.fixture(scope="module")
def undisturbed(root, tmp_path_factory):
    return run(root, tmp_path_factory.mktemp("failures") / "undisturbed", ["honest"])


def test_every_failing_method_has_an_outcome_here():
    assert set(OUTCOMES) == {*FAILING, "cannot-be-sent"}


@pytest.mark.parametrize("name", NAMES)
def test_a_failure_is_recorded_with_its_phase_and_reason(cells, name):
    status, phase, error = OUTCOMES[name]
    cell = cells["toy-gold@1", name, 0]
    assert (cell.status, cell.phase) == (status, phase)
    assert ("failure" in cell.facts) == (status == "failed")
    assert error in cell.error
    assert not cell.arrays


@pytest.mark.parametrize("name", [name for name in NAMES if OUTCOMES[name][1] != "worker"])
def test_a_failure_keeps_its_traceback(cells, name):
    cell = cells["toy-gold@1", name, 0]
    assert cell.traceback.startswith("Traceback (most recent call last):")
    assert not [path for path in PASSED_THROUGH if path in cell.traceback]
    if OUTCOMES[name][2].startswith("ValueError: "):
        assert OUTCOMES[name][2] in cell.traceback


@pytest.mark.parametrize("position", range(len(NAMES)), ids=NAMES)
def test_the_next_cell_of_the_same_slot_is_as_if_nothing_had_happened(cells, undisturbed, position):
    cell = cells["toy-gold@1", f"honest[tag={position + 1}]", 0]
    assert cell.status == "ok", cell.error
    assert same_arrays(cell.arrays, undisturbed["toy-gold@1", "honest", 0].arrays)


def test_controls_are_as_if_nothing_had_happened(cells, undisturbed):
    for key, cell in undisturbed.items():
        if cell.kind == "control":
            assert same_arrays(cell.arrays, cells[key].arrays)


def test_every_failure_is_in_the_results_folder(cells, home):
    read = {(cell.task, cell.method, cell.repetition): cell for cell in results.read_all(home)}
    assert read.keys() == cells.keys()
    for key, cell in cells.items():
        assert (read[key].status, read[key].phase, read[key].error) == (cell.status, cell.phase, cell.error)


def test_a_failure_in_one_slot_costs_the_other_nothing(root, tmp_path, undisturbed):
    methods = ["dies", "honest[tag=1]", "segfault", "honest[tag=2]", "exits", "honest[tag=3]", "mute"]
    cells = run(root, tmp_path / "home", methods, n_jobs=2)
    for (_, method, _), cell in cells.items():
        if method.startswith("honest"):
            assert same_arrays(cell.arrays, undisturbed["toy-gold@1", "honest", 0].arrays)
        elif cell.kind == "method":
            assert cell.status == "failed"


def test_a_cell_that_failed_before_is_whole_when_it_succeeds_and_the_reverse(root, tmp_path):
    """A cell has one outcome: the last."""
    run(root, tmp_path / "home", ["honest"])
    path = next((tmp_path / "home").glob("*/honest/0.json"))
    before = results.read(path)
    results.write(tmp_path / "home", _failed(before))
    assert results.read(path).status == "failed"
    assert not list(path.parent.glob("*.npz"))
    results.write(tmp_path / "home", before)
    assert same_arrays(results.read(path).arrays, before.arrays)


def _failed(cell):
    return replace(cell, status="failed", error="late", arrays={})


def test_constant_rewards_are_noted(root, tmp_path):
    cells = run(root, tmp_path / "home", ["threads", "first-feature"])
    assert cells["toy-gold@1", "threads", 0].notes == ("all rewards are equal",)
    assert cells["toy-gold@1", "first-feature", 0].notes == ()


def test_huge_rewards_are_compared_like_any_others(root, tmp_path):
    """Their differences overflow; warnings are errors here, and would end the run."""
    cells = run(root, tmp_path / "home", ["scaled", f"scaled[scale={2.0**1023}]"], names=("toy-gold", "toy-human"))
    for task in ("toy-gold@1", "toy-human@1"):
        plain, huge = (dict(cells[task, name, 0].arrays) for name in ("scaled", f"scaled[scale={2.0**1023}]"))
        assert np.abs(huge.pop("rewards")).max() > 1e307
        del plain["rewards"]
        assert same_arrays(plain, huge)
