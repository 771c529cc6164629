"""``rmsuite table``: print the tables of a results folder."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection, Sequence

from rmsuite.commands import shared
from rmsuite.plugins import Catalogue
from rmsuite.render import render
from rmsuite.reports.tables import report
from rmsuite.results import CellRecord


def table(options: Namespace) -> int:
    """Print the tables of a results folder."""
    records = shared.records(options.output, options.task)
    print_report(shared.catalogue(options), options, records, metrics=options.metric, allow_mixed=options.allow_mixed)
    return 0


def print_report(
    catalogue: Catalogue,
    options: Namespace,
    run: Sequence[CellRecord],
    metrics: Sequence[str] = (),
    allow_mixed: bool = False,
    asked: Collection[str] = (),
) -> None:
    """Print the tables of a run, which was asked for these methods, beside stored results."""
    stored = [] if options.no_stored else shared.stored(catalogue, {record.task for record in run})
    level = shared.level(options.output, *catalogue.paths("rmsuite_results"))
    found = report(run, stored, metrics=metrics, allow_mixed=allow_mixed, level=level, asked=asked)
    print(render(found, options.format), flush=True)
