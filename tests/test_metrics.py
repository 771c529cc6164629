"""Metrics against independent oracles and worked numbers. Whoever cites a value relies on the formula."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from rmsuite.data import TestSet
from rmsuite.metrics import best_of_n, metric
from rmsuite.metrics.pairs import pair_accuracy
from rmsuite.metrics.ranks import average_ranks, spearman


def one_prompt(gold: np.ndarray) -> TestSet:
    n = len(gold)
    zero = np.zeros(1, int)
    return TestSet(zero, zero, np.arange(n), np.array([0, n]), np.ones(n, int), np.asarray(gold, float))


def test_pair_accuracy_by_hand():
    """Gold 3 > 2 = 2 > 1; rewards tie the best with the worst: 5 pairs, 3 won, 1 tied, 1 lost."""
    values, weights = pair_accuracy(one_prompt([3, 2, 2, 1]), np.array([1.0, 5.0, 0.5, 1.0]))
    # won: 3>2b, 2a>1; tied: 3~1; lost: 3<2a, 2b<1
    assert weights.tolist() == [5]
    assert values[0] == pytest.approx((2 + 0.5) / 5)


def test_pair_accuracy_on_binary_gold_is_the_area_under_the_roc_curve():
    rng = np.random.default_rng(0)
    gold, rewards = rng.integers(0, 2, 50), np.round(rng.standard_normal(50), 1)
    values, _ = pair_accuracy(one_prompt(gold), rewards)
    assert values[0] == pytest.approx(roc_auc_score(gold, rewards))


def test_pair_accuracy_of_given_pairs_equals_that_of_the_same_gold():
    rng = np.random.default_rng(1)
    gold, rewards = rng.standard_normal(12), np.round(rng.standard_normal(12))
    full = one_prompt(gold)
    better, worse = np.array([(i, j) for i in range(12) for j in range(12) if gold[i] > gold[j]]).T
    given = TestSet(full.prompt_id, full.category, full.rows, full.offsets, full.length, None, better, worse)
    assert pair_accuracy(given, rewards)[0][0] == pytest.approx(pair_accuracy(full, rewards)[0][0])
    assert pair_accuracy(given, rewards)[1] == pair_accuracy(full, rewards)[1]


@pytest.mark.parametrize("seed", range(5))
def test_ranks_and_spearman_agree_with_scipy_with_and_without_ties(seed):
    rng = np.random.default_rng(seed)
    gold, rewards = rng.standard_normal(30), rng.standard_normal(30)
    if seed % 2:
        gold, rewards = np.round(gold), np.round(rewards)
    np.testing.assert_allclose(average_ranks(rewards), stats.rankdata(rewards))
    assert spearman(one_prompt(gold), rewards)[0][0] == pytest.approx(stats.spearmanr(rewards, gold).statistic)


def brute_best_of(rewards: np.ndarray, gold: np.ndarray, n: int) -> float:
    """Average over all subsets of size n; among equal best rewards, the mean of their gold."""
    best = []
    for subset in combinations(range(len(gold)), n):
        chosen = [i for i in subset if rewards[i] == max(rewards[list(subset)])]
        best.append(np.mean(gold[chosen]))
    return float(np.mean(best))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_best_of_n_equals_the_mean_over_all_subsets(size, ties):
    rng = np.random.default_rng(size)
    rewards, gold = rng.standard_normal(size), rng.standard_normal(size)
    rewards = np.round(rewards) if ties else rewards
    expected = [brute_best_of(rewards, gold, n) for n in range(1, size + 1)]
    np.testing.assert_allclose(best_of_n.curve(rewards, gold), expected, rtol=1e-12)


def test_rank_weights_equal_the_binomials_and_sum_to_one_at_every_n():
    weights = best_of_n.rank_weights(40)
    exact = [[comb(i, n - 1) / comb(40, n) for n in range(1, 41)] for i in range(40)]
    np.testing.assert_allclose(weights, exact, rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(best_of_n.rank_weights(500).sum(axis=0), 1, rtol=1e-9)


def test_best_of_one_is_random_and_best_of_all_is_the_top_response():
    rng = np.random.default_rng(3)
    rewards, gold = rng.standard_normal((4, 55)), rng.standard_normal((4, 55))
    curve = best_of_n.curve(rewards, gold)
    np.testing.assert_allclose(curve[:, 0], gold.mean(axis=1))
    np.testing.assert_allclose(curve[:, -1], gold[np.arange(4), rewards.argmax(axis=1)])


def test_ragged_prompts_give_the_curves_of_each_prompt_alone():
    rng = np.random.default_rng(4)
    offsets = np.array([0, 3, 10, 13])
    gold, rewards = rng.standard_normal(13), rng.standard_normal(13)
    test = TestSet(np.arange(3), np.zeros(3), np.arange(13), offsets, np.ones(13), gold)
    curves = best_of_n.curves(test, rewards)
    for row, (start, stop) in zip(curves, pairwise(offsets), strict=True):
        np.testing.assert_allclose(row[: stop - start], best_of_n.curve(rewards[start:stop], gold[start:stop]))
        assert np.isnan(row[stop - start :]).all()


def test_normalised_gain_is_one_minus_the_normalised_regret():
    """By hand, n = 2: gold (0, 1, 4), rewards reversed, so the best of two is the lower gold."""
    gold = np.array([0.0, 1.0, 4.0])
    values, weights = best_of_n.normalised_gain(one_prompt(gold), -gold, n=2)
    random, oracle, mine = 5 / 3, (1 + 4 + 4) / 3, (0 + 0 + 1) / 3
    assert weights[0] == pytest.approx(oracle - random)
    assert values[0] == pytest.approx(1 - (oracle - mine) / (oracle - random))


def test_a_prompt_with_fewer_than_n_responses_has_no_weight():
    test = one_prompt(np.arange(5.0))
    assert metric("best-of-4").per_prompt(test, np.arange(5.0))[1][0] > 0
    assert metric("best-of-8").per_prompt(test, np.arange(5.0))[1].tolist() == [0]
