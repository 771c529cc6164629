"""Standardise features by the training responses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import rmsuite


@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and standard deviation of each feature, ``(n_features,)``; a constant feature is mapped to 0."""

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, embeddings: np.ndarray) -> Scaling:
        """Measure the features of ``(n, n_features)`` embeddings."""
        mean = embeddings.mean(axis=0, dtype=np.float64)
        deviation = embeddings.std(axis=0, dtype=np.float64)
        # Rounding leaves a constant feature a deviation of the order of its last bit.
        varies = deviation > 1e-6 * (np.abs(mean) + 1e-30)
        factor = np.where(varies, 1 / np.where(varies, deviation, 1), 0.0)
        return cls(mean.astype(np.float32), factor.astype(np.float32))

    def __call__(self, embeddings: np.ndarray, who: str) -> np.ndarray:
        """Return standardised float32 embeddings, or raise if their width is not that of training."""
        return np.asarray((rmsuite.as_embeddings(embeddings, len(self.mean), who=who) - self.mean) * self.factor)
