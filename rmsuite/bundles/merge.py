"""Several results folders into one new one, byte for byte."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from rmsuite import results, signature
from rmsuite.bundles import folders, levels
from rmsuite.errors import ResultsError
from rmsuite.reports.records import RERUN


def merge(homes: Sequence[Path], into: Path, allow_mixed: bool = False) -> int:
    """Copy all cells, those of policies too, with their levels of verification, and return how many there are.

    Raises
    ------
    ResultsError
        If ``into`` holds something, a folder has no cells, a cell is damaged, two records of one cell differ, or
        cells of one task have different signatures and ``allow_mixed`` is not set.
    """
    into = into.resolve()
    if into.exists() and not (into.is_dir() and not any(into.iterdir())):
        do = "give a new or empty folder with --into"
        raise ResultsError(who=f"merge into {into}", expected="a new or empty folder", got="files", do=do)
    chosen = _chosen(homes, allow_mixed)
    if not allow_mixed:
        _refuse_mixed(chosen)
    reached = _levels(homes, chosen)
    temporary = into.with_name(f".{into.name}.{os.getpid()}")
    try:
        for name, path in chosen.items():
            _copy(path, temporary / name)
        levels.write(temporary, reached)
        temporary.replace(into)
    except OSError as error:
        do = "free space, or give another folder with --into"
        raise ResultsError(who=f"merge into {into}", expected="a writable folder", got=str(error), do=do) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # a merge that is stopped leaves nothing
    return len(chosen)


def _chosen(homes: Sequence[Path], allow_mixed: bool) -> dict[str, Path]:
    """Return the record to copy of each cell, by its path within a folder.

    Every run has its controls: of several signatures those of the first folder are kept.
    """
    chosen: dict[str, Path] = {}
    for home in homes:
        for path in folders.paths(home):
            name = _name(home, path)
            if name in chosen and allow_mixed and _are_controls_of_two_signatures(chosen[name], path):
                continue
            if name in chosen and chosen[name].read_bytes() != path.read_bytes():
                got = f"another one in {chosen[name]}"
                do = "leave one of the folders out: a cell has one result"
                raise ResultsError(who=f"cell {path}", expected="one record of a cell", got=got, do=do)
            chosen[name] = path
    return chosen


def _are_controls_of_two_signatures(first: Path, second: Path) -> bool:
    one, two = results.read(first), results.read(second)
    return one.kind == two.kind == "control" and one.signature != two.signature


def _name(home: Path, path: Path) -> str:
    right = folders.place(path, results.read(path))  # a damaged cell is refused here
    if right != path:
        do = "move it, or delete the copy"
        raise ResultsError(who=f"cell {path}", expected=f"this record at {right}", got="it here", do=do)
    return path.relative_to(home).as_posix()


def _refuse_mixed(chosen: dict[str, Path]) -> None:
    first: dict[tuple[str, bool], tuple[str, Path]] = {}
    for path in chosen.values():
        record = results.read(path)
        line, other = first.setdefault((record.task, record.kind == "policy"), (record.signature, path))
        if line != record.signature:
            raise ResultsError(
                who=f"merge of {record.task}",
                expected="cells with one signature",
                got=f"{other} and {path} with {signature.worded(line, record.signature)}",
                do="merge folders of one protocol, or mark the others in tables (--allow-mixed)",
            )


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for file in results.files(path):
        shutil.copyfile(file, target.with_name(file.name))


def _levels(homes: Sequence[Path], chosen: dict[str, Path]) -> dict[str, dict[str, str]]:
    """Return the highest level that any of the folders has for each record."""
    out: dict[str, dict[str, str]] = {}
    for home in homes:
        for name, found in levels.read(home).items():
            same = name in chosen and results.read(chosen[name]).seal == found["seal"]
            if same and (name not in out or found["level"] == RERUN):
                out[name] = found
    return out
