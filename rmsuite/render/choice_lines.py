"""The choice of base models as CSV: one line a number, in full precision, for figures and for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from rmsuite.choice.correlations import Correlation
from rmsuite.render import presence
from rmsuite.render.lines import Line, line, written
from rmsuite.reports.choice import ByMethod, Choice


def write(choice: Choice) -> str:
    """Return all numbers of a study; what is not there is an empty cell."""
    return written(lines(choice))


def lines(choice: Choice) -> Iterator[Line]:
    """Yield all numbers of a study, each with the table that it is of."""
    for one in _lines(choice):
        yield {**one, "source": choice.bases.source}


def _lines(choice: Choice) -> Iterator[Line]:
    for one in choice.methods:
        yield from _predictors(one)
        yield from _candidates(one)
        yield from _predictions(choice, one)
    yield from _components(choice)
    yield from _gains(choice)
    for spread in choice.spreads:
        yield line("spread", spread.method, spread.of, "deviation", spread.deviation, n_models=spread.n_models)
    yield from _agreements(choice)
    yield from _stages(choice)
    yield from presence.lines(choice.documents) if choice.documents else ()
    for note in choice.notes:
        yield {"section": "note", "note": note}


def _correlation(section: str, method: str, name: str, statistic: str, one: Correlation) -> Line:
    tests = {"low": one.low, "high": one.high, "p": one.p, "p_holm": one.p_holm}
    return line(section, method, name, statistic, one.value, **tests, n_models=one.n_models, note=one.note)


def _curve(section: str, method: str, name: str, curve: np.ndarray, **more: object) -> Iterator[Line]:
    for k, value in enumerate(curve, 1):
        yield line(section, method, name, f"coverage at {k}", value, n_models=len(curve), **more)


def _predictors(one: ByMethod) -> Iterator[Line]:
    for predictor in one.predictors:
        for statistic, found in predictor.correlations.items():
            yield _correlation(predictor.kind, one.method, predictor.name, statistic, found)
        yield line(predictor.kind, one.method, predictor.name, "kept", predictor.kept)
        yield from _curve(predictor.kind, one.method, predictor.name, predictor.curve)


def _candidates(one: ByMethod) -> Iterator[Line]:
    for way in one.candidates:
        more: Line = {"of": way.of, "n_models": one.n_compared, "note": way.note}
        for statistic, value in (("spearman", way.correlation), ("coverage", way.top), ("error", way.error)):
            yield line("way", one.method, way.name, statistic, value, **more)
        yield from _curve("way", one.method, way.name, way.curve, of=way.of)
    yield line("way", one.method, "mean of the other families", "error", one.by_mean)


def _predictions(choice: Choice, one: ByMethod) -> Iterator[Line]:
    place = choice.bases.methods.index(one.method)
    columns = {"quality": choice.bases.quality[:, place], "in sample": one.selected.in_sample}
    columns |= {"new family": one.selected.unseen, "parameters": choice.bases.parameters}
    for row, model in enumerate(choice.bases.models):
        for statistic, column in columns.items():
            yield line("model", one.method, model, statistic, column[row], of=choice.bases.families[row])
    if fitted := one.selected.fitted:
        net = fitted.net
        for statistic in ("degree", "alpha", "l1_ratio", "error", "converged"):
            yield line("selector", one.method, "hyperparameters", statistic, getattr(net, statistic))
        for name in fitted.offered:
            yield line("selector", one.method, name, "used", name in fitted.uses)
    for name, why in one.selected.used.left_out.items():
        yield line("selector", one.method, name, "usable", False, note=why)


def _components(choice: Choice) -> Iterator[Line]:
    if (found := choice.components) is None:
        return
    for number, share in enumerate(found.shares, 1):
        yield line("component", "", f"component {number}", "share", share, n_models=found.n_models)
        for name, loading in zip(found.used.names, found.loadings[number - 1], strict=True):
            yield line("component", "", f"component {number}", "loading", loading, of=name)


def _gains(choice: Choice) -> Iterator[Line]:
    for gain in choice.gains:
        more: Line = {"of": f"{gain.best} over {gain.default}" if gain.best else "", "n_models": gain.n_models}
        for statistic, value in (("points", gain.points), ("relative", gain.relative)):
            yield line("gain", gain.method, gain.size, statistic, value, note=gain.note, **more)


def _agreements(choice: Choice) -> Iterator[Line]:
    for one in choice.agreements:
        more: Line = {"of": one.second, "n_models": one.n_models}
        for statistic, found in one.correlations.items():
            yield _correlation("agreement", one.first, "methods", statistic, found) | {"of": one.second}
        yield line("agreement", one.first, "methods", "difference", one.difference, **more)
        yield line("agreement", one.first, "methods", "second ahead", len(one.ahead), note=", ".join(one.ahead), **more)
        yield from _curve("agreement", one.first, "methods", one.coverage, of=one.second)


def _stages(choice: Choice) -> Iterator[Line]:
    for stage in choice.stages:
        columns: Sequence[tuple[str, np.ndarray]] = (
            ("value", stage.values),
            ("minus before", stage.before),
            ("minus before, relative", stage.before_relative),
            ("minus start", stage.start),
            ("minus start, relative", stage.start_relative),
        )
        for statistic, values in columns:
            for name, value in zip(choice.categories, values, strict=True):
                yield line("stage", stage.method, stage.model, f"{name}: {statistic}", value, of=stage.after)
