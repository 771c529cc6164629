"""How far apart the distributions of two models' presence scores are, and how far chance alone would set them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.spatial.distance import jensenshannon

from rmsuite import seeds
from rmsuite.choice import names
from rmsuite.choice.presence import Presence, student
from rmsuite.statistics import holm

BINS = 10  # of equal mass over the scores of both models together
SWAPS = 999  # of the two models, document by document, at random
FEWEST = 10  # documents: of 5 each score may have a bin to itself, and then any two models lie 1 apart


@dataclass(frozen=True)
class Distance:
    """The Jensen-Shannon distance of two models on a category, from 0 (alike) to 1 (nothing in common).

    ``chance`` is its mean, and ``p`` the share of at least as large ones, where for each document it is drawn at random
    which of the two models gave which score; NaN, as the distance, below ``FEWEST`` documents. ``p_holm`` is corrected
    for all distances that have one. ``difference`` is the mean of the first minus the second, paired by document,
    ``low`` and ``high`` Student's interval for it at 95 %.
    """

    first: str
    second: str
    category: str
    value: float
    chance: float
    p: float
    difference: float
    low: float
    high: float
    n_documents: int
    p_holm: float = math.nan


def distances(presence: Presence, seed: int) -> list[Distance]:
    """Return the distances of all pairs of models in the order of their names, category by category.

    Each has a random stream of its own, so that no other model moves it, but for the correction of its test.
    """
    return _corrected(_distances(presence, seed))


def _corrected(distances: Iterable[Distance]) -> list[Distance]:
    found = list(distances)
    tested = [place for place, one in enumerate(found) if not math.isnan(one.p)]
    for place, p in zip(tested, holm([found[place].p for place in tested]), strict=True):
        found[place] = replace(found[place], p_holm=p)
    return found


def _distances(presence: Presence, seed: int) -> Iterator[Distance]:
    for first, second in combinations(sorted(presence.models, key=names.key), 2):
        for category in presence.categories:
            if {first, second} <= set(category.models):
                both = category.of(first), category.of(second)
                pair = {"first": names.key(first), "second": names.key(second), "category": category.name}
                rng = seeds.generator(seed, "permutation", study="log-probabilities", **pair)
                said = *distance(*both, rng), *student(both[0] - both[1])
                yield Distance(first, second, category.name, *said, len(both[0]))


def distance(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the distance of two columns of scores of the same documents, (n_documents,), its chance level and p.

    The distance is the root of the Jensen-Shannon divergence in bits (Endres and Schindelin, A new metric for
    probability distributions, IEEE Transactions on Information Theory 49, 2003) of histograms over bins of equal mass:
    no increasing function of the scores moves it.
    """
    if len(first) < FEWEST:
        return math.nan, math.nan, math.nan
    table = _joint(first, second)
    value = float(_between(table.sum(axis=1)[None], table.sum(axis=0)[None])[0])
    swapped = rng.binomial(table, 0.5, (SWAPS, *table.shape))  # how many of a cell's documents change sides
    kept = table - swapped
    by_chance = _between(kept.sum(axis=2) + swapped.sum(axis=1), kept.sum(axis=1) + swapped.sum(axis=2))
    p = (1 + int((by_chance >= value - 1e-12).sum())) / (1 + SWAPS)
    return value, float(by_chance.mean()), p


def _joint(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return how many documents are in which bin under the first and under the second model, (n_bins, n_bins)."""
    pooled = np.sort(np.concatenate([first, second]))
    inner = pooled[(np.arange(1, BINS) * len(pooled)) // BINS]
    table = np.zeros((BINS, BINS), np.int64)
    np.add.at(table, tuple(np.searchsorted(inner, one, side="right") for one in (first, second)), 1)
    return table


def _between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the distance of histograms, each (n, n_bins) -> (n,)."""
    with np.errstate(invalid="ignore"):  # rounding below 0 has no root
        return np.nan_to_num(jensenshannon(first, second, base=2, axis=1))
