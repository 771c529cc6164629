"""The record of a metric, and the list of all metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from rmsuite.data import TestSet
from rmsuite.errors import unknown_name
from rmsuite.metrics import best_of_n, pairs, ranks

PerPrompt = Callable[[TestSet, np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Metric:
    """A metric as a value.

    Attributes
    ----------
    name : str
    summary : str
        What it says, and what it cannot tell.
    per_prompt : callable
        ``(test, rewards) -> (values, weights)``, both ``(n_prompts,)`` float64. The metric value is the weighted mean
        of the values. A prompt on which the metric is undefined, whatever the rewards, has weight 0. Weights never
        depend on the rewards, so that all methods are averaged alike.
    low, high : float
        The range that metric values lie in, for intervals at its boundary; a single prompt may lie outside.
    chance : float
        What rewards without information reach.
    tie_rule : str
        What equal rewards are worth.
    needs : "pairs" or "gold"
        Whether preferences within a prompt suffice.
    percent : bool
        Whether tables print it times 100.
    """

    name: str
    summary: str
    per_prompt: PerPrompt
    low: float
    high: float
    chance: float
    tie_rule: str
    needs: Literal["pairs", "gold"]
    direction: Literal["larger is better", "smaller is better"] = "larger is better"
    percent: bool = False


PAIR_ACCURACY = Metric(
    name="pair-accuracy",
    summary="share of the pairs of a prompt whose chosen response has the larger reward; blind to how the best "
    "response fares, and a pair with a small gold margin counts as much as one with a large margin",
    per_prompt=pairs.pair_accuracy,
    low=0.0,
    high=1.0,
    chance=0.5,
    tie_rule="equal rewards count one half",
    needs="pairs",
    percent=True,
)

SPEARMAN = Metric(
    name="spearman",
    summary="Spearman correlation of rewards with gold within a prompt, averaged over prompts; weighs the order "
    "among bad responses as much as among good ones",
    per_prompt=ranks.spearman,
    low=-1.0,
    high=1.0,
    chance=0.0,
    tie_rule="average ranks; constant rewards count 0",
    needs="gold",
)


def best_of(n: int) -> Metric:
    """Return the metric 'normalised gold reward of the best of n responses'."""
    return Metric(
        name=f"best-of-{n}",
        summary=f"gold reward of the best of {n} responses by reward, exact over all draws, random = 0 and "
        f"oracle = 1 (one minus the normalised regret); says nothing of larger n",
        per_prompt=partial(best_of_n.normalised_gain, n=n),
        low=-1.0,
        high=1.0,
        chance=0.0,
        tie_rule="equal rewards are drawn with equal chance",
        needs="gold",
    )


METRICS: tuple[Metric, ...] = (PAIR_ACCURACY, SPEARMAN, *(best_of(n) for n in (2, 4, 8, 16, 32)))


def metric(name: str) -> Metric:
    """Return the metric of that name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    for candidate in METRICS:
        if candidate.name == name:
            return candidate
    raise unknown_name("metric", name, [m.name for m in METRICS], "see `rmsuite list metrics`")


def applicable(test: TestSet) -> tuple[Metric, ...]:
    """Return the metrics that a test set has the labels for."""
    return tuple(m for m in METRICS if m.needs == "pairs" or test.gold is not None)
