"""What runs in a worker process: fit a method, reward test embeddings, compare some. It is handed nothing else.

The steps are calls of their own: a cell's test embeddings are sent after its ``fit`` has returned, and which of them
are to be compared after all rewards have been returned. The process holds no gold reward, no id and no preference
of the test part, and opening the files that hold them is refused.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from rmsuite import seeds
from rmsuite.arrays import as_probability, as_rewards, as_uncertainty, frozen
from rmsuite.data import PreferencePairs
from rmsuite.errors import NotApplicable, describe
from rmsuite.method import Configured, RewardModel, states_probability, states_uncertainty
from rmsuite.offered import offer

Phase = Literal["make", "fit", "reward", "uncertainty", "probability", "train", "policy", "worker"]
KEPT_ERROR = 4_000  # characters


class Labelled(Protocol):
    """A configured method or optimizer, or what becomes one when a worker reads it."""

    @property
    def label(self) -> str:
        """How tables name it."""
        ...


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one cell's method or optimizer: its answers, or the phase and the reason of a failure or refusal.

    Answers are in the order in which embeddings and pairs were sent. ``states_probability`` says that the model, which
    stays in its process, is to be asked for probabilities next. ``threads`` is how many threads of its own the
    method was seen with at a time, and ``output`` the end of what it printed; both are told by who forked its process.
    ``log_probabilities``, of an optimizer, are those of policies side by side, flattened; ``counts`` what they cost;
    ``policies`` such outcomes along the path of a training, put together by the run.
    """

    rewards: np.ndarray | None = None
    uncertainty: np.ndarray | None = None
    probability: np.ndarray | None = None
    states_probability: bool = False
    phase: Phase | Literal[""] = ""
    error: str = ""
    traceback: str = ""
    skipped: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    threads: int = 0
    output: str = ""
    log_probabilities: np.ndarray | None = None
    counts: dict[str, int] = field(default_factory=dict)
    policies: tuple[Outcome, ...] = ()

    def then(self, step: Outcome) -> Outcome:
        """Return the outcome after a further step: a step that fails leaves no answers."""
        seconds = {**self.seconds, **step.seconds}
        if step.phase:
            return replace(step, seconds=seconds)
        rewards = self.rewards if step.rewards is None else step.rewards
        uncertainty = self.uncertainty if step.uncertainty is None else step.uncertainty
        return replace(step, rewards=rewards, uncertainty=uncertainty, seconds=seconds)

    def joined(self, step: Outcome) -> Outcome:
        """Return the outcome of one more block of the same step: answers follow one another."""
        if step.phase:
            return self.then(step)
        seconds = {name: self.seconds.get(name, 0.0) + value for name, value in step.seconds.items()}
        return Outcome(
            rewards=_follow(self.rewards, step.rewards),
            uncertainty=_follow(self.uncertainty, step.uncertainty),
            probability=_follow(self.probability, step.probability),
            states_probability=step.states_probability,
            seconds=seconds,
        )


