"""Products with a tall matrix of standardised embeddings, and its differences: never copied beyond a bound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rmsuite_baselines.scaling import Standardised

# Rows at a time. Sums within a block are in the precision of the products, sums of blocks in float64; in smaller
# blocks, threads that share their cores with other work wait for one another most of the time.
BLOCK = 8192
EXACT = 2**25  # bytes up to which the rows are kept in float64
PAIRS = 2048  # differences at a time: several arrays of so many rows in float64 are held at once
KEPT = 2**30  # bytes up to which they are kept in float32; beyond, each product standardises them anew


@dataclass(frozen=True, eq=False)
class Rows:
    """A matrix X, ``(n, n_features)``, that is multiplied by vectors from both sides; the results are float64."""

    matrix: np.ndarray | Standardised
    n_features: int
    dtype: str

    @classmethod
    def kept(cls, embeddings: Standardised) -> Rows:
        """Hold embeddings for many products, in memory if they are within the bounds."""
        n, n_features = embeddings.embeddings.shape
        for dtype, most in (("float64", EXACT), ("float32", KEPT)):
            if n * n_features * np.dtype(dtype).itemsize <= most:
                return cls(embeddings[:].astype(dtype, copy=False), n_features, dtype)
        return cls(embeddings, n_features, "float32")

    @classmethod
    def passing(cls, embeddings: Standardised) -> Rows:
        """Leave embeddings where they are, for few products, in float64."""
        return cls(embeddings, embeddings.embeddings.shape[1], "float64")

    def __len__(self) -> int:
        return len(self.matrix)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows."""
        return self.matrix[rows]

    def times(self, weights: np.ndarray) -> np.ndarray:
        """Return X w; ``(n_features,) -> (n,)``."""
        right, product = weights.astype(self.dtype), np.empty(len(self))
        for block in blocks(len(self), BLOCK):
            product[block] = self.matrix[block] @ right
        return product

    def gather(self, slopes: np.ndarray) -> np.ndarray:
        """Return the transpose of X times s; ``(n,) -> (n_features,)``."""
        left: np.ndarray = slopes.astype(self.dtype)
        product = np.zeros(self.n_features)
        for block in blocks(len(self), BLOCK):
            product += left[block] @ self.matrix[block]
        return product


def blocks(n: int, length: int) -> Iterator[slice]:
    """Yield slices that cover ``n`` rows, so many at a time."""
    return (slice(start, start + length) for start in range(0, n, length))


@dataclass(frozen=True, eq=False)
class Differences:
    """Rows of responses less others, ``(n_pairs, n_features)`` float64, which are made where they are asked for."""

    rows: np.ndarray | Standardised
    first: np.ndarray
    second: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, pairs: np.ndarray | slice) -> np.ndarray:
        """Return the differences of some pairs."""
        return np.asarray(self.rows[self.first[pairs]] - self.rows[self.second[pairs]], dtype=np.float64)
