"""Small ragged pools, policies on them, and every estimate that an optimizer can make, for the tests of policies."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from rmsuite.policies import (
    GRPO,
    PPO,
    RLOO,
    BestOfKImitation,
    Choices,
    MovingBaseline,
    OptimalBaseline,
    Reinforce,
    ReMax,
    Situation,
    Step,
    Values,
    evaluate,
)
from rmsuite.policies.segments import Segments

SIZES = (3, 1, 4, 2, 5)
UNBIASED = {
    "REINFORCE": Reinforce(),
    "moving baseline": MovingBaseline(),
    "ReMax": ReMax(),
    "optimal baseline": OptimalBaseline(),
    "RLOO of 2": RLOO(2),
    "RLOO of 4": RLOO(4),
}
BIASED = {
    "released ReMax": ReMax(released=True),
    "GRPO of 2": GRPO(2),
    "mean-only GRPO of 2": GRPO(2, mean_only=True),
    "mean-only GRPO of 3": GRPO(3, mean_only=True),
    "best of 3": BestOfKImitation(3),
}
KNOWN = {**UNBIASED, **BIASED}
UNKNOWN = {"GRPO of 3": GRPO(3), "PPO": PPO()}
ALL = {**KNOWN, **UNKNOWN}


def make_choices(
    seed: int = 0, sizes: tuple[int, ...] = SIZES, n_features: int = 6, dtype: type = np.float64
) -> Choices:
    """A pool whose reference is not uniform."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    embeddings = rng.standard_normal((offsets[-1], n_features)).astype(dtype)
    return Choices(offsets, embeddings, rng.standard_normal(offsets[-1]))


def make_situation(seed: int = 0, n_seeds: int = 2, beta: float = 0.3, sizes: tuple[int, ...] = SIZES) -> Situation:
    """Random policies with a common origin of the rewards away from 0; some differences exceed 5."""
    choices, rng = make_choices(seed, sizes), np.random.default_rng(seed + 100)
    shape = (choices.n_responses, n_seeds)
    log_ratio = choices.prompts.log_softmax(choices.log_reference[:, None] + rng.standard_normal(shape))
    rewards = 4 * rng.standard_normal(shape) + 2
    return Situation(choices, log_ratio - choices.log_reference[:, None], rewards, beta)


def alone(situation: Situation, prompt: int, column: int) -> Situation:
    """One prompt, one policy."""
    rows = situation.choices.prompts.rows_of(np.array([prompt]))
    log_ratio, rewards = (given[rows, column][:, None] for given in (situation.log_ratio, situation.rewards))
    return replace(situation, choices=situation.choices.take([prompt]), log_ratio=log_ratio, rewards=rewards)


def repeated(situation: Situation, n: int) -> Situation:
    """The same policy n times, side by side."""
    log_ratio, rewards = (np.repeat(given, n, axis=1) for given in (situation.log_ratio, situation.rewards))
    return replace(situation, log_ratio=log_ratio, rewards=rewards)


class Scripted(Step):
    """A step whose samples are given: ``(k, 1, n_seeds)`` rows."""

    script: np.ndarray

    def sample(self, k: int = 1) -> np.ndarray:
        assert len(self.script) == k
        return self.script


def samples_of(optimizer: object) -> int:
    return getattr(optimizer, "k", 1)


def enumerated(optimizer, situation: Situation) -> tuple[np.ndarray, float]:
    """Mean and mean squared length of what ``coefficients`` returns, over every sample of a prompt and one policy.

    A moving baseline has moved to where it stays.
    """
    pi, k = situation.probabilities[:, 0], samples_of(optimizer)
    script = np.array(list(product(range(len(pi)), repeat=k))).T[:, None]
    weights = pi[script[:, 0]].prod(axis=0)
    kept = {"moving": (pi @ situation.values[:, 0], 1.0)} if isinstance(optimizer, MovingBaseline) else {}
    step = Scripted(repeated(situation, len(weights)), (), kept)
    step.script = script
    found = optimizer.coefficients(step)
    return found @ weights, (found**2).sum(axis=0) @ weights


def linear_rewards(choices: Choices, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return choices.embeddings @ rng.standard_normal(choices.embeddings.shape[1]) + 0.3 * rng.standard_normal(
        choices.n_responses
    )


def objective(choices: Choices, log_probabilities: np.ndarray, rewards: np.ndarray, beta: float) -> np.ndarray:
    """Of each prompt, ``(n_prompts, n_seeds)``."""
    values = worth(choices, log_probabilities, rewards)
    return values.proxy - beta * values.kl


def worth(choices: Choices, log_probabilities: np.ndarray, rewards: np.ndarray) -> Values:
    return evaluate(choices, log_probabilities, gold=rewards, proxy=rewards, length=np.ones(choices.n_responses))


def parts(segments: Segments) -> list[slice]:
    return [slice(start, stop) for start, stop in zip(segments.offsets[:-1], segments.offsets[1:], strict=True)]
