"""Functions of embeddings for several seeds at once: linear, or with one hidden layer.

The first axis of every layer is the seed. What one seed computes is, to the bit, what it would compute alone: the
matrix products of a linear function always have ``WIDTH`` columns, most of them zeros if need be, for a product's
rounding depends on its shape; those of a hidden layer are one product a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH = 8  # columns of a product: memory is read once for all, so that zeros among them cost next to nothing
Layers = list[np.ndarray]
Back = Callable[[np.ndarray], Layers]


@dataclass(frozen=True, eq=False)
class Network:
    """``f(embedding)`` for each of several seeds; the arrays of ``layers`` may be changed in place.

    Attributes
    ----------
    layers : list of arrays
        Linear: weights ``(n_seeds, n_features)``. One hidden layer: weights ``(n_seeds, n_features, n_hidden)``, bias
        ``(n_seeds, 1, n_hidden)``, head ``(n_seeds, n_hidden, 1)``; rectified, without bias at the end, for a policy
        has no use for one.
    """

    layers: Layers

    @property
    def n_seeds(self) -> int:
        """How many functions there are."""
        return len(self.layers[0])

    def copy(self) -> Network:
        """Return a network that later steps do not change."""
        return Network([layer.copy() for layer in self.layers])

    def run(self, embeddings: np.ndarray) -> tuple[np.ndarray, Back]:
        """Return values, ``(n, n_seeds)``, and what makes of slopes by them, ``(n, n_seeds)``, those by each layer."""
        if len(self.layers) == 1:
            (weights,) = self.layers
            return columns(embeddings, weights.T), lambda slope: [columns(embeddings.T, slope).T]
        weights, bias, head = self.layers
        hidden = embeddings @ weights
        hidden += bias
        np.maximum(hidden, 0, out=hidden)
        return (hidden @ head)[..., 0].T, lambda slope: self._back(embeddings, hidden, slope)

    def _back(self, embeddings: np.ndarray, hidden: np.ndarray, slope: np.ndarray) -> Layers:
        ahead = np.ascontiguousarray(slope.T, hidden.dtype)[..., None]
        inner = (hidden > 0) * (ahead * np.swapaxes(self.layers[2], 1, 2))
        return [embeddings.T @ inner, inner.sum(axis=1, keepdims=True), np.swapaxes(hidden, 1, 2) @ ahead]


def columns(matrix: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return ``matrix @ vectors``; no column depends on the others, nor on how many there are."""
    n = vectors.shape[1]
    found = np.empty((len(matrix), n), matrix.dtype)
    for start in range(0, n, WIDTH):
        padded = np.zeros((len(vectors), WIDTH), matrix.dtype)
        some = vectors[:, start : start + WIDTH]
        padded[:, : some.shape[1]] = some
        found[:, start : start + WIDTH] = (matrix @ padded)[:, : some.shape[1]]
    return found


def zero(n_features: int, hidden: int, streams: Sequence[np.random.Generator], dtype: np.dtype | type) -> Network:
    """Return a network whose values are all 0, one function a stream; hidden layers start at random (He).

    With ``hidden`` 0 it is linear and draws nothing.
    """
    n = len(streams)
    if not hidden:
        return Network([np.zeros((n, n_features), dtype)])
    drawn = [stream.normal(0, np.sqrt(2 / n_features), (n_features, hidden)) for stream in streams]
    bias, head = np.zeros((n, 1, hidden), dtype), np.zeros((n, hidden, 1), dtype)
    return Network([np.stack(drawn).astype(dtype), bias, head])
