"""Which part a prompt belongs to: decided by a hash of the prompt's id alone, so that a new prompt moves no other.

Prompt ids are digests of the prompt's text, the same in every pool: a prompt is in one part of the whole benchmark.
A pool may give a ``split_id`` in its place, the id of the one prompt that decides for all that are nearly its text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np

PARTS = ("train", "validation", "test")
FRACTIONS: Mapping[str, float] = MappingProxyType({"train": 0.6, "validation": 0.15, "test": 0.25})
SALT, HALF_SALT, GENERATOR_SALT = b"rmsuite split 1:", b"rmsuite half 1:", b"rmsuite generator half 1:"


def part_of(prompt_ids: Iterable[bytes], fractions: Mapping[str, float] = FRACTIONS) -> np.ndarray:
    """Return the part of each prompt, an array of the names in ``PARTS``.

    Examples
    --------
    >>> part_of([b"0a1b2c3d4e5f", b"aa"], FRACTIONS).tolist()
    ['train', 'test']
    """
    edges = np.cumsum([fractions[part] for part in PARTS])
    unit = np.array([_unit(SALT, prompt_id) for prompt_id in prompt_ids])
    return np.array(PARTS)[np.minimum(np.searchsorted(edges, unit, side="right"), len(PARTS) - 1)]


def ranked_parts(prompt_ids: Iterable[bytes], fractions: Mapping[str, float] = FRACTIONS) -> np.ndarray:
    """Return the part of each prompt, a number in ``PARTS``, so that none is empty: for pools of a few prompts only.

    The prompts, ordered by the hash that ``part_of`` uses, are shared out by the fractions, at least one to each part.
    Unlike there, a new prompt may move others, and a prompt of two pools may be in two parts.

    Examples
    --------
    >>> ranked_parts([b"%d" % i for i in range(5)]).tolist()
    [1, 2, 0, 0, 0]
    """
    unit = np.array([_unit(SALT, prompt_id) for prompt_id in prompt_ids])
    n = len(unit)
    sizes = [max(int(fractions[part] * n + 0.5), 1) for part in PARTS[1:]]
    numbers = np.repeat(np.arange(len(PARTS)), [max(n - sum(sizes), 0), *sizes])[:n]
    part = np.empty(n, np.uint8)
    part[np.argsort(unit, kind="stable")] = numbers
    return part


def in_second_half(prompt_ids: Iterable[bytes]) -> np.ndarray:
    """Return which prompts are in the second half of a part, for what is chosen on one half and read on the other.

    Examples
    --------
    >>> in_second_half([b"0a1b2c3d4e5f", b"aa", b"cc"]).tolist()
    [False, False, True]
    """
    return np.array([_unit(HALF_SALT, prompt_id) >= 0.5 for prompt_id in prompt_ids], bool)


def generators_in_second_half(names: Iterable[str]) -> np.ndarray:
    """Return which generators are in the second half, by a hash of the name: a new one moves no other.

    Examples
    --------
    >>> generators_in_second_half(["claude", "phi-2", "vicuna-7b"]).tolist()
    [False, True, False]
    """
    return np.array([_unit(GENERATOR_SALT, name.encode()) >= 0.5 for name in names], bool)


def _unit(salt: bytes, prompt_id: bytes) -> float:
    digest = hashlib.sha256(salt + bytes(prompt_id)).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
