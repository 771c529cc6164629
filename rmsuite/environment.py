"""What a run was made with: versions, processor, BLAS, threads, and the state of the plugins' repositories."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from rmsuite.version import __version__

CORE = "rmsuite"


def environment(folders: Iterable[Path] = (), packages: Iterable[str] = ()) -> dict[str, Any]:
    """Return what numbers and seconds of this process rest on.

    Parameters
    ----------
    folders : paths
        Folders of plugins, whose commit and edits are told where they are in a git repository.
    packages : names
        Distributions that plugins use, beside those that rmsuite requires.
    """
    import numpy as np  # its BLAS is told once it is loaded

    np.zeros(1) @ np.zeros(1)
    commits = {str(folder): commit(folder) for folder in sorted({folder.resolve() for folder in folders})}
    return {
        "rmsuite": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "blas": sorted(
            f"{one['internal_api']} {one['version']}, {one['num_threads']} threads" for one in threadpool_info()
        ),
        "packages": {name: number for name in sorted({*required(), *packages}) if (number := version_of(name))},
        "plugins": {folder: state for folder, state in commits.items() if state},
    }


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.*)$", info.read_text(), re.MULTILINE) if info.is_file() else None
    return found[1] if found else platform.processor() or platform.machine()


def required() -> list[str]:
    """Return the names of the distributions that rmsuite requires."""
    try:
        lines = requires(CORE) or []
    except PackageNotFoundError:
        return []
    return [re.split(r"[^\w.-]", line)[0] for line in lines if "extra ==" not in line]


def version_of(name: str) -> str:
    """Return the version of a distribution, or nothing if it is not there."""
    try:
        return version(distribution(name).metadata["Name"])
    except PackageNotFoundError:
        return ""


def commit(folder: Path) -> str:
    """Return the git commit of a folder, and whether it has edits; nothing where there is no repository or no git."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-C", str(folder), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head, edits = git("rev-parse", "HEAD"), git("status", "-s", ".")
    return "" if head is None else f"{head[:12]}{' with edits' if edits else ''}"
