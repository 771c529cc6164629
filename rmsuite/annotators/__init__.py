"""Annotators: who decides, for each training pair, which response is chosen.

An annotator sees gold rewards (or human pairs, or raters' votes) and gives labels; a method sees the labels only. A
label fixes an annotator's rule for good: what is changed gets another name, or a parameter whose default is the old
rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rmsuite.annotators import composed, single
from rmsuite.annotators.base import ABSTAINED, FIRST, SECOND, TIE, ConfiguredAnnotator, Offered, sides
from rmsuite.annotators.plugged import Annotator, Plugged
from rmsuite.errors import TaskError, clash, unknown_name
from rmsuite.method import chosen_parameters, parameters_of, parse

DEPTH = 6  # of annotators built over one another
__all__ = [
    "ABSTAINED",
    "ANNOTATORS",
    "BUILT_IN",
    "FIRST",
    "SECOND",
    "TIE",
    "Annotator",
    "AnnotatorBook",
    "ConfiguredAnnotator",
    "Offered",
    "Plugged",
    "annotator",
    "sides",
]


@dataclass(frozen=True)
class AnnotatorBook:
    """All annotators at hand: those of rmsuite, and ``plugged``, those of plugins.

    ``advice`` is what the error for an unknown name tells the reader to do.
    """

    plugged: tuple[Plugged, ...] = ()
    advice: str = "see `rmsuite list annotators`"

    def annotator(self, text: str) -> ConfiguredAnnotator:
        """Return the annotator that a specification names.

        Raises
        ------
        UnknownNameError
            If there is no such annotator, or a plugin's has no such parameter.
        PluginError
            If two plugins offer it.
        TaskError
            If a parameter of a built-in one is unknown, or one is out of range.
        ContractError
            If a plugin's breaks what it promises.
        """
        if str(text).count("[") > DEPTH:
            who, expected = f"annotator {str(text)[:40]!r}...", f"at most {DEPTH} annotators within one another"
            raise TaskError(who=who, expected=expected, got=f"{str(text).count('[')}", do="compose fewer")
        name, parameters = parse(str(text))
        if name in COMPOSED:
            return self._composed(name, text, parameters)
        if name in ANNOTATORS:
            return _made(ANNOTATORS[name], text, parameters)
        found = [one for one in self.plugged if one.annotator.name == name]
        if not found:
            known = {*ANNOTATORS, *(one.annotator.name for one in self.plugged)}
            raise unknown_name("annotator", name, known, self.advice)
        if len(found) > 1:
            raise clash("annotator", name, [(one.plugin, one.origin) for one in found])
        return found[0].configured(parameters)

    def _composed(self, name: str, text: str, parameters: Mapping[str, Any]) -> ConfiguredAnnotator:
        """Return an annotator over another one, which may be a plugin's: then it says whose."""
        inner: list[ConfiguredAnnotator] = []

        def find(of: str) -> ConfiguredAnnotator:
            inner.append(self.annotator(of))
            return inner[-1]

        made = _made(COMPOSED[name], text, {"find": find, **parameters})
        source, code = ("+".join(sorted({getattr(one, key) for one in inner})) for key in ("source", "code"))
        return replace(made, source=source, code=code)


def _made(make: Callable[..., ConfiguredAnnotator], text: str, parameters: Mapping[str, Any]) -> ConfiguredAnnotator:
    name = parse(text)[0]
    do = f"see `rmsuite info {name}`"
    known, given = ({k: v for k, v in some.items() if k != "find"} for some in (parameters_of(make), parameters))
    chosen_parameters(f"annotator {name!r}", do, known, given)
    try:
        return make(**parameters)
    except TypeError as error:
        raise TaskError(who=f"annotator {text!r}", expected="known parameters", got=str(error), do=do) from None


def annotator(text: str) -> ConfiguredAnnotator:
    """Return the annotator of rmsuite that a specification names; raises as ``AnnotatorBook`` does.

    Examples
    --------
    >>> annotator("flip[rate=0.1]").label
    'flip[rate=0.1]'
    >>> annotator("majority[of=flip[rate=0.3],k=5]").label
    'majority[k=5,of=flip[rate=0.3]]'
    """
    return BUILT_IN.annotator(text)


# Their first parameter finds another annotator by its specification.
COMPOSED: dict[str, Callable[..., ConfiguredAnnotator]] = {
    "abstaining": composed.abstaining,
    "length-biased": composed.length_biased,
    "majority": composed.majority,
    "tie-giving": composed.tie_giving,
}
ANNOTATORS: dict[str, Callable[..., ConfiguredAnnotator]] = {
    "human": single.human,
    "perfect": single.perfect,
    "bradley-terry": single.bradley_terry,
    "flip": single.flip,
    "crowd": single.crowd,
    "votes": single.votes,
    **COMPOSED,
}
BUILT_IN = AnnotatorBook()
