"""Policies that are not trained: what rewards make of the reference, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from rmsuite.policies.choices import Choices
from rmsuite.policies.contract import reward_columns
from rmsuite.policies.moments import best_of
from rmsuite.policies.settings import number, whole


@runtime_checkable
class ClosedForm(Protocol):
    """A policy that follows from reference and rewards; a frozen dataclass whose fields are its hyperparameters."""

    def log_probabilities(self, choices: Choices, rewards: np.ndarray) -> np.ndarray:
        """Return log pi in nats, -inf for none, ``(n_responses, n_seeds)``.

        ``rewards`` is of that shape, or ``(n_responses,)`` for one seed; not finite ones are a ``ContractError``.
        """
        ...


@dataclass(frozen=True)
class BestOf:
    """The best, by reward, of n independent responses of the reference (arXiv:2401.01879).

    ``P(y) = ref(y) / ref(ties of y) * (ref(r <= r_y)^n - ref(r < r_y)^n)``: of equally rewarded draws the first is
    taken. Draws are with replacement; best-of-n metrics draw from a pool without. Its KL to the reference is at most
    ``log n - (n - 1) / n``.

    Parameters
    ----------
    n : int
        Draws, at least 1 (the reference itself).
    """

    n: int = 16

    def __post_init__(self) -> None:
        whole("n", self.n, 1)

    def log_probabilities(self, choices: Choices, rewards: np.ndarray) -> np.ndarray:
        """Return the distribution of the one that is taken."""
        rewards = _columns(choices, rewards)
        reference = np.broadcast_to(choices.reference[:, None], rewards.shape)
        with np.errstate(divide="ignore"):
            return np.log(best_of(choices.prompts, reference, rewards, self.n))


@dataclass(frozen=True)
class Optimum:
    """The policy that maximises ``E[reward] - beta * KL(pi || reference)``: in proportion to ``ref * exp(r / beta)``.

    (arXiv:2305.18290.) No other distribution on the pool has a larger objective. With ``beta`` 0 it is
    the limit: the reference among the responses of the largest reward that it gives at all.

    Parameters
    ----------
    beta : float
        What a nat of KL costs, in units of reward; at least 0.
    """

    beta: float = 0.1

    def __post_init__(self) -> None:
        number("beta", self.beta, 0, 1e300)

    def log_probabilities(self, choices: Choices, rewards: np.ndarray) -> np.ndarray:
        """Return the optimum."""
        prompts, log_reference = choices.prompts, choices.log_reference[:, None]
        given = np.where(log_reference > -np.inf, _columns(choices, rewards), -np.inf)
        short = prompts.spread(prompts.largest(given)) - given  # of the best, at least 0
        if self.beta:
            with np.errstate(over="ignore"):
                lost = short / self.beta
        else:
            lost = np.where(short > 0, np.inf, 0)
        return prompts.log_softmax(log_reference - lost)


def _columns(choices: Choices, rewards: np.ndarray) -> np.ndarray:
    n_seeds = rewards.shape[1] if rewards.ndim == 2 else 1
    return reward_columns(rewards, choices.n_responses, n_seeds, who="the optimised model")
