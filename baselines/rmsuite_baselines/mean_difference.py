"""The direction from the mean rejected to the mean chosen embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.rows import Rows
from rmsuite_baselines.scaling import Scaling


@dataclass
class MeanDifference:
    """Reward = standardised embedding times the mean of chosen minus rejected; nothing to tune, nothing random."""

    who: ClassVar[str] = "mean-difference"

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Average the differences of all pairs: each response counts its wins less its losses."""
        self.scaling, n = Scaling.of(pairs.embeddings), len(pairs.embeddings)
        wins = np.bincount(pairs.chosen, minlength=n) - np.bincount(pairs.rejected, minlength=n)
        self.weights = Rows.passing(self.scaling.lazily(pairs.embeddings, self.who)).gather(wins / len(pairs))
        return self

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Project on the direction; ``(n, n_features) -> (n,)``."""
        return Rows.passing(self.scaling.lazily(embeddings, self.who)).times(self.weights)
