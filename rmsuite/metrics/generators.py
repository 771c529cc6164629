"""Whether the reward follows who wrote the response."""

from __future__ import annotations

import numpy as np

from rmsuite.metrics.pairs import grouped
from rmsuite.metrics.ranks import average_ranks
from rmsuite.tested import Answers, TestSet

EQUAL = 1e-12  # qualities that are nearer to each other differ by rounding


def by_generator_order(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, credit and number of pairs by whether the better generator was chosen, ``(n_prompts, 4)``.

    First where the better one wrote the chosen response, then where the worse one did. A generator is as good as the
    mean of its relative gold ranks over the other prompts: those of the prompt itself are left out. Pairs of
    generators that are equally good are left out too.
    """
    return grouped(test, answers.rewards, _quality_elsewhere(test), _side, 2).reshape(test.n_prompts, -1)


def _side(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    gap = chosen - rejected
    return np.asarray(np.where(np.abs(gap) >= EQUAL, gap < 0, np.int8(-1)))  # a NaN is no gap


def accuracy_gap(sums: np.ndarray) -> np.ndarray:
    """Return the accuracy on the first kind of pairs minus that on the second; NaN where there is only one kind."""
    credit, total = sums[..., 0::2], sums[..., 1::2]
    accuracy = np.divide(credit, total, out=np.full(total.shape, np.nan), where=total > 0)
    return np.asarray(accuracy[..., 0] - accuracy[..., 1])


def _quality_elsewhere(test: TestSet) -> np.ndarray:
    """Return, for each response, the mean relative gold rank of its generator over the other prompts; NaN if none."""
    assert test.generator is not None
    ranks = _relative_ranks(test)
    _, here = np.unique(test.prompt * (test.generator.max() + 1) + test.generator, return_inverse=True)
    sums = np.bincount(test.generator, ranks)[test.generator] - np.bincount(here, ranks)[here]
    numbers = np.bincount(test.generator)[test.generator] - np.bincount(here)[here]
    return np.divide(sums, numbers, out=np.full(len(sums), np.nan), where=numbers > 0)


def _relative_ranks(test: TestSet) -> np.ndarray:
    """Return ranks within each prompt, from 0 (worst) to 1; for human pairs, the share of comparisons won."""
    if test.gold is None:
        assert test.chosen is not None
        assert test.rejected is not None
        won = np.bincount(test.chosen, minlength=len(test.rows))
        met = won + np.bincount(test.rejected, minlength=len(test.rows))
        return np.asarray((won + 0.5 * (met == 0)) / np.maximum(met, 1))
    out = np.full(len(test.rows), 0.5)
    for start, stop in zip(test.offsets[:-1], test.offsets[1:], strict=True):
        if stop - start > 1:
            out[start:stop] = (average_ranks(test.gold[start:stop]) - 1) / (stop - start - 1)
    return out
