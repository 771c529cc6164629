"""Policy cells, task x method x optimizer x beta x repetition: policies against fitted reward models, judged by gold.

Method and optimizer run in workers that never see gold; what policies are worth is computed here. One fit serves all
optimizers and betas, which meet on the same prompts in the same order, and on the same seeds.

The arrays of a cell are ``policies.Values`` along the path, ``(n_steps, n_prompts, n_policies)``, gold and proxy in
units of the training part (``policies.Unit``), KL and entropy in nats; ``reference_...``, ``(n_prompts,)``, of the
policy that they started from; ``gold_range``, least and largest, ``(n_prompts, 2)``; ``largest_kl``, in nats, that no
policy exceeds, ``(n_prompts,)``; ``pair_accuracy`` of the reward model, credit and pairs, ``(n_prompts, 2)``;
``steps``, ``samples``, ``reward_calls``, ``(n_steps,)``, the last two of each policy until then; ``rewards`` of the
test responses as the reward model gave them; and ``log_probabilities`` of the last policies on these, float32,
``(n_test_responses, n_policies)``: all values are of policies rounded to that.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rmsuite import handover, harness, results, reuse, signature, tracebacks
from rmsuite.arrays import Gathered
from rmsuite.errors import ContractError
from rmsuite.harness import Done, Entrant
from rmsuite.optimizers import tuned
from rmsuite.policy_setting import PolicySetting, Proxy
from rmsuite.policy_study import COLUMNS, FOLDER, Improver, Study, label
from rmsuite.policy_worker import PolicyJob
from rmsuite.results import CellRecord
from rmsuite.setting import Setting
from rmsuite.tasks import LoadedTask, Task
from rmsuite.worker import Outcome


def signature_line(task: Task | LoadedTask, study: Study, root_seed: int) -> str:
    """Return the signature that all policy cells of a task, a study and a root seed share."""
    return signature.write({**signature.read(harness.signature_line(task, root_seed)), **study.signature()})


@dataclass(frozen=True)
class Crossed:
    """What is crossed with tasks: methods, a study, and repetitions, whose seeds have one root."""

    entrants: Sequence[Entrant]
    study: Study
    repetitions: int
    root_seed: int

    def rows(self, entrant: Entrant) -> Iterator[tuple[str, Point]]:
        """Yield the label of each cell of a method, and its optimizer with its beta."""
        for improver, beta in self.study.points():
            yield label(entrant.configured.label, improver.configured.label, beta), (improver, beta)


def wanted(cards: Sequence[Task], crossed: Crossed) -> Iterator[reuse.Wanted]:
    """Yield all cells of a study with what they would be made of; no data is read for it."""
    for card, repetition in product(cards, range(crossed.repetitions)):
        line = signature_line(card, crossed.study, crossed.root_seed)
        for entrant in crossed.entrants:
            for name, (improver, _) in crossed.rows(entrant):
                made_of = _made_of(card, line, crossed.study, entrant, improver)
                yield reuse.Wanted(card.label, name, repetition, made_of)


def _made_of(card: Task, line: str, study: Study, entrant: Entrant, improver: Improver) -> dict[str, str]:
    shared = {**harness.of_task(line, card), **reuse.core(), **study.made_of()}
    return {**shared, **entrant.made_of(), **improver.made_of()}


class Started(Protocol):
    """Runs jobs of both kinds, in whatever order."""

    def run(self, jobs: Iterable[Any]) -> Iterator[tuple[Any, Outcome]]:
        """Yield each job with its outcome."""
        ...


class Executor(Protocol):
    """Starts what runs jobs."""

    def started(self) -> AbstractContextManager[Started]:
        """Return what runs jobs in the block; its end stops what runs still."""
        ...


@dataclass(frozen=True, eq=False)
class RewardJob(harness.Job):
    """A method that is fitted as in its cell without policies, and rewards the training and the test responses."""

    policies: PolicySetting

    @property
    def test_rows(self) -> np.ndarray | Gathered:
        """What it has to reward, as rows of an embedding set where they are of one."""
        return self.policies.rewarded_rows

    @property
    def test_embeddings(self) -> np.ndarray | Gathered:
        """What it has to reward."""
        return self.policies.rewarded

    @property
    def asked_pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """It is asked for no probabilities."""
        return np.zeros(0, np.int64), np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class _Cell:
    """A policy cell on its way."""

    setting: PolicySetting
    study: Study
    entrant: Entrant
    improver: Improver
    beta: float | None
    fitted: Outcome

    @cached_property
    def proxy(self) -> Proxy:
        assert self.fitted.rewards is not None
        return self.setting.proxy(self.fitted.rewards, self.study.shift)

    def job(self) -> PolicyJob:
        seeds = tuple(self.setting.seed(policy=i) for i in range(self.study.n_policies))
        training, order = self.study.training_at(self.beta), self.setting.seed(part="batches")
        shown = self.proxy.trained, self.proxy.tested, len(self.setting.tested.order)
        rows = self.setting.handed, self.setting.setting.embedding_sets
        return PolicyJob(self.improver.configured, training, seeds, order, *shown, *rows)

    def identity(self) -> dict[str, Any]:
        """Return what the record says whatever became of the cell."""
        one, configured = self.setting.setting, self.improver.configured
        line = signature_line(one.task, self.study, one.root_seed)
        method, settings = self.entrant.configured.label, configured.settings()
        facts = {
            **one.facts(),
            "made_of": _made_of(one.task.card, line, self.study, self.entrant, self.improver),
            "columns": list(COLUMNS),
            "reward_model": method,
            "optimizer": configured.label,
            "beta": None if self.beta is None else float(self.beta),
            "hyperparameters": tuned(settings),
            "n_policies": self.study.n_policies,
            "shift": self.study.shift,
            **{f"{phase}_seconds": seconds for phase, seconds in self.fitted.seconds.items()},
        }
        return {
            "task": one.task.card.label,
            "method": label(method, configured.label, self.beta),
            "kind": "policy",
            "repetition": one.repetition,
            "signature": line,
            "origin": f"{self.entrant.origin}; {self.improver.origin}",
            "parameters": {"method": self.entrant.configured.settings(), "optimizer": settings},
            "facts": facts,
        }


def run(
    tasks: Sequence[LoadedTask],
    crossed: Crossed,
    executor: Executor,
    home: Path,
    on_cell: Callable[[CellRecord], None] = lambda record: None,
    done: Done = lambda task, method, repetition: False,
) -> list[CellRecord]:
    """Run all policy cells but those that are done, and write each below ``home / FOLDER`` as soon as it is finished.

    Methods are fitted first, each once a task and repetition; one that fails costs its cells at once. ``home``,
    ``on_cell``, ``done``, whose ``method`` is a ``label``, and what is returned are as of ``harness.run``.

    Raises
    ------
    TaskError
        If a task has no gold rewards, or cannot give its training pairs.
    """
    handover.clear()
    records = []
    needed = _needed(tasks, crossed, done)
    if not needed:  # workers take time to start
        return []
    with closing(_records(needed, crossed.study, executor)) as found:  # whatever ends the run ends the workers first
        for record in found:
            records.append(results.stored(home / FOLDER, record))
            on_cell(records[-1])
    return records


Point = tuple[Improver, float | None]  # an optimizer and its beta
Needed = Mapping[RewardJob, Sequence[Point]]  # the cells of each fit that are to be computed


def _needed(tasks: Sequence[LoadedTask], crossed: Crossed, done: Done) -> Needed:
    """Return the fits that open cells need, in the order of the study; their data are drawn."""
    needed = dict[RewardJob, Sequence[Point]]()
    for task, repetition in product(tasks, range(crossed.repetitions)):
        setting = PolicySetting(Setting(task, crossed.root_seed, repetition), crossed.study.reference)
        for entrant in crossed.entrants:
            rows = crossed.rows(entrant)
            if some := [point for name, point in rows if not done(task.card.label, name, repetition)]:
                needed[RewardJob(setting.setting, entrant, setting)] = some
    for job in needed:
        _ = job.policies.trained, job.policies.tested, job.pairs  # here, where nothing else asks for them
    return needed


def _records(needed: Needed, study: Study, executor: Executor) -> Generator[CellRecord, None, None]:
    """Yield the records of all cells: of fits that fail at once, and of the others when all fits are done."""
    fitted = dict[RewardJob, list[_Cell]]()
    with executor.started() as workers:
        for job, outcome in workers.run(iter(needed)):
            cells = [_Cell(job.policies, study, job.entrant, *point, outcome) for point in needed[job]]
            if outcome.rewards is None:
                yield from (_failed(cell, outcome) for cell in cells)
            else:
                fitted[job] = cells
        begun: dict[PolicyJob, _Cell] = {}
        open_ = [cell for job in needed for cell in fitted.get(job, ())]
        for trained, outcome in workers.run(_jobs(open_, begun)) if open_ else ():
            yield _record(begun.pop(trained), outcome)


def _jobs(cells: Sequence[_Cell], begun: dict[PolicyJob, _Cell]) -> Iterator[PolicyJob]:
    """Yield the jobs of cells; what cells of one repetition share goes with the last of them."""
    setting: PolicySetting | None = None
    for cell in cells:
        if setting is None or setting.setting is not cell.setting.setting:
            setting = PolicySetting(cell.setting.setting, cell.setting.reference_name)
            _ = setting.embeddings  # here, where nothing else asks for them at the same time
        own = replace(cell, setting=setting)
        job = own.job()
        begun[job] = own
        yield job


def _record(cell: _Cell, outcome: Outcome) -> CellRecord:
    if outcome.phase:
        return _failed(cell, outcome)
    try:
        arrays = _arrays(cell, outcome)
    except ContractError as error:
        return _failed(cell, replace(outcome, phase="policy", error=str(error)))
    identity = cell.identity()
    identity["facts"] |= {f"{phase}_seconds": seconds for phase, seconds in outcome.seconds.items()}
    identity["facts"] |= {"proxy_unit": asdict(cell.proxy.unit)}
    told = (*notes(cell.proxy, arrays), *harness.of_threads(outcome))
    return CellRecord(**identity, status="ok", output=outcome.output, notes=told, arrays=arrays)


def notes(proxy: Proxy, arrays: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Return what a reader of a cell should know of the rewards, and of what its training says that it cost."""
    trained = arrays["steps"][-1] > 0
    free = trained and not arrays["reward_calls"][-1]
    return (*proxy.notes, *(("its training counts no reward call",) if free else ()))


