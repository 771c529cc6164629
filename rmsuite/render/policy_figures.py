"""Figures of policies: what they gain while they learn, by KL and by samples, and the frontiers where they end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from rmsuite.render.figures import Figure, Line, Panel, Record
from rmsuite.render.footer import few_prompts, interval_line
from rmsuite.reports.policies import said_of_reference
from rmsuite.reports.policy_paths import Frontier, PathPoint, PolicyPath, TaskPaths

T = TypeVar("T")
GAIN, GOLD, PROXY = "gain over the reference (sd)", "gold", "proxy"
GOLD_GAIN = "gold gain over the reference (sd)"
UNITS = "Gain: expected reward less that of the reference, which {}; in standard deviations within a prompt, of the "
UNITS += "training part."


def policy_figures(found: Iterable[TaskPaths]) -> list[Figure]:
    """Return three figures a task: gain by the root of KL, gold gain by samples, and gold gain by KL at the end."""
    return [make(one) for one in found for make in (_by_kl, _by_samples, _frontiers)]


def _by_kl(found: TaskPaths) -> Figure:
    panels = []
    for (method, family), paths in _grouped(_by_beta(found), lambda path: (path.method, path.family)):
        lines = tuple(line for label, path in _labelled(paths) for line in _path_lines(label, path))
        panels.append(Panel(f"{method}, {family}", "root of KL to the reference (√nat)", GAIN, lines, zero=True))
    said = (
        "Gain in gold and in proxy reward against the root of KL, along the training; a panel a reward model and "
        "optimizer, a line a beta, which is the price of a nat of KL in units of proxy. Closed forms are points."
    )
    return _figure(found, "path", panels, said, _records(found))


def _labelled(paths: Sequence[PolicyPath]) -> Iterator[tuple[str, PolicyPath]]:
    """Yield paths of one optimizer name with what tells them apart; once where beta makes no difference."""
    for path in paths:
        same = [one for one in paths if (one.optimizer, one.points) == (path.optimizer, path.points)]
        if same[0] is path:
            given = path.optimizer.removeprefix(path.family).strip("[]")
            beta = f"beta {path.beta:g}" if len(same) == 1 and path.beta is not None else "any beta"
            yield ", ".join([*([given] if given else []), beta]), path


def _path_lines(label: str, path: PolicyPath) -> Iterator[Line]:
    x = tuple(math.sqrt(point.kl) for point in path.points)
    yield _gold_line(label, x, path.points, GOLD)
    yield Line(label, x, tuple(point.proxy for point in path.points), quantity=PROXY)


def _by_samples(found: TaskPaths) -> Figure:
    panels = []
    with_beta = [path for path in _by_beta(found) if path.beta is not None]
    for (method, beta), paths in _grouped(with_beta, lambda path: (path.method, path.beta)):
        levels = [path for path in found.paths if path.beta is None and path.method == method]
        lines = tuple(_by_samples_line(path) for path in (*paths, *levels))
        title = f"{method}, beta {beta:g}"
        panels.append(Panel(title, "samples of a policy's training", GOLD_GAIN, lines, log_x=True, zero=True))
    said = (
        "Gain in gold against the responses that a policy has drawn in training; a panel a reward model and beta, a "
        "line an optimizer. Closed forms, which draw none, are levels."
    )
    return _figure(found, "samples", panels, said, _records(found))


def _by_samples_line(path: PolicyPath) -> Line:
    if path.closed:
        return Line(path.optimizer, (math.nan,), (path.end.gold.value,), kind="level")
    return _gold_line(path.optimizer, tuple(point.samples for point in path.points), path.points)


def _frontiers(found: TaskPaths) -> Figure:
    panels = []
    for (method,), group in _grouped(found.frontiers, lambda one: (one.method,)):
        lines = tuple(_frontier_line(one) for one in group)
        panels.append(Panel(method, "KL to the reference (nat)", GOLD_GAIN, lines, zero=True, intervals="bars"))
    said = (
        "Gain in gold against KL at the end of the training; a panel a reward model, a line an optimizer, which joins "
        "its betas and other hyperparameters in the order of KL."
    )
    records = [_record(found, path, path.end) for one in found.frontiers for path in one.paths]
    return _figure(found, "frontier", panels, said, records)


def _frontier_line(one: Frontier) -> Line:
    ends = [path.end for path in one.paths]
    return _gold_line(one.family, tuple(end.kl for end in ends), ends)


def _gold_line(label: str, x: tuple[float, ...], points: Sequence[PathPoint], quantity: str = "") -> Line:
    gold = [point.gold for point in points]
    y, low, high = (tuple(getattr(one, name) for one in gold) for name in ("value", "low", "high"))
    return Line(label, x, y, low, high, quantity)


def _by_beta(found: TaskPaths) -> list[PolicyPath]:
    """Return paths by reward model and rising beta, both as in legends, and else in the order of the table."""
    methods = list(dict.fromkeys(path.method for path in found.paths))
    return sorted(found.paths, key=lambda path: (methods.index(path.method), path.beta or 0))


def _grouped(found: Iterable[T], key: Callable[[T], tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], list[T]]]:
    groups: dict[tuple[Any, ...], list[T]] = {}
    for one in found:
        groups.setdefault(key(one), []).append(one)
    return list(groups.items())


def _figure(found: TaskPaths, name: str, panels: Sequence[Panel], said: str, records: Sequence[Record]) -> Figure:
    gold = [point.gold for path in found.paths for point in path.points]
    caption = [
        f"{found.task}: policies. {said}",
        UNITS.format(said_of_reference(found.signature)),
        f"Means over repetitions and {found.n_policies} policies each.",
        *([f"{interval_line(gold, 'test prompts')}.", *few_prompts(gold)] if gold else ["No row has a number."]),
        *(f"Note: {text}." for text in found.omitted),
    ]
    return Figure(f"policy-{name}-{found.task}", tuple(panels), tuple(caption), found.signature, records)


def _records(found: TaskPaths) -> list[Record]:
    return [_record(found, path, point) for path in found.paths for point in path.points]


def _record(found: TaskPaths, path: PolicyPath, point: PathPoint) -> Record:
    """Return a line of the CSV, whose names are those of the table's."""
    names: dict[str, object] = {"task": found.task, "method": path.method, "optimizer": path.optimizer}
    names |= {"beta": "" if path.beta is None else path.beta}
    reached = {"step": point.step, "samples": point.samples, "kl": point.kl}
    gold = {"gold_gain": point.gold.value, "low": point.gold.low, "high": point.gold.high}
    return {**names, **reached, **gold, "proxy_gain": point.proxy, "signature": found.signature}
