"""rmsuite: a benchmark for reward models on embeddings."""

from rmsuite.arrays import as_embeddings
from rmsuite.data import PreferencePairs
from rmsuite.errors import NotApplicable, RmsuiteError
from rmsuite.hookspecs import hookimpl
from rmsuite.method import Method, RewardModel

__version__ = "0.1.0"

__all__ = ["Method", "NotApplicable", "PreferencePairs", "RewardModel", "RmsuiteError", "as_embeddings", "hookimpl"]
