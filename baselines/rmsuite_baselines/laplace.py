"""Bradley-Terry MLP whose last layer has a posterior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.losses import Loss, PairLoss
from rmsuite_baselines.mlp import RewardMLP
from rmsuite_baselines.networks import ROWS, forward
from rmsuite_baselines.parameters import numbers
from rmsuite_baselines.posterior import LaplaceReward, Posterior


@dataclass
class LaplaceMLP(RewardMLP, LaplaceReward):
    """Bradley-Terry with an MLP and, after training, a Laplace approximation of its last layer (arXiv:2106.14806).

    The network is that of bt-mlp and so are the rewards: the trained last layer is the posterior's mean. The features
    are the outputs of the last hidden layer, which is taken as certain.

    Parameters
    ----------
    precisions : tuple of float
        Precisions of the prior of the last layer's weights; that of the least validation loss is kept (of the most
        evidence where there are no validation pairs).
    """

    precisions: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5)

    who: ClassVar[str] = "bt-laplace"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.precisions = numbers("precisions", self.precisions, 1e-8, 1e12)

    def _loss(self) -> Loss:
        return PairLoss()

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Train the network, then approximate the posterior of its last layer."""
        super().fit(pairs, rng=rng)
        features = self.features(pairs.embeddings)
        self.centre = features.mean(axis=0, dtype=np.float64)
        weights = self.layers[-1][:, 0].astype(np.float64)
        around = Posterior.around(weights, features[pairs.chosen] - features[pairs.rejected], self.precisions[0])
        held = self._differences(pairs.validation) if pairs.validation else None
        candidates = (around.under(precision) for precision in self.precisions)
        self.posterior = min(candidates, key=lambda posterior: posterior.surprise(held))
        return self

    def _differences(self, pairs: PreferencePairs) -> np.ndarray:
        features = self.features(pairs.embeddings)
        return np.asarray(features[pairs.chosen] - features[pairs.rejected])

    def features(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the outputs of the last hidden layer; ``(n, width) -> (n, n_features)``."""
        rows = self.scaling.lazily(embeddings, self.who)
        starts = range(0, max(len(rows), 1), ROWS)
        return np.concatenate([forward(self.layers, rows[start : start + ROWS])[1][-1] for start in starts])
