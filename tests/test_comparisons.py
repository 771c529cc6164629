"""Tests, corrections, tie groups and ranks. Whoever says that one method is better than another relies on them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from rmsuite.statistics import Sample, holm, mean_sample, p_value, permutation_p, resample, separable_pairs, standings
from rmsuite.statistics.comparisons import detectable
from rmsuite.statistics.intervals import Evidence


def made(values: np.ndarray, n_draws: int = 200, seed: int = 0):
    values = np.asarray(values, float)
    return resample(mean_sample(values, np.ones_like(values), 0, 1, 1, 1), np.random.default_rng(seed), n_draws)


def all_p(found) -> np.ndarray:
    n = len(found.draws)
    p = np.ones((n, n))
    for i, j in combinations(range(n), 2):
        p[i, j] = p[j, i] = p_value(found.difference_evidence(i, j))
    return p


def placed(values: np.ndarray):
    found = made(values, n_draws=2)  # p values do not need the draws
    return standings(found.sample.value, separable_pairs(all_p(found)))


def test_the_p_value_is_that_of_a_paired_t_test():
    values = np.random.default_rng(0).random((2, 90))
    mine = p_value(made(values).difference_evidence(0, 1))
    assert mine == pytest.approx(stats.ttest_rel(*values).pvalue)


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.06])
def test_exchanging_the_two_methods_within_prompts_says_the_same(shift):
    rng = np.random.default_rng(1)
    base = rng.random(120) * 0.8
    values = np.stack([base + shift, base + 0.15 * rng.standard_normal(120)])
    found = made(values)
    permuted = permutation_p(found.sample, 0, 1, 20_000, np.random.default_rng(0))
    assert permuted == pytest.approx(p_value(found.difference_evidence(0, 1)), abs=0.01)


def test_the_permutation_test_agrees_with_scipys():
    values = np.random.default_rng(2).random((2, 12)) + np.array([[0.2], [0.0]])
    mine = permutation_p(made(values).sample, 0, 1, 50_000, np.random.default_rng(0))
    theirs = stats.permutation_test(values, lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf)
    assert mine == pytest.approx(theirs.pvalue, abs=0.01)


@pytest.mark.parametrize("differing", range(6))
def test_a_handful_of_prompts_that_differ_separates_nothing(differing):
    """Five prompts of a thousand, all in favour of one: a sign test gives 0.06, a t test would say 0.03."""
    values = np.full((2, 1000), 0.5)
    values[0, :differing] = 1
    assert p_value(made(values).difference_evidence(0, 1)) > 0.05


def test_holm_by_hand_and_its_laws():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    p = np.random.default_rng(3).random(20) ** 3
    corrected = np.array(holm(p))
    assert (corrected >= p).all()
    assert (corrected <= np.minimum(p * len(p), 1) + 1e-15).all()
    order = np.random.default_rng(4).permutation(20)
    np.testing.assert_array_equal(np.array(holm(p[order])), corrected[order])
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(40))
def test_two_columns_share_a_letter_if_and_only_if_they_are_not_separable(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    separable = np.triu(rng.random((n, n)) < rng.random(), 1)
    separable |= separable.T
    found = standings(rng.random(n), separable)
    for i, j in combinations(range(n), 2):
        assert bool(set(found.letters[i]) & set(found.letters[j])) != separable[i, j]
    assert all(found.letters)


@pytest.mark.parametrize("seed", range(20))
def test_a_duplicated_method_is_always_in_the_group_of_its_twin(seed):
    rng = np.random.default_rng(seed)
    values = np.clip(rng.random(100) + 0.1 * rng.standard_normal((6, 100)) + rng.random((6, 1)) * 0.1, 0, 1)
    found = placed(np.vstack([values, values[2]]))
    assert found.letters[2] == found.letters[6]
    assert found.ranks[2] == found.ranks[6]
    assert found.best[2] == found.best[6]


@pytest.mark.slow
@pytest.mark.parametrize(("n_methods", "n_prompts"), [(3, 20), (5, 50), (10, 200)])
def test_equal_methods_are_separated_in_at_most_5_percent_of_simulations(n_methods, n_prompts):
    """The family-wise error over all pairs of equally good methods, on common prompts with ten pairs each."""
    rng, wrong, n = np.random.default_rng(5), 0, 1500
    for _ in range(n):
        common = rng.standard_normal(n_prompts)
        chance = 1 / (1 + np.exp(-(0.5 + common + 0.5 * rng.standard_normal((n_methods, n_prompts)))))
        found = placed(rng.binomial(10, chance) / 10)
        wrong += len(set("".join(found.letters))) > 1
    assert wrong / n <= 0.05


@pytest.mark.slow
def test_rank_intervals_hold_the_true_ranks_together():
    rng, right, n = np.random.default_rng(6), 0, 300
    true = np.array([0.70, 0.68, 0.66, 0.60, 0.60])
    for _ in range(n):
        found = placed(np.clip(true[:, None] + 0.2 * rng.standard_normal((5, 150)), 0, 1))
        # The two last are equally good: either may be fourth or fifth.
        right += all(low <= rank <= high for rank, (low, high) in zip((1, 2, 3), found.ranks[:3], strict=True))
    assert right / n >= 0.95


def test_ranks_of_clearly_ordered_methods_are_single_numbers():
    noise = 0.01 * np.random.default_rng(7).standard_normal((3, 100))
    found = placed(np.array([[0.2], [0.8], [0.5]]) + noise)
    assert found.ranks == ((3, 3), (1, 1), (2, 2))
    assert found.letters == ("c", "a", "b")
    assert found.best == (False, True, False)


def test_where_smaller_is_better_the_smallest_is_first():
    found = standings([0.1, 0.9], np.array([[False, True], [True, False]]), larger_is_better=False)
    assert found.ranks == ((1, 1), (2, 2))
    assert found.letters == ("a", "b")


@pytest.mark.slow
def test_the_minimum_detectable_effect_is_detected_in_80_percent():
    rng, seen, n = np.random.default_rng(8), 0, 600
    effect = detectable(made(0.5 + 0.1 * rng.standard_normal((2, 4000))).difference_evidence(0, 1)) * np.sqrt(
        4000 / 100
    )
    for _ in range(n):
        values = 0.5 + 0.1 * rng.standard_normal((2, 100)) + np.array([[effect], [0]])
        seen += p_value(made(values, 10).difference_evidence(0, 1)) < 0.05
    assert seen / n == pytest.approx(0.8, abs=0.05)


def test_equal_values_are_never_separable():
    """Whatever their standard error: a statistic that moves in steps may have none."""
    for influence in (np.zeros(20), 1e-30 * np.ones(20)):
        e = Evidence(0.0, np.zeros(50), influence, 20.0, influence, np.ones(20), -1, 1, 0.95, differing=9)
        assert p_value(e) == 1.0


def test_what_jumps_is_tested_by_its_draws():
    """The largest of several sums, between two samples of one law: the jackknife would find them unequal too often."""
    rng, rejected = np.random.default_rng(0), 0
    for _ in range(200):
        sums = 1.0 + (rng.random((2, 60, 3)) < 0.5)
        sample = Sample(sums, 0, 120, 60, 1, lambda total: total.max(axis=-1))
        rejected += p_value(resample(sample, rng, 400).difference_evidence(0, 1)) < 0.05
    assert rejected / 200 < 0.1
