"""Where the cells of a results folder lie: of methods and controls in it, of policies in a folder of their own."""

from __future__ import annotations

from pathlib import Path

from rmsuite import results
from rmsuite.policy_study import FOLDER
from rmsuite.results import CellRecord


def found(home: Path) -> list[Path]:
    """Return all records of a results folder, those of policies last; ``home`` may be the folder of policies itself."""
    return [*results.found(home), *results.found(home / FOLDER)]


def paths(home: Path) -> list[Path]:
    """Return all records of a results folder that has some.

    Raises
    ------
    ResultsError
        If it has none.
    """
    return found(home) or results.paths(home)


def place(path: Path, record: CellRecord) -> Path:
    """Return where a record that was found at ``path`` belongs."""
    return results.cell_path(root(path), record)


def root(path: Path) -> Path:
    """Return the folder whose tasks' folders hold the record at ``path``."""
    return path.parents[2]


def holds_policies(folder: Path) -> bool:
    """Return whether the cells right in a folder are those of policies, by its name."""
    return folder.resolve().name == FOLDER
