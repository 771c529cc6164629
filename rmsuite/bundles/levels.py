"""How far each cell of a results folder has been verified, kept beside the cells in ``verification.json``.

A level holds for one content of a record: a record that was changed since is unverified again. The file can be forged
like any other; who distrusts it runs ``rmsuite verify`` himself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from rmsuite.errors import ResultsError
from rmsuite.reports.records import RERUN, SELF, UNVERIFIED, Verification
from rmsuite.results import CellRecord
from rmsuite.version import __version__

FILE = "verification.json"


def read(home: Path) -> dict[str, dict[str, str]]:
    """Return, by the path of each verified record within ``home``, its seal and its level; empty if there are none.

    Raises
    ------
    ResultsError
        If the file is none.
    """
    path = home / FILE
    if not path.exists():
        return {}
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return {name: {"seal": str(c["seal"]), "level": str(c["level"])} for name, c in cells.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        do = "delete it and run `rmsuite verify` again"
        raise ResultsError(who=f"{path}", expected="levels of cells", got=repr(error), do=do) from None


def write(home: Path, cells: Mapping[str, Mapping[str, str]]) -> None:
    """Write the levels of a folder's cells.

    Raises
    ------
    ResultsError
        If the folder cannot be written.
    """
    path, document = home / FILE, {"format": 1, "rmsuite": __version__, "cells": dict(sorted(cells.items()))}
    temporary = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8", newline="\n")
        temporary.replace(path)
    except OSError as error:
        do = "verify a copy in a folder that can be written"
        raise ResultsError(who=f"{path}", expected="a writable folder", got=str(error), do=do) from None


def of(known: Iterable[Mapping[str, Mapping[str, str]]]) -> Callable[[CellRecord], Verification]:
    """Return how far a record has been verified, by its seal: the highest level in any of these files' contents.

    A record that was not read from a file, or was changed since, is unverified.
    """
    reached: dict[str, str] = {}
    for cells in known:
        for cell in cells.values():
            if reached.get(cell["seal"]) != RERUN:
                reached[cell["seal"]] = cell["level"]
    return lambda record: _known(reached.get(record.seal, UNVERIFIED))


def _known(level: str) -> Verification:
    return RERUN if level == RERUN else SELF if level == SELF else UNVERIFIED


def note(home: Path, reached: Mapping[str, Verification], seals: Mapping[str, str]) -> None:
    """Write the levels that cells reached; one that was run again before and has not changed since keeps that level.

    ``seals`` are those of the records as they were read, by the same names.
    """
    before, cells = read(home), {}
    for name, now in reached.items():
        if now != UNVERIFIED:
            again = before.get(name) == {"seal": seals[name], "level": RERUN}
            cells[name] = {"seal": seals[name], "level": RERUN if again else now}
    write(home, cells)
