"""Standardise features by the training responses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import rmsuite

NUMBERS = 2**16  # of embeddings that are measured or standardised at a time: few enough for a core's cache


@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and standard deviation of each feature, ``(n_features,)``; a constant feature is mapped to 0."""

    mean: np.ndarray
    factor: np.ndarray

    @classmethod
    def of(cls, embeddings: np.ndarray) -> Scaling:
        """Measure the features of ``(n, n_features)`` embeddings.

        Raises
        ------
        RmsuiteError
            If a number is not finite.
        """
        mean, deviation = _moments(embeddings)
        if not np.isfinite(mean).all():
            raise _not_finite(embeddings)
        # Rounding leaves a constant feature a deviation of the order of its last bit.
        varies = deviation > 1e-6 * (np.abs(mean) + 1e-30)
        factor = np.where(varies, 1 / np.where(varies, deviation, 1), 0.0)
        return cls(mean.astype(np.float32), factor.astype(np.float32))

    def __call__(self, embeddings: np.ndarray, who: str) -> np.ndarray:
        """Return standardised float32 embeddings, or raise if their width is not that of training."""
        return self.lazily(np.asarray(embeddings), who)[:]

    def lazily(self, embeddings: np.ndarray, who: str) -> Standardised:
        """Return embeddings that are standardised where they are gathered, or raise as a call does."""
        return Standardised(of_width(embeddings, len(self.mean), who), self)


def of_width(embeddings: np.ndarray, n_features: int, who: str) -> np.ndarray:
    """Return embeddings as they are, of any type and wherever they lie, or raise if their width is another."""
    if embeddings.ndim != 2 or embeddings.shape[1] != n_features:
        rmsuite.as_embeddings(embeddings, n_features, who=who)
    return embeddings


def _blocks(n: int, n_features: int) -> list[slice]:
    length = max(NUMBERS // max(n_features, 1), 1)
    return [slice(start, start + length) for start in range(0, n, length)]


def _moments(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature, ``(n_features,)``, in one pass, or NaN."""
    n, n_features = embeddings.shape
    origin = embeddings[0].astype(np.float64)  # near the features, so that the squares lose no digits
    sums, squares = np.zeros((2, n_features))
    with np.errstate(invalid="ignore"):  # infinity less infinity: the caller refuses it
        for block in _blocks(n, n_features):
            centred = embeddings[block] - origin
            sums += centred.sum(axis=0)
            squares += np.square(centred, out=centred).sum(axis=0)
        mean = sums / n
        return origin + mean, np.sqrt(np.maximum(squares / n - mean**2, 0))


def _not_finite(embeddings: np.ndarray) -> rmsuite.RmsuiteError:
    bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
    return rmsuite.RmsuiteError(
        who="embeddings of the training responses",
        expected="finite numbers",
        got=f"infinity or NaN in {len(bad)} of {len(embeddings)} rows (the first is row {bad[0]})",
        do="embed again; float16 ends at 65,504: store larger features as float32",
    )


@dataclass(frozen=True, eq=False)
class Standardised:
    """Embeddings of any floating type that are standardised as they are gathered: the matrix is never copied whole."""

    embeddings: np.ndarray
    scaling: Scaling

    def __len__(self) -> int:
        return len(self.embeddings)

    def __getitem__(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return the standardised float32 rows."""
        numbers = np.arange(len(self))[rows]
        gathered = np.empty((len(numbers), self.embeddings.shape[1]), np.float32)
        for block in _blocks(*gathered.shape):
            part = gathered[block]
            part[...] = self.embeddings[numbers[block]]
            part -= self.scaling.mean
            part *= self.scaling.factor
        return gathered
