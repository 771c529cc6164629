"""Classification of single responses with a multilayer perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rmsuite_baselines.losses import Loss, point_loss
from rmsuite_baselines.mlp import RewardMLP


@dataclass
class ClassifierMLP(RewardMLP):
    """Chosen responses are class 1, rejected ones class 0; the reward is the logit (arXiv:2411.04991).

    A logit is no Bradley-Terry reward: differences of two are not calibrated preferences, so none are stated.
    """

    who: ClassVar[str] = "clf-mlp"

    def _loss(self) -> Loss:
        return point_loss