def _failed(cell: _Cell, outcome: Outcome) -> CellRecord:
    status: results.Status = "skipped" if outcome.skipped else "failed"
    traceback = tracebacks.shortened(outcome.traceback)
    told: dict[str, Any] = {
        "phase": outcome.phase,
        "error": outcome.error,
        "traceback": traceback,
        "output": outcome.output,
    }
    identity = cell.identity()
    if status == "failed":
        identity["facts"] |= {"failure": harness.failure(outcome, sum(outcome.seconds.values()))}
    return CellRecord(**identity, status=status, **told)


def _arrays(cell: _Cell, outcome: Outcome) -> dict[str, np.ndarray]:
    """Return what the policies along the path are worth, and the reference: see ``CellRecord.arrays``.

    Raises
    ------
    ContractError
        If a policy is no distribution over the responses of each prompt.
    """
    shown, n_policies = cell.setting.tested, cell.study.n_policies
    path = [_sorted_back(shown, step.log_probabilities, n_policies) for step in outcome.policies]
    kept = [cell.setting.kept(log_pi) for log_pi in path]
    with harness.one_thread():
        values = [cell.proxy.values(policies) for policies in kept]
        surroundings = cell.proxy.surroundings()
    steps = cell.job().steps if len(path) > 1 else (0,)
    return {
        **{name: np.stack([getattr(one, name) for one in values]) for name in COLUMNS},
        **surroundings,
        "log_probabilities": kept[-1],
        "steps": np.array(steps),
        "samples": np.array([step.counts["samples"] for step in outcome.policies]),
        "reward_calls": np.array([step.counts["rewards"] for step in outcome.policies]),
        "rewards": cell.proxy.raw_test,
    }


def _sorted_back(shown: Any, flat: np.ndarray | None, n_policies: int) -> np.ndarray:
    assert flat is not None
    found: np.ndarray = shown.sorted_back(flat.reshape(-1, n_policies))
    return found
