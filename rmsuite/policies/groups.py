"""Optimizers that compare several samples of a prompt with one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from rmsuite.policies.contract import Moments, Situation, Step
from rmsuite.policies.moments import imitation, leave_one_out, of_pairs
from rmsuite.policies.settings import flag, number, whole


@dataclass(frozen=True)
class RLOO:
    """REINFORCE leave-one-out (arXiv:2402.14740; first Kool et al., 2019).

    ``A_i = v_i - mean of the other k - 1 values``, mean over the k samples. Unbiased. k samples and k rewards a prompt.

    Parameters
    ----------
    k : int
        Samples a prompt, at least 2.
    """

    k: int = 4

    def __post_init__(self) -> None:
        whole("k", self.k, 2)

    def coefficients(self, step: Step) -> np.ndarray:
        """Return the mean of each value above the others' mean times its sample's direction."""
        rows = step.sample(self.k)
        return step.ascent(rows, above_mean(step.value(rows)) * (self.k / (self.k - 1)))

    def moments(self, situation: Situation) -> Moments:
        """Return the moments, by Hoeffding's formula."""
        return leave_one_out(situation, self.k)


@dataclass(frozen=True)
class GRPO:
    """Group-relative policy optimisation (arXiv:2402.03300), on policy: one update for a batch.

    ``A_i = (v_i - mean) / (s + epsilon)``, mean and standard deviation s over the k samples of the prompt. So a
    prompt weighs the more, the less its rewards differ: the estimate is not one of the objective's slope, even up to
    a common factor. Ratio and clip of the paper are idle in the first pass over a batch, which is the only one here.
    KL is taken off the reward as for every optimizer here, not added to the loss. k samples and k rewards a prompt.

    Parameters
    ----------
    k : int
        Samples a prompt, at least 2.
    epsilon : float
        Added to the standard deviation (its divisor is k - 1), as usual trainers do.
    mean_only : bool
        Without the division (arXiv:2503.20783): (k - 1) / k times RLOO.
    """

    k: int = 4
    epsilon: float = 1e-4
    mean_only: bool = False

    def __post_init__(self) -> None:
        whole("k", self.k, 2)
        number("epsilon", self.epsilon, 1e-12, 1e12)
        flag("mean_only", self.mean_only)

    def coefficients(self, step: Step) -> np.ndarray:
        """Return the mean of each value's relative advantage times its sample's direction."""
        rows = step.sample(self.k)
        advantages = above_mean(step.value(rows))
        if not self.mean_only:
            advantages = advantages / (np.sqrt((advantages**2).sum(axis=0) / (self.k - 1)) + self.epsilon)
        return step.ascent(rows, advantages)

    def moments(self, situation: Situation) -> Moments | None:
        """Return the moments: of the mean-only form for any k, else for two samples, by enumeration of the pairs."""
        if self.mean_only:
            known, share = leave_one_out(situation, self.k), (self.k - 1) / self.k
            return Moments(known.mean * share, known.second * share**2)
        return of_pairs(situation, partial(_relative, epsilon=self.epsilon)) if self.k == 2 else None


@dataclass(frozen=True)
class BestOfKImitation:
    """Rejection fine-tuning (RAFT, arXiv:2304.06767): make the best of k samples more probable, whatever its value.

    ``1[best] - pi``: one step of imitating it by maximum likelihood. It follows no slope of the expected reward, only
    the order of values within the group; of equally good samples it takes the first. k samples and k rewards a prompt.

    Parameters
    ----------
    k : int
        Samples a prompt, at least 1 (which imitates the policy itself).
    """

    k: int = 4

    def __post_init__(self) -> None:
        whole("k", self.k, 1)

    def coefficients(self, step: Step) -> np.ndarray:
        """Return the direction of the best sample."""
        rows = step.sample(self.k)
        best = np.take_along_axis(rows, step.value(rows).argmax(axis=0)[None], axis=0)
        return step.ascent(best, np.ones(best.shape))

    def moments(self, situation: Situation) -> Moments:
        """Return the moments, by the distribution of the best of k."""
        return imitation(situation, self.k)


def above_mean(values: np.ndarray) -> np.ndarray:
    """Return values less their mean over the first axis.

    They are taken relative to the first before, so that equal values give exactly 0, and a constant that is added
    to all changes no bit where it changes no difference.
    """
    relative = values - values[0]
    return relative - relative.mean(axis=0)


def _relative(gap: np.ndarray, epsilon: float) -> np.ndarray:
    # For two samples the deviation from the mean is half the gap, and the standard deviation |gap| / sqrt 2.
    return (gap / 2) / (np.abs(gap) / np.sqrt(2) + epsilon)
