"""Take over embeddings and rewards that exist as arrays: the files are linked to, not copied.

Three layouts of a folder are known; ``.safetensors`` files may stand for ``.npy`` ones:

- ``embd_*.npy`` (prompts, responses, features) and ``reward_*.npy`` (prompts, responses[, 1]), as published with
  arXiv:2502.04357; both may have their first two axes exchanged.
- ``chosen*.npy`` and ``rejected*.npy`` (pairs, features): every pair counts as a prompt of its own.
- ``*.safetensors`` with the tensors ``embeddings`` and ``rewards``, or ``chosen`` and ``rejected``, of these shapes.

A file whose name holds ``test`` or ``eval`` is the test part; the others are trained on, a fifth of their prompts kept
for validation. Without such a file the prompts are split as those of all pools are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.errors import InputError
from rmsuite.splits import PARTS, part_of
from rmsuite.stacked import PARTS_OF_A_NAME, open_array, safetensors_header

TEST = re.compile(r"test|eval", re.IGNORECASE)
VALIDATION = {"train": 0.8, "validation": 0.2, "test": 0.0}  # of the prompts that are not the test part
KINDS = {"embd": "embeddings", "reward": "rewards", "chosen": "chosen", "rejected": "rejected"}


@dataclass(frozen=True)
class Source:
    """One array: its file, the tensor in it ("" for ``.npy``), what it holds, and its name without that word."""

    path: Path
    tensor: str
    holds: str
    key: str

    @property
    def test(self) -> bool:
        """Whether it belongs to the test part."""
        return bool(TEST.search(self.path.stem))

    def open(self) -> np.ndarray:
        """Map it."""
        return open_array(self.path, self.tensor)


@dataclass(frozen=True, eq=False)
class Piece:
    """Responses of some prompts: the arrays of their embeddings, and rewards ``(n_prompts, n_responses)`` or pairs."""

    sources: tuple[Source, ...]
    n_prompts: int
    n_responses: int
    by_response: bool
    rewards: np.ndarray | None
    test: bool


def pieces(folder: Path, axes: str = "auto") -> list[Piece]:
    """Return what a folder holds, training first.

    Parameters
    ----------
    axes : str
        What the first axis of 3-D arrays counts: ``prompts``, ``responses``, or ``auto``: of the first two the longer
        one counts prompts.

    Raises
    ------
    InputError
        If there is no known layout, or shapes do not agree.
    """
    sources = sorted(_sources(folder), key=lambda source: (source.test, source.path.name))
    first, second = _kinds(folder, {source.holds for source in sources})
    pairs = list(_matched(folder, sources, first, second))
    return [_pair(*both) if first == "chosen" else _rewarded(*both, axes) for both in pairs]


def _sources(folder: Path) -> Iterator[Source]:
    if not folder.is_dir():
        raise InputError(who=str(folder), expected="a folder of arrays", got="no such folder", do="check the path")
    for path in folder.iterdir():
        if path.suffix == ".npy":
            word, _, rest = path.stem.partition("_")
            if word in KINDS:
                yield Source(path, "", KINDS[word], rest)
        elif path.suffix == ".safetensors":
            try:
                names = safetensors_header(path)[0]
            except (ValueError, OSError) as error:
                do = "save it anew"
                raise InputError(who=str(path), expected="a safetensors file", got=str(error), do=do) from None
            yield from (Source(path, name, name, path.stem) for name in sorted(names) if name in KINDS.values())


def _kinds(folder: Path, found: set[str]) -> tuple[str, str]:
    pairs, rewarded = ("chosen", "rejected"), ("embeddings", "rewards")
    if found.isdisjoint(pairs) or found.isdisjoint(rewarded):
        return rewarded if found.isdisjoint(pairs) else pairs
    expected, do = "pairs, or embeddings with rewards", "put them into folders of their own"
    raise InputError(who=str(folder), expected=expected, got=f"both: {', '.join(sorted(found))}", do=do)


def _matched(folder: Path, sources: Sequence[Source], first: str, second: str) -> Iterator[tuple[Source, Source]]:
    left, right = ([source for source in sources if source.holds == what] for what in (first, second))
    by_key = {source.key: source for source in right}
    by_part = {source.test: source for source in right} if len(left) == len(right) <= len(PARTS) - 1 else {}
    found = [(one, by_key.get(one.key) or by_part.get(one.test)) for one in left]
    missing = [one.path.name for one, other in found if other is None]
    if not found or missing or len({other for _, other in found}) != len(right):
        got = f"nothing that goes with {missing[0]}" if missing else f"{len(left)} of {first}, {len(right)} of {second}"
        expected = "embd_*.npy with reward_*.npy, chosen*.npy with rejected*.npy, or *.safetensors with these tensors"
        do = "name the files so that those of a pair differ in that word only"
        raise InputError(who=str(folder), expected=expected, got=got, do=do)
    yield from ((one, other) for one, other in found if other is not None)


def _wrong(source: Source, expected: str, got: str, do: str) -> InputError:
    return InputError(who=str(source.path), expected=expected, got=got, do=do)


def _pair(chosen: Source, rejected: Source) -> Piece:
    shapes = chosen.open().shape, rejected.open().shape
    if len(shapes[0]) != 2 or shapes[0] != shapes[1] or not shapes[0][0]:
        do = "save chosen and rejected vectors row by row"
        raise _wrong(chosen, "two arrays of one shape (n_pairs, n_features)", f"{shapes[0]} and {shapes[1]}", do)
    return Piece((chosen, rejected), shapes[0][0], 2, True, None, chosen.test)


def _rewarded(embeddings: Source, rewards: Source, axes: str) -> Piece:
    shape, given = embeddings.open().shape, rewards.open()
    if len(shape) != 3 or not all(shape):
        do = "save one vector for each prompt and response"
        raise _wrong(embeddings, "shape (n_prompts, n_responses, n_features)", f"{shape}", do)
    first, second = shape[:2]
    if axes == "auto" and first == second:
        do = "say with --axes whether the first axis counts prompts or responses"
        raise _wrong(embeddings, "more prompts than responses, or --axes", f"{shape}", do)
    by_response = axes == "responses" or (axes == "auto" and first < second)
    n_prompts, n_responses = (second, first) if by_response else (first, second)
    values = np.asarray(given[..., 0] if given.ndim == 3 and given.shape[2] == 1 else given)
    if values.shape == (first, second):
        values = values.T if by_response else values
    elif values.shape == (second, first):
        values = values if by_response else values.T
    else:
        do = "give one reward for each vector"
        raise _wrong(rewards, f"rewards of shape ({first}, {second})", f"{given.shape}", do)
    return Piece((embeddings,), n_prompts, n_responses, by_response, _finite(rewards, values), embeddings.test)


def _finite(source: Source, rewards: np.ndarray) -> np.ndarray:
    if rewards.dtype.kind not in "fiu":
        raise _wrong(source, "rewards as numbers", f"dtype {rewards.dtype}", "save them as float32")
    with np.errstate(over="ignore"):
        made = rewards.astype(np.float32)
    if not np.isfinite(made).all():
        expected, got = "rewards that are finite as float32", f"{np.count_nonzero(~np.isfinite(made))} others"
        raise _wrong(source, expected, got, "leave prompts with missing rewards out")
    return made


def columns(found: Sequence[Piece], name: str) -> dict[str, np.ndarray]:
    """Return the columns of the pool of these pieces; ids are digests of the name, the file and the place in it."""
    prompts = [f"{name}/{piece.sources[0].path.name}/{i}" for piece in found for i in range(piece.n_prompts)]
    sizes = np.concatenate([np.full(piece.n_prompts, piece.n_responses) for piece in found])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ids = [_digest(prompt) for prompt in prompts]
    made = {
        "prompt_id": np.array([one[:12] for one in ids], "S14"),
        "category": np.zeros(len(prompts), np.uint8),
        "offsets": offsets.astype(np.int64),
        "response_id": np.array([f"{i:014x}".encode() for i in range(offsets[-1])], "S14"),
        "generator": np.zeros(offsets[-1], np.uint8),
        "length": np.zeros(offsets[-1], np.int32),
    }
    if found[0].rewards is None:
        made["human_pairs"] = np.arange(offsets[-1], dtype=np.int32).reshape(-1, 2)
    else:
        made["gold"] = np.concatenate([piece.rewards.ravel() for piece in found if piece.rewards is not None])
    if any(piece.test for piece in found):
        made["part"] = _stated(found, made["prompt_id"])
    return made


def _digest(text: str) -> bytes:
    return hashlib.sha1(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest().encode()


def _stated(found: Sequence[Piece], ids: np.ndarray) -> np.ndarray:
    test = np.concatenate([np.full(piece.n_prompts, piece.test) for piece in found])
    hashed = np.searchsorted(PARTS[:2], part_of(ids, VALIDATION))  # train 0, validation 1: in the alphabet's order too
    return np.where(test, PARTS.index("test"), hashed).astype(np.uint8)


def blocks(found: Sequence[Piece]) -> tuple[list[dict[str, Any]], dict[str, Path]]:
    """Return the card's blocks, and which file each name in them stands for."""
    files: dict[Path, str] = {}
    listed = []
    for piece in found:
        names = []
        for source in piece.sources:
            linked = files.setdefault(source.path, f"embeddings-{len(files)}{source.path.suffix}")
            names.append(linked + (f"{PARTS_OF_A_NAME}{source.tensor}" if source.tensor else ""))
        by = "response" if piece.by_response else "prompt"
        sizes = {"n_prompts": piece.n_prompts, "n_responses": piece.n_responses}
        listed.append({"files": names, "by": by, **sizes})
    return listed, {name: path for path, name in files.items()}
