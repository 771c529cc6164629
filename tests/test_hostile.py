"""A method that attacks its run costs its own cell only, and nothing that it sends is run there. Whoever runs a
stranger's method relies on it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import write_root
from running import alive, run, same_arrays

from rmsuite import answers, forks
from rmsuite.cells import Workers
from rmsuite.worker import KEPT_ERROR, Outcome

HOSTILE = Path(__file__).with_name("hostile.py")
ANSWER = Outcome(np.array([1.0, 2.0]), seconds={"reward": 0.5})
OUTCOMES = {
    "trap": ("skipped", "trap"),
    "forges-a-pickle": ("failed", answers.NO_ANSWER),
    "forges-an-answer": ("failed", answers.NO_ANSWER),
    "announces-too-much": ("failed", "runs on, but its connection is closed or silent"),
    "leaves-a-child-with-the-connection": ("failed", "died (EXIT(7))"),
    "closes-all-and-sleeps": ("failed", "runs on, but its connection is closed or silent"),
    "kills-the-parent": ("failed", "died with the process that forked it"),
    "ends-by-a-signal-without-a-name": ("failed", "died (signal "),
    "nests-deeply": ("ok", ""),
    "raises-megabytes": ("failed", "ValueError: xxx"),
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the attacks need /proc")


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A cell of an undisturbed run on the same toy tasks."""
    folder = tmp_path_factory.mktemp("honest")
    root = write_root(folder / "toy-tasks")
    return run(root, folder / "before", ["honest"], plugin=HOSTILE)["toy-gold@1", "honest", 0]


@pytest.mark.parametrize(("name", "n_jobs"), [*((name, 1) for name in OUTCOMES), ("kills-the-parent", 2)])
def test_an_attack_costs_its_own_cell_and_runs_nothing_in_the_run(
    toy_root, tmp_path, honest, name, n_jobs, monkeypatch
):
    """The run ends, the neighbour's rewards are the same bits, and no file was written by the run's process."""
    if "runs on" in OUTCOMES[name][1]:  # whatever time it is given
        monkeypatch.setattr(forks, "GRACE", 1)
    note = tmp_path / "note"
    label = f"{name}[file={note}]"
    cells = run(toy_root, tmp_path / "home", [label, "honest"], plugin=HOSTILE, n_jobs=n_jobs)
    if name.startswith("leaves"):
        assert not alive(int(note.read_text()))
    else:
        assert not note.exists()
    status, said = OUTCOMES[name]
    cell = cells["toy-gold@1", label, 0]
    assert (cell.status, said in cell.error) == (status, True), cell.error
    assert len(cell.error) <= KEPT_ERROR
    assert same_arrays(cells["toy-gold@1", "honest", 0].arrays, honest.arrays)


def test_a_process_that_a_method_stopped_serves_the_next_cell(toy_root, tmp_path, honest, monkeypatch):
    """Nobody has to wait until it is given up, nor needs another one."""
    renewed = []
    monkeypatch.setattr(Workers, "_renew", lambda self, gone: renewed.append(gone))
    cells = run(toy_root, tmp_path / "home", ["stops-the-parent", "honest"], plugin=HOSTILE)
    assert cells["toy-gold@1", "stops-the-parent", 0].status == "ok"
    assert same_arrays(cells["toy-gold@1", "honest", 0].arrays, honest.arrays)
    assert not renewed


def test_what_a_method_started_ends_with_its_cell(toy_root, tmp_path):
    """Before the run ends: what a thousand cells left behind would fill the machine."""
    labels = [f"{name}[file={tmp_path / 'pid'}]" for name in ("leaves-a-child", "waits-for-the-end-of-the-child")]
    cells = run(toy_root, tmp_path / "home", labels, plugin=HOSTILE)
    for label in labels:
        cell = cells["toy-gold@1", label, 0]
        assert cell.status == "ok", cell.error


def test_an_answer_arrives_as_it_was_packed():
    """Every reward passes through here."""
    read = answers.unpacked(answers.packed(ANSWER), 2, "rewards")
    assert read.rewards.tolist() == [1.0, 2.0]
    assert read.rewards.flags.writeable
    assert (read.seconds, read.phase) == (ANSWER.seconds, "")


def changed(**fields):
    line, _, values = answers.packed(ANSWER).partition(b"\n")
    return json.dumps(json.loads(line) | fields).encode() + b"\n" + values


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]\n",
        b"[" * 100_000,
        answers.packed(ANSWER)[:-1],
        answers.packed(Outcome()),
        answers.packed(replace(ANSWER, rewards=np.array([1.0, np.nan]))),
        answers.packed(replace(ANSWER, rewards=np.ones(3))),
        changed(columns=["rewards", "rewards"]),
        changed(columns=["error"]),
        changed(phase="elsewhere"),
        changed(error=3),
        changed(skipped="no"),
        changed(seconds={"fit": float("nan")}),
        changed(seconds=[]),
        changed(gold=1),
    ],
)
def test_what_is_no_answer_is_refused(data):
    """Anything but two finite rewards and known words would end the run, or stand in a table."""
    with pytest.raises(ValueError, match="no answer"):
        answers.unpacked(data, 2, "rewards")
