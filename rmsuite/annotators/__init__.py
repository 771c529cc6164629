"""Annotators: who decides, for each training pair, which response is chosen.

An annotator sees gold rewards (or human pairs, or raters' votes) and gives labels; a method sees the labels only. A
label fixes an annotator's rule for good: what is changed gets another name, or a parameter whose default is the old
rule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rmsuite.annotators import composed, single
from rmsuite.annotators.base import ABSTAINED, FIRST, SECOND, TIE, Annotator, Offered, sides
from rmsuite.errors import TaskError, unknown_name
from rmsuite.method import parse

__all__ = ["ABSTAINED", "ANNOTATORS", "FIRST", "SECOND", "TIE", "Annotator", "Offered", "annotator", "sides"]


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
    >>> annotator("majority[of=flip[rate=0.3],k=5]").label
    'majority[k=5,of=flip[rate=0.3]]'
    """
    name, parameters = parse(str(text))
    if name not in ANNOTATORS:
        raise unknown_name("annotator", name, ANNOTATORS, "see `rmsuite list annotators`")
    make = ANNOTATORS[name]
    try:
        return (partial(make, annotator) if name in COMPOSED else make)(**parameters)
    except TypeError as error:
        raise TaskError(who=f"annotator {text!r}", expected="known parameters", got=str(error), do="mend it") from None


COMPOSED: dict[str, Callable[..., Annotator]] = {
    "abstaining": composed.abstaining,
    "length-biased": composed.length_biased,
    "majority": composed.majority,
    "tie-giving": composed.tie_giving,
}
ANNOTATORS: dict[str, Callable[..., Annotator]] = {
    "human": single.human,
    "perfect": single.perfect,
    "bradley-terry": single.bradley_terry,
    "flip": single.flip,
    "crowd": single.crowd,
    "votes": single.votes,
    **COMPOSED,
}
