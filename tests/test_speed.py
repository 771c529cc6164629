"""Speed as ratios against named rivals, in one run: ``pytest tests/test_speed.py`` prints the table.

Nothing is asserted about time; each benchmark asserts that it computed what its rival did. ``RMSUITE_BENCH=full`` lets
the rival compute all 190 differences too, which takes it most of a minute; it computes ten otherwise.
"""

from __future__ import annotations

import os
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from rmsuite.statistics import estimates, mean_sample, resample

N_METHODS, N_PROMPTS, N_PAIRS, N_DRAWS = 20, 1000, 5, 10_000
PAIRS = [*combinations(range(N_METHODS), 2)]
BY_RIVAL = PAIRS if os.environ.get("RMSUITE_BENCH") == "full" else PAIRS[::19]


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    """20 methods x 5,000 pairs in 1,000 prompts: the share of its five pairs that a method has right."""
    rng = np.random.default_rng(0)
    return rng.binomial(N_PAIRS, np.clip(rng.random(N_PROMPTS) + 0.1 * rng.random((N_METHODS, 1)), 0, 1)) / N_PAIRS


def drawn(values: np.ndarray):
    sample = mean_sample(values, np.full_like(values, N_PAIRS), 0, 1, N_PROMPTS * N_PAIRS, 1)
    return resample(sample, np.random.default_rng(0), N_DRAWS)


def scipys(columns: np.ndarray) -> list[tuple[float, float]]:
    weights = np.full(columns.shape[1], float(N_PAIRS))
    found = []
    for column in columns:
        interval = stats.bootstrap(
            (column * weights, weights),
            lambda credit, total, axis: credit.sum(axis) / total.sum(axis),
            paired=True,
            vectorized=True,
            n_resamples=N_DRAWS,
            method="percentile",
            random_state=0,
        ).confidence_interval
        found.append((interval.low, interval.high))
    return found


@pytest.mark.benchmark(group="intervals of 20 methods, 1,000 prompts, 10,000 draws")
def test_intervals(benchmark, values):
    found = benchmark.pedantic(lambda: estimates(drawn(values)), rounds=5, warmup_rounds=1)
    np.testing.assert_allclose([e.value for e in found], values.mean(axis=1))


@pytest.mark.benchmark(group="intervals of 20 methods, 1,000 prompts, 10,000 draws")
def test_intervals_by_scipy(benchmark, values):
    found = benchmark.pedantic(lambda: scipys(values), rounds=2)
    mine = [(e.low, e.high) for e in estimates(drawn(values))]
    np.testing.assert_allclose(found, mine, atol=0.002)


@pytest.mark.benchmark(group="intervals of 20 methods and all 190 paired differences")
def test_intervals_and_differences(benchmark, values):
    def run() -> int:
        found = drawn(values)
        return len(estimates(found)) + len([found.difference(i, j) for i, j in PAIRS])

    assert benchmark.pedantic(run, rounds=5, warmup_rounds=1) == 210


@pytest.mark.benchmark(group="intervals of 20 methods and all 190 paired differences")
def test_intervals_and_differences_by_scipy(benchmark, values):
    """Both draw 10,000 times: their limits differ by two to three standard errors of a limit, 0.0003, at most."""
    pairs = [values[i] - values[j] for i, j in BY_RIVAL]
    methods = values if BY_RIVAL is PAIRS else values[:0]  # the rival's intervals of methods are timed above
    found = benchmark.pedantic(lambda: scipys(np.concatenate([methods, pairs])), rounds=1)
    mine = drawn(values)
    differences = [mine.difference(i, j) for i, j in BY_RIVAL]
    np.testing.assert_allclose(found[len(methods) :], [(one.low, one.high) for one in differences], atol=0.002)
