"""What an annotator is put before, and what it may answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmsuite.data import Votes
from rmsuite.errors import TaskError

MOST = 1_000  # raters, or judgements of a pair: more change nothing but the memory that they take
FIRST, SECOND, TIE, ABSTAINED = 1, -1, 0, 2  # answers, as int8


@dataclass(frozen=True, eq=False)
class Offered:
    """Pairs that are put before an annotator, in random orientation.

    Attributes
    ----------
    margin : (n_pairs,) float64
        Gold reward of the first response minus that of the second; never 0 as it is drawn.
    scale : float
        Standard deviation of the gold rewards of the pool's training part.
    length : (n_pairs, 2) float64
        Lengths of the two responses, in the pool's unit.
    response : (n_pairs, 2) int
        Their rows in the pool, for annotators that look into ``votes``.
    votes : Votes or None
        The pool's votes of single raters.
    """

    margin: np.ndarray
    scale: float
    length: np.ndarray
    response: np.ndarray
    votes: Votes | None = None

    def __len__(self) -> int:
        return len(self.margin)


Judge = Callable[[Offered, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class ConfiguredAnnotator:
    """An annotator with its parameters: it says of each pair which response is chosen.

    Attributes
    ----------
    label : str
        Its specification in one canonical spelling, which ``annotator`` reads back.
    judge : callable or None
        ``(offered, rng) -> (n_pairs,) int8`` of ``FIRST``, ``SECOND``, ``TIE``, ``ABSTAINED``. None: the pool's human
        pairs are taken as they are.
    decisive : bool
        Whether it never answers ``TIE`` or ``ABSTAINED``.
    source, code : str
        Of a plugin's annotator, or one built over it: where it comes from, and the start of the sha256 of its code,
        which tells two of one name apart. "" for those of rmsuite.
    """

    label: str
    judge: Judge | None
    decisive: bool = True
    source: str = ""
    code: str = ""


def sides(first: np.ndarray) -> np.ndarray:
    """Return answers from whether the first response is chosen."""
    return np.where(first, FIRST, SECOND).astype(np.int8)


def number(who: str, name: str, value: Any, low: float, high: float, words: str, *, open_: bool = False) -> float:
    """Return a parameter as a float, or refuse it.

    Raises
    ------
    TaskError
        If it is no number within [low, high], or (low, high] if ``open_``.
    """
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not (right and (low < value if open_ else low <= value) and value <= high):
        raise TaskError(who=f"annotator {who}", expected=f"{name} = {words}", got=repr(value), do=f"change {name}")
    return float(value)


def positive(who: str, name: str, value: Any) -> float:
    """Return a positive parameter, infinity included, or refuse it."""
    return number(who, name, value, 0, np.inf, "a positive number", open_=True)


def share(who: str, name: str, value: Any) -> float:
    """Return a probability, or refuse it."""
    return number(who, name, value, 0, 1, "a number in [0, 1]")


def whole(who: str, name: str, value: Any) -> int:
    """Return a count of 1 to ``MOST``, or refuse it.

    Raises
    ------
    TaskError
        If it is none.
    """
    if type(value) is not int or not 1 <= value <= MOST:
        expected = f"{name} = a whole number from 1 to {MOST:,}"
        raise TaskError(who=f"annotator {who}", expected=expected, got=repr(value), do=f"change {name}")
    return value
