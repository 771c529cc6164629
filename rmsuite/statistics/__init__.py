"""Statistics of clustered values; knows nothing of reward models, and needs numpy and scipy.special only."""

from rmsuite.statistics.bootstrap import Sample, estimates, paired_differences
from rmsuite.statistics.estimate import Estimate

__all__ = ["Estimate", "Sample", "estimates", "paired_differences"]
