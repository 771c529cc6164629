"""Rank correlations of rewards with gold rewards, within each prompt."""

from __future__ import annotations

import numpy as np

from rmsuite.metrics.pairs import counted
from rmsuite.metrics.shared import once
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
    gold, mine = (centred_ranks(test, given) for given in (test.oracle, answers))
    # Halves of whole numbers: these sums are exact, in whatever order they are taken.
    both, of_gold, of_mine = (_summed(test, product) for product in (gold * mine, gold * gold, mine * mine))
    norm = np.sqrt(of_gold * of_mine)
    rho = np.divide(both, norm, out=np.zeros_like(norm), where=norm > 0)
    return np.stack([rho, (of_gold > 0).astype(float)], axis=1)


@once
def centred_ranks(test: TestSet, answers: Answers) -> np.ndarray:
    """Return the ranks of rewards within each prompt minus their mean, ``(n_responses,)``; equal ones share a rank."""
    order, first, size = _tied(test, answers.rewards)
    out = np.empty(len(order))
    out[order] = np.repeat(first + (size + 1) / 2, size)  # from 1 over all prompts
    return out - (test.offsets[:-1] + (np.diff(test.offsets) + 1) / 2)[test.prompt]


def _summed(test: TestSet, values: np.ndarray) -> np.ndarray:
    return np.bincount(test.prompt, values, test.n_prompts)


def _tied(test: TestSet, rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the order by prompt and reward, and where in it each run of equal rewards begins, and its size."""
    order = np.lexsort((rewards, test.prompt))
    prompt, values = test.prompt[order], rewards[order]
    first = np.flatnonzero(np.append(True, (np.diff(prompt) > 0) | (values[1:] != values[:-1])))
    return order, first, np.diff(np.append(first, len(values)))


def kendall(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, Kendall's tau-b with gold, and weight 1; both 0 where gold is constant.

    tau-b = (concordant - discordant) / sqrt(pairs untied in gold * pairs untied in reward); constant rewards count 0.
    """
    right, wrong, untied = counted(test, answers).T
    agree = right - wrong
    norm = np.sqrt(untied * _untied(test, answers.rewards))
    tau = np.divide(agree, norm, out=np.zeros_like(agree), where=norm > 0)
    return np.stack([tau, (untied > 0).astype(float)], axis=1)


def _untied(test: TestSet, rewards: np.ndarray) -> np.ndarray:
    """Return, per prompt, the number of pairs with unequal rewards."""
    order, first, size = _tied(test, rewards)
    tied = np.bincount(test.prompt[order[first]], size * (size - 1) / 2, test.n_prompts)
    n = np.diff(test.offsets)
    return np.asarray(n * (n - 1) / 2 - tied)
