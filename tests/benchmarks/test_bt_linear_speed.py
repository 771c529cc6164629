"""The speed of linear Bradley-Terry against scikit-learn at the same optimum, in one run.

``pytest tests/benchmarks/test_bt_linear_speed.py`` prints the table for 10,000 pairs of 512 features;
``RMSUITE_BENCH=full`` makes it 100,000 pairs of 2,048 features. Nothing is asserted about time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.fft import dct
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from rmsuite_baselines.bt_linear import differences
from rmsuite_baselines.logistic import Logistic
from rmsuite_baselines.rows import Rows
from rmsuite_baselines.scaling import Scaling, Standardised

N_PAIRS, N_FEATURES = (100_000, 2048) if os.environ.get("RMSUITE_BENCH") == "full" else (10_000, 512)
N_RESPONSES = 10  # a prompt, and as many pairs
GROUP = f"linear Bradley-Terry, {N_PAIRS:,} pairs x {N_FEATURES:,} features"

pytestmark = [pytest.mark.slow, pytest.mark.benchmark(group=GROUP)]


@dataclass(frozen=True, eq=False)
class Problem:
    """Pairs of embeddings whose rewards are linear, with Bradley-Terry labels."""

    embeddings: Standardised
    chosen: np.ndarray
    rejected: np.ndarray

    def certified(self, weights: np.ndarray, penalty: float) -> tuple[float, float]:
        """Return the objective, and a bound of its gap to the minimum: its curvature is at least the penalty."""
        rows = Rows.passing(self.embeddings)
        problem, rewards = Logistic(rows, differences(self.chosen, self.rejected)), rows.times(weights)
        bound = np.sum(problem.gradient(weights, rewards, penalty) ** 2) / (2 * penalty)
        return problem.value(weights, rewards, penalty), float(bound)

    def solved(self, penalty: float) -> np.ndarray:
        """Return our optimum."""
        problem = Logistic(Rows.kept(self.embeddings), differences(self.chosen, self.rejected))
        return problem.optimum(penalty, np.zeros(N_FEATURES))


@pytest.fixture(scope="module")
def problem() -> Problem:
    """Variances of principal components fall as a power law, as those of a decoder's last states do."""
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((N_PAIRS, N_FEATURES), dtype=np.float32)
    embeddings *= np.arange(1, N_FEATURES + 1, dtype=np.float32) ** -0.5
    embeddings = dct(embeddings, norm="ortho", overwrite_x=True)
    rewards = embeddings @ rng.standard_normal(N_FEATURES).astype(np.float32)
    first = np.arange(N_PAIRS)
    second = first - first % N_RESPONSES + (first + 1) % N_RESPONSES
    right = rng.random(N_PAIRS) < expit(2 * (rewards[first] - rewards[second]) / rewards.std())
    standardised = Scaling.of(embeddings).lazily(embeddings, "benchmark")
    return Problem(standardised, np.where(right, first, second), np.where(right, second, first))


@pytest.mark.parametrize("penalty", [0.01, 0.001])
def test_ours(benchmark, problem, penalty):
    weights = benchmark.pedantic(lambda: problem.solved(penalty), rounds=3)
    assert problem.certified(weights, penalty)[1] < 1e-6


@pytest.mark.parametrize("penalty", [0.01, 0.001])
def test_scikit_learn(benchmark, problem, penalty):
    """It is handed the differences ready-made, in float32; half of them are turned, as it needs two classes."""
    turned = np.where(np.random.default_rng(1).random(N_PAIRS) < 0.5, -1, 1)
    given = problem.embeddings[problem.chosen]
    given -= problem.embeddings[problem.rejected]
    given *= turned[:, None].astype(np.float32)
    rival = LogisticRegression(C=1 / (N_PAIRS * penalty), fit_intercept=False, tol=1e-5, max_iter=10_000)
    benchmark.pedantic(lambda: rival.fit(given, turned), rounds=1)
    least = problem.certified(problem.solved(penalty), penalty)[0]
    assert abs(problem.certified(rival.coef_[0], penalty)[0] - least) < 1e-6
