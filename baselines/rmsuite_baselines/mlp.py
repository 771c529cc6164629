"""What reward models that are a multilayer perceptron share: they differ in their loss only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.losses import Loss
from rmsuite_baselines.networks import Layers, Schedule, initial, rewards_of, stacked, train
from rmsuite_baselines.parameters import number, widths
from rmsuite_baselines.scaling import Scaling, Standardised


@dataclass
class RewardMLP:
    """An MLP on standardised embeddings, trained on pairs; the weights of the best validation epoch are kept.

    Parameters
    ----------
    hidden : int or tuple of int
        Widths of the ReLU layers.
    dropout : float
        Share of the hidden units that is zeroed at random in training.
    learning_rate, weight_decay, batch, epochs, patience
        See ``networks.Schedule``.
    """

    hidden: int | tuple[int, ...] = 256
    dropout: float = 0.0
    learning_rate: float = 3e-4
    weight_decay: float = 3.0
    batch: int = 512
    epochs: int = 30
    patience: int = 3

    who: ClassVar[str]

    def __post_init__(self) -> None:
        widths("hidden", self.hidden)
        number("dropout", self.dropout, 0, 0.9)
        self._schedule()
        self._loss()

    def _schedule(self) -> Schedule:
        return Schedule(self.learning_rate, self.weight_decay, self.batch, self.epochs, self.patience)

    def _loss(self) -> Loss:
        raise NotImplementedError

    def _standardised(self, pairs: PreferencePairs) -> Standardised:
        return self.scaling.lazily(pairs.embeddings, self.who)

    def _initial(self, pairs: PreferencePairs, rng: np.random.Generator, n_heads: int = 1) -> Layers:
        return initial([pairs.n_features, *widths("hidden", self.hidden)], rng, n_heads)

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Train until the validation loss has stopped falling."""
        self.scaling = Scaling.of(pairs.embeddings)
        self.layers = self._initial(pairs, rng)
        train(self.layers, pairs, self._standardised, self._loss(), self._schedule(), rng, self.dropout)
        return self

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the network's output; ``(n, n_features) -> (n,)``."""
        return rewards_of(self.layers, self.scaling.lazily(embeddings, self.who))[:, 0]


def fit_together(models: Sequence[RewardMLP], pairs: PreferencePairs, rngs: Sequence[np.random.Generator]) -> None:
    """Fit models of equal parameters on the same batches, until their validation losses, summed, have stopped falling.

    They differ in their initial weights only, each drawn from its own generator; the first generator draws the rest.
    What is gathered for one is gathered for all. One model is fitted as by its ``fit``.
    """
    first, scaling = models[0], Scaling.of(pairs.embeddings)
    layers = stacked([first._initial(pairs, rng) for rng in rngs])
    for model in models:
        model.scaling = scaling
    train(layers, pairs, first._standardised, first._loss(), first._schedule(), rngs[0], first.dropout)
    for place, model in enumerate(models):
        model.layers = [layer[place] for layer in layers]
