"""What log-probabilities of documents say of base models, as tables and as lines of CSV."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from rmsuite.choice.divergence import BINS, FEWEST, SWAPS, Distance
from rmsuite.choice.presence import BYTE, Mean
from rmsuite.render.cells import GAP
from rmsuite.render.lines import Line, line
from rmsuite.render.sections import Section, bounded, number, tabulated
from rmsuite.reports.presence import UNSEEN, Documents, Error
from rmsuite.statistics.comparisons import FAMILY_LEVEL

Pairs = Mapping[tuple[str, str], Mapping[str, Distance]]
MOST_PAIRS = 30  # rows of a table: all pairs of many models are too many to read


def sections(found: Documents) -> Iterator[Section]:
    """Yield the tables: means by category, distances between models, and what the means add to the selectors."""
    yield _means(found)
    yield from _distances(found) if found.distances else ()
    yield _errors(found)


def _means(found: Documents) -> Section:
    held = {(mean.model, mean.category): mean for mean in found.means}
    categories = [category.name for category in found.presence.categories]
    counts = [f"{c.name} ({len(c.documents)})" for c in found.presence.categories]
    rows = [[model, *(_mean(held.get((model, name))) for name in categories)] for model in found.presence.models]
    unit = found.presence.unit
    title = f"log-probabilities of documents: mean per {unit}, by category (documents)"
    means = (
        f"Mean over documents of the mean log-probability per {unit}, in nats, with Student's 95% interval; larger: "
        "likelier, as documents like those that a model was trained on are."
    )
    differ = "" if unit == BYTE else " Tokens differ between tokenizers: --per byte compares models that have others."
    return (
        title,
        tabulated(("model", *counts), rows),
        [means + differ, *(f"Note: {n.rstrip('.')}." for n in found.notes)],
    )


def _mean(mean: Mean | None) -> str:
    return bounded(mean.value, mean.low, mean.high, ".3f") if mean else GAP


def _distances(found: Documents) -> Iterator[Section]:
    """Yield what sets models apart, pair by pair: their distances, and by how much one finds documents likelier."""
    pairs: dict[tuple[str, str], dict[str, Distance]] = {}
    for one in found.distances:
        pairs.setdefault((one.first, one.second), {})[one.category] = one
    order = sorted(pairs, key=lambda pair: -_average(pairs[pair].values()))
    shown = {pair: pairs[pair] for pair in order[:MOST_PAIRS]}
    more = [f"{len(order) - MOST_PAIRS} closer pairs are in --format csv."] if len(order) > MOST_PAIRS else []
    yield _apart(found, shown, more)
    yield _differences(found, shown, more)


def _headers(found: Documents) -> list[str]:
    return [category.name for category in found.presence.categories]


def _apart(found: Documents, pairs: Pairs, more: list[str]) -> Section:
    rows = [
        [
            f"{first}, {second}",
            number(_average(by_category.values())),
            *(_distance(by_category.get(name)) for name in _headers(found)),
        ]
        for (first, second), by_category in pairs.items()
    ]
    said = (
        f"Jensen-Shannon distance of the two models' log-probabilities, from 0 to 1, over {BINS} bins of equal mass; "
        f"in parentheses what chance gives if models change places at random, document by document ({SWAPS} draws)"
    )
    stars_are = f"*: p < {FAMILY_LEVEL:g} by these, Holm-corrected over all"
    n_tests = sum(not math.isnan(one.p) for one in found.distances)
    if n_tests >= FAMILY_LEVEL * (1 + SWAPS):
        stars_are = f"No test: {n_tests:,} are too many to correct for"
    lines = [f"{said}. {stars_are}. A dash: fewer than {FEWEST} documents.", *more]
    title = "distances between models by their log-probabilities"
    return title, tabulated(("models", "mean", *_headers(found)), rows), lines


def _differences(found: Documents, pairs: Pairs, more: list[str]) -> Section:
    rows = [
        [f"{first} - {second}", *(_difference(by_category.get(name)) for name in _headers(found))]
        for (first, second), by_category in pairs.items()
    ]
    unit = found.presence.unit
    said = (
        f"Mean of the first minus the second model's log-probability per {unit}, paired by document, with Student's "
        "95% interval, not corrected: what makes a document hard for both does not widen it."
    )
    return "differences between models by document", tabulated(("models", *_headers(found)), rows), [said, *more]


def _difference(one: Distance | None) -> str:
    return bounded(one.difference, one.low, one.high, "+.3f") if one else GAP


def _average(distances: Iterable[Distance]) -> float:
    values = [one.value for one in distances if math.isfinite(one.value)]
    return float(np.mean(values)) if values else -math.inf


def _distance(one: Distance | None) -> str:
    if one is None or math.isnan(one.value):
        return GAP
    return f"{number(one.value)} ({number(one.chance)}){'*' if one.p_holm < FAMILY_LEVEL else ''}"


def _errors(found: Documents) -> Section:
    headers = ("method", "predicts", "base models", "mean error", "with documents", "difference")
    rows = [_error(one) for one in found.errors]
    notes = [f"Note: {one.method}, {one.kind}: {one.note}." for one in found.errors if one.note]
    said = (
        "Mean absolute error of the selector, in the unit of quality, without and with the category means, over the "
        "same base models. In sample, as in arXiv:2505.10775: of the models that it learnt from, so that more features "
        f"look better than they are; {UNSEEN}: of each family with nothing of it seen. Difference: below 0 where "
        "documents help; 95% interval of new families by a bootstrap of families, the fits held fixed: what other "
        "folds or other models to learn from would change is not in it. In sample there is none: documents that say "
        "nothing lower that error too."
    )
    return "do the documents help to choose", tabulated(headers, rows), [said, *notes]


def _error(one: Error) -> list[str]:
    shown = bounded(one.difference, one.low, one.high, "+.2f")
    return [one.method, one.kind, str(one.n_models), number(one.without), number(one.with_), shown]


def lines(found: Documents) -> Iterator[Line]:
    """Yield all numbers, each with the table that it is of."""
    unit = found.presence.unit
    for mean in found.means:
        bounds = {"low": mean.low, "high": mean.high}
        yield line("presence", "", mean.model, f"mean per {unit}", mean.value, of=mean.category, **bounds)
        yield line("presence", "", mean.model, "documents", mean.n_documents, of=mean.category)
    for one in found.distances:
        name = f"{one.first}, {one.second}"
        yield line("distance", "", name, "Jensen-Shannon", one.value, of=one.category, p=one.p, p_holm=one.p_holm)
        yield line("distance", "", name, "by chance", one.chance, of=one.category)
        yield line("distance", "", name, "difference", one.difference, of=one.category, low=one.low, high=one.high)
    for error in found.errors:
        more: Line = {"n_models": error.n_models, "note": error.note}
        yield line("documents", error.method, error.kind, "error without", error.without, **more)
        yield line("documents", error.method, error.kind, "error with", error.with_, **more)
        bounds = {"low": error.low, "high": error.high}
        yield line("documents", error.method, error.kind, "difference", error.difference, **bounds, **more)
    for note in found.notes:
        yield {"section": "note", "name": "documents", "note": note}
