"""Which part a prompt belongs to: decided by a hash of the prompt's id alone, so that a new prompt moves no other.

Prompt ids are digests of the prompt's text, the same in every pool: a prompt is in one part of the whole benchmark.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

PARTS = ("train", "validation", "test")
FRACTIONS: Mapping[str, float] = MappingProxyType({"train": 0.6, "validation": 0.15, "test": 0.25})
SALT, HALF_SALT = b"rmsuite split 1:", b"rmsuite half 1:"


def part_of(prompt_ids: Iterable[bytes], fractions: Mapping[str, float]) -> np.ndarray:
    """Return the part of each prompt, an array of the names in ``PARTS``.

    Examples
    --------
    >>> part_of([b"0a1b2c3d4e5f", b"aa"], FRACTIONS).tolist()
    ['train', 'test']
    """
    edges = np.cumsum([fractions[part] for part in PARTS])
    unit = np.array([_unit(SALT, prompt_id) for prompt_id in prompt_ids])
    return np.array(PARTS)[np.minimum(np.searchsorted(edges, unit, side="right"), len(PARTS) - 1)]


def in_second_half(prompt_ids: Iterable[bytes]) -> np.ndarray:
    """Return which prompts are in the second half of a part, for what is chosen on one half and read on the other.

    Examples
    --------
    >>> in_second_half([b"0a1b2c3d4e5f", b"aa", b"cc"]).tolist()
    [False, False, True]
    """
    return np.array([_unit(HALF_SALT, prompt_id) >= 0.5 for prompt_id in prompt_ids], bool)


def _unit(salt: bytes, prompt_id: bytes) -> float:
    digest = hashlib.sha256(salt + bytes(prompt_id)).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
