"""What predicts ratings from embeddings: a ridge for each attribute, or a network with an output for each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines import ridge
from rmsuite_baselines.networks import Layers, Schedule, backward, descend, forward, in_blocks, initial, rewards_of
from rmsuite_baselines.scaling import Scaling


@dataclass(frozen=True, eq=False)
class Rated:
    """Responses that have a rating: their ``rows`` of ``embeddings``, ``(n,)``, and the ratings, NaN where missing.

    ``values`` is ``(n, n_attributes)``.
    """

    embeddings: np.ndarray
    rows: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, pairs: PreferencePairs | None) -> Rated | None:
        """Return them, or None if there are none."""
        if pairs is None or pairs.ratings is None:
            return None
        rows = np.flatnonzero(np.isfinite(pairs.ratings.values).any(axis=1))
        return cls(pairs.embeddings, rows, pairs.ratings.values[rows].astype(np.float64)) if len(rows) else None

    def known(self, attribute: int, scaling: Scaling, who: str) -> ridge.Known:
        """Return the responses that have the rating of one attribute, given by its place."""
        return ridge.Known.of(scaling.lazily(self.embeddings, who), self.rows, self.values[:, attribute])


@dataclass(frozen=True, eq=False)
class LinearHead:
    """Predicted ratings = x ``weights`` + ``constants``; ``(n_features, n_attributes)`` and ``(n_attributes,)``."""

    scaling: Scaling
    weights: np.ndarray
    constants: np.ndarray

    @classmethod
    def fit(cls, rated: Rated, held: Rated | None, scaling: Scaling, penalties: tuple[float, ...], who: str) -> Self:
        """Fit each attribute on the responses that have its rating."""
        path, fits = np.sort(penalties)[::-1], []
        held = held or replace(rated, rows=rated.rows[:0], values=rated.values[:0])
        for place in range(rated.values.shape[1]):
            fits.append(ridge.fit(rated.known(place, scaling, who), held.known(place, scaling, who), path))
        return cls(scaling, np.stack([weights for weights, _ in fits], axis=1), np.array([one for _, one in fits]))

    def __call__(self, embeddings: np.ndarray, who: str) -> np.ndarray:
        """Return predicted ratings, ``(n, n_attributes)``."""
        return in_blocks(lambda rows: rows @ self.weights, self.scaling.lazily(embeddings, who)) + self.constants


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
            outputs, inputs = forward(layers, rows[rated.rows[batch]])
            return backward(layers, inputs, squared_error(outputs, targets[batch])[1])

        def validation_loss() -> float:
            assert held is not None
            held_rows = scaling.lazily(held.embeddings, who)
            outputs = in_blocks(lambda some: forward(layers, held_rows[some])[0], held.rows)
            return squared_error(outputs, (held.values - mean) / deviation)[0]

        descend(layers, schedule, np.arange(len(targets)), gradients, validation_loss if held else None, rng)
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
