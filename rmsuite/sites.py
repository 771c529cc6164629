"""What a Dask worker does for a run: it runs a cell as a local run does, in a forked process.

What a parcel needs is looked for here, installed or where the run has it, before it is asked for.
"""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from rmsuite import handover, parcels, reuse
from rmsuite.cells import STOPPED, Conditions, Workers
from rmsuite.parcels import AbsentError
from rmsuite.pools import embeddings_by_hash
from rmsuite.worker import Outcome

IDLE = 600  # seconds after which a run that did not say its end is taken for dead


@dataclass(frozen=True)
class PluginFile:
    """A plugin file with the files beside it that it imports, and how it is loaded.

    ``sources`` are by path within the plugin's folder; ``load`` is called with the file's path and the module's name.
    """

    file: str
    module: str
    sources: Mapping[str, bytes]
    load: Callable[[Path, str], object]


@dataclass(frozen=True)
class Order:
    """What Dask workers have to know of a run.

    Attributes
    ----------
    conditions : Conditions
        But for the loaders, which are made there of ``files``; the folders with gold there are forbidden too.
    files : tuple of PluginFile
    expected : mapping
        What numbers rest on: another value of it on a Dask worker is refused.
    look : callable
        Returns, of the names in ``expected``, the values there.
    roots : callable
        Returns the folders of tasks there.
    """

    conditions: Conditions
    files: tuple[PluginFile, ...]
    expected: Mapping[str, str]
    look: Callable[[Iterable[str]], Mapping[str, str]]
    roots: Callable[[], list[Path]]
    name: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True)
class Absent:
    """Answers a parcel: the embedding set of this sha256 is not here."""

    sha256: str


@dataclass(frozen=True)
class Unlike:
    """Answers a parcel: this Dask worker would give other numbers, for these reasons."""

    differences: str


class _Site:
    """What a Dask worker keeps of a run: its plugin files, the process that forks its cells, and whether it goes on."""

    def __init__(self, order: Order) -> None:
        self.stop, self.n_running, self.last = threading.Event(), 0, time.monotonic()
        self._home = Path(mkdtemp(prefix="rmsuite-plugins-"))
        self.roots = order.roots()
        loaders = tuple(_loader(self._home / str(i), one) for i, one in enumerate(order.files))
        forbidden = (*order.conditions.forbidden, *(root / "pools" for root in self.roots))
        self._handing, self._large, self._rows = threading.Lock(), dict[str, np.ndarray](), handover.folder(self)
        self._workers = Workers(replace(order.conditions, loaders=loaders, forbidden=forbidden))
        self.unlike = reuse.differences(order.expected, order.look(order.expected))

    def outcome(self, job: parcels.Parcel) -> Outcome:
        return self._workers.outcome(job, self.stop)

    def hand(self, matrix: Any, rows: np.ndarray, name: str) -> np.ndarray:
        """Return rows as a method gets them; a large file of them is written once for all cells that get the same."""
        with self._handing:
            if name in self._large:
                return self._large[name]
            array = handover.handed(matrix, rows, lambda: self._rows / name)
            if isinstance(array, np.memmap):
                self._large[name] = array
            return array

    def close(self) -> None:
        self._workers.close()
        shutil.rmtree(self._home, ignore_errors=True)


def _loader(home: Path, one: PluginFile) -> Callable[[], object]:
    for name, source in one.sources.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    return partial(one.load, home / one.file, one.module)


_sites: dict[str, _Site] = {}
_ended: set[str] = set()
_lock = threading.Lock()


def run_cell(order: Order, parcel: bytes, sent: Mapping[str, np.ndarray]) -> Outcome | Absent | Unlike:
    """Run a cell, or say why that cannot be done here."""
    site = _enter(order)
    if site is None:
        return Outcome(phase="worker", error=STOPPED)
    try:
        if site.unlike:
            return Unlike(site.unlike)
        job = parcels.opened(parcel, partial(_matrix, site.roots, sent), site.hand)
        return site.outcome(job)
    except AbsentError as error:
        return Absent(str(error))
    finally:
        _leave(order.name, site)


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


def _leave(name: str, site: _Site) -> None:
    with _lock:
        site.n_running -= 1
        site.last = time.monotonic()
        over = site.stop.is_set() and not site.n_running
        if over:
            _sites.pop(name, None)
    if over:
        site.close()


def end(name: str) -> None:
    """End what this Dask worker does for a run; called in its event loop, which must not wait."""
    threading.Thread(target=_end_now, args=(name,), daemon=True).start()


def _end_now(name: str) -> None:
    with _lock:
        _ended.add(name)
        site = _sites.get(name)
        if site is None:
            return
        site.stop.set()
        over = not site.n_running
        if over:
            del _sites[name]
    if over:
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
