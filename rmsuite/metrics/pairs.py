"""Metrics over pairs of responses to one prompt: how many are ordered right, over all of them or by group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from rmsuite.metrics.shared import once
from rmsuite.tested import Answers, TestSet

MIN_CATEGORY_PROMPTS = 5
BLOCK = 2**16  # comparisons at a time: what is known of them stays in a processor's cache
STRIPS = 4  # a prompt's responses are compared strip by strip
Groups = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Block(NamedTuple):
    """Pairs of some prompts, as a rectangle of comparisons or as a list; all but ``prompts`` broadcast.

    Attributes
    ----------
    prompts : (n_prompts,) int
    place : int
        Which of ``prompts`` a pair belongs to.
    chosen, rejected : int
        Positions in the test set.
    is_pair : bool
        False for what is in the rectangle, but is no pair, or stands the right way round elsewhere.
    """

    prompts: np.ndarray
    place: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray
    is_pair: np.ndarray


def blocks(test: TestSet) -> Iterator[Block]:
    """Yield every pair once, of gold rewards in blocks of bounded size.

    A strip of responses, the best first, meets itself and those below it: sorting halves the comparisons.
    """
    if test.gold is None:
        assert test.chosen is not None
        assert test.rejected is not None
        yield Block(np.arange(test.n_prompts), test.prompt[test.chosen], test.chosen, test.rejected, np.array(True))
        return
    order = np.lexsort((-test.gold, test.prompt))
    sizes = np.diff(test.offsets)
    for size in np.unique(sizes[sizes > 1]).tolist():
        prompts = np.flatnonzero(sizes == size)
        high = min(-(-size // STRIPS), max(BLOCK // size, 1))
        for some in np.array_split(prompts, np.ceil(len(prompts) * high * size / BLOCK)):
            rows = order[test.offsets[some][:, None] + np.arange(size)]
            for top in range(0, size, high):
                better, worse = rows[:, top : top + high, None], rows[:, None, top:]
                is_pair = test.gold[better] > test.gold[worse]
                yield Block(some, np.arange(len(some))[:, None, None], better, worse, is_pair)


def tallied(test: TestSet, rewards: np.ndarray, column: np.ndarray, groups: Groups, n_groups: int) -> np.ndarray:
    """Return ``(n_prompts, n_groups, 3)``: how many pairs are ordered wrong, have equal rewards, are ordered right.

    Parameters
    ----------
    column : (n_responses,)
        What groups depend on.
    groups : callable
        ``(chosen, rejected) -> group`` of each pair, from values of the column that broadcast; a negative group is
        left out.
    """
    out = np.zeros((test.n_prompts, n_groups, 3))
    for prompts, place, chosen, rejected, is_pair in blocks(test):
        group = groups(column[chosen], column[rejected]).astype(np.int16)
        mark = (rewards[chosen] > rewards[rejected]).astype(np.int8) + (rewards[chosen] >= rewards[rejected])
        cell = (3 * group + mark + 1) * (is_pair & (group >= 0))  # one number for group and mark, 0 for what is no pair
        shape = len(prompts), 3 * n_groups + 1
        found = np.bincount((cell + shape[1] * place).ravel(), minlength=shape[0] * shape[1]).reshape(shape)
        out[prompts] += found[:, 1:].reshape(-1, n_groups, 3)
    return out


def grouped(test: TestSet, rewards: np.ndarray, column: np.ndarray, groups: Groups, n_groups: int) -> np.ndarray:
    """Return ``(n_prompts, n_groups, 2)``: credit and number of the pairs of each prompt and group.

    A pair ordered right has credit 1, one with equal rewards 0.5. The parameters are those of ``tallied``.
    """
    found = tallied(test, rewards, column, groups, n_groups)
    return np.stack([found[..., 2] + found[..., 1] / 2, found.sum(axis=-1)], axis=-1)


def counts(test: TestSet, rewards: np.ndarray) -> np.ndarray:
    """Return ``(n_prompts, 3)``: the numbers of pairs ordered right, of those ordered wrong, and of all."""
    found = tallied(test, rewards, rewards, lambda chosen, rejected: np.zeros((), np.int8), 1)[:, 0]
    return np.stack([found[:, 2], found[:, 0], found.sum(axis=-1)], axis=1)


@once
def counted(test: TestSet, answers: Answers) -> np.ndarray:
    """Return ``counts`` of a method's rewards."""
    return counts(test, answers.rewards)


def pair_accuracy(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, the credit and the number of its pairs, ``(n_prompts, 2)``."""
    right, wrong, total = counted(test, answers).T
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
