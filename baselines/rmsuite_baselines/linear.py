"""What linear reward models share: standardised embeddings, a path of penalties, the exact optimum of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.logistic import Logistic, Margins
from rmsuite_baselines.parameters import numbers
from rmsuite_baselines.rows import Rows
from rmsuite_baselines.scaling import Scaling


@dataclass
class LinearReward:
    """Reward = w . x on standardised embeddings; w is the optimum of a logistic loss with an L2 penalty.

    Parameters
    ----------
    penalties : float or tuple of float
        On the scale of the mean loss, tried from the largest down until the validation loss rises (the largest alone
        where there are no validation pairs).
    """

    penalties: float | tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)

    who: ClassVar[str]

    def __post_init__(self) -> None:
        self._path()

    def _path(self) -> list[float]:
        return sorted(numbers("penalties", self.penalties, 1e-8, 1e8), reverse=True)

    def _margins(self, pairs: PreferencePairs) -> Margins:
        """Return what should be positive."""
        raise NotImplementedError

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Solve along the path, warm-started, from the largest penalty down."""
        self.scaling = Scaling.of(pairs.embeddings)
        problem = Logistic(Rows.kept(self.scaling.lazily(pairs.embeddings, self.who)), self._margins(pairs))
        weights, best = np.zeros(pairs.n_features), np.inf
        for penalty in self._path():
            weights = problem.optimum(penalty, weights)
            value = self._loss(pairs.validation, weights)
            if value >= best:
                break
            best, self.weights, self.penalty = value, weights, penalty
        return self

    def _loss(self, pairs: PreferencePairs | None, weights: np.ndarray) -> float:
        if not pairs:
            return -np.inf
        rewards = Rows.passing(self.scaling.lazily(pairs.embeddings, self.who)).times(weights)
        return self._margins(pairs).loss(rewards)

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return w . x; ``(n, n_features) -> (n,)``."""
        return Rows.passing(self.scaling.lazily(embeddings, self.who)).times(self.weights)
