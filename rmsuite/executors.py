"""Run jobs in local worker processes. Each slot has one process of its own: a crash costs the job that ran in it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

from rmsuite import worker
from rmsuite.data import PreferencePairs
from rmsuite.method import Configured
from rmsuite.worker import Outcome, Seed

# One thread: the number of threads decides the order of sums, and with it the last bits of a result.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


class Job(Protocol):
    """What an executor needs of a cell."""

    @property
    def configured(self) -> Configured:
        """The method."""
        ...

    @property
    def seed(self) -> Seed:
        """The axes of its random stream."""
        ...

    @property
    def pairs(self) -> PreferencePairs:
        """What it is trained on."""
        ...

    @property
    def test_embeddings(self) -> np.ndarray:
        """What it has to reward."""
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
        """Take jobs until there are none; a fresh process replaces one that died."""
        process = self._process()
        try:
            while not stop.is_set():
                with lock:
                    job = next(jobs, None)
                if job is None:
                    break
                try:
                    outcome = _run(process, job)
                except TerminatedWorkerError as error:
                    outcome = Outcome(phase="worker", error=f"the worker process died ({_first_line(error)})")
                    process.shutdown(kill_workers=True)
                    process = self._process()
                done.put((job, outcome))
        except BaseException as error:  # noqa: BLE001 -- handed to the main thread, which raises it
            done.put(error)
        finally:
            process.shutdown(kill_workers=True)
            done.put(None)

    def _process(self) -> ProcessPoolExecutor:
        setup = partial(worker.prepare, tuple(map(str, self.forbidden)), self.loaders)
        return ProcessPoolExecutor(max_workers=1, initializer=setup, env=ONE_THREAD, timeout=None)


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


def _run(process: ProcessPoolExecutor, job: Job) -> Outcome:
    fitted: Outcome = process.submit(worker.fit, job.configured, job.pairs, job.seed).result()
    if fitted.error:
        return fitted
    rewarded: Outcome = process.submit(worker.reward, job.configured.label, job.test_embeddings).result()
    return Outcome(
        rewarded.rewards,
        rewarded.phase,
        rewarded.error,
        rewarded.traceback,
        rewarded.skipped,
        {**fitted.seconds, **rewarded.seconds},
        fitted.output + rewarded.output,
    )


def _first_line(error: BaseException) -> str:
    text = str(error)
    start = text.find("exit codes of the workers are")
    return text[start:].strip() if start >= 0 else "no exit code"
