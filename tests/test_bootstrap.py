"""The cluster bootstrap: coverage by simulation, reproducibility to the bit, the boundary. All intervals rely on it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from rmsuite.statistics import Estimate, Sample, estimates, paired_differences
from rmsuite.statistics import bootstrap as module


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sample(values: np.ndarray, weights: np.ndarray | None = None, low: float = 0.0, high: float = 1.0) -> Sample:
    values = np.atleast_2d(np.asarray(values, float))
    weights = np.ones_like(values) if weights is None else np.broadcast_to(weights, values.shape)
    return Sample(values, weights, low, high, n_items=values.shape[1], n_repetitions=1)


def simulated(seed: int, n_prompts: int, n_pairs: int, spread: float) -> np.ndarray:
    """Return 0/1 outcomes (n_prompts, n_pairs) whose chance varies between prompts on the logit scale."""
    source = rng(seed)
    chance = expit(0.5 + spread * source.standard_normal((n_prompts, 1)))
    return (source.random((n_prompts, n_pairs)) < chance).astype(float)


def truth(spread: float) -> float:
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return float((expit(0.5 + spread * nodes) * weights).sum() / weights.sum())


def coverage(n_prompts: int, n_pairs: int, spread: float, by_prompt: bool, n_simulations: int = 600) -> float:
    right, hits = truth(spread), 0
    for seed in range(n_simulations):
        outcomes = simulated(seed, n_prompts, n_pairs, spread)
        values = outcomes.mean(axis=1) if by_prompt else outcomes.ravel()
        found = estimates(sample(values), rng(seed), n_draws=600)[0]
        hits += found.low <= right <= found.high
    return hits / n_simulations


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_prompts", "n_pairs", "spread"), [(50, 10, 1.0), (100, 1, 0.5), (200, 10, 1.0), (100, 45, 1.0), (300, 4, 2.0)]
)
def test_intervals_over_prompts_cover_what_they_say(n_prompts, n_pairs, spread):
    """600 simulations have a standard error of 0.9 points; the seeds are fixed, so that the outcome is too."""
    assert 0.93 <= coverage(n_prompts, n_pairs, spread, by_prompt=True) <= 0.97


@pytest.mark.slow
def test_intervals_over_pairs_as_if_independent_do_not():
    """Why prompts are the clusters: 200 prompts x 10 pairs cover about 78 %, 45 pairs about 50 %."""
    assert coverage(200, 10, 1.0, by_prompt=False, n_simulations=200) < 0.85
    assert coverage(100, 45, 1.0, by_prompt=False, n_simulations=200) < 0.60


def test_one_seed_gives_one_interval_to_the_bit_and_another_seed_another():
    values = sample(rng(1).random((3, 80)))
    first, again, other = (estimates(values, rng(seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


def test_the_chunk_size_moves_nothing_but_the_last_bit(monkeypatch):
    values = sample(rng(1).random((2, 50)))
    whole = module.draw_means(values, 700, rng())
    monkeypatch.setattr(module, "CHUNK", 64)
    np.testing.assert_allclose(module.draw_means(values, 700, rng()), whole, rtol=1e-14)


def test_other_columns_move_no_interval():
    """A method's interval does not depend, to the bit, on which methods stand beside it, nor on their order."""
    values = rng(2).random((17, 61))
    together = estimates(sample(values), rng())
    assert [estimates(sample(values[i]), rng())[0] for i in range(17)] == together
    assert estimates(sample(values[::-1]), rng()) == together[::-1]


def test_clusters_of_size_one_agree_with_scipys_percentile_bootstrap():
    values = rng(3).exponential(size=400)
    mine = estimates(sample(values, high=50), rng(), n_draws=20_000)[0]
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", random_state=0)
    width = mine.high - mine.low
    assert mine.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert mine.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)


def test_a_weighted_mean_is_the_share_over_all_items():
    """Prompts with 1, 2 and 5 pairs: the value is right pairs over pairs."""
    values, weights = np.array([1.0, 0.5, 0.2]), np.array([1.0, 2.0, 5.0])
    assert estimates(sample(values, weights), rng())[0].value == pytest.approx(3 / 8)


def test_clusters_without_weight_change_nothing_but_the_draws():
    values, weights = rng(4).random(60), np.ones(60)
    weights[40:] = 0
    found = estimates(sample(values, weights), rng(), n_draws=4000)[0]
    assert found.value == pytest.approx(values[:40].mean())
    assert found.n_clusters == 40


def test_widths_shrink_with_the_root_of_the_clusters():
    small, large = (estimates(sample(rng(5).random(n)), rng())[0] for n in (100, 10_000))
    assert (small.high - small.low) / (large.high - large.low) == pytest.approx(10, rel=0.15)


@pytest.mark.parametrize(("value", "low", "high"), [(1.0, None, 1.0), (0.0, 0.0, None), (0.5, None, None)])
def test_no_interval_has_width_zero_where_all_clusters_agree(value, low, high):
    found = estimates(sample(np.full(100, value)), rng())[0]
    assert found.low == low or found.low < value
    assert found.high == high or found.high > value
    assert found.high > found.low


def test_the_all_correct_interval_is_that_of_clopper_and_pearson():
    found = estimates(sample(np.ones(50)), rng())[0]
    assert found.low == pytest.approx(stats.binomtest(50, 50).proportion_ci(0.95, "exact").low)


def test_one_cluster_says_almost_nothing():
    found = estimates(sample(np.array([0.7])), rng())[0]
    assert found.low < 0.05
    assert found.high > 0.95


def test_a_column_minus_itself_is_exactly_zero_and_a_duplicate_is_not_separable():
    values = rng(6).random((2, 90))
    found = paired_differences(sample(np.vstack([values, values[0]])), 0, rng())
    assert (found[0].value, found[0].low, found[0].high) == (0.0, 0.0, 0.0)
    assert found[2].value == 0
    assert found[2].low <= 0 <= found[2].high


def test_pairing_narrows_the_interval_of_a_difference():
    base = rng(7).random(200)
    values = np.vstack([base, np.clip(base + 0.02 * rng(8).standard_normal(200), 0, 1)])
    paired = paired_differences(sample(values), 0, rng())[1]
    alone = estimates(sample(values), rng())[1]
    assert (paired.high - paired.low) < 0.2 * (alone.high - alone.low)


def test_an_estimate_holds_its_value_and_cannot_be_built_without_its_facts():
    with pytest.raises(ValueError, match="does not hold its value"):
        Estimate(0.5, 0.6, 0.7, 0.95, "m", "p", 1, 1, 1, 1)
    with pytest.raises(TypeError):
        Estimate(0.5, 0.4, 0.6)  # type: ignore[call-arg]
