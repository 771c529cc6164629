"""The baseline methods and optimizers, an ordinary plugin, and the methods' stored results."""

from pathlib import Path

import rmsuite
from rmsuite import Method, PolicyOptimizer
from rmsuite_baselines.active import make_active
from rmsuite_baselines.bt_heads import BradleyTerryHeads
from rmsuite_baselines.bt_linear import BradleyTerryLinear
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.clf_linear import ClassifierLinear
from rmsuite_baselines.clf_mlp import ClassifierMLP
from rmsuite_baselines.clf_trees import ClassifierTrees
from rmsuite_baselines.decomposed import Decomposed
from rmsuite_baselines.dmoerm import DMoERM
from rmsuite_baselines.ensemble import ensemble
from rmsuite_baselines.gaussian_process import GaussianProcess
from rmsuite_baselines.laplace import LaplaceMLP
from rmsuite_baselines.mean_difference import MeanDifference
from rmsuite_baselines.optimizers import OPTIMIZERS
from rmsuite_baselines.regression import Regression
from rmsuite_baselines.warm import WeightAveraged

METHODS = (
    Method(
        "mean-difference",
        MeanDifference,
        "projection on the mean of chosen minus rejected embeddings",
        "the mean that the principal components of arXiv:2502.13131 leave out",
    ),
    Method(
        "bt-linear",
        BradleyTerryLinear,
        "linear Bradley-Terry at its exact optimum, L2 chosen on validation pairs",
        "Bradley and Terry 1952",
    ),
    Method(
        "bt-mlp",
        BradleyTerryMLP,
        "Siamese Bradley-Terry with a multilayer perceptron, Adam, early stopping",
        "arXiv:2502.04357",
    ),
    Method(
        "clf-linear",
        ClassifierLinear,
        "logistic regression on single responses, L2 chosen on validation pairs; the logit is the reward",
        "arXiv:2411.04991",
    ),
    Method(
        "clf-mlp",
        ClassifierMLP,
        "classification of single responses with a multilayer perceptron; the logit is the reward",
        "arXiv:2411.04991",
    ),
    Method(
        "clf-trees",
        ClassifierTrees,
        "gradient-boosted trees on single responses, early stopping; the log-odds are the reward",
        "arXiv:2411.04991",
    ),
    Method(
        "ensemble",
        ensemble,
        "members of any method that differ by chance; mean, median, worst case, or mean less their spread",
        "arXiv:2310.02743",
    ),
    Method(
        "bt-heads",
        BradleyTerryHeads,
        "ensemble of Bradley-Terry heads on one multilayer perceptron",
        "arXiv:2401.16635",
    ),
    Method(
        "warm",
        WeightAveraged,
        "mean of the weights of several Bradley-Terry perceptrons with one initialisation",
        "arXiv:2401.12187",
    ),
    Method(
        "dmoerm",
        DMoERM,
        "a router over task categories, and low-rank capability experts joined by an MLP within each",
        "arXiv:2403.01197",
    ),
    Method(
        "bt-laplace",
        LaplaceMLP,
        "bt-mlp with a Laplace approximation of its last layer: the same rewards, with uncertainty",
        "arXiv:2106.14806",
    ),
    Method(
        "bt-gp",
        GaussianProcess,
        "Gaussian process of rewards by random Fourier features, Laplace approximation",
        "Chu and Ghahramani 2005",
    ),
    Method(
        "decomposed",
        Decomposed,
        "principal components of chosen minus rejected embeddings, weighed on validation pairs",
        "arXiv:2502.13131",
    ),
    Method(
        "regression",
        Regression,
        "regression of attribute ratings, merged by the accuracy on validation pairs",
        "arXiv:2505.10775",
    ),
    Method(
        "active",
        make_active,
        "a base fitted on 500 of the pairs (labels=), which a rule chose to annotate without seeing a label",
        "arXiv:2502.04354",
    ),
)


@rmsuite.hookimpl
def rmsuite_methods() -> list[Method]:
    """Offer the baselines."""
    return list(METHODS)


@rmsuite.hookimpl
def rmsuite_optimizers() -> list[PolicyOptimizer]:
    """Offer the optimizers of policies."""
    return list(OPTIMIZERS)


@rmsuite.hookimpl
def rmsuite_results() -> list[Path]:
    """Offer the stored results that tables show beside new ones."""
    return [Path(__file__).parent / "results"]


@rmsuite.hookimpl
def rmsuite_references() -> list[Path]:
    """Offer the BibTeX entries of the methods' papers."""
    return [Path(__file__).with_name("references.bib")]
