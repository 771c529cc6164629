"""Rank correlations of rewards with gold rewards, within each prompt."""

from __future__ import annotations

import numpy as np

from rmsuite.metrics.pairs import counts
from rmsuite.tested import Answers, TestSet


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1, equal values sharing the mean of their ranks.

    Examples
    --------
    >>> average_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[group])


def spearman(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, Spearman's correlation with gold, and weight 1; both 0 where gold is constant.

    Constant rewards order nothing and count 0.
    """
    assert test.gold is not None
    out = np.zeros((test.n_prompts, 2))
    for i, (start, stop) in enumerate(zip(test.offsets[:-1], test.offsets[1:], strict=True)):
        centre = (stop - start + 1) / 2
        gold, mine = (average_ranks(x[start:stop]) - centre for x in (test.gold, answers.rewards))
        norm = np.sqrt((gold @ gold) * (mine @ mine))
        out[i] = (gold @ mine) / norm if norm else 0.0, float(gold.any())
    return out


def kendall(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, Kendall's tau-b with gold, and weight 1; both 0 where gold is constant.

    tau-b = (concordant - discordant) / sqrt(pairs untied in gold * pairs untied in reward); constant rewards count 0.
    """
    right, wrong, untied = counts(test, answers.rewards).T
    agree = right - wrong
    norm = np.sqrt(untied * _untied(test, answers.rewards))
    tau = np.divide(agree, norm, out=np.zeros_like(agree), where=norm > 0)
    return np.stack([tau, (untied > 0).astype(float)], axis=1)


def _untied(test: TestSet, rewards: np.ndarray) -> np.ndarray:
    """Return, per prompt, the number of pairs with unequal rewards."""
    order = np.lexsort((rewards, test.prompt))
    prompt, values = test.prompt[order], rewards[order]
    first = np.flatnonzero(np.append(True, (np.diff(prompt) > 0) | (values[1:] != values[:-1])))
    size = np.diff(np.append(first, len(values)))
    tied = np.bincount(prompt[first], size * (size - 1) / 2, test.n_prompts)
    n = np.diff(test.offsets)
    return np.asarray(n * (n - 1) / 2 - tied)
