"""How a benchmark goes with quality over base models: three correlations, with intervals and tests.

There are few base models, and what holds for many is not enough: tests of up to ``EXACT`` models go through all their
permutations, and intervals of fewer than ``FEW`` models, or of a perfect correlation, hold that of Fisher's
transformation too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations

import numpy as np
from scipy import stats

from rmsuite.choice.columns import constant
from rmsuite.statistics import holm

STATISTICS = ("pearson", "spearman", "kendall")
FEWEST = 4  # models: with three, any order is likely
EXACT = 8  # models: 40,320 permutations
FEW = 30  # models: of 10 to 20, percentile intervals hold the true Pearson correlation 87 to 93 times in 100 only
LEVEL = 0.95
MOSTLY = 0.95  # of the resamples, where a correlation has to be defined for an interval


@dataclass(frozen=True)
class Correlation:
    """A correlation over base models.

    ``low`` and ``high`` bound it at 95 %, by a percentile bootstrap of models, and for few models or a perfect value by
    ``by_fisher`` too; NaN where the bootstrap is alone, and more than a twentieth of its resamples has no correlation.
    ``p`` is two-sided, ``p_holm`` corrected for all that were asked together. ``note`` says why there is no value.
    """

    value: float
    low: float
    high: float
    p: float
    p_holm: float
    n_models: int
    note: str = ""


def absent(n_models: int, note: str) -> Correlation:
    """Return that there is no correlation, and why."""
    return Correlation(math.nan, math.nan, math.nan, math.nan, math.nan, n_models, note)


def why_none(first: np.ndarray, second: np.ndarray) -> str:
    """Return why two columns of equal length without gaps have no correlation; empty if they have one."""
    if len(first) < FEWEST:
        return f"{len(first)} models"
    return "constant" if constant(first) or constant(second) else ""


def correlate(first: np.ndarray, second: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return each correlation and its two-sided p value: Pearson, Spearman of average ranks, Kendall's tau-b.

    Both columns, (n_models,), are finite and not constant. Up to ``EXACT`` models p is the share of all permutations
    with as large a correlation; of more models Pearson's and Spearman's are those of a t test with n - 2 degrees of
    freedom, Kendall's is exact without ties where scipy has it so, and otherwise normal.
    """
    of = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
    found = {name: of[name](first, second) for name in STATISTICS}
    values = {name: float(one.statistic) for name, one in found.items()}
    exact = _exact(first, second, values) if len(first) <= EXACT else {}
    return {name: (values[name], exact.get(name, float(found[name].pvalue))) for name in STATISTICS}


@cache
def _orders(n: int) -> np.ndarray:
    """Return all orders of so many models, (n!, n)."""
    return np.array(list(permutations(range(n))))


def _exact(first: np.ndarray, second: np.ndarray, values: Mapping[str, float]) -> dict[str, float]:
    """Return the share of the permutations whose correlation is as far from 0 as each value."""
    orders, (left, right) = _orders(len(first)), np.triu_indices(len(first), 1)
    ranks = [stats.rankdata(one) for one in (first, second)]
    signs = np.sign(first[left] - first[right]), np.sign(second[:, None] - second)
    sums = {
        "pearson": _standard(first) @ _standard(second)[orders].T,
        "spearman": _standard(ranks[0]) @ _standard(ranks[1])[orders].T,
        "kendall": signs[0]
        @ signs[1][orders[:, left], orders[:, right]].T
        / math.sqrt(np.abs(signs[0]).sum() * np.abs(signs[1]).sum() / 2),
    }
    return {name: float(np.mean(np.abs(sums[name]) >= abs(values[name]) - 1e-9)) for name in STATISTICS}


def _standard(values: np.ndarray) -> np.ndarray:
    apart = values - values.mean()
    return np.asarray(apart / np.sqrt(apart @ apart))


def critical(n_models: int, level: float = 0.05) -> float:
    """Return the smallest Pearson correlation that a two-sided test of ``level`` finds among so many models.

    Examples
    --------
    >>> round(critical(40), 3)
    0.312
    """
    t = float(stats.t.isf(level / 2, n_models - 2))
    return t / math.sqrt(n_models - 2 + t * t)


@dataclass(frozen=True)
class Draws:
    """Resamples of models: how many, and the seed that they come from, the same for every column of equal length."""

    n: int
    seed: int

    def counts(self, n_models: int) -> np.ndarray:
        """Return how often each resample takes each model, (n_draws, n_models)."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        return rng.multinomial(n_models, np.full(n_models, 1 / n_models), size=self.n)


def resampled(first: np.ndarray, second: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return each correlation in each resample, (n_draws,); NaN where a column is constant in it.

    ``counts``, (n_draws, n_models), says how often each resample takes each model: then no resample is ever built.
    """
    signs = [np.sign(one[:, None] - one[None, :]) for one in (first, second)]
    untied = [_form(counts, np.abs(sign)) for sign in signs]
    defined = (untied[0] > 0) & (untied[1] > 0)
    ranks = [counts @ (sign < 0) + counts @ (sign == 0) / 2 for sign in signs]  # of each model, in each resample
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "pearson": _pearson(first[None, :], second[None, :], counts),
            "spearman": _pearson(ranks[0], ranks[1], counts),
            "kendall": _form(counts, signs[0] * signs[1]) / np.sqrt(untied[0] * untied[1]),
        }
    return {name: np.where(defined, values, np.nan) for name, values in found.items()}


