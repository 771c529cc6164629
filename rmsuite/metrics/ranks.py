"""Rank correlation of rewards with gold rewards, within each prompt."""

from __future__ import annotations

import numpy as np

from rmsuite.data import TestSet


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1, equal values sharing the mean of their ranks.

    Examples
    --------
    >>> average_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[group])


def spearman(test: TestSet, rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, per prompt, Spearman's correlation with gold, and weight 1 (0 where gold is constant).

    Constant rewards order nothing and count 0.
    """
    assert test.gold is not None
    values, weights = np.zeros(test.n_prompts), np.zeros(test.n_prompts)
    for i, (start, stop) in enumerate(zip(test.offsets[:-1], test.offsets[1:], strict=True)):
        gold, mine = (average_ranks(x[start:stop]) - (stop - start + 1) / 2 for x in (test.gold, rewards))
        weights[i] = float(gold.any())
        norm = np.sqrt((gold @ gold) * (mine @ mine))
        values[i] = (gold @ mine) / norm if norm else 0.0
    return values, weights
