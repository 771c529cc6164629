"""``rmsuite sys-info`` and ``rmsuite clean``."""

from __future__ import annotations

import contextlib
import json
import re
from argparse import Namespace
from pathlib import Path

from rmsuite import results
from rmsuite.commands import shared
from rmsuite.errors import ResultsError
from rmsuite.policy_study import FOLDER


def show_system(options: Namespace) -> int:
    """Print what numbers and seconds rest on here, as JSON."""
    print(json.dumps(shared.environment_of(shared.catalogue(options).plugins), indent=1))
    return 0


READ = r"\d+\.(json|traceback\.txt)"
FILE = re.compile(rf"{READ}|\d+-[0-9a-f]{{16}}\.npz|\.({READ}|\d+\.npz)\.\d+")  # of a cell
TASKS = ("*@*", f"{FOLDER}/*@*")  # within a results folder; cells lie two folders deeper, and only they are deleted


def clean(options: Namespace) -> int:
    """Print what a results folder holds beside finished cells, or all of it, and delete it if told so."""
    found = _all(options.home) if options.all else _debris(options.home)
    for path in found:
        print(path)
        if options.yes:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
    if options.yes:
        _remove_empty(options.home)
    done = "deleted" if options.yes else "would be deleted: say -y"
    print(f"{len(found)} file{'s' * (len(found) != 1)} {done}")
    return 0


def _all(home: Path) -> list[Path]:
    """Return the files of all cells, half-written ones too."""
    found = (path for task in TASKS for path in home.glob(f"{task}/*/*"))
    return sorted(path for path in found if path.is_file() and FILE.fullmatch(path.name))


def _debris(home: Path) -> list[Path]:
    """Return records that failed or are damaged, what no record names, and files that were left half-written."""
    whole: set[Path] = set()
    for path in (path for path in _all(home) if path.suffix == ".json"):
        with contextlib.suppress(ResultsError):
            if results.read(path).status != "failed":
                whole |= set(results.files(path))
    return [path for path in _all(home) if path not in whole]


def _remove_empty(home: Path) -> None:
    patterns = (*(f"{task}/*/" for task in TASKS), *(f"{task}/" for task in TASKS), f"{FOLDER}/")
    for folder in (folder for pattern in patterns for folder in [*home.glob(pattern)]):
        with contextlib.suppress(OSError):  # it still holds something
            folder.rmdir()
