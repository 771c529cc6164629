"""Columns of scores that several analyses need whole: which are used, and what stands in a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

ROUNDING = 1e-12
SHARE = 0.8  # of the models: a column that fewer have is not used where columns are combined


@dataclass(frozen=True)
class Used:
    """Which columns are combined.

    ``names`` are used; ``left_out`` are not, with the reason; ``n_gaps`` cells of the used ones are empty.
    """

    names: tuple[str, ...]
    left_out: Mapping[str, str]
    n_gaps: int


def usable(columns: Mapping[str, np.ndarray]) -> Used:
    """Return which columns, each (n_models,), can be combined: not constant, and known of four fifths of the models."""
    left_out = {name: reason for name, column in columns.items() if (reason := _why_not(column))}
    used = tuple(name for name in columns if name not in left_out)
    return Used(used, left_out, sum(int(np.isnan(columns[name]).sum()) for name in used))


def _why_not(column: np.ndarray) -> str:
    held = column[~np.isnan(column)]
    if not len(column) or len(held) < SHARE * len(column):
        return f"known of {len(held)} of {len(column)} models"
    return "constant" if constant(held) else ""


def constant(values: np.ndarray) -> bool:
    """Return whether values, (n,), are equal but for the rounding of computers."""
    return bool(np.ptp(values) <= ROUNDING * np.abs(values).max())


@dataclass(frozen=True)
class Scale:
    """Means and standard deviations of columns, (n_columns,); a constant column has deviation 1."""

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> Scale:
        """Return the scale of a matrix (n_models, n_columns) with gaps; a column of gaps only has mean 0."""
        known = ~np.isnan(matrix)
        n = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, matrix, 0).sum(axis=0) / n
        deviation = np.sqrt((np.where(known, matrix - mean, 0) ** 2).sum(axis=0) / n)
        constant = deviation <= ROUNDING * np.maximum(np.abs(mean), 1e-300)
        return cls(mean, np.where(constant, 1.0, deviation))

    def standardised(self, matrix: np.ndarray) -> np.ndarray:
        """Return a matrix in standard deviations from the mean; a gap is the mean, 0."""
        return np.nan_to_num((matrix - self.mean) / self.deviation, nan=0.0)