def _form(counts: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the sum of a matrix over the pairs of models in each resample."""
    return ((counts @ matrix) * counts).sum(axis=1)


def _pearson(first: np.ndarray, second: np.ndarray, counts: np.ndarray) -> np.ndarray:
    n = counts.sum(axis=1, keepdims=True)
    one, two = (values - (counts * values).sum(axis=1, keepdims=True) / n for values in (first, second))
    both, squares = (counts * one * two).sum(axis=1), [(counts * x * x).sum(axis=1) for x in (one, two)]
    return np.clip(both / np.sqrt(squares[0] * squares[1]), -1, 1)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the middle 95 % of what resamples gave; NaN where too many gave nothing."""
    held = values[~np.isnan(values)]
    if len(held) < MOSTLY * len(values) or not len(held):
        return math.nan, math.nan
    low, high = np.quantile(held, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def by_fisher(value: float, statistic: str, n_models: int) -> tuple[float, float]:
    """Return the interval of a correlation by Fisher's transformation, for what a bootstrap of few models lacks.

    Of ranks the standard errors are those of Bonett and Wright (Sample size requirements for estimating Pearson,
    Kendall and Spearman correlations, Psychometrika 65, 2000). Ranks that agree wholly count as if two neighbours had
    changed places: else the interval of a perfect correlation would be a point, however few the models.

    Examples
    --------
    >>> [round(bound, 2) for bound in by_fisher(1.0, "spearman", 6)], by_fisher(1.0, "kendall", 4)
    ([0.38, 1.0], (-1.0, 1.0))
    """
    apart = n_models - (4 if statistic == "kendall" else 3)
    if apart < 1:
        return -1.0, 1.0
    step = {
        "pearson": 1e-12,
        "spearman": 12 / (n_models * (n_models**2 - 1)),
        "kendall": 4 / (n_models * (n_models - 1)),
    }
    near = math.copysign(min(abs(value), 1 - step[statistic]), value)
    variance = {"pearson": 1.0, "spearman": 1 + near**2 / 2, "kendall": 0.437}[statistic] / apart
    reach = float(stats.norm.isf((1 - LEVEL) / 2)) * math.sqrt(variance)
    low, high = math.tanh(math.atanh(near) - reach), math.tanh(math.atanh(near) + reach)
    return min(low, value), max(high, value)


def against(quality: np.ndarray, columns: Mapping[str, np.ndarray], draws: Draws) -> dict[str, dict[str, Correlation]]:
    """Return the correlations of each column with quality, by column and statistic, Holm-corrected over the columns.

    ``quality`` and each column, (n_models,), may have gaps: a column is compared over the models that have both.
    """
    found = {name: _one(quality, column, draws) for name, column in columns.items()}
    for statistic in STATISTICS:
        tested = [name for name, one in found.items() if not one[statistic].note]
        corrected = holm([found[name][statistic].p for name in tested])
        for name, p in zip(tested, corrected, strict=True):
            found[name][statistic] = replace(found[name][statistic], p_holm=p)
    return found


def _one(quality: np.ndarray, column: np.ndarray, draws: Draws) -> dict[str, Correlation]:
    both = ~np.isnan(quality) & ~np.isnan(column)
    first, second = column[both], quality[both]
    if note := why_none(first, second):
        return dict.fromkeys(STATISTICS, absent(len(first), note))
    again = resampled(first, second, draws.counts(len(first)))
    return {
        name: Correlation(value, *_bounds(value, name, again[name], len(first)), p, math.nan, len(first))
        for name, (value, p) in correlate(first, second).items()
    }


def _bounds(value: float, statistic: str, again: np.ndarray, n_models: int) -> tuple[float, float]:
    low, high = interval(again)
    if n_models >= FEW and abs(value) < 1 - 1e-12:
        return low, high
    lower, upper = by_fisher(value, statistic, n_models)
    return (lower, upper) if math.isnan(low) else (min(low, lower), max(high, upper))


def best(found: Mapping[str, Mapping[str, Correlation]], among: Sequence[str], statistic: str) -> str:
    """Return which of some columns has the largest correlation, the first of equal ones; empty if none has one."""
    defined = [name for name in among if not found[name][statistic].note]
    return max(defined, key=lambda name: found[name][statistic].value, default="")
