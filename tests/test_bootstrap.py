"""The cluster bootstrap: coverage by simulation, reproducibility to the bit, the boundary. All intervals rely on it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rmsuite.statistics import Estimate, Sample, estimates, intervals, mean_sample, resample


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sample(values: np.ndarray, weights: np.ndarray | None = None, low: float = 0.0, high: float = 1.0) -> Sample:
    values = np.atleast_2d(np.asarray(values, float))
    weights = np.ones_like(values) if weights is None else np.broadcast_to(weights, values.shape)
    return mean_sample(values, weights, low, high, n_items=values.shape[1], n_repetitions=1)


def found_in(values: Sample, seed: int = 0, n_draws: int = 10_000) -> list[Estimate]:
    return estimates(resample(values, rng(seed), n_draws))


def test_one_seed_gives_one_interval_to_the_bit_and_another_seed_another():
    values = sample(rng(1).random((3, 80)))
    first, again, other = (found_in(values, seed) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_other_columns_move_no_interval():
    """A method's interval does not depend, to the bit, on which methods stand beside it, nor on their order."""
    values = rng(2).random((17, 61))
    together = found_in(sample(values))
    assert [found_in(sample(values[i]))[0] for i in range(17)] == together
    assert found_in(sample(values[::-1])) == together[::-1]


def test_clusters_of_size_one_agree_with_scipys_percentile_bootstrap():
    values = rng(3).exponential(size=400)
    mine = found_in(sample(values, high=50), n_draws=20_000)[0]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", random_state=0)
    width = mine.high - mine.low
    assert mine.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert mine.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)


def test_a_weighted_mean_is_the_share_over_all_items():
    """Prompts with 1, 2 and 5 pairs: the value is right pairs over pairs."""
    values, weights = np.array([1.0, 0.5, 0.2]), np.array([1.0, 2.0, 5.0])
    assert found_in(sample(values, weights))[0].value == pytest.approx(3 / 8)


def test_clusters_without_weight_change_nothing_but_the_draws():
    values, weights = rng(4).random(60), np.ones(60)
    weights[40:] = 0
    found = found_in(sample(values, weights), n_draws=4000)[0]
    assert found.value == pytest.approx(values[:40].mean())
    assert found.n_clusters == 40


def test_widths_shrink_with_the_root_of_the_clusters():
    small, large = (found_in(sample(rng(5).random(n)))[0] for n in (100, 10_000))
    assert (small.high - small.low) / (large.high - large.low) == pytest.approx(10, rel=0.15)


@pytest.mark.parametrize(("value", "low", "high"), [(1.0, None, 1.0), (0.0, 0.0, None), (0.5, None, None)])
def test_no_interval_has_width_zero_where_all_clusters_agree(value, low, high):
    found = found_in(sample(np.full(100, value)))[0]
    assert found.low == low or found.low < value
    assert found.high == high or found.high > value
    assert found.high > found.low


def test_the_all_correct_interval_is_that_of_clopper_and_pearson():
    found = found_in(sample(np.ones(50)))[0]
    assert found.low == pytest.approx(stats.binomtest(50, 50).proportion_ci(0.95, "exact").low)


def test_one_cluster_says_almost_nothing():
    found = found_in(sample(np.array([0.7])))[0]
    assert found.low < 0.05
    assert found.high > 0.95


def test_a_column_minus_itself_is_exactly_zero_and_a_duplicate_is_not_separable():
    values = rng(6).random((2, 90))
    found = resample(sample(np.vstack([values, values[0]])), rng())
    itself, duplicate = found.difference(0, 0), found.difference(2, 0)
    assert (itself.value, itself.low, itself.high) == (0.0, 0.0, 0.0)
    assert duplicate.value == 0
    assert duplicate.low < 0 < duplicate.high


def test_pairing_narrows_the_interval_of_a_difference():
    base = rng(7).random(200)
    values = np.vstack([base, np.clip(base + 0.02 * rng(8).standard_normal(200), 0, 1)])
    found = resample(sample(values), rng())
    paired, alone = found.difference(1, 0), found.estimate(1)
    assert (paired.high - paired.low) < 0.2 * (alone.high - alone.low)


def test_a_difference_is_the_mirror_of_the_difference_the_other_way_round():
    found = resample(sample(rng(9).random((2, 70))), rng())
    one, other = found.difference(0, 1), found.difference(1, 0)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


@pytest.mark.parametrize("deviants", range(10))
def test_the_interval_moves_smoothly_as_clusters_leave_the_boundary(deviants):
    """One wrong prompt more must not shrink the interval: it did when the boundary rule ended at the first of them."""
    widths = []
    for wrong in (deviants, deviants + 1):
        values = np.ones(200)
        values[:wrong] = 0
        found = found_in(sample(values))[0]
        widths.append(found.high - found.low)
    assert widths[1] > 0.9 * widths[0]


@pytest.mark.parametrize("method", intervals.METHODS)
def test_influence_gives_the_standard_error_of_a_mean(method):
    values = rng(10).random(80)
    e = resample(sample(values), rng(), method=method).evidence(0)
    assert e.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(80))


def test_any_function_of_sums_can_be_resampled():
    """A ratio of sums written as its own reduction gives the same draws as the built-in weighted mean."""
    values, weights = rng(11).random((2, 60)), rng(12).integers(1, 9, (2, 60)).astype(float)
    mean = mean_sample(values, weights, 0, 1, 1, 1)
    own = Sample(mean.sums, 0, 1, 1, 1, lambda sums: sums[..., 0] / sums[..., 1])
    one, two = resample(mean, rng()), resample(own, rng())
    np.testing.assert_array_equal(one.draws, two.draws)
    np.testing.assert_allclose(mean.influence, own.influence)


def test_resamples_without_any_weight_are_left_out_and_do_not_warn():
    """Three prompts of sixty have pairs: 5 % of the resamples have none."""
    values, weights = np.zeros(60), np.zeros(60)
    weights[:3], values[:3] = 1, (0.2, 0.5, 0.9)
    found = resample(sample(values, weights), rng())
    assert np.isnan(found.draws).any()
    assert np.isfinite([found.estimate(0).low, found.estimate(0).high]).all()


def test_bca_agrees_with_scipys():
    values = rng(13).exponential(size=300)
    mine = resample(sample(values, high=50), rng(), 20_000, method="bca").estimate(0)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", random_state=0)
    width = mine.high - mine.low
    assert mine.low == pytest.approx(theirs.confidence_interval.low, abs=0.04 * width)
    assert mine.high == pytest.approx(theirs.confidence_interval.high, abs=0.04 * width)


def test_unequal_weights_count_as_fewer_clusters():
    """One prompt with most of the pairs: an interval as if there were a hundred prompts would be far too narrow."""
    weights = np.ones(100)
    weights[0] = 200
    assert sample(np.ones(100), weights).effective_clusters[0] == pytest.approx(299**2 / (200**2 + 99))
    assert found_in(sample(np.ones(100), weights))[0].low < 0.3


def test_an_estimate_holds_its_value_and_cannot_be_built_without_its_facts():
    with pytest.raises(ValueError, match="does not hold its value"):
        Estimate(0.5, 0.6, 0.7, 0.95, "m", "p", 1, 1, 1, 1)
    with pytest.raises(TypeError):
        Estimate(0.5, 0.4, 0.6)  # type: ignore[call-arg]
