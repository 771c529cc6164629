"""Operations on the responses of each prompt, for all prompts at once; arrays are ``(n_responses,)`` or have seeds.

A second axis, ``(n_responses, n_seeds)``, holds several policies side by side: no value of one depends on another, and
each is to the bit what it would be alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rmsuite.arrays import frozen
from rmsuite.errors import ContractError


@dataclass(frozen=True, eq=False)
class Segments:
    """Which rows belong to which prompt: those of prompt ``i`` are ``offsets[i]:offsets[i + 1]``.

    Parameters
    ----------
    offsets : (n_prompts + 1,) int
        From 0 and increasing: each prompt has a response.

    Raises
    ------
    ContractError
        If they are not.

    Examples
    --------
    >>> segments = Segments(np.array([0, 2, 3]))
    >>> segments.total(np.array([1.0, 2.0, 5.0])).tolist()
    [3.0, 5.0]
    >>> segments.softmax(np.array([0.0, 0.0, 9.0])).tolist()
    [0.5, 0.5, 1.0]
    """

    offsets: np.ndarray

    def __post_init__(self) -> None:
        offsets = np.asarray(self.offsets)
        integers = offsets.ndim == 1 and offsets.dtype.kind in "iu" and len(offsets) > 1
        if not integers or offsets[0] != 0 or (np.diff(offsets.astype(np.int64)) < 1).any():
            expected = "whole numbers from 0, each larger than the one before, for one prompt or more"
            got, do = f"{offsets.dtype} of shape {offsets.shape}: {offsets[:6].tolist()}", "leave empty prompts out"
            raise ContractError(who="offsets of prompts", expected=expected, got=got, do=do)
        object.__setattr__(self, "offsets", frozen(offsets.astype(np.int64)))

    def __len__(self) -> int:
        """Return the number of prompts."""
        return len(self.offsets) - 1

    @property
    def n_rows(self) -> int:
        """Number of responses."""
        return int(self.offsets[-1])

    @property
    def starts(self) -> np.ndarray:
        """The first row of each prompt, ``(n_prompts,)``."""
        return self.offsets[:-1]

    @cached_property
    def sizes(self) -> np.ndarray:
        """Responses of each prompt, ``(n_prompts,)``."""
        return np.diff(self.offsets)

    @cached_property
    def of_row(self) -> np.ndarray:
        """The prompt of each row, ``(n_responses,)``."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def rows_of(self, prompts: np.ndarray) -> np.ndarray:
        """Return the rows of some prompts, prompt after prompt."""
        sizes = self.sizes[prompts]
        before = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return np.repeat(self.starts[prompts] - before, sizes) + np.arange(sizes.sum())

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sum over each prompt's responses, ``(n_prompts,)`` or ``(n_prompts, n_seeds)``."""
        return np.add.reduceat(values, self.starts, axis=0)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over each prompt's responses."""
        return (self.total(values).T / self.sizes).T

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Return the largest value of each prompt."""
        return np.maximum.reduceat(values, self.starts, axis=0)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Return a value a prompt as one a response."""
        return values[self.of_row]

    def log_sum_exp(self, logits: np.ndarray) -> np.ndarray:
        """Return log sum exp over each prompt; a logit may be -inf, but not all of a prompt."""
        top = self.largest(logits)
        return top + np.log(self.total(np.exp(logits - self.spread(top))))

    def log_softmax(self, logits: np.ndarray) -> np.ndarray:
        """Return the logarithms of a distribution over each prompt's responses."""
        return logits - self.spread(self.log_sum_exp(logits))

    def softmax(self, logits: np.ndarray) -> np.ndarray:
        """Return a distribution over each prompt's responses."""
        return np.exp(self.log_softmax(logits))

    def argmax(self, values: np.ndarray) -> np.ndarray:
        """Return the row of the largest value of each prompt, ``(n_prompts, ...)``; of equal ones the first."""
        top = values == self.spread(self.largest(values))
        rows = np.arange(self.n_rows).reshape(-1, *[1] * (values.ndim - 1))
        return np.minimum.reduceat(np.where(top, rows, self.n_rows), self.starts, axis=0)

    def cumulative(self, values: np.ndarray) -> np.ndarray:
        """Return running sums within each prompt, which depend on no other prompt."""
        sums = np.empty_like(values)
        for size in np.unique(self.sizes).tolist():
            rows = self.starts[self.sizes == size][:, None] + np.arange(size)
            sums[rows] = np.cumsum(values[rows], axis=1)
        return sums

    def sample(self, probabilities: np.ndarray, streams: Sequence[np.random.Generator], k: int) -> np.ndarray:
        """Draw responses of each prompt with replacement; one of probability zero is never drawn.

        Parameters
        ----------
        probabilities : (n_responses, n_seeds)
            Sums to 1 over each prompt.
        streams : n_seeds generators
            Each draws ``k * n_prompts`` numbers, however many there are.

        Returns
        -------
        (k, n_prompts, n_seeds) int
            Rows.
        """
        sums = np.cumsum(probabilities, axis=0)
        ends = sums[self.offsets[1:] - 1]
        begins = np.concatenate([np.zeros_like(ends[:1]), ends[:-1]])
        points = np.stack([stream.random((k, len(self))) for stream in streams], axis=-1)
        points = begins + points * (ends - begins)
        found = [np.searchsorted(sums[:, s], points[..., s], side="right") for s in range(points.shape[-1])]
        rows = np.arange(self.n_rows)[:, None]
        last = np.maximum.reduceat(np.where(probabilities > 0, rows, -1), self.starts, axis=0)
        return np.minimum(np.stack(found, axis=-1), last)  # rounding may put a point on the end


def ranked(segments: Segments, mass: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each response, which share of its prompt's mass has a smaller value, and which has none larger.

    All are ``(n_responses,)``. The difference is the share of ties, the response's own among them; the second is
    exactly 1 for the largest values of a prompt.

    Examples
    --------
    >>> below, upto = ranked(Segments(np.array([0, 3])), np.array([0.5, 0.25, 0.25]), np.array([7.0, 1.0, 7.0]))
    >>> below.tolist(), upto.tolist()
    ([0.25, 0.0, 0.25], [1.0, 0.25, 1.0])
    """
    order = np.lexsort((values, segments.of_row))
    ordered, sums = values[order], segments.cumulative(mass[order])
    sums /= segments.spread(sums[segments.offsets[1:] - 1])
    first = np.ones(len(order), bool)  # of its group of equal values
    first[1:] = (ordered[1:] != ordered[:-1]) | (np.diff(segments.of_row) > 0)
    group, starts = np.cumsum(first) - 1, np.flatnonzero(first)
    before = np.where(np.isin(starts, segments.starts), 0.0, sums[starts - 1])
    below, upto = np.empty(len(order)), np.empty(len(order))
    below[order], upto[order] = before[group], sums[np.append(starts[1:], len(order)) - 1][group]
    return below, upto
