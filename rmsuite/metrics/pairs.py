"""Metrics over pairs of responses to one prompt: how many are ordered right, over all of them or by group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rmsuite.data import Answers, TestSet

MIN_CATEGORY_PROMPTS = 5
Groups = Callable[[np.ndarray, np.ndarray], np.ndarray]


def grouped(test: TestSet, rewards: np.ndarray, groups: Groups, n_groups: int) -> np.ndarray:
    """Return ``(n_prompts, n_groups, 2)``: credit and number of the pairs of each prompt and group.

    A pair ordered right has credit 1, one with equal rewards 0.5.

    Parameters
    ----------
    groups : callable
        ``(chosen, rejected) -> group`` of each pair, from positions; a negative group is left out.
    """
    out = np.zeros((test.n_prompts * n_groups, 2))
    for chosen, rejected in test.pairs():
        group = groups(chosen, rejected)
        cell = (test.prompt[chosen] * n_groups + group)[group >= 0]
        credit = (0.5 + 0.5 * np.sign(rewards[chosen] - rewards[rejected]))[group >= 0]
        out[:, 0] += np.bincount(cell, credit, len(out))
        out[:, 1] += np.bincount(cell, minlength=len(out))
    return out.reshape(test.n_prompts, n_groups, 2)


def pair_accuracy(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, the credit and the number of its pairs, ``(n_prompts, 2)``."""
    return grouped(test, answers.rewards, lambda chosen, _: np.zeros(len(chosen), int), 1)[:, 0]


def large_categories(test: TestSet) -> np.ndarray:
    """Return the categories with pairs in at least ``MIN_CATEGORY_PROMPTS`` prompts."""
    paired = np.unique(np.concatenate([test.prompt[chosen] for chosen, _ in test.pairs()]))
    numbers, n_prompts = np.unique(test.category[paired], return_counts=True)
    return np.asarray(numbers[n_prompts >= MIN_CATEGORY_PROMPTS])


def by_category(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, credit and number of pairs in the column pair of its category, ``(n_prompts, 2 C)``.

    Columns are those of ``large_categories``; prompts of others say nothing.
    """
    numbers = large_categories(test)
    place = np.full(int(test.category.max(initial=0)) + 1, -1)
    place[numbers] = np.arange(len(numbers))
    sums = grouped(test, answers.rewards, lambda chosen, _: place[test.category[test.prompt[chosen]]], len(numbers))
    return sums.reshape(test.n_prompts, -1)


def lowest_ratio(sums: np.ndarray) -> np.ndarray:
    """Return the smallest of the ratios of consecutive column pairs; groups without pairs do not count."""
    credit, total = sums[..., 0::2], sums[..., 1::2]
    ratios = np.divide(credit, total, out=np.full(total.shape, np.inf), where=total > 0)
    lowest = ratios.min(axis=-1, initial=np.inf)
    return np.asarray(np.where(np.isfinite(lowest), lowest, np.nan))
