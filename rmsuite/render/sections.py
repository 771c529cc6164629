"""What printed studies are made of: sections, each a title, a table and lines under it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from rmsuite.render.cells import GAP, Cell, Grid, plain

Section = tuple[str, Grid, list[str]]
Block = Callable[[str, Grid, list[str]], str]


def joined(found: Iterable[Section], block: Block) -> str:
    """Print sections one under the other, without control characters."""
    return "\n\n".join(block(title, grid, [plain(line) for line in lines]) for title, grid, lines in found)


def tabulated(headers: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> Grid:
    """Return a table of texts without control characters."""
    cells = tuple(tuple(one if isinstance(one, Cell) else Cell(plain(one)) for one in row) for row in rows)
    return Grid(tuple(map(plain, headers)), cells)


def number(value: float, style: str = ".2f") -> str:
    """Print a number; what is none as a dash. There is no minus zero.

    Examples
    --------
    >>> number(-0.001), number(0.001, "+.1f"), number(float("nan"))
    ('0.00', '+0.0', '-')
    """
    if not math.isfinite(value):
        return GAP
    printed = f"{value:{style}}"
    return f"{0:{style}}" if float(printed) == 0 else printed


def bounded(value: float, low: float, high: float, style: str = ".2f") -> str:
    """Print a number with its interval, if there is one.

    Examples
    --------
    >>> bounded(0.5, -0.001, 1, "+.2f"), bounded(0.5, float("nan"), float("nan"))
    ('+0.50 [+0.00, +1.00]', '0.50')
    """
    shown = number(value, style)
    return shown if math.isnan(low) else f"{shown} [{number(low, style)}, {number(high, style)}]"


def sequence(names: Sequence[str], most: int = 12) -> str:
    """Return names in a row; of many the first ones and how many more.

    Examples
    --------
    >>> sequence(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
