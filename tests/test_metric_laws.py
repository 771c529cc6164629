"""Laws that every metric obeys. Whoever compares two tables relies on them.

A metric that is in no list of ``MIRRORED`` and ``NOT_MIRRORED`` fails: a new metric has to say where it belongs.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rmsuite.data import TestSet
from rmsuite.metrics import METRICS, Metric, applicable

MIRRORED = {"pair-accuracy", "spearman", "best-of-2"}  # negated rewards give the value on the other side of chance
NOT_MIRRORED = {"best-of-4", "best-of-8", "best-of-16", "best-of-32"}  # a maximum is no mean


def make_test(seed: int = 0, sizes: tuple[int, ...] = (33, 40, 2, 1, 36), ties: bool = False) -> TestSet:
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    gold = rng.standard_normal(offsets[-1])
    if ties:
        gold = np.round(gold)
    n = len(sizes)
    return TestSet(np.arange(n), np.zeros(n, int), np.arange(offsets[-1]), offsets, np.ones(offsets[-1], int), gold)


def value(metric: Metric, test: TestSet, rewards: np.ndarray) -> float:
    values, weights = metric.per_prompt(test, rewards)
    return float(np.average(values, weights=weights))


def rewards_for(test: TestSet, seed: int = 1, ties: bool = False) -> np.ndarray:
    rewards = test.gold + np.random.default_rng(seed).standard_normal(len(test.rows))
    return np.round(rewards) if ties else rewards


every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)


def test_every_metric_is_in_one_law_list():
    assert {metric.name for metric in METRICS} == MIRRORED | NOT_MIRRORED
    assert not MIRRORED & NOT_MIRRORED


@every_metric
@pytest.mark.parametrize("ties", [False, True])
def test_the_order_of_responses_within_a_prompt_is_irrelevant(metric, ties):
    test = make_test(ties=ties)
    rewards, rng = rewards_for(test, ties=ties), np.random.default_rng(2)
    order = np.concatenate([rng.permutation(np.arange(a, b)) for a, b in pairwise(test.offsets)])
    moved = TestSet(test.prompt_id, test.category, test.rows, test.offsets, test.length, test.gold[order])
    np.testing.assert_allclose(
        metric.per_prompt(moved, rewards[order]), metric.per_prompt(test, rewards), rtol=1e-12, atol=1e-12
    )


@every_metric
def test_monotone_transforms_of_the_rewards_change_nothing(metric):
    test = make_test()
    rewards = rewards_for(test)
    np.testing.assert_array_equal(
        metric.per_prompt(test, np.exp(rewards / 3) - 7), metric.per_prompt(test, rewards), strict=True
    )


@every_metric
def test_a_reward_shift_by_prompt_changes_nothing(metric):
    """Only the order within a prompt counts: a constant of the prompt is no information."""
    test = make_test(ties=True)
    rewards = rewards_for(test, ties=True)
    np.testing.assert_allclose(
        metric.per_prompt(test, rewards + 100 * test.prompt), metric.per_prompt(test, rewards), atol=1e-12
    )


@every_metric
def test_weights_do_not_depend_on_the_rewards(metric):
    test = make_test(ties=True)
    first, second, constant = (
        metric.per_prompt(test, r)[1] for r in (rewards_for(test, 3), rewards_for(test, 4), np.zeros(len(test.rows)))
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, constant)
    assert first.sum() > 0


@every_metric
def test_constant_rewards_give_chance(metric):
    test = make_test()
    assert value(metric, test, np.full(len(test.rows), 3.5)) == pytest.approx(metric.chance, abs=1e-12)


@every_metric
def test_perfect_rewards_give_the_upper_end_of_the_range(metric):
    test = make_test(ties=True)
    assert value(metric, test, test.gold) == pytest.approx(metric.high, abs=1e-12)


@every_metric
def test_reversed_rewards_are_on_the_other_side_of_chance(metric):
    test = make_test()
    reversed_value = value(metric, test, -test.gold)
    assert reversed_value < metric.chance
    if metric.name in MIRRORED:
        assert reversed_value == pytest.approx(metric.low, abs=1e-12)


@every_metric
def test_negated_rewards_mirror_the_metrics_that_say_so(metric):
    test = make_test(ties=True)
    rewards = rewards_for(test, ties=True)
    mirrored = 2 * metric.chance - value(metric, test, -rewards)
    same = value(metric, test, rewards) == pytest.approx(mirrored, abs=1e-12)
    assert same == (metric.name in MIRRORED)


@every_metric
@pytest.mark.parametrize("seed", range(5))
def test_values_lie_in_the_stated_range_and_are_finite(metric, seed):
    test = make_test(seed, ties=bool(seed % 2))
    values, weights = metric.per_prompt(test, rewards_for(test, seed + 10))
    assert np.isfinite(values).all()
    assert (weights >= 0).all()
    assert (values[weights > 0] <= metric.high + 1e-12).all()
    assert metric.low <= np.average(values, weights=weights) <= metric.high


@every_metric
def test_a_prompt_on_which_nothing_can_be_told_has_no_weight(metric):
    """One response, or responses of equal gold: undefined whatever the rewards, so left out and not counted as 0."""
    test = make_test(sizes=(1, 40))
    flat = TestSet(test.prompt_id, test.category, test.rows, np.array([0, 40, 41]), test.length, np.ones(41))
    assert metric.per_prompt(test, rewards_for(test))[1][0] == 0
    assert metric.per_prompt(flat, np.arange(41.0))[1].tolist() == [0, 0]


def test_only_pair_metrics_apply_where_there_is_no_gold():
    test = TestSet(*[np.zeros(1)] * 3, np.array([0, 2]), np.ones(2), None, np.array([0]), np.array([1]))
    assert [metric.name for metric in applicable(test)] == ["pair-accuracy"]
