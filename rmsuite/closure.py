"""The source that a plugin runs: its own files and all that they import, and the versions of installed packages.

Imports are read from the source, not carried out: also those in functions, which run in workers only. A module that is
imported by a name that is computed is not found; whoever does that names it in an import somewhere too.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

INSTALLED = {"site-packages", "dist-packages"}  # folders whose code only an installation changes
CORE = "rmsuite"


@dataclass(frozen=True)
class Closure:
    """What a plugin's numbers rest on, beside what it is given.

    Attributes
    ----------
    sources : mapping
        The sha256 of each source file, by module folder and path within it.
    packages : mapping
        By the name of each installed distribution that is imported, its version and the start of the sha256 of its
        record of files: two installations of one version may differ.
    """

    sources: dict[str, str]
    packages: dict[str, str]


def closure(module: ModuleType) -> Closure:
    """Return the closure of a plugin module, a file or a package."""
    path = Path(str(module.__file__))
    return closure_at(path.parent if hasattr(module, "__path__") else path)


def closure_of(name: str) -> Closure | None:
    """Return the closure of a top-level module, which is not imported for it; None if there is no source of it."""
    place = _found(name)
    return None if place is None else closure_at(place)


def closure_at(start: Path) -> Closure:
    """Return the closure of a file, or of a package's folder."""
    sources: dict[Path, Path] = {}  # each file with the folder that it is named from
    packages: dict[str, str] = {}
    waiting = [start]
    while waiting:
        for file in _files(waiting.pop()):
            if file not in sources:
                sources[file] = start.parent
                for name in _imported(file):
                    waiting += _place(name, start, packages)
    return Closure({_named(file, home): _sha256(file) for file, home in sorted(sources.items())}, packages)


def _files(place: Path) -> list[Path]:
    return sorted(place.rglob("*.py")) if place.is_dir() else [place]


def _named(file: Path, home: Path) -> str:
    """Return a name that does not tell where the folder lies."""
    return file.relative_to(home).as_posix() if file.is_relative_to(home) else "/".join(file.parts[-2:])


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _imported(file: Path) -> set[str]:
    """Return the top-level names that a file imports; none of a file that is no Python, which cannot be run either."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    return {name.partition(".")[0] for node in ast.walk(tree) for name in _names(node)}


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield node.module


def _place(name: str, start: Path, packages: dict[str, str]) -> list[Path]:
    """Return the file or folder of a module whose source counts; note the distribution of an installed one."""
    if name in sys.stdlib_module_names or name in {CORE, start.stem}:
        return []
    near = _beside(name, start.parent)
    if near is not None:
        return [near]
    found = _found(name)
    if found is None or INSTALLED & set(found.parts):
        packages |= {one: version(one) for one in _distributions().get(name, ())}
        return []
    return [found]


def _beside(name: str, folder: Path) -> Path | None:
    """Return a module that lies in a plugin's folder; None beside an installed one, whose neighbours are packages."""
    if INSTALLED & set(folder.parts):
        return None
    if (folder / f"{name}.py").is_file():
        return folder / f"{name}.py"
    return folder / name if (folder / name / "__init__.py").is_file() else None


@cache
def _found(name: str) -> Path | None:
    """Return where a module lies, a folder for a package; None if nowhere, or not as Python source."""
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)


@cache
def _distributions() -> dict[str, list[str]]:
    return {name: sorted(set(found)) for name, found in packages_distributions().items()}


def version(name: str) -> str:
    """Return the version of a distribution, with the start of the sha256 of its record of files; "absent" if it is."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return "absent"
    record = "\n".join(sorted(line for line in (found.read_text("RECORD") or "").splitlines() if ".py," in line))
    return f"{found.version} {hashlib.sha256(record.encode()).hexdigest()[:12]}"
