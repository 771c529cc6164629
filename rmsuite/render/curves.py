"""Curves as text, Markdown and CSV: a row a method, a column a value of the parameter, and the area under the curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from rmsuite.render import markdown, text
from rmsuite.render.cells import TOWARDS, Cell, Grid, cell, finite, plain
from rmsuite.render.comma_separated import guarded, printed
from rmsuite.render.footer import THESE_FITS, few_prompts, interval_line
from rmsuite.reports.curves import AreaDifference, Curve, CurveTable
from rmsuite.statistics import Estimate
from rmsuite.statistics.comparisons import FAMILY_LEVEL

FIELDS = (
    "task",
    "metric",
    "method",
    "minus",
    "parameter",
    "at",
    "value",
    "low",
    "high",
    "letters",
    "p",
    "p_holm",
    "note",
    "signature",
)
AREA = "area"
Block = Callable[[str, Grid, list[str]], str]


def render_curves(tables: Sequence[CurveTable], style: str) -> str:
    """Print tables of curves in one of ``CURVE_STYLES``."""
    return CURVE_STYLES[style](tables)


def _readable(block: Block, bold: bool) -> Callable[[Sequence[CurveTable]], str]:
    return lambda tables: "\n\n".join(one for table in tables for one in _blocks(table, block, bold))


def _blocks(table: CurveTable, block: Block, bold: bool) -> Iterator[str]:
    title = f"{table.task}: {table.metric.name} over {table.sweep.parameter}"
    if not table.differences:
        yield block(title, _points(table), _footer(table, bold))
        return
    yield block(title, _points(table), []).rstrip()
    yield block(f"{title}: differences of areas", _differences(table), _footer(table, bold))


def _points(table: CurveTable) -> Grid:
    one = table.metric
    unit = f"{' %' if one.percent else ''} {TOWARDS[one.direction]}"
    headers = ("method", *(f"{table.sweep.parameter}={at}" for at in table.sweep.values), AREA + unit)
    rows = [
        (Cell(plain(curve.method)), *(Cell(cell(point, one)) for point in curve.points), _area(curve, table))
        for curve in table.curves
    ]
    return Grid(headers, tuple(rows))


def _area(curve: Curve, table: CurveTable) -> Cell:
    printed, standing = cell(curve.area, table.metric), curve.standing
    if standing is None or not finite(curve.area):
        return Cell(printed)
    return Cell(f"{printed} {standing.letters}", standing.best)


def _differences(table: CurveTable) -> Grid:
    rows = []
    for one in table.differences:
        found = one.difference
        words = (one.first, one.second, cell(found.estimate, table.metric, sign=True), _p(found.p), _p(found.p_holm))
        rows.append(tuple(Cell(plain(word)) for word in words))
    return Grid(("method", "minus", "area", "p", "p (Holm)"), tuple(rows))


def _p(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _footer(table: CurveTable, bold: bool) -> list[str]:
    """Return the lines under a table of curves; the last is its signature."""
    found = [e for curve in table.curves for e in (*curve.points, curve.area) if finite(e) and e is not None]
    notes = [f"Note: {curve.method}: {curve.note}." for curve in table.curves if curve.note]
    lines = [
        *_legend(table, bold),
        *([f"{interval_line(found, 'test prompts')}.", *few_prompts(found)] if found else ["No method has a number."]),
        *_labels(table),
        *notes,
        *(f"Note: {said.removesuffix('.')}." for said in table.omitted),
    ]
    return [*map(plain, lines), f"Signature: {table.signature}"]


def _labels(table: CurveTable) -> list[str]:
    """Say what methods were trained on at each value of a task's parameter."""
    said = [
        f"{one.n_pairs:,.0f}" + ("" if one.agreement is None else f" ({one.agreement:.1%} agree with gold)")
        for one in table.labels
    ]
    points = ", ".join(f"{text} at {at}" for at, text in zip(table.sweep.values, said, strict=False))
    return [f"Training pairs by {table.sweep.parameter}: {points}."] if said else []


def _legend(table: CurveTable, bold: bool) -> list[str]:
    if not any(curve.area for curve in table.curves):
        return []
    values, scale = table.sweep.values, "log " if table.sweep.logarithmic else ""
    area = (
        f"Area: under the curve over {scale}{table.sweep.parameter} from {values[0]} to {values[-1]}, by trapezoids, "
        f"divided by its width: a mean {table.metric.name}."
    )
    letters = (
        "Areas that share a letter are not separable (paired by prompt, all pairs of methods, Holm-corrected, family "
        f"error {FAMILY_LEVEL:g}); {THESE_FITS}."
    )
    standing = any(curve.standing for curve in table.curves)
    best = ["Bold: not separable from the best."] if bold and standing else []
    return [" ".join([area, *([letters] if standing else []), *best])]


def _csv(tables: Sequence[CurveTable]) -> str:
    """Return one line a point, an area and a difference of areas, in full precision; a gap is an empty cell."""
    return printed(FIELDS, ({**_shared(table), **line} for table in tables for line in _lines(table)))


def _lines(table: CurveTable) -> Iterator[dict[str, object]]:
    for curve in table.curves:
        yield from _curve_lines(table, curve)
    yield from map(_difference_line, table.differences)


def _shared(table: CurveTable) -> dict[str, object]:
    names = {"task": guarded(table.task), "metric": table.metric.name, "parameter": guarded(table.sweep.parameter)}
    return {**names, "signature": table.signature}


def _curve_lines(table: CurveTable, curve: Curve) -> Iterator[dict[str, object]]:
    said = {"method": guarded(curve.method), "note": guarded(curve.note)}
    for at, point in zip(table.sweep.values, curve.points, strict=True):
        yield {**said, "at": at, **_numbers(point)}
    letters = {"letters": curve.standing.letters} if curve.standing else {}
    yield {**said, "at": AREA, **_numbers(curve.area), **letters}


def _difference_line(one: AreaDifference) -> dict[str, object]:
    found = one.difference
    names = {"method": guarded(one.first), "minus": guarded(one.second), "at": AREA}
    return {**names, **_numbers(found.estimate), "p": found.p, "p_holm": found.p_holm}


def _numbers(estimate: Estimate | None) -> dict[str, object]:
    estimate = finite(estimate)
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high} if estimate else {}


CURVE_STYLES: Mapping[str, Callable[[Sequence[CurveTable]], str]] = {
    "text": _readable(text.block, bold=False),
    "markdown": _readable(markdown.block, bold=True),
    "csv": _csv,
}
