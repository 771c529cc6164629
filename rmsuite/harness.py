"""Run methods on tasks: what a method may see is decided here, and metrics are computed here, never in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite import handover, results, seeds, signature
from rmsuite.arrays import Gathered, as_rewards, is_large
from rmsuite.attributes import attribute_pairs, given_ratings
from rmsuite.controls import CONTROLS, Evidence
from rmsuite.data import PreferencePairs
from rmsuite.errors import TaskError
from rmsuite.method import Configured
from rmsuite.metrics import applicable
from rmsuite.pairing import LabelledPairs, labelled_pairs
from rmsuite.results import CellRecord
from rmsuite.tasks import LoadedTask
from rmsuite.tested import Answers, TestSet
from rmsuite.worker import Outcome


@dataclass(frozen=True)
class Entrant:
    """A configured method, and where it comes from."""

    configured: Configured
    origin: str


@dataclass(frozen=True, eq=False)
class Setting:
    """One repetition of one task: the training pairs that are handed out, and the test part that is kept."""

    task: LoadedTask
    root_seed: int
    repetition: int

    def _rng(self, purpose: seeds.Purpose, **axes: str) -> np.random.Generator:
        axes = {"task": self.task.card.plain_label, **axes}
        return seeds.generator(self.root_seed, purpose, repetition=self.repetition, **axes)

    @cached_property
    def _drawn(self) -> dict[str, LabelledPairs]:
        return {part: self._draw(part) for part in ("train", "validation")}

    def _draw(self, part: str) -> LabelledPairs:
        rngs = self._rng("pairs", part=part), self._rng("annotation", part=part)
        pool, prompts = self.task.training.pool, self.task.parts[part]
        drawn = labelled_pairs(pool, prompts, self.task.annotator, self.task.drawing(part), rngs)
        if not len(drawn.chosen):
            raise TaskError(
                who=f"task {self.task.card.label}",
                expected=f"pairs in its {part} part",
                got="none",
                do="choose a pool with more prompts, or with responses of unequal gold",
            )
        return drawn

    def draw(self) -> None:
        """Draw and label the pairs now; raises ``TaskError`` if the pool cannot give them."""
        _ = self._drawn

    @cached_property
    def pairs(self) -> PreferencePairs:
        """What a method is trained on."""
        return self._pairs("train", self._pairs("validation", None))

    def _pairs(self, part: str, validation: PreferencePairs | None) -> PreferencePairs:
        drawn, pool = self._drawn[part], self.task.training.pool
        rows, position = np.unique(np.concatenate([drawn.chosen, drawn.rejected]), return_inverse=True)
        chosen, rejected = np.split(position, 2)
        prompts, prompt = np.unique(pool.prompt[drawn.chosen], return_inverse=True)
        category = pool.category[prompts][prompt].astype(np.int64)
        embeddings, gives = self._handed(part, rows), self.task.card.gives
        judged = attribute_pairs(pool, rows, (chosen, rejected), prompt, category) if "attributes" in gives else ()
        ratings = given_ratings(pool, rows) if "ratings" in gives else None
        return PreferencePairs(embeddings, chosen, rejected, prompt, category, validation, judged, ratings)

    def _handed(self, part: str, rows: np.ndarray) -> np.ndarray:
        matrix = self.task.training.embeddings.matrix
        if not is_large(len(rows), matrix.shape[1]):
            return matrix[rows].astype(np.float32)
        return handover.written(self._folder / f"{part}{handover.SUFFIX}", matrix, rows)

    @cached_property
    def _folder(self) -> Path:
        """Where large training embeddings lie for workers to map; it goes when the setting does."""
        return handover.folder(self)

    def _tested(self, order: np.ndarray) -> np.ndarray | Gathered:
        test, probe = self.task.test, self.task.probe
        if test.planted is None or probe is None:
            gathered = Gathered(self.task.embeddings.matrix, test.rows[order])
            return gathered if is_large(*gathered.shape) else gathered[:]
        parts = Gathered(self.task.embeddings.matrix, test.rows), Gathered(probe.embeddings.matrix, test.planted.rows)
        return np.concatenate([part[:] for part in parts])[order]

    @property
    def n_rewarded(self) -> int:
        """How many responses are rewarded: those of the test part and what is planted among them."""
        planted = self.task.test.planted
        return len(self.task.test.rows) + (0 if planted is None else len(planted.rows))

    @cached_property
    def test_order(self) -> np.ndarray:
        """The shuffled order, positions in the test set, in which test embeddings are handed out; planted come last."""
        return self._rng("test-order").permutation(self.n_rewarded)

    @property
    def test_embeddings(self) -> np.ndarray | Gathered:
        """Test embeddings as a worker gets them: shuffled; large ones are gathered when they are sent."""
        return self._tested(self.test_order)

    @property
    def asked_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs that probabilities are asked for, as rows of ``test_embeddings``; their orientation is random."""
        place = np.argsort(self.test_order)
        return place[self.task.test.asked.first], place[self.task.test.asked.second]

    def evidence(self, control: str) -> Evidence:
        """What a control may look at."""
        test, embeddings = self.task.test, self._tested(np.arange(self.n_rewarded))
        lengths = test.length if test.planted is None else np.concatenate([test.length, test.planted.length])
        return Evidence(test, lengths, embeddings, self.pairs, self._rng("control", control=control))

    def facts(self) -> dict[str, Any]:
        """Counts and the annotator's realised agreement with gold, for the record.

        Ties and abstentions, whose pairs train nobody, are counted where the annotator may give any; where a plugin's
        annotator comes from is said.
        """
        train, test, annotator = self._drawn["train"], self.task.test, self.task.annotator
        undecided = {"n_train_ties": train.n_ties, "n_train_abstentions": train.n_abstentions}
        return {
            "n_train_pairs": len(train.chosen),
            "n_validation_pairs": len(self._drawn["validation"].chosen),
            "n_train_prompts": len(np.unique(self.pairs.prompt)),
            "n_test_prompts": test.n_prompts,
            "n_test_responses": len(test.rows),
            "annotator_agreement": train.agreement,
            **({} if annotator.decisive else undecided),
            **({"annotator_source": annotator.source} if annotator.source else {}),
            "columns": list(self.task.columns),
            "licence": self.task.licence(),
            **({"gold": self.task.tested.gold.summary} if self.task.tested.gold else {}),
        }


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


