"""Siamese Bradley-Terry with a multilayer perceptron, in numpy.

A batch is a set of pairs. Each distinct response of a batch goes forward once, however many pairs it is in; the
gradient of the loss with respect to its reward is the sum over its pairs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Self

import numpy as np
from scipy.special import expit

from rmsuite import PreferencePairs, RmsuiteError
from rmsuite_baselines.bradley_terry import BradleyTerry
from rmsuite_baselines.scaling import Scaling

Layers = list[
    np.ndarray
]  # weights and biases in turn; the last layer has one output and no bias: rewards have no origin


def initial(sizes: list[int], rng: np.random.Generator) -> Layers:
    """Return He-initialised float32 layers; the head starts small, so that training starts from equal rewards."""
    layers: Layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out)), np.zeros(fan_out)]
    head = rng.normal(0, 0.01 / np.sqrt(sizes[-1]), (sizes[-1], 1))
    return [layer.astype(np.float32) for layer in [*layers, head]]


def forward(layers: Layers, embeddings: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return rewards ``(n,)`` and the input of each layer."""
    inputs = [embeddings]
    for weights, bias in zip(layers[:-1:2], layers[1::2], strict=True):
        hidden = inputs[-1] @ weights
        hidden += bias
        inputs.append(np.maximum(hidden, 0, out=hidden))
    return (inputs[-1] @ layers[-1])[:, 0], inputs


def backward(layers: Layers, inputs: list[np.ndarray], slope: np.ndarray) -> Layers:
    """Return the gradient of each layer, given the loss's slope with respect to each reward, ``(n,)``."""
    gradients = [inputs[-1].T @ slope[:, None]]
    back = slope[:, None] @ layers[-1].T
    for depth in range(len(inputs) - 2, -1, -1):
        back *= inputs[depth + 1] > 0
        gradients += [back.sum(axis=0), inputs[depth].T @ back]
        if depth:
            back = back @ layers[2 * depth].T
    return gradients[::-1]


def pair_loss(rewards: np.ndarray, chosen: np.ndarray, rejected: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean of -log sigmoid(margin), and its slope with respect to each reward."""
    margin = rewards[chosen] - rewards[rejected]
    slope = -expit(-margin) / len(margin)
    n = len(rewards)
    gathered = np.bincount(chosen, slope, n) - np.bincount(rejected, slope, n)
    return float(np.logaddexp(0, -margin).mean()), gathered.astype(np.float32)


def _wrong(name: str, expected: str, got: object) -> RmsuiteError:
    return RmsuiteError(who=f"bt-mlp, parameter {name}", expected=expected, got=repr(got), do=f"change {name}")


@dataclass
class Adam:
    """Adam (arXiv:1412.6980) over a list of arrays, which it updates in place; decoupled weight decay."""

    learning_rate: float
    decay: float
    first: Layers = field(default_factory=list)
    second: Layers = field(default_factory=list)
    steps: int = 0

    def step(self, layers: Layers, gradients: Layers) -> None:
        """Move the layers one step against the gradients."""
        if not self.steps:
            self.first, self.second = ([np.zeros_like(layer) for layer in layers] for _ in range(2))
        self.steps += 1
        rate = np.float32(self.learning_rate * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps))
        for layer, gradient, first, second in zip(layers, gradients, self.first, self.second, strict=True):
            first += np.float32(0.1) * (gradient - first)
            second += np.float32(0.001) * (gradient * gradient - second)
            layer -= rate * first / (np.sqrt(second) + np.float32(1e-8))
            layer *= np.float32(1 - self.learning_rate * self.decay)


@dataclass
class BradleyTerryMLP(BradleyTerry):
    """Bradley-Terry with an MLP on standardised embeddings; the weights of the best validation epoch are kept.

    Parameters
    ----------
    hidden : int or tuple of int
        Widths of the ReLU layers.
    learning_rate, weight_decay : float
        Of Adam.
    batch : int
        Pairs a step.
    epochs : int
        At most so many passes over the pairs.
    patience : int
        Epochs without a better validation loss before training stops.
    """

    hidden: int | tuple[int, ...] = 256
    learning_rate: float = 3e-4
    weight_decay: float = 3.0
    batch: int = 512
    epochs: int = 30
    patience: int = 3

    def __post_init__(self) -> None:
        """Refuse parameters that are no sizes, counts or rates.

        Raises
        ------
        RmsuiteError
            With the parameter's name.
        """
        whole = [("batch", self.batch), ("epochs", self.epochs), ("patience", self.patience)]
        for name, value in [*whole, *(("hidden", width) for width in self._widths())]:
            if type(value) is not int or value < 1:
                raise _wrong(name, "a whole number of at least 1", value)
        for name, rate in [("learning_rate", self.learning_rate), ("weight_decay", self.weight_decay)]:
            if not (isinstance(rate, int | float) and 0 <= rate <= 100):
                raise _wrong(name, "a number from 0 to 100", rate)

    def _widths(self) -> list[int]:
        return list(self.hidden) if isinstance(self.hidden, tuple | list) else [self.hidden]

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Train until the validation loss has stopped falling."""
        self.scaling = Scaling.of(pairs.embeddings)
        train = self.scaling(pairs.embeddings, "bt-mlp")
        layers, adam = initial([pairs.n_features, *self._widths()], rng), Adam(self.learning_rate, self.weight_decay)
        best, since = self._validation_loss(pairs.validation, layers), 0
        self.layers = [layer.copy() for layer in layers]
        for _ in range(self.epochs):
            self._epoch(train, pairs, layers, adam, rng)
            value, since = self._validation_loss(pairs.validation, layers), since + 1
            if value < best or not pairs.validation:
                best, since, self.layers = value, 0, [layer.copy() for layer in layers]
            if since >= self.patience:
                break
        return self

    def _epoch(
        self, train: np.ndarray, pairs: PreferencePairs, layers: Layers, adam: Adam, rng: np.random.Generator
    ) -> None:
        order = rng.permutation(len(pairs))
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            members, position = np.unique([pairs.chosen[rows], pairs.rejected[rows]], return_inverse=True)
            chosen, rejected = position.reshape(2, -1)
            rewards, inputs = forward(layers, train[members])
            _, slope = pair_loss(rewards, chosen, rejected)
            adam.step(layers, backward(layers, inputs, slope))

    def _validation_loss(self, pairs: PreferencePairs | None, layers: Layers) -> float:
        if not pairs:
            return np.inf
        rewards, _ = forward(layers, self.scaling(pairs.embeddings, "bt-mlp"))
        return pair_loss(rewards, pairs.chosen, pairs.rejected)[0]

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the network's output; ``(n, n_features) -> (n,)``."""
        return forward(self.layers, self.scaling(embeddings, "bt-mlp"))[0]
