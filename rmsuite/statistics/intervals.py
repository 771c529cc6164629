"""Intervals of resampled values; the shipped simulation (``simulation.py``) decides which one is the default.

``expanded-percentile``
    Quantiles of the draws, moved outwards for what a bootstrap of few clusters lacks (Hesterberg, What Teachers
    Should Know About the Bootstrap, The American Statistician 69, 2015).
``percentile``
    Plain quantiles of the draws (Efron 1979).
``bca``
    Quantiles corrected for median bias and for skewness (Efron, Better Bootstrap Confidence Intervals, JASA 82, 1987).

All are widened where a bootstrap has too little to go by: below ``FEW_CLUSTERS`` they hold the t interval too, and
while fewer than ``FEW_DEVIANTS`` clusters deviate from the rest they hold the Clopper-Pearson bounds of that share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

from rmsuite.statistics.bootstrap import Sample, ratio

FEW_CLUSTERS, FEW_DEVIANTS = 10, 8


@dataclass(frozen=True, eq=False)
class Evidence:
    """What an interval of one column is made from.

    ``draws`` are resampled values, NaN where a draw had nothing to say; ``influence`` is that of the active clusters;
    ``effective`` how many clusters of equal weight would say as much; ``values`` those of the active clusters where
    the column is a mean (else their influence), with their ``weights``; ``low`` and ``high`` the range of the value;
    ``differing``, of a difference, how many clusters are not the same in both columns; ``jumps`` says that the value is
    no mean, and perhaps no smooth function of sums.
    """

    value: float
    draws: np.ndarray
    influence: np.ndarray
    effective: float
    values: np.ndarray
    weights: np.ndarray
    low: float
    high: float
    level: float
    differing: int = 0
    jumps: bool = False

    @property
    def alpha(self) -> float:
        """The nominal probability of each tail."""
        return (1 - self.level) / 2

    @property
    def standard_error(self) -> float:
        """Jackknife standard error of a mean; of what jumps, for which the jackknife fails, that of the draws."""
        if self.jumps:
            said = self.draws[~np.isnan(self.draws)]
            return float(said.std()) if len(said) else 0.0
        n = len(self.influence)
        return float(np.sqrt((self.influence**2).sum() / (n * (n - 1)))) if n > 1 else 0.0


def evidence(sample: Sample, column: int, draws: np.ndarray, level: float) -> Evidence:
    """Gather what an interval of one column of a sample is made from; the clusters that say nothing are left out."""
    mean, active = sample.reduce is ratio, sample.active[column]
    sums, influence = sample.sums[column], sample.influence[column]
    return Evidence(
        value=float(sample.value[column]),
        draws=draws,
        influence=influence[active],
        effective=float(sample.effective_clusters[column]),
        values=ratio(sums[active]) if mean else influence[active],
        weights=sums[active, 1] if mean else np.ones(np.count_nonzero(active)),
        low=sample.low,
        high=sample.high,
        level=level,
        jumps=not mean,
    )


def difference(first: Evidence, second: Evidence, differing: int) -> Evidence:
    """Return the evidence of a paired difference; both must be of the same clusters with the same weights."""
    span = first.high - first.low
    return Evidence(
        value=first.value - second.value,
        draws=first.draws - second.draws,
        influence=first.influence - second.influence,
        effective=min(first.effective, second.effective),
        values=first.values - second.values,
        weights=first.weights,
        low=-span,
        high=span,
        level=first.level,
        differing=differing,
        jumps=first.jumps,
    )


Bounds = tuple[float, float]


def percentile(e: Evidence) -> Bounds:
    """Return the quantiles alpha and 1 - alpha of the draws."""
    return _quantiles(e.draws, e.alpha, 1 - e.alpha)


def expanded_percentile(e: Evidence) -> Bounds:
    """Return quantiles moved outwards for the factor sqrt((n - 1) / n) and for t instead of normal tails."""
    z = expanded_normal(e.effective, e.alpha)
    return _quantiles(e.draws, float(ndtr(-z)), float(ndtr(z)))


def bca(e: Evidence) -> Bounds:
    """Return bias-corrected and accelerated quantiles, expanded like those of ``expanded_percentile``."""
    below = np.mean(e.draws < e.value) + np.mean(e.draws == e.value) / 2
    bias = ndtri(np.clip(below, 1 / (len(e.draws) + 1), len(e.draws) / (len(e.draws) + 1)))
    square = (e.influence**2).sum()
    skew = (e.influence**3).sum() / (6 * square**1.5) if square else 0.0
    z = expanded_normal(e.effective, e.alpha)
    ends = [bias + (bias + side) / (1 - skew * (bias + side)) for side in (-z, z)]
    return _quantiles(e.draws, float(ndtr(ends[0])), float(ndtr(ends[1])))


METHODS: Mapping[str, Callable[[Evidence], Bounds]] = {
    "expanded-percentile": expanded_percentile,
    "percentile": percentile,
    "bca": bca,
}
DEFAULT = "expanded-percentile"


def interval(e: Evidence, method: str = DEFAULT) -> Bounds:
    """Return an interval that holds the value, lies in the range, and is nowhere of width zero."""
    if np.isnan(e.draws).any():
        e = replace(e, draws=e.draws[~np.isnan(e.draws)])
    found = [METHODS[method](e)] if len(e.draws) else [(e.low, e.high)]
    if e.effective < FEW_CLUSTERS:
        found.append(t_interval(e))
    if np.count_nonzero(_deviates(e)) < FEW_DEVIANTS:
        found.append(boundary(e))
    low, high = min(low for low, _ in found), max(high for _, high in found)
    # A draw may lie beyond the usual range: a best-of-n that is worse than the oracle reversed.
    least, most = e.draws.min(initial=e.low), e.draws.max(initial=e.high)
    return min(max(low, float(least)), e.value), max(min(high, float(most)), e.value)


def t_interval(e: Evidence) -> Bounds:
    """Return value -+ t standard errors, with one degree of freedom less than effective clusters; else the range."""
    if e.effective <= 1 + 1e-9:
        return e.low, e.high
    reach = -float(stdtrit(e.effective - 1, e.alpha)) * e.standard_error
    return e.value - reach, e.value + reach


def boundary(e: Evidence) -> Bounds:
    """Return the room that clusters have which could deviate from the commonest value and yet be so rarely seen.

    The share that deviates is at most the Clopper-Pearson bound at the share seen; those more could lie at either end
    of the range. With none seen of n clusters of equal weight, an all-correct accuracy gets the interval of Clopper
    and Pearson.
    """
    n = max(e.effective, 1.0)
    seen = float(e.weights[_deviates(e)].sum() / e.weights.sum())
    share = float(betaincinv(seen * n + 1, max(n - seen * n, 1e-9), 1 - e.alpha)) - seen
    return e.value - share * (e.value - e.low), e.value + share * (e.high - e.value)


def _deviates(e: Evidence) -> np.ndarray:
    values, times = np.unique(np.round(e.values, 12), return_counts=True)
    return np.asarray(np.abs(e.values - values[times.argmax()]) > 1e-9)


def expanded_normal(n_clusters: float, alpha: float) -> float:
    """Return the normal quantile that stands for a tail of alpha when there are few clusters (Hesterberg 2015)."""
    n = max(n_clusters, 2.0)
    return -float(np.sqrt(n / (n - 1)) * stdtrit(n - 1, alpha))


def _quantiles(draws: np.ndarray, low: float, high: float) -> Bounds:
    found = np.quantile(draws, [low, high])
    return float(found[0]), float(found[1])
