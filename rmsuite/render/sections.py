"""What printed studies are made of: sections, each a title, a table and lines under it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rmsuite.render.cells import GAP, Cell, Grid, plain

Section = tuple[str, Grid, list[str]]
Block = Callable[[str, Grid, list[str]], str]


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
