"""Two methods, paired by prompt: per task, per category, prompt by prompt, and over all tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite import seeds
from rmsuite.errors import ResultsError
from rmsuite.metrics import Metric, metric
from rmsuite.reports import signatures
from rmsuite.reports.cells import Chosen, choose, is_whole, why_not
from rmsuite.reports.overall import rises
from rmsuite.reports.samples import Column, column
from rmsuite.results import CellRecord
from rmsuite.statistics import N_DRAWS, Difference, Estimate, Sample, holm, p_value, permutation_p, resample
from rmsuite.statistics.aggregates import RULES, aggregate
from rmsuite.statistics.comparisons import detectable
from rmsuite.tested import TestSet


@dataclass(frozen=True)
class Compared:
    """One metric on one set of prompts (a task or a category of it).

    Attributes
    ----------
    first, second : Estimate
        Of each method.
    difference : Difference
        First minus second; ``p_holm`` is corrected over all metrics (or categories) of the task.
    p_permutation : float
        From exchanging the two within prompts: the cross-check of ``difference.p``.
    detectable : float
        Minimum detectable effect: the true difference that 80 % of such test parts would show.
    """

    metric: Metric
    first: Estimate
    second: Estimate
    difference: Difference
    p_permutation: float
    detectable: float


@dataclass(frozen=True)
class Item:
    """One prompt: both methods' values of the first metric, and its weight in the mean."""

    task: str
    prompt: str
    category: str
    first: float
    second: float
    weight: float


@dataclass(frozen=True)
class TaskComparison:
    """Two methods on one task.

    Attributes
    ----------
    by_category : mapping
        Of the first metric, for each category with at least one prompt that says something.
    wins, losses, ties : int
        Prompts on which the first metric of the first method is better, worse, the same (mean over repetitions).
    items : tuple of Item
        The prompts, hardest first: those on which the mean of both is worst.
    """

    task: str
    signature: str
    repetitions: tuple[int, ...]
    metrics: tuple[Compared, ...]
    by_category: Mapping[str, Compared]
    wins: int
    losses: int
    ties: int
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Comparison:
    """Two methods on all tasks that both have; ``overall`` is the macro mean of their normalised differences."""

    first: str
    second: str
    tasks: tuple[TaskComparison, ...]
    overall: Estimate | None
    omitted: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Prompts:
    """What cells do not say of a task's test prompts: ids, the name of each one's category, how many responses."""

    ids: Sequence[str]
    categories: Sequence[str]
    n_responses: np.ndarray


def prompts(test: TestSet, names: Sequence[str]) -> Prompts:
    """Return the ids and categories of a test set; ``names`` are the pool's categories."""
    ids = [i.decode() if isinstance(i, bytes) else str(i) for i in test.prompt_id.tolist()]
    return Prompts(ids, [names[number] for number in test.category.tolist()], np.diff(test.offsets))


def compare(
    first: str, second: str, cells: Mapping[str, Sequence[CellRecord]], known: Mapping[str, Prompts]
) -> Comparison:
    """Compare two methods (or controls) on every task.

    Parameters
    ----------
    cells : mapping
        By task, the cells of both, and of no other.
    known : mapping
        By task, its test prompts.

    Raises
    ------
    ResultsError
        If there is no task on which both have numbers, or if on some task their cells have different signatures or no
        repetition in common.
    """
    tasks, columns, omitted = [], [], []
    for task, found in sorted(cells.items()):
        reason, chosen = _usable(task, first, second, found)
        if chosen is None:
            omitted.append(f"{task} is left out: {reason}")
            continue
        with threadpool_limits(limits=1):  # the number of threads decides the last bits of sums
            compared, headline = _task(task, first, second, chosen, known[task])
        tasks.append(compared)
        columns.append(headline)
    if not tasks:
        got = "; ".join(omitted) or "no results"
        do = "run both methods on one task first"
        raise ResultsError(who=f"compare {first} {second}", expected="a task with results of both", got=got, do=do)
    labelled = [not signatures.by_gold_model(task.signature) for task in tasks]
    if any(labelled):  # those whose gold is a model's are never averaged with the others
        columns = [found for found, one in zip(columns, labelled, strict=True) if one]
    return Comparison(first, second, tuple(tasks), _overall(first, second, columns), tuple(omitted))


def _usable(task: str, first: str, second: str, cells: Sequence[CellRecord]) -> tuple[str, Chosen | None]:
    absent = [name for name in (first, second) if name not in {cell.method for cell in cells}]
    if absent:
        return f"no results of {' and '.join(absent)}", None
    chosen = choose(task, cells, (), allow_mixed=False)
    broken = [f"{name} {why_not(group)}" for name, group in chosen.groups.items() if not is_whole(group)]
    return "; ".join(broken), None if broken else chosen


