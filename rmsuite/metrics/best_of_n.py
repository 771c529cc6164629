"""Best-of-n by the exact estimator: the mean over all subsets of size n, not over random draws (arXiv:2310.02743)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rmsuite.metrics.shared import once
from rmsuite.splits import in_second_half
from rmsuite.tested import Answers, TestSet

GRID = np.sort(np.concatenate([2 ** np.arange(12), 3 * 2 ** np.arange(10)]))  # 1, 2, 3, 4, 6, 8, 12, ...
ENOUGH = 0.9  # share of the prompts that must have as many responses as the largest n of a curve


@lru_cache(maxsize=64)
def rank_weights(size: int) -> np.ndarray:
    """Return ``(size, size)`` weights: entry [i, n - 1] is the chance that rank i (0 = worst) is the best of n.

    That is C(i, n - 1) / C(size, n), by a recurrence that never leaves [0, 1].

    Examples
    --------
    >>> rank_weights(3).round(3).tolist()
    [[0.333, 0.0, 0.0], [0.333, 0.333, 0.0], [0.333, 0.667, 1.0]]
    """
    n = np.arange(1, size + 1)
    weights = np.zeros((size, size))
    weights[size - 1] = n / size
    for i in range(size - 1, 0, -1):
        weights[i - 1] = weights[i] * np.maximum(i - n + 1, 0) / i
    weights.flags.writeable = False
    return weights


def ranked_gold(rewards: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Sort gold by reward, worst first, along the last axis; equal rewards share the mean of their gold.

    The mean is the expectation when equal rewards are drawn with equal chance.
    """
    order = np.argsort(rewards, axis=-1, kind="stable")
    rewards = np.take_along_axis(rewards, order, axis=-1)
    gold = np.take_along_axis(gold, order, axis=-1).astype(np.float64)
    starts = np.ones(rewards.shape, bool)
    starts[..., 1:] = rewards[..., 1:] != rewards[..., :-1]
    if starts.all():
        return gold
    group = np.cumsum(starts.ravel()) - 1
    means = np.bincount(group, gold.ravel()) / np.bincount(group)
    return np.asarray(means[group].reshape(gold.shape))


def curve(rewards: np.ndarray, gold: np.ndarray) -> np.ndarray:
    """Return the expected gold reward of the best of n by reward, for every n.

    Parameters
    ----------
    rewards, gold : (..., n_responses)
        The responses of each prompt.

    Returns
    -------
    (..., n_responses)
        Entry n - 1 is for n draws without replacement.
    """
    return np.asarray(ranked_gold(rewards, gold) @ rank_weights(rewards.shape[-1]))


def curves(test: TestSet, rewards: np.ndarray) -> np.ndarray:
    """Return ``curve`` of every test prompt, ``(n_prompts, most responses)``; NaN beyond a prompt's responses."""
    assert test.gold is not None
    sizes = np.diff(test.offsets)
    out = np.full((test.n_prompts, sizes.max(initial=0)), np.nan)
    for size in np.unique(sizes):
        prompts = np.flatnonzero(sizes == size)
        rows = test.offsets[prompts][:, None] + np.arange(size)
        out[prompts, :size] = curve(rewards[rows], test.gold[rows])
    return out


@once
def curves_of(test: TestSet, answers: Answers) -> np.ndarray:
    """Return ``curves`` of a method's rewards."""
    return curves(test, answers.rewards)


def normalised_gain(test: TestSet, answers: Answers, n: int) -> np.ndarray:
    """Return, per prompt, best-of-n gold minus random, and oracle minus random, ``(n_prompts, 2)``.

    Their ratio of sums is the mean gain over the mean gain of the oracle, so that prompts on which nothing can be
    gained do not blow up. A prompt with fewer than n responses, or without room, says nothing.
    """
    assert test.gold is not None
    mine, oracle = curves_of(test, answers), curves_of(test, test.oracle)
    if n > mine.shape[1]:
        return np.zeros((test.n_prompts, 2))
    room = np.nan_to_num(oracle[:, n - 1] - oracle[:, 0])
    gain = np.nan_to_num(mine[:, n - 1] - oracle[:, 0])
    return np.where((room > 1e-12)[:, None], np.stack([gain, room], axis=1), 0.0)


