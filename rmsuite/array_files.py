"""The file of a cell's arrays, named by its content: checked whenever it is read, and read as late as possible."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.errors import ResultsError

DAMAGED = (EOFError, zipfile.BadZipFile, zlib.error)  # what numpy raises of an array file, beside ValueError


def arrays_path(path: Path, digest: str) -> Path:
    """Return where the arrays of the cell are whose record is at ``path``."""
    return path.with_name(f"{path.stem}-{digest[:16]}.npz")


def opened(path: Path, digest: str) -> Any:
    """Return the arrays of the cell whose record is at ``path`` as numpy opens them, to be used in ``with``."""
    return np.load(io.BytesIO(content(path, digest)), allow_pickle=False)


def content(path: Path, digest: str) -> bytes:
    """Return the bytes of a cell's arrays; ``ValueError`` if they have another sha256."""
    arrays = arrays_path(path, digest)
    found = arrays.read_bytes()
    if hashlib.sha256(found).hexdigest() != digest:
        raise ValueError(f"{arrays.name} with another sha256 than the record says")
    return found


@contextlib.contextmanager
def whole(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises into an error that says what to do."""
    try:
        yield
    except (*DAMAGED, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        do = "delete the cell and run it again"
        raise ResultsError(who=f"result {path}", expected="a whole cell", got=f"{error}", do=do) from None


class StoredArrays(Mapping[str, np.ndarray]):
    """The arrays of the cell whose record is at ``path``: each is read when it is first asked for, and kept.

    Whatever asks for one raises ``ResultsError`` if their file is no longer what the record says.
    """

    def __init__(self, path: Path, digest: str) -> None:
        self._path, self._digest = path, digest
        self._found: dict[str, np.ndarray] = {}

    @cached_property
    def _names(self) -> frozenset[str]:
        with whole(self._path), opened(self._path, self._digest) as file:
            return frozenset(file.files)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._found:
            if name not in self._names:
                raise KeyError(name)
            with whole(self._path), opened(self._path, self._digest) as file:
                self._found[name] = file[name]
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)
