"""Adam, upwards: for the maximum of an objective."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

FIRST, SECOND, LEAST = 0.9, 0.999, 1e-8


@dataclass
class Adam:
    """Adam (arXiv:1412.6980) over a list of arrays; decoupled weight decay (arXiv:1711.05101).

    Parameters
    ----------
    learning_rate : float
        Step size.
    weight_decay : float
        Each step takes ``learning_rate * weight_decay`` of each entry away.
    """

    learning_rate: float
    weight_decay: float = 0.0
    steps: int = 0
    moments: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)

    def ascend(self, layers: list[np.ndarray], gradients: list[np.ndarray]) -> None:
        """Move the layers one step along the gradients, in place; each entry for itself."""
        if not self.steps:
            self.moments = [(np.zeros_like(layer), np.zeros_like(layer)) for layer in layers]
        self.steps += 1
        rate = self.learning_rate * np.sqrt(1 - SECOND**self.steps) / (1 - FIRST**self.steps)
        for layer, gradient, (first, second) in zip(layers, gradients, self.moments, strict=True):
            first += (1 - FIRST) * (gradient - first)
            second += (1 - SECOND) * (gradient * gradient - second)
            layer *= 1 - self.learning_rate * self.weight_decay
            layer += float(rate) * first / (np.sqrt(second) + LEAST)
