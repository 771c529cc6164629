"""From base models and scores to what is shown: which benchmarks and selectors would have found the best ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite import seeds
from rmsuite.choice import correlations, coverage
from rmsuite.choice.bases import PARAMETERS, BaseModels
from rmsuite.choice.columns import Used
from rmsuite.choice.components import Components, components
from rmsuite.choice.correlations import Correlation, Draws
from rmsuite.choice.gains import SIZES, Gain, gains
from rmsuite.choice.matching import Matched, match
from rmsuite.choice.merging import merged
from rmsuite.choice.presence import Presence
from rmsuite.choice.scores import Scores
from rmsuite.choice.selector import Selected, select
from rmsuite.choice.spread import Agreement, Spread, agreements, spreads
from rmsuite.choice.stages import Stage, stages
from rmsuite.reports.presence import Documents, documents_of, tell

SINGLE, MERGED = "best single benchmark", "merged benchmarks"
IN_SAMPLE, UNSEEN = "selector, in sample", "selector, new family"
NO_BENCHMARK = "no benchmark is known of enough of the models"
RANKED = "spearman"  # the correlation that says which single benchmark is the best one


@dataclass(frozen=True)
class Settings:
    """How base models are analysed: rule of ties, resamples, root of random streams, sizes, default base models.

    ``inherit`` gives models without log-probabilities those of the largest model of their family that saw as many
    tokens.
    """

    ties: str = "expected"
    n_draws: int = 2000
    seed: int = 0
    sizes: tuple[float, ...] = SIZES
    defaults: tuple[str, ...] | None = None
    inherit: bool = False


@dataclass(frozen=True)
class Predictor:
    """A column that is known before training, against quality, over the models that have both.

    ``kind`` is fact, documents, benchmark or merged. ``curve`` (n_models,) is its coverage at every k, ``kept`` whether
    that reaches ``coverage.FLOORS``.
    """

    name: str
    kind: str
    correlations: Mapping[str, Correlation]
    curve: np.ndarray
    kept: bool


@dataclass(frozen=True)
class Candidate:
    """A way to choose, over the models that all ways can be compared on.

    ``top`` is its mean coverage at the k of ``coverage.TOP``, ``error`` its mean absolute error in the unit of quality
    (NaN for what predicts an order only), ``curve`` (n_models,) its coverage at every k. ``note`` says why it has none.
    """

    name: str
    of: str
    correlation: float
    top: float
    error: float
    curve: np.ndarray
    note: str = ""


@dataclass(frozen=True)
class ByMethod:
    """What is known of quality under one method; ``best`` is the single benchmark of the largest correlation.

    ``by_mean`` is the mean absolute error of the mean of the other families in place of the selector, over the models
    that candidates are compared on: what it has to be below; NaN where it predicts no new family.
    """

    method: str
    n_models: int
    predictors: tuple[Predictor, ...]
    candidates: tuple[Candidate, ...]
    selected: Selected
    best: str
    n_compared: int
    by_mean: float


@dataclass(frozen=True)
class Choice:
    """The whole study; ``merged_used`` says which benchmarks are merged, ``categories`` names what stages change."""

    bases: BaseModels
    settings: Settings
    matched: Matched
    methods: tuple[ByMethod, ...]
    components: Components | None
    merged_used: Used
    spreads: tuple[Spread, ...]
    agreements: tuple[Agreement, ...]
    gains: tuple[Gain, ...]
    stages: tuple[Stage, ...]
    categories: tuple[str, ...]
    notes: tuple[str, ...]
    documents: Documents | None = None


def study(
    bases: BaseModels,
    scores: Scores,
    settings: Settings | None = None,
    advance: Callable[[], object] = lambda: None,
    presence: Presence | None = None,
) -> Choice:
    """Analyse base models by methods with what is known of them before training.

    ``advance`` is called before each fit of a selector, of which ``n_fits`` says how many there may be; ``presence``
    holds log-probabilities of documents, whose means by category may help to choose.

    Raises
    ------
    InputError
        If a default base model is not in the table.
    """
    chosen = settings or Settings()
    defaults = bases.defaults if chosen.defaults is None else chosen.defaults
    matched = match(bases, scores)
    bases = replace(bases, parameters=matched.parameters)
    columns, notes = documents_of(bases, presence, chosen.inherit) if presence else ({}, ())
    matched = replace(matched, documents=columns)
    better = gains(bases, defaults, chosen.sizes)  # a misspelt default is refused before anything is learnt
    with threadpool_limits(limits=1):  # the number of threads decides the last bits of sums
        mean, used = merged(matched.benchmarks)
        draws = _draws(chosen, of="log-probabilities")
        return Choice(
            bases=bases,
            settings=chosen,
            matched=matched,
            methods=tuple(
                _by_method(bases, matched, mean, chosen, place, advance) for place in range(len(bases.methods))
            ),
            components=components(matched.benchmarks),
            merged_used=used,
            spreads=tuple(spreads(bases)),
            agreements=tuple(agreements(bases, chosen.ties, _draws(chosen))),
            gains=tuple(better),
            stages=tuple(stages(bases.steps)),
            categories=(*bases.categories, "quality"),
            notes=(*bases.notes, *scores.notes, *matched.notes),
            documents=tell(bases, matched, presence, notes, draws, _folds(chosen, advance)) if presence else None,
        )


def n_fits(bases: BaseModels, documents: bool = False) -> int:
    """Return how many selectors are learnt at most: of each method one on all models, and one without each family.

    With documents there are three times as many: two more selectors are compared over the models that have them.
    """
    return len(bases.methods) * (1 + len(set(bases.families))) * (3 if documents else 1)


def _by_method(
    bases: BaseModels,
    matched: Matched,
    mean: np.ndarray | None,
    settings: Settings,
    place: int,
    advance: Callable[[], object],
) -> ByMethod:
    quality = bases.quality[:, place]
    rows = bases.order[~np.isnan(quality[bases.order])]  # random draws go by name, not by the table's order
    table = np.flatnonzero(~np.isnan(quality))
    facts = bases.before_training
    columns = {**facts, **matched.documents, **matched.benchmarks, **({} if mean is None else {MERGED: mean})}
    found = correlations.against(quality[rows], {name: one[rows] for name, one in columns.items()}, _draws(settings))
    predictors = [
        _predictor(name, _kind(name, bases, matched), one[table], quality[table], found[name], settings)
        for name, one in columns.items()
    ]
    selected = _selected(facts, matched, bases, quality, rows, settings, advance)
    best = correlations.best(found, [n for n in selected.used.names if n in matched.benchmarks], RANKED)
    ways = {PARAMETERS: bases.parameters, best: columns.get(best), MERGED: mean}
    compared, candidates = _candidates(ways, best, quality, selected, settings)
    named = bases.methods[place]
    n, by_mean = int(compared.sum()), _by_mean(quality, selected.unseen, bases.families, compared)
    return ByMethod(named, len(table), tuple(predictors), tuple(candidates), selected, best, n, by_mean)


def _by_mean(quality: np.ndarray, unseen: np.ndarray, families: Sequence[str], compared: np.ndarray) -> float:
    told = np.flatnonzero(~np.isnan(unseen)).tolist()
    means = {
        name: quality[[row for row in told if families[row] != name]].mean() for name in {families[r] for r in told}
    }
    errors = [quality[row] - means[families[row]] for row in told if compared[row]]
    return float(np.abs(errors).mean()) if errors else math.nan


def _draws(settings: Settings, of: str = "base-models") -> Draws:
    return Draws(settings.n_draws, seeds.seed(settings.seed, "bootstrap", study=of))


def _kind(name: str, bases: BaseModels, matched: Matched) -> str:
    of = {**dict.fromkeys(matched.documents, "documents"), **dict.fromkeys(bases.before_training, "fact")}
    return of.get(name, "merged" if name == MERGED else "benchmark")


def _predictor(
    name: str,
    kind: str,
    column: np.ndarray,
    quality: np.ndarray,
    found: Mapping[str, Correlation],
    settings: Settings,
) -> Predictor:
    known = ~np.isnan(column)
    curve = coverage.coverage(column[known], quality[known], settings.ties)
    return Predictor(name, kind, found, curve, coverage.keeps(curve))


def _selected(
    facts: Mapping[str, np.ndarray],
    matched: Matched,
    bases: BaseModels,
    quality: np.ndarray,
    rows: np.ndarray,
    settings: Settings,
    advance: Callable[[], object],
) -> Selected:
    """Return what a selector predicts, in the table's order; it learns in the order of names."""
    mine, others = ({name: one[rows] for name, one in columns.items()} for columns in (facts, matched.benchmarks))
    families = [bases.families[row] for row in rows]
    found = select(mine, others, quality[rows], families, _folds(settings, advance))
    whole = np.full((2, len(quality)), np.nan)
    whole[:, rows] = found.in_sample, found.unseen
    return replace(found, in_sample=whole[0], unseen=whole[1])


