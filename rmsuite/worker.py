"""What runs in a worker process: fit a method, then reward test embeddings. It is handed nothing else.

The two steps are two calls: a cell's test embeddings are sent after its ``fit`` has returned. The process holds no
gold reward, id or test pair, and opening the files that hold them is refused.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rmsuite import seeds
from rmsuite.arrays import as_rewards, frozen
from rmsuite.data import PreferencePairs
from rmsuite.errors import NotApplicable, describe
from rmsuite.method import Configured, RewardModel

Phase = Literal["make", "fit", "reward", "worker"]
KEPT_OUTPUT = 4_000  # characters of a method's printed output


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one cell's method: rewards, or the phase and the reason of a failure or refusal."""

    rewards: np.ndarray | None = None
    phase: Phase | Literal[""] = ""
    error: str = ""
    traceback: str = ""
    skipped: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    output: str = ""


class _Broken(Exception):  # noqa: N818 -- carries an error, is none
    """Carries the phase in which a stranger's code failed."""

    def __init__(self, phase: Phase) -> None:
        super().__init__(phase)
        self.phase = phase


TOUCHING = ("open", "os.link", "os.remove", "os.rename", "os.rmdir", "os.truncate")  # audit events of a path

_fitted: list[RewardModel] = []


def prepare(parent: int, forbidden: tuple[str, ...], loaders: tuple[Callable[[], object], ...]) -> Outcome:
    """Set up a fresh process: bind it to its parent, refuse the files that hold gold, then load plugin files."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.dup2(2, 1)  # standard output is for the parent's tables; what native code prints goes to standard error
    guard(parent, forbidden)
    for load in loaders:
        load()
    return Outcome()


def _end_with(parent: int) -> None:
    # A parent that is killed cannot end its workers: they would wait for the next job for ever.
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


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
    """Make and fit a fresh model, and keep it in this process for ``reward``."""
    _fitted.clear()
    with _output() as output:
        try:
            with _phase("make"):
                model = configured.make()
            start = time.perf_counter()
            with _phase("fit"):
                model.fit(pairs, rng=seeds.stream(seed))
            seconds = time.perf_counter() - start
        except _Broken as broken:
            return _failure(broken, output.getvalue())
    _fitted.append(model)
    return Outcome(seconds={"fit": seconds}, output=output.getvalue()[-KEPT_OUTPUT:])


def reward(label: str, embeddings: np.ndarray) -> Outcome:
    """Reward test embeddings with the model that ``fit`` left here, and forget it."""
    model = _fitted.pop()
    with _output() as output:
        try:
            start = time.perf_counter()
            with _phase("reward"):
                rewards = as_rewards(model.reward(frozen(embeddings)), len(embeddings), who=repr(label))
            seconds = time.perf_counter() - start
        except _Broken as broken:
            return _failure(broken, output.getvalue())
    return Outcome(rewards, seconds={"reward": seconds}, output=output.getvalue()[-KEPT_OUTPUT:])


@contextlib.contextmanager
def _output() -> Iterator[io.StringIO]:
    buffer = io.StringIO()
    with contextlib.redirect_stdout(buffer), contextlib.redirect_stderr(buffer):
        yield buffer


@contextlib.contextmanager
def _phase(phase: Phase) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        raise _Broken(phase) from error


def _failure(broken: _Broken, output: str) -> Outcome:
    error = broken.__cause__
    assert error is not None
    return Outcome(
        phase=broken.phase,
        error=describe(error),
        traceback="".join(traceback.format_exception(error)),
        skipped=isinstance(error, NotApplicable),
        output=output[-KEPT_OUTPUT:],
    )
