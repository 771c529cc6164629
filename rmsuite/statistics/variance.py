"""How much of the uncertainty is prompts, how much is repetitions, what more of either would bring, and both in one."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import chdtri, stdtrit

from rmsuite.statistics.estimate import Estimate, Variance

LEVEL = 0.95
CROSSED = "t of two crossed samples (Satterthwaite)"
ONE = "t of one sample"


def two_way(values: np.ndarray, influence: np.ndarray) -> Variance:
    """Return the variance components of the mean over repetitions.

    The usual moment estimates of two crossed random factors, on influences; a negative one is 0.

    Parameters
    ----------
    values : (n_repetitions,)
        The value in each repetition, at least two of them.
    influence : (n_repetitions, n_clusters)
        By how much each cluster moves it, mean zero in each row (``Sample.influence``), at least two clusters.
    """
    cells = influence + (values - values.mean())[:, None]
    r, n = cells.shape
    by_cluster, by_repetition = cells.mean(axis=0), cells.mean(axis=1)
    rest = cells - by_cluster - by_repetition[:, None] + cells.mean()
    both = float((rest**2).sum() / ((n - 1) * (r - 1)))
    clusters = max(float((r * by_cluster.var(ddof=1) - both) / r), 0.0)
    repetitions = max(float((n * by_repetition.var(ddof=1) - both) / n), 0.0)
    largest = (r - 1) * n * by_repetition.var(ddof=1) / chdtri(r - 1, 0.975)
    return Variance(
        prompts=clusters / n,
        repetitions=repetitions / r,
        both=both / (n * r),
        repetitions_at_most=max(float((largest - both) / n), repetitions) / r,
        spread=float(values.std(ddof=1)),
        prompts_to_halve=_needed(clusters, repetitions, both, n, r),
        repetitions_to_halve=_needed(repetitions, clusters, both, r, n),
    )


def _needed(factor: float, other: float, both: float, n: int, n_other: int) -> int | None:
    """Return how many levels of a factor quarter the variance of the mean, those of the other being as they are."""
    target = (factor / n + other / n_other + both / (n * n_other)) / 4
    left = target - other / n_other
    if left <= 0:
        return None
    return math.ceil((factor + both / n_other) / left - 1e-9)


def crossed_mean(values: np.ndarray, population: str) -> Estimate:
    """Return the mean with an interval that speaks of both factors, drawn anew: repetitions and clusters.

    Mean squares of the two-way layout give the variance of the mean, ``(MS_clusters + MS_repetitions - MS_rest) / rn``,
    and its degrees of freedom (Satterthwaite, Biometrics Bulletin 2, 1946). A component that comes out negative is 0.
    One repetition leaves the clusters alone. In simulations of 196 clusters the interval holds in 93 % to 98 % with
    three repetitions or more; with two that differ far more than clusters do, in 87 %.

    Parameters
    ----------
    values : (n_repetitions, n_clusters)
        One or more repetitions, two or more clusters.
    population : str
        What the interval speaks of.
    """
    r, n = values.shape
    mean = float(values.mean())
    squares = [(r * float(values.mean(axis=0).var(ddof=1)), n - 1)]
    if r > 1:
        rest = values - values.mean(axis=0) - values.mean(axis=1)[:, None] + mean
        both = float((rest**2).sum()) / ((r - 1) * (n - 1))
        repetitions = n * float(values.mean(axis=1).var(ddof=1))
        squares = [(max(squares[0][0], both), n - 1)]
        squares += [(repetitions, r - 1), (-both, (r - 1) * (n - 1))] if repetitions > both else []
    total = sum(square for square, _ in squares)
    degrees = total**2 / sum(square**2 / df for square, df in squares) if total else 1.0
    reach = -float(stdtrit(degrees, (1 - LEVEL) / 2)) * math.sqrt(total / (r * n))
    sizes = {"n_items": r * n, "n_clusters": n, "n_repetitions": r, "n_draws": 0}
    return Estimate(mean, mean - reach, mean + reach, LEVEL, CROSSED if r > 1 else ONE, population, **sizes)
