"""From cell records to curves: methods over the values of one parameter, the area under each, and who is separable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite import signature
from rmsuite.metrics import Metric, metric
from rmsuite.reports import signatures
from rmsuite.reports.cells import Chosen, by_task, choose, is_whole, why_not
from rmsuite.reports.records import Standing
from rmsuite.reports.samples import Column, column
from rmsuite.results import CellRecord
from rmsuite.statistics import Difference, Estimate, Resampled, Sample, holm
from rmsuite.statistics.bootstrap import Reduce


@dataclass(frozen=True)
class Sweep:
    """What was run.

    Attributes
    ----------
    parameter : str
    values : tuple of int or float
        Of the parameter, at least two, rising.
    methods : mapping
        By a method's name without the parameter, its name at each value, as in its cells.
    of_task : bool
        Whether the parameter is one of the task, so that training pairs and their labels change along the curve; its
        cells are those that ``lined_up`` returns.
    """

    parameter: str
    values: tuple[float, ...]
    methods: Mapping[str, tuple[str, ...]]
    of_task: bool = False

    @property
    def logarithmic(self) -> bool:
        """Whether areas are over the logarithm of the parameter: where all values are positive."""
        return min(self.values) > 0

    @property
    def weights(self) -> np.ndarray:
        """What each value of a curve counts in its area, ``(n_values,)``; they sum to 1.

        The area is that of trapezoids, divided by its width: a mean value. That of a constant is the constant.
        """
        x = np.log(self.values) if self.logarithmic else np.asarray(self.values, dtype=np.float64)
        steps = np.diff(x)
        return np.asarray((np.append(steps, 0) + np.append(0, steps)) / (2 * steps.sum()))


def sweep_of_task(parameter: str, values: tuple[float, ...], methods: Iterable[str]) -> Sweep:
    """Return the sweep of methods (labels, as in their cells) over a parameter of a task."""
    points = {method: tuple(point(method, parameter, at) for at in values) for method in methods}
    return Sweep(parameter, values, points, of_task=True)


def point(method: str, parameter: str, at: float | str) -> str:
    """Return the name of a method at one value of a task's parameter, as ``lined_up`` gives it."""
    return f"{method} at {parameter}={at}"


def lined_up(
    records: Iterable[CellRecord], name: str, parameter: str, variants: Mapping[float, str] | Mapping[str, str]
) -> Iterator[CellRecord]:
    """Yield the cells of a task's variants as cells of one task, in which each method is there once for each value.

    Their signature is that of the variants; parts in which these differ are joined by ``+``, in the order of values.

    Parameters
    ----------
    name : str
        Of all variants together.
    variants : mapping
        The label of the task's variant at each value of the parameter, rising.
    """
    by_label = by_task(records)
    cells = {at: by_label.get(label, []) for at, label in variants.items()}
    lines = [signature.read(group[0].signature) for group in cells.values() if group]
    if not lines:
        return
    keys = dict.fromkeys(key for line in lines for key in line)
    joined = {key: "+".join(dict.fromkeys(line.get(key, "-") for line in lines)) for key in keys}
    line = signature.write({**joined, "task": name})
    for at, group in cells.items():
        for cell in group:
            yield replace(cell, task=name, method=point(cell.method, parameter, at), signature=line)


@dataclass(frozen=True)
class Labels:
    """How many training pairs there are at a value of a task's parameter, and how often they agree with gold.

    ``agreement`` is None for human labels; both are means over repetitions.
    """

    n_pairs: float
    agreement: float | None


@dataclass(frozen=True)
class Curve:
    """One method: an estimate at each value of the parameter and of the area; a gap is None, and ``note`` says why."""

    method: str
    points: tuple[Estimate | None, ...]
    area: Estimate | None = None
    standing: Standing | None = None
    note: str = ""


@dataclass(frozen=True)
class AreaDifference:
    """The area of the first method minus that of the second; Holm-corrected over all pairs of methods."""

    first: str
    second: str
    difference: Difference


@dataclass(frozen=True)
class CurveTable:
    """The curves of one metric on one task, and the differences of their areas; those only if the metric is ordered.

    ``signature`` is that of the areas; ``labels`` are the training pairs at each value, of sweeps over a task's
    parameter only.
    """

    task: str
    metric: Metric
    sweep: Sweep
    curves: tuple[Curve, ...]
    differences: tuple[AreaDifference, ...]
    signature: str
    omitted: tuple[str, ...] = ()
    labels: tuple[Labels, ...] = ()


def curves(records: Iterable[CellRecord], sweep: Sweep, metrics: Sequence[str] = ()) -> tuple[CurveTable, ...]:
    """Return a table for each task and metric; the metrics are the task's own where none is named.

    Raises
    ------
    ResultsError
        If the cells of a task have different signatures.
    UnknownNameError
        If there is no such metric.
    """
    asked = {label for labels in sweep.methods.values() for label in labels}
    tables = []
    with threadpool_limits(limits=1):  # the number of threads decides the last bits of sums
        for task, cells in sorted(by_task(record for record in records if record.method in asked).items()):
            chosen = choose(task, cells, (), allow_mixed=False)
            shown = [metric(name) for name in metrics or cells[0].facts["columns"]]
            tables += [_table(task, chosen, sweep, one) for one in shown]
    return tuple(tables)


