"""The cluster bootstrap: whole clusters are resampled, and everything compared shares the resamples.

Resampling is a product of multinomial counts ``(n_draws, n_clusters)`` with per-cluster sums; paired differences are
differences of columns and cost nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from rmsuite.statistics.estimate import Estimate

METHOD = "cluster bootstrap, expanded percentile"
POPULATION = "clusters like these; repetitions held fixed"
CHUNK = 500  # draws at a time, to bound the memory


@dataclass(frozen=True, eq=False)
class Sample:
    """What is resampled.

    Attributes
    ----------
    values, weights : (n_columns, n_clusters) float
        A column's estimate is the weighted mean of its values over the clusters. Columns are, say, methods.
    low, high : float
        The range of the values.
    n_items, n_repetitions : int
        For the record of the estimate.
    """

    values: np.ndarray
    weights: np.ndarray
    low: float
    high: float
    n_items: int
    n_repetitions: int

    @property
    def means(self) -> np.ndarray:
        """The weighted mean of each column."""
        return np.asarray((self.values * self.weights).sum(1) / self.weights.sum(1))


def draw_means(sample: Sample, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``(n_draws, n_columns)`` weighted means of resampled clusters; NaN where a draw has no weight."""
    n = sample.values.shape[1]
    sums, totals = (np.ascontiguousarray(x) for x in (sample.values * sample.weights, sample.weights))
    out = np.empty((n_draws, len(sums)))
    for start in range(0, n_draws, CHUNK):
        size = min(CHUNK, n_draws - start)
        picks = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        counts = np.bincount(picks.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)
        # A product a column, not one for all: the last bits of a column must not depend on its neighbours.
        for column in range(len(sums)):
            with np.errstate(invalid="ignore"):
                out[start : start + size, column] = (counts @ sums[column]) / (counts @ totals[column])
    return out


def tail(n_clusters: int, level: float) -> float:
    """Return the quantile that stands for a tail of (1 - level) / 2 when there are few clusters.

    A bootstrap draw of n clusters spreads by a factor sqrt((n - 1) / n) too little and has normal rather than
    t tails; the quantile is moved outwards for both (T. Hesterberg, What Teachers Should Know About the Bootstrap,
    The American Statistician 69, 2015, the expanded percentile interval).
    """
    if n_clusters < 2:
        return 0.0
    t = stdtrit(n_clusters - 1, (1 - level) / 2)
    return float(ndtr(np.sqrt(n_clusters / (n_clusters - 1)) * t))


def unseen(n_clusters: int, level: float) -> float:
    """Return the largest share of clusters that could behave otherwise and yet be absent from ``n_clusters``.

    It is the Clopper-Pearson bound at zero events, at (1 - level) / 2.

    Examples
    --------
    >>> round(unseen(100, 0.95), 4)
    0.0362
    """
    return float(1 - ((1 - level) / 2) ** (1 / max(n_clusters, 1)))


def _interval(
    mean: float, values: np.ndarray, draws: np.ndarray, bounds: tuple[float, float], level: float
) -> tuple[float, float]:
    """Quantiles of the draws; where all clusters agree, the share of unseen clusters times the room to the bounds.

    Without the second rule an all-correct method would have an interval of width zero.
    """
    if np.ptp(values) <= 1e-12:
        share = unseen(len(values), level)
        return mean - share * (mean - bounds[0]), mean + share * (bounds[1] - mean)
    q = tail(len(values), level)
    low, high = np.nanquantile(draws, [q, 1 - q])
    return min(float(low), mean), max(float(high), mean)


def estimates(sample: Sample, rng: np.random.Generator, n_draws: int = 10_000, level: float = 0.95) -> list[Estimate]:
    """Return the estimate of each column, with an interval from resampled clusters."""
    return _estimates(sample, draw_means(sample, n_draws, rng), level)


def paired_differences(
    sample: Sample, against: int, rng: np.random.Generator, n_draws: int = 10_000, level: float = 0.95
) -> list[Estimate]:
    """Return the estimate of each column minus column ``against``, on the same resampled clusters.

    The weights of all columns must be equal. A column minus itself is 0 with interval [0, 0].
    """
    draws = draw_means(sample, n_draws, rng)
    span = sample.high - sample.low
    difference = Sample(
        sample.values - sample.values[against], sample.weights, -span, span, sample.n_items, sample.n_repetitions
    )
    out = _estimates(difference, draws - draws[:, [against]], level)
    zero = _estimate(0.0, (0.0, 0.0), difference, sample.weights[against], n_draws, level)
    return [zero if column == against else estimate for column, estimate in enumerate(out)]


def _estimates(sample: Sample, draws: np.ndarray, level: float) -> list[Estimate]:
    bounds = (sample.low, sample.high)
    out = []
    for column, mean in enumerate(sample.means.tolist()):
        weights = sample.weights[column]
        interval = _interval(mean, sample.values[column][weights > 0], draws[:, column], bounds, level)
        out.append(_estimate(mean, interval, sample, weights, len(draws), level))
    return out


def _estimate(
    mean: float, interval: tuple[float, float], sample: Sample, weights: np.ndarray, n_draws: int, level: float
) -> Estimate:
    return Estimate(
        value=mean,
        low=interval[0],
        high=interval[1],
        level=level,
        method=METHOD,
        population=POPULATION,
        n_items=sample.n_items,
        n_clusters=int(np.count_nonzero(weights)),
        n_repetitions=sample.n_repetitions,
        n_draws=n_draws,
    )
