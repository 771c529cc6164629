"""Linear Bradley-Terry: P(chosen over rejected) = sigmoid(w . (x_chosen - x_rejected))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import expit

from rmsuite import PreferencePairs
from rmsuite_baselines.bradley_terry import BradleyTerry
from rmsuite_baselines.scaling import Scaling


def loss(differences: np.ndarray, weights: np.ndarray) -> float:
    """Return the mean of -log sigmoid(margin)."""
    return float(np.logaddexp(0.0, -(differences @ weights)).mean())


def newton(differences: np.ndarray, penalty: float, start: np.ndarray, tolerance: float = 1e-8) -> np.ndarray:
    """Return the minimiser of loss + penalty / 2 * |w|^2.

    Newton's method with a halved step wherever a full one does not decrease the objective; with a positive penalty
    the objective is strictly convex, so that the optimum is unique and no step size has to be chosen.
    """
    weights = start.copy()
    for _ in range(100):
        probability = expit(-(differences @ weights))
        gradient = penalty * weights - differences.T @ probability / len(differences)
        root = differences * np.sqrt(probability * (1 - probability) / len(differences))[:, None]
        curvature = root.T @ root
        curvature[np.diag_indices_from(curvature)] += penalty
        step = np.linalg.solve(curvature, gradient)
        if gradient @ step < tolerance**2:
            break
        weights = weights - _halved(differences, penalty, weights, step) * step
    return weights


def _halved(differences: np.ndarray, penalty: float, weights: np.ndarray, step: np.ndarray) -> float:
    def objective(scale: float) -> float:
        moved = weights - scale * step
        return loss(differences, moved) + penalty / 2 * float(moved @ moved)

    start, scale = objective(0.0), 1.0
    while objective(scale) > start and scale > 1e-8:
        scale /= 2
    return scale


@dataclass
class BradleyTerryLinear(BradleyTerry):
    """Linear Bradley-Terry on standardised embeddings, at the exact optimum of each penalty of a path.

    Parameters
    ----------
    penalties : tuple of float
        L2 penalties, on the scale of the mean loss, tried from the largest down until the validation loss rises (the
        largest alone where there are no validation pairs).
    """

    penalties: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Solve along the path, warm-started, from the largest penalty down."""
        self.scaling = Scaling.of(pairs.embeddings)
        train, validation = self._differences(pairs), self._differences(pairs.validation)
        weights, best = np.zeros(pairs.n_features), np.inf
        for penalty in sorted(self.penalties, reverse=True):
            weights = newton(train, penalty, weights)
            value = loss(validation, weights) if len(validation) else -np.inf
            if value >= best:
                break
            best, self.weights, self.penalty = value, weights, penalty
        return self

    def _differences(self, pairs: PreferencePairs | None) -> np.ndarray:
        if pairs is None:
            return np.empty((0, len(self.scaling.mean)))
        scaled = self.scaling(pairs.embeddings, "bt-linear").astype(np.float64)
        return np.asarray(scaled[pairs.chosen] - scaled[pairs.rejected])

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return w . x; ``(n, n_features) -> (n,)``."""
        return np.asarray(self.scaling(embeddings, "bt-linear") @ self.weights)
