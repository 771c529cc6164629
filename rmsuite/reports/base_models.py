"""From cell records to tables of base models by methods: what each gains over the default one, paired by prompt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TypeVar

import numpy as np
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from rmsuite.choice.bases import BaseModels
from rmsuite.choice.correlations import correlate, interval, why_none
from rmsuite.choice.embedded import UNTRAINED, Embedded, Related, scored_as
from rmsuite.choice.gains import classes
from rmsuite.metrics import Metric, metric
from rmsuite.reports import signatures
from rmsuite.reports.base_records import ALL, BaseCell, BaseStudy, BaseTable, Gained, RelatedGain, Reordered, SizeClass
from rmsuite.reports.cells import Chosen, choose, is_whole, why_not
from rmsuite.reports.comparison import restricted
from rmsuite.reports.curves import lined_up, point
from rmsuite.reports.records import Standing
from rmsuite.reports.samples import Column, column
from rmsuite.results import CellRecord
from rmsuite.statistics import Difference, holm

PARAMETER = "base_model"
K = TypeVar("K", str, Related)
SIZES = (0.01, 0.1)  # billions of parameters: where a class of size ends, among models that embed


def base_tables(
    records: Sequence[CellRecord],
    study: BaseStudy,
    methods: Sequence[str],
    metrics: Sequence[str] = (),
    sizes: Sequence[float] = SIZES,
) -> tuple[BaseTable, ...]:
    """Return a table for each metric; the task's first one where none is named.

    Raises
    ------
    ResultsError
        If the cells of a task have different signatures.
    UnknownNameError
        If there is no such metric.
    """
    labels = set(study.tasks.values())
    mine = [record for record in records if record.task in labels and record.method in set(methods)]
    with threadpool_limits(limits=1):  # the number of threads decides the last bits of sums
        chosen = choose(study.name, list(lined_up(mine, study.name, PARAMETER, study.tasks)), (), allow_mixed=False)
        shown = metrics or next(iter(chosen.groups.values()))[0].facts["columns"][:1]
        return tuple(_table(chosen, study, tuple(methods), metric(name), sizes) for name in shown)


def _sign(shown: Metric) -> int:
    """Return what a metric is multiplied by so that larger is better."""
    return -1 if shown.direction == "smaller is better" else 1


class _Values:
    """The column of a metric by method and base model."""

    def __init__(self, chosen: Chosen, study: BaseStudy, methods: Sequence[str], shown: Metric) -> None:
        self.chosen, self.study, self.methods, self.metric = chosen, study, methods, shown
        self.column = column(study.name, {n: g for n, g in chosen.groups.items() if is_whole(g)}, shown)
        self.estimates = self.column.estimates() if self.column else {}
        self.sign = _sign(shown)

    def has(self, method: str, base: str) -> bool:
        return point(method, PARAMETER, base) in self.estimates

    def bases(self, method: str, among: Iterable[str]) -> list[str]:
        return [base for base in among if self.has(method, base)]

    def value(self, method: str, base: str) -> float:
        return self.estimates[point(method, PARAMETER, base)].value

    def best(self, method: str, among: Sequence[str]) -> str:
        """Return the best of some base models, the first by name of equal ones; empty if none has a value."""
        held = sorted(self.bases(method, among))
        return max(held, key=lambda base: self.sign * self.value(method, base), default="")

    def draws(self, method: str, bases: Sequence[str]) -> np.ndarray:
        """Return the resampled values, ``(n_bases, n_draws)``."""
        assert self.column is not None
        return self.column.resampled.draws[[self.column.index(point(method, PARAMETER, base)) for base in bases]]

    def why_none(self, method: str, base: str) -> str:
        group = self.chosen.groups.get(point(method, PARAMETER, base), ())
        undefined = f"{self.metric.name} is not defined for it"
        return (undefined if is_whole(group) else why_not(group)) if group else "no results"


def _table(
    chosen: Chosen, study: BaseStudy, methods: tuple[str, ...], shown: Metric, sizes: Sequence[float]
) -> BaseTable:
    values = _Values(chosen, study, methods, shown)
    return BaseTable(
        study,
        shown,
        methods,
        tuple(sorted(study.tasks, key=lambda base: _place(values, base))),
        {(cell.method, cell.base): cell for method in methods for cell in _cells(values, method)},
        tuple(one for method in methods for one in _classes(values, method, sizes)),
        tuple(_reordered(values, *pair) for pair in combinations(methods, 2)),
        tuple(one for method in methods for one in _related(values, method)),
        signatures.of_metric(signatures.of_table(chosen), shown),
        chosen.omitted,
    )


def _place(values: _Values, base: str) -> tuple[float, str]:
    """Return what base models are sorted by: the mean over methods, the best first."""
    known = [values.value(method, base) for method in sorted(values.methods) if values.has(method, base)]
    return -values.sign * float(np.mean(known)) if known else math.inf, base


def _cells(values: _Values, method: str) -> list[BaseCell]:
    bases = sorted(values.study.tasks)
    standing, gains = _standings(values, method), _gains(values, method)
    return [
        BaseCell(
            method,
            base,
            values.estimates.get(point(method, PARAMETER, base)),
            standing.get(base),
            gains.get(base),
            "" if values.has(method, base) else values.why_none(method, base),
        )
        for base in bases
    ]


def _standings(values: _Values, method: str) -> dict[str, Standing]:
    held = values.bases(method, sorted(values.study.tasks))
    if values.column is None or not held or not values.metric.ordered:
        return {}
    all_ = values.column.standings([point(method, PARAMETER, base) for base in held])
    each = zip(held, all_.letters, all_.ranks, all_.best, strict=True)
    return {base: Standing(letters, rank, best) for base, letters, rank, best in each}


def _gains(values: _Values, method: str) -> dict[str, Gained]:
    default = values.best(method, values.study.defaults)
    if values.column is None or not default:
        return {}
    found = {base: _gained(values.column, method, base, default) for base in values.bases(method, values.study.tasks)}
    return _corrected(found, [base for base in sorted(found) if base != default])


def _gained(found: Column, method: str, base: str, over: str) -> Gained:
    first, second = (point(method, PARAMETER, name) for name in (base, over))
    p = 1.0 if first == second else found.p(first, second)
    gap, value = found.difference(first, second), found.value(second)
    shares = [getattr(gap, name) / value if value > 0 else math.nan for name in ("value", "low", "high")]
    return Gained(over, Difference(gap, p, p), *shares)


def _corrected(found: Mapping[K, Gained], family: Sequence[K]) -> dict[K, Gained]:
    """Return gains, those of the family Holm-corrected together."""
    corrected = dict(zip(family, holm([found[name].difference.p for name in family]), strict=True))
    return {
        name: replace(one, difference=replace(one.difference, p_holm=corrected.get(name, one.difference.p)))
        for name, one in found.items()
    }


def _classes(values: _Values, method: str, sizes: Sequence[float]) -> list[SizeClass]:
    found = []
    for size, low, high in classes(sizes):
        inside = [base for base in sorted(values.study.tasks) if low <= values.study.sets[base].parameters < high]
        if inside:
            found.append(_class(values, method, size, values.bases(method, inside)))
    return found


def _class(values: _Values, method: str, size: str, held: Sequence[str]) -> SizeClass:
    bare = SizeClass(method, size, len(held), values.best(method, held))
    if values.column is None or not held:
        return replace(bare, note="no base model of this size has a value")
    at, draws = np.array([values.value(method, base) for base in held]), values.draws(method, held)
    if len(held) > 1:
        chance = math.sqrt((draws - draws.mean(axis=0)).var(axis=1).sum() / (len(held) - 1))
        bare = replace(bare, spread=float(at.std(ddof=1)), chance=chance, reach=float(np.ptp(at)))
    default = values.best(method, [base for base in values.study.defaults if base in held])
    if not default:
        return replace(bare, note="no default of this size")
    return replace(bare, gain=_gained(values.column, method, bare.best, default))


def _reordered(values: _Values, first: str, second: str) -> Reordered:
    both = values.bases(second, values.bases(first, sorted(values.study.tasks)))
    one, two = (np.array([values.value(method, base) for base in both]) for method in (first, second))
    if note := why_none(one, two):
        return Reordered(first, second, len(both), note=note)
    ranks = [rankdata(values.draws(method, both), axis=0) for method in (first, second)]
    low, high = interval(_correlations(*ranks))
    return Reordered(first, second, len(both), correlate(one, two)["spearman"][0], low, high)


def _correlations(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return the correlation of each column of two matrices, ``(n, n_draws)`` -> ``(n_draws,)``; NaN for constants."""
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    squares = (one * one).sum(axis=0) * (two * two).sum(axis=0)
    return np.where(squares > 0, (one * two).sum(axis=0) / np.sqrt(np.where(squares > 0, squares, 1)), np.nan)