class Executor(Protocol):
    """Runs jobs, in whatever order."""

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcome]]:
        """Yield each job with its outcome."""
        ...


def run(
    tasks: Sequence[LoadedTask],
    entrants: Sequence[Entrant],
    repetitions: int,
    root_seed: int,
    executor: Executor,
    home: Path,
    on_cell: Callable[[CellRecord], None] = lambda record: None,
) -> list[CellRecord]:
    """Run all cells, and write each as soon as it is finished.

    Parameters
    ----------
    home : Path
        The results folder.
    on_cell : callable
        Called with each finished record, in the order in which they finish.

    Returns
    -------
    list of CellRecord
        One a cell, failed and skipped ones and the controls included.

    Raises
    ------
    TaskError
        If a task cannot give its training pairs; before any cell of any task is computed.
    """
    handover.clear()
    settings = [Setting(task, root_seed, r) for task, r in product(tasks, range(repetitions))]
    records = []

    def finish(record: CellRecord) -> None:
        results.write(home, record)
        records.append(record)
        on_cell(record)

    for setting in settings:
        setting.draw()
    for setting in settings:
        for record in control_cells(setting):
            finish(record)
    jobs = (Job(setting, entrant) for setting in settings for entrant in entrants)
    for job, outcome in executor.run(jobs):
        finish(method_cell(job, outcome))
    return records


def control_cells(setting: Setting) -> Iterator[CellRecord]:
    """Compute the controls of one repetition."""
    test = setting.task.test
    for control in CONTROLS:
        with threadpool_limits(limits=1):
            rewards = control.reward(setting.evidence(control.name))
        answers = _split(test, as_rewards(rewards, setting.n_rewarded, who=control.name))
        identity = _identity(setting, control.name, "control", "rmsuite")
        yield CellRecord(**identity, status="ok", arrays=measured(test, answers))


def method_cell(job: Job, outcome: Outcome) -> CellRecord:
    """Turn an outcome into a record: metrics of the rewards, or the reason why there are none."""
    setting = job.setting
    identity = _identity(setting, job.configured.label, "method", job.entrant.origin)
    identity["facts"] |= {f"{phase}_seconds": seconds for phase, seconds in outcome.seconds.items()}
    identity |= {"parameters": job.configured.settings(), "output": outcome.output}
    if outcome.rewards is None:
        status: results.Status = "skipped" if outcome.skipped else "failed"
        return CellRecord(
            **identity, status=status, phase=outcome.phase, error=outcome.error, traceback=outcome.traceback
        )
    answers = _in_test_order(setting, outcome)
    arrays = measured(setting.task.test, answers)
    return CellRecord(**identity, status="ok", notes=notes(answers), arrays=arrays)


def notes(answers: Answers) -> tuple[str, ...]:
    """Return what a reader of a method's row should know of its answers."""
    return ("all rewards are equal",) if (answers.rewards == answers.rewards[0]).all() else ()


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


def measured(test: TestSet, answers: Answers) -> dict[str, np.ndarray]:
    """Return the answers, and what each prompt adds to the sums of each metric.

    On one thread: the number of threads decides the order of sums, and with it the last bits.
    """
    given = {name: getattr(answers, name) for name in ("rewards", "uncertainty", "probability", "planted")}
    arrays = {name: array for name, array in given.items() if array is not None}
    with (
        threadpool_limits(limits=1),
        np.errstate(over="ignore"),
    ):  # the difference of two huge rewards is infinite, and has the right sign
        return arrays | {one.name: one.per_prompt(test, answers) for one in applicable(test, answers)}


def signature_line(task: LoadedTask, root_seed: int) -> str:
    """Return the signature that all cells of a task and a root seed share."""
    return signature.write({"rmsuite": signature.PROTOCOL, **task.signature(), "seed": str(root_seed)})


def _identity(setting: Setting, method: str, kind: str, origin: str) -> dict[str, Any]:
    return {
        "task": setting.task.card.label,
        "method": method,
        "kind": kind,
        "repetition": setting.repetition,
        "signature": signature_line(setting.task, setting.root_seed),
        "origin": origin,
        "facts": setting.facts(),
    }
