"""Linear Bradley-Terry: P(chosen over rejected) = sigmoid(w . (x_chosen - x_rejected))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.bradley_terry import BradleyTerry
from rmsuite_baselines.linear import LinearReward
from rmsuite_baselines.logistic import Margins


@dataclass
class BradleyTerryLinear(LinearReward, BradleyTerry):
    """Linear Bradley-Terry on standardised embeddings, at the exact optimum of each penalty of a path.

    Parameters
    ----------
    penalties
        See ``linear.LinearReward``.
    """

    who: ClassVar[str] = "bt-linear"

    def _margins(self, pairs: PreferencePairs) -> Margins:
        return differences(pairs.chosen, pairs.rejected)


def differences(chosen: np.ndarray, rejected: np.ndarray) -> Margins:
    """Return the reward of the chosen minus that of the rejected response of each pair."""
    weight = np.full(len(chosen), 1 / max(len(chosen), 1))
    return Margins(np.stack([chosen, rejected]), np.array([[1.0], [-1.0]]), weight)
