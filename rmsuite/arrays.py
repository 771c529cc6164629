"""Checks of arrays that cross a border; the only place that words errors of shape, type and finiteness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmsuite.errors import ContractError

LARGE = 2**28  # bytes of float32 embeddings: more are handed on in blocks, never whole
BLOCK = 2**26  # bytes of such a block


def is_large(n: int, n_features: int) -> bool:
    """Whether so many embeddings are too large to be copied whole."""
    return 4 * n * n_features > LARGE


def row_slices(n: int, n_features: int) -> Iterator[slice]:
    """Yield slices of rows: one of all rows, or several if the embeddings are large."""
    step = max(BLOCK // (4 * n_features), 1) if is_large(n, n_features) else max(n, 1)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


@dataclass(frozen=True, eq=False)
class Gathered:
    """Some rows of a matrix on disk, in some order, ``(n, n_features)``; what is asked for is gathered as float32."""

    matrix: Any
    rows: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of features."""
        return len(self.rows), self.matrix.shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice | np.ndarray) -> np.ndarray:
        """Return a copy of some of the rows."""
        return np.asarray(self.matrix[self.rows[part]]).astype(np.float32)


def gathered(rows: np.ndarray | Gathered) -> np.ndarray | Gathered:
    """Return small embeddings as an array; large ones stay rows of a matrix."""
    return rows[:] if isinstance(rows, Gathered) and not is_large(*rows.shape) else rows


def frozen(array: np.ndarray) -> np.ndarray:
    """Return a read-only view of ``array``."""
    view = array.view()
    view.flags.writeable = False
    return view


def as_rewards(rewards: Any, n: int, *, who: str) -> np.ndarray:
    """Return rewards as a ``(n,)`` float64 array.

    Parameters
    ----------
    rewards : array_like
        What a method returned for ``n`` rows of embeddings; larger is better.
    who : str
        The method, for the message.

    Raises
    ------
    ContractError
        If the shape is not ``(n,)``, the type is not real, or a value is not finite.
    """
    return _real(rewards, n, who=f"reward of {who}", each="rows of embeddings", what="reward")


def as_uncertainty(uncertainty: Any, n: int, *, who: str) -> np.ndarray:
    """Return standard deviations of rewards as a ``(n,)`` float64 array.

    Parameters
    ----------
    uncertainty : array_like
        What a method returned for ``n`` rows of embeddings.
    who : str
        The method, for the message.

    Raises
    ------
    ContractError
        If it is not ``(n,)``, real, finite and at least 0.
    """
    who = f"uncertainty of {who}"
    array = _real(uncertainty, n, who=who, each="rows of embeddings", what="standard deviation")
    return _within(array, 0.0, np.inf, who, "return standard deviations, neither variances' logarithms nor differences")


def as_probability(probability: Any, n: int, *, who: str) -> np.ndarray:
    """Return probabilities as a ``(n,)`` float64 array.

    Parameters
    ----------
    probability : array_like
        What a method returned for ``n`` pairs.
    who : str
        The method, for the message.

    Raises
    ------
    ContractError
        If it is not ``(n,)``, real, finite and in [0, 1].
    """
    who = f"probability of {who}"
    array = _real(probability, n, who=who, each="pairs", what="probability")
    return _within(array, 0.0, 1.0, who, "return probabilities, neither logits nor percentages")


def as_member_rewards(member_rewards: Any, n: int, *, who: str) -> np.ndarray:
    """Return rewards of members as a ``(n_members, n)`` float64 array.

    Parameters
    ----------
    member_rewards : array_like
        What a method of one or more members returned for ``n`` rows of embeddings.
    who : str
        The method, for the message.

    Raises
    ------
    ContractError
        If it is not ``(n_members, n)``, real and finite.
    """
    array, who = np.asarray(member_rewards), f"member rewards of {who}"
    if array.ndim != 2 or not len(array) or array.shape[1] != n:
        expected, do = f"shape (n_members, {n}) for {n} rows of embeddings", "return one row a member, one column a row"
        raise ContractError(who=who, expected=expected, got=f"shape {array.shape}", do=do)
    return np.stack([_real(rewards, n, who=who, each="rows of embeddings", what="reward") for rewards in array])


def as_log_probabilities(log_probabilities: Any, n: int, *, who: str) -> np.ndarray:
    """Return logarithms of probabilities as a ``(n,)`` float64 array.

    Parameters
    ----------
    log_probabilities : array_like
        Of a policy for ``n`` responses, in nats; -inf for one that it never gives.
    who : str
        The optimizer, for the message.

    Raises
    ------
    ContractError
        If it is not ``(n,)``, real, and finite or -inf.
    """
    array, who = np.asarray(log_probabilities), f"log probabilities of {who}"
    never = np.isneginf(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    finite = _real(np.where(never, 0, array) if never.any() else array, n, who=who, each="responses", what="logarithm")
    return np.where(never, -np.inf, finite)


def _real(given: Any, n: int, *, who: str, each: str, what: str) -> np.ndarray:
    array = np.asarray(given)
    if array.shape != (n,):
        expected, do = f"shape ({n},) for {n} {each}", f"return a one-dimensional array, one {what} a {EACH[each]}"
        raise ContractError(who=who, expected=expected, got=f"shape {array.shape}", do=do)
    if array.dtype.kind not in "fiu":
        do = "return a floating-point numpy array"
        raise ContractError(who=who, expected="real numbers", got=f"dtype {array.dtype}", do=do)
    array = array.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        got = f"{bad.size} of {n} not finite (the first is {array[bad[0]]} in row {bad[0]})"
        do = "guard divisions and logarithms, and scale features without dividing by zero"
        raise ContractError(who=who, expected=f"finite {PLURAL[what]}", got=got, do=do)
    return array


EACH = {"rows of embeddings": "row", "pairs": "pair", "responses": "response"}
PLURAL = {
    "reward": "rewards",
    "standard deviation": "standard deviations",
    "probability": "probabilities",
    "logarithm": "logarithms",
}


def _within(array: np.ndarray, low: float, high: float, who: str, do: str) -> np.ndarray:
    bad = np.flatnonzero((array < low) | (array > high))
    if bad.size:
        got = f"{bad.size} of {len(array)} outside (the first is {array[bad[0]]} in row {bad[0]})"
        raise ContractError(who=who, expected=f"numbers from {low:g} to {high:g}", got=got, do=do)
    return array


def as_embeddings(embeddings: Any, n_features: int, *, who: str = "reward model") -> np.ndarray:
    """Return embeddings as a ``(n, n_features)`` float32 array; plugin authors call it first in ``reward``.

    Embeddings of another type, float16 that are mapped from a file for instance, are copied whole; give some thousand
    rows at a time where that is too much.

    Parameters
    ----------
    embeddings : array_like
        One row a response.
    n_features : int
        The width that the model was trained with.
    who : str
        The model, for the message.

    Raises
    ------
    ContractError
        If the array is not two-dimensional or has another width.

    Examples
    --------
    >>> import numpy as np
    >>> as_embeddings(np.zeros((2, 5)), 4, who="mine")
    Traceback (most recent call last):
    rmsuite.errors.ContractError: embeddings for mine: expected shape (n, 4), the width of training, got shape (2, 5).
    """
    array = np.asarray(embeddings, dtype=np.float32)
    if array.ndim != 2 or array.shape[1] != n_features:
        raise ContractError(
            who=f"embeddings for {who}",
            expected=f"shape (n, {n_features}), the width of training",
            got=f"shape {array.shape}",
            do="give embeddings of the base model that the pairs were embedded with",
        )
    return array
