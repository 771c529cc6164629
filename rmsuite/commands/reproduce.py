"""``rmsuite reproduce TABLE``: from a published table to the commands that make it, and a report cell by cell."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import join
from tempfile import TemporaryDirectory

from tabulate import tabulate

from rmsuite import harness, signature
from rmsuite.book import TaskBook
from rmsuite.commands import shared
from rmsuite.commands.executing import local
from rmsuite.commands.planning import entrants
from rmsuite.errors import ResultsError
from rmsuite.plugins import Catalogue
from rmsuite.render import render
from rmsuite.render.cells import GAP
from rmsuite.render.published import PublishedRow, PublishedTable, read_published
from rmsuite.reports.tables import report
from rmsuite.tasks import LoadedTask


def show_reproduction(options: Namespace) -> int:
    """Print the commands of a published table, run them, and compare every value; 1 if one does not match."""
    published = read_published(_text(options.table))
    catalogue = shared.catalogue(options)  # a plugin that cannot be used is told before anything is printed
    book = shared.book(catalogue)
    for table in published:
        print(join(_command(table, options.plugin, options.tasks)))
    if options.commands_only:
        return 0
    rows = [line for table in published for line in _reproduced(table, catalogue, book, options.jobs)]
    print()
    print(tabulate(rows, ["task", "method", "metric", "published", "reproduced", ""], disable_numparse=True))
    missed = sum(row[-1] != "match" for row in rows)
    print(f"\n{len(rows) - missed} of {len(rows)} values and intervals match.")
    print("Not compared: letters, ranks, gains and stars, which depend on the other rows, and the table of all tasks.")
    for name in dict.fromkeys(row.method for table in published for row in table.rows if row.marked):
        print(f"Not compared: {name}, which the table marks as of another protocol.")
    return 1 if missed else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        do = "give a file that holds a table that rmsuite printed"
        raise ResultsError(who=f"table {path}", expected="a readable file", got=str(error), do=do) from None


def _methods(table: PublishedTable) -> list[str]:
    whole = [row for row in table.rows if not row.marked and any(cell is not None for cell in row.cells.values())]
    return [row.method for row in whole if row.kind == "method"]


def _command(table: PublishedTable, plugins: Sequence[Path], folders: Sequence[Path]) -> list[str]:
    words = ["rmsuite", "run", "--task", signature.unversioned(table.task), "--seed", str(table.seed)]
    words += ["--repetitions", str(max(table.repetitions) + 1)]
    words += [word for path in plugins for word in ("--plugin", str(path))]
    words += [word for folder in folders for word in ("--tasks", str(folder))]
    return [*words, *(word for name in _methods(table) for word in ("--method", name))]


def _reproduced(table: PublishedTable, catalogue: Catalogue, book: TaskBook, jobs: int | None) -> Iterator[list[str]]:
    task = book.task(table.task).load()
    _warn_of_another_protocol(table, task)
    print(f"running {table.task}", file=sys.stderr)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        found = entrants(catalogue, _methods(table))
        workers = local(catalogue, book, home, jobs, [entrant.configured for entrant in found], [task.card])
        records = harness.run([task], found, max(table.repetitions) + 1, table.seed, workers, home)
        kept = [record for record in records if record.repetition in table.repetitions]
        again = report(kept, metrics=list(table.rows[0].cells))
        (fresh,) = read_published(render(again, table.style))
    yield from _compared(table, fresh)


def _warn_of_another_protocol(table: PublishedTable, task: LoadedTask) -> None:
    here = signature.read(harness.signature_line(task, table.seed))
    there = signature.read(table.signature)
    for part, value in here.items():
        if there.get(part) != value:
            said = f"published {part}:{there.get(part, '-')}, at hand {part}:{value}"
            print(f"rmsuite: {said}; cells need not match (`rmsuite diff-protocol A B` says why)", file=sys.stderr)


def _compared(table: PublishedTable, fresh: PublishedTable) -> Iterator[list[str]]:
    found = {row.method: row for row in fresh.rows}
    for row in table.rows:
        for metric, cell in row.cells.items() if not row.marked else ():
            again = found[row.method].cells.get(metric) if row.method in found else None
            if cell is not None:
                # Letters depend on who else is in the table; values and intervals do not.
                verdict = "match" if again is not None and str(cell) == str(again) else "DIFFERS"
                yield [table.task, _name(row), metric, str(cell), str(again or GAP), verdict]


def _name(row: PublishedRow) -> str:
    return f"({row.method})" if row.kind == "control" else row.method
