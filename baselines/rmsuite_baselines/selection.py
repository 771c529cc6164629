"""Which pairs to annotate next: rules that see responses, the current model's rewards and what is labelled; no label.

For the difference z of a pair's features and p = sigmoid(difference of rewards), labelling the pair adds
p(1 - p) z z' to the Fisher information of a linear Bradley-Terry model. With M the information of all candidates, the
derivative of log det M with respect to the weight of a pair is p(1 - p) z' M^-1 z: the score of the D-optimal rules
(arXiv:2502.04354). They take the pairs of the largest scores in one shot, as the paper's released code does: nothing
keeps a near copy of a pair from being taken with it. ``greedy-d-optimal`` takes one pair after another instead. The
paper's features are the last hidden layer of a network; here they are the standardised embeddings, whatever the base:
responses that are unlike all others weigh much in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import expit

from rmsuite_baselines.rows import PAIRS, Differences, Rows, blocks
from rmsuite_baselines.scaling import Standardised

RIDGE = 1e-6


@dataclass(frozen=True, eq=False)
class Pool:
    """Pairs that are or could be annotated. There is no field for a label.

    Attributes
    ----------
    features : (n_responses, n_features) array, or the like
        The distinct responses.
    first, second : (n_pairs,) int
        Rows of ``features``. Which of the two comes first tells nothing, and the rules do not look at it.
    labelled : (n_pairs,) bool
        Which pairs have been annotated; the others are the candidates.
    rewards : (n_responses,) float or None
        Of the current model, on the scale of log odds; None for a rule that does not ask.
    """

    features: np.ndarray | Standardised
    first: np.ndarray
    second: np.ndarray
    labelled: np.ndarray
    rewards: np.ndarray | None = None

    @property
    def candidates(self) -> np.ndarray:
        """The positions of the pairs without a label."""
        return np.flatnonzero(~self.labelled)

    def differences(self, pairs: np.ndarray) -> np.ndarray:
        """Return features of first minus second, ``(n, n_features)`` float64, for pairs by position."""
        return Differences(self.features, self.first, self.second)[pairs]

    @cached_property
    def rows(self) -> Rows:
        """The features, held for many products."""
        if isinstance(self.features, Standardised):
            return Rows.kept(self.features)
        return Rows(self.features, self.features.shape[1], "float64")

    def along(self, pairs: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Return the products of differences and a direction, ``(n,)``, without building the differences."""
        products = self.rows.times(direction)
        return np.asarray(products[self.first[pairs]] - products[self.second[pairs]])

    def gaps(self, pairs: np.ndarray) -> np.ndarray:
        """Return the absolute difference of rewards, ``(n,)``."""
        assert self.rewards is not None
        return np.abs(self.rewards[self.first[pairs]] - self.rewards[self.second[pairs]])

    def curvature(self, pairs: np.ndarray) -> np.ndarray:
        """Return p(1 - p), ``(n,)``: what a label would tell of the difference of rewards."""
        gaps = self.gaps(pairs)
        return np.asarray(expit(gaps) * expit(-gaps))


Select = Callable[[Pool, int, np.random.Generator], np.ndarray]


