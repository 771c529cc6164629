"""Run jobs in local worker processes, several at a time; or in this process, to look for mistakes."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from rmsuite.cells import Conditions, Job, Workers, in_steps
from rmsuite.errors import NotApplicable
from rmsuite.policy_worker import PolicyJob
from rmsuite.worker import BrokenError, Outcome, failure

J = TypeVar("J", bound=Job | PolicyJob)


@dataclass(frozen=True)
class Local:
    """Local worker processes, ``n_jobs`` at a time."""

    n_jobs: int = 1
    conditions: Conditions = field(default_factory=Conditions)

    def forbidding(self, *folders: Path) -> Local:
        """Return workers that may not open files in these folders either."""
        return replace(self, conditions=replace(self.conditions, forbidden=(*self.conditions.forbidden, *folders)))

    def run(self, jobs: Iterable[J]) -> Iterator[tuple[J, Outcome]]:
        """Yield each job with its outcome, in the order in which they finish."""
        with self.started() as slots:
            yield from slots.run(jobs)

    @contextlib.contextmanager
    def started(self) -> Iterator[Slots]:
        """Start the process that forks workers, for jobs that are run one lot after another."""
        workers = Workers(self.conditions)
        slots = Slots(workers, self.n_jobs)
        try:
            yield slots
        finally:
            slots.stop()
            workers.close()


class Slots:
    """What runs so many jobs at a time."""

    def __init__(self, workers: Workers, n_jobs: int) -> None:
        self._workers, self._n_jobs = workers, n_jobs
        self._stop, self._threads = threading.Event(), list[threading.Thread]()

    def run(self, jobs: Iterable[J]) -> Iterator[tuple[J, Outcome]]:
        """Yield each job with its outcome, in the order in which they finish."""
        waiting, lock = iter(jobs), threading.Lock()
        done: queue.Queue[tuple[J, Outcome] | BaseException | None] = queue.Queue()
        given = self._workers, waiting, lock, done, self._stop
        self._threads = [threading.Thread(target=_slot, args=given, daemon=True) for _ in range(self._n_jobs)]
        for thread in self._threads:
            thread.start()
        yield from _until_all_slots_end(done, self._n_jobs)

    def stop(self) -> None:
        """End what runs, and take no more jobs."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def _slot(
    workers: Workers,
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
            done.put((job, workers.outcome(job, stop)))
    except BaseException as error:  # noqa: BLE001 -- handed to the main thread, which raises it
        done.put(error)
    finally:
        done.put(None)


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


@dataclass(frozen=True)
class InProcess:
    """No workers: methods run in the process of the run, where a debugger reaches them, and which nothing protects.

    ``debug`` is called with what a method raises.
    """

    debug: Callable[[BaseException], None] | None = None

    def run(self, jobs: Iterable[J]) -> Iterator[tuple[J, Outcome]]:
        """Yield each job with its outcome, one by one; raises ``KeyboardInterrupt`` where one stops a method."""
        for job in jobs:
            with threadpool_limits(limits=1):
                outcome = in_steps(self._call, job)
            yield job, outcome

    @contextlib.contextmanager
    def started(self) -> Iterator[InProcess]:
        """Return itself: there is nothing to start."""
        yield self

    def _call(self, step: Callable[..., Outcome], *given: Any) -> Outcome:
        try:
            return step(*given)
        except BrokenError as broken:
            cause = broken.__cause__
            assert cause is not None
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None
            if self.debug and not isinstance(cause, NotApplicable):
                self.debug(cause)
            return failure(broken)
