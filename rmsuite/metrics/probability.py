"""How good preference probabilities are: for methods that give them, on ``TestSet.asked``."""

from __future__ import annotations

import numpy as np

from rmsuite.tested import Answers, TestSet

CLIP = 1e-6
EDGES = np.linspace(0.5, 1.0, 11)


def brier(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, the sum of (P(first preferred) - [first chosen])^2 and the number of asked pairs."""
    return _summed(test, (_given(answers) - test.asked.first_chosen) ** 2)


def log_loss(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt, the sum of -log P(chosen preferred) and the number of asked pairs.

    Probabilities are clipped to [1e-6, 1 - 1e-6]: one sure error must not be infinite.
    """
    p = np.where(test.asked.first_chosen, _given(answers), 1 - _given(answers))
    return _summed(test, -np.log(np.clip(p, CLIP, 1 - CLIP)))


def by_confidence(test: TestSet, answers: Answers) -> np.ndarray:
    """Return, per prompt and bin, the sums of confidence, of right ones, and the number, ``(n_prompts, 3 bins)``.

    Confidence is max(p, 1 - p): the orientation of a pair does not matter. A pair at p = 0.5 is half right.
    """
    p = _given(answers)
    confidence = np.maximum(p, 1 - p)
    right = np.where(p == 0.5, 0.5, (p > 0.5) == test.asked.first_chosen)
    n = len(EDGES) - 1
    bin_of = np.clip(np.searchsorted(EDGES, confidence, side="right") - 1, 0, n - 1)
    cell = test.prompt[test.asked.first] * n + bin_of
    sums = [np.bincount(cell, x, test.n_prompts * n) for x in (confidence, right, np.ones(len(p)))]
    return np.stack(sums, axis=-1).reshape(test.n_prompts, -1)


def calibration_error(sums: np.ndarray) -> np.ndarray:
    """Return the mean over pairs of |mean confidence - share right| of their bin (expected calibration error)."""
    bins = sums.reshape(*sums.shape[:-1], -1, 3)
    n = bins[..., 2].sum(axis=-1)
    gap = np.abs(bins[..., 0] - bins[..., 1]).sum(axis=-1)
    return np.asarray(np.divide(gap, n, out=np.full(n.shape, np.nan), where=n > 0))


def _given(answers: Answers) -> np.ndarray:
    assert answers.probability is not None
    return answers.probability


def _summed(test: TestSet, loss: np.ndarray) -> np.ndarray:
    prompt = test.prompt[test.asked.first]
    sums = np.bincount(prompt, loss, test.n_prompts), np.bincount(prompt, minlength=test.n_prompts)
    return np.stack(sums, axis=1).astype(np.float64)
