"""Exact first and second moments of estimators, over the responses that a policy samples, on the logits of a prompt.

Notation: a prompt's policy is pi, its values (rewards minus penalties) v, with mean E v and variance V under pi; an
estimate from sample y has the direction ``1[y] - pi``. Arrays are ``(n_responses, n_seeds)`` or a row a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from rmsuite.policies.contract import Moments, Situation
from rmsuite.policies.segments import Segments, ranked

PAIRS = 2**21  # of responses at a time, to bound the memory


def one_sample(situation: Situation, advantage: np.ndarray) -> Moments:
    """Return the moments of ``advantage(y) * (1[y] - pi)``, y drawn from pi, by enumeration of y."""
    prompts, pi = situation.choices.prompts, situation.probabilities
    mean = pi * (advantage - prompts.spread(prompts.total(pi * advantage)))
    return Moments(mean, prompts.total(pi * advantage**2 * lengths(prompts, pi)))


def lengths(prompts: Segments, pi: np.ndarray) -> np.ndarray:
    """Return the squared length of ``1[y] - pi`` for each response y, ``(n_responses, n_seeds)``."""
    return np.maximum(1 - 2 * pi + prompts.spread(prompts.total(pi**2)), 0)


def leave_one_out(situation: Situation, k: int) -> Moments:
    """Return the moments of the leave-one-out estimator with k samples, for any k of at least 2.

    It is the U-statistic of the kernel ``(v_y - v_z) * (1[y] - 1[z]) / 2`` over the pairs of samples, so that its
    variance is that of Hoeffding's formula, ``(2 (k - 2) a + b) / (k (k - 1) / 2)``. Here ``b = V - |g|^2`` and
    ``a = (V (1 + sum pi^2) + |g|^2) / 4 - |g|^2``, where g is the gradient.
    """
    prompts, pi = situation.choices.prompts, situation.probabilities
    centred = situation.values - prompts.spread(prompts.total(pi * situation.values))
    gradient, variance = pi * centred, prompts.total(pi * centred**2)
    squared = prompts.total(gradient**2)
    one = (variance * (1 + prompts.total(pi**2)) + squared) / 4 - squared
    spread = (2 * (k - 2) * one + variance - squared) / (k * (k - 1) / 2)
    return Moments(gradient, squared + spread)


def of_pairs(situation: Situation, advantage: Callable[[np.ndarray], np.ndarray]) -> Moments:
    """Return the moments of ``A * (1[y] - 1[z]) / 2``, y and z drawn from pi, by enumeration of both.

    ``advantage`` takes ``v_y - v_z`` to A, the advantage of y, which is minus that of z.
    """
    mean, second = np.empty_like(situation.values), np.empty((situation.choices.n_prompts, situation.values.shape[1]))
    for which, rows in blocks(situation.choices.prompts):
        pi, values = situation.probabilities[rows], situation.values[rows]  # (prompts, responses, seeds)
        given = advantage(values[:, :, None] - values[:, None])
        mean[rows] = pi * np.einsum("pyzs,pzs->pys", given, pi)
        second[which] = np.einsum("pyzs,pys,pzs->ps", given**2, pi, pi) / 2  # of equal y and z, A is 0
    return Moments(mean, second)


def blocks(prompts: Segments) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield prompts with equally many responses, and their rows, ``(some prompts, responses)``."""
    for size in np.unique(prompts.sizes).tolist():
        alike = np.flatnonzero(prompts.sizes == size)
        step = max(PAIRS // size**2, 1)
        for start in range(0, len(alike), step):
            which = alike[start : start + step]
            yield which, prompts.starts[which][:, None] + np.arange(size)


def best_of(prompts: Segments, probabilities: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Return the distribution of the best of n responses that are drawn with replacement, ``(n_responses, n_seeds)``.

    Of equally good ones it is the first that was drawn, so that they share their chance as the policy would.
    """
    found = np.zeros(probabilities.shape)
    for seed in range(probabilities.shape[1]):
        below, upto = ranked(prompts, probabilities[:, seed], values[:, seed])
        share = np.divide(probabilities[:, seed], upto - below, out=np.zeros_like(upto), where=upto > below)
        found[:, seed] = share * (upto**n - below**n)
    return found


def imitation(situation: Situation, k: int) -> Moments:
    """Return the moments of ``1[y] - pi``, y the best of k samples."""
    prompts, pi = situation.choices.prompts, situation.probabilities
    best = best_of(prompts, pi, situation.values, k)
    return Moments(best - pi, prompts.total(best * lengths(prompts, pi)))
