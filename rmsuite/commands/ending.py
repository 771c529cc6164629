"""How a run ends: whole, with failed cells, stopped by an option or interrupted; and the command that goes on."""

from __future__ import annotations

import contextlib
import math
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tqdm import tqdm

from rmsuite import results
from rmsuite.commands import resume
from rmsuite.errors import ResultsError
from rmsuite.render.cells import plain
from rmsuite.results import CellRecord


@dataclass(frozen=True)
class Ran:
    """What a run leaves: the cells that are there, of how many, and the option that stopped it ("" for none).

    A run that was stopped has a failed cell.
    """

    records: Sequence[CellRecord]
    n_cells: int
    stopped: str = ""

    @property
    def failed(self) -> list[CellRecord]:
        """The cells that failed."""
        return [record for record in self.records if record.status == "failed"]

    @property
    def n_missing(self) -> int:
        """How many cells have no result."""
        return self.n_cells - len(self.records)


class TooManyFailures(Exception):  # noqa: N818 -- the end of a run, which an option asked for
    """Raised at the failed cell that is one too many, if there are cells left to compute."""


@dataclass
class Watch:
    """Takes each finished record of a run of ``n_cells``, and ends it when more than ``most`` cells have failed."""

    n_cells: int
    advance: Callable[[CellRecord], None]
    option: str = ""
    most: int | Decimal | float = math.inf
    records: list[CellRecord] = field(default_factory=list)
    n_failed: int = 0
    stopped: str = ""

    def __call__(self, record: CellRecord) -> None:
        """Take the next record; raise ``TooManyFailures`` if it is the failed one that is one too many."""
        self.records.append(record)
        self.advance(record)
        self.n_failed += record.status == "failed"
        if self.n_failed > self.most and len(self.records) < self.n_cells:
            self.stopped = self.option
            raise TooManyFailures


def watch(options: Namespace, n_cells: int, advance: Callable[[CellRecord], None]) -> Watch:
    """Return what ends a run of so many cells to compute as the options say."""
    most: int | Decimal | None = options.fail_on_error
    if options.exitfirst:
        return Watch(n_cells, advance, "--exitfirst", 0)
    if most is None:
        return Watch(n_cells, advance)
    return Watch(n_cells, advance, f"--fail-on-error {most}", most * n_cells if isinstance(most, Decimal) else most)


@contextlib.contextmanager
def progress(total: int, options: Namespace) -> Iterator[Callable[[CellRecord], None]]:
    """Show a bar; say when the block is interrupted how far it came, and the command that goes on."""
    count = 0
    with tqdm(total=total, unit="cell", leave=False, disable=not sys.stderr.isatty()) as bar:

        def advance(_record: CellRecord) -> None:
            nonlocal count
            count += 1
            bar.update()

        try:
            yield advance
        except KeyboardInterrupt:
            bar.close()
            if options.in_process or options.pdb:  # nothing is kept
                raise
            _say(f"{count} of {total} cells are finished and kept in {options.output}")
            _say_how_to_go_on(options)
            raise


@contextlib.contextmanager
def with_what_is_there(ran: Ran) -> Iterator[None]:
    """Make a table in the block; if too few cells are there for one, and the run will say more, say just that."""
    try:
        yield
    except ResultsError as error:
        if not (ran.n_missing and ran.failed):
            raise
        _say(f"no table yet: {error}")


def conclude(options: Namespace, ran: Ran, home: Path | None = None) -> int:
    """Say where the results are, what failed, what is missing and how to go on; return the exit code.

    ``home`` is where the cells lie if that is not the results folder of the options.
    """
    home = home or options.output
    print(f"Results: {home}", file=sys.stderr)
    report_failures(home, ran.failed)
    there = f"{len(ran.records)} of {ran.n_cells} cells are finished, {len(ran.failed)} of them failed"
    if ran.stopped:
        _say(f"stopped by {ran.stopped}: {there}; the others are missing")
        _say_how_to_go_on(options, "Once what failed is mended, go on")
    else:
        if ran.n_missing:
            _say(f"--only {options.only} left {ran.n_missing} cells out, which are not in the table: {there}")
        if ran.failed:
            print(f"Run the failed cells again with:\n  {resume.command(options.arguments, True)}", file=sys.stderr)
    return 1 if ran.failed else 0


def conclude_try_out(ran: Ran) -> int:
    """Print the tracebacks of what failed, for no file has them; return the exit code."""
    for record in ran.failed:
        _say(
            f"{record.method} on {record.task}, repetition {record.repetition} failed in {record.phase}: {record.error}"
        )
        print(record.traceback, file=sys.stderr)
    if ran.stopped:
        _say(f"stopped by {ran.stopped}")
    _say("methods ran in the process of the run, so no result was kept")
    return 1 if ran.stopped or ran.failed else 0


def _say(text: str) -> None:
    print(f"rmsuite: {text}", file=sys.stderr)


def _say_how_to_go_on(options: Namespace, words: str = "Go on") -> None:
    gone = resume.left_out(options.arguments)
    how = f" (without {gone}: finished cells stay)" if gone else ""
    print(f"{words}{how} with:\n  {resume.command(options.arguments)}", file=sys.stderr)


def report_failures(home: Path, failed: Sequence[CellRecord]) -> None:
    """Say which cells failed and why, and where more of it can be read, once for those that failed alike."""
    groups: dict[tuple[str, ...], list[CellRecord]] = {}
    for record in failed:
        groups.setdefault((record.method, record.task, record.phase, record.error), []).append(record)
    for (method, task, phase, error), group in groups.items():
        numbers = ", ".join(map(str, sorted(record.repetition for record in group)))
        where = f"{method} on {task}, repetition{'s' if len(group) > 1 else ''} {numbers}"
        _say(plain(f"{where} failed in {phase}: {error}"))  # a stranger's words may steer the terminal
        print(f"  its traceback and output: {_readable(results.cell_path(home, group[0]))}", file=sys.stderr)


def _readable(path: Path) -> Path:
    """Return the file with a cell's traceback; its record, if another run has mended the cell meanwhile."""
    page = results.traceback_path(path)
    return page if page.exists() else path
