"""When curves first reach a level, with intervals over what was crossed to make them: clusters, and runs in strata."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rmsuite.statistics.bootstrap import counts
from rmsuite.statistics.estimate import Estimate

N_DRAWS, LEVEL = 2000, 0.95
METHOD = "two-way bootstrap, percentile"


def first_reached(curves: np.ndarray, at: np.ndarray, level: float) -> np.ndarray:
    """Return where curves first come to a level, linearly between points; infinity where they never do.

    Parameters
    ----------
    curves : (..., n_points)
        Values.
    at : (n_points,)
        Where they were taken, rising.

    Examples
    --------
    >>> first_reached(np.array([[0.0, 2.0, 1.0], [0.0, 0.5, 0.9]]), np.array([0.0, 10.0, 20.0]), 1.0).tolist()
    [5.0, inf]
    """
    there = curves >= level
    which = there.argmax(axis=-1)
    before = np.maximum(which - 1, 0)
    low, high = (np.take_along_axis(curves, i[..., None], -1)[..., 0] for i in (before, which))
    share = np.divide(level - low, high - low, out=np.zeros_like(low), where=which > 0)
    found = at[before] + share * (at[which] - at[before])
    return np.where(there.any(axis=-1), found, np.inf)


@dataclass(frozen=True, eq=False)
class Draws:
    """How often each cluster and each run is drawn, the same for all curves that are compared.

    ``clusters`` is ``(n_draws, n_clusters)``, ``runs`` ``(n_draws, n_strata, n_runs)``: runs are drawn within strata.
    """

    clusters: np.ndarray
    runs: np.ndarray

    @classmethod
    def of(cls, n_clusters: int, n_strata: int, n_runs: int, rng: np.random.Generator, n_draws: int = N_DRAWS) -> Draws:
        """Draw clusters and runs with replacement."""
        drawn = counts(n_clusters, n_draws, rng)
        return cls(drawn, np.stack([counts(n_runs, n_draws, rng) for _ in range(n_strata)], axis=1))

    def curves(self, values: np.ndarray) -> np.ndarray:
        """Return the mean curve of each draw, ``(n_draws, n_points)``; see ``reached`` for ``values``."""
        n_points, n_strata, n_runs, n_clusters = values.shape
        runs = values.reshape(-1, n_clusters) @ self.clusters.T / n_clusters
        runs = runs.reshape(n_points, n_strata, n_runs, -1)
        return np.asarray(np.einsum("psrd,dsr->dp", runs, self.runs) / (n_strata * n_runs))


@dataclass(frozen=True, eq=False)
class Reached:
    """Where a mean curve first reaches a level: the value, and that of each draw, ``(n_draws,)``; infinity is never."""

    value: float
    draws: np.ndarray
    base: Estimate

    def estimate(self) -> Estimate:
        """Return it with its interval, whose ends may be infinite."""
        return _estimate(self.base, self.value, self.draws)

    def over(self, other: Reached) -> Estimate | None:
        """Return the ratio to where another curve reaches the level; None if one of them never does."""
        if not (np.isfinite(self.value) and np.isfinite(other.value)):
            return None
        with np.errstate(invalid="ignore"):
            draws = self.draws / other.draws
        told = draws[~np.isnan(draws)]  # where neither gets there, the ratio has no value
        return _estimate(self.base, self.value / other.value, told)


def reached(values: np.ndarray, at: np.ndarray, level: float, draws: Draws, population: str) -> Reached:
    """Return where the mean of curves reaches a level.

    Parameters
    ----------
    values : (n_points, n_strata, n_runs, n_clusters)
        Of each run on each cluster: all are averaged, then the mean curve is followed.
    at : (n_points,)
        Where they were taken, rising.
    level : float
        Above the curve's beginning.
    draws : Draws
        Shared by all curves that are compared. Of n runs they show (n - 1) / n of the variance, so that intervals are
        narrow: simulated, 95 % ones hold 88 % to 92 % with three runs a stratum where clusters matter as much as runs,
        92 % to 94 % with five, and 77 % with three runs of one stratum where runs matter most.
    population : str
        What the interval speaks of.
    """
    _, n_strata, n_runs, n_clusters = values.shape
    sizes = {"n_items": n_runs, "n_clusters": n_clusters, "n_repetitions": n_strata, "n_draws": len(draws.clusters)}
    base = Estimate(0.0, 0.0, 0.0, LEVEL, METHOD, population, **sizes)
    value = first_reached(values.mean(axis=(1, 2, 3)), at, level)
    return Reached(float(value), first_reached(draws.curves(values), at, level), base)


def _estimate(base: Estimate, value: float, draws: np.ndarray) -> Estimate:
    tail = (1 - base.level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")  # no mean of a number and infinity
    return replace(base, value=value, low=min(float(low), value), high=max(float(high), value))
