"""The baseline methods, an ordinary plugin, and their stored results."""

from pathlib import Path

import rmsuite
from rmsuite_baselines.bt_linear import BradleyTerryLinear
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.mean_difference import MeanDifference


@rmsuite.hookimpl
def rmsuite_methods() -> list[rmsuite.Method]:
    """Offer the baselines."""
    return [
        rmsuite.Method(
            name="mean-difference",
            make=MeanDifference,
            summary="projection on the mean of chosen minus rejected embeddings",
            reference="the first moment of arXiv:2502.13131",
        ),
        rmsuite.Method(
            name="bt-linear",
            make=BradleyTerryLinear,
            summary="linear Bradley-Terry at its exact optimum, L2 chosen on validation pairs",
            reference="Bradley and Terry 1952",
        ),
        rmsuite.Method(
            name="bt-mlp",
            make=BradleyTerryMLP,
            summary="Siamese Bradley-Terry with a multilayer perceptron, Adam, early stopping",
            reference="arXiv:2502.04357",
        ),
    ]


@rmsuite.hookimpl
def rmsuite_results() -> list[Path]:
    """Offer the stored results that tables show beside new ones."""
    return [Path(__file__).parent / "results"]
