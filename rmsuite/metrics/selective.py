"""Whether a method knows what it does not know: for methods that give uncertainty, on ``TestSet.asked``."""

from __future__ import annotations

import numpy as np

from rmsuite.metrics.ranks import average_ranks
from rmsuite.tested import Answers, TestSet

N_GROUPS = 20


def by_certainty(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt and group of certainty, errors and number of pairs, ``(n_prompts, 2 groups)``.

    A pair is as certain as |difference of rewards| / sqrt(sum of the two variances). Groups are twentieths of all
    asked pairs, most certain first; equally certain ones stay together.
    """
    first, second = test.asked.first, test.asked.second
    gap = answers.rewards[first] - answers.rewards[second]
    wrong = 0.5 - 0.5 * np.sign(gap) * np.where(test.asked.first_chosen, 1, -1)
    group = _groups(-_certainty(answers, first, second))
    cell = test.prompt[first] * N_GROUPS + group
    sums = [np.bincount(cell, x, test.n_prompts * N_GROUPS) for x in (wrong, np.ones(len(gap)))]
    return np.stack(sums, axis=-1).reshape(test.n_prompts, -1)


def _certainty(answers: Answers, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    assert answers.uncertainty is not None
    gap = np.abs(answers.rewards[first] - answers.rewards[second])
    deviation = np.hypot(answers.uncertainty[first], answers.uncertainty[second])
    sure = np.where(gap > 0, np.inf, 0.0)  # no uncertainty at all
    return np.divide(gap, deviation, out=sure, where=deviation > 0)


def _groups(keys: np.ndarray) -> np.ndarray:
    return np.minimum((average_ranks(keys) - 0.5) / max(len(keys), 1) * N_GROUPS, N_GROUPS - 1).astype(int)


def most_certain_half(sums: np.ndarray) -> np.ndarray:
    """Return the accuracy on the most certain pairs that make up at least half; ties may make it more."""
    covered = np.cumsum(sums.reshape(*sums.shape[:-1], -1, 2), axis=-2)
    total = covered[..., -1:, 1]
    half = (covered[..., 1] >= total / 2).argmax(axis=-1)
    wrong, n = (np.take_along_axis(covered[..., k], half[..., None], axis=-1)[..., 0] for k in (0, 1))
    return np.asarray(1 - _share(wrong, n))


def risk_coverage_area(sums: np.ndarray) -> np.ndarray:
    """Return the mean, over coverages of 5 % to 100 %, of the share of errors among the covered pairs."""
    parts = np.cumsum(sums.reshape(*sums.shape[:-1], -1, 2), axis=-2)
    risk = _share(parts[..., 0], parts[..., 1])
    said = np.isfinite(risk)
    return np.asarray(_share(np.where(said, risk, 0).sum(axis=-1), said.sum(axis=-1).astype(float)))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0))
