"""What a check is, what it is run on and what it finds; and the few steps that most checks begin with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np

from rmsuite import seeds
from rmsuite.data import AttributePairs, PreferencePairs, Ratings
from rmsuite.method import Configured, RewardModel

Record = TypeVar("Record", PreferencePairs, AttributePairs, Ratings)


@dataclass(frozen=True)
class Subject:
    """The method under check. ``listing`` is Python source that loads its plugin in a fresh process; empty: none."""

    configured: Configured
    listing: str = ""


def file_listing(path: Path) -> str:
    """Return the ``listing`` of a plugin that is one file."""
    return f"from pathlib import Path; from rmsuite import plugins; plugins.load_file(Path({str(path)!r}))"


class Broken(Exception):  # noqa: N818 -- a finding, not an error
    """A promise is broken: the evidence, and the remedy."""

    def __init__(self, evidence: str, remedy: str) -> None:
        super().__init__(evidence, remedy)
        self.evidence, self.remedy = evidence, remedy


@dataclass(frozen=True)
class Check:
    """One promise, and the function that raises ``Broken`` when a method does not keep it."""

    name: str
    promise: str
    run: Callable[[Subject], None]


@dataclass(frozen=True)
class Finding:
    """What one check found: passed, broken with evidence and remedy, or not applicable."""

    check: Check
    status: str
    evidence: str = ""
    remedy: str = ""


def fitted(subject: Subject, pairs: PreferencePairs, seed: int = 0) -> RewardModel:
    """Return a fresh model, fitted."""
    model = subject.configured.make()
    model.fit(writable(pairs), rng=method_rng(seed))
    return model


def method_rng(seed: int) -> np.random.Generator:
    """Return what a method under check draws from."""
    return seeds.generator(seed, "check", what="method")


def writable(pairs: PreferencePairs) -> PreferencePairs:
    """Return a private copy, so that a method that writes into its input fails the one check for that."""
    own = _with_own_arrays(pairs)
    object.__setattr__(own, "attributes", tuple(_with_own_arrays(one) for one in pairs.attributes))
    if pairs.ratings is not None:
        object.__setattr__(own, "ratings", _with_own_arrays(pairs.ratings))
    if pairs.validation is not None:
        object.__setattr__(own, "validation", writable(pairs.validation))
    return own


def _with_own_arrays(record: Record) -> Record:
    own = copy.copy(record)
    for column in fields(record):
        value = getattr(record, column.name)
        if isinstance(value, np.ndarray):
            object.__setattr__(own, column.name, np.array(value))
    return own


def rewards_of(model: RewardModel, embeddings: np.ndarray) -> np.ndarray:
    """Return rewards flattened, so that a wrong shape fails the one check for that."""
    return np.asarray(model.reward(embeddings.copy()), dtype=np.float64).ravel()


def close(first: np.ndarray, second: np.ndarray, share: float) -> bool:
    """Whether two arrays are equal but for a share of the spread of the first."""
    spread = float(np.nanstd(first)) or 1.0
    return first.shape == second.shape and np.allclose(first, second, rtol=0, atol=share * spread, equal_nan=True)
