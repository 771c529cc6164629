"""Metrics over pairs by a list of every pair: slow, and an oracle of those that make no list."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rmsuite import seeds
from rmsuite.metrics.generators import _quality_elsewhere
from rmsuite.metrics.length import N_BINS, SIDE, STRATA
from rmsuite.tested import ASKED_PAIRS, Answers, TestSet


def grouped(test: TestSet, rewards: np.ndarray, groups: Callable, n_groups: int) -> np.ndarray:
    """Credit and number of the pairs of each prompt and group; ``groups`` takes positions."""
    out = np.zeros((test.n_prompts * n_groups, 2))
    for chosen, rejected in test.pairs():
        group = groups(chosen, rejected)
        cell = (test.prompt[chosen] * n_groups + group)[group >= 0]
        credit = (0.5 + 0.5 * np.sign(rewards[chosen] - rewards[rejected]))[group >= 0]
        out[:, 0] += np.bincount(cell, credit, len(out))
        out[:, 1] += np.bincount(cell, minlength=len(out))
    return out.reshape(test.n_prompts, -1)


def pair_accuracy(test: TestSet, answers: Answers) -> np.ndarray:
    return grouped(test, answers.rewards, lambda chosen, _rejected: 0 * chosen, 1)


def matched(test: TestSet, answers: Answers) -> np.ndarray:
    length = test.length.astype(np.float64)

    def stratum(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
        gap = length[chosen] - length[rejected]
        relative = np.abs(gap) / np.maximum((length[chosen] + length[rejected]) / 2, 1e-9)
        return np.where(gap == 0, -1, 2 * np.searchsorted(STRATA, relative) + (gap < 0))

    return grouped(test, answers.rewards, stratum, 2 * (len(STRATA) + 1))


def adjusted(test: TestSet, answers: Answers) -> np.ndarray:
    length = test.length.astype(np.float64)
    sums = [(np.square(length[chosen] - length[rejected]).sum(), len(chosen)) for chosen, rejected in test.pairs()]
    squares, n_pairs = np.sum(sums, axis=0)
    scale = np.sqrt(squares / n_pairs) or 1.0

    def bin_of(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
        squashed = np.tanh((length[chosen] - length[rejected]) / scale)
        away = np.minimum(np.floor(np.abs(squashed) * SIDE), SIDE - 1) + 1
        return SIDE + (np.sign(squashed) * away).astype(int)

    return grouped(test, answers.rewards, bin_of, N_BINS)


def by_generator_order(test: TestSet, answers: Answers) -> np.ndarray:
    quality = _quality_elsewhere(test)

    def side(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
        gap = np.nan_to_num(quality[chosen] - quality[rejected])
        return np.where(np.abs(gap) < 1e-12, -1, (gap < 0).astype(int))

    return grouped(test, answers.rewards, side, 2)


LISTED = {
    "pair-accuracy": pair_accuracy,
    "length-matched": matched,
    "length-adjusted": adjusted,
    "generator-bias": by_generator_order,
}


def asked(test: TestSet) -> np.ndarray:
    """``(n, 3)``: first, second and whether the first is chosen, drawn out of the list of each prompt's pairs."""
    drawn = [np.zeros((0, 4), int)]
    for chosen, rejected in test.pairs():
        for prompt in np.unique(test.prompt[chosen]):
            own = np.flatnonzero(test.prompt[chosen] == prompt)
            rng = seeds.generator(0, "test-pairs", prompt=str(test.prompt_id[prompt]))
            picks = own if len(own) <= ASKED_PAIRS else np.sort(rng.choice(own, ASKED_PAIRS, replace=False))
            turned = rng.random(len(picks)) < 0.5
            pairs = np.where(turned, (rejected[picks], chosen[picks]), (chosen[picks], rejected[picks]))
            drawn.append(np.column_stack([np.full(len(picks), prompt), *pairs, ~turned]))
    found = np.concatenate(drawn)
    return found[np.argsort(found[:, 0], kind="stable"), 1:]