def _table(task: str, chosen: Chosen, sweep: Sweep, shown: Metric) -> CurveTable:
    found = column(task, {label: cells for label, cells in chosen.groups.items() if is_whole(cells)}, shown)
    known = found.estimates() if found else {}
    whole = {method: labels for method, labels in sweep.methods.items() if set(labels) <= set(known)}
    areas = _areas(found, whole, sweep.weights) if found and whole else None
    bare = [_curve(method, chosen, sweep, shown, known) for method in sweep.methods]
    return CurveTable(
        task,
        shown,
        sweep,
        tuple(_with_areas(bare, areas) if areas else bare),
        _differences(areas) if areas and shown.ordered else (),
        _signature(chosen, sweep, shown),
        chosen.omitted,
        _labels(chosen, sweep) if sweep.of_task else (),
    )


def _labels(chosen: Chosen, sweep: Sweep) -> tuple[Labels, ...]:
    out = []
    for names in zip(*sweep.methods.values(), strict=True):
        facts = [cell.facts for name in names for cell in chosen.groups.get(name, ())]
        known = [one["annotator_agreement"] for one in facts if one.get("annotator_agreement") is not None]
        n_pairs = [one["n_train_pairs"] for one in facts]
        out.append(Labels(float(np.mean(n_pairs)) if facts else np.nan, float(np.mean(known)) if known else None))
    return tuple(out)


def _areas(found: Column, methods: Mapping[str, Sequence[str]], weights: np.ndarray) -> Column:
    """Return the column of areas: the same combination of the points' sums, and of their resampled values."""
    places = [[found.index(label) for label in labels] for labels in methods.values()]
    points = found.resampled.sample
    if found.metric.mean:  # the weights of all points are equal: their mean is one weighted mean
        sums, reduce = np.stack([np.tensordot(weights, points.sums[place], 1) for place in places]), points.reduce
    else:
        sums = np.stack([np.concatenate(points.sums[place], axis=-1) for place in places])
        reduce = _combined(points.reduce, weights)
    sample = Sample(sums, points.low, points.high, points.n_items, points.n_repetitions, reduce)
    draws = np.stack([weights @ found.resampled.draws[place] for place in places])
    return Column(found.metric, tuple(methods), Resampled(sample, draws))


def _combined(reduce: Reduce, weights: np.ndarray) -> Reduce:
    return lambda sums: np.asarray(reduce(sums.reshape(*sums.shape[:-1], len(weights), -1)) @ weights)


def _curve(method: str, chosen: Chosen, sweep: Sweep, shown: Metric, known: Mapping[str, Estimate]) -> Curve:
    labels = dict(zip(sweep.values, sweep.methods[method], strict=True))
    gaps = {at: _why(chosen, label, shown) for at, label in labels.items() if label not in known}
    said = [f"{sweep.parameter}={at}: {reason}" for at, reason in gaps.items()] + ["no area"] * bool(gaps)
    return Curve(method, tuple(map(known.get, labels.values())), note="; ".join(said))


def _why(chosen: Chosen, label: str, shown: Metric) -> str:
    if label not in chosen.groups:
        return "no results"
    group = chosen.groups[label]
    return f"{shown.name} is not defined for it" if is_whole(group) else why_not(group)


def _with_areas(bare: Sequence[Curve], areas: Column) -> list[Curve]:
    """Return the curves, those without a gap with their area, and with its standing if the metric has better values."""
    found, all_ = areas.estimates(), areas.standings(areas.methods)
    standing = {
        method: Standing(letters, rank, best)
        for method, letters, rank, best in zip(areas.methods, all_.letters, all_.ranks, all_.best, strict=True)
        if areas.metric.ordered
    }
    return [replace(one, area=found.get(one.method), standing=standing.get(one.method)) for one in bare]


def _differences(areas: Column) -> tuple[AreaDifference, ...]:
    pairs = list(combinations(areas.methods, 2))
    p = [areas.p(first, second) for first, second in pairs]
    return tuple(
        AreaDifference(first, second, Difference(areas.difference(first, second), one, corrected))
        for (first, second), one, corrected in zip(pairs, p, holm(p), strict=True)
    )


def _signature(chosen: Chosen, sweep: Sweep, shown: Metric) -> str:
    line = signatures.of_metric(signatures.of_table(chosen), shown)
    if sweep.of_task:  # not a mean over other labels
        known = ["-" if one.agreement is None else f"{one.agreement:.4f}" for one in _labels(chosen, sweep)]
        line = signature.write({**signature.read(line), "agreement": "+".join(known)})
    values = ",".join(map(str, sweep.values))
    scale = "log" if sweep.logarithmic else "linear"
    return signature.write({**signature.read(line), "area": f"trapezoid-{scale}({sweep.parameter}={values})"})
