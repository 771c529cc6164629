"""Base models and scores, joined by the names of models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rmsuite.choice import names
from rmsuite.choice.bases import BaseModels
from rmsuite.choice.scores import PARAMETERS, Scores


@dataclass(frozen=True)
class Matched:
    """Scores by the rows of a table of base models.

    Attributes
    ----------
    benchmarks : mapping of str to ndarray (n_models,)
        Those that some model of the table has a score on; NaN where a model has none.
    parameters : ndarray (n_models,)
        The table's, and the scores' where the table has none.
    n_with_scores, n_others : int
        Models of the table that have a score, and models of the scores that the table does not have.
    notes : tuple of str
        What was not used, in words, with counts.
    unclear : mapping of str to str
        Models of the table that may be several of the scores, and so have none of them, and why.
    documents : mapping of str to ndarray (n_models,)
        Mean log-probability of the documents of a category, where such are given.
    """

    benchmarks: Mapping[str, np.ndarray]
    parameters: np.ndarray
    n_with_scores: int
    n_others: int
    notes: tuple[str, ...]
    unclear: Mapping[str, str] = field(default_factory=dict)
    documents: Mapping[str, np.ndarray] = field(default_factory=dict)


def match(bases: BaseModels, scores: Scores) -> Matched:
    """Join by name, else by alias: see ``names.matches``. What is not clear gets no score, and is named."""
    found = {model: _named(model, bases, scores) for model in bases.models}
    claimed = Counter(ones[0] for ones in found.values() if len(ones) == 1)
    rows = {model: scores.models.index(ones[0]) for model, ones in found.items() if len(ones) == 1 == claimed[ones[0]]}
    unclear = {
        model: f"it is not clear which model is {' or '.join(ones)}"
        for model, ones in found.items()
        if ones and model not in rows
    }
    values = np.full((len(bases.models), len(scores.benchmarks)), np.nan)
    for place, model in enumerate(bases.models):
        if model in rows:
            values[place] = scores.values[rows[model]]
    columns = {name: values[:, place] for place, name in enumerate(scores.benchmarks)}
    given = columns.pop(PARAMETERS, np.full(len(bases.models), np.nan))
    held = {name: column for name, column in columns.items() if not np.isnan(column).all()}
    n_with = int((~np.isnan(np.column_stack(list(held.values()))).all(axis=1)).sum()) if held else 0
    return Matched(
        held,
        np.where(np.isnan(bases.parameters), given, bases.parameters),
        n_with,
        len(scores.models) - len(set(rows.values())),
        tuple(_notes(bases, unclear, n_with, [name for name in columns if name not in held])),
        unclear,
    )


def _named(model: str, bases: BaseModels, scores: Scores) -> list[str]:
    own = names.matches(model, scores.models)
    return own or (names.matches(bases.aliases[model], scores.models) if model in bases.aliases else [])


def _notes(bases: BaseModels, unclear: Mapping[str, str], n_with: int, empty: list[str]) -> list[str]:
    without = len(bases.models) - n_with
    return [
        *([f"{without} of {len(bases.models)} base models have no score"] if without else []),
        *(f"{model} gets no score: {why}" for model, why in unclear.items()),
        *([f"{len(empty)} benchmarks have no score of any of these models"] if empty else []),
    ]
