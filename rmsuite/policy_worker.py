"""What runs in a worker process of a policy cell: an optimizer trains policies, which then meet the test prompts.

The test prompts are sent when the training has returned, and one policy of its path is asked for after the other. The
process holds no gold reward and no id: rewards are those of the fitted reward model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rmsuite.arrays import Gathered, as_log_probabilities, frozen
from rmsuite.errors import ContractError
from rmsuite.optimizers import ConfiguredOptimizer
from rmsuite.policies import Choices, ClosedForm, Optimizer, Scale, Snapshot, Training, train
from rmsuite.worker import Labelled, Outcome, during, timed

if TYPE_CHECKING:
    from rmsuite.pools import EmbeddingSet

COUNTED = {"samples", "rewards"}  # what a policy has cost, each


@dataclass(frozen=True, eq=False)
class Prompts:
    """What is shown of some prompts, in an order that says nothing.

    Attributes
    ----------
    offsets : (n_prompts + 1,) int
    embeddings : (n_responses, n_features) float
    log_reference : (n_responses,) float64
        Of the policy that is to be improved, in nats.
    rewards : (n_responses,) float64
        Of the reward model.
    """

    offsets: np.ndarray
    embeddings: np.ndarray
    log_reference: np.ndarray
    rewards: np.ndarray

    def choices(self) -> Choices:
        """Return them as a policy sees them, without rewards."""
        return Choices(self.offsets, self.embeddings, self.log_reference)


@dataclass(frozen=True, eq=False)
class PolicyJob:
    """One policy cell to be run by an executor.

    Attributes
    ----------
    configured : Labelled
        The ``ConfiguredOptimizer``, or what becomes one when a worker reads it.
    training : Training
        Its ``beta`` is the cell's.
    seeds : tuple of int
        One a policy; all are trained side by side.
    order : int
        Begins the stream of batches.
    trained, tested : callable
        Return the prompts to train on, and those to be asked about.
    n_tested : int
        How many responses the latter have.
    handed, embedding_sets : sequence
        Embeddings of the prompts, each with the rows of which it is a copy, and the embedding sets that have these.
    """

    configured: Labelled
    training: Training
    seeds: tuple[int, ...]
    order: int
    trained: Callable[[], Prompts]
    tested: Callable[[], Prompts]
    n_tested: int
    handed: Sequence[tuple[np.ndarray, Gathered]] = ()
    embedding_sets: Sequence[EmbeddingSet] = ()

    @property
    def steps(self) -> tuple[int, ...]:
        """After which steps a policy that is trained is asked for."""
        return tuple(sorted({0, *self.training.watch, self.training.steps}))


@dataclass(frozen=True, eq=False)
class _Learned:
    made: Optimizer | ClosedForm
    scale: Scale
    path: list[Snapshot]


_learned: list[_Learned] = []
_met: list[tuple[Choices, np.ndarray]] = []


def learn(
    configured: ConfiguredOptimizer, training: Training, seeds: tuple[int, ...], order: int, prompts: Prompts
) -> Outcome:
    """Train policies and keep their path in this process; features have mean 0 and variance 1 over what is trained on.

    A closed form has nothing to learn. ``counts`` says how many policies there are to ask for, one or the whole path.
    Raises ``BrokenError``.
    """
    _learned.clear()
    _met.clear()
    seconds: dict[str, float] = {}
    with during("make"):
        made = configured.make(training.beta)
    choices, path = prompts.choices(), list[Snapshot]()
    scale = Scale.of(choices)
    with timed("train", seconds):
        if isinstance(made, Optimizer):
            scaled, who = scale(choices), f"optimizer {configured.label!r}"
            path = train(scaled, prompts.rewards, made, training, seeds=seeds, order=order, who=who)
    _learned.append(_Learned(made, scale, path))
    return Outcome(counts={"policies": len(path) or 1}, seconds=seconds)


def meet(prompts: Prompts) -> Outcome:
    """Keep the prompts that policies are asked about."""
    _met.append((_learned[0].scale(prompts.choices()), frozen(prompts.rewards)))
    return Outcome()


def policy(label: str, number: int, n_responses: int, n_seeds: int) -> Outcome:
    """Return the log probabilities of one policy of the path for each seed, ``(n_responses * n_seeds,)``, flattened.

    ``counts`` are the samples and reward calls of each seed's training until then. Raises ``BrokenError``.
    """
    (choices, rewards), learned = _met[0], _learned[0]
    seconds, counts = dict[str, float](), {"samples": 0, "rewards": 0}
    with timed("policy", seconds):
        if isinstance(learned.made, Optimizer):
            found = learned.path[number].policy.log_probabilities(choices)
            spent = learned.path[number].spent
            counts = {"samples": spent.samples, "rewards": spent.rewards}
        else:
            found = _of_closed_form(label, learned.made.log_probabilities(choices, rewards), n_responses, n_seeds)
        flat = as_log_probabilities(found.ravel(), n_responses * n_seeds, who=repr(label))
    return Outcome(log_probabilities=flat, counts=counts, seconds=seconds)


def _of_closed_form(label: str, answer: Any, n_responses: int, n_seeds: int) -> np.ndarray:
    """Return the one policy of a closed form as that of each seed."""
    array = np.asarray(answer)
    if array.shape != (n_responses, 1):
        expected, do = f"shape ({n_responses}, 1)", "return one column for rewards of shape (n_responses,)"
        raise ContractError(who=f"log probabilities of {label!r}", expected=expected, got=f"shape {array.shape}", do=do)
    return np.repeat(array, n_seeds, axis=1)


def in_steps(call: Callable[..., Outcome], job: PolicyJob) -> Outcome:
    """Run the steps one by one: no training can depend on the test prompts, which are sent when it has returned."""
    label, n_seeds = job.configured.label, len(job.seeds)
    outcome = call(learn, job.configured, job.training, job.seeds, job.order, job.trained())
    if outcome.phase:
        return outcome
    n_policies = outcome.counts.get("policies", 0)
    if n_policies not in (1, len(job.steps)):
        return Outcome(phase="worker", error=f"the worker process has {n_policies} policies")
    outcome = outcome.then(call(meet, job.tested()))
    found = list[Outcome]()
    for number in range(n_policies):
        if not outcome.phase:
            step = call(policy, label, number, job.n_tested, n_seeds)
            if not step.phase and step.counts.keys() != COUNTED:
                return Outcome(phase="worker", error=f"the worker process counts {sorted(step.counts)}")
            found.append(step)
            outcome = outcome.then(step)
    return outcome if outcome.phase else Outcome(policies=tuple(found), seconds=outcome.seconds)
