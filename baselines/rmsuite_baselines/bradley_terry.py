"""What every Bradley-Terry method shares: rewards are logits of preference."""

from __future__ import annotations

import numpy as np
from scipy.special import expit


class BradleyTerry:
    """P(first preferred) = sigmoid(reward of first - reward of second) (Bradley and Terry 1952)."""

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return rewards, ``(n,)``."""
        raise NotImplementedError

    def probability(self, embeddings: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return P(first preferred) for pairs of rows of ``embeddings``, ``(n_pairs,)``."""
        rewards = self.reward(embeddings)
        return np.asarray(expit(rewards[first] - rewards[second]))
