"""What predicts ratings from embeddings: a ridge for each attribute, or a network with an output for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines import ridge
from rmsuite_baselines.networks import Layers, Schedule, backward, descend, forward, initial, rewards_of
from rmsuite_baselines.scaling import Scaling


@dataclass(frozen=True, eq=False)
class Rated:
    """Responses that have a rating: embeddings as given, and ratings, ``(n, n_attributes)``, NaN where missing."""

    embeddings: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, pairs: PreferencePairs | None) -> Rated | None:
        """Return them, or None if there are none."""
        if pairs is None or pairs.ratings is None:
            return None
        some = np.isfinite(pairs.ratings.values).any(axis=1)
        return cls(pairs.embeddings[some], pairs.ratings.values[some].astype(np.float64)) if some.any() else None


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Predicted ratings = x ``weights`` + ``constants``; ``(n_features, n_attributes)`` and ``(n_attributes,)``."""

    scaling: Scaling
    weights: np.ndarray
    constants: np.ndarray

    @classmethod
    def fit(cls, rated: Rated, held: Rated | None, scaling: Scaling, penalties: tuple[float, ...], who: str) -> Self:
        """Fit each attribute on the responses that have its rating."""
        path = np.sort(penalties)[::-1]
        scaled, fits = scaling(rated.embeddings, who), []
        held_scaled = scaled[:0] if held is None else scaling(held.embeddings, who)
        for place, targets in enumerate(rated.values.T):
            held_targets = np.empty(0) if held is None else held.values[:, place]
            fits.append(ridge.fit(scaled, targets, path, (held_scaled, held_targets)))
        return cls(scaling, np.stack([weights for weights, _ in fits], axis=1), np.array([one for _, one in fits]))

    def __call__(self, embeddings: np.ndarray, who: str) -> np.ndarray:
        """Return predicted ratings, ``(n, n_attributes)``."""
        return np.asarray(self.scaling(embeddings, who) @ self.weights + self.constants)


@dataclass(frozen=True, eq=False)
class NetworkHead:
    """Predicted ratings = outputs of a network times ``deviation`` plus ``mean``, both ``(n_attributes,)``."""

    scaling: Scaling
    layers: Layers
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(
        cls,
        rated: Rated,
        held: Rated | None,
        scaling: Scaling,
        hidden: list[int],
        schedule: Schedule,
        who: str,
        rng: np.random.Generator,
    ) -> Self:
        """Train until the squared error of the held-out ratings has stopped falling."""
        mean, deviation = _moments(rated.values)
        rows = scaling.lazily(rated.embeddings, who)
        targets = (rated.values - mean) / deviation
        layers = initial([len(scaling.mean), *hidden], rng, len(mean))

        def gradients(batch: np.ndarray) -> Layers:
            outputs, inputs = forward(layers, rows[batch])
            return backward(layers, inputs, squared_error(outputs, targets[batch])[1])

        def validation_loss() -> float:
            assert held is not None
            outputs = rewards_of(layers, scaling.lazily(held.embeddings, who))
            return squared_error(outputs, (held.values - mean) / deviation)[0]

        descend(layers, schedule, np.arange(len(rows)), gradients, validation_loss if held else None, rng)
        return cls(scaling, layers, mean, deviation)

    def __call__(self, embeddings: np.ndarray, who: str) -> np.ndarray:
        """Return predicted ratings, ``(n, n_attributes)``."""
        return np.asarray(rewards_of(self.layers, self.scaling.lazily(embeddings, who)) * self.deviation + self.mean)


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean over known targets of the squared error, and its slope by each output; NaN is unknown."""
    known = np.isfinite(targets)
    errors = np.where(known, outputs - targets, 0)
    n_known = max(int(known.sum()), 1)
    return float(np.square(errors).sum()) / n_known, (2 / n_known * errors).astype(outputs.dtype)


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each column's known values; 0 and 1 where there are none, 1 where they are equal."""
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, values, 0).sum(axis=0) / counts
    deviation = np.sqrt(np.where(known, np.square(values - mean), 0).sum(axis=0) / counts)
    return mean, np.where(deviation > 1e-6 * (np.abs(mean) + 1e-30), deviation, 1)
