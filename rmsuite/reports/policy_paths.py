"""From policy cells to paths: what policies gain in gold while they learn, and the frontier of gold against KL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite import seeds
from rmsuite.reports.policies import PolicyRow, PolicyTable, gain, gold_gain_range
from rmsuite.results import CellRecord
from rmsuite.statistics import Estimate, estimates, mean_sample, resample

Key = tuple[str, str, float | None]
Group = Sequence[CellRecord]


@dataclass(frozen=True)
class PathPoint:
    """Policies after some steps; means over prompts, policies and repetitions.

    Attributes
    ----------
    step : int
    samples : float
        Responses that one policy has drawn until then.
    kl : float
        To the reference, in nats.
    gold : Estimate
        Expected gold less that of the reference, in standard deviations of gold within a prompt (training part).
    proxy : float
        As ``gold``, of the reward model's rewards.
    """

    step: int
    samples: float
    kl: float
    gold: Estimate
    proxy: float


@dataclass(frozen=True)
class PolicyPath:
    """Policies of one reward model, optimizer and beta along their training; a closed form has one point."""

    method: str
    optimizer: str
    beta: float | None
    points: tuple[PathPoint, ...]

    @property
    def family(self) -> str:
        """The optimizer's name without its hyperparameters."""
        return self.optimizer.partition("[")[0]

    @property
    def end(self) -> PathPoint:
        """What became of the policies."""
        return self.points[-1]

    @property
    def closed(self) -> bool:
        """Whether nothing was trained."""
        return len(self.points) == 1 and not self.end.samples


@dataclass(frozen=True)
class Frontier:
    """The ends of the paths of one reward model and of the optimizers of one name, by rising KL."""

    method: str
    family: str
    paths: tuple[PolicyPath, ...]


@dataclass(frozen=True)
class TaskPaths:
    """All paths of one task, in the order of its table; ``omitted`` says which rows have none, and why."""

    task: str
    signature: str
    paths: tuple[PolicyPath, ...]
    omitted: tuple[str, ...] = ()
    n_policies: int = 0

    @property
    def frontiers(self) -> tuple[Frontier, ...]:
        """The frontiers of all reward models and optimizers."""
        groups: dict[tuple[str, str], list[PolicyPath]] = {}
        for path in self.paths:
            groups.setdefault((path.method, path.family), []).append(path)
        return tuple(
            Frontier(method, family, tuple(sorted(paths, key=lambda path: path.end.kl)))
            for (method, family), paths in groups.items()
        )


def policy_paths(records: Iterable[CellRecord], tables: Sequence[PolicyTable]) -> tuple[TaskPaths, ...]:
    """Return the paths of each table's rows.

    Intervals are clustered by prompt, and all points of a task share the resamples of its table, so that the end of
    a path is what the table prints.

    Parameters
    ----------
    records :
        Policy cells.
    tables :
        What ``policy_tables`` returns for them.
    """
    groups: dict[str, dict[Key, list[CellRecord]]] = {table.task: {} for table in tables}
    for cell in records:
        facts = cell.facts
        key = facts["reward_model"], facts["optimizer"], facts["beta"]
        groups[cell.task].setdefault(key, []).append(cell)
    with threadpool_limits(limits=1):  # the number of threads decides the last bits of sums
        return tuple(_task_paths(table, groups[table.task]) for table in tables)


def _task_paths(table: PolicyTable, groups: Mapping[Key, Group]) -> TaskPaths:
    whole = {key: groups[key] for row in table.rows if row.gold and (key := _key(row))}
    omitted = tuple(f"{row.name}: {row.note}" for row in table.rows if not row.gold)
    paths = tuple(PolicyPath(*key, points) for key, points in _points(table.task, whole).items())
    return TaskPaths(table.task, table.signature, paths, omitted, table.n_policies)


def _key(row: PolicyRow) -> Key:
    return row.method, row.optimizer, row.beta


def _points(task: str, whole: Mapping[Key, Group]) -> dict[Key, tuple[PathPoint, ...]]:
    if not whole:
        return {}
    steps = {key: _steps(group) for key, group in whole.items()}
    found = iter(_gold(task, [(group, step) for key, group in whole.items() for step in steps[key]]))
    return {key: tuple(_point(group, step, next(found)) for step in steps[key]) for key, group in whole.items()}


def _steps(group: Group) -> list[int]:
    """Return the steps after which all repetitions were watched."""
    common: np.ndarray = reduce(np.intersect1d, [cell.arrays["steps"] for cell in group])
    return [int(step) for step in common]


def _gold(task: str, points: Sequence[tuple[Group, int]]) -> list[Estimate]:
    """Return the gold gain of each point: one sample of all, so that they share the resamples."""
    cell, n_repetitions = points[0][0][0], len(points[0][0])
    gains = [[gain(one, "gold", _place(one, step)) for one in group] for group, step in points]
    values = np.stack([np.mean(each, axis=0) for each in gains])
    counts = cell.facts["n_test_responses"], n_repetitions
    sample = mean_sample(values, np.ones(values.shape), *gold_gain_range(cell), *counts)
    return estimates(resample(sample, seeds.generator(0, "bootstrap", task=task)))


def _point(group: Group, step: int, gold: Estimate) -> PathPoint:
    places = [(cell, _place(cell, step)) for cell in group]
    kl, proxy = (float(np.mean([gain(cell, name, at).mean() for cell, at in places])) for name in ("kl", "proxy"))
    samples = float(np.mean([cell.arrays["samples"][at] for cell, at in places]))
    return PathPoint(step, samples, kl, gold, proxy)


def _place(cell: CellRecord, step: int) -> int:
    return cell.arrays["steps"].tolist().index(step)
