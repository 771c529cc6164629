"""Bradley-Terry with several heads on one multilayer perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.special import expit

from rmsuite import PreferencePairs
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.members import Members, Rule
from rmsuite_baselines.networks import rewards_of, train
from rmsuite_baselines.parameters import whole
from rmsuite_baselines.scaling import Scaling


@dataclass
class BradleyTerryHeads(Members, BradleyTerryMLP):
    """An ensemble of linear heads that share their hidden layers, at about the cost of one network (arXiv:2401.16635).

    Heads on one trunk that differ in their initial weights only, and are trained on the same pairs, soon agree; here
    each also weighs the training prompts in its own way, by draws from the exponential distribution with mean 1
    (the Bayesian bootstrap): unlike in a bootstrap or a subset, no head is left without pairs, however few there are.
    The loss is the sum over heads. Rewards of each head are moved to mean 0 over the training responses, as heads share
    the unit, the logit, and no origin.

    Parameters
    ----------
    heads : int
        How many.
    rule, weight
        See ``members.Rule``.
    """

    heads: int = 5
    rule: str = "mean"
    weight: float = 0.5

    who: ClassVar[str] = "bt-heads"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole("heads", self.heads)
        Rule(self.rule, self.weight)

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Train trunk and heads until the validation loss, summed over heads, has stopped falling."""
        self.scaling = Scaling.of(pairs.embeddings)
        self.layers = self._initial(pairs, rng, self.heads)
        (own,) = rng.spawn(1)
        weight = prompt_weights(pairs.prompt, self.heads, own)
        train(self.layers, pairs, self._standardised, self._loss(), self._schedule(), rng, self.dropout, weight)
        self.origins = rewards_of(self.layers, self._standardised(pairs)).mean(axis=0, dtype=np.float64)
        return self

    def member_rewards(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the rewards of each head; ``(n, n_features) -> (n_heads, n)``."""
        rewards = rewards_of(self.layers, self.scaling.lazily(embeddings, self.who))
        return np.asarray((rewards - self.origins).T)

    def probability(self, embeddings: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return P(first preferred), the mean over heads, for pairs of rows of ``embeddings``; ``(n_pairs,)``."""
        rewards = self.member_rewards(embeddings)
        return np.asarray(expit(rewards[:, first] - rewards[:, second]).mean(axis=0))


def prompt_weights(prompt: np.ndarray, n_heads: int, rng: np.random.Generator) -> np.ndarray:
    """Return the weight of each pair for each head, ``(n_pairs, n_heads)`` float32: one draw a prompt, of mean 1."""
    weight = rng.exponential(size=(prompt.max(initial=-1) + 1, n_heads))[prompt]
    return np.asarray(weight / weight.mean(axis=0), dtype=np.float32)
