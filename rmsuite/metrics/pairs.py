"""Metrics over pairs of responses to one prompt."""

from __future__ import annotations

import numpy as np

from rmsuite.data import TestSet


def pair_accuracy(test: TestSet, rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, per prompt, the share of pairs ordered as the labels order them, and the number of pairs.

    A pair with equal rewards counts one half; a pair with equal gold is no pair. Weighted by the number of pairs,
    the mean is the plain share over all pairs.
    """
    credit, total = _from_pairs(test, rewards) if test.gold is None else _from_gold(test, rewards)
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, credit / total, 0.0), total


def _from_pairs(test: TestSet, rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert test.chosen is not None
    assert test.rejected is not None
    won = 0.5 + 0.5 * np.sign(rewards[test.chosen] - rewards[test.rejected])
    prompt = test.prompt[test.chosen]
    return np.bincount(prompt, won, test.n_prompts), np.bincount(prompt, minlength=test.n_prompts).astype(np.float64)


def _from_gold(test: TestSet, rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    assert test.gold is not None
    credit, total = np.zeros(test.n_prompts), np.zeros(test.n_prompts)
    for i, (start, stop) in enumerate(zip(test.offsets[:-1], test.offsets[1:], strict=True)):
        gold, mine = test.gold[start:stop], rewards[start:stop]
        # Each unordered pair is met twice, with both signs: the sums are halved.
        order = np.sign(gold[:, None] - gold)
        agree = order * np.sign(mine[:, None] - mine)
        total[i] = np.count_nonzero(order) / 2
        credit[i] = total[i] / 2 + agree.sum() / 4
    return credit, total
