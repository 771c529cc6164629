"""Weight averaging of Bradley-Terry networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.networks import Layers, train
from rmsuite_baselines.parameters import number, whole
from rmsuite_baselines.scaling import Scaling


@dataclass
class WeightAveraged(BradleyTerryMLP):
    """The mean of the weights of several networks: one network, as fast to ask as one member (arXiv:2401.12187).

    Members share their initialisation, without which their hidden units would be in different orders and their mean
    would be no network of use. They differ in the order of pairs and in their learning rate. There the members begin
    from one pre-trained language model with one head, and differ in further hyperparameters and in how far that model
    was trained; embeddings have no such past, so here they begin from one random network. Without hidden layers the
    mean of the weights is the mean of the rewards, and this is a mean ensemble.

    Parameters
    ----------
    members : int
        How many.
    spread : float
        Learning rates lie between ``learning_rate / spread`` and ``learning_rate * spread``, in equal ratios; 1: all
        are equal.
    """

    members: int = 5
    spread: float = 2.0

    who: ClassVar[str] = "warm"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("members", self.members)
        number("spread", self.spread, 1, 100)
        number("learning_rate", self.learning_rate, 0, 100 / self.spread)

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Train the members one after the other, each to its best validation epoch, and average their weights."""
        self.layers = [np.mean(same, axis=0) for same in zip(*self._members(pairs, rng), strict=True)]
        return self

    def _members(self, pairs: PreferencePairs, rng: np.random.Generator) -> list[Layers]:
        self.scaling = Scaling.of(pairs.embeddings)
        start = self._initial(pairs, rng)
        members = [[layer.copy() for layer in start] for _ in range(self.members)]
        for layers, rate, own in zip(members, self._rates(), rng.spawn(self.members), strict=True):
            schedule = replace(self._schedule(), learning_rate=rate)
            train(layers, pairs, self._standardised, self._loss(), schedule, own, self.dropout)
        return members

    def _rates(self) -> list[float]:
        powers = np.linspace(-1, 1, self.members) if self.members > 1 else np.zeros(1)
        return [float(rate) for rate in self.learning_rate * self.spread**powers]
