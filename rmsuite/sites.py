"""What a Dask worker does for a run: it runs a cell as a local run does, in a forked process.

What a parcel needs is looked for here, installed or where the run has it, before it is asked for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Any
from weakref import WeakValueDictionary, finalize

import numpy as np

from rmsuite import handover, parcels, reuse, temporary
from rmsuite.cells import STOPPED, Conditions, Workers
from rmsuite.parcels import AbsentError
from rmsuite.policy_worker import PolicyJob
from rmsuite.pools import embeddings_by_hash
from rmsuite.worker import Outcome

KEPT = 4  # large files of rows that wait for further cells: those of training and of validation, of two repetitions
IDLE = 600  # seconds after which a run that did not say its end is taken for dead


@dataclass(frozen=True)
class PluginFile:
    """A plugin file's name and that of its module, and its source with those beside it, by path within its folder."""

    file: str
    module: str
    sources: Mapping[str, bytes]


@dataclass(frozen=True)
class Order:
    """What Dask workers have to know of a run.

    Attributes
    ----------
    conditions : Conditions
        But for the plugin files, which are written there from ``files``; the folders with gold there are forbidden too.
    files : tuple of PluginFile
    expected : mapping
        What numbers rest on: another value of it on a Dask worker is refused.
    look : callable
        Returns, of the names in ``expected``, the values there.
    roots : callable
        Returns the folders of tasks there.
    name : str
        Of the run that gives it, and of no other one.
    """

    conditions: Conditions
    files: tuple[PluginFile, ...]
    expected: Mapping[str, str]
    look: Callable[[Iterable[str]], Mapping[str, str]]
    roots: Callable[[], list[Path]]
    name: str = ""


@dataclass(frozen=True)
class Absent:
    """Answers a parcel: the embedding set of this sha256 is not here."""

    sha256: str


@dataclass(frozen=True)
class Unlike:
    """Answers a parcel: this Dask worker would give other numbers, for these reasons."""

    differences: str
    host: str = field(default_factory=gethostname)


@dataclass(frozen=True)
class _Stop:
    """Whether a cell is to end: its run says so, or was killed, so that the cluster no longer asks for the cell."""

    run: threading.Event
    is_asked: Callable[[], bool]

    def is_set(self) -> bool:
        return self.run.is_set() or not self.is_asked()


def _question() -> Callable[[], bool]:
    """Return what tells whether the cluster still asks for the cell that this thread runs."""
    from distributed import get_worker

    try:
        worker: Any = get_worker()
    except ValueError:  # called by hand, outside a cluster
        return lambda: True
    tasks, key = worker.state.tasks, worker.get_current_task()
    return lambda: key in tasks and tasks[key].state != "cancelled"


class _Site:
    """What a Dask worker keeps of a run: its plugin files, the process that forks its cells, and whether it goes on."""

    def __init__(self, order: Order) -> None:
        self.stop, self.n_running, self.last = threading.Event(), 0, time.monotonic()
        self.unlike = reuse.differences(order.expected, order.look(order.expected))
        self.roots = order.roots()
        handover.clear()
        self._home = temporary.folder("rmsuite-plugins-")
        files = {one.module: _written(self._home.path / str(i), one) for i, one in enumerate(order.files)}
        forbidden = (*order.conditions.forbidden, *(root / "pools" for root in self.roots))
        self._handing, self._rows = threading.Lock(), handover.folder(self)
        self._large, self._recent = WeakValueDictionary[str, np.memmap](), deque[np.memmap](maxlen=KEPT)
        self._workers = Workers(replace(order.conditions, files=files, forbidden=forbidden))

    def outcome(self, job: parcels.Parcel | PolicyJob, stop: _Stop) -> Outcome:
        return self._workers.outcome(job, stop)

    def hand(self, matrix: Any, rows: np.ndarray, name: str) -> np.ndarray:
        """Return rows as a method gets them; a large file of them is written once for cells that follow one another.

        It goes when no cell has it and ``KEPT`` others have come: a run of many repetitions must not fill the disk.
        """
        with self._handing:
            if (known := self._large.get(name)) is not None:
                return known
            array = handover.handed(matrix, rows, lambda: self._rows / name)
            if isinstance(array, np.memmap):
                self._large[name] = array
                self._recent.append(array)
                finalize(array, Path(str(array.filename)).unlink, missing_ok=True)
            return array

    def close(self) -> None:
        self._workers.close()
        self._home.remove()


def _written(home: Path, one: PluginFile) -> Path:
    for name, source in one.sources.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    return home / one.file


_sites: dict[str, _Site] = {}
_ended: set[str] = set()
_lock = threading.Lock()


def run_cell(order: Order, parcel: bytes, sent: Mapping[str, np.ndarray]) -> Outcome | Absent | Unlike:
    """Run a cell, or say why that cannot be done here."""
    site, is_asked = _enter(order), _question()
    if site is None:
        return Outcome(phase="worker", error=STOPPED)
    try:
        if site.unlike:
            return Unlike(site.unlike)
        job = parcels.opened(parcel, partial(_matrix, site.roots, sent), site.hand)
        return site.outcome(job, _Stop(site.stop, is_asked))
    except AbsentError as error:
        return Absent(str(error))
    finally:
        _leave(order.name, site, is_asked())


def _enter(order: Order) -> _Site | None:
    """Return the site of a run, a new one if it is its first cell here; None if the run has ended."""
    with _lock:
        for name, site in list(_sites.items()):
            if name != order.name and not site.n_running and time.monotonic() > site.last + IDLE:
                _sites.pop(name).close()
        if order.name in _ended:
            return None
        if order.name not in _sites:
            _sites[order.name] = _Site(order)
        site = _sites[order.name]
        site.n_running += 1
        return site


def _leave(name: str, site: _Site, is_asked: bool) -> None:
    with _lock:
        site.n_running -= 1
        site.last = time.monotonic()
        if not (is_asked or site.n_running):
            site.stop.set()  # the run was killed; if it lives, its next cell makes another site
    _close_if_over(name)


def end(name: str) -> None:
    """End what this Dask worker does for a run; called in its event loop, which must not wait."""
    threading.Thread(target=_end_now, args=(name,), daemon=True).start()


def _end_now(name: str) -> None:
    with _lock:
        _ended.add(name)
        if name in _sites:
            _sites[name].stop.set()
    _close_if_over(name)


def _close_if_over(name: str) -> None:
    """Close the site of a run that has ended, once none of its cells runs here; of two who see that, one does it."""
    with _lock:
        site = _sites.get(name)
        if site is None or site.n_running or not site.stop.is_set():
            return
        del _sites[name]
    site.close()


_found: dict[str, Any] = {}  # embedding sets that were found and verified here, by sha256


def _matrix(roots: list[Path], sent: Mapping[str, np.ndarray], sha256: str, home: Path) -> Any:
    """Return an embedding set's matrix: of an installed one, of one where the run has it, or as it was sent."""
    if sha256 in sent:
        return sent[sha256]
    if sha256 not in _found:
        one = embeddings_by_hash(sha256, [*roots, home.parents[3]])
        if one is None:
            raise AbsentError(sha256)
        _found[sha256] = one.matrix
    return _found[sha256]
