"""Whether printed intervals hold the truth, by simulations whose truth is known; who reads an interval relies on it."""

from __future__ import annotations

import numpy as np
import pytest

from rmsuite import seeds
from rmsuite.statistics import intervals, mean_sample, resample
from rmsuite.statistics.simulation import GRID, HARD, Case, coverage

pytestmark = pytest.mark.usefixtures("one_thread")


def held(case: Case, n_simulations: int = 1500, n_draws: int = 1000) -> dict[str, float]:
    seed = seeds.seed(1, "simulation", case=repr(case))
    return {one.method: one.held for one in coverage(case, seed, n_simulations, n_draws)}


@pytest.mark.slow
@pytest.mark.parametrize("case", GRID, ids=lambda case: f"{case.n_prompts}x{case.n_pairs}-{case.spread}")
def test_default_intervals_cover_what_they_say(case):
    """1,500 simulations have a standard error of 0.6 points; the seeds are fixed, so that the outcome is too."""
    assert 0.93 <= held(case)[intervals.DEFAULT] <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("case", HARD, ids=repr)
def test_hard_cases_do_not_fall_below_92_percent(case):
    """Few prompts, accuracies near 1, unequal prompts: too wide is allowed there, too narrow is not."""
    assert held(case)[intervals.DEFAULT] >= 0.92


def test_the_truth_of_a_case_is_that_of_many_prompts():
    case = Case(200_000, 1, 1.0)
    values, _ = case.draw(np.random.default_rng(0), 1)
    assert values.mean() == pytest.approx(case.truth, abs=0.004)


@pytest.mark.slow
@pytest.mark.parametrize(("n_prompts", "n_pairs", "most"), [(200, 10, 0.85), (100, 45, 0.60)])
def test_intervals_over_pairs_as_if_independent_do_not_cover(n_prompts, n_pairs, most):
    """Why prompts are the clusters: 200 prompts x 10 pairs cover about 78 %, 45 pairs about 50 %."""
    case, rng, hits = Case(n_prompts, n_pairs, 1.0), np.random.default_rng(0), 0
    for _ in range(200):
        right = np.round(case.draw(rng, 1)[0][0] * n_pairs).astype(int)
        outcomes = np.repeat([1.0, 0.0], [right.sum(), n_prompts * n_pairs - right.sum()])
        found = resample(mean_sample(outcomes[None], np.ones((1, len(outcomes))), 0, 1, 1, 1), rng, 300).estimate(0)
        hits += found.low <= case.truth <= found.high
    assert hits / 200 < most


@pytest.mark.slow
def test_intervals_of_paired_differences_cover_too():
    rng, hits = np.random.default_rng(2), 0
    for _ in range(1500):
        common = rng.standard_normal(80)
        chance = [1 / (1 + np.exp(-(shift + common + 0.5 * rng.standard_normal(80)))) for shift in (0.4, 0.4)]
        values = rng.binomial(10, chance) / 10
        found = resample(mean_sample(values, np.ones((2, 80)), 0, 1, 1, 1), rng, 1500).difference(0, 1)
        hits += found.low <= 0 <= found.high
    assert 0.93 <= hits / 1500 <= 0.97