def _related(values: _Values, method: str) -> list[RelatedGain]:
    """Return pairs on all prompts, Holm-corrected over pairs, and by category, corrected over the categories."""
    pairs = [one for one in values.study.related if {one.first, one.second} <= set(values.study.tasks)]
    held = [one for one in pairs if values.column and values.has(method, one.first) and values.has(method, one.second)]
    whole = {one: _gained(values.column, method, one.first, one.second) for one in held if values.column}
    whole = _corrected(whole, list(whole))
    found = []
    for one in pairs:
        note = "" if one in held else f"no value of {one.first if not values.has(method, one.first) else one.second}"
        found.append(RelatedGain(method, one, ALL, whole.get(one), note))
        parts = _by_category(values, method, one) if one in held else {}
        found += [RelatedGain(method, one, name, gain) for name, gain in parts.items()]
    return found


def _by_category(values: _Values, method: str, one: Related) -> dict[str, Gained]:
    known, found = values.study.prompts, {}
    if known is None or values.column is None:
        return {}
    two = _only(values.column, [point(method, PARAMETER, base) for base in (one.first, one.second)])
    for name in sorted(set(known.categories)):
        part = restricted(values.study.name, two, np.array(known.categories) == name, known.n_responses)
        if part is not None:
            found[name] = _gained(part, method, one.first, one.second)
    return _corrected(found, list(found))


