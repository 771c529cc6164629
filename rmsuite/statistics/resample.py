"""Estimates and paired differences of resampled columns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rmsuite.statistics import intervals
from rmsuite.statistics.bootstrap import Sample, resampled
from rmsuite.statistics.estimate import Estimate
from rmsuite.statistics.intervals import Evidence

POPULATION = "clusters like these; repetitions held fixed"
N_DRAWS, LEVEL = 10_000, 0.95


@dataclass(frozen=True, eq=False)
class Resampled:
    """A sample with the values of its resamples, ``draws`` ``(n_columns, n_draws)``, which all columns share."""

    sample: Sample
    draws: np.ndarray
    level: float = LEVEL
    method: str = intervals.DEFAULT

    def evidence(self, column: int) -> Evidence:
        """Return what the interval of a column is made from."""
        return intervals.evidence(self.sample, column, self.draws[column], self.level)

    def estimate(self, column: int) -> Estimate:
        """Return the estimate of a column."""
        return self._estimate(self.evidence(column))

    def difference(self, first: int, second: int) -> Estimate:
        """Return the estimate of column ``first`` minus column ``second``, on the same resampled clusters.

        A column minus itself is 0 with interval [0, 0].
        """
        found = self._estimate(self.difference_evidence(first, second))
        return replace(found, low=0.0, high=0.0) if first == second else found

    def difference_evidence(self, first: int, second: int) -> Evidence:
        """Return what the interval of a difference is made from: the same range of values twice as wide."""
        apart = np.abs(self.sample.sums[first] - self.sample.sums[second]) > 1e-12
        differing = int(apart.any(axis=1).sum())
        return intervals.difference(self.evidence(first), self.evidence(second), differing)

    def _estimate(self, e: Evidence) -> Estimate:
        low, high = intervals.interval(e, self.method)
        return Estimate(
            value=e.value,
            low=low,
            high=high,
            level=self.level,
            method=f"cluster bootstrap, {self.method}",
            population=POPULATION,
            n_items=self.sample.n_items,
            n_clusters=len(e.influence),
            n_repetitions=self.sample.n_repetitions,
            n_draws=self.draws.shape[1],
        )


def resample(
    sample: Sample,
    rng: np.random.Generator,
    n_draws: int = N_DRAWS,
    level: float = LEVEL,
    method: str = intervals.DEFAULT,
) -> Resampled:
    """Draw clusters with replacement, ``n_draws`` times, once for all columns."""
    return Resampled(sample, resampled(sample, n_draws, rng), level, method)


def estimates(found: Resampled) -> list[Estimate]:
    """Return the estimate of each column."""
    return [found.estimate(column) for column in range(len(found.draws))]
