"""The contract of an optimizer: what it may use in a step, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rmsuite.arrays import as_rewards, frozen
from rmsuite.errors import ContractError
from rmsuite.policies.choices import Choices
from rmsuite.policies.settings import whole


@dataclass(frozen=True, eq=False)
class Situation:
    """A policy, or several side by side, on some prompts, and what it is to increase there.

    The objective of a prompt is ``E[reward] - beta * KL(pi || reference)``, in units of reward; KL is in nats.

    Attributes
    ----------
    choices : Choices
        The prompts.
    log_ratio : (n_responses, n_seeds) float64
        Log pi - log reference, finite; read-only.
    rewards : (n_responses, n_seeds) float64
        What a reward model gives, never gold; a column a seed; read-only.
    beta : float
        What a nat of KL costs.
    """

    choices: Choices
    log_ratio: np.ndarray
    rewards: np.ndarray
    beta: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "log_ratio", frozen(self.log_ratio))
        object.__setattr__(self, "rewards", frozen(self.rewards))

    @cached_property
    def probabilities(self) -> np.ndarray:
        """The policy, ``(n_responses, n_seeds)``; it sums to 1 over each prompt."""
        return frozen(np.exp(self.choices.log_reference[:, None] + self.log_ratio))

    @property
    def values(self) -> np.ndarray:
        """Reward minus ``beta * log_ratio``, ``(n_responses, n_seeds)``: its mean is the objective."""
        return self.rewards - self.beta * self.log_ratio

    def greedy(self) -> np.ndarray:
        """Return the most probable response of each prompt, of equal ones the first: rows, ``(n_prompts, n_seeds)``."""
        return self.choices.prompts.argmax(self.choices.log_reference[:, None] + self.log_ratio)

    def gradient(self) -> np.ndarray:
        """Return the slope of each prompt's objective by its logits, exactly, ``(n_responses, n_seeds)``."""
        prompts, pi = self.choices.prompts, self.probabilities
        return pi * (self.values - prompts.spread(prompts.total(pi * self.values)))


@dataclass
class Spent:
    """What a seed has used so far: responses that its policy wrote, and rewards that it asked for."""

    samples: int = 0
    rewards: int = 0


class Step:
    """What an optimizer may use in one step. All arrays have a last axis of seeds, which share nothing.

    Rows number the responses of the step's prompts: ``choices.embeddings[rows]``. Arrays of rows, such as ``sample``
    returns, end in ``(n_prompts, n_seeds)``, and so do the rewards of them.

    Parameters
    ----------
    situation : Situation
        The policy on the prompts of this step.
    streams : n_seeds generators
        What samples are drawn by, one a seed.
    kept : dict
        The optimizer's own memory from step to step; empty at the beginning of a training.
    spent : Spent
        Counts what is used.
    number : int
        0; for an optimizer of several passes, the number of the pass over these prompts.
    """

    def __init__(
        self,
        situation: Situation,
        streams: Sequence[np.random.Generator],
        kept: dict[str, Any] | None = None,
        spent: Spent | None = None,
        number: int = 0,
    ) -> None:
        self._situation, self._streams = situation, streams
        self._spent = Spent() if spent is None else spent
        self.kept = {} if kept is None else kept
        self.number = number

    @property
    def choices(self) -> Choices:
        """The prompts of this step and their responses."""
        return self._situation.choices

    @property
    def probabilities(self) -> np.ndarray:
        """The policy as it is now, ``(n_responses, n_seeds)``."""
        return self._situation.probabilities

    @property
    def log_ratio(self) -> np.ndarray:
        """Log pi - log reference as it is now, ``(n_responses, n_seeds)``."""
        return self._situation.log_ratio

    def sample(self, k: int = 1) -> np.ndarray:
        """Let the policy write k responses to each prompt: rows, ``(k, n_prompts, n_seeds)``. Costs k samples each."""
        rows = self.choices.prompts.sample(self.probabilities, self._streams, k)
        self._spent.samples += k * self.choices.n_prompts
        return rows

    def greedy(self) -> np.ndarray:
        """Return the most probable response of each prompt (of equal ones the first). Costs a sample a prompt.

        Rows, ``(n_prompts, n_seeds)``.
        """
        self._spent.samples += self.choices.n_prompts
        return self._situation.greedy()

    def every(self) -> np.ndarray:
        """Return the rows of all responses, ``(n_responses, n_seeds)``. Costs nothing; their rewards do."""
        return np.broadcast_to(np.arange(self.choices.n_responses)[:, None], self.log_ratio.shape)

    def reward(self, rows: np.ndarray) -> np.ndarray:
        """Return rewards of responses, of the shape of ``rows``. Each entry costs a reward call."""
        self._spent.rewards += rows.size // rows.shape[-1]
        return at(self._situation.rewards, rows)

    def penalty(self, rows: np.ndarray) -> np.ndarray:
        """Return ``beta * (log pi - log reference)`` of responses, of the shape of ``rows``."""
        return self._situation.beta * at(self.log_ratio, rows)

    def value(self, rows: np.ndarray) -> np.ndarray:
        """Return reward minus penalty: what an optimizer maximises the mean of. Costs what ``reward`` does."""
        return self.reward(rows) - self.penalty(rows)

    def ascent(self, rows: np.ndarray, advantages: np.ndarray) -> np.ndarray:
        """Return the mean over k samples of ``advantage * (1[sample] - pi)``, ``(n_responses, n_seeds)``.

        That is advantage times the slope of log pi(sample) by the logits: what nearly every optimizer returns.

        Parameters
        ----------
        rows, advantages : (k, n_prompts, n_seeds)
            Samples, and how much more probable each should become.
        """
        k, seeds = len(rows), np.arange(rows.shape[-1])
        found = -self.probabilities * self.choices.prompts.spread(advantages.sum(axis=0) / k)
        for sample, advantage in zip(rows, advantages, strict=True):  # within one, no row comes twice
            found[sample, seeds] += advantage / k
        return found


