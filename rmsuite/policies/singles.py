"""Optimizers that learn from one sample a prompt; they differ in the baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite.policies.contract import Moments, Situation, Step, at
from rmsuite.policies.moments import lengths, one_sample
from rmsuite.policies.segments import Segments
from rmsuite.policies.settings import flag, number

CLIP = 5.0  # of the released ReMax: the largest difference of rewards


@dataclass(frozen=True)
class Reinforce:
    """REINFORCE without baseline (Williams, 1992, doi:10.1007/BF00992696).

    ``A = v(y)``, y drawn from pi. One sample and one reward a prompt; no hyperparameter.
    """

    def coefficients(self, step: Step) -> np.ndarray:
        """Return the value of the sample times its direction."""
        rows = step.sample()
        return step.ascent(rows, step.value(rows))

    def moments(self, situation: Situation) -> Moments:
        """Return the moments, by enumeration."""
        return one_sample(situation, situation.values)


@dataclass(frozen=True)
class MovingBaseline:
    """REINFORCE with a baseline that is one number: the moving mean of the values of earlier steps.

    ``A = v(y) - b``, ``b`` the exponentially weighted mean of the means over prompts of all steps before this one
    (weights ``decay**age``, which sum to 1), 0 in the first. It never depends on the sample that it is taken from, so
    that it adds no bias. One sample and one reward a prompt.

    Parameters
    ----------
    decay : float
        In [0, 1); 0 is the last step alone.
    """

    decay: float = 0.9

    def __post_init__(self) -> None:
        number("decay", self.decay, 0, 1 - 1e-9)

    def coefficients(self, step: Step) -> np.ndarray:
        """Return the value above the moving mean times the sample's direction."""
        rows = step.sample()
        values = step.value(rows)
        total, weight = step.kept.get("moving", (0.0, 0.0))
        baseline = total / weight if weight else 0.0
        mean = values.mean(axis=(0, 1))
        step.kept["moving"] = (self.decay * total + (1 - self.decay) * mean, self.decay * weight + 1 - self.decay)
        return step.ascent(rows, values - baseline)

    def moments(self, situation: Situation) -> Moments:
        """Return the moments with the baseline that a policy which stands still would end at: the mean value."""
        prompts, pi = situation.choices.prompts, situation.probabilities
        baseline = prompts.total(pi * situation.values).mean(axis=0)
        return one_sample(situation, situation.values - baseline)


@dataclass(frozen=True)
class ReMax:
    """ReMax (arXiv:2310.10505, its algorithm): the baseline is the value of the greedy response.

    ``A = v(y) - v(argmax pi)``. One sample, one greedy response and two rewards a prompt; no hyperparameter. It is
    unbiased, because the greedy response does not depend on the sample.

    Parameters
    ----------
    released : bool
        As the authors' trainer has it: the difference of *rewards* is clipped to +-5, and the KL term is that of the
        sampled token alone, from which no baseline is taken, ``A = clip(r(y) - r(argmax pi), -5, 5) - beta *
        log_ratio(y)``. A response of a pool is one action, so that "the current token's" KL is the response's, and
        the discount ``gamma**0`` is 1. The clip alone makes a bias, where differences exceed it.
    """

    released: bool = False

    def __post_init__(self) -> None:
        flag("released", self.released)

    def coefficients(self, step: Step) -> np.ndarray:
        """Return the value above the greedy response's times the sample's direction."""
        rows, greedy = step.sample(), step.greedy()[None]
        if not self.released:
            return step.ascent(rows, step.value(rows) - step.value(greedy))
        return step.ascent(rows, _clipped(step.reward(rows) - step.reward(greedy)) - step.penalty(rows))

    def moments(self, situation: Situation) -> Moments:
        """Return the moments, by enumeration."""
        prompts = situation.choices.prompts
        greedy = situation.greedy()
        if not self.released:
            return one_sample(situation, situation.values - prompts.spread(at(situation.values, greedy)))
        gap = situation.rewards - prompts.spread(at(situation.rewards, greedy))
        return one_sample(situation, _clipped(gap) - situation.beta * situation.log_ratio)


@dataclass(frozen=True)
class OptimalBaseline:
    """REINFORCE with the baseline of least variance: what no baseline can beat (Greensmith et al., JMLR 5, 2004).

    ``A = v(y) - E[|g|^2 v] / E[|g|^2]``, ``g = 1[y] - pi``, both means exact. So it asks for the rewards of all
    responses of a prompt, which only a pool allows: a floor to compare with. One sample; no hyperparameter.
    """

    def coefficients(self, step: Step) -> np.ndarray:
        """Return the value above the optimal baseline times the sample's direction."""
        rows, values = step.sample(), step.value(step.every())
        return step.ascent(rows, at(_above_best(step.choices.prompts, step.probabilities, values), rows))

    def moments(self, situation: Situation) -> Moments:
        """Return the moments, by enumeration."""
        best = _above_best(situation.choices.prompts, situation.probabilities, situation.values)
        return one_sample(situation, best)


def _clipped(differences: np.ndarray) -> np.ndarray:
    return np.clip(differences, -CLIP, CLIP)


def _above_best(prompts: Segments, pi: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values less the baseline of each prompt; equal values become exactly 0."""
    values = values - prompts.spread(values[prompts.starts])
    weights = pi * lengths(prompts, pi)
    total, weight = prompts.total(weights * values), prompts.total(weights)
    best = np.divide(total, weight, out=prompts.total(pi * values), where=weight > 0)
    return values - prompts.spread(best)
