"""Best-of-n by the exact estimator: the mean over all subsets of size n, not over random draws (arXiv:2310.02743)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rmsuite.data import TestSet


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


def normalised_gain(test: TestSet, rewards: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, per prompt, (best-of-n gold - random) / (oracle - random), and oracle - random as the weight.

    The weighted mean is the mean gain over the mean gain of the oracle, so that prompts on which nothing can be
    gained do not blow up. A prompt with fewer than n responses has weight 0.
    """
    assert test.gold is not None
    mine, oracle = curves(test, rewards), curves(test, test.gold)
    if n > mine.shape[1]:
        return np.zeros(test.n_prompts), np.zeros(test.n_prompts)
    room = np.nan_to_num(oracle[:, n - 1] - oracle[:, 0])
    gain = np.nan_to_num(mine[:, n - 1] - oracle[:, 0])
    weights = np.where(room > 1e-12, room, 0.0)
    return np.divide(gain, weights, out=np.zeros_like(gain), where=weights > 0), weights
