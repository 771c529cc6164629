"""Run methods on tasks: metrics are computed here, never in a worker."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from threadpoolctl import ThreadpoolController

from rmsuite import handover, results, reuse, seeds, signature, tracebacks
from rmsuite.arrays import Gathered, as_rewards
from rmsuite.controls import CONTROLS, Control
from rmsuite.data import PreferencePairs
from rmsuite.method import Configured
from rmsuite.metrics import applicable
from rmsuite.pools import EmbeddingSet
from rmsuite.results import CellRecord
from rmsuite.setting import Setting
from rmsuite.tasks import LoadedTask, Task
from rmsuite.tested import Answers, TestSet
from rmsuite.worker import Outcome

KEPT = 64  # rounds whose pairs are drawn once and kept until they are used, not drawn again


@dataclass(frozen=True)
class Entrant:
    """A configured method, where it comes from, and what its code is made of (``reuse.of_code``)."""

    configured: Configured
    origin: str
    code: Mapping[str, str] = field(default_factory=dict)

    @property
    def packages(self) -> list[str]:
        """The distributions that its code imports."""
        return reuse.packages(self.code)

    def made_of(self) -> dict[str, str]:
        """Return what its cells are made of beside their task and what all cells share."""
        settings = {name: repr(value) for name, value in self.configured.settings().items()}
        return {"parameters": reuse.digest(settings), **self.code}


@dataclass(frozen=True, eq=False)
class Job:
    """One cell to be run by an executor."""

    setting: Setting
    entrant: Entrant

    @property
    def configured(self) -> Configured:
        """The method."""
        return self.entrant.configured

    @property
    def seed(self) -> int:
        """What the method's random stream begins with; the root seed would tell the order of test embeddings too."""
        task, repetition = self.setting.task.card.plain_label, self.setting.repetition
        return seeds.seed(self.setting.root_seed, "method", task=task, repetition=repetition)

    @property
    def pairs(self) -> PreferencePairs:
        """What it is trained on."""
        return self.setting.pairs

    @property
    def test_embeddings(self) -> np.ndarray | Gathered:
        """What it has to reward."""
        return self.setting.test_embeddings

    @property
    def asked_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """For which pairs of ``test_embeddings`` it is asked for probabilities, once its rewards are in."""
        return self.setting.asked_pairs

    @property
    def test_rows(self) -> np.ndarray | Gathered:
        """The same as rows of an embedding set, where they are of one."""
        return self.setting.test_rows

    @property
    def handed(self) -> tuple[tuple[np.ndarray, Gathered], ...]:
        """Which rows the embeddings of the pairs are."""
        return self.setting.handed

    @property
    def embedding_sets(self) -> tuple[EmbeddingSet, ...]:
        """The embedding sets whose rows it hands out."""
        return self.setting.embedding_sets


