"""Run the methods of a plugin file on toy tasks, through the same doors as the command line."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rmsuite import harness, plugins
from rmsuite.book import read_book
from rmsuite.cells import Conditions
from rmsuite.executors import Local
from rmsuite.harness import Entrant
from rmsuite.results import CellRecord
from rmsuite.setting import Setting
from rmsuite.tasks import LoadedTask

MISBEHAVING = Path(__file__).with_name("misbehaving.py")
TRIVIAL = Path(__file__).with_name("trivial.py")
Cells = dict[tuple[str, str, int], CellRecord]


def loaded(root: Path, *names: str) -> list[LoadedTask]:
    """Load tasks by name."""
    book = read_book([root])
    return [book.task(name).load() for name in names]


def settings(task: LoadedTask, repetitions: int, seed: int = 0) -> list[Setting]:
    """Return what the harness holds of each repetition."""
    return [Setting(task, seed, repetition) for repetition in range(repetitions)]


def entrants(plugin: Path, texts: Iterable[str]) -> list[Entrant]:
    """Return the methods of a plugin file that the texts name."""
    catalogue = plugins.load([plugin], installed=False)
    found = (catalogue.configured(text) for text in texts)
    return [Entrant(configured, owner.source) for owner, configured in found]


def executor(plugin: Path, forbidden: Iterable[Path], n_jobs: int = 1, **limits: Any) -> Local:
    """Return local workers that know the plugin file; ``limits`` are of ``Conditions``."""
    return Local(n_jobs, Conditions(tuple(forbidden), {plugins.load_file(plugin).__name__: plugin}, **limits))


def run(
    root: Path,
    home: Path,
    methods: Iterable[str],
    *,
    plugin: Path = MISBEHAVING,
    names: tuple[str, ...] = ("toy-gold",),
    repetitions: int = 1,
    seed: int = 0,
    n_jobs: int = 1,
    on_cell: Callable[[CellRecord], None] = lambda record: None,
    **limits: Any,
) -> Cells:
    """Run methods on toy tasks, and return all cells by task, method and repetition; ``limits`` are for the workers."""
    workers = executor(plugin, [root, home], n_jobs, **limits)
    records = harness.run(
        loaded(root, *names), entrants(plugin, methods), repetitions, seed, workers, home, on_cell=on_cell
    )
    return {(record.task, record.method, record.repetition): record for record in records}


def same_arrays(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two cells hold the same numbers, to the bit."""
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes() for name in one
    )


def marked(mark: str) -> list[int]:
    """Return the running processes with this text in their environment; none where the system has no /proc."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes() and alive(int(process.name)):
                found.append(int(process.name))
    return found


def text_within(file: Path, seconds: float = 60) -> str:
    """Wait until a file has text."""
    deadline = time.monotonic() + seconds
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline, f"{file} was not written"
        time.sleep(0.05)
    return file.read_text()


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
