"""What a policy chooses among: the responses of each prompt, their embeddings, and the policy that it starts from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rmsuite.arrays import frozen, row_slices
from rmsuite.errors import ContractError
from rmsuite.policies.segments import Segments


@dataclass(frozen=True, eq=False)
class Choices:
    """Prompts with any number of responses each, as a policy sees them: no ids, no rewards.

    Parameters
    ----------
    offsets : (n_prompts + 1,) int
        The responses of prompt ``i`` are the rows ``offsets[i]:offsets[i + 1]``; each prompt has one or more.
    embeddings : (n_responses, n_features) float
        Float32 or float64, in which the policy computes; other types become float32.
    log_reference : (n_responses,) float
        Logarithms (nats) of the reference policy; -inf for a response that it never gives. They need not be
        normalised, and are from then on.

    Raises
    ------
    ContractError
        If shapes do not fit, a value is NaN, an embedding is infinite, or a prompt has no response that the reference
        gives.

    Examples
    --------
    >>> offsets = np.array([0, 2, 3])
    >>> choices = Choices(offsets, np.eye(3), uniform(offsets))
    >>> np.exp(choices.log_reference).tolist()
    [0.5, 0.5, 1.0]
    """

    offsets: np.ndarray
    embeddings: np.ndarray
    log_reference: np.ndarray

    def __post_init__(self) -> None:
        embeddings = np.asarray(self.embeddings)
        if embeddings.dtype not in (np.float32, np.float64):
            embeddings = embeddings.astype(np.float32)
        _check_embeddings(embeddings, self.prompts.n_rows)
        given = np.asarray(self.log_reference, np.float64)
        object.__setattr__(self, "offsets", self.prompts.offsets)
        object.__setattr__(self, "embeddings", frozen(embeddings))
        object.__setattr__(self, "log_reference", frozen(_normalised(self.prompts, given)))

    @cached_property
    def prompts(self) -> Segments:
        """Which responses belong to which prompt, and operations on them."""
        return Segments(self.offsets)

    @property
    def n_prompts(self) -> int:
        """Number of prompts."""
        return len(self.prompts)

    @property
    def n_responses(self) -> int:
        """Number of responses of all prompts."""
        return self.prompts.n_rows

    @cached_property
    def reference(self) -> np.ndarray:
        """The reference policy, ``(n_responses,)``, which sums to 1 over each prompt."""
        return frozen(np.exp(self.log_reference))

    @cached_property
    def prompt_embeddings(self) -> np.ndarray:
        """The mean embedding of each prompt's responses, ``(n_prompts, n_features)``."""
        return frozen(self.prompts.mean(self.embeddings).astype(self.embeddings.dtype))

    def take(self, prompts: np.ndarray) -> Choices:
        """Return some of the prompts, in the order given; the reference of each stays what it is, to the bit."""
        rows = self.prompts.rows_of(prompts)
        offsets = np.concatenate([[0], np.cumsum(self.prompts.sizes[prompts])])
        return Choices(offsets, self.embeddings[rows], self.log_reference[rows])


def uniform(offsets: np.ndarray) -> np.ndarray:
    """Return the log reference that gives all responses of a prompt with equal chance, ``(n_responses,)``."""
    segments = Segments(offsets)
    return -np.log(segments.spread(segments.sizes.astype(np.float64)))


def of_generators(offsets: np.ndarray, generator: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return a log reference that first draws a generator, then one of its responses to the prompt.

    It is not normalised; ``Choices`` does that.

    Parameters
    ----------
    offsets : (n_prompts + 1,) int
        Of the prompts.
    generator : (n_responses,) int
        Who wrote each response, numbered from 0.
    weights : (n_generators,) float
        In proportion to which the generators are drawn, of those that answered the prompt; none is negative.

    Raises
    ------
    ContractError
        If a weight is negative or not finite, or there is none for a generator.

    Examples
    --------
    >>> offsets = np.array([0, 3])
    >>> log_reference = of_generators(offsets, np.array([0, 0, 1]), np.array([3.0, 3.0]))
    >>> Choices(offsets, np.eye(3), log_reference).reference.round(3).tolist()
    [0.25, 0.25, 0.5]
    """
    segments, weights = Segments(offsets), np.asarray(weights, np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any() or len(weights) <= generator.max(initial=-1):
        expected = f"{generator.max(initial=-1) + 1} finite weights of at least 0"
        do = "give one weight a generator"
        raise ContractError(who="weights of generators", expected=expected, got=str(weights.tolist()), do=do)
    _, group, number = np.unique(segments.of_row * len(weights) + generator, return_inverse=True, return_counts=True)
    with np.errstate(divide="ignore"):  # a weight of zero: never given
        return np.log(weights[generator]) - np.log(number[group])


@dataclass(frozen=True, eq=False)
class Scale:
    """How features become comparable: ``(embedding - mean) * factor``, as of the responses that a policy trains on.

    Without it one learning rate does not fit the embeddings of two base models. ``mean`` and ``factor`` are
    ``(n_features,)``.
    """

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, choices: Choices) -> Scale:
        """Return the scale that gives each feature mean 0 and variance 1; a constant one becomes 0."""
        mean, deviation = choices.embeddings.mean(axis=0), choices.embeddings.std(axis=0)
        constant = deviation <= 1e-6 * np.abs(mean)
        return cls(mean, np.where(constant, 0, 1 / np.where(constant, 1, deviation)).astype(mean.dtype))

    def __call__(self, choices: Choices) -> Choices:
        """Return the same choices with scaled embeddings."""
        embeddings = (choices.embeddings - self.mean) * self.factor
        return Choices(choices.offsets, embeddings, choices.log_reference)


def _check_embeddings(embeddings: np.ndarray, n: int) -> None:
    who = "embeddings of choices"
    if embeddings.ndim != 2 or len(embeddings) != n:
        got, do = f"shape {embeddings.shape}", "give one row a response"
        raise ContractError(who=who, expected=f"shape ({n}, n_features)", got=got, do=do)
    parts = (part for part in row_slices(*embeddings.shape) if not np.isfinite(embeddings[part]).all())
    if bad := next(parts, None):
        row = bad.start + np.flatnonzero(~np.isfinite(embeddings[bad]).all(axis=1))[0]
        do = "look at the text of that response, or embed with float32"
        raise ContractError(who=who, expected="finite numbers", got=f"infinity or NaN in row {row}", do=do)


def _normalised(prompts: Segments, given: np.ndarray) -> np.ndarray:
    who = "log reference of choices"
    if given.shape != (prompts.n_rows,):
        do = "give one logarithm a response"
        raise ContractError(who=who, expected=f"shape ({prompts.n_rows},)", got=f"shape {given.shape}", do=do)
    bad = np.flatnonzero(np.isnan(given) | (given == np.inf))
    if bad.size:
        got, do = f"{given[bad[0]]} in row {bad[0]}", "give logarithms of chances: finite, or -inf for none"
        raise ContractError(who=who, expected="numbers below infinity", got=got, do=do)
    never = np.flatnonzero(prompts.largest(given) == -np.inf)
    if never.size:
        got, do = f"none of prompt {never[0]}", "leave such prompts out"
        raise ContractError(who=who, expected="a response with a chance for each prompt", got=got, do=do)
    excess = prompts.log_sum_exp(given)
    return given - prompts.spread(np.where(np.abs(excess) > 1e-12, excess, 0))  # what is normalised keeps its bits