class Executor(Protocol):
    """Runs jobs, in whatever order."""

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with its outcome."""
        ...


THREADS = "threads beside the one that it is given"  # a note: its seconds are not those of one core
Done = Callable[[str, str, int], bool]  # of a cell, by task, method and repetition


def of_task(line: str, card: Task) -> dict[str, str]:
    """Return what all cells of a task with this signature are made of, beside what all cells share."""
    return {"signature": line, "columns": ",".join(card.shown)}


def wanted(
    cards: Sequence[Task], entrants: Sequence[Entrant], repetitions: int, root_seed: int
) -> Iterator[reuse.Wanted]:
    """Yield all cells of a run, controls first, with what they would be made of; no data is read for it."""
    core = reuse.core()
    methods: dict[str, dict[str, str]] = {control.name: {} for control in CONTROLS}
    methods |= {e.configured.label: e.made_of() for e in entrants}
    for card in cards:
        task = {**of_task(signature_line(card, root_seed), card), **core}
        made_of = {method: {**task, **code} for method, code in methods.items()}
        for repetition, method in product(range(repetitions), methods):
            yield reuse.Wanted(card.label, method, repetition, made_of[method])


def run(
    tasks: Sequence[LoadedTask],
    entrants: Sequence[Entrant],
    repetitions: int,
    root_seed: int,
    executor: Executor,
    home: Path,
    on_cell: Callable[[CellRecord], None] = lambda record: None,
    done: Done = lambda task, method, repetition: False,
) -> list[CellRecord]:
    """Run all cells but those that are done, and write each as soon as it is finished.

    Parameters
    ----------
    home : Path
        The results folder.
    done : callable
        Whether a cell is left out.
    on_cell : callable
        Called with each finished record, in the order in which they finish; what it raises ends the run.

    Returns
    -------
    list of CellRecord
        One a cell, failed and skipped ones and the controls included; arrays are read from ``home`` when asked for.

    Raises
    ------
    TaskError
        If a task cannot give its training pairs; before any cell of any task is computed.
    """
    handover.clear()
    records = []

    def finish(record: CellRecord) -> None:
        records.append(results.stored(home, record))
        on_cell(records[-1])

    rounds = [_Round(task, root_seed, r, entrants, done) for task, r in product(tasks, range(repetitions))]
    rounds = [one for one in rounds if one.controls or one.entrants]
    for place, one in enumerate(rounds):
        one.draw(kept=place < KEPT)
    for one in rounds:
        for record in control_cells(one.setting, one.controls) if one.controls else ():
            finish(record)
    begun: dict[Job, float] = {}
    jobs = _taken((job for one in rounds for job in one.jobs()), begun)
    for job, outcome in executor.run(jobs) if any(one.entrants for one in rounds) else ():  # workers take time to start
        finish(method_cell(job, outcome, time.monotonic() - begun.pop(job)))
    return records


def _taken(jobs: Iterable[Job], begun: dict[Job, float]) -> Iterator[Job]:
    """Yield jobs, and note when an executor takes each."""
    for job in jobs:
        begun[job] = time.monotonic()
        yield job


class _Round:
    """The open cells of one repetition of one task.

    What is drawn for them is kept for the first of a run's rounds; for others it is drawn anew where it is needed, and
    goes with the last cell that needs it: a run takes as much memory for thousands of cells as for some.
    """

    def __init__(
        self, task: LoadedTask, root_seed: int, repetition: int, entrants: Sequence[Entrant], done: Done
    ) -> None:
        self._made = partial(Setting, task, root_seed, repetition)
        self._kept: Setting | None = None
        label = task.card.label
        self.controls = [c for c in CONTROLS if not done(label, c.name, repetition)]
        self.entrants = [e for e in entrants if not done(label, e.configured.label, repetition)]

    @property
    def setting(self) -> Setting:
        """What the cells share."""
        return self._kept or self._made()

    def draw(self, kept: bool) -> None:
        """Draw the pairs, so that a task that has none is known before any cell is computed."""
        setting = self._made()
        setting.draw()
        self._kept = setting if kept else None

    def jobs(self) -> Iterator[Job]:
        """Yield the methods' cells; an executor that works ahead takes them one by one."""
        setting, self._kept = self.setting, None
        if self.entrants:
            _ = setting.pairs  # here, where nothing else asks for them at the same time
        yield from (Job(setting, entrant) for entrant in self.entrants)


def control_cells(setting: Setting, controls: Sequence[Control] = CONTROLS) -> Iterator[CellRecord]:
    """Compute controls of one repetition."""
    for control in controls:
        test = setting.task.test
        with one_thread():
            rewards = control.reward(setting.evidence(control.name))
        answers = _split(test, as_rewards(rewards, setting.n_rewarded, who=control.name))
        identity = _identity(setting, control.name, "control", "rmsuite", {})
        yield CellRecord(**identity, status="ok", arrays=measured(test, answers))


