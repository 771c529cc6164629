"""Statistics of clustered values; knows nothing of reward models, and needs numpy and scipy.special only.

``bootstrap`` resamples clusters; ``intervals`` makes intervals of it; ``resample`` ties both to estimates and paired
differences; ``comparisons`` tests, corrects, groups and ranks; ``variance`` splits uncertainty; ``aggregates`` combine
tasks; ``crossing`` finds where curves reach a level; ``simulation`` measures whether the intervals keep their word.
"""

from rmsuite.statistics.bootstrap import Sample, mean_sample, ratio
from rmsuite.statistics.comparisons import holm, p_value, permutation_p, separable_pairs, standings
from rmsuite.statistics.crossing import Draws, Reached, reached
from rmsuite.statistics.estimate import Difference, Estimate, Variance
from rmsuite.statistics.resample import LEVEL, N_DRAWS, Resampled, estimates, resample
from rmsuite.statistics.variance import crossed_mean, two_way

__all__ = [
    "LEVEL",
    "N_DRAWS",
    "Difference",
    "Draws",
    "Estimate",
    "Reached",
    "Resampled",
    "Sample",
    "Variance",
    "crossed_mean",
    "estimates",
    "holm",
    "mean_sample",
    "p_value",
    "permutation_p",
    "ratio",
    "reached",
    "resample",
    "separable_pairs",
    "standings",
    "two_way",
]
