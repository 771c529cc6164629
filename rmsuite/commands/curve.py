"""``rmsuite curve``: run methods over the values of one parameter, and print curves with their areas.

The parameter is one of the methods, of the task's annotator (``annotator.rate``) or of the task (``task.budget``).
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Sequence

from rmsuite.book import TaskBook
from rmsuite.commands import ending, figures, planning, run, shared
from rmsuite.errors import RmsuiteError
from rmsuite.method import configure, parse
from rmsuite.metrics import metric
from rmsuite.plugins import Catalogue
from rmsuite.render.curve_figures import curve_figures
from rmsuite.render.curves import render_curves
from rmsuite.reports.curves import CurveTable, Sweep, curves, lined_up, sweep_of_task
from rmsuite.sweeps import Study, is_of_task, read_over, studies, study, tasks_of


def show_curves(options: Namespace) -> int:
    """Run every method at every value of the parameter, and print the curves."""
    for name in options.metric:
        metric(name)  # a misspelt one is refused before anything is run
    figures.prepare(options)
    catalogue = shared.catalogue(options)
    if options.over is None or is_of_task(options.over):
        return _show_curves_of_tasks(catalogue, options)
    swept = sweep(catalogue, options.method, options.over)
    entrants = planning.entrants(catalogue, (label for labels in swept.methods.values() for label in labels))
    ran = run.run_cells(catalogue, options, entrants)
    with ending.with_what_is_there(ran):
        _show(curves(ran.records, swept, options.metric), options)
    return ending.conclude(options, ran)


def _show_curves_of_tasks(catalogue: Catalogue, options: Namespace) -> int:
    """Run every method on each task's variants, and print the curves of each study."""
    found = _studies(shared.book(catalogue), options)
    entrants = planning.entrants(catalogue, options.method)
    labels = [task.label for task in tasks_of(found)]
    ran = run.run_cells(catalogue, Namespace(**{**vars(options), "task": labels}), entrants)
    methods = [entrant.configured.label for entrant in entrants]
    with ending.with_what_is_there(ran):
        tables: list[CurveTable] = []
        for one in found:
            variants = {at: task.label for at, task in one.tasks.items()}
            lined = list(lined_up(ran.records, one.name, one.parameter, variants))
            tables += curves(lined, sweep_of_task(one.parameter, tuple(variants), methods), options.metric)
        _show(tables, options)
    return ending.conclude(options, ran)


def _show(tables: Sequence[CurveTable], options: Namespace) -> None:
    print(render_curves(tables, options.format), flush=True)
    figures.write(options, lambda: curve_figures(tables))


def _studies(book: TaskBook, options: Namespace) -> list[Study]:
    """Return the studies that the options name, or those of the suite's card."""
    suite = book.suite(options.suite)
    if options.over is not None:
        return [study(book, text, options.over) for text in options.task or suite.tasks]
    found = [] if options.task else [one for one in studies(book, suite) if one.parameter]
    if not found:
        got, do = f"neither for suite {suite.name!r}", "give --over, or a --suite whose card has values, such as noise"
        raise RmsuiteError(who="curve", expected="values of a parameter", got=got, do=do)
    return found


def sweep(catalogue: Catalogue, names: Iterable[str], over: str) -> Sweep:
    """Return the methods that names with parameters stand for, at each value that ``parameter=value,...`` lists.

    Raises
    ------
    RmsuiteError
        If fewer than two numbers are listed, a method has no such parameter, or is given it twice.
    """
    parameter, values = read_over(over)
    methods = {}
    for text in names:
        method, given = catalogue.owned(parse(text)[0])[1], parse(text)[1]
        if parameter in given:
            got, do = f"{parameter} in {text!r} too", "leave it out of the brackets"
            raise RmsuiteError(who=f"--over {over}", expected=f"{parameter} in --over only", got=got, do=do)
        points = [configure(method, {**given, parameter: value}).label for value in values]
        methods[configure(method, given).label] = tuple(points)
    return Sweep(parameter, values, methods)