def _task(task: str, first: str, second: str, chosen: Chosen, known: Prompts) -> tuple[TaskComparison, Column]:
    shown = [metric(name) for name in chosen.groups[first][0].facts["columns"]]
    columns = [found for one in shown if (found := column(task, chosen.groups, one)) is not None]
    columns = [found for found in columns if {first, second} <= set(found.methods)]
    compared = _corrected([_compared(task, found, first, second) for found in columns])
    items = _items(task, columns[0], first, second, known)
    gaps = np.array([item.first - item.second for item in items]) * (1 if columns[0].larger_is_better else -1)
    wins, losses = int((gaps > 1e-12).sum()), int((gaps < -1e-12).sum())
    return (
        TaskComparison(
            task,
            signatures.of_table(chosen),
            chosen.repetitions,
            tuple(compared),
            _by_category(task, columns[0], first, second, known),
            wins,
            losses,
            len(items) - wins - losses,
            tuple(items),
        ),
        columns[0],
    )


def _compared(task: str, found: Column, first: str, second: str) -> Compared:
    one, two = found.index(first), found.index(second)
    e = found.resampled.difference_evidence(one, two)
    p = p_value(e)
    rng = seeds.generator(0, "permutation", task=task)
    return Compared(
        found.metric,
        found.resampled.estimate(one),
        found.resampled.estimate(two),
        Difference(found.resampled.difference(one, two), p, p),
        permutation_p(found.resampled.sample, one, two, N_DRAWS, rng),
        detectable(e),
    )


def _corrected(found: Sequence[Compared]) -> list[Compared]:
    corrected = holm([one.difference.p for one in found])
    return [replace(one, difference=replace(one.difference, p_holm=p)) for one, p in zip(found, corrected, strict=True)]


def _items(task: str, found: Column, first: str, second: str, known: Prompts) -> list[Item]:
    sample = found.resampled.sample
    values = np.array([sample.reduce(sample.sums[found.index(name)]) for name in (first, second)])
    weights = sample.sums[found.index(first), :, 1] if found.metric.mean else np.ones(values.shape[1])
    said = np.flatnonzero(np.isfinite(values).all(axis=0))
    order = said[np.argsort(values[:, said].sum(axis=0) * (1 if found.larger_is_better else -1), kind="stable")]
    each = zip(order.tolist(), values[:, order].T.tolist(), weights[order].tolist(), strict=True)
    return [Item(task, known.ids[i], known.categories[i], one, two, weight) for i, (one, two), weight in each]


def _by_category(task: str, found: Column, first: str, second: str, known: Prompts) -> dict[str, Compared]:
    categories = np.array(known.categories)
    out = {}
    for name in sorted(set(known.categories)):
        part = restricted(task, found, categories == name, known.n_responses)
        if part is not None:
            out[name] = _compared(task, part, first, second)
    return dict(zip(out, _corrected(list(out.values())), strict=True))


def restricted(task: str, found: Column, inside: np.ndarray, n_responses: np.ndarray) -> Column | None:
    """Return the column over some of the prompts, ``inside`` ``(n_prompts,)`` bool; None where they say nothing."""
    whole = found.resampled.sample
    sums = whole.sums[:, inside]
    if not np.isfinite(whole.reduce(sums.sum(axis=1))).all():
        return None
    n_items = int(sums[0, :, 1].sum() if found.metric.counts_pairs else n_responses[inside].sum())
    sample = Sample(sums, whole.low, whole.high, n_items, whole.n_repetitions, whole.reduce)
    return replace(found, resampled=resample(sample, seeds.generator(0, "bootstrap", task=task)))


def _overall(first: str, second: str, columns: Sequence[Column]) -> Estimate | None:
    """Return the macro mean over tasks of the difference of normalised gains; None for a single task."""
    if len(columns) < 2 or not all(rises(found.metric) for found in columns):
        return None
    gains = np.array([_normalised(found, found.resampled.sample.value, first, second) for found in columns])
    draws = np.array([_normalised(found, found.resampled.draws, first, second) for found in columns])
    samples = [found.resampled.sample for found in columns]
    facts = {
        "n_items": sum(sample.n_items for sample in samples),
        "n_clusters": sum(int(sample.active[0].sum()) for sample in samples),
        "n_repetitions": min(sample.n_repetitions for sample in samples),
    }
    clusters = min(float(sample.effective_clusters.min()) for sample in samples)
    return aggregate(RULES[0], gains[None], draws.T[:, None], clusters, facts)[0]


def _normalised(found: Column, values: np.ndarray, first: str, second: str) -> np.ndarray:
    room = found.metric.perfect - found.metric.chance
    return np.asarray((values[found.index(first)] - values[found.index(second)]) / room)
