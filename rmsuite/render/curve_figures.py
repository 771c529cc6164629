"""Figures of curves: a metric over the values of a parameter, a line a method."""

from __future__ import annotations

import math
from collections.abc import Iterable

from rmsuite.render.cells import TOWARDS, finite
from rmsuite.render.figures import Figure, Line, Panel
from rmsuite.render.footer import few_prompts, interval_line
from rmsuite.reports.curves import Curve, CurveTable

MOST_TICKS = 8  # more are left to the drawing


def curve_figures(tables: Iterable[CurveTable]) -> list[Figure]:
    """Return a figure for each table."""
    return [_figure(table) for table in tables]


def _figure(table: CurveTable) -> Figure:
    metric, parameter = table.metric, table.sweep.parameter
    found = [e for curve in table.curves for e in curve.points if finite(e) and e is not None]
    label = f"{metric.name}{' %' if metric.percent else ''} {TOWARDS[metric.direction]}"
    lines = tuple(_line(curve, table) for curve in table.curves)
    ticks = tuple(map(float, table.sweep.values)) if len(table.sweep.values) <= MOST_TICKS else ()
    panel = Panel(table.task, parameter, label, lines, log_x=table.sweep.logarithmic, ticks=ticks, intervals="dodged")
    caption = (
        f"{table.task}: {metric.name} over {parameter}, a line a method.",
        *([f"{interval_line(found, 'test prompts')}.", *few_prompts(found)] if found else ["No method has a number."]),
        *(f"Note: {curve.method}: {curve.note}." for curve in table.curves if curve.note),
        *(f"Note: {said.removesuffix('.')}." for said in table.omitted),
    )
    return Figure(f"curve-{metric.name}-{parameter}-{table.task}", (panel,), caption, table.signature)


def _line(curve: Curve, table: CurveTable) -> Line:
    factor = 100 if table.metric.percent else 1
    points = [finite(point) for point in curve.points]
    y, low, high = (
        tuple(math.nan if point is None else factor * getattr(point, name) for point in points)
        for name in ("value", "low", "high")
    )
    return Line(curve.method, tuple(map(float, table.sweep.values)), y, low, high)