def random(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Choose uniformly."""
    return rng.choice(pool.candidates, budget, replace=False)


def entropy(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Choose the pairs whose outcome is least certain: p nearest one half, the smallest differences of rewards."""
    return _largest(pool.candidates, -pool.gaps(pool.candidates), budget, rng)


def max_gap(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Choose the pairs whose rewards differ most: their labels are foreseen, and p(1 - p) vanishes."""
    return _largest(pool.candidates, pool.gaps(pool.candidates), budget, rng)


def d_optimal(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Choose the pairs that add most to log det of the information of all candidates."""
    scores = informativeness(pool, pool.candidates, fisher(pool, pool.candidates))
    return _largest(pool.candidates, scores, budget, rng)


def past_d_optimal(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Choose the pairs that add most to log det of the information of all candidates and of what is labelled."""
    whole = fisher(pool, pool.candidates) + fisher(pool, np.flatnonzero(pool.labelled))
    return _largest(pool.candidates, informativeness(pool, pool.candidates, whole), budget, rng)


def greedy_d_optimal(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Choose, one after another, the pair that adds most to log det of the information of all labelled or chosen.

    It is the classical sequential design: log det (M + p(1 - p) z z') grows with p(1 - p) z' M^-1 z, and M^-1 is
    updated by rank one (Sherman and Morrison), so that a pair like a chosen one has lost its worth.
    """
    candidates = rng.permutation(pool.candidates)  # the order decides among equal scores
    curvature = pool.curvature(candidates)
    inverse = np.linalg.inv(_ridged(fisher(pool, np.flatnonzero(pool.labelled))))
    scores = curvature * _squares(pool, candidates, inverse)
    chosen = np.empty(budget, dtype=np.int64)
    for i in range(budget):
        chosen[i] = best = int(np.argmax(scores))
        z = pool.differences(candidates[[best]])[0]
        along = inverse @ z
        weight = curvature[best] / (1 + curvature[best] * (z @ along))
        inverse -= weight * np.outer(along, along)
        scores -= weight * curvature * pool.along(candidates, along) ** 2
        scores[best] = -np.inf
    return candidates[chosen]


def coreset(pool: Pool, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Choose, one after another, the pair that is farthest from all that are labelled or chosen.

    This is k-centre greedy (arXiv:1708.00489), on differences of features. A pair has no direction: its distance from
    another is the smaller of those from z and from -z. (The coreset of arXiv:2502.04354 is another one, made for
    logistic regression.)
    """
    candidates = rng.permutation(pool.candidates)  # the order decides among pairs that are equally far
    squares, nearest = _squares(pool, candidates), np.full(len(candidates), np.inf)

    def bring_near(centre: np.ndarray) -> None:
        """Lower the squared distances to the nearest centre by those to a new one; signs are of no account."""
        np.minimum(nearest, squares + centre @ centre - 2 * np.abs(pool.along(candidates, centre)), out=nearest)

    for pair in np.flatnonzero(pool.labelled)[:, None]:
        bring_near(pool.differences(pair)[0])
    chosen = np.empty(budget, dtype=np.int64)
    for i in range(budget):
        chosen[i] = best = int(np.argmax(nearest))
        bring_near(pool.differences(candidates[[best]])[0])
        nearest[best] = -np.inf
    return candidates[chosen]


def _squares(pool: Pool, pairs: np.ndarray, matrix: np.ndarray | None = None) -> np.ndarray:
    """Return z' M z for the differences z of pairs, ``(n,)``; without a matrix, their squared lengths."""
    found = np.empty(len(pairs))
    for part in blocks(len(pairs), PAIRS):
        z = pool.differences(pairs[part])
        found[part] = np.einsum("ij,ij->i", z if matrix is None else z @ matrix, z)
    return found


def fisher(pool: Pool, pairs: np.ndarray) -> np.ndarray:
    """Return the information of pairs, the sum of p(1 - p) z z', ``(n_features, n_features)``."""
    n_features = pool.differences(np.arange(0)).shape[1]
    total = np.zeros((n_features, n_features))
    for part in blocks(len(pairs), PAIRS):
        root = pool.differences(pairs[part]) * np.sqrt(pool.curvature(pairs[part]))[:, None]
        total += root.T @ root
    return total


def informativeness(pool: Pool, pairs: np.ndarray, information: np.ndarray) -> np.ndarray:
    """Return p(1 - p) z' M^-1 z, ``(n,)``, where M is the information and a ridge of 1e-6."""
    factor = np.linalg.cholesky(_ridged(information))
    scores = np.empty(len(pairs))
    for part in blocks(len(pairs), PAIRS):
        half = solve_triangular(factor, pool.differences(pairs[part]).T, lower=True)
        scores[part] = pool.curvature(pairs[part]) * np.einsum("ij,ij->j", half, half)
    return scores


def _ridged(information: np.ndarray) -> np.ndarray:
    # More than the released 1e-6 only where rounding would leave the matrix without a Cholesky factor.
    ridge = max(RIDGE, 1e-13 * np.trace(information))
    return np.asarray(information + ridge * np.eye(len(information)))


def _largest(candidates: np.ndarray, scores: np.ndarray, budget: int, rng: np.random.Generator) -> np.ndarray:
    """Return the candidates of the largest scores; chance decides among equals, not their order."""
    order = rng.permutation(len(candidates))
    return np.asarray(candidates[order[np.argsort(-scores[order], kind="stable")[:budget]]])


@dataclass(frozen=True)
class Selector:
    """A rule, and what it asks for.

    Attributes
    ----------
    asks : bool
        For rewards: a rule that does not is the same in one round as in many.
    odds : bool
        For rewards whose differences are log odds: the others go by the order of differences, whatever their unit.
    """

    select: Select
    asks: bool = True
    odds: bool = False


SELECTORS: Mapping[str, Selector] = {
    "random": Selector(random, asks=False),
    "entropy": Selector(entropy),
    "max-gap": Selector(max_gap),
    "d-optimal": Selector(d_optimal, odds=True),
    "past-d-optimal": Selector(past_d_optimal, odds=True),
    "greedy-d-optimal": Selector(greedy_d_optimal, odds=True),
    "coreset": Selector(coreset, asks=False),
}
