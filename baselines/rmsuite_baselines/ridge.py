"""Ridge regression in closed form, with the penalty of the least validation error."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh


def path(features: np.ndarray, targets: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Return the weights of each penalty, ``(n_features, n_penalties)``; features and targets have mean zero.

    They minimise the mean squared error plus penalty * |w|^2. One eigendecomposition serves all penalties.
    """
    bends, axes = eigh(features.T @ features / len(features))
    along = axes.T @ (features.T @ targets) / len(features)
    return np.asarray(axes @ (along[:, None] / (np.maximum(bends, 0)[:, None] + penalties)))


def fit(
    features: np.ndarray,
    targets: np.ndarray,
    penalties: np.ndarray,
    held: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, float]:
    """Return weights, ``(n_features,)``, and the constant of the best penalty.

    Parameters
    ----------
    features, targets : (n, n_features), (n,)
        Targets that are NaN are left out, with their rows; without any other, weights and constant are 0.
    penalties : (n_penalties,)
        Above 0, the one to take without held-out targets first.
    held : pair of arrays
        Features and targets held out; the penalty of their least squared error is taken.
    """
    features, targets = _known(features, targets)
    if not len(targets):
        return np.zeros(features.shape[1]), 0.0
    centre, mean = features.mean(axis=0), targets.mean()
    weights = path(features - centre, targets - mean, penalties)
    constants = mean - centre @ weights
    held_features, held_targets = _known(*held)
    errors = np.square(held_features @ weights + constants - held_targets[:, None]).sum(axis=0)
    best = int(errors.argmin())
    return weights[:, best], float(constants[best])


def _known(features: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(targets)
    return features[known].astype(np.float64), targets[known].astype(np.float64)
