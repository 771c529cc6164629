"""What every reward model that combines the rewards of members shares: the rules of combination, and its powers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite_baselines.parameters import choice, number

RULES = ("mean", "median", "wco", "uwo", "lcb")


@dataclass(frozen=True)
class Rule:
    """How the rewards of members become one reward.

    Three are those of arXiv:2310.02743: ``mean``; ``wco``, the worst case, which is the least reward; and ``uwo``,
    (1/k) sum_i R_i - weight (1/k) sum_i (R_i - mean)^2. The variance has the divisor k, as in the paper; of its
    released code one part does so, and another divides by k - 1. ``lcb`` takes the standard deviation in place of the
    variance, which makes it a lower confidence bound in the unit of the rewards; ``median`` is blind to a minority of
    odd members.

    Parameters
    ----------
    kind : {"mean", "median", "wco", "uwo", "lcb"}
        See above.
    weight : float
        Of the variance or of the standard deviation; the other rules have no use for it.

    Raises
    ------
    RmsuiteError
        If one of them is out of its range.
    """

    kind: str = "mean"
    weight: float = 0.5

    def __post_init__(self) -> None:
        choice("rule", self.kind, RULES)
        number("weight", self.weight, 0, 1e6)

    def __call__(self, members: np.ndarray) -> np.ndarray:
        """Combine; ``(n_members, n) -> (n,)``."""
        if self.kind == "median":
            return np.asarray(np.median(members, axis=0))
        if self.kind == "wco":
            return np.asarray(members.min(axis=0))
        penalty = {"mean": 0.0, "uwo": members.var(axis=0), "lcb": members.std(axis=0)}[self.kind]
        return np.asarray(members.mean(axis=0) - self.weight * penalty)


class Members:
    """Rewards by the rule ``rule`` with the weight ``weight``, and how far the members are apart."""

    rule: str
    weight: float

    def member_rewards(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the rewards of each member, on one scale with one origin; ``(n, n_features) -> (n_members, n)``."""
        raise NotImplementedError

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Combine the rewards of the members; ``(n, n_features) -> (n,)``."""
        return Rule(self.rule, self.weight)(self.member_rewards(embeddings))

    def uncertainty(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the standard deviation over members (divisor: their number), ``(n,)``."""
        return np.asarray(self.member_rewards(embeddings).std(axis=0))
