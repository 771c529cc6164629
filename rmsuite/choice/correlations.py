"""How a benchmark goes with quality over base models: three correlations, with intervals and tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from rmsuite.statistics import holm

STATISTICS = ("pearson", "spearman", "kendall")
FEWEST = 4  # models: with three, any order is likely
LEVEL = 0.95
MOSTLY = 0.95  # of the resamples, where a correlation has to be defined for an interval


@dataclass(frozen=True)
class Correlation:
    """A correlation over base models.

    ``low`` and ``high`` bound it at 95 %, by a percentile bootstrap of models; NaN where more than a twentieth of the
    resamples has no correlation. ``p`` is two-sided, ``p_holm`` corrected for all that were asked together. ``note``
    says why there is no value.
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
    return "constant" if np.ptp(first) == 0 or np.ptp(second) == 0 else ""


def correlate(first: np.ndarray, second: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return each correlation and its two-sided p value: Pearson, Spearman of average ranks, Kendall's tau-b.

    Both columns, (n_models,), are finite and not constant. Pearson's and Spearman's p values are those of a t test with
    n - 2 degrees of freedom, Kendall's is exact for few models without ties and otherwise normal.
    """
    of = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
    found = {name: of[name](first, second) for name in STATISTICS}
    return {name: (float(one.statistic), float(one.pvalue)) for name, one in found.items()}


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
        name: Correlation(value, *interval(again[name]), p, math.nan, len(first))
        for name, (value, p) in correlate(first, second).items()
    }


def best(found: Mapping[str, Mapping[str, Correlation]], among: Sequence[str], statistic: str) -> str:
    """Return which of some columns has the largest correlation, the first of equal ones; empty if none has one."""
    defined = [name for name in among if not found[name][statistic].note]
    return max(defined, key=lambda name: found[name][statistic].value, default="")
