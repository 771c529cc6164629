"""The loop: steps over prompts, several seeds at once, and the policies along the path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rmsuite import seeds as streams
from rmsuite.errors import RmsuiteError
from rmsuite.policies.adam import Adam
from rmsuite.policies.choices import Choices
from rmsuite.policies.contract import (
    Optimizer,
    Situation,
    Spent,
    Step,
    as_coefficients,
    passes_of,
    reward_columns,
)
from rmsuite.policies.networks import zero
from rmsuite.policies.policy import Policy
from rmsuite.policies.settings import number, whole


@dataclass(frozen=True)
class Training:
    """How policies are trained, whatever the optimizer: all meet on these.

    Parameters
    ----------
    steps : int
        Batches of prompts.
    prompts : int
        Prompts a step, drawn without replacement until all had their turn; 0 is all of them in each step.
    learning_rate, weight_decay : float
        Of Adam. The decay pulls towards the reference.
    beta : float
        What a nat of KL to the reference costs, in units of reward.
    hidden : int
        Units of the policy's hidden layer; 0 is a linear policy.
    watch : tuple of int
        After which steps a snapshot is taken, beside the beginning (0) and the end.

    Raises
    ------
    RmsuiteError
        If one is out of range.
    """

    steps: int = 500
    prompts: int = 0
    learning_rate: float = 0.01
    weight_decay: float = 0.0
    beta: float = 0.0
    hidden: int = 0
    watch: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("steps", "prompts", "hidden"):
            whole(name, getattr(self, name), 0)
        number("learning_rate", self.learning_rate, 0, 100)
        number("weight_decay", self.weight_decay, 0, 0.99 / max(self.learning_rate, 1e-9))
        number("beta", self.beta, 0, 1e300)
        for step in self.watch:
            whole("watch", step, 0)
            number("watch", step, 0, self.steps)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The policies after a step, for any choices; ``spent`` is what each seed had used by then."""

    step: int
    policy: Policy
    spent: Spent


def train(
    choices: Choices,
    rewards: np.ndarray,
    optimizer: Optimizer,
    training: Training = Training(),
    *,
    seeds: Sequence[int] = (0,),
    order: int = 0,
    who: str = "",
) -> list[Snapshot]:
    """Train one policy a seed and return the path.

    Parameters
    ----------
    rewards : (n_responses,) or (n_responses, n_seeds)
        What the policies are to increase; a column a seed where each has its own reward model.
    seeds : sequence of int
        Each begins the two streams of one policy, samples and hidden layer: its path is, to the bit, the same
        whichever other seeds are trained beside it.
    order : int
        Begins the stream of batches. All seeds, and all optimizers, meet on the same prompts in the same order.
    who : str
        The optimizer, for messages.

    Returns
    -------
    list of Snapshot
        At the beginning, after each step of ``training.watch``, and at the end.

    Raises
    ------
    ContractError
        If a reward is not finite, or the optimizer returns something else than finite coefficients.
    RmsuiteError
        If a policy is not finite any more.
    """
    who = who or type(optimizer).__name__
    columns = reward_columns(rewards, choices.n_responses, len(seeds), who="the optimised model")
    pairs = [streams.stream(seed).spawn(2) for seed in seeds]
    embeddings = choices.embeddings
    policy = Policy(zero(embeddings.shape[1], training.hidden, [own for _, own in pairs], embeddings.dtype))
    run = _Run(policy, optimizer, training, [samples for samples, _ in pairs], who)
    batches = _batches(choices, columns, training.prompts, streams.stream(order))
    path = [run.snapshot(0)]
    for number_, (some, values) in enumerate(_first(batches, training.steps), start=1):
        run.step(some, values)
        if number_ in training.watch or number_ == training.steps:
            path.append(run.snapshot(number_))
    return path


class _Run:
    """A training on its way."""

    def __init__(
        self,
        policy: Policy,
        optimizer: Optimizer,
        training: Training,
        samples: list[np.random.Generator],
        who: str,
    ) -> None:
        self.policy, self.optimizer, self.beta = policy, optimizer, training.beta
        self.adam = Adam(training.learning_rate, training.weight_decay)
        self.samples, self.who = samples, who
        self.kept: dict[str, Any] = {}
        self.spent = Spent()

    def step(self, choices: Choices, rewards: np.ndarray) -> None:
        for number_ in range(passes_of(self.optimizer)):
            log_ratio, back = self.policy.run(choices)
            self._check(log_ratio)
            situation = Situation(choices, log_ratio, rewards, self.beta)
            step = Step(situation, self.samples, self.kept, self.spent, number_)
            found = as_coefficients(self.optimizer.coefficients(step), log_ratio.shape, who=self.who)
            self.adam.ascend(self.policy.network.layers, back(found / choices.n_prompts))

    def _check(self, log_ratio: np.ndarray) -> None:
        if not np.isfinite(log_ratio).all():
            who, expected = f"policy trained by {self.who}", "finite logits"
            raise RmsuiteError(who=who, expected=expected, got="others", do="lower the learning rate")

    def snapshot(self, step: int) -> Snapshot:
        return Snapshot(step, Policy(self.policy.network.copy()), replace(self.spent))


def _first(batches: Iterator[tuple[Choices, np.ndarray]], n: int) -> Iterator[tuple[Choices, np.ndarray]]:
    return (batch for _, batch in zip(range(n), batches, strict=False))


def _batches(
    choices: Choices, rewards: np.ndarray, size: int, stream: np.random.Generator
) -> Iterator[tuple[Choices, np.ndarray]]:
    """Yield prompts with their rewards, without end; the last batch of an epoch may be smaller."""
    if not 0 < size < choices.n_prompts:
        while True:
            yield choices, rewards
    while True:
        order = stream.permutation(choices.n_prompts)
        for start in range(0, choices.n_prompts, size):
            some = order[start : start + size]
            yield choices.take(some), rewards[choices.prompts.rows_of(some)]
