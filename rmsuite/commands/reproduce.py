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
from rmsuite.commands import shared
from rmsuite.commands.run import entrants, executor
from rmsuite.errors import ResultsError
from rmsuite.render import render
from rmsuite.render.cells import GAP
from rmsuite.render.published import PublishedRow, PublishedTable, read_published
from rmsuite.reports.tables import report
from rmsuite.tasks import LoadedTask


def show_reproduction(options: Namespace) -> int:
    """Print the commands of a published table, run them, and compare every cell; 1 if one does not match."""
    published = read_published(_text(options.table))
    shared.catalogue(options)  # a plugin that cannot be used is told before anything is printed
    for table in published:
        print(join(_command(table, options.plugin)))
    if options.commands_only:
        return 0
    rows = [line for table in published for line in _reproduced(table, options)]
    print()
    print(tabulate(rows, ["task", "method", "metric", "published", "reproduced", ""], disable_numparse=True))
    missed = sum(row[-1] != "match" for row in rows)
    print(f"\n{len(rows) - missed} of {len(rows)} cells match.")
    return 1 if missed else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        do = "give a file that holds a table that rmsuite printed"
        raise ResultsError(who=f"table {path}", expected="a readable file", got=str(error), do=do) from None


def _methods(table: PublishedTable) -> list[str]:
    return [row.method for row in table.rows if row.kind == "method" and any(c is not None for c in row.cells.values())]


def _command(table: PublishedTable, plugins: Sequence[Path]) -> list[str]:
    parts = signature.read(table.signature)
    words = ["rmsuite", "run", "--task", table.task.partition("@")[0], "--seed", parts["seed"]]
    words += ["--repetitions", str(_repetitions(table))]
    words += [word for path in plugins for word in ("--plugin", str(path))]
    return [*words, *(word for name in _methods(table) for word in ("--method", name))]


def _repetitions(table: PublishedTable) -> int:
    return max(int(number) for number in signature.read(table.signature)["repetitions"].split(",")) + 1


def _reproduced(table: PublishedTable, options: Namespace) -> Iterator[list[str]]:
    catalogue = shared.catalogue(options)
    book = shared.book(catalogue)
    task = book.task(table.task).load()
    seed = int(signature.read(table.signature)["seed"])
    _warn_of_another_protocol(table, task, seed)
    print(f"running {table.task}", file=sys.stderr)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        found = entrants(catalogue, _methods(table))
        workers = executor(catalogue, book, home, options.jobs)
        records = harness.run([task], found, _repetitions(table), seed, workers, home)
        wanted = {int(number) for number in signature.read(table.signature)["repetitions"].split(",")}
        kept = [record for record in records if record.repetition in wanted]
        again = report(kept, metrics=list(table.rows[0].cells))
        (fresh,) = read_published(render(again, table.style))
    yield from _compared(table, fresh)


def _warn_of_another_protocol(table: PublishedTable, task: LoadedTask, seed: int) -> None:
    here = signature.read(harness.signature_line(task, seed))
    there = signature.read(table.signature)
    for part, value in here.items():
        if there.get(part) != value:
            said = f"published {part}:{there.get(part, '-')}, at hand {part}:{value}"
            print(f"rmsuite: {said}; cells need not match (`rmsuite diff-protocol A B` says why)", file=sys.stderr)


def _compared(table: PublishedTable, fresh: PublishedTable) -> Iterator[list[str]]:
    found = {row.method: row for row in fresh.rows}
    for row in table.rows:
        for metric, cell in row.cells.items():
            again = found[row.method].cells.get(metric) if row.method in found else None
            if cell is not None:
                # Letters depend on who else is in the table; values and intervals do not.
                verdict = "match" if again is not None and str(cell) == str(again) else "DIFFERS"
                yield [table.task, _name(row), metric, str(cell), str(again or GAP), verdict]


def _name(row: PublishedRow) -> str:
    return f"({row.method})" if row.kind == "control" else row.method
