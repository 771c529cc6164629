"""Principal components of benchmarks: how many directions there are in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rmsuite.choice.columns import Scale, Used, usable


@dataclass(frozen=True)
class Components:
    """Principal components of standardised benchmarks.

    ``shares`` (n_components,) are of the variance, in falling order, and sum to 1; ``loadings`` (n_components,
    n_benchmarks) have length 1 and a positive sum; ``used`` says which benchmarks they are of.
    """

    shares: np.ndarray
    loadings: np.ndarray
    used: Used
    n_models: int


def components(columns: Mapping[str, np.ndarray]) -> Components | None:
    """Return the components of columns, each (n_models,); None where fewer than two can be used, or two models.

    Every column is standardised over the models that have it; a gap is its mean.
    """
    used = usable(columns)
    matrix = np.column_stack([columns[name] for name in used.names]) if used.names else np.empty((0, 0))
    if min(matrix.shape) < 2:
        return None
    _, singular, rows = np.linalg.svd(_centred(matrix), full_matrices=False)
    n = min(len(matrix) - 1, matrix.shape[1])
    signs = np.where(rows[:n].sum(axis=1) < 0, -1.0, 1.0)
    return Components(singular[:n] ** 2 / (singular**2).sum(), rows[:n] * signs[:, None], used, len(matrix))


def _centred(matrix: np.ndarray) -> np.ndarray:
    return Scale.of(matrix).standardised(matrix)
