"""Run jobs in local worker processes, each in one of its own: a crash costs the job that ran in it."""

from __future__ import annotations

import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

from rmsuite import handover, worker
from rmsuite.arrays import Gathered, row_slices
from rmsuite.data import PreferencePairs
from rmsuite.method import Configured
from rmsuite.worker import Outcome

# One thread: the number of threads decides the order of sums, and with it the last bits of a result.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)

# loky would end a worker that has grown, if psutil is there: after ``fit``, and the fitted model with it.
NO_RECYCLING = {"LOKY_MAX_MEMORY_LEAK_SIZE": "1e18"}

# A random.py in the working directory must not be imported in place of Python's.
SAFE_PATH = {"PYTHONSAFEPATH": "1"}


class Job(Protocol):
    """What an executor needs of a cell."""

    @property
    def configured(self) -> Configured:
        """The method."""
        ...

    @property
    def seed(self) -> int:
        """What its random stream begins with."""
        ...

    @property
    def pairs(self) -> PreferencePairs:
        """What it is trained on."""
        ...

    @property
    def test_embeddings(self) -> np.ndarray | Gathered:
        """What it has to reward."""
        ...

    @property
    def asked_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of ``test_embeddings`` whose preference probabilities are asked for."""
        ...


J = TypeVar("J", bound=Job)


@dataclass(frozen=True)
class Local:
    """Local worker processes, ``n_jobs`` at a time.

    ``forbidden`` are folders that workers may not open files in; ``loaders`` make plugins importable there.
    """

    n_jobs: int = 1
    forbidden: tuple[Path, ...] = ()
    loaders: tuple[Callable[[], object], ...] = ()

    def run(self, jobs: Iterable[J]) -> Iterator[tuple[J, Outcome]]:
        """Yield each job with its outcome, in the order in which they finish."""
        waiting, lock = iter(jobs), threading.Lock()
        done: queue.Queue[tuple[J, Outcome] | BaseException | None] = queue.Queue()
        stop = threading.Event()
        slots = [
            threading.Thread(target=self._slot, args=(waiting, lock, done, stop), daemon=True)
            for _ in range(self.n_jobs)
        ]
        for slot in slots:
            slot.start()
        try:
            yield from _until_all_slots_end(done, len(slots))
        finally:
            stop.set()
            for slot in slots:
                slot.join()

    def _slot(
        self,
        jobs: Iterator[J],
        lock: threading.Lock,
        done: queue.Queue[tuple[J, Outcome] | BaseException | None],
        stop: threading.Event,
    ) -> None:
        """Take jobs until there are none or the run is stopped."""
        try:
            while not stop.is_set():
                with lock:
                    job = next(jobs, None)
                if job is None:
                    break
                done.put((job, self._outcome(job, stop)))
        except BaseException as error:  # noqa: BLE001 -- handed to the main thread, which raises it
            done.put(error)
        finally:
            done.put(None)

    def _outcome(self, job: Job, stop: threading.Event) -> Outcome:
        """Run one job in a process of its own: what a method leaves behind in its process meets no other cell."""
        process = ProcessPoolExecutor(
            max_workers=1,
            job_reducers={np.ndarray: handover.reduced},
            env=ONE_THREAD | NO_RECYCLING | SAFE_PATH,
            timeout=None,
            initializer=worker.end_with,  # before any job: the parent may be gone by then
            initargs=(os.getpid(),),
        )
        setup = os.getpid(), tuple(map(str, self.forbidden)), self.loaders
        try:
            prepared = _call(process, stop, worker.prepare, *setup)
            return prepared if prepared.phase else _run(process, job, stop)
        finally:
            process.shutdown(kill_workers=True)


def _until_all_slots_end(
    done: queue.Queue[tuple[J, Outcome] | BaseException | None], slots: int
) -> Iterator[tuple[J, Outcome]]:
    while slots:
        item = done.get()
        if isinstance(item, BaseException):
            raise item
        if item is None:
            slots -= 1
        else:
            yield item


def _run(process: ProcessPoolExecutor, job: Job, stop: threading.Event) -> Outcome:
    """Run the steps one by one: no reward can depend on the pairs, which are sent when all rewards are here."""
    label, outcome = job.configured.label, _call(process, stop, worker.fit, job.configured, job.pairs, job.seed)
    if not outcome.phase:
        outcome = outcome.then(_rewards(process, stop, label, job.test_embeddings))
    if outcome.states_probability and not outcome.phase:
        outcome = outcome.then(_probabilities(process, stop, label, job))
    return outcome


def _rewards(
    process: ProcessPoolExecutor, stop: threading.Event, label: str, embeddings: np.ndarray | Gathered
) -> Outcome:
    """Send large embeddings in blocks; a reward depends on its own row only."""
    n, found = len(embeddings), Outcome()
    for part in row_slices(*embeddings.shape):
        found = found.joined(_call(process, stop, worker.reward, label, embeddings[part], part.stop < n))
        if found.phase:
            break
    return found


def _probabilities(process: ProcessPoolExecutor, stop: threading.Event, label: str, job: Job) -> Outcome:
    """Send all embeddings with the pairs, or, where they are large, the pairs in blocks with the rows of each."""
    embeddings, (first, second), found = job.test_embeddings, job.asked_pairs, Outcome()
    if isinstance(embeddings, np.ndarray):
        return _call(process, stop, worker.probability, label, embeddings, first, second, False)
    for part in row_slices(len(first), 2 * embeddings.shape[1]):
        rows, place = np.unique(np.concatenate([first[part], second[part]]), return_inverse=True)
        more = part.stop < len(first)
        step = _call(process, stop, worker.probability, label, embeddings[rows], *np.split(place, 2), more)
        found = found.joined(step)
        if found.phase:
            break
    return found


def _call(process: ProcessPoolExecutor, stop: threading.Event, step: Callable[..., Outcome], *given: Any) -> Outcome:
    """Return what a step makes of what it is given; a process that dies or cannot read it is an outcome too."""
    try:
        future = process.submit(step, *given)
        while not (future.done() or stop.is_set()):
            wait([future], timeout=0.2)
        outcome: Outcome = future.result(timeout=0)
    except TerminatedWorkerError as error:
        return Outcome(phase="worker", error=f"the worker process died ({_exit_code(error)})")
    except Exception as error:  # noqa: BLE001 -- a method that cannot be sent costs its own cells
        trace = "".join(traceback.format_exception(error))
        return Outcome(phase="worker", error=f"{type(error).__name__}: {error}", traceback=trace)
    return outcome


def _exit_code(error: BaseException) -> str:
    text = str(error)
    start = text.find("exit codes of the workers are")
    return text[start:].partition("\n")[0] if start >= 0 else "no exit code"
