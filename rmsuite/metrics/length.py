"""Pair accuracy freed of length: judges and people prefer longer answers, and a counter of characters profits."""

from __future__ import annotations

import numpy as np

from rmsuite.errors import TaskError
from rmsuite.metrics.pairs import grouped
from rmsuite.tested import Answers, TestSet

STRATA = np.array([0.1, 0.25, 0.5, 1.0])  # inner edges of |difference| / mean length
SIDE = 10  # bins where the rejected response is longer, as many where the chosen is, and one for equal lengths
N_BINS = 2 * SIDE + 1
CENTRES = np.concatenate([np.arange(0.5 - SIDE, 0), [0.0], np.arange(0.5, SIDE)]) / SIDE
RIDGE, STEPS = 1e-3, 30


def matched(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt and stratum, credit and number where the longer is chosen, then where the shorter is.

    Strata are of the relative length difference; pairs of equal length are left out. ``(n_prompts, 4 strata)``.
    """
    found = grouped(test, answers.rewards, test.length.astype(np.float64), _stratum, 2 * (len(STRATA) + 1))
    return found.reshape(test.n_prompts, -1)


def _stratum(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    gap = chosen - rejected
    relative = np.abs(gap) / np.maximum((chosen + rejected) / 2, 1e-9)
    wider = sum((relative > edge).astype(np.int8) for edge in STRATA)
    return np.asarray(np.where(gap == 0, np.int8(-1), 2 * wider + (gap < 0)))


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
    scale = _spread(test) or 1.0
    reach = int(2 * scale) + 1  # wider gaps are in the last bins: tanh(2) is above all edges
    bins = _bins(np.arange(-reach, reach + 1) / scale)

    def bin_of(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
        return bins[np.clip(chosen - rejected, -reach, reach) + reach]

    return grouped(test, answers.rewards, _whole(test), bin_of, N_BINS).reshape(test.n_prompts, -1)


def _bins(differences: np.ndarray) -> np.ndarray:
    squashed = np.tanh(differences)
    away = np.minimum(np.floor(np.abs(squashed) * SIDE), SIDE - 1) + 1
    return np.asarray(SIDE + np.sign(squashed) * away).astype(np.int8)


def _whole(test: TestSet) -> np.ndarray:
    """Return the lengths as whole numbers: sums of these are exact, in whatever order they are taken."""
    length = test.length.astype(np.int64)
    if (length != test.length).any():
        got = f"{test.length[length != test.length][0]}"
        raise TaskError(
            who="length-adjusted", expected="lengths in whole numbers", got=got, do="round the column length"
        )
    return length


def _spread(test: TestSet) -> float:
    """Return the root mean square of the length differences of all pairs; 0 if there is none."""
    length = _whole(test)
    if test.gold is None:
        gap = length[test.chosen] - length[test.rejected]
        squares, n_pairs = sum((gap**2).tolist()), len(gap)
    else:
        every, equal = (_of_all_pairs(length, keys) for keys in ((test.prompt,), (test.prompt, test.gold)))
        squares, n_pairs = every[0] - equal[0], every[1] - equal[1]
    return float(np.sqrt(squares / max(n_pairs, 1)))


def _of_all_pairs(length: np.ndarray, keys: tuple[np.ndarray, ...]) -> tuple[int, int]:
    """Return the sum of the squared length differences of all pairs with equal keys, and their number.

    n values have n sum(x^2) - sum(x)^2 in their pairs together: the pairs need no list.
    """
    order = np.lexsort(keys[::-1])
    new = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    starts = np.flatnonzero(np.append(True, new))
    n = np.diff(np.append(starts, len(order)))
    sums = (n, *(np.add.reduceat(length[order] ** power, starts) for power in (1, 2)))
    several = [column[n > 1].tolist() for column in sums]  # Python's numbers do not overflow
    squares = sum(n * squared - plain**2 for n, plain, squared in zip(*several, strict=True))
    return squares, sum(n * (n - 1) // 2 for n in several[0])


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
