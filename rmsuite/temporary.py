"""Temporary folders that outlive no process: each is locked while its process lives, and cleared by others after that.

The system takes a lock away from whoever is killed.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from rmsuite.removing import remove

PREFIXES = ("rmsuite-cells-", "rmsuite-plugins-")
YOUNG = 60  # seconds in which a folder may be about to be locked


@dataclass(frozen=True)
class Folder:
    """A temporary folder, and the descriptor that holds its lock; -1 where folders cannot be locked."""

    path: Path
    lock: int

    def remove(self) -> None:
        """Remove the folder, then let its lock go."""
        remove(self.path)
        if self.lock >= 0:
            os.close(self.lock)


def folder(prefix: str) -> Folder:
    """Make a temporary folder, whose prefix is one of ``PREFIXES``."""
    path = Path(mkdtemp(prefix=prefix))
    return Folder(path, _locked(path))


def clear() -> None:
    """Remove what killed processes of this user left behind."""
    for prefix in PREFIXES:
        for path in Path(gettempdir()).glob(f"{prefix}*"):
            with contextlib.suppress(OSError):
                _clear(path)


def _clear(path: Path) -> None:
    found = path.lstat()
    if path.is_symlink() or found.st_uid != os.getuid() or time.time() < found.st_mtime + YOUNG:
        return
    lock = _locked(path)
    if lock >= 0:
        Folder(path, lock).remove()


def _locked(path: Path) -> int:
    """Return the descriptor of a lock on a folder; -1 if another process has it, or where there is no such thing."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        import fcntl  # not at the top: systems that lack it fail on the line before

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return -1
    return descriptor
