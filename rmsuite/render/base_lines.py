"""Tables of base models by methods as lines of CSV, a number each, beside those of ``choice_lines``."""

from __future__ import annotations

from collections.abc import Iterator

from rmsuite.render.lines import Line, line
from rmsuite.reports.base_records import BaseTable, Gained


def lines(table: BaseTable) -> Iterator[Line]:
    """Yield all numbers of a table in the metric's own unit, each with the study that it is of."""
    for one in (*_cells(table), *_classes(table), *_orders(table), *_related(table), *_cost(table)):
        yield {**one, "source": f"{table.study.name}: {table.metric.name}"}
    yield {"section": "signature", "note": table.signature, "source": f"{table.study.name}: {table.metric.name}"}


def _cells(table: BaseTable) -> Iterator[Line]:
    for one in table.cells.values():
        if one.note:
            yield {"section": "own", "method": one.method, "name": one.base, "note": one.note}
        if (e := one.estimate) is not None:
            letters = one.standing.letters if one.standing else ""
            yield line("own", one.method, one.base, "value", e.value, low=e.low, high=e.high, note=letters)
        if one.gain:
            yield from _gained("own gain", one.method, one.base, one.gain)


def _gained(section: str, method: str, name: str, gain: Gained, **more: object) -> Iterator[Line]:
    e, tests = gain.difference.estimate, {"p": gain.difference.p, "p_holm": gain.difference.p_holm}
    found: Line = {"of": gain.over, **more}
    yield line(section, method, name, "points", e.value, low=e.low, high=e.high, **tests, **found)
    yield line(section, method, name, "relative", gain.relative, low=gain.low, high=gain.high, **found)


def _classes(table: BaseTable) -> Iterator[Line]:
    for one in table.classes:
        for statistic in ("spread", "chance", "reach"):
            value: float = getattr(one, statistic)
            yield line("own size", one.method, one.size, statistic, value, n_models=one.n_models, note=one.note)
        if one.gain:
            said = {"of": f"{one.best} over {one.gain.over}", "n_models": one.n_models}
            yield from _gained("own size", one.method, one.size, one.gain, **said)


def _orders(table: BaseTable) -> Iterator[Line]:
    for one in table.orders:
        interval = {"low": one.low, "high": one.high, "n_models": one.n_models, "note": one.note}
        yield line("own order", one.first, "methods", "spearman", one.value, of=one.second, **interval)


def _related(table: BaseTable) -> Iterator[Line]:
    for one in table.related:
        name, note = f"{one.pair.first} - {one.pair.second}", f"{one.pair.what}; {one.prompts}"
        if one.gain:
            yield from _gained("own pair", one.method, name, one.gain, note=note)
        else:
            yield {"section": "own pair", "method": one.method, "name": name, "note": f"{note}; {one.note}"}


def _cost(table: BaseTable) -> Iterator[Line]:
    for base in table.bases:
        one = table.study.sets[base]
        for statistic in ("n_features", "parameters", "seconds"):
            yield line("own cost", "", base, statistic, getattr(one, statistic), note=one.family)
