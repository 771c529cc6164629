"""What commands do with ``--figures``: refuse early what cannot be drawn, and say which files were written."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable

from rmsuite.render import figures
from rmsuite.render.figures import Figure


def prepare(options: Namespace) -> None:
    """Refuse before anything is run where figures are asked for that cannot be drawn or written."""
    if options.figures:
        figures.require_matplotlib()
        figures.make_folder(options.figures)


def write(options: Namespace, make: Callable[[], Iterable[Figure]]) -> None:
    """Write figures if they are asked for, which are made only then."""
    if options.figures:
        for path in figures.write(make(), options.figures):
            print(f"Figure: {path}", file=sys.stderr)
