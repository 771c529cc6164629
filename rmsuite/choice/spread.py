"""How far base models lie apart under each method, and whether methods order them alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rmsuite.choice.bases import BaseModels
from rmsuite.choice.correlations import Correlation, Draws, against
from rmsuite.choice.coverage import coverage


@dataclass(frozen=True)
class Spread:
    """Standard deviation (n - 1) over base models, of quality or of a category, and the models that it is over."""

    method: str
    of: str
    deviation: float
    n_models: int


@dataclass(frozen=True)
class Agreement:
    """Two methods over the base models that have both.

    ``difference`` is the mean of the first minus the second, ``ahead`` the models where the second is larger;
    ``correlations`` by name, each corrected for itself only, ``coverage`` (n_models,) of the first's best models by the
    second's order.
    """

    first: str
    second: str
    n_models: int
    difference: float
    ahead: tuple[str, ...]
    correlations: dict[str, Correlation]
    coverage: np.ndarray


def spreads(bases: BaseModels, quality: str = "quality") -> list[Spread]:
    """Return the spread of each category and of quality, by method."""
    columns = {**bases.categories, quality: bases.quality}
    return [
        _spread(method, name, values[:, place])
        for place, method in enumerate(bases.methods)
        for name, values in columns.items()
    ]


def _spread(method: str, name: str, values: np.ndarray) -> Spread:
    held = values[~np.isnan(values)]
    return Spread(method, name, float(held.std(ddof=1)) if len(held) > 1 else math.nan, len(held))


def agreements(bases: BaseModels, ties: str, draws: Draws) -> list[Agreement]:
    """Return how each pair of methods agrees, with intervals by resampling models."""
    return [_agreement(bases, *pair, ties, draws) for pair in combinations(range(len(bases.methods)), 2)]


def _agreement(bases: BaseModels, one: int, two: int, ties: str, draws: Draws) -> Agreement:
    both = ~np.isnan(bases.quality[:, [one, two]]).any(axis=1)
    first, second = bases.quality[both][:, [one, two]].T
    held = [name for name, there in zip(bases.models, both, strict=True) if there]
    rows = [row for row in bases.order if both[row]]  # draws go by name, not by the table's order
    found = against(bases.quality[rows, one], {"": bases.quality[rows, two]}, draws)[""]
    ahead = tuple(name for name, a, b in zip(held, first, second, strict=True) if b > a)
    difference = float((first - second).mean()) if held else math.nan
    names = bases.methods[one], bases.methods[two]
    return Agreement(*names, len(held), difference, ahead, found, coverage(second, first, ties))
