"""Run a cell in a worker process of its own: a crash costs the cell that ran in it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import cloudpickle
import numpy as np

from rmsuite import answers, handover, policy_worker, worker
from rmsuite.arrays import Gathered, row_slices
from rmsuite.data import PreferencePairs
from rmsuite.forks import GoneError, Server, Worker
from rmsuite.policy_worker import PolicyJob
from rmsuite.worker import Labelled, Outcome, Phase

# One thread: the number of threads decides the order of sums, and with it the last bits of a result.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)

# A random.py in the working directory must not be imported in place of Python's; and sets of texts have one order.
SAFE = {"PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "0"}
PHASES: dict[Callable[..., Outcome], Phase] = {
    worker.fit: "fit",
    worker.reward: "reward",
    worker.probability: "probability",
    policy_worker.learn: "train",
    policy_worker.policy: "policy",
}
STOPPED = "the run was stopped"
# What a step asks for, and how many values of it, by what the step is given.
ASKED: dict[Callable[..., Outcome], tuple[str, Callable[[Sequence[Any]], int]]] = {
    worker.reward: ("rewards", lambda given: len(given[1])),
    worker.probability: ("probability", lambda given: len(given[2])),
    policy_worker.policy: ("log_probabilities", lambda given: int(given[2] * given[3])),
}
Call = Callable[..., Outcome]  # carries out a step, given with what it is handed, somewhere


class Stop(Protocol):
    """Says when a cell is to end."""

    def is_set(self) -> bool:
        """Whether it is."""
        ...


class Job(Protocol):
    """What is needed of a cell to run it."""

    @property
    def configured(self) -> Labelled:
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


@dataclass(frozen=True)
class Conditions:
    """What cells run under, wherever they run.

    Attributes
    ----------
    forbidden : tuple of Path
        Folders that workers may not open files in. Relative ones are meant from here: a worker has a folder of its own.
    files : mapping
        Plugin files, by the names of their modules.
    modules : tuple of str
        What the methods import that takes long: it is imported once, for all workers.
    timeout : float or None
        Seconds that a cell may take, all its phases together.
    memory : int or None
        Bytes that a worker may have of its own, mapped files apart.
    """

    forbidden: tuple[Path, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    timeout: float | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "forbidden", tuple(Path(folder).absolute() for folder in self.forbidden))


class Workers:
    """Gives each job a worker of its own, forked from one clean process; may be asked by several threads."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions, self._lock = conditions, threading.Lock()
        self._server = self._started()

    def _started(self) -> Server:
        """Start the process that forks workers; without the methods' modules if these start threads or end it."""
        server = Server(ONE_THREAD | SAFE, self._conditions.modules)
        if not server.ready:
            server.close()
            server = Server(ONE_THREAD | SAFE, ())
        return server

    def close(self) -> None:
        """End all workers."""
        self._server.close()

    def outcome(self, job: Job | PolicyJob, stop: Stop) -> Outcome:
        """Run one job; if the server ends meanwhile, whosever fault that is, once more with a server of its own."""
        server = self._server
        with contextlib.suppress(GoneError):
            return self._attempt(server, job, stop)
        if stop.is_set():
            return Outcome(phase="worker", error=STOPPED)
        self._renew(server)
        alone = self._started()
        try:
            return self._attempt(alone, job, stop)
        except GoneError:
            return Outcome(phase="worker", error="the worker process died with the process that forked it")
        finally:
            alone.close()

    def _renew(self, gone: Server) -> None:
        """Have a server for the jobs that follow; of those who miss it at the same time, one starts it."""
        with self._lock:
            if self._server is gone:
                gone.close()
                self._server = self._started()

    def _attempt(self, server: Server, job: Job | PolicyJob, stop: Stop) -> Outcome:
        """Run one job in a process of its own: what a method leaves behind in its process meets no other cell."""
        cell, given = _Cell(server.worker(), stop, self._conditions.timeout), self._conditions
        folders = (str(file.parent) for file in given.files.values())
        path = tuple(dict.fromkeys(str(Path(place).absolute()) for place in (*sys.path, *folders)))
        setup = os.getpid(), path, tuple(map(str, given.forbidden)), given.files, given.memory
        try:
            prepared = cell.call(worker.prepare, *setup)
            outcome = prepared if prepared.phase else in_steps(cell.call, job)
        finally:
            printed, threads = cell.worker.kill()
        return replace(outcome, output=printed, threads=threads)


