"""The direction from the mean rejected to the mean chosen embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.scaling import Scaling


@dataclass
class MeanDifference:
    """Reward = standardised embedding times the mean of chosen minus rejected; nothing to tune, nothing random."""

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Average the differences of all pairs."""
        self.scaling = Scaling.of(pairs.embeddings)
        scaled = self.scaling(pairs.embeddings, "mean-difference")
        self.weights = (scaled[pairs.chosen] - scaled[pairs.rejected]).mean(axis=0, dtype=np.float64)
        return self

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Project on the direction; ``(n, n_features) -> (n,)``."""
        return np.asarray(self.scaling(embeddings, "mean-difference") @ self.weights)
