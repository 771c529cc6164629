"""How many of the best models a benchmark would have found: of its first k, the share that are among the best k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

# How ties are broken, in words.
RULES = {
    "expected": "equal ones are put in random order, in both rankings; the expected coverage, exact",
    "table-order": "equal ones keep the order of the table",
}
TOP = range(5, 11)  # the k over which selectors are compared, as in arXiv:2505.10775
FLOORS = {5: 0.4, 10: 0.7}  # what a benchmark has to cover to be kept there (its appendix says 0.6 for ten)


def coverage(predictor: np.ndarray, quality: np.ndarray, ties: str = "expected") -> np.ndarray:
    """Return the coverage at every k from 1 to n_models, (n_models,); the last one is 1.

    Both columns, (n_models,), are finite; larger is better in both. ``ties`` is one of ``RULES``.

    Examples
    --------
    >>> coverage(np.array([3, 3, 1]), np.array([1, 3, 2])).round(2).tolist()
    [0.5, 0.5, 1.0]
    >>> coverage(np.array([3, 3, 1]), np.array([1, 3, 2]), "table-order").round(2).tolist()
    [0.0, 0.5, 1.0]
    """
    first, second = (_among_best(one, ties) for one in (predictor, quality))
    shared = (first * second).sum(axis=1)
    return shared / np.arange(1, len(shared) + 1) if len(shared) else shared


def _among_best(values: np.ndarray, ties: str) -> np.ndarray:
    """Return the chance of each model to be among the best k, (n_models k, n_models)."""
    k = np.arange(1, len(values) + 1)[:, None]
    if ties == "table-order":
        place = np.empty(len(values), int)
        place[np.argsort(-values, kind="stable")] = np.arange(len(values))
        return (place[None, :] < k).astype(float)
    above = (values[None, :] > values[:, None]).sum(axis=1)
    alike = (values[None, :] == values[:, None]).sum(axis=1)
    return np.clip((k - above[None, :]) / alike[None, :], 0, 1)


def top(curve: np.ndarray, ks: Sequence[int] = TOP) -> float:
    """Return the mean of a curve over those k that leave models out; NaN if there is none."""
    held = [curve[k - 1] for k in ks if k < len(curve)]
    return float(np.mean(held)) if held else float("nan")


def chance(n_models: int) -> np.ndarray:
    """Return the expected coverage of a random order at every k, (n_models,)."""
    return np.arange(1, n_models + 1) / n_models


def keeps(curve: np.ndarray, floors: Mapping[int, float] = FLOORS) -> bool:
    """Return whether a curve reaches every floor; a floor at a k that leaves no model out is none."""
    return all(curve[k - 1] >= floor - 1e-12 for k, floor in floors.items() if k < len(curve))
