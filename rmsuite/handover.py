"""Hand large training embeddings to a worker: as a file of their own that it maps, with no other row in it.

A worker may not open pools, whose files hold test rows too; and a copy through a pipe is held several times.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.arrays import BLOCK

SUFFIX = ".rows"  # of the only files that are handed over by name


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
