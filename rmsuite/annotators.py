"""Annotators: who decides, for each training pair, which response is chosen.

An annotator sees gold rewards (or human pairs) and gives labels; a method sees the labels only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmsuite.errors import TaskError, unknown_name
from rmsuite.method import parse, spell


@dataclass(frozen=True)
class Annotator:
    """Turns gold margins into labels.

    Attributes
    ----------
    prefers_first : callable or None
        ``(margin, scale, rng) -> (n_pairs,) bool``: whether the first response is chosen; ``margin`` is its gold
        reward minus the second's, never 0, and ``scale`` the standard deviation of the gold rewards of the pool's
        training part. None: the pool's human pairs are taken as they are.
    """

    label: str
    prefers_first: Callable[[np.ndarray, float, np.random.Generator], np.ndarray] | None


def human() -> Annotator:
    """The pool's own human pairs, as they are."""
    return Annotator("human", None)


def perfect() -> Annotator:
    """The response with the larger gold reward is always chosen."""
    return Annotator("perfect", lambda margin, scale, rng: margin > 0)


def bradley_terry(quality: float = 1.0) -> Annotator:
    """P(first chosen) = sigmoid(quality * margin / scale), arXiv:2502.04357.

    The scale follows that paper's released code: the standard deviation of all gold rewards. ``quality`` is not an
    error rate; the realised agreement with gold is recorded with every result.
    """
    positive("quality", quality)

    def prefers_first(margin: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
        probability = 0.5 * (1 + np.tanh(0.5 * quality * margin / (scale + 1e-8)))  # sigmoid without overflow
        return rng.random(len(margin)) < probability

    return Annotator(spell("bradley-terry", {"quality": float(quality)}), prefers_first)


def flip(rate: float = 0.25) -> Annotator:
    """Each label of the perfect annotator is wrong with probability ``rate``, independently of the margin."""
    if not 0 <= rate <= 1:
        raise TaskError(who="annotator flip", expected="rate in [0, 1]", got=str(rate), do="change the rate")

    def prefers_first(margin: np.ndarray, _scale: float, rng: np.random.Generator) -> np.ndarray:
        return (margin > 0) ^ (rng.random(len(margin)) < rate)

    return Annotator(spell("flip", {"rate": float(rate)}), prefers_first)


ANNOTATORS: dict[str, Callable[..., Annotator]] = {
    "human": human,
    "perfect": perfect,
    "bradley-terry": bradley_terry,
    "flip": flip,
}


def positive(name: str, value: Any) -> None:
    """Refuse a parameter that is not a positive number."""
    if not (isinstance(value, int | float) and value > 0):
        raise TaskError(who=f"annotator {name}", expected="a positive number", got=repr(value), do=f"change {name}")


def annotator(text: str) -> Annotator:
    """Return the annotator that a specification names.

    Raises
    ------
    UnknownNameError
        If there is no such annotator.
    TaskError
        If a parameter is unknown or out of range.

    Examples
    --------
    >>> annotator("flip[rate=0.1]").label
    'flip[rate=0.1]'
    """
    name, parameters = parse(text)
    if name not in ANNOTATORS:
        raise unknown_name("annotator", name, ANNOTATORS, "see `rmsuite list annotators`")
    try:
        return ANNOTATORS[name](**parameters)
    except TypeError as error:
        raise TaskError(who=f"annotator {text!r}", expected="known parameters", got=str(error), do="mend it") from None
