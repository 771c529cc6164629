"""The table that everything here is about: base models by methods, and the quality of the reward models made of them.

It may be read from a file of results, or filled from runs of methods: what analyses it asks for nothing else.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rmsuite.choice import names
from rmsuite.errors import InputError

PARAMETERS = "parameters"


@dataclass(frozen=True)
class Step:
    """A checkpoint that was trained from another one, and what a method made of it.

    ``after`` is the model that it was trained from, empty where that is not known; ``stage`` says how. ``values`` are
    those of the categories and, last, the quality; NaN where one is missing.
    """

    model: str
    method: str
    stage: str
    after: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class BaseModels:
    """Base models by methods.

    Attributes
    ----------
    source : str
        What the table is called.
    metric : str
        What quality is, in words with its unit; larger is better.
    models, methods : tuple of str
        In the table's order, which some rules of ties go by.
    quality : ndarray (n_models, n_methods)
        NaN where it is not known.
    parameters : ndarray (n_models,)
        In billions; NaN where it is not known.
    families : tuple of str
        A name a model; models of one family are left out together. Empty where it is not known.
    facts : mapping of str to ndarray (n_models,)
        What else is known of the base models before any benchmark, for instance pre-training tokens.
    categories : mapping of str to ndarray (n_models, n_methods)
        What quality is the mean of, where that is known.
    defaults : tuple of str
        The models that one would take without a study.
    steps : tuple of Step
        Post-training; may name models that are not in the table.
    notes : tuple of str
        What was merged, left out or is missing, in words, with counts.
    citation, licence : str
        Where the figures come from, empty if from here.
    aliases : mapping of str to str
        Under which name scores are looked up where there are none under the model's own.
    """

    source: str
    metric: str
    models: tuple[str, ...]
    methods: tuple[str, ...]
    quality: np.ndarray
    parameters: np.ndarray
    families: tuple[str, ...]
    facts: Mapping[str, np.ndarray] = field(default_factory=dict)
    categories: Mapping[str, np.ndarray] = field(default_factory=dict)
    defaults: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()
    citation: str = ""
    licence: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, shape = len(self.models), (len(self.models), len(self.methods))
        wrong = [name for name, one in self.categories.items() if one.shape != shape]
        wrong += [name for name, one in {"parameters": self.parameters, **self.facts}.items() if one.shape != (n,)]
        wrong += ["quality"] * (self.quality.shape != shape) + ["families"] * (len(self.families) != n)
        if wrong:
            self._refuse(f"arrays of {n} models by {len(self.methods)} methods", f"another shape of {wrong[0]}")
        if twice := names.spellings(self.models).again:
            self._refuse("each model once", f"{twice[0]} again")
        if len(set(self.methods)) < len(self.methods):
            self._refuse("each method once", ", ".join(self.methods))

    def _refuse(self, expected: str, got: str) -> None:
        raise InputError(who=f"base models of {self.source}", expected=expected, got=got, do="correct the table")

    @property
    def before_training(self) -> dict[str, np.ndarray]:
        """The number of parameters and the other facts, each (n_models,)."""
        return {PARAMETERS: self.parameters, **self.facts}

    @property
    def order(self) -> np.ndarray:
        """An order of the models by name: random draws go by it, so that the table's order moves none of them."""
        return np.argsort([names.key(name) for name in self.models], kind="stable")


def known(models: Sequence[str], wanted: Sequence[str], who: str) -> list[int]:
    """Return the places of some models among others, in any spelling.

    Raises
    ------
    InputError
        If one is not there, or may be several.
    """
    found = []
    for name in wanted:
        places = [models.index(one) for one in names.matches(name, models)]
        if len(places) != 1:
            near = difflib.get_close_matches(name, models, n=1)
            none = f"none of that name{f' (nearest is {near[0]!r})' if near else ''}"
            got = ", ".join(models[place] for place in places) or none
            raise InputError(who=f"{who} {name!r}", expected="one model of the table", got=got, do="check the name")
        found += places
    return found
