"""Hand large training embeddings to a worker: as a file of their own that it maps, with no other row in it.

A worker may not open pools, whose files hold test rows too; and a copy through a pipe is held several times.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any
from weakref import finalize

import numpy as np

from rmsuite.arrays import BLOCK, is_large

SUFFIX = ".rows"  # of the only files that are handed over by name
PREFIX = "rmsuite-rows-"  # of the folders that hold them


def folder(owner: object) -> Path:
    """Make a temporary folder for such files; it goes with its owner, or when Python ends.

    A lock on it says that this process lives: the system takes it away from one that is killed (``clear``).
    """
    path = Path(mkdtemp(prefix=PREFIX))
    with contextlib.suppress(OSError):  # where folders cannot be locked, none is ever cleared
        finalize(owner, os.close, _locked(path))
    finalize(owner, _remove, path)  # runs before the lock goes
    return path


def clear() -> None:
    """Remove the folders that killed processes of this user left behind; one in use is locked, and stays."""
    for path in Path(gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        return
    lock = _locked(path, wait=False)
    try:
        files = list(path.iterdir())
        if files and all(file.suffix == SUFFIX for file in files):  # an empty one may be about to be locked
            _remove(path)
    finally:
        os.close(lock)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # another process may be quicker
        for file in path.glob(f"*{SUFFIX}"):
            file.unlink()
        path.rmdir()


def _locked(path: Path, wait: bool = True) -> int:
    """Lock a folder, and return the descriptor that holds the lock; raises ``OSError`` if another process does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        import fcntl  # not at the top: systems that lack it have failed on the line before

        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def handed(matrix: Any, rows: np.ndarray, place: Callable[[], Path]) -> np.ndarray:
    """Return rows of a matrix as a method gets them in training: as float32, or, if they are large, as a mapped file.

    ``place`` is asked for the file's path without its ending, if one is needed.
    """
    if not is_large(len(rows), matrix.shape[1]):
        return np.asarray(matrix[rows]).astype(np.float32)
    return written(place().with_suffix(SUFFIX), matrix, rows)


def written(path: Path, matrix: Any, rows: np.ndarray) -> np.ndarray:
    """Write rows of a matrix into a file, in its type, and return the file mapped read-only."""
    n_features = matrix.shape[1]
    step = max(BLOCK // (n_features * matrix.dtype.itemsize), 1)
    with path.open("wb") as file:
        for start in range(0, len(rows), step):
            np.ascontiguousarray(matrix[rows[start : start + step]]).tofile(file)
    path.chmod(0o400)
    return opened(str(path), matrix.dtype.str, (len(rows), n_features))


def opened(path: str, kind: str, shape: tuple[int, int]) -> np.ndarray:
    """Map such a file."""
    return np.memmap(path, kind, "r", 0, shape)


def reduced(array: np.ndarray) -> Any:
    """Say how an array is sent to a worker: by its file if it was handed over so, else as arrays always are."""
    mapped: Any = array
    while isinstance(mapped, np.ndarray) and not isinstance(mapped, np.memmap):
        mapped = mapped.base
    if isinstance(mapped, np.memmap) and array.shape == mapped.shape and str(mapped.filename).endswith(SUFFIX):
        return opened, (str(mapped.filename), array.dtype.str, array.shape)
    return array.__reduce_ex__(5)
