"""Pair accuracy freed of length: judges and people prefer longer answers, and a counter of characters profits."""

from __future__ import annotations

import numpy as np

from rmsuite.data import Answers, TestSet
from rmsuite.metrics.pairs import grouped

STRATA = np.array([0.1, 0.25, 0.5, 1.0])  # inner edges of |difference| / mean length
SIDE = 10  # bins where the rejected response is longer, as many where the chosen is, and one for equal lengths
N_BINS = 2 * SIDE + 1
CENTRES = np.concatenate([np.arange(0.5 - SIDE, 0), [0.0], np.arange(0.5, SIDE)]) / SIDE
RIDGE, STEPS = 1e-3, 30


def matched(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt and stratum, credit and number where the longer is chosen, then where the shorter is.

    Strata are of the relative length difference; pairs of equal length are left out. ``(n_prompts, 4 strata)``.
    """
    length = test.length.astype(np.float64)

    def stratum(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
        gap = length[chosen] - length[rejected]
        relative = np.abs(gap) / np.maximum((length[chosen] + length[rejected]) / 2, 1e-9)
        group = 2 * np.searchsorted(STRATA, relative) + (gap < 0)
        return np.where(gap == 0, -1, group)

    return grouped(test, answers.rewards, stratum, 2 * (len(STRATA) + 1)).reshape(test.n_prompts, -1)


def matched_accuracy(sums: np.ndarray) -> np.ndarray:
    """Return the mean over strata of half the accuracy where the longer and half where the shorter is chosen.

    A stratum counts by the smaller of its two numbers of pairs.
    """
    parts = sums.reshape(*sums.shape[:-1], -1, 2, 2)
    credit, total = parts[..., 0], parts[..., 1]
    accuracy = np.divide(credit, total, out=np.zeros_like(credit), where=total > 0).mean(axis=-1)
    weight = total.min(axis=-1)
    whole = weight.sum(axis=-1)
    value = np.divide((accuracy * weight).sum(axis=-1), whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return np.asarray(value)


def adjusted(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, credit and number of pairs in bins of tanh(length difference / its standard deviation).

    The difference is chosen minus rejected, squashed as in the length-controlled win rate of arXiv:2404.04475.
    """
    length = test.length.astype(np.float64)
    # Squares of whole numbers: their sum is exact, in whatever blocks it is taken.
    sums = [(np.square(length[chosen] - length[rejected]).sum(), len(chosen)) for chosen, rejected in test.pairs()]
    squares, n_pairs = np.sum(sums, axis=0)
    scale = np.sqrt(squares / n_pairs) or 1.0

    def bin_of(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
        squashed = np.tanh((length[chosen] - length[rejected]) / scale)
        away = np.minimum(np.floor(np.abs(squashed) * SIDE), SIDE - 1) + 1
        return SIDE + (np.sign(squashed) * away).astype(int)

    return grouped(test, answers.rewards, bin_of, N_BINS).reshape(test.n_prompts, -1)


def adjusted_accuracy(sums: np.ndarray) -> np.ndarray:
    """Return the accuracy at equal length: sigmoid(a) of the logistic fit P(right) = sigmoid(a + b x).

    A bin and its mirror image get equal weight, the smaller of their numbers. Weights that depend on x alone leave
    the fit consistent, and they put rewards that follow length alone, which a logistic function separates, at 0.5.
    A small ridge on b keeps it finite.
    """
    credit, total = sums[..., 0::2], sums[..., 1::2]
    weight = np.minimum(total, total[..., ::-1])
    right = weight * np.divide(credit, total, out=np.zeros_like(credit), where=total > 0)
    whole = weight.sum(axis=-1)
    a = _intercept(right, weight)
    value = np.where(right.sum(axis=-1) >= whole, 1.0, np.where(right.sum(axis=-1) <= 0, 0.0, _sigmoid(a)))
    return np.asarray(np.where(whole > 0, value, np.nan))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


def _intercept(right: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return a of the fit by Newton's method with bounded steps, for every leading index at once."""
    a, b = np.zeros(weight.shape[:-1]), np.zeros(weight.shape[:-1])
    whole = weight.sum(axis=-1)
    ridge = RIDGE * np.where(whole > 0, whole, 1.0)
    for _ in range(STEPS):
        p = _sigmoid(a[..., None] + b[..., None] * CENTRES)
        rest, curve = right - weight * p, weight * p * (1 - p)
        ga, gb = rest.sum(axis=-1), rest @ CENTRES - ridge * b
        haa, hab, hbb = curve.sum(axis=-1) + 1e-9 * ridge, curve @ CENTRES, curve @ CENTRES**2 + ridge
        determinant = haa * hbb - hab**2
        da = np.clip((hbb * ga - hab * gb) / determinant, -2, 2)
        db = np.clip((haa * gb - hab * ga) / determinant, -2, 2)
        a, b = np.clip(a + da, -40, 40), b + db
        if max(np.abs(da).max(initial=0), np.abs(db).max(initial=0)) < 1e-12:
            break
    return a
