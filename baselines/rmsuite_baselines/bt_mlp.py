"""Siamese Bradley-Terry with a multilayer perceptron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rmsuite_baselines.bradley_terry import BradleyTerry
from rmsuite_baselines.losses import Loss, PairLoss
from rmsuite_baselines.mlp import RewardMLP


@dataclass
class BradleyTerryMLP(RewardMLP, BradleyTerry):
    """Bradley-Terry with an MLP on embeddings (arXiv:2502.04357).

    The training code that its group released has two hidden layers of 1,024 and 512, Adam at 1e-3 without weight
    decay, batches of 10,240 pairs and another early stopping; the defaults here were chosen on validation pairs.

    Parameters
    ----------
    loss, margin, smoothing, centring
        See ``losses.PairLoss``.
    """

    loss: str = "logistic"
    margin: float = 0.0
    smoothing: float = 0.0
    centring: float = 0.0

    who: ClassVar[str] = "bt-mlp"

    def _loss(self) -> Loss:
        return PairLoss(self.loss, self.margin, self.smoothing, self.centring)
