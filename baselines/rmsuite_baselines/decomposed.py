"""Orthogonal directions of preference, found by principal components and weighed by how well each orders pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from scipy.linalg import eigh
from scipy.special import softmax

from rmsuite import PreferencePairs
from rmsuite_baselines.parameters import number
from rmsuite_baselines.scaling import Scaling


def directions(differences: np.ndarray) -> np.ndarray:
    """Return the principal components of ``(n_pairs, n_features)`` differences, one a column, largest variance first.

    They are orthonormal. Those along which the differences do not vary are left out: all of them, if there is one pair.
    """
    centred = differences - differences.mean(axis=0)
    variances, axes = eigh(centred.T @ centred)
    varies = variances > 1e-10 * max(variances[-1], 1e-30)
    return np.asarray(axes[:, varies][:, ::-1])


@dataclass
class Decomposed:
    """Decomposed reward models (arXiv:2502.13131): nothing is trained.

    Of the paper: the principal components of chosen minus rejected embeddings are directions of reward, each with
    both signs; rewards along a direction are normalised on an adaptation set of pairs; direction m has the weight
    k_m, proportional to exp(-Bradley-Terry loss of m on that set), and the reward is the weighted sum. As in its
    released code, components are of centred differences, and a reward is divided by its deviation over the chosen and
    rejected responses of the set. Here embeddings are standardised first, there is one population in place of many
    users, and the adaptation set is the validation pairs.

    Parameters
    ----------
    temperature : float
        What the mean loss of the pairs is divided by. The released code sums the losses of 15 pairs (5 in one
        experiment), which is a temperature of 1/15; a sum over all validation pairs would leave one direction.
    share : float
        Share of the training prompts whose pairs are the adaptation set, and not used for the directions, where there
        are no validation pairs; a single prompt serves for both.
    """

    temperature: float = 1 / 15
    share: float = 0.25

    who: ClassVar[str] = "decomposed"

    def __post_init__(self) -> None:
        """Refuse parameters out of range.

        Raises
        ------
        RmsuiteError
            With the parameter's name.
        """
        number("temperature", self.temperature, 1e-6, 1e6)
        number("share", self.share, 0, 1)

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Find the directions, then weigh them on the adaptation set."""
        self.scaling = Scaling.of(pairs.embeddings)
        training, adaptation = self._parts(pairs, rng)
        chosen, rejected = self._responses(training)
        self.directions = directions(chosen - rejected)
        won, lost = (rows @ self.directions for rows in self._responses(adaptation))
        deviation = np.vstack([won, lost]).std(axis=0)
        normal = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
        self.shares = self._shares((won - lost) * normal)
        self.weights = self.directions @ (normal * (self.shares[0] - self.shares[1]))
        return self

    def _parts(self, pairs: PreferencePairs, rng: np.random.Generator) -> tuple[PreferencePairs, PreferencePairs]:
        """Return the pairs that give directions and those that weigh them."""
        if pairs.validation:
            return pairs, pairs.validation
        prompts = rng.permutation(np.unique(pairs.prompt))
        held = np.isin(pairs.prompt, prompts[: max(round(self.share * len(prompts)), 1)])
        if held.all():
            return pairs, pairs
        return _some(pairs, ~held), _some(pairs, held)

    def _responses(self, pairs: PreferencePairs) -> tuple[np.ndarray, np.ndarray]:
        """Return standardised embeddings of the chosen and of the rejected response of each pair."""
        scaled = self.scaling(pairs.embeddings, self.who).astype(np.float64)
        return scaled[pairs.chosen], scaled[pairs.rejected]

    def _shares(self, margins: np.ndarray) -> np.ndarray:
        """Return k, ``(2, n_directions)``, summing to 1: of each direction, and of its opposite."""
        losses = np.array([np.logaddexp(0, -sign * margins).mean(axis=0) for sign in (1, -1)])
        return np.asarray(softmax(-losses / self.temperature)) if losses.size else losses

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return w . x, w being the weighted sum of the directions; ``(n, n_features) -> (n,)``."""
        return np.asarray(self.scaling(embeddings, self.who) @ self.weights)


def _some(pairs: PreferencePairs, kept: np.ndarray) -> PreferencePairs:
    columns = {name: getattr(pairs, name)[kept] for name in ("chosen", "rejected", "prompt", "category")}
    return replace(pairs, **columns, attributes=())