def method_cell(job: Job, outcome: Outcome, elapsed: float = 0.0) -> CellRecord:
    """Turn an outcome into a record: metrics of the rewards, or the reason why there are none.

    ``elapsed``: seconds since an executor took the job.
    """
    setting = job.setting
    identity = _identity(setting, job.configured.label, "method", job.entrant.origin, job.entrant.made_of())
    done = {phase: seconds for phase, seconds in outcome.seconds.items() if phase != outcome.phase}
    identity["facts"] |= {f"{phase}_seconds": seconds for phase, seconds in done.items()}
    identity |= {"parameters": job.configured.settings(), "output": outcome.output}
    if outcome.rewards is None:
        status: results.Status = "skipped" if outcome.skipped else "failed"
        if status == "failed":
            identity["facts"] |= {"failure": failure(outcome, elapsed)}
        traceback = tracebacks.shortened(outcome.traceback)
        return CellRecord(**identity, status=status, phase=outcome.phase, error=outcome.error, traceback=traceback)
    answers = _in_test_order(setting, outcome)
    arrays = measured(setting.task.test, answers)
    return CellRecord(**identity, status="ok", notes=(*notes(answers), *of_threads(outcome)), arrays=arrays)


def failure(outcome: Outcome, elapsed: float) -> dict[str, Any]:
    """Return when a cell failed, and after how many seconds: of its phases if the one that failed tells its own."""
    told = sum(outcome.seconds.values()) if outcome.phase in outcome.seconds else elapsed
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": round(told, 3)}


def notes(answers: Answers) -> tuple[str, ...]:
    """Return what a reader of a method's row should know of its answers."""
    return ("all rewards are equal",) if (answers.rewards == answers.rewards[0]).all() else ()


def of_threads(outcome: Outcome) -> tuple[str, ...]:
    """Return the note of what ran beside its thread, if it did."""
    return (f"ran {outcome.threads} {THREADS}",) if outcome.threads else ()


def _in_test_order(setting: Setting, outcome: Outcome) -> Answers:
    def sorted_back(shuffled: np.ndarray | None) -> np.ndarray | None:
        if shuffled is None:
            return None
        out = np.empty(len(shuffled))
        out[setting.test_order] = shuffled
        return out

    rewards = sorted_back(outcome.rewards)
    assert rewards is not None
    return _split(setting.task.test, rewards, sorted_back(outcome.uncertainty), outcome.probability)


def _split(
    test: TestSet, rewards: np.ndarray, uncertainty: np.ndarray | None = None, probability: np.ndarray | None = None
) -> Answers:
    """Return the answers for the test responses, and apart from them for what is planted among them."""
    n = len(test.rows)
    planted = None if test.planted is None else rewards[n:]
    return Answers(rewards[:n], None if uncertainty is None else uncertainty[:n], probability, planted)


def one_thread() -> AbstractContextManager[Any]:
    """Limit numpy and its like to one thread: the number of threads decides the order of sums, and so the last bits."""
    return _libraries(len(sys.modules)).limit(limits=1)


@lru_cache(maxsize=1)
def _libraries(_n_modules: int) -> ThreadpoolController:
    """Look for the libraries that have threads, which takes long; anew when a module has been imported since."""
    return ThreadpoolController()


def measured(test: TestSet, answers: Answers) -> dict[str, np.ndarray]:
    """Return the answers, and what each prompt adds to the sums of each metric."""
    given = {name: getattr(answers, name) for name in ("rewards", "uncertainty", "probability", "planted")}
    arrays = {name: array for name, array in given.items() if array is not None}
    with (
        one_thread(),
        np.errstate(over="ignore"),
    ):  # the difference of two huge rewards is infinite, and has the right sign
        return arrays | {one.name: one.per_prompt(test, answers) for one in applicable(test, answers)}


def signature_line(task: Task | LoadedTask, root_seed: int) -> str:
    """Return the signature that all cells of a task and a root seed share."""
    return signature.write({"rmsuite": signature.PROTOCOL, **task.signature(), "seed": str(root_seed)})


def _identity(setting: Setting, method: str, kind: str, origin: str, code: Mapping[str, str]) -> dict[str, Any]:
    card, line = setting.task.card, signature_line(setting.task, setting.root_seed)
    made_of = {**of_task(line, card), **reuse.core(), **code}
    return {
        "task": card.label,
        "method": method,
        "kind": kind,
        "repetition": setting.repetition,
        "signature": line,
        "origin": origin,
        "facts": setting.facts() | {"made_of": made_of},
    }
