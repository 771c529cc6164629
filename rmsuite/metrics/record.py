"""The record of a metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rmsuite.statistics import ratio
from rmsuite.tested import Answers, TestSet

Direction = Literal["larger is better", "smaller is better", "nearer 0 is better", "not ranked"]
Need = Literal["pairs", "gold", "categories", "lengths", "generators", "probability", "uncertainty", "attacks"]


@dataclass(frozen=True)
class Metric:
    """A metric as a value.

    Attributes
    ----------
    name : str
    summary : str
        What it says, and what it cannot tell.
    per_prompt : callable
        ``(test, answers) -> (n_prompts, k)`` float64: what each prompt adds to k sums. A prompt on which the metric is
        undefined adds zeros. Sums that count labels never depend on the answers, so that all methods are averaged
        alike; those that count answers by their confidence do.
    reduce : callable
        ``(..., k) -> (...)``: the metric value of added sums; NaN where they say nothing.
    low, high : float
        The range that metric values lie in, for intervals at its boundary; a single prompt may lie outside.
    chance, perfect : float
        What constant rewards reach, and what the gold itself does.
    tie_rule, tie : str
        What equal rewards are worth, in words and in one word for signatures.
    needs : tuple of str
        What a test set and the answers must have.
    direction : str
        Methods are ranked and compared only where larger or smaller is better: a distance from 0 has no paired
        difference that tells which of two is nearer, and what jumps from step to step has no standard error.
    bias : str
        Where noise moves values on average, "upwards" or "downwards"; empty if nowhere.
    percent : bool
        Whether tables print it times 100.
    version : int
        Another formula is another version.
    """

    name: str
    summary: str
    per_prompt: Callable[[TestSet, Answers], np.ndarray]
    low: float
    high: float
    chance: float
    perfect: float
    tie_rule: str
    tie: str
    needs: tuple[Need, ...]
    reduce: Callable[[np.ndarray], np.ndarray] = ratio
    direction: Direction = "larger is better"
    bias: str = ""
    percent: bool = False
    version: int = 1

    @property
    def mean(self) -> bool:
        """Whether it is a weighted mean over prompts, its sums value times weight, and weight."""
        return self.reduce is ratio

    @property
    def counts_pairs(self) -> bool:
        """Whether its items are pairs, not responses: the weights of its sums count them."""
        return self.mean and "pairs" in self.needs

    @property
    def ordered(self) -> bool:
        """Whether differences of values are tested and ranked."""
        return self.direction in ("larger is better", "smaller is better")

    def value(self, test: TestSet, answers: Answers) -> float:
        """Return the metric value on a test set; NaN where it is undefined."""
        return float(self.reduce(self.per_prompt(test, answers).sum(axis=0)))