def _follow(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return second if first is None or second is None else np.concatenate([first, second])


class BrokenError(Exception):
    """Carries the phase in which a stranger's code failed, and seconds until then; its cause is what that raised."""

    def __init__(self, phase: Phase) -> None:
        super().__init__(phase)
        self.phase, self.seconds = phase, dict[str, float]()


TOUCHING = ("open", "os.link", "os.remove", "os.rename", "os.rmdir", "os.truncate")  # audit events of a path

ABOUT_FOLDERS = " (a method runs in an empty folder of its own: give files by their whole path)"

_fitted: list[RewardModel] = []


def serve(connection: Connection, pack: Callable[[Outcome], bytes]) -> None:
    """Carry out the steps that the run sends, until it sends no more; an error of a step is its outcome."""
    while True:
        try:
            data = connection.recv_bytes()
        except EOFError:
            return
        outcome = _carried_out(data)
        _flush()
        connection.send_bytes(pack(outcome))


def _carried_out(data: bytes) -> Outcome:
    try:
        step, given = pickle.loads(data)
        done: Outcome = step(*given)
    except BrokenError as error:
        return failure(error)
    except BaseException as error:  # noqa: BLE001 -- what a stranger's code raises costs its own cell
        return broken(error)
    return done


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a method may have closed it, or put another thing in its place
            stream.flush()


def broken(error: BaseException) -> Outcome:
    """Return the outcome of a step that could not be carried out."""
    return Outcome(phase="worker", error=describe(error) + _advice(error), traceback=_told(error))


def prepare(
    parent: int,
    path: tuple[str, ...],
    forbidden: tuple[str, ...],
    files: Mapping[str, Path],
    memory: int | None,
) -> Outcome:
    """Set up a fresh process: refuse the files that hold gold, and offer plugin files.

    Parameters
    ----------
    parent : int
        The process of the run, whose memory is refused too.
    path : tuple of str
        Where modules are looked for, as there.
    forbidden : tuple of str
        Folders in which no file may be touched.
    files : mapping
        Plugin files by the names of their modules: what a method does not ask for, its cell does not run.
    memory : int or None
        At most so many bytes of the process's own, mapped files apart: what asks for more gets a ``MemoryError``.
    """
    sys.path[:] = path
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    guard(parent, forbidden)
    offer(files)
    return Outcome()


def guard(parent: int, forbidden: tuple[str, ...]) -> None:
    """Refuse, for the life of this process, to touch a file under the given folders, or the parent's memory.

    An audit hook cannot be removed by Python code. Native code, child processes and paths relative to a directory's
    descriptor are beyond it: this keeps honest code honest and makes cheating deliberate; ``rmsuite`` cannot contain
    a determined cheat on his own machine.
    """
    roots = (*(os.path.realpath(root) + os.sep for root in forbidden), f"/proc/{parent}{os.sep}")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in TOUCHING and arguments and not isinstance(arguments[0], int | None):
            path = os.fsdecode(bytes(arguments[0]) if isinstance(arguments[0], bytearray) else arguments[0])
            if (os.path.realpath(path) + os.sep).startswith(roots):
                raise PermissionError(
                    f"a reward model may not touch {path}: expected training pairs and embeddings only, "
                    "got a file of gold rewards or results. Do: use what `fit` is handed"
                )

    sys.addaudithook(hook)


def fit(configured: Configured, pairs: PreferencePairs, seed: int) -> Outcome:
    """Make and fit a fresh model, and keep it in this process for ``reward``; raises ``BrokenError``."""
    _fitted.clear()
    seconds: dict[str, float] = {}
    with during("make"):
        model = configured.make()
    with timed("fit", seconds):
        model.fit(pairs, rng=seeds.stream(seed))
    _fitted.append(model)
    return Outcome(seconds=seconds)


def reward(label: str, embeddings: np.ndarray, more: bool = False) -> Outcome:
    """Reward test embeddings with the model that ``fit`` left here; keep it if it states probabilities or more come.

    Raises ``BrokenError``.
    """
    model, n, uncertainty = _fitted.pop(), len(embeddings), None
    seconds: dict[str, float] = {}
    with timed("reward", seconds):
        rewards = as_rewards(model.reward(frozen(embeddings)), n, who=repr(label))
    if states_uncertainty(model):
        with timed("uncertainty", seconds):
            uncertainty = as_uncertainty(model.uncertainty(frozen(embeddings)), n, who=repr(label))
    asks = states_probability(model)
    if asks or more:
        _fitted.append(model)
    return Outcome(rewards, uncertainty, states_probability=asks, seconds=seconds)


def probability(
    label: str, embeddings: np.ndarray, first: np.ndarray, second: np.ndarray, more: bool = False
) -> Outcome:
    """Ask the model, which has given all its rewards, which of two rows is preferred, and forget it if no more come.

    Raises ``BrokenError``.
    """
    model = kept = _fitted.pop()
    seconds: dict[str, float] = {}
    assert states_probability(model)
    with timed("probability", seconds):
        stated = model.probability(frozen(embeddings), frozen(first), frozen(second))
        stated = as_probability(stated, len(first), who=repr(label))
    if more:
        _fitted.append(kept)
    return Outcome(probability=stated, seconds=seconds)


@contextlib.contextmanager
def timed(phase: Phase, seconds: dict[str, float]) -> Iterator[None]:
    """Note the seconds of a phase in which a stranger's code runs; raise ``BrokenError`` with them if it fails."""
    start = time.perf_counter()
    try:
        with during(phase):
            yield
    except BrokenError as broken:
        broken.seconds = {**seconds, phase: time.perf_counter() - start}
        raise
    seconds[phase] = time.perf_counter() - start


@contextlib.contextmanager
def during(phase: Phase) -> Iterator[None]:
    """Raise ``BrokenError`` if a stranger's code fails in this phase."""
    try:
        yield
    except BaseException as error:
        raise BrokenError(phase) from error


def failure(broken: BrokenError) -> Outcome:
    """Return the outcome of a step in which a stranger's code failed."""
    error = broken.__cause__
    assert error is not None
    return Outcome(
        phase=broken.phase,
        error=describe(error) + _advice(error),
        traceback=_told(error),
        skipped=isinstance(error, NotApplicable),
        seconds=broken.seconds,
    )


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _advice(error: BaseException) -> str:
    """Return what a method's author may not know of where it runs."""
    if isinstance(error, MemoryError) and (most := resource.getrlimit(resource.RLIMIT_DATA)[0]) >= 0:
        return f" (--memory leaves it {most / 2**20:g} MiB)"
    missed = error.filename if isinstance(error, FileNotFoundError) else None
    return ABOUT_FOLDERS if isinstance(missed, str) and not missed.startswith(os.sep) else ""
