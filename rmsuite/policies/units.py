"""What rewards are counted in, so that those of two models, and of gold, can be compared and one beta fits all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite.policies.segments import Segments


@dataclass(frozen=True)
class Unit:
    """The scale of rewards under a uniform reference, as of the prompts that policies train on.

    ``size`` is the root of the mean variance of rewards *within* a prompt: where prompts lie to one another no policy
    can change, and pairs do not tell. So one unit is what a typical response of a prompt differs by from the prompt's
    mean. Rewards are scaled and not shifted: to take their mean away would give every optimizer a baseline, those too
    that are to do without one. Where a reward model has its zero, which pairs do not tell either, is part of what an
    optimizer has to cope with.
    """

    size: float

    @classmethod
    def of(cls, offsets: np.ndarray, rewards: np.ndarray) -> Unit:
        """Return the unit of finite rewards ``(n_responses,)``; its size is 1 where no two of a prompt differ.

        Examples
        --------
        >>> Unit.of(np.array([0, 2, 4]), np.array([1.0, 3.0, 7.0, 9.0]))
        Unit(size=1.0)
        """
        prompts = Segments(offsets)
        largest = float(np.abs(rewards).max()) or 1.0  # squares of huge rewards are not finite
        shares = np.asarray(rewards, np.float64) / largest
        shares = shares - prompts.spread(shares[prompts.starts])  # equal ones become exactly 0
        variance = prompts.mean((shares - prompts.spread(prompts.mean(shares))) ** 2)
        size = float(np.sqrt(variance.mean())) * largest
        return cls(size if size > 0 else 1.0)

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """Return rewards in this unit, float64."""
        return np.asarray(rewards, np.float64) / self.size