def _folds(settings: Settings, advance: Callable[[], object]) -> Callable[[str], np.random.Generator]:
    """Return what gives the generator that deals models to folds, by the family that is left out."""

    def rng(family: str) -> np.random.Generator:
        advance()
        return seeds.generator(settings.seed, "permutation", study="base-models", family=family)

    return rng


def _candidates(
    ways: Mapping[str, np.ndarray | None],
    best: str,
    quality: np.ndarray,
    selected: Selected,
    settings: Settings,
) -> tuple[np.ndarray, list[Candidate]]:
    """Return which models all ways know, (n_models,), and each way over those."""
    offered = {PARAMETERS: (PARAMETERS, "not known"), SINGLE: (best, NO_BENCHMARK), MERGED: (MERGED, NO_BENCHMARK)}
    columns = {name: ways.get(key) for name, (key, _) in offered.items()}
    columns |= {IN_SAMPLE: selected.in_sample, UNSEEN: selected.unseen}
    notes = {name: note for name, (_, note) in offered.items()}
    notes |= {IN_SAMPLE: selected.why_not, UNSEEN: selected.why_not_unseen}
    measured = ~np.isnan(quality)
    held = {name: one for name, one in columns.items() if one is not None and not np.isnan(one[measured]).all()}
    common = measured & ~np.isnan(np.column_stack(list(held.values()) or [quality])).any(axis=1)
    found = []
    for name in columns:
        of, predicts = best if name == SINGLE else "", name in (IN_SAMPLE, UNSEEN)
        if name in held:
            found.append(_candidate(name, of, held[name][common], quality[common], predicts, settings))
        else:
            found.append(Candidate(name, of, math.nan, math.nan, math.nan, np.empty(0), notes[name]))
    return common, found


def _candidate(
    name: str, of: str, column: np.ndarray, quality: np.ndarray, predicts: bool, settings: Settings
) -> Candidate:
    none = correlations.why_none(column, quality)
    value = math.nan if none else correlations.correlate(column, quality)[RANKED][0]
    curve = coverage.coverage(column, quality, settings.ties)
    error = float(np.abs(column - quality).mean()) if predicts and len(quality) else math.nan
    return Candidate(name, of, value, coverage.top(curve), error, curve, none)
