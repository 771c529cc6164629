"""Metrics over pairs of responses to one prompt: how many are ordered right, over all of them or by group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rmsuite.data import Answers, TestSet

MIN_CATEGORY_PROMPTS = 5
SQUARE = 2**18  # ordered pairs of responses at a time, to bound the memory
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


def counts(test: TestSet, rewards: np.ndarray) -> np.ndarray:
    """Return ``(n_prompts, 3)``: the numbers of pairs ordered right, of those ordered wrong, and of all."""
    if test.gold is None:
        assert test.chosen is not None
        assert test.rejected is not None
        chosen, rejected = rewards[test.chosen], rewards[test.rejected]
        marks = (chosen > rejected, chosen < rejected, np.ones(len(chosen), bool))
        return np.stack([np.bincount(test.prompt[test.chosen], m, test.n_prompts) for m in marks], axis=1)
    out = np.zeros((test.n_prompts, 3))
    sizes = np.diff(test.offsets)
    for size in np.unique(sizes[sizes > 1]).tolist():
        prompts = np.flatnonzero(sizes == size)
        for some in np.array_split(prompts, np.ceil(len(prompts) * size**2 / SQUARE)):
            rows = test.offsets[some][:, None] + np.arange(size)
            out[some] = _counted(test.gold[rows], rewards[rows])
    return out


def _counted(gold: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """Return ``(n, 3)`` for ``(n, n_responses)``, from all ordered pairs: faster than a list of the unordered ones."""
    better = gold[:, :, None] > gold[:, None, :]
    one, other = rewards[:, :, None], rewards[:, None, :]
    marks = (better & (one > other), better & (one < other), better)
    return np.stack([np.count_nonzero(mark, axis=(1, 2)) for mark in marks], axis=1)


def pair_accuracy(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, the credit and the number of its pairs, ``(n_prompts, 2)``."""
    right, wrong, total = counts(test, answers.rewards).T
    return np.stack([(total + right - wrong) / 2, total], axis=1)


def large_categories(test: TestSet) -> np.ndarray:
    """Return the categories with pairs in at least ``MIN_CATEGORY_PROMPTS`` prompts."""
    numbers, n_prompts = np.unique(test.category[_paired(test)], return_counts=True)
    return np.asarray(numbers[n_prompts >= MIN_CATEGORY_PROMPTS])


def _paired(test: TestSet) -> np.ndarray:
    """Return the prompts that have a pair."""
    if test.gold is None:
        return np.unique(test.prompt[test.chosen])
    rest = test.gold != test.gold[test.offsets[:-1]][test.prompt]
    return np.unique(test.prompt[rest])


def by_category(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, credit and number of pairs in the column pair of its category, ``(n_prompts, 2 C)``.

    Columns are those of ``large_categories``; prompts of others say nothing.
    """
    mine = test.category[:, None] == large_categories(test)
    return (mine[:, :, None] * pair_accuracy(test, answers)[:, None, :]).reshape(test.n_prompts, -1)


def lowest_ratio(sums: np.ndarray) -> np.ndarray:
    """Return the smallest of the ratios of consecutive column pairs; groups without pairs do not count."""
    credit, total = sums[..., 0::2], sums[..., 1::2]
    ratios = np.divide(credit, total, out=np.full(total.shape, np.inf), where=total > 0)
    lowest = ratios.min(axis=-1, initial=np.inf)
    return np.asarray(np.where(np.isfinite(lowest), lowest, np.nan))
