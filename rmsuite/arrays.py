"""Checks of arrays that cross a border; the only place that words errors of shape, type and finiteness."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmsuite.errors import ContractError


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
    array = np.asarray(rewards)
    if array.shape != (n,):
        raise ContractError(
            who=f"reward of {who}",
            expected=f"shape ({n},) for {n} rows of embeddings",
            got=f"shape {array.shape}",
            do="return a one-dimensional array, one reward a row",
        )
    if array.dtype.kind not in "fiu":
        raise ContractError(
            who=f"reward of {who}",
            expected="real numbers",
            got=f"dtype {array.dtype}",
            do="return a floating-point numpy array",
        )
    array = array.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise ContractError(
            who=f"reward of {who}",
            expected="finite rewards",
            got=f"{bad.size} of {n} not finite (the first is {array[bad[0]]} in row {bad[0]})",
            do="guard divisions and logarithms, and scale features without dividing by zero",
        )
    return array


def as_embeddings(embeddings: Any, n_features: int, *, who: str = "reward model") -> np.ndarray:
    """Return embeddings as a ``(n, n_features)`` float32 array; plugin authors call it first in ``reward``.

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
