"""Benchmarks merged without learning: the mean of standardised scores."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rmsuite.choice.columns import Scale, Used, usable


def merged(columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray | None, Used]:
    """Return the mean of the usable columns, each standardised over the models that have it, (n_models,).

    A gap is left out of its model's mean; a model that has none of the columns has none. None where no column can be
    used. Every column counts as it is: one in which smaller is better counts against the others.
    """
    used = usable(columns)
    if not used.names:
        return None, used
    matrix = np.column_stack([columns[name] for name in used.names])
    known = ~np.isnan(matrix)
    total, n = Scale.of(matrix).standardised(matrix).sum(axis=1), known.sum(axis=1)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan), used
