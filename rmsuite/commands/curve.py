"""``rmsuite curve``: run methods over the values of one parameter, and print curves with their areas."""

from __future__ import annotations

import ast
import math
from argparse import Namespace
from collections.abc import Iterable

from rmsuite.commands import run, shared
from rmsuite.errors import RmsuiteError
from rmsuite.method import configure, parse
from rmsuite.metrics import metric
from rmsuite.plugins import Catalogue
from rmsuite.render.curves import render_curves
from rmsuite.reports.curves import Sweep, curves


def show_curves(options: Namespace) -> int:
    """Run every method at every value of the parameter, and print the curves."""
    for name in options.metric:
        metric(name)  # a misspelt one is refused before anything is run
    catalogue = shared.catalogue(options)
    swept = sweep(catalogue, options.method, options.over)
    entrants = run.entrants(catalogue, (label for labels in swept.methods.values() for label in labels))
    records = run.run_cells(catalogue, options, entrants)
    print(render_curves(curves(records, swept, options.metric), options.format), flush=True)
    return run.conclude(options.output, records)


def sweep(catalogue: Catalogue, names: Iterable[str], over: str) -> Sweep:
    """Return the methods that names with parameters stand for, at each value that ``parameter=value,...`` lists.

    Raises
    ------
    RmsuiteError
        If fewer than two numbers are listed, a method has no such parameter, or is given it twice.
    """
    parameter, values = _over(over)
    methods = {}
    for text in names:
        method, given = catalogue.owned(parse(text)[0])[1], parse(text)[1]
        if parameter in given:
            got, do = f"{parameter} in {text!r} too", "leave it out of the brackets"
            raise RmsuiteError(who=f"--over {over}", expected=f"{parameter} in --over only", got=got, do=do)
        points = [configure(method, {**given, parameter: value}).label for value in values]
        methods[configure(method, given).label] = tuple(points)
    return Sweep(parameter, values, methods)


def _over(text: str) -> tuple[str, tuple[float, ...]]:
    name, _, listed = (part.strip() for part in text.partition("="))
    values = tuple(sorted({_number(one.strip()) for one in listed.split(",")} if listed else ()))
    if not name or len(values) < 2 or not all(map(math.isfinite, values)):
        raise RmsuiteError(
            who=f"--over {text}",
            expected="a parameter and at least two unequal numbers",
            got=repr(text),
            do="write it as in --over labels=100,200,400",
        )
    return name, values


def _number(text: str) -> float:
    """Return a number as it is written, whole or not; NaN for anything else."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return math.nan
    return value if type(value) in (int, float) else math.nan
