"""From cells to what statistics resample: one column a method, one cluster a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rmsuite import seeds
from rmsuite.metrics import Metric
from rmsuite.reports.cells import Group
from rmsuite.results import CellRecord
from rmsuite.statistics import (
    Estimate,
    Resampled,
    Sample,
    Variance,
    p_value,
    ratio,
    resample,
    separable_pairs,
    standings,
    two_way,
)
from rmsuite.statistics.bootstrap import Reduce
from rmsuite.statistics.comparisons import Standings, detectable


@dataclass(frozen=True, eq=False)
class Column:
    """One metric of one task, for all methods that have it; everything compared shares the resampled prompts."""

    metric: Metric
    methods: tuple[str, ...]
    resampled: Resampled

    def index(self, method: str) -> int:
        """Return the position of a method."""
        return self.methods.index(method)

    @property
    def larger_is_better(self) -> bool:
        """The metric's direction."""
        return self.metric.direction == "larger is better"

    def value(self, method: str) -> float:
        """Return a method's value; NaN if it has none."""
        return float(self.resampled.sample.value[self.index(method)]) if method in self.methods else np.nan

    def estimates(self) -> dict[str, Estimate]:
        """Return each method's estimate."""
        return {method: self.resampled.estimate(i) for i, method in enumerate(self.methods)}

    def difference(self, first: str, second: str) -> Estimate:
        """Return the paired difference of two methods."""
        return self.resampled.difference(self.index(first), self.index(second))

    def p(self, first: str, second: str) -> float:
        """Return the p value of the paired difference of two methods."""
        return p_value(self.resampled.difference_evidence(self.index(first), self.index(second)))

    def p_values(self, methods: Sequence[str]) -> np.ndarray:
        """Return the symmetric matrix of the p values of all pairs, 1 on its diagonal."""
        p = np.ones((len(methods), len(methods)))
        for (i, first), (j, second) in combinations(enumerate(methods), 2):
            p[i, j] = p[j, i] = self.p(first, second)
        return p

    def standings(self, methods: Sequence[str]) -> Standings:
        """Return where the given methods stand among one another."""
        values = [self.value(method) for method in methods]
        return standings(values, separable_pairs(self.p_values(methods)), self.larger_is_better)

    def detectable(self, pairs: Sequence[tuple[str, str]]) -> float:
        """Return the median minimum detectable effect of these pairs of methods; NaN if none differ."""
        found = [self.resampled.difference_evidence(self.index(a), self.index(b)) for a, b in pairs]
        effects = [effect for e in found if np.isfinite(effect := detectable(e))]  # of twins there is none
        return float(np.median(effects)) if effects else np.nan


def column(task: str, groups: Mapping[str, Group], metric: Metric) -> Column | None:
    """Return the column of a metric over whole groups with equal repetitions; None if no method has it."""
    found = {method: cells for method, cells in groups.items() if all(metric.name in cell.arrays for cell in cells)}
    defined = {method: cells for method, cells in found.items() if np.isfinite(repetition_values(cells, metric)).all()}
    if not defined:
        return None
    rng = seeds.generator(0, "bootstrap", task=task)
    return Column(metric, tuple(defined), resample(_sample(list(defined.values()), metric), rng))


def _sample(groups: Sequence[Group], metric: Metric) -> Sample:
    first = groups[0][0]
    n_items = _n_items(first, metric)
    n_repetitions = len(groups[0])
    sums = np.stack([np.stack([cell.arrays[metric.name] for cell in cells]) for cells in groups])
    if metric.mean:  # the weights of all repetitions are equal: their mean is one weighted mean
        return Sample(sums.mean(axis=1), metric.low, metric.high, n_items, n_repetitions)
    side_by_side = np.concatenate(np.moveaxis(sums, 1, 0), axis=-1)
    reduce = _mean_over_repetitions(metric.reduce, n_repetitions)
    return Sample(side_by_side, metric.low, metric.high, n_items, n_repetitions, reduce)


def _mean_over_repetitions(reduce: Reduce, n: int) -> Reduce:
    return lambda sums: np.asarray(reduce(sums.reshape(*sums.shape[:-1], n, -1)).mean(axis=-1))


def _n_items(cell: CellRecord, metric: Metric) -> int:
    return int(cell.arrays[metric.name][:, 1].sum() if metric.counts_pairs else cell.facts["n_test_responses"])


def repetition_values(cells: Sequence[CellRecord], metric: Metric) -> np.ndarray:
    """Return the metric value of each repetition, ``(n_repetitions,)``."""
    return metric.reduce(np.stack([cell.arrays[metric.name].sum(axis=0) for cell in cells]))


def spread(cells: Sequence[CellRecord], metric: Metric) -> Variance | None:
    """Return the variance components of a method's value; None with a single repetition or prompt."""
    sums = np.stack([cell.arrays[metric.name] for cell in cells])
    reduce = ratio if metric.mean else metric.reduce
    sample = Sample(sums, metric.low, metric.high, 0, 1, reduce)
    said = sample.active.any(axis=0)
    if len(cells) < 2 or np.count_nonzero(said) < 2:
        return None
    return two_way(sample.value, sample.influence[:, said])
