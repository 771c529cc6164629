"""Toy data for plugin authors and for the contract's checks: easy pairs whose true direction is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rmsuite import seeds
from rmsuite.data import AttributePairs, PreferencePairs, Ratings

N_FEATURES = 16
ATTRIBUTES = ("early-features", "late-features")
INCONSISTENT = 0.2  # share of the attribute labels that fail the swap test, and say nothing
UNRATED = 0.05  # share of the ratings that are missing


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

    Gold is the sum of two attributes, by which all pairs are judged and all but some responses are rated too.

    Parameters
    ----------
    root : int
        Seed; toys of different seeds share the direction, not the responses.
    n_prompts : int
        Training prompts, with four responses and three pairs each; a quarter as many for validation.
    flips : float
        Share of labels, and of ratings, that are turned round; 0.5 leaves nothing to learn.
    """
    rng = seeds.generator(root, "check", what="toy")
    embeddings = rng.standard_normal((n_test, N_FEATURES)).astype(np.float32)
    judge = seeds.generator(root, "check", what="toy attributes")
    validation = _judged(_pairs(rng, max(n_prompts // 4, 1), flips, None), judge, flips)
    return Toy(_judged(_pairs(rng, n_prompts, flips, validation), judge, flips), embeddings, embeddings @ direction())


def direction() -> np.ndarray:
    """Return the true weights, ``(n_features,)``: all unequal, half of them negative."""
    return np.linspace(1.0, 2.0, N_FEATURES) * np.resize([1.0, -1.0], N_FEATURES)


def attribute_directions() -> np.ndarray:
    """Return the true weights of the attributes, ``(n_features, n_attributes)``: a half of the features each."""
    half = np.arange(N_FEATURES)[:, None] // (N_FEATURES // 2) == np.arange(len(ATTRIBUTES))
    return np.where(half, direction()[:, None], 0.0)


def _judged(pairs: PreferencePairs, rng: np.random.Generator, flips: float) -> PreferencePairs:
    gold = pairs.embeddings @ attribute_directions()
    attributes = tuple(
        _attribute(pairs, name, column, rng, flips) for name, column in zip(ATTRIBUTES, gold.T, strict=True)
    )
    turned = np.where(rng.random(gold.shape) < flips, -gold, gold)
    ratings = Ratings(ATTRIBUTES, np.where(rng.random(gold.shape) < UNRATED, np.nan, turned))
    return replace(pairs, attributes=attributes, ratings=ratings)


def _attribute(
    pairs: PreferencePairs, name: str, gold: np.ndarray, rng: np.random.Generator, flips: float
) -> AttributePairs:
    consistent = rng.random(len(pairs)) >= INCONSISTENT
    wrong = rng.random(len(pairs)) < np.where(consistent, flips, 0.5)
    right = (gold[pairs.chosen] > gold[pairs.rejected]) ^ wrong
    better, worse = np.where(right, [pairs.chosen, pairs.rejected], [pairs.rejected, pairs.chosen])
    return AttributePairs(name, better, worse, pairs.prompt, pairs.category, consistent)


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
    """Return the same pairs with chosen and rejected exchanged; validation, attributes and ratings are turned too."""
    validation = None if pairs.validation is None else swapped(pairs.validation)
    attributes = tuple(replace(one, chosen=one.rejected, rejected=one.chosen) for one in pairs.attributes)
    ratings = None if pairs.ratings is None else Ratings(pairs.ratings.names, -pairs.ratings.values)
    turned = replace(pairs, chosen=pairs.rejected, rejected=pairs.chosen)
    return replace(turned, validation=validation, attributes=attributes, ratings=ratings)


def with_embeddings(pairs: PreferencePairs, change: np.ndarray) -> PreferencePairs:
    """Return the same pairs with every embedding multiplied by ``change``, ``(n_features,)``."""
    validation = None if pairs.validation is None else with_embeddings(pairs.validation, change)
    return replace(pairs, embeddings=pairs.embeddings * change, validation=validation)
