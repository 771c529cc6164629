"""Every random stream of the benchmark, named by what it is for.

A stream is a function of the root seed and of named axes (task, repetition, purpose). The method is not an axis:
all methods meet on the same pairs, the same annotation noise and the same draws, and neither the set of methods
nor their order moves a number.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

import numpy as np

Purpose = Literal[
    "pairs",
    "annotation",
    "method",
    "test-order",
    "test-pairs",
    "control",
    "bootstrap",
    "permutation",
    "rerun",
    "simulation",
    "check",
    "policy",
]


def generator(root: int, purpose: Purpose, **axes: str | int) -> np.random.Generator:
    """Return the generator of one stream; equal arguments give equal streams on every platform.

    Examples
    --------
    >>> generator(0, "pairs", task="toy", repetition=1).integers(1000, size=3).tolist()
    [175, 603, 449]
    """
    return stream(seed(root, purpose, **axes))


def seed(root: int, purpose: Purpose, **axes: str | int) -> int:
    """Return the seed of one stream; it shows neither the root nor the seed of another stream."""
    name = json.dumps([root, purpose, sorted(axes.items())])
    return int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")


def stream(seed: int) -> np.random.Generator:
    """Return the generator that a seed begins."""
    return np.random.Generator(np.random.PCG64(seed))
