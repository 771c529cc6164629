"""One method in detail: its best-of-n curve and the reliability of its probabilities, against the metrics of the table.

Whoever reads why a method's headline is what it is relies on it.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from command_line import Toys
from metric_examples import many, with_probability
from plugin_files import source, write

from rmsuite.metrics import best_of_n, metric
from rmsuite.reports.details import best_of_n_curve, reliability
from rmsuite.tested import Answers


def noisy(test, seed=0):
    return Answers(test.gold + np.random.default_rng(seed).standard_normal(len(test.rows)))


def test_the_oracles_curve_is_one_and_the_reverses_lies_below_a_random_choice():
    test = many((12,) * 30)
    best, worst = (best_of_n_curve("toy@1", test, [Answers(sign * test.gold)]) for sign in (1, -1))
    assert [point.n for point in best] == [2, 3, 4, 6, 8, 12]
    assert all(point.gold.value == pytest.approx(1) for point in best)
    assert all(point.gold.value < 0 for point in worst)
    assert all(point.kl == pytest.approx(np.log(point.n) - (point.n - 1) / point.n) for point in best)


def test_a_point_of_the_curve_is_the_metric_of_that_n_over_all_repetitions():
    test = many((16,) * 30)
    repetitions = [noisy(test, seed) for seed in range(3)]
    found = {point.n: point.gold for point in best_of_n_curve("toy@1", test, repetitions)}
    for n in (4, 16):
        values = [metric(f"best-of-{n}").value(test, answers) for answers in repetitions]
        assert found[n].value == pytest.approx(np.mean(values))
        assert found[n].low < found[n].value < found[n].high
        assert (found[n].n_clusters, found[n].n_repetitions) == (30, 3)


def test_the_calibration_error_is_the_gap_between_the_columns_of_the_reliability_table():
    test, answers = with_probability()
    bins = reliability("toy@1", test, [answers])
    n = sum(one.n_pairs for one in bins)
    assert n == len(test.asked.first)
    assert all(one.low <= one.confidence <= one.high for one in bins)
    gap = sum(one.n_pairs * abs(one.confidence - one.right.value) for one in bins) / n
    assert metric("calibration-error").value(test, answers) == pytest.approx(gap)


def test_what_cannot_be_said_is_left_out():
    test, answers = with_probability()
    assert reliability("toy@1", test, [answers, Answers(answers.rewards)]) == ()
    assert best_of_n.grid(many((1,) * 5)).tolist() == [1]
    assert best_of_n_curve("toy@1", many((1,) * 5), [Answers(np.arange(5.0))]) == ()


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = Toys(tmp_path, write(tmp_path / "toys.py", source("good", root=toy_root)), capfd)
    found.install(monkeypatch)
    assert found("run", "-m", "good", "-r", "2", "-j", "1").code == 0
    return found


def test_the_command_prints_the_curve_with_the_signature(toys):
    answer = toys("inspect", "good")
    assert answer.code == 0
    assert "best-of-n gold" in answer.out
    assert "rmsuite:2|task:toy-gold@1" in answer.out
    document = json.loads(toys("inspect", "good", "-t", "toy-gold", "--format", "json").out)
    assert list(document) == ["toy-gold@1"]
    assert document["toy-gold@1"]["repetitions"] == [0, 1]


def test_an_unknown_method_is_answered_with_the_nearest(toys):
    answer = toys("inspect", "god")
    assert answer.code == 2
    assert "good" in answer.err
