"""One method on one task, in detail: its best-of-n curve and the reliability of its probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rmsuite import seeds
from rmsuite.metrics import best_of_n, probability
from rmsuite.metrics.catalogue import best_of
from rmsuite.statistics import Estimate, Sample, resample
from rmsuite.tested import Answers, TestSet


@dataclass(frozen=True)
class CurvePoint:
    """The best of ``n`` responses by reward.

    Attributes
    ----------
    kl : float
        KL divergence from a random choice, in nats: what choosing so costs (arXiv:2401.01879).
    gold : Estimate
        Its gold reward: 0 is a random choice, 1 the oracle's among as many.
    """

    n: int
    kl: float
    gold: Estimate


@dataclass(frozen=True)
class ReliabilityBin:
    """The asked pairs of which a method is so sure: ``low`` <= max(p, 1 - p) < ``high``, 1 included.

    Attributes
    ----------
    confidence : float
        The mean of max(p, 1 - p).
    right : Estimate
        The share of pairs on which it is right; a calibrated method is right as often as it is confident.
    """

    low: float
    high: float
    n_pairs: int
    confidence: float
    right: Estimate


def best_of_n_curve(task: str, test: TestSet, repetitions: Sequence[Answers]) -> tuple[CurvePoint, ...]:
    """Return the points of the grid of the pool, means over repetitions; none where the task has no gold rewards."""
    if test.gold is None:
        return ()
    found = []
    for n in best_of_n.grid(test).tolist():
        sums = np.mean([best_of_n.normalised_gain(test, answers, n) for answers in repetitions], axis=0)
        if n > 1 and sums[:, 1].any():
            limits = best_of(n)
            gold = _estimate(task, sums, limits.low, limits.high, len(test.rows), len(repetitions))
            found.append(CurvePoint(n, best_of_n.kl(n), gold))
    return tuple(found)


def reliability(task: str, test: TestSet, repetitions: Sequence[Answers]) -> tuple[ReliabilityBin, ...]:
    """Return the bins that hold pairs, over all repetitions; none where the method states no probabilities."""
    if any(answers.probability is None for answers in repetitions):
        return ()
    sums = np.sum([probability.by_confidence(test, answers) for answers in repetitions], axis=0)
    bins = sums.reshape(len(sums), -1, 3)
    edges = probability.EDGES.tolist()
    return tuple(
        _bin(task, low, high, bins[:, i], len(repetitions))
        for i, (low, high) in enumerate(pairwise(edges))
        if bins[:, i, 2].any()
    )


def _bin(task: str, low: float, high: float, sums: np.ndarray, n_repetitions: int) -> ReliabilityBin:
    n_pairs = sums[:, 2].sum()
    right = _estimate(task, sums[:, 1:], 0.0, 1.0, int(n_pairs), n_repetitions)
    return ReliabilityBin(low, high, int(n_pairs), float(sums[:, 0].sum() / n_pairs), right)


def _estimate(task: str, sums: np.ndarray, low: float, high: float, n_items: int, n_repetitions: int) -> Estimate:
    sample = Sample(sums[None], low, high, n_items, n_repetitions)
    return resample(sample, seeds.generator(0, "bootstrap", task=task)).estimate(0)
