"""Plugin files that a worker may import, found by the names of their modules: none is run that nothing asks for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType


class OfferedFiles(MetaPathFinder):
    """Finds files by the module names under which the run has loaded them; pickled methods refer to these."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.files = files

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return where a module is; None for all but the offered ones."""
        file = self.files.get(fullname)
        return None if file is None else spec_from_file_location(fullname, file)


def offer(files: Mapping[str, Path]) -> None:
    """Make plugin files importable in this process, before all else of their names."""
    sys.meta_path.insert(0, OfferedFiles(files))


def offered() -> list[Path]:
    """Return the plugin files that are importable in this process."""
    return [file for one in sys.meta_path if isinstance(one, OfferedFiles) for file in one.files.values()]
