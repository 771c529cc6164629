"""Logistic regression on single responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.linear import LinearReward
from rmsuite_baselines.logistic import Margins


@dataclass
class ClassifierLinear(LinearReward):
    """Chosen responses are class 1, rejected ones class 0; the reward is the logit (arXiv:2411.04991).

    There is no intercept: rewards have no origin, and each pair gives both classes the same weight. A logit is no
    Bradley-Terry reward: differences of two are not calibrated preferences, so none are stated.

    Parameters
    ----------
    penalties
        See ``linear.LinearReward``.
    """

    who: ClassVar[str] = "clf-linear"

    def _margins(self, pairs: PreferencePairs) -> Margins:
        return labels(pairs.chosen, pairs.rejected)


def labels(chosen: np.ndarray, rejected: np.ndarray) -> Margins:
    """Return the reward of each chosen and minus that of each rejected response.

    A response and its label appear once, with the weight of how often they do in the pairs.
    """
    (won, wins), (lost, losses) = (np.unique(side, return_counts=True) for side in (chosen, rejected))
    sign = np.repeat([1.0, -1.0], [len(won), len(lost)])
    weight = np.concatenate([wins, losses]) / max(2 * len(chosen), 1)
    return Margins(np.concatenate([won, lost])[None], sign[None], weight)
