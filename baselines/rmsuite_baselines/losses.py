"""Losses of preference pairs, as functions of rewards.

Each takes the rewards of the distinct responses of a batch, ``(n,)`` or ``(n, n_heads)``, and for each pair the rows
of its chosen and of its rejected response; some also take weights of the pairs. It returns the mean over pairs, summed
over heads, and the slope with respect to each reward, in the shape of the rewards: a response in several pairs gathers
their slopes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from rmsuite_baselines.parameters import choice, number

Loss = Callable[..., tuple[float, np.ndarray]]


@dataclass(frozen=True)
class PairLoss:
    """A loss of the difference of the two rewards, and a pull of rewards towards zero.

    Parameters
    ----------
    kind : {"logistic", "hinge"}
        -log sigmoid(difference - margin), which is Bradley-Terry, or max(0, margin - difference).
    margin : float
        By how much a chosen response has to win (arXiv:2307.09288, equation 2, there by the strength of a rating;
        here one margin for all pairs); above 0 for the hinge, which would rest at equal rewards.
    smoothing : float
        How probable it is that a label is wrong: so much weight is given to the loss of the opposite label. For the
        logistic kind only.
    centring : float
        Weight of the squared mean, over the pairs of a batch, of chosen plus rejected reward: a batch is to sum to
        zero (arXiv:2505.07271; its released code squares the mean over the responses of a batch, with a weight that
        is multiplied by the number of pairs: a quarter of that product is the weight here).

    Raises
    ------
    RmsuiteError
        If one of them is out of its range.
    """

    kind: str = "logistic"
    margin: float = 0.0
    smoothing: float = 0.0
    centring: float = 0.0

    def __post_init__(self) -> None:
        hinge = choice("loss", self.kind, ("logistic", "hinge")) == "hinge"
        of = " of the hinge" if hinge else ""
        number(f"margin{of}", self.margin, 1e-6 if hinge else 0, 1e6)
        number(f"smoothing{of}", self.smoothing, 0, 0 if hinge else 0.5)
        number("centring", self.centring, 0, 1e6)

    def __call__(
        self, rewards: np.ndarray, chosen: np.ndarray, rejected: np.ndarray, weight: np.ndarray | float = 1.0
    ) -> tuple[float, np.ndarray]:
        """Return the loss and its slope with respect to each reward.

        ``weight``, ``(n_pairs,)`` or ``(n_pairs, n_heads)`` as the rewards, multiplies the loss of each pair; the pull
        towards zero has none.
        """
        won, lost, n_pairs = rewards[chosen], rewards[rejected], len(chosen)
        value, slope = (self._hinge if self.kind == "hinge" else self._logistic)(won - lost)
        value, slope = weight * value, weight * slope
        centre = (won + lost).mean(axis=0)
        pull = 2 * self.centring * centre
        total = value.sum() / n_pairs + self.centring * np.sum(centre**2)
        return float(total), gathered(
            rewards, [(chosen, (pull + slope) / n_pairs), (rejected, (pull - slope) / n_pairs)]
        )

    def _logistic(self, difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        right, wrong = 1 - self.smoothing, self.smoothing
        value = right * np.logaddexp(0, self.margin - difference) + wrong * np.logaddexp(0, self.margin + difference)
        return value, wrong * expit(self.margin + difference) - right * expit(self.margin - difference)

    def _hinge(self, difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        short = self.margin - difference
        return np.maximum(0, short), -1.0 * (short > 0)


def point_loss(rewards: np.ndarray, chosen: np.ndarray, rejected: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the cross-entropy of labels 1 for chosen and 0 for rejected, a reward being the logit (arXiv:2411.04991).

    It is the mean over the two points of each pair.
    """
    won, lost, n_points = rewards[chosen], rewards[rejected], 2 * len(chosen)
    total = (np.logaddexp(0, -won).sum() + np.logaddexp(0, lost).sum()) / n_points
    return float(total), gathered(rewards, [(chosen, -expit(-won) / n_points), (rejected, expit(lost) / n_points)])


def gathered(rewards: np.ndarray, parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Sum slopes by row, in the shape and the precision of the rewards."""
    total = np.zeros(rewards.shape)
    for rows, slope in parts:
        np.add.at(total, rows, slope)
    return total.astype(rewards.dtype)
