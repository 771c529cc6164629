"""How a cell travels to another machine: rows of embedding sets as their numbers, everything else as it is.

A machine that has an embedding set of the same sha256, installed or on a file system that is shared, gathers the rows
there. No gold, no id and no pair of the test part is in a parcel.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cloudpickle
import numpy as np

from rmsuite.arrays import Gathered, gathered
from rmsuite.cells import Job
from rmsuite.data import PreferencePairs
from rmsuite.policies import Training
from rmsuite.policy_worker import PolicyJob, Prompts
from rmsuite.pools import EmbeddingSet

Hand = Callable[[Any, np.ndarray, str], np.ndarray]
Matrix = Any  # what rows are gathered from: an array, or one in several files
ROWS, MATRIX = "rows", "matrix"


class Movable(Job, Protocol):
    """A job that says which rows of which embedding sets it is made of."""

    @property
    def embedding_sets(self) -> Sequence[EmbeddingSet]:
        """The embedding sets whose rows it hands out."""
        ...

    @property
    def handed(self) -> Sequence[tuple[np.ndarray, Gathered]]:
        """Embeddings of its pairs, each with the rows of which they are a copy."""
        ...

    @property
    def test_rows(self) -> np.ndarray | Gathered:
        """Its test embeddings, where possible as rows of a matrix."""
        ...


@dataclass(frozen=True)
class Sealed:
    """A method or an optimizer that only the process which runs its cell reads: unpickling this yields it."""

    label: str
    data: bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.data,)


@dataclass(frozen=True, eq=False)
class Parcel:
    """A job as another machine has it."""

    label: str
    method: bytes
    seed: int
    pairs: PreferencePairs
    test_rows: np.ndarray | Gathered
    asked_pairs: tuple[np.ndarray, np.ndarray]

    @property
    def configured(self) -> Sealed:
        """The method, for the worker that runs it."""
        return Sealed(self.label, self.method)

    @property
    def test_embeddings(self) -> np.ndarray | Gathered:
        """What is to be rewarded; small embeddings are gathered now."""
        return gathered(self.test_rows)


@dataclass(frozen=True, eq=False)
class PolicyParcel:
    """A policy cell as it travels."""

    label: str
    optimizer: bytes
    training: Training
    seeds: tuple[int, ...]
    order: int
    trained: Prompts
    tested: Prompts

    def job(self) -> PolicyJob:
        """Return the job as another machine has it."""
        shown = (lambda: self.trained), (lambda: self.tested)
        sealed = Sealed(self.label, self.optimizer)
        return PolicyJob(sealed, self.training, self.seeds, self.order, *shown, len(self.tested.rewards))


class AbsentError(Exception):
    """An embedding set that this machine has neither installed nor been sent; its argument is the sha256."""


def packed(job: Movable | PolicyJob) -> bytes:
    """Return a job as bytes; raises what pickle does of a method or an optimizer that cannot be sent."""
    label, code = job.configured.label, cloudpickle.dumps(job.configured, protocol=5)
    buffer = io.BytesIO()
    parcel: Parcel | PolicyParcel
    if isinstance(job, PolicyJob):
        parcel = PolicyParcel(label, code, job.training, job.seeds, job.order, job.trained(), job.tested())
    else:
        parcel = Parcel(label, code, job.seed, job.pairs, job.test_rows, job.asked_pairs)
    _Packer(buffer, job).dump(parcel)
    return buffer.getvalue()


def opened(data: bytes, find: Callable[[str, Path], Matrix], hand: Hand) -> Parcel | PolicyJob:
    """Return the job that is in a parcel.

    Parameters
    ----------
    find : callable
        Returns the matrix of the embedding set with this sha256, which lay in this folder where the parcel was packed.
    hand : callable
        Returns rows of a matrix as a method gets them; the third argument names them and no others.
    """
    parcel: Parcel | PolicyParcel = _Opener(data, find, hand).load()
    return parcel.job() if isinstance(parcel, PolicyParcel) else parcel


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, job: Movable | PolicyJob) -> None:
        super().__init__(file, protocol=5)
        self._sets = {id(one.matrix): one for one in job.embedding_sets}
        self._handed = {id(array): rows for array, rows in job.handed}

    def persistent_id(self, obj: Any) -> tuple[Any, ...] | None:
        if (known := self._sets.get(id(obj))) is not None:
            return MATRIX, known.sha256, known.home
        if (copied := self._handed.get(id(obj))) is not None:
            known = self._sets[id(copied.matrix)]
            return ROWS, known.sha256, known.home, copied.rows
        return None


class _Opener(pickle.Unpickler):
    def __init__(self, data: bytes, find: Callable[[str, Path], Matrix], hand: Hand) -> None:
        super().__init__(io.BytesIO(data))
        self._find, self._hand = find, hand

    def persistent_load(self, given: Any) -> Any:
        kind, sha256, home, *rows = given
        matrix = self._find(sha256, home)
        return self._hand(matrix, rows[0], _name(sha256, rows[0])) if kind == ROWS else matrix


def _name(sha256: str, rows: np.ndarray) -> str:
    return hashlib.sha256(sha256.encode() + np.ascontiguousarray(rows).tobytes()).hexdigest()
