"""The cluster bootstrap: whole clusters are resampled, and everything compared shares the resamples.

A value is a function of sums over clusters, so that resampling is a product of counts ``(n_draws, n_clusters)`` with
the sums of each cluster, leaving one cluster out is a subtraction, and a paired difference is one of columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

BLOCK = 125  # draws at a time: their counts stay in the cache while every column is summed
Reduce = Callable[[np.ndarray], np.ndarray]


def ratio(sums: np.ndarray) -> np.ndarray:
    """Return ``sums[..., 0] / sums[..., 1]``: a weighted mean from its two sums; NaN where there is no weight."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(sums[..., 1] > 0, sums[..., 0] / sums[..., 1], np.nan))


@dataclass(frozen=True, eq=False)
class Sample:
    """What is resampled.

    Attributes
    ----------
    sums : (n_columns, n_clusters, k) float
        What each cluster adds to the k sums of each column. Columns are, say, methods. A cluster that says nothing
        adds zeros.
    low, high : float
        The range of the value.
    n_items, n_repetitions : int
        For the record of the estimate.
    reduce : callable
        ``(..., k) -> (...)``: the value of added sums. ``ratio`` for a weighted mean.
    """

    sums: np.ndarray
    low: float
    high: float
    n_items: int
    n_repetitions: int
    reduce: Reduce = ratio

    @cached_property
    def value(self) -> np.ndarray:
        """The value of each column, ``(n_columns,)``."""
        return self.reduce(self.sums.sum(axis=1))

    @cached_property
    def influence(self) -> np.ndarray:
        """By how much each cluster moves the value, ``(n_columns, n_clusters)``: n - 1 times the jackknife step."""
        rest = self.reduce(self.sums.sum(axis=1, keepdims=True) - self.sums)
        n = self.active.sum(axis=1, keepdims=True)
        steps = np.where(self.active & np.isfinite(rest), self.value[:, None] - rest, 0.0)
        return np.asarray((n - 1) * steps)

    @cached_property
    def active(self) -> np.ndarray:
        """Which clusters say anything, ``(n_columns, n_clusters)`` bool."""
        return np.asarray((self.sums != 0).any(axis=2))

    @cached_property
    def effective_clusters(self) -> np.ndarray:
        """How many clusters of equal weight would say as much, ``(n_columns,)``: (sum w)^2 / sum w^2 (Kish 1965)."""
        weights = self.sums[..., 1] if self.reduce is ratio else self.active.astype(float)
        squares = (weights**2).sum(axis=1)
        return np.divide(weights.sum(axis=1) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)


def mean_sample(
    values: np.ndarray, weights: np.ndarray, low: float, high: float, n_items: int, n_repetitions: int
) -> Sample:
    """Return the sample whose value is the weighted mean over clusters; both arrays ``(n_columns, n_clusters)``."""
    return Sample(np.stack([values * weights, weights], axis=-1), low, high, n_items, n_repetitions)


def counts(n_clusters: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return ``(n_draws, n_clusters)`` float64 counts of how often each cluster is drawn."""
    small = np.uint16 if n_clusters <= 2**16 else np.int64  # short integers are drawn faster
    picks = rng.integers(n_clusters, size=(n_draws, n_clusters), dtype=small)
    places = (picks + (n_clusters * np.arange(n_draws))[:, None]).ravel()
    return np.bincount(places, minlength=n_draws * n_clusters).reshape(n_draws, n_clusters).astype(np.float64)


def resampled(sample: Sample, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return the values of resampled clusters, ``(n_columns, n_draws)``; NaN where a draw has nothing to say."""
    n_columns, n_clusters, k = sample.sums.shape
    columns = [np.ascontiguousarray(column) for column in sample.sums]
    sums = np.empty((n_columns, n_draws, k))
    for start in range(0, n_draws, BLOCK):
        drawn = counts(n_clusters, min(BLOCK, n_draws - start), rng)
        # A product a column, not one for all: the last bits of a column must not depend on its neighbours.
        for i, column in enumerate(columns):
            np.matmul(drawn, column, out=sums[i, start : start + len(drawn)])
    return sample.reduce(sums)
