"""Low-rank adapters on a frozen trunk, and the network that joins the hidden states of several adapted trunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rmsuite_baselines.networks import Layers, backward, forward, initial

SLOPE = 0.25  # of a fresh PReLU, for negative inputs


@dataclass(frozen=True, eq=False)
class Adapter:
    """``W + alpha / rank * A B`` for each weight matrix ``W`` of a frozen trunk, and a head of its own.

    That is LoRA (arXiv:2106.09685, equation 3). ``layers`` are what is trained: ``A``, ``(fan_in, rank)``, and ``B``,
    ``(rank, fan_out)``, of each matrix in turn, then the head. Biases stay frozen with the trunk.
    """

    base: Layers
    layers: Layers
    scale: np.float32

    @classmethod
    def of(cls, base: Layers, rank: int, alpha: float, rng: np.random.Generator) -> Adapter:
        """Return an adapter that changes nothing yet: ``A`` is random, ``B`` zero, the head a copy of the base's."""
        layers: Layers = []
        for weights in base[:-1:2]:
            fan_in, fan_out = weights.shape
            down = rng.normal(0, 1 / np.sqrt(fan_in), (fan_in, rank))
            layers += [down.astype(np.float32), np.zeros((rank, fan_out), np.float32)]
        return cls(base, [*layers, base[-1].copy()], np.float32(alpha / rank))

    def merged(self) -> Layers:
        """Return the adapted network as plain layers."""
        layers = list(self.base)
        for i, (down, up) in enumerate(zip(self.layers[:-1:2], self.layers[1::2], strict=True)):
            layers[2 * i] = self.base[2 * i] + self.scale * (down @ up)
        return [*layers[:-1], self.layers[-1]]

    def run(self, embeddings: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], Layers]]:
        """Return rewards, and what takes their slope to the gradient of each of ``layers``."""
        merged = self.merged()
        rewards, inputs = forward(merged, embeddings)
        return rewards, lambda slope: self._chained(backward(merged, inputs, slope))

    def _chained(self, merged: Layers) -> Layers:
        gradients: Layers = []
        for gradient, down, up in zip(merged[:-1:2], self.layers[:-1:2], self.layers[1::2], strict=True):
            scaled = self.scale * gradient
            gradients += [scaled @ up.T, down.T @ scaled]
        return [*gradients, merged[-1]]


def hidden_states(experts: list[Layers], embeddings: np.ndarray) -> np.ndarray:
    """Return the last hidden states of all experts side by side, ``(n, n_experts * width)``."""
    return np.concatenate([forward(layers, embeddings)[1][-1] for layers in experts], axis=1)


@dataclass(frozen=True, eq=False)
class Aggregator:
    """Linear to one width, PReLU (arXiv:1502.01852), linear to the reward: ``layers`` are W, b, slope, head.

    The slope is held as its distance from a quarter, so that weight decay pulls it there and not to a ReLU's.
    """

    layers: Layers

    @classmethod
    def of(cls, n_inputs: int, width: int, rng: np.random.Generator) -> Aggregator:
        """Return one that gives nearly equal rewards."""
        weights, bias, head = initial([n_inputs, width], rng)
        return cls([weights, bias, np.zeros(1, np.float32), head])

    def rewards(self, hidden: np.ndarray) -> np.ndarray:
        """Return rewards, ``(n, n_inputs) -> (n, 1)``."""
        return self.run(hidden)[0]

    def run(self, hidden: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], Layers]]:
        """Return rewards, and what takes their slope to the gradient of each of ``layers``."""
        weights, bias, slope, head = self.layers
        raw = hidden @ weights + bias
        steepness = np.where(raw > 0, np.ones_like(slope), SLOPE + slope)

        def gradients(back: np.ndarray) -> Layers:
            inner = back @ head.T
            of_slope = np.sum(inner * np.minimum(raw, 0), keepdims=True)[0]
            inner *= steepness
            return [hidden.T @ inner, inner.sum(axis=0), of_slope, (raw * steepness).T @ back]

        return (raw * steepness) @ head, gradients