@runtime_checkable
class Optimizer(Protocol):
    """How a policy is improved by rewards: a frozen dataclass whose fields are its hyperparameters.

    The learning rate, the number of steps and beta are the training's: all optimizers meet on them.
    """

    def coefficients(self, step: Step) -> np.ndarray:
        """Return an estimate of the slope of each prompt's objective by its logits, ``(n_responses, n_seeds)``.

        The training takes the mean over prompts and goes up along it.
        """
        ...


@runtime_checkable
class SeveralPasses(Protocol):
    """What an optimizer may state beside ``coefficients``: it is asked so many times in each step.

    The policy moves in between; ``step.number`` counts.
    """

    @property
    def passes(self) -> int:
        """Number of times, at least 1."""
        ...


def passes_of(optimizer: Optimizer) -> int:
    """Return how many times an optimizer is asked in a step; raise ``RmsuiteError`` for none."""
    passes = optimizer.passes if isinstance(optimizer, SeveralPasses) else 1
    whole("passes", passes, 1)
    return passes


def hyperparameters(of: object) -> dict[str, int | float]:
    """Return what has to be tuned: the fields of a frozen dataclass that are numbers; flags choose between variants.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Mine:
    ...     k: int = 4
    ...     released: bool = False
    >>> hyperparameters(Mine())
    {'k': 4}
    """
    if not is_dataclass(of) or isinstance(of, type):
        return {}
    given = {column.name: getattr(of, column.name) for column in fields(of)}
    return {name: value for name, value in given.items() if type(value) in (int, float)}


def at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return values, ``(n_responses, n_seeds)``, of rows, ``(..., n_seeds)``: each seed's own."""
    return values[rows, np.arange(rows.shape[-1])]


def reward_columns(rewards: Any, n: int, n_seeds: int, *, who: str) -> np.ndarray:
    """Return rewards of responses as ``(n, n_seeds)`` float64, from such or from ``(n,)``, the same for all seeds.

    Raises
    ------
    ContractError
        If the shape is another, the type is not real, or a value is not finite.
    """
    array = np.asarray(rewards)
    if array.ndim == 1:
        return np.repeat(as_rewards(array, n, who=who)[:, None], n_seeds, axis=1)
    if array.shape != (n, n_seeds):
        expected, do = f"shape ({n},) or ({n}, {n_seeds})", "give one reward a response, and a column a seed"
        raise ContractError(who=f"reward of {who}", expected=expected, got=f"shape {array.shape}", do=do)
    return np.stack([as_rewards(array[:, s], n, who=f"{who}, column {s}") for s in range(n_seeds)], axis=1)


def as_coefficients(coefficients: Any, shape: tuple[int, ...], *, who: str) -> np.ndarray:
    """Return what an optimizer returned.

    Raises
    ------
    ContractError
        If it is not real and finite, ``(n_responses, n_seeds)``.
    """
    array, who = np.asarray(coefficients), f"coefficients of {who}"
    if array.shape != shape or array.dtype.kind not in "fiu":
        expected, do = f"real numbers of shape {shape}", "return one number a response of the step and a seed"
        raise ContractError(who=who, expected=expected, got=f"{array.dtype} of shape {array.shape}", do=do)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, seed = bad[0]
        got = f"{len(bad)} others (the first is {array[row, seed]} in row {row} of seed {seed})"
        do = "guard divisions, or lower the learning rate"
        raise ContractError(who=who, expected="finite numbers", got=got, do=do)
    return array


@dataclass(frozen=True, eq=False)
class Moments:
    """Of an optimizer's coefficients at a policy: ``mean`` and ``second``, the mean of the squared length per prompt.

    ``mean`` is ``(n_responses, n_seeds)``, ``second`` ``(n_prompts, n_seeds)``.
    """

    mean: np.ndarray
    second: np.ndarray


@runtime_checkable
class KnownMoments(Protocol):
    """What an optimizer may offer beside ``coefficients``: their exact moments, where a formula exists."""

    def moments(self, situation: Situation) -> Moments | None:
        """Return the moments, over the samples, of what ``coefficients`` returns; None where they are not known."""
        ...