def _only(found: Column, names: Sequence[str]) -> Column:
    """Return the column of some methods: fewer are resampled."""
    places = [found.index(name) for name in names]
    whole = found.resampled
    part = replace(whole, sample=replace(whole.sample, sums=whole.sample.sums[places]), draws=whole.draws[places])
    return Column(found.metric, tuple(names), part)


def as_bases(table: BaseTable) -> BaseModels:
    """Return a table as base models by methods, for what analyses those: larger is better, percentages in points."""
    sets = [table.study.sets[base] for base in sorted(table.study.tasks)]
    sign = _sign(table.metric)
    factor = sign * (100 if table.metric.percent else 1)
    values = [[_value(table.cells[method, one.name]) for method in table.methods] for one in sets]
    return BaseModels(
        source=table.study.name,
        metric=f"{table.metric.name}{' in %' if table.metric.percent else ''}{', its sign turned' * (sign < 0)}",
        models=tuple(one.name for one in sets),
        methods=table.methods,
        quality=factor * np.array(values),
        parameters=np.array([one.parameters for one in sets]),
        families=tuple(one.family.removesuffix(UNTRAINED) for one in sets),
        facts={"embedding dimension": np.array([one.n_features for one in sets])},
        defaults=table.study.defaults,
        notes=tuple(_notes(sets)),
        aliases=scored_as(sets),
    )


def _notes(sets: Sequence[Embedded]) -> list[str]:
    unknown = sum(math.isnan(one.parameters) for one in sets)
    weights = [one.weights for one in sets if one.weights]
    shared = sum(weights.count(one) > 1 for one in weights)
    alike = f"{shared} of {len(sets)} embedding sets share their weights with another one: intervals over base models"
    return [
        *([f"{unknown} of {len(sets)} base models have no number of parameters"] if unknown else []),
        *([f"{alike} take them for independent, and are too narrow"] if shared else []),
    ]


def _value(cell: BaseCell) -> float:
    return cell.estimate.value if cell.estimate else math.nan
