"""What a better choice than the default one would gain, among base models of its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rmsuite.choice.bases import BaseModels, known

SIZES = (3.0, 6.0)  # billions of parameters: where a class of size ends and the next one begins


@dataclass(frozen=True)
class Gain:
    """The best base model of a class of size against the default one, under one method.

    ``points`` is the difference in quality, in its unit; ``relative`` the same as a share of the default's quality, NaN
    where that is not positive. ``note`` says why there is none.
    """

    method: str
    size: str
    n_models: int
    default: str = ""
    best: str = ""
    points: float = math.nan
    relative: float = math.nan
    note: str = ""


def classes(sizes: Sequence[float]) -> list[tuple[str, float, float]]:
    """Return the name and the bounds of each class; a class holds its lower bound.

    Examples
    --------
    >>> [name for name, *_ in classes((3, 6))]
    ['< 3 B', '3-6 B', '>= 6 B']
    """
    bounds = [0.0, *sorted(sizes), math.inf]
    return [(_named(low, high), low, high) for low, high in pairwise(bounds)]


def _named(low: float, high: float) -> str:
    if low == 0:
        return "all sizes" if high == math.inf else f"< {high:g} B"
    return f">= {low:g} B" if high == math.inf else f"{low:g}-{high:g} B"


def gains(bases: BaseModels, defaults: Sequence[str], sizes: Sequence[float] = SIZES) -> list[Gain]:
    """Return the gain over the default of each class of size, by method; of several defaults the best one is meant.

    The best model is found on the results that measure it, so gains lean upwards.

    Raises
    ------
    InputError
        If a default is not among the models.
    """
    chosen = known(bases.models, defaults, "default base model")
    return [
        _gain(bases, place, name, (bases.parameters >= low) & (bases.parameters < high), chosen)
        for place in range(len(bases.methods))
        for name, low, high in classes(sizes)
    ]


def _gain(bases: BaseModels, method: int, size: str, inside: np.ndarray, chosen: Sequence[int]) -> Gain:
    quality = bases.quality[:, method]
    held = [int(place) for place in np.flatnonzero(inside & ~np.isnan(quality))]
    mine = [place for place in held if place in chosen]
    bare = Gain(bases.methods[method], size, len(held))
    if not mine:
        return Gain(bare.method, size, len(held), note="no default of this size" if held else "no model of this size")
    default, best = (max(places, key=lambda place: quality[place]) for places in (mine, held))
    points = float(quality[best] - quality[default])
    relative = points / float(quality[default]) if quality[default] > 0 else math.nan
    return Gain(bare.method, size, len(held), bases.models[default], bases.models[best], points, relative)
