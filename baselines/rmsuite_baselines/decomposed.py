"""Orthogonal directions of preference, found by principal components and weighed by how well each orders pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.linalg import eigh
from scipy.special import softmax

from rmsuite import PreferencePairs
from rmsuite_baselines.parameters import number
from rmsuite_baselines.rows import PAIRS, Differences, Rows, blocks
from rmsuite_baselines.scaling import Scaling
from rmsuite_baselines.subsets import taken


def directions(differences: np.ndarray | Differences) -> np.ndarray:
    """Return the principal components of ``(n_pairs, n_features)`` differences, one a column, largest variance first.

    They are orthonormal. Those along which the differences do not vary are left out: all of them, if there is one pair.
    """
    parts = list(blocks(len(differences), PAIRS))
    mean = sum(differences[part].sum(axis=0) for part in parts) / len(differences)
    scatter = sum(centred.T @ centred for centred in (differences[part] - mean for part in parts))
    variances, axes = eigh(scatter, overwrite_a=True)
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
    users, and the adaptation set is the validation pairs; where there are none, it is the pairs of a quarter of the
    training prompts, which give no directions then, or of the only prompt, which gives both.

    Parameters
    ----------
    temperature : float
        What the mean loss of the pairs is divided by. The released code sums the losses of 15 pairs (5 in one
        experiment), which is a temperature of 1/15; a sum over all validation pairs would leave one direction.
    """

    temperature: float = 1 / 15

    who: ClassVar[str] = "decomposed"

    def __post_init__(self) -> None:
        number("temperature", self.temperature, 1e-6, 1e6)

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Find the directions, then weigh them on the adaptation set."""
        self.scaling = Scaling.of(pairs.embeddings)
        training, adaptation = self._parts(pairs, rng)
        rows = self.scaling.lazily(training.embeddings, self.who)
        self.directions = directions(Differences(rows, training.chosen, training.rejected))
        normal, losses = self._measured(adaptation)
        self.shares = np.asarray(softmax(-losses / self.temperature)) if losses.size else losses
        self.weights = self.directions @ (normal * (self.shares[0] - self.shares[1]))
        return self

    def _parts(self, pairs: PreferencePairs, rng: np.random.Generator) -> tuple[PreferencePairs, PreferencePairs]:
        """Return the pairs that give directions and those that weigh them."""
        if pairs.validation:
            return pairs, pairs.validation
        prompts = rng.permutation(np.unique(pairs.prompt))
        if len(prompts) == 1:
            return pairs, pairs
        held = np.isin(pairs.prompt, prompts[: max(round(len(prompts) / 4), 1)])
        return taken(pairs, ~held), taken(pairs, held)

    def _measured(self, pairs: PreferencePairs) -> tuple[np.ndarray, np.ndarray]:
        """Return what normalises each direction, ``(n_directions,)``, and both signs' mean loss, ``(2, n_directions)``.

        The factor is 1 / deviation over chosen and rejected responses, and 0 where they do not vary.
        """
        sums, squares = np.zeros((2, self.directions.shape[1]))
        for projected in self._projected(pairs):
            sums += projected.sum(axis=(0, 1))
            squares += np.square(projected).sum(axis=(0, 1))
        n = 2 * len(pairs)
        deviation = np.sqrt(np.maximum(squares / n - (sums / n) ** 2, 0))
        normal = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 1e-6)
        losses = np.zeros((2, len(normal)))
        for won, lost in self._projected(pairs):
            margins = (won - lost) * normal
            losses += [np.logaddexp(0, -sign * margins).sum(axis=0) / len(pairs) for sign in (1, -1)]
        return normal, losses

    def _projected(self, pairs: PreferencePairs) -> Iterator[np.ndarray]:
        """Yield the rewards of chosen and rejected responses along each direction, ``(2, n_some, n_directions)``."""
        rows = self.scaling.lazily(pairs.embeddings, self.who)
        for part in blocks(len(pairs), PAIRS):
            yield np.stack([rows[side[part]] @ self.directions for side in (pairs.chosen, pairs.rejected)])

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return w . x, w being the weighted sum of the directions; ``(n, n_features) -> (n,)``."""
        return Rows.passing(self.scaling.lazily(embeddings, self.who)).times(self.weights)
