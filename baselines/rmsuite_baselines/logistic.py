"""Linear logistic models of preference at their exact optimum, by L-BFGS with a sampled curvature.

Rewards are u = X w, one a response. What is observed are margins, sparse linear forms of the rewards (a difference of
two, or one with a sign), and the loss is the mean of -log sigmoid(margin). All work goes through u: the matrix of the
forms times X is as long as there are observations, and is never built.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from rmsuite_baselines.rows import Rows

SAMPLE = 4  # margins a feature, in the sampled curvature
MEMORY = 20  # steps that L-BFGS remembers
STEPS = 1000  # at most
CLOSE = {"float64": 1e-22, "float32": 1e-9}  # twice the gap of the objective that ends the search, as estimated


@dataclass(frozen=True, eq=False)
class Margins:
    """Sparse linear forms of rewards, each of which should be positive.

    Attributes
    ----------
    index : (n_terms, n_margins) int
        The responses of each margin.
    sign : (n_terms, n_margins) or (n_terms, 1) float
        What their rewards are multiplied with.
    weight : (n_margins,) float
        What each margin counts in the loss; sums to 1.
    """

    index: np.ndarray
    sign: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.weight)

    def of(self, rewards: np.ndarray) -> np.ndarray:
        """Return the margins; ``(n_responses,) -> (n_margins,)``."""
        return np.asarray((self.sign * rewards[self.index]).sum(axis=0))

    def loss(self, rewards: np.ndarray) -> float:
        """Return the weighted mean of -log sigmoid(margin)."""
        return float(self.weight @ np.logaddexp(0.0, -self.of(rewards)))

    def gathered(self, slopes: np.ndarray, n_responses: int) -> np.ndarray:
        """Return the slope by each reward, given the slope by each margin, a margin counting its weight."""
        each = self.sign * (self.weight * slopes)
        return np.bincount(self.index.ravel(), each.ravel(), n_responses)

    def rows(self, rows: Rows, some: np.ndarray) -> np.ndarray:
        """Return the forms of embeddings instead of rewards, for some margins; ``(n_some, n_features)``."""
        signs: np.ndarray = np.broadcast_to(self.sign, self.index.shape).astype(rows.dtype)
        terms = zip(self.index[:, some], signs[:, some], strict=True)
        return np.asarray(sum(sign[:, None] * rows[index] for index, sign in terms))


@dataclass(eq=False)
class Logistic:
    """The objective: weighted mean of -log sigmoid(margin), plus penalty / 2 |w|^2.

    With a positive penalty it is strictly convex: the optimum is unique. One object serves a path of penalties.
    """

    rows: Rows
    margins: Margins

    def value(self, weights: np.ndarray, rewards: np.ndarray, penalty: float) -> float:
        """Return the objective; ``rewards`` are those of ``weights``, ``(n_responses,)``."""
        return self.margins.loss(rewards) + penalty / 2 * float(weights @ weights)

    def gradient(self, weights: np.ndarray, rewards: np.ndarray, penalty: float) -> np.ndarray:
        """Return the slope of the objective by each weight, ``(n_features,)``."""
        slopes = self.margins.gathered(-expit(-self.margins.of(rewards)), len(self.rows))
        return self.rows.gather(slopes) + penalty * weights

    @cached_property
    def curvature(self) -> np.ndarray:
        """The Hessian of the loss at zero rewards, ``(n_features, n_features)``: its upper bound everywhere.

        It is taken over evenly spaced margins: all of them if they are few, else some per feature. That is enough: it
        only says in which directions to search.
        """
        n, n_features = len(self.margins), self.rows.n_features
        some = np.unique(np.linspace(0, n - 1, min(n, SAMPLE * n_features)).astype(int))
        roots = np.sqrt(self.margins.weight * n / len(some) / 4)
        total = np.zeros((n_features, n_features))
        for part in np.array_split(some, np.ceil(len(some) / 4096)):
            root = self.margins.rows(self.rows, part) * roots[part, None].astype(self.rows.dtype)
            total += root.T @ root
        return total

    def optimum(self, penalty: float, start: np.ndarray) -> np.ndarray:
        """Return the minimiser of the objective, ``(n_features,)``."""
        weights, rewards = start.astype(np.float64), self.rows.times(start)
        directions = LBFGS(self.curvature, penalty)
        gradient = self.gradient(weights, rewards, penalty)
        for _ in range(STEPS):
            direction = directions(gradient)
            if -gradient @ direction < CLOSE[self.rows.dtype]:
                break
            along = self.rows.times(direction)
            scale = self._scale(weights, rewards, penalty, direction, along)
            weights, rewards = weights + scale * direction, rewards + scale * along
            before, gradient = gradient, self.gradient(weights, rewards, penalty)
            directions.remember(scale * direction, gradient - before)
        return weights

    def _scale(
        self, weights: np.ndarray, rewards: np.ndarray, penalty: float, direction: np.ndarray, along: np.ndarray
    ) -> float:
        """Return how far to go: to where the slope along the direction is small, by Newton steps within a bracket.

        It costs no product with X, as margins are linear in the scale.
        """
        margins, changes, weight = self.margins.of(rewards), self.margins.of(along), self.margins.weight
        steepness, length = penalty * float(weights @ direction), penalty * float(direction @ direction)
        low, high, scale = 0.0, np.inf, 1.0
        first = steepness - weight @ (expit(-margins) * changes)
        for _ in range(60):
            wrong = expit(-(margins + scale * changes))
            slope = steepness + scale * length - weight @ (wrong * changes)
            if abs(slope) <= 0.01 * abs(first):
                break
            low, high = (scale, high) if slope < 0 else (low, scale)
            scale -= slope / (length + weight @ (wrong * (1 - wrong) * changes**2))
            if not low < scale < high:
                scale = (low + high) / 2
        return scale


class LBFGS:
    """Directions of descent, whose first guess of the curvature is given (Nocedal 1980)."""

    def __init__(self, curvature: np.ndarray, penalty: float) -> None:
        size = len(curvature)
        ridge = penalty + 1e-6 * np.trace(curvature) / size  # float32 sums may be slightly indefinite
        self._factor = cho_factor(curvature + ridge * np.eye(size), lower=True, overwrite_a=True)
        self._memory: list[tuple[np.ndarray, np.ndarray, float]] = []

    def remember(self, step: np.ndarray, change: np.ndarray) -> None:
        """Learn from a step and the change of the gradient over it; rounding can hide that it is convex."""
        if step @ change > 0:
            self._memory = [*self._memory[1 - MEMORY :], (step, change, 1 / float(step @ change))]

    def __call__(self, gradient: np.ndarray) -> np.ndarray:
        """Return minus the inverse curvature times the gradient."""
        direction, shares = -gradient, []
        for step, change, inverse in reversed(self._memory):
            shares.append(inverse * float(step @ direction))
            direction = direction - shares[-1] * change
        direction = cho_solve(self._factor, direction, check_finite=False)
        for (step, change, inverse), share in zip(self._memory, reversed(shares), strict=True):
            direction = direction + (share - inverse * float(change @ direction)) * step
        return direction
