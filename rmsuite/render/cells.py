"""How a number is printed, and which columns a table has: the same in every format that people read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rmsuite.metrics import Metric
from rmsuite.reports.records import Aggregated, Overall, Row, Standing, Table
from rmsuite.statistics import Estimate
from rmsuite.statistics.comparisons import FAMILY_LEVEL

GAP = "-"
ARROWS = {True: "↑", False: "↓"}
TOWARDS = {"larger is better": "↑", "smaller is better": "↓", "nearer 0 is better": "→0", "not ranked": "·"}
MARK = "†"
UNPRINTABLE = "\ufffd"


@dataclass(frozen=True)
class Cell:
    """What a cell prints; ``best`` cells are set in bold where a format can."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table as people read it: its headers, and the cells of each row."""

    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


Block = tuple[str, Grid, list[str]]  # a table of its own: title, cells and footer


def number(value: float, column: Metric, sign: bool = False) -> str:
    """Print a metric value: percentages with one decimal, others with three."""
    return _signed(f"{value * 100:+.1f}" if column.percent else f"{value:+.3f}", sign)


def _signed(text: str, sign: bool) -> str:
    text = text.replace("-", "") if not text.strip("+-0.") else text  # there is no minus zero
    return text if sign else text.removeprefix("+")


def plain(text: str) -> str:
    r"""Return text on one line: names and notes may hold line breaks, terminal codes or half characters.

    Examples
    --------
    >>> plain("two\n  lines")
    'two lines'
    """
    return "".join(one if one.isprintable() else UNPRINTABLE for one in " ".join(text.split()))


def finite(estimate: Estimate | None) -> Estimate | None:
    """Return an estimate that can be printed: NaN and infinity are gaps in every format."""
    whole = estimate is not None and all(map(math.isfinite, (estimate.value, estimate.low, estimate.high)))
    return estimate if whole else None


def reason(row: Row | Aggregated, names: Sequence[str]) -> str:
    """Return what is to be said of a row: its note, and the gaps among its values that no note explains."""
    endless = [name for name in names if name in row.estimates and not finite(row.estimates[name])]
    absent = [] if row.note else [name for name in names if name not in row.estimates]
    said = [row.note.strip().removesuffix(".")] if row.note.strip() else []
    said += [f"{', '.join(absent)}: no value"] if absent else []
    return "; ".join([*said, *(f"{name} is not finite" for name in endless)])


def cell(estimate: Estimate | None, column: Metric, sign: bool = False) -> str:
    """Print an estimate as ``82.4 [81.1, 83.6]``; a gap as a dash."""
    estimate = finite(estimate)
    if estimate is None:
        return GAP
    value, low, high = (number(x, column, sign) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def grid(table: Table) -> Grid:
    """Return the table of one task: columns that are empty in all rows are left out."""
    columns = [("method", _method), *((_header(one), _metric(one)) for one in table.columns)]
    columns += [(title, of) for title, of in _further(table) if any(of(row).text != GAP for row in table.rows)]
    return Grid(tuple(title for title, _ in columns), tuple(tuple(of(row) for _, of in columns) for row in table.rows))


def _further(table: Table) -> list[tuple[str, Callable[[Row], Cell]]]:
    head = table.columns[0]
    return [
        ("rank", lambda row: Cell(_rank(row.standings.get(head.name)))),
        (f"gain over {plain(table.best_control)}", lambda row: Cell(_gain(row, head))),
        ("sd", lambda row: Cell(_spread(row, head))),
        ("fit s", lambda row: Cell(_seconds(row.fit_seconds))),
    ]


def _header(one: Metric) -> str:
    return f"{one.name}{' %' if one.percent else ''} {TOWARDS[one.direction]}"


def name(row: Row | Aggregated) -> str:
    """Print a row's name; controls stand in parentheses."""
    return f"({plain(row.method)})" if row.kind == "control" else plain(row.method)


def _method(row: Row) -> Cell:
    return Cell(name(row) + (f" {MARK}" if row.mark else ""))


def _metric(one: Metric) -> Callable[[Row], Cell]:
    def of(row: Row) -> Cell:
        text, standing = cell(row.estimates.get(one.name), one), row.standings.get(one.name)
        if text == GAP or standing is None:
            return Cell(text)
        return Cell(f"{text} {standing.letters}".rstrip(), standing.best)

    return of


def _rank(standing: Standing | None) -> str:
    if standing is None:
        return GAP
    low, high = standing.rank
    return f"{low}" if low == high else f"{low}-{high}"


def _spread(row: Row, head: Metric) -> str:
    return number(row.spread.spread, head) if row.spread and math.isfinite(row.spread.spread) else GAP


def _seconds(seconds: float | None) -> str:
    return GAP if seconds is None or not math.isfinite(seconds) else f"{seconds:.2f}"


def _gain(row: Row, head: Metric) -> str:
    gain = row.gains.get(head.name)
    if gain is None or not finite(gain.estimate):
        return GAP
    above = gain.estimate.value > 0 if head.direction == "larger is better" else gain.estimate.value < 0
    better = row.kind == "method" and above and gain.p_holm < FAMILY_LEVEL
    return cell(gain.estimate, head, sign=True) + ("*" if better else "")


def overall_grid(overall: Overall) -> Grid:
    """Return the table over all tasks, a column for each rule."""
    headers = ("method", *(f"{rule} {ARROWS[overall.larger[rule]]}" for rule in overall.rules))
    return Grid(headers, tuple(_overall_row(row, overall) for row in overall.rows))


def _overall_row(row: Aggregated, overall: Overall) -> tuple[Cell, ...]:
    return (Cell(name(row)), *(Cell(aggregate(row.estimates.get(rule))) for rule in overall.rules))


def aggregate(estimate: Estimate | None) -> str:
    """Print an aggregate with two decimals, ``0.25 [0.23, 0.27]``; a gap as a dash."""
    estimate = finite(estimate)
    if estimate is None:
        return GAP
    value, low, high = (_signed(f"{x:+.2f}", False) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
