"""Which cells of a results folder need not be computed again: by all that a cell's numbers are made of.

A cell is found where its task, method and repetition say, and is taken if everything that its numbers rest on is as it
is now: the code of the method with all that it imports, its parameters, the cards and with them the data, the seed, the
protocol, rmsuite itself, Python, the packages and the kind of machine. What a cell is made of is stored with it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rmsuite import results
from rmsuite.closure import Closure, version
from rmsuite.errors import ResultsError
from rmsuite.version import __version__

Made = Mapping[str, str]
PACKAGE = "package "  # and its name, among what a cell is made of
State = Literal["kept", "missing", "failed", "damaged", "changed", "forced"]
NUMBERS = ("numpy", "scipy", "scikit-learn")  # packages that decide numbers, whoever imports them


@dataclass(frozen=True)
class Wanted:
    """A cell of a run: where it is, by task, method (or control) and repetition, and what it would be made of."""

    task: str
    method: str
    repetition: int
    made_of: Made


@dataclass(frozen=True)
class Found:
    """What a results folder holds of a cell.

    ``record`` is there if the state is ``kept``; for every other one the cell is to be computed, and ``why`` says so in
    words. ``forced`` are cells that are to be computed whatever there is.
    """

    state: State
    record: results.CellRecord | None = None
    why: str = ""


@cache
def core() -> Made:
    """Return what all cells of a run share."""
    return {
        "rmsuite": f"{__version__} {_own_code()}",
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "machine": platform.machine(),
        **{name: version(name) for name in NUMBERS},
    }


@cache
def _own_code() -> str:
    home = Path(__file__).parent
    return digest({path.relative_to(home).as_posix(): path.read_text("utf-8") for path in home.rglob("*.py")})


def digest(parts: Mapping[str, Any]) -> str:
    """Return the start of the sha256 of a mapping, whatever its order."""
    return hashlib.sha256(json.dumps(dict(sorted(parts.items())), default=str).encode()).hexdigest()[:12]


def of_code(closures: Iterable[Closure]) -> dict[str, str]:
    """Return what is said of a method's code: a digest of its sources, and the packages that they import.

    Two plugins may have files of one name, and a package any name: neither hides another thing that a cell is made of.
    """
    found = list(closures)
    packages = {PACKAGE + name: number for one in found for name, number in one.packages.items()}
    return {
        "code": digest({"sources": [sorted(one.sources.items()) for one in found]}),
        **dict(sorted(packages.items())),
    }


def packages(code: Made) -> list[str]:
    """Return the distributions that code of which this is said (``of_code``) imports."""
    return [name.removeprefix(PACKAGE) for name in code if name.startswith(PACKAGE)]


def kept(home: Path, wanted: Wanted) -> Found:
    """Return a cell that is there and as it would be, or the reason why it is to be computed.

    Damage is found here, that of arrays too, which are read only when they are asked for.
    """
    path = results.path_of(home, wanted.task, wanted.method, wanted.repetition)
    if not path.exists():
        return Found("missing", why="there is no result")
    try:
        record = results.glance(path)
    except ResultsError as error:
        return Found("damaged", why=f"its result is damaged ({error.got})")
    if record.status == "failed":
        return Found("failed", why=f"it failed in {record.phase}")
    changed = differences(record.facts.get("made_of", {}), wanted.made_of)
    return Found("changed", why=f"changed: {changed}") if changed else Found("kept", record)


def differences(before: Made, now: Made) -> str:
    """Return in words what a cell was made of otherwise; nothing if nothing differs."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"{name} ({before.get(name, 'none')} -> {now.get(name, 'none')})" for name in names)