@dataclass(frozen=True)
class _Cell:
    """A cell's worker, and until when it is waited for."""

    worker: Worker
    stop: Stop
    timeout: float | None
    begun: float = field(default_factory=time.monotonic)

    def call(self, step: Callable[..., Outcome], *given: Any) -> Outcome:
        """Return what a step makes of what it is given; a worker that dies or cannot read it is an outcome too."""
        asked, counted = ASKED.get(step, ("", lambda _: 0))
        n = counted(given)
        try:
            sent = _dumped((step, given))
        except Exception as error:  # noqa: BLE001 -- a method that cannot be sent costs its own cells
            return worker.broken(error)
        try:
            self.worker.connection.send_bytes(sent)
            while not self.worker.answers(0.2):
                if self.stop.is_set():
                    return Outcome(phase="worker", error=STOPPED)
                if self.timeout is not None and time.monotonic() > self.begun + self.timeout:
                    return Outcome(phase=PHASES.get(step, "worker"), error=f"ran for more than {self.timeout:g} s")
            return self._answer(n, asked)
        except (EOFError, OSError):
            return Outcome(phase="worker", error=f"the worker process {self.worker.end()}")
        except ValueError as error:
            return Outcome(phase="worker", error=str(error))

    def _answer(self, n: int, asked: str) -> Outcome:
        if not self.worker.answered():
            raise EOFError
        return answers.unpacked(self.worker.connection.recv_bytes(answers.most_bytes(n)), n, asked)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it is untyped
    """Sends the rows that were handed over as files by their names."""

    def reducer_override(self, obj: Any) -> Any:
        return handover.reduced(obj) if isinstance(obj, np.ndarray) else super().reducer_override(obj)


def _dumped(given: Any) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=5).dump(given)
    return buffer.getvalue()


def in_steps(call: Call, job: Job | PolicyJob) -> Outcome:
    """Run the steps one by one: no reward can depend on the pairs, which are sent when all rewards are here."""
    if isinstance(job, PolicyJob):
        return policy_worker.in_steps(call, job)
    label, outcome = job.configured.label, call(worker.fit, job.configured, job.pairs, job.seed)
    if not outcome.phase:
        outcome = outcome.then(_rewards(call, label, job.test_embeddings))
    if outcome.states_probability and not outcome.phase and len(job.asked_pairs[0]):
        outcome = outcome.then(_probabilities(call, label, job))
    return outcome


def _rewards(call: Call, label: str, embeddings: np.ndarray | Gathered) -> Outcome:
    """Send large embeddings in blocks; a reward depends on its own row only."""
    n, found = len(embeddings), Outcome()
    for part in row_slices(*embeddings.shape):
        found = found.joined(call(worker.reward, label, embeddings[part], part.stop < n))
        if found.phase:
            break
    return found


def _probabilities(call: Call, label: str, job: Job) -> Outcome:
    """Send all embeddings with the pairs, or, where they are large, the pairs in blocks with the rows of each."""
    embeddings, (first, second), found = job.test_embeddings, job.asked_pairs, Outcome()
    if isinstance(embeddings, np.ndarray):
        return call(worker.probability, label, embeddings, first, second, False)
    for part in row_slices(len(first), 2 * embeddings.shape[1]):
        rows, place = np.unique(np.concatenate([first[part], second[part]]), return_inverse=True)
        more = part.stop < len(first)
        step = call(worker.probability, label, embeddings[rows], *np.split(place, 2), more)
        found = found.joined(step)
        if found.phase:
            break
    return found
