"""rmsuite: a benchmark for reward models on embeddings."""

from rmsuite.annotators import Annotator
from rmsuite.arrays import as_embeddings
from rmsuite.data import AttributePairs, PreferencePairs, Ratings
from rmsuite.embedders import Embedder
from rmsuite.errors import NotApplicable, RmsuiteError
from rmsuite.hookspecs import hookimpl
from rmsuite.method import MemberRewards, Method, PreferenceProbability, RewardModel, RewardUncertainty
from rmsuite.optimizers import PolicyOptimizer
from rmsuite.version import __version__

__all__ = [
    "Annotator",
    "AttributePairs",
    "Embedder",
    "MemberRewards",
    "Method",
    "NotApplicable",
    "PolicyOptimizer",
    "PreferencePairs",
    "PreferenceProbability",
    "Ratings",
    "RewardModel",
    "RewardUncertainty",
    "RmsuiteError",
    "__version__",
    "as_embeddings",
    "hookimpl",
]
