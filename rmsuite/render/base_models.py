"""Tables of base models by methods as text, Markdown and CSV, followed by what scores elsewhere tell of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from rmsuite.choice.embedded import Embedded, scored_as
from rmsuite.render import base_lines, choice_lines, lines, markdown, text
from rmsuite.render.cells import GAP, TOWARDS, Cell, cell, finite
from rmsuite.render.cells import number as of_metric
from rmsuite.render.choice import sections
from rmsuite.render.footer import few_prompts, interval_line
from rmsuite.render.sections import Section, bounded, joined, number, tabulated
from rmsuite.reports.base_records import BaseCell, BaseTable, Gained
from rmsuite.reports.choice import Choice
from rmsuite.statistics.comparisons import FAMILY_LEVEL
from rmsuite.statistics.intervals import FEW_DEVIANTS

Shown = Sequence[tuple[BaseTable, Choice | None]]
PAIRED = "paired by prompt"


def render_own(shown: Shown, style: str) -> str:
    """Print tables, each with its analysis where its metric has better and worse values, in one of ``OWN_STYLES``."""
    return OWN_STYLES[style](shown)


def _all(shown: Shown) -> Iterator[Section]:
    for table, choice in shown:
        yield _values(table)
        yield _gains(table)
        yield _classes(table)
        yield from ([_orders(table)] if table.orders else [])
        yield _related(table)
        yield _cost(table)
        yield from sections(choice, gains=False) if choice else ()


def _title(table: BaseTable, said: str) -> str:
    return f"{table.study.name}: {said}: {table.metric.name}"


def _by_base(table: BaseTable, printed: Callable[[BaseCell], str | Cell]) -> list[list[str | Cell]]:
    return [[base, *(printed(table.cells[method, base]) for method in table.methods)] for base in table.bases]


def _values(table: BaseTable) -> Section:
    unit = f"{' %' if table.metric.percent else ''} {TOWARDS[table.metric.direction]}"

    def printed(one: BaseCell) -> str | Cell:
        shown, standing = cell(one.estimate, table.metric), one.standing
        if shown == GAP or standing is None:
            return shown
        return Cell(f"{shown} {standing.letters}".rstrip(), standing.best)

    found = [e for one in table.cells.values() if (e := finite(one.estimate))]
    letters = (
        "Base models that share a letter under a method are not separable (paired by prompt, all pairs of a column, "
        f"Holm-corrected, family error {FAMILY_LEVEL:g})."
    )
    lines = [
        "Rows by the mean of the row.",
        *([letters] if any(one.standing for one in table.cells.values()) else []),
        *([f"{interval_line(found, 'test prompts')}.", *few_prompts(found)] if found else ["No row has a number."]),
        *(f"Note: {one.base}, {one.method}: {one.note}." for one in table.cells.values() if one.note),
        *(f"Note: {said.removesuffix('.')}." for said in table.omitted),
        f"Signature: {table.signature}",
    ]
    headers = ("base model", *(f"{method}{unit}" for method in table.methods))
    return _title(table, "base models by methods"), tabulated(headers, _by_base(table, printed)), lines


def _gains(table: BaseTable) -> Section:
    defaults = ", ".join(table.study.defaults) or "none: no base model of the study is one"
    several = "; of these the best one under the method" if len(table.study.defaults) > 1 else ""
    lines = [
        f"Default: {defaults}{several}.",
        f"Gain: minus the default, {PAIRED}, in {_unit(table)}; in parentheses relative, in % of the default's value. "
        f"*: p < {FAMILY_LEVEL:g}, Holm-corrected over the base models of the column but the default.",
    ]
    rows = _by_base(table, lambda one: _gained(one.gain, table))
    headers = ("base model", *(f"gain with {method}" for method in table.methods))
    return _title(table, "gain over the default base model"), tabulated(headers, rows), lines


def _unit(table: BaseTable) -> str:
    return "points" if table.metric.percent else f"the unit of {table.metric.name}"


def _gained(gain: Gained | None, table: BaseTable, star: bool = True) -> str:
    if gain is None or not finite(gain.difference.estimate):
        return GAP
    mark = "*" if star and gain.difference.p_holm < FAMILY_LEVEL else ""
    share = f" ({number(100 * gain.relative, '+.1f')}%)" if math.isfinite(gain.relative) else ""
    return f"{cell(gain.difference.estimate, table.metric, sign=True)}{mark}{share}"


def _classes(table: BaseTable) -> Section:
    rows = [
        [
            one.method,
            one.size,
            str(one.n_models),
            one.gain.over if one.gain else GAP,
            one.best or GAP,
            _gained(one.gain, table, star=False),
            *(of_metric(x, table.metric) if math.isfinite(x) else GAP for x in (one.spread, one.chance, one.reach)),
        ]
        for one in table.classes
    ]
    unknown = [base for base in table.bases if math.isnan(table.study.sets[base].parameters)]
    said = f" {len(unknown)} of {len(table.bases)} base models are in no class: no parameters on the card."
    lines = [
        "Best: the best base model of the class on the very prompts that measure it, so gains lean upwards; "
        f"{PAIRED}, not corrected; in parentheses relative to the default of the class.",
        f"Spread: standard deviation (n - 1) over the base models of the class, in {_unit(table)}; by chance: what the "
        f"draw of test prompts alone would give; reach: largest minus smallest.{said if unknown else ''}",
        *(f"Note: {one.method}, {one.size}: {one.note}." for one in table.classes if one.note),
    ]
    headers = ("method", "size", "base models", "default", "best", "gain", "spread", "by chance", "reach")
    return _title(table, "base models of one size"), tabulated(headers, rows), lines


def _orders(table: BaseTable) -> Section:
    rows = [
        [
            f"{one.first}, {one.second}",
            str(one.n_models),
            bounded(one.value, one.low, one.high),
        ]
        for one in table.orders
    ]
    lines = [
        "Spearman's correlation of two columns over base models; 1: the method does not reorder them. Interval: 95%, "
        "percentile bootstrap of test prompts, these base models held fixed. A draw adds noise: that of each "
        "method alone makes the interval lean down, what they share, of the same prompts, up.",
        *(f"Note: {one.first}, {one.second}: {one.note}." for one in table.orders if one.note),
    ]
    return (
        _title(table, "does the method reorder the base models"),
        tabulated(("methods", "base models", "spearman"), rows),
        lines,
    )


def _related(table: BaseTable) -> Section:
    pairs = list(dict.fromkeys((one.pair, one.prompts) for one in table.related))
    found = {(one.pair, one.prompts, one.method): one for one in table.related}
    rows = []
    for pair, prompts in pairs:
        cells = [found.get((pair, prompts, method)) for method in table.methods]
        gains = [_gained(one.gain if one else None, table) for one in cells]
        n = [f" ({one.gain.difference.estimate.n_clusters})" for one in cells if one and one.gain]
        rows.append([f"{pair.first} - {pair.second}", pair.what, f"{prompts}{''.join(n[:1])}", *gains])
    stages = [one.pair for one in table.related if one.pair.what.startswith("stage")]
    none = "No card names a base model and what was trained from it (stage, after); a file given with --results may."
    lines = [
        f"First minus second, {PAIRED}; in parentheses relative to the second. *: p < {FAMILY_LEVEL:g}, Holm-corrected "
        "over the pairs of a method; by category over the categories of a pair. Prompts: in parentheses their number; "
        f"where fewer than {FEW_DEVIANTS} tell two base models apart, the interval leaves room for the others "
        "(Clopper-Pearson), and may be wide.",
        *([] if stages else [none]),
        *(f"Note: {c.pair.first} - {c.pair.second}, {c.method}: {c.note}." for c in table.related if c.note),
    ]
    headers = ("base models", "what differs", "prompts", *table.methods)
    return _title(table, "base models that differ in one thing"), tabulated(headers, rows), lines


def _cost(table: BaseTable) -> Section:
    sets = [table.study.sets[base] for base in table.bases]
    scored = scored_as(sets)
    rows = [
        [
            one.name,
            number(one.n_features, ".0f"),
            number(1000 * one.parameters, ".1f"),
            number(one.seconds, ".3g"),
            *(text or GAP for text in (one.family, one.precision, one.layer, one.pooling, scored.get(one.name, ""))),
        ]
        for one in sets
    ]
    counted = {"parameters": "parameters", "seconds": "seconds", "n_features": "dimension"}
    missing = [f"{n} of {len(sets)} {said}" for key, said in counted.items() if (n := _n_missing(sets, key))]
    lines = [
        "By the cards of the embedding sets. Seconds: of one core, to embed 1,000 responses. Scores as: where scores "
        "elsewhere are looked up; weights of another precision stand for those that they were made of.",
        *([f"Not on the cards: {', '.join(missing)}."] if missing else []),
    ]
    headers = ("base model", "dimension", "parameters, M", "s per 1,000", "family", "precision", "layer", "pooling")
    return f"{table.study.name}: what base models cost", tabulated((*headers, "scores as"), rows), lines


def _n_missing(sets: Sequence[Embedded], key: str) -> int:
    return sum(math.isnan(getattr(one, key)) for one in sets)


def _csv(shown: Shown) -> str:
    """Return one line a number, those of the tables first, in full precision."""
    found = [
        line
        for table, choice in shown
        for line in (*base_lines.lines(table), *(choice_lines.lines(choice) if choice else ()))
    ]
    return lines.written(found)


OWN_STYLES: Mapping[str, Callable[[Shown], str]] = {
    "text": lambda shown: joined(_all(shown), text.block),
    "markdown": lambda shown: joined(_all(shown), markdown.block),
    "csv": _csv,
}
