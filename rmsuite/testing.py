"""Toy data for plugin authors and for the contract's checks: easy pairs whose true direction is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite import seeds
from rmsuite.data import PreferencePairs

N_FEATURES = 16


@dataclass(frozen=True, eq=False)
class Toy:
    """Training pairs, and unseen responses with their gold rewards."""

    pairs: PreferencePairs
    embeddings: np.ndarray
    gold: np.ndarray

    def accuracy(self, rewards: np.ndarray) -> float:
        """Return the pair accuracy over all unseen pairs; a tie counts one half."""
        mine, gold = (np.sign(x[:, None] - x)[np.triu_indices(len(x), 1)] for x in (rewards, self.gold))
        return float(np.mean(0.5 + 0.5 * mine * gold))


def toy(root: int = 0, n_prompts: int = 200, n_test: int = 200, flips: float = 0.0) -> Toy:
    """Return separable pairs: gold is the same linear function of the embedding in training and test.

    Parameters
    ----------
    root : int
        Seed; toys of different seeds share the direction, not the responses.
    n_prompts : int
        Training prompts, with four responses and three pairs each; a quarter as many for validation.
    flips : float
        Share of labels that are wrong; 0.5 leaves nothing to learn.
    """
    rng = seeds.generator(root, "check", what="toy")
    embeddings = rng.standard_normal((n_test, N_FEATURES)).astype(np.float32)
    validation = _pairs(rng, max(n_prompts // 4, 1), flips, None)
    return Toy(_pairs(rng, n_prompts, flips, validation), embeddings, embeddings @ direction())


def direction() -> np.ndarray:
    """Return the true weights, ``(n_features,)``: all unequal, half of them negative."""
    return np.linspace(1.0, 2.0, N_FEATURES) * np.resize([1.0, -1.0], N_FEATURES)


def _pairs(
    rng: np.random.Generator, n_prompts: int, flips: float, validation: PreferencePairs | None
) -> PreferencePairs:
    embeddings = rng.standard_normal((n_prompts * 4, N_FEATURES)).astype(np.float32)
    first = np.concatenate([np.arange(n_prompts) * 4] * 3)
    second = first + np.repeat([1, 2, 3], n_prompts)
    gold = embeddings @ direction()
    right = (gold[first] > gold[second]) ^ (rng.random(len(first)) < flips)
    prompt = first // 4
    return PreferencePairs(
        embeddings, np.where(right, first, second), np.where(right, second, first), prompt, prompt % 3, validation
    )


def swapped(pairs: PreferencePairs) -> PreferencePairs:
    """Return the same pairs with chosen and rejected exchanged, in validation too."""
    validation = None if pairs.validation is None else swapped(pairs.validation)
    return PreferencePairs(pairs.embeddings, pairs.rejected, pairs.chosen, pairs.prompt, pairs.category, validation)


def with_embeddings(pairs: PreferencePairs, change: np.ndarray) -> PreferencePairs:
    """Return the same pairs with every embedding multiplied by ``change``, ``(n_features,)``."""
    validation = None if pairs.validation is None else with_embeddings(pairs.validation, change)
    return PreferencePairs(
        pairs.embeddings * change, pairs.chosen, pairs.rejected, pairs.prompt, pairs.category, validation
    )
