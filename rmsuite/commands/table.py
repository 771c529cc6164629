"""``rmsuite table``: print the tables of a results folder."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection, Sequence

from rmsuite.commands import shared
from rmsuite.plugins import Catalogue
from rmsuite.render import render
from rmsuite.reports.policies import PolicyTable, policy_tables
from rmsuite.reports.records import Report
from rmsuite.reports.tables import report
from rmsuite.results import CellRecord


def table(options: Namespace) -> int:
    """Print the tables of a results folder."""
    records, cells = shared.all_records(options.output, options.task)
    policies = _policies(cells, options.allow_mixed)
    mixed = options.allow_mixed
    print_report(shared.catalogue(options), options, records, options.metric, mixed, policies=policies)
    return 0


def _policies(cells: Sequence[CellRecord], allow_mixed: bool) -> list[PolicyTable]:
    """Return the tables of policies; where mixing was asked for, those of another signature are apart."""
    lines = dict.fromkeys(cell.signature for cell in cells)
    groups = [[cell for cell in cells if cell.signature == line] for line in lines] if allow_mixed else [cells]
    found = [table for group in groups for table in policy_tables(group)]
    return sorted(found, key=lambda one: one.task)


def print_report(
    catalogue: Catalogue,
    options: Namespace,
    run: Sequence[CellRecord],
    metrics: Sequence[str] = (),
    allow_mixed: bool = False,
    asked: Collection[str] = (),
    policies: Sequence[PolicyTable] = (),
) -> None:
    """Print the tables of a run, which was asked for these methods, beside stored results, then those of policies."""
    stored = [] if options.no_stored else shared.stored(catalogue, {record.task for record in run})
    level = shared.level(options.output, *catalogue.paths("rmsuite_results"))
    found = Report(())
    if run or not policies:
        found = report(run, stored, metrics=metrics, allow_mixed=allow_mixed, level=level, asked=asked)
    print(render(found, options.format, policies), flush=True)
