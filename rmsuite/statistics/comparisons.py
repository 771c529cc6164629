"""Who is separable from whom: paired tests of clusters, their correction, tie groups and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_lowercase

import numpy as np
from scipy.special import stdtr, stdtrit

from rmsuite.statistics.bootstrap import BLOCK, Sample
from rmsuite.statistics.intervals import Evidence

FAMILY_LEVEL = 0.05  # error rate of all comparisons together


def p_value(e: Evidence) -> float:
    """Return the two-sided p value of a paired difference: a t test on the clusters' influence.

    With m clusters that differ at all, it is at least 2 * 2^-m, what a sign test could show at best: a t test of a
    handful of deviants would pretend to more.
    """
    if e.effective <= 1 + 1e-9 or not e.differing or abs(e.value) < 1e-12:  # equal up to rounding is equal
        return 1.0
    t = abs(e.value) / e.standard_error if e.standard_error else np.inf
    return float(min(1.0, max(2 * stdtr(e.effective - 1, -t), 2.0 ** (1 - e.differing))))


def holm(p: Sequence[float] | np.ndarray) -> list[float]:
    """Return p values corrected for all that are given (Holm, Scandinavian Journal of Statistics 6, 1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    steps = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(p) else steps
    return [float(x) for x in corrected]


def permutation_p(sample: Sample, first: int, second: int, n_draws: int, rng: np.random.Generator) -> float:
    """Return the p value of a paired difference from exchanging the two columns within clusters, at random.

    Exact for any number of clusters if the two columns are alike in distribution; the cross-check of ``p_value``.
    Its smallest value is 1 / (n_draws + 1).
    """
    one, two = sample.sums[first], sample.sums[second]
    observed = abs(sample.value[first] - sample.value[second])
    more = 0
    for start in range(0, n_draws, BLOCK):
        exchanged = rng.integers(2, size=(min(BLOCK, n_draws - start), len(one))) @ (one - two)
        gap = sample.reduce(one.sum(0) - exchanged) - sample.reduce(two.sum(0) + exchanged)
        more += int(np.count_nonzero(np.abs(gap) >= observed - 1e-12))
    return (more + 1) / (n_draws + 1)


def detectable(e: Evidence, power: float = 0.8) -> float:
    """Return the minimum detectable effect: the true difference that such a test shows with probability ``power``.

    The t approximation of the noncentral distribution: the quantiles of the level and of the power, in standard errors
    (Bloom, Evaluation Review 19, 1995). NaN where nothing differs: such a test shows nothing.
    """
    if not e.differing:
        return np.nan
    degrees = max(e.effective - 1, 1.0)
    return float((stdtrit(degrees, power) - stdtrit(degrees, e.alpha)) * e.standard_error)


@dataclass(frozen=True)
class Standings:
    """Where each column stands among all; by column.

    Attributes
    ----------
    letters : tuple of str
        Two columns share a letter if and only if they are not separable; ``a`` is the group of the best.
    ranks : tuple of (int, int)
        The ranks that are not excluded, 1 is best: one more than the columns that are separably better, up to all but
        those that are separably worse. They hold together with the family's level (Mogstad et al., Inference for
        Ranks, Review of Economic Studies 91, 2024).
    best : tuple of bool
        Whether a column is not separable from the best.
    """

    letters: tuple[str, ...]
    ranks: tuple[tuple[int, int], ...]
    best: tuple[bool, ...]


def standings(values: Sequence[float], separable: np.ndarray, larger_is_better: bool = True) -> Standings:
    """Order columns by value, and tell which are separable.

    Parameters
    ----------
    separable : (n_columns, n_columns) bool
        Symmetric: whether two columns differ, corrected for all pairs.
    """
    signed = np.asarray(values, float) * (1 if larger_is_better else -1)
    better = separable & (signed[:, None] > signed)
    n = len(signed)
    ranks = tuple((1 + int(better[:, i].sum()), n - int(better[i].sum())) for i in range(n))
    first = int(np.argmax(signed)) if n else 0
    return Standings(_letters(signed, separable), ranks, tuple(not separable[first, i] for i in range(n)))


def _letters(signed: np.ndarray, separable: np.ndarray) -> tuple[str, ...]:
    """Return the compact letter display: a letter for each largest set of columns that are mutually not separable.

    By insertion and absorption (Piepho, An Algorithm for a Letter-Based Representation of All-Pairwise Comparisons,
    Journal of Computational and Graphical Statistics 13, 2004).
    """
    groups = [frozenset(range(len(signed)))]
    for i, j in combinations(range(len(signed)), 2):
        if separable[i, j]:
            split = {part for group in groups for part in _apart(group, i, j)}
            groups = [group for group in split if not any(group < other for other in split)]
    ordered = sorted(groups, key=lambda group: sorted(-signed[list(group)]) + [float(x) for x in sorted(group)])
    return tuple("".join(_letter(k) for k, group in enumerate(ordered) if i in group) for i in range(len(signed)))


def _apart(group: frozenset[int], i: int, j: int) -> list[frozenset[int]]:
    return [group - {i}, group - {j}] if i in group and j in group else [group]


def _letter(number: int) -> str:
    # After z comes a1, b1, ...
    return ascii_lowercase[number % 26] + (str(number // 26) if number >= 26 else "")


def separable_pairs(p: np.ndarray, level: float = FAMILY_LEVEL) -> np.ndarray:
    """Return which pairs differ when all are tested together, from the symmetric matrix of their p values."""
    rows, columns = np.triu_indices(len(p), 1)
    out = np.zeros(p.shape, bool)
    out[rows, columns] = np.array(holm(p[rows, columns]), float) < level
    return out | out.T
