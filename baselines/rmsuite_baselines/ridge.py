"""Ridge regression in closed form, with the penalty of the least validation error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from rmsuite_baselines.rows import PAIRS, blocks
from rmsuite_baselines.scaling import Standardised


@dataclass(frozen=True, eq=False)
class Known:
    """Responses with a target: ``rows`` of ``features``, and the ``targets`` of these rows, ``(n,)`` float64."""

    features: np.ndarray | Standardised
    rows: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray | Standardised, rows: np.ndarray, targets: np.ndarray) -> Known:
        """Leave out the rows whose target is NaN."""
        known = np.isfinite(targets)
        return cls(features, rows[known], targets[known].astype(np.float64))

    def __len__(self) -> int:
        return len(self.rows)

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield float64 features and targets of some thousand rows at a time."""
        for block in blocks(len(self), PAIRS):
            yield self.features[self.rows[block]].astype(np.float64), self.targets[block]


def path(covariance: np.ndarray, along: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Return the weights of each penalty, ``(n_features, n_penalties)``, that minimise w'Cw - 2 w'b + penalty w'w.

    ``covariance``, C, is ``(n_features, n_features)``; ``along``, b, is ``(n_features,)``. One eigendecomposition
    serves all penalties.
    """
    bends, axes = eigh(covariance)
    return np.asarray(axes @ ((axes.T @ along)[:, None] / (np.maximum(bends, 0)[:, None] + penalties)))


def fit(known: Known, held: Known, penalties: np.ndarray) -> tuple[np.ndarray, float]:
    """Return weights, ``(n_features,)``, and the constant of the best penalty; 0 where no target is known.

    They minimise the mean squared error plus penalty * |w|^2; the constant is not penalised.

    Parameters
    ----------
    known, held : Known
        To fit, and to choose by: the penalty of the least squared error of the targets held out is taken.
    penalties : (n_penalties,)
        Above 0, the one to take without held-out targets first.
    """
    n_features = known.features[:0].shape[1]
    if not len(known):
        return np.zeros(n_features), 0.0
    centre, covariance, along = _moments(known, n_features)
    weights, mean = path(covariance, along, penalties), known.targets.mean()
    constants, errors = mean - centre @ weights, np.zeros(len(penalties))
    for features, targets in held.parts():
        errors += np.square(features @ weights + constants - targets[:, None]).sum(axis=0)
    best = int(errors.argmin())
    return weights[:, best], float(constants[best])


def _moments(known: Known, n_features: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of the features, their covariance, and their covariance with the targets."""
    total, along, squares = np.zeros(n_features), np.zeros(n_features), np.zeros((n_features, n_features))
    mean, n = known.targets.mean(), len(known)
    for features, targets in known.parts():
        total += features.sum(axis=0)
        along += (targets - mean) @ features
        squares += features.T @ features
    return total / n, squares / n - np.outer(total / n, total / n), along / n
