"""Figures of the choice of base models: what goes with quality, what covers the best ones, how methods order them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import rankdata

from rmsuite.choice.coverage import RULES, chance
from rmsuite.render.figures import Figure, HeatMap, Line, Panel, Slopes
from rmsuite.render.sections import sequence
from rmsuite.reports.choice import RANKED, ByMethod, Choice

MOST_ROWS = 40  # of a heat map: more are too many to read
CHANCE = "chance"


def choice_figures(choice: Choice) -> list[Figure]:
    """Return the figures that there are numbers for: a heat map, coverage by k, and slopes of ranks."""
    found = [_correlations(choice), _coverage(choice), _slopes(choice)]
    return [one for one in found if one.panels]


def _signature(choice: Choice) -> str:
    settings = choice.settings
    rule = f"ties={settings.ties}|draws={settings.n_draws}|seed={settings.seed}"
    return f"base-models: {choice.bases.source}|metric={choice.bases.metric}|{rule}"


def _figure(choice: Choice, name: str, panels: Sequence[Panel | HeatMap | Slopes], *said: str) -> Figure:
    caption = (f"{choice.bases.source}: {said[0]}", *said[1:], *(f"Note: {n.rstrip('.')}." for n in choice.notes))
    return Figure(f"base-models-{name}-{choice.bases.source}", tuple(panels), caption, _signature(choice))


def _correlations(choice: Choice) -> Figure:
    values = {one.method: {p.name: p.correlations[RANKED] for p in one.predictors} for one in choice.methods}
    names = dict.fromkeys(p.name for one in choice.methods for p in one.predictors)
    known = [name for name in names if any(not values[m][name].note for m in values if name in values[m])]
    rows = sorted(known, key=lambda name: -_mean([values[m][name].value for m in values if name in values[m]]))
    shown = rows[:MOST_ROWS]
    table = tuple(tuple(values[m][name].value if name in values[m] else math.nan for m in values) for name in shown)
    said = "Spearman's correlation of what is known before training with quality, over the base models that have both"
    panels = [HeatMap("Spearman with quality", tuple(shown), tuple(values), table)] if shown else []
    dropped = [f"Not drawn, with no larger means: {sequence(rows[MOST_ROWS:])}."] * (len(rows) > MOST_ROWS)
    numbers = [f"{one.method}: {one.n_models} base models have quality." for one in choice.methods]
    return _figure(choice, "correlations", panels, f"{said}; by the mean of the row.", *numbers, *dropped)


def _mean(values: Sequence[float]) -> float:
    held = [value for value in values if math.isfinite(value)]
    return float(np.mean(held)) if held else -math.inf


def _coverage(choice: Choice) -> Figure:
    panels = [_covered(one) for one in choice.methods if one.n_compared > 1]
    said = "Of the first k base models by each way to choose, the share that are among the best k"
    best = [f"{one.method}: the best single benchmark is {one.best}." for one in choice.methods if one.best]
    rule = f"Ties: {RULES[choice.settings.ties]}. Chance: a random order. In sample: seen by the selector."
    return _figure(choice, "coverage", panels, f"{said}; a panel a method, a line a way.", rule, *best)


def _covered(one: ByMethod) -> Panel:
    return Panel(
        f"{one.method} ({one.n_compared} base models)",
        "k",
        "share of the best k covered",
        tuple(_lines(one)),
    )


def _lines(one: ByMethod) -> Iterator[Line]:
    for way in one.candidates:
        if len(way.curve):
            yield Line(way.name, _ks(way.curve), tuple(map(float, way.curve)))
    random = chance(one.n_compared)
    yield Line(CHANCE, _ks(random), tuple(map(float, random)))


def _ks(curve: np.ndarray) -> tuple[float, ...]:
    return tuple(float(k) for k in range(1, len(curve) + 1))


def _slopes(choice: Choice) -> Figure:
    panels = [_slope(choice, one.first, one.second) for one in choice.agreements if one.n_models > 1]
    said = "Ranks of the base models under two methods, the best on top"
    spearman = [f"{a.first}, {a.second}: Spearman {a.correlations[RANKED].value:.2f}." for a in choice.agreements]
    return _figure(choice, "ranks", panels, f"{said}; ties share the mean of their ranks.", *spearman)


def _slope(choice: Choice, first: str, second: str) -> Slopes:
    bases = choice.bases
    columns = bases.quality[:, [bases.methods.index(first), bases.methods.index(second)]]
    both = np.flatnonzero(~np.isnan(columns).any(axis=1))
    left, right = (tuple(map(float, rankdata(-column))) for column in columns[both].T)
    return Slopes(f"{first}, {second}", (first, second), tuple(bases.models[row] for row in both), left, right)
