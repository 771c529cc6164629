"""Bias and variance of an optimizer's estimate at a policy: exact where it offers its moments, else by simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rmsuite.policies.contract import KnownMoments, Moments, Optimizer, Situation, Step

DRAWS = 512  # estimates at a time


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """An optimizer's coefficients at a policy, as an estimate of the slope of each prompt's objective by its logits.

    Attributes
    ----------
    gradient, mean : (n_responses, n_seeds)
        The slope, and the expectation of the estimate.
    bias : (n_prompts, n_seeds)
        Length of their difference. Simulated, it is not 0 even for an unbiased estimate: compare it with its error.
    variance : (n_prompts, n_seeds)
        Trace of the covariance of the estimate.
    bias_error, variance_error : (n_prompts, n_seeds)
        Standard errors of the simulation; 0 where bias and variance are exact. That of the bias is the root of the
        mean squared length of the error of ``mean``.
    exact : bool
        Whether formulas gave them.
    """

    gradient: np.ndarray
    mean: np.ndarray
    bias: np.ndarray
    variance: np.ndarray
    bias_error: np.ndarray
    variance_error: np.ndarray
    exact: bool


def diagnose(optimizer: Optimizer, situation: Situation, rng: np.random.Generator, draws: int = 4096) -> Diagnosis:
    """Return bias and variance of an optimizer at a policy, over its samples.

    Parameters
    ----------
    rng : Generator
        For the simulation, where the optimizer does not offer ``moments`` (see ``KnownMoments``). An optimizer that
        keeps something is simulated as in its first step, one of several passes in its first pass.
    draws : int
        Estimates to simulate.
    """
    known = optimizer.moments(situation) if isinstance(optimizer, KnownMoments) else None
    if known is None:
        return _diagnosis(situation, *simulate(optimizer, situation, rng, draws), draws=draws)
    return _diagnosis(situation, known, np.zeros_like(known.second), draws=0)


def _diagnosis(situation: Situation, moments: Moments, error: np.ndarray, *, draws: int) -> Diagnosis:
    total, gradient = situation.choices.prompts.total, situation.gradient()
    variance = np.maximum(moments.second - total(moments.mean**2), 0)
    if draws:
        variance = variance * (draws / (draws - 1))
    return Diagnosis(
        gradient=gradient,
        mean=moments.mean,
        bias=np.sqrt(total((moments.mean - gradient) ** 2)),
        variance=variance,
        bias_error=np.sqrt(variance / draws) if draws else np.zeros_like(variance),
        variance_error=error,
        exact=not draws,
    )


def simulate(
    optimizer: Optimizer, situation: Situation, rng: np.random.Generator, draws: int
) -> tuple[Moments, np.ndarray]:
    """Return the moments of simulated coefficients, and the standard error of ``second``, ``(n_prompts, n_seeds)``.

    Draws are seeds side by side, so that hundreds are one call.
    """
    found = [_simulated(optimizer, _column(situation, s), rng, draws) for s in range(situation.log_ratio.shape[1])]
    mean, second, error = (np.stack(parts, axis=1) for parts in zip(*found, strict=True))
    return Moments(mean, second), error


def _simulated(
    optimizer: Optimizer, situation: Situation, rng: np.random.Generator, draws: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sums, lengths = np.zeros(situation.choices.n_responses), []
    for start in range(0, draws, DRAWS):
        n = min(DRAWS, draws - start)
        estimates = optimizer.coefficients(Step(_repeated(situation, n), rng.spawn(n)))
        sums += estimates.sum(axis=1)
        lengths.append(situation.choices.prompts.total(estimates**2))
    squared = np.concatenate(lengths, axis=1)
    return sums / draws, squared.mean(axis=1), squared.std(axis=1, ddof=1) / np.sqrt(draws)


def _column(situation: Situation, seed: int) -> Situation:
    one = slice(seed, seed + 1)
    return replace(situation, log_ratio=situation.log_ratio[:, one], rewards=situation.rewards[:, one])


def _repeated(situation: Situation, n: int) -> Situation:
    log_ratio, rewards = (np.repeat(given, n, axis=1) for given in (situation.log_ratio, situation.rewards))
    return replace(situation, log_ratio=log_ratio, rewards=rewards)
