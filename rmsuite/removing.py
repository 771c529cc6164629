"""Remove the folder that a method worked in, whatever it left there."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from uuid import uuid4


def remove(folder: Path) -> None:
    """Remove a folder: also one that is nested thousands deep, and folders in it that nobody may write to.

    What cannot be removed stays: it belongs to another user, or somebody goes on writing there.
    """
    _remove_shallow(folder)
    if folder.is_dir():
        with contextlib.suppress(OSError):
            _flatten(folder)
        _remove_shallow(folder)


def _remove_shallow(folder: Path) -> None:
    with contextlib.suppress(RecursionError):  # it calls itself for each level
        shutil.rmtree(folder, ignore_errors=True)


def _flatten(folder: Path) -> None:
    """Take the folders in a folder apart, one by one: their paths stay short."""
    waiting = _opened(folder)
    while waiting:
        place = waiting.pop()
        for inner in _opened(place):
            inner.chmod(0o700)  # it is written to when it moves
            waiting.append(inner.rename(folder / uuid4().hex))
        shutil.rmtree(place)


def _opened(folder: Path) -> list[Path]:
    """Return the folders in a folder, which one may write to then."""
    folder.chmod(0o700)
    with os.scandir(folder) as found:
        return [Path(one) for one in found if one.is_dir(follow_symlinks=False)]
