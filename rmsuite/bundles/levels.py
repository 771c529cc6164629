"""How far each cell of a results folder has been verified, kept beside the cells in ``verification.json``.

A level holds for one content of a record: a record that was changed since is unverified again. The file can be forged
like any other; who distrusts it runs ``rmsuite verify`` himself.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from rmsuite.errors import ResultsError
from rmsuite.results import CellRecord, cell_path
from rmsuite.version import __version__

FILE = "verification.json"
SELF, RERUN = "self-verified", "re-run verified"


def digest(path: Path) -> str:
    """Return the sha256 of a record's file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read(home: Path) -> dict[str, dict[str, str]]:
    """Return, by the path of each verified record within ``home``, its sha256 and its level; empty if there are none.

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
        return {name: {"sha256": str(c["sha256"]), "level": str(c["level"])} for name, c in cells.items()}
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


def level(home: Path, known: Mapping[str, Mapping[str, str]], record: CellRecord) -> str:
    """Return the level of a record as it is now."""
    path = cell_path(home, record)
    found = known.get(path.relative_to(home).as_posix())
    if found is None or found["level"] not in (SELF, RERUN) or not path.exists() or digest(path) != found["sha256"]:
        return "unverified"
    return found["level"]


def record(home: Path, reached: Mapping[str, str]) -> None:
    """Write the levels that cells reached; one that was run again before and has not changed since keeps that level."""
    before, cells = read(home), {}
    for name, now in reached.items():
        if now != "unverified":
            sha256 = digest(home / name)
            again = before.get(name) == {"sha256": sha256, "level": RERUN}
            cells[name] = {"sha256": sha256, "level": RERUN if again else now}
    write(home, cells)