def grid(test: TestSet) -> np.ndarray:
    """Return the n of a curve: those of ``GRID`` for which ``ENOUGH`` of the prompts with a choice have responses.

    Where no prompt has a choice, that is 1 alone.
    """
    sizes = np.diff(test.offsets)
    sizes = sizes[sizes > 1]
    return np.array([n for n in GRID if n == 1 or (len(sizes) and np.mean(sizes >= n) >= ENOUGH)], int)


def _on_grid(test: TestSet, answers: Answers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gold curve and the oracle's, ``(n_prompts, n_grid)``, and which prompts have room and responses."""
    assert test.gold is not None
    ns = grid(test)
    mine, oracle = (curves_of(test, given)[:, ns - 1] for given in (answers, test.oracle))
    eligible = np.isfinite(oracle).all(axis=1) & (np.nan_to_num(oracle[:, -1] - oracle[:, 0]) > 1e-12)
    return mine, oracle, eligible


def halves(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, its gold curve and the oracle's gain, in the columns of its half: ``(n_prompts, 2 (G + 1))``.

    Which half a prompt is in depends on its id only.
    """
    mine, oracle, eligible = _on_grid(test, answers)
    said = np.column_stack([mine, oracle[:, -1] - oracle[:, 0]])
    second = in_second_half(test.prompt_id)
    parts = [np.where((eligible & side)[:, None], said, 0.0) for side in (~second, second)]
    return np.concatenate(parts, axis=1)


def peak_minus_last(sums: np.ndarray) -> np.ndarray:
    """Return how far gold falls from its peak to the largest n, as a share of the oracle's gain; cross-fitted.

    The n of the peak is chosen on one half of the prompts and the fall is read on the other, and the other way round:
    chosen and read on the same prompts, noise alone would make a peak.
    """
    both = sums.reshape(*sums.shape[:-1], 2, -1)
    curve_, room = both[..., :-1], both[..., -1]
    peak = _first_peak(curve_[..., ::-1, :])
    fall = np.take_along_axis(curve_, peak[..., None], axis=-1)[..., 0] - curve_[..., -1]
    known = (room > 0) & (room[..., ::-1] > 0)
    share = np.divide(fall, room, out=np.zeros_like(fall), where=known)
    return np.asarray(np.where(known.all(axis=-1), share.mean(axis=-1), np.nan))


def _first_peak(curve_: np.ndarray) -> np.ndarray:
    # Equal up to rounding is equal: flat curves peak at n = 1.
    top = curve_.max(axis=-1, keepdims=True)
    return np.asarray((curve_ >= top - 1e-9 * np.abs(top)).argmax(axis=-1))


def whole_curve(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, its gold curve on the grid, ``(n_prompts, G)``; zeros where it says nothing."""
    mine, _, eligible = _on_grid(test, answers)
    return np.where(eligible[:, None], mine, 0.0)


def peak_position(sums: np.ndarray) -> np.ndarray:
    """Return log n of the peak over log of the largest n: 1 = gold rises to the end, 0 = any choice harms."""
    largest = GRID[sums.shape[-1] - 1]
    scale = np.log(GRID[: sums.shape[-1]]) / np.log(max(largest, 2))
    return np.asarray(np.where(sums.any(axis=-1), scale[_first_peak(sums)], np.nan))


def kl(n: int) -> float:
    """Return log n - (n - 1) / n, the KL divergence in nats of best-of-n from the reference policy.

    The reference is what the responses of a pool were drawn from. Exact where equal rewards have no chance, an upper
    bound else (arXiv:2401.01879).
    """
    return float(np.log(n) - (n - 1) / n)
