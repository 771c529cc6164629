"""From log-probabilities of documents to what is shown: what models have seen, and whether that helps to choose."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rmsuite.choice.bases import BaseModels
from rmsuite.choice.correlations import Draws, interval
from rmsuite.choice.divergence import Distance, distances
from rmsuite.choice.matching import Matched, match
from rmsuite.choice.presence import Mean, Presence, as_scores, inherited, means
from rmsuite.choice.results import FACTS
from rmsuite.choice.selector import select

TOKENS = FACTS["pretrain_tokens_t"]
FEWEST = 5  # families, to draw from
IN_SAMPLE, UNSEEN = KINDS = ("in sample", "new family")
Rng = Callable[[str], np.random.Generator]


@dataclass(frozen=True)
class Error:
    """The mean absolute error of a selector without and with the category means, over the same base models.

    ``kind`` says which models it predicts; ``low`` and ``high`` bound the difference, with minus without, at 95 %: a
    percentile bootstrap of families, the fits held fixed. In sample they are NaN: more features lower that error
    whatever they say, and an interval would show it as a find. All are in the unit of quality, NaN where ``note`` says
    why.
    """

    method: str
    kind: str
    n_models: int
    without: float
    with_: float
    low: float
    high: float
    note: str = ""

    @property
    def difference(self) -> float:
        """With minus without: below 0 where the category means help."""
        return self.with_ - self.without


@dataclass(frozen=True)
class Documents:
    """What log-probabilities of documents say of models, and what they add to the selectors of base models.

    ``notes`` say which base models have none.
    """

    presence: Presence
    means: tuple[Mean, ...]
    distances: tuple[Distance, ...]
    errors: tuple[Error, ...]
    notes: tuple[str, ...]


def documents_of(bases: BaseModels, presence: Presence, inherit: bool) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the category means by the rows of a table of base models, and notes on those that have none."""
    found = match(bases, as_scores(presence))
    columns, n_given = dict(found.benchmarks), 0
    if inherit and columns:
        tokens = bases.facts.get(TOKENS, np.full(len(bases.models), np.nan))
        columns, n_given = inherited(columns, bases.families, found.parameters, tokens)
    n_without = len(bases.models) - found.n_with_scores - n_given
    notes = [f"{model} gets no log-probabilities: {why}" for model, why in found.unclear.items()]
    notes += [f"{n_without} of {len(bases.models)} base models have no log-probabilities"] if n_without else []
    largest = "those of the largest model of their family that saw as many tokens"
    notes += [f"{n_given} base models are given {largest}"] if n_given else []
    notes += ["no base model is given those of another: none of its family saw as many tokens"] * (
        inherit and not n_given
    )
    n_some = _n_some(columns)
    notes += [f"{n_some} base models lack some category, and are not among those of the selectors"] if n_some else []
    return columns, tuple(notes)


def _n_some(columns: Mapping[str, np.ndarray]) -> int:
    """Return how many models have some column, and not all."""
    known = ~np.isnan(np.column_stack(list(columns.values()))) if columns else np.zeros((0, 1), bool)
    return int((known.any(axis=1) & ~known.all(axis=1)).sum())


def tell(
    bases: BaseModels, matched: Matched, presence: Presence, notes: Sequence[str], draws: Draws, rng: Rng
) -> Documents:
    """Gather what is shown; ``rng`` gives the generator that deals models to folds, by the family that is left out."""
    errors = [error for place in range(len(bases.methods)) for error in _errors(bases, matched, place, draws, rng)]
    apart = tuple(distances(presence, draws.seed))
    return Documents(presence, tuple(means(presence)), apart, tuple(errors), (*presence.notes, *notes))


def _errors(bases: BaseModels, matched: Matched, place: int, draws: Draws, rng: Rng) -> list[Error]:
    method, quality = bases.methods[place], bases.quality[:, place]
    columns = np.column_stack([quality, *matched.documents.values()])
    rows = bases.order[~np.isnan(columns[bases.order]).any(axis=1)] if matched.documents else []
    if not len(rows):
        why = "no base model has quality and log-probabilities of each category"
        return [_none(method, kind, len(rows), why) for kind in KINDS]
    facts, benchmarks, documents = (
        {name: column[rows] for name, column in one.items()}
        for one in (bases.before_training, matched.benchmarks, matched.documents)
    )
    families = [bases.families[row] for row in rows]
    without = select(facts, benchmarks, quality[rows], families, rng)
    with_ = select({**facts, **documents}, benchmarks, quality[rows], families, rng)
    whys = {IN_SAMPLE: (without.why_not, with_.why_not), UNSEEN: (without.why_not_unseen, with_.why_not_unseen)}
    predicted = {IN_SAMPLE: (without.in_sample, with_.in_sample), UNSEEN: (without.unseen, with_.unseen)}
    return [
        _error(method, kind, quality[rows], predicted[kind], families, draws, next(filter(None, whys[kind]), ""))
        for kind in KINDS
    ]


def _error(
    method: str,
    kind: str,
    quality: np.ndarray,
    predicted: tuple[np.ndarray, np.ndarray],
    families: Sequence[str],
    draws: Draws,
    why: str,
) -> Error:
    if why:
        return _none(method, kind, len(quality), why)
    errors = np.stack([np.abs(one - quality) for one in predicted])
    without, with_ = map(float, errors.mean(axis=1))
    bounds = _interval(errors[1] - errors[0], families, draws) if kind == UNSEEN else (math.nan, math.nan)
    return Error(method, kind, len(quality), without, with_, *bounds)


def _none(method: str, kind: str, n_models: int, why: str) -> Error:
    return Error(method, kind, n_models, math.nan, math.nan, math.nan, math.nan, why)


def _interval(differences: np.ndarray, families: Sequence[str], draws: Draws) -> tuple[float, float]:
    """Bound the mean of differences by drawing families; a model of none that is known stands for itself."""
    labels = [family or str(row) for row, family in enumerate(families)]
    places = [np.array([label == name for label in labels]) for name in sorted(set(labels))]
    if len(places) < FEWEST:
        return math.nan, math.nan
    sums = np.array([(differences[rows].sum(), rows.sum()) for rows in places])
    drawn = draws.counts(len(places)) @ sums
    return interval(drawn[:, 0] / drawn[:, 1])
