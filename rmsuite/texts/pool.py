"""Lay out examples as a pool: prompts and responses by digests of their texts, so that equal texts have equal ids."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rmsuite.errors import InputError
from rmsuite.splits import PARTS, part_of, ranked_parts
from rmsuite.texts.examples import Example, Response

MERGED = "responses repeated in their prompt (one row each; their rewards are averaged)"
ALONE = "prompts without two responses to compare (kept, but in no pair)"


@dataclass(frozen=True, eq=False)
class TextPool:
    """A pool's columns with the texts of its rows, ``(prompt, response)`` each; ``counts`` says what was noticed.

    ``hashed`` is false where the hash of the ids left a part empty and the column ``part`` states another split.
    """

    columns: Mapping[str, np.ndarray]
    categories: tuple[str, ...]
    generators: tuple[str, ...]
    attributes: tuple[str, ...]
    texts: Sequence[tuple[str, str]]
    counts: Counter[str]
    hashed: bool


def prompt_id(prompt: str) -> bytes:
    """Return the first 12 hex digits of sha1(prompt), as all pools have them."""
    return hashlib.sha1(prompt.encode(), usedforsecurity=False).hexdigest()[:12].encode()


def response_id(prompt: str, generator: str, response: str) -> bytes:
    """Return the first 14 hex digits of sha1(prompt, NUL, generator or nothing, NUL, response)."""
    key = "\0".join((prompt, generator, response)).encode()
    return hashlib.sha1(key, usedforsecurity=False).hexdigest()[:14].encode()


@dataclass(frozen=True, eq=False)
class _Rows:
    """The distinct responses, sorted by prompt and id, and where each of them is said."""

    prompts: list[str]
    offsets: list[int]
    ids: list[bytes]
    said: list[list[Response]]
    place: dict[bytes, int]


def lay_out(examples: Sequence[Example], source: str) -> TextPool:
    """Return the pool of examples; the order of the rows does not move it.

    Raises
    ------
    InputError
        If there are too few prompts with a pair for training, validation and test.
    """
    rows = _rows(examples)
    category = {example.prompt: example.category for example in reversed(examples)}  # the first that a prompt has
    categories = sorted(set(category.values()))
    generators = sorted({said[0].generator or "unknown" for said in rows.said})
    attributes = sorted({name for said in rows.said for one in said for name in one.attributes})
    columns = {
        "prompt_id": np.array([prompt_id(prompt) for prompt in rows.prompts], "S14"),
        "category": _numbers([categories.index(category[prompt]) for prompt in rows.prompts]),
        "offsets": np.array(rows.offsets, np.int64),
        "response_id": np.array(rows.ids, "S14"),
        "generator": _numbers([generators.index(said[0].generator or "unknown") for said in rows.said]),
        "length": np.array([len(said[0].text) for said in rows.said], np.int32),
    }
    columns |= _labels(examples, rows)
    if attributes:
        columns["ratings"] = np.array([[_mean(said, name) for name in attributes] for said in rows.said], np.float32)
    counts, usable = _counts(examples, rows), _usable(columns)
    counts[ALONE] = int(np.count_nonzero(~usable))
    columns |= (stated := _stated_split(columns["prompt_id"], usable, source))
    prompt = np.repeat(np.arange(len(rows.prompts)), np.diff(rows.offsets))
    texts = [(rows.prompts[i], said[0].text) for i, said in zip(prompt, rows.said, strict=True)]
    names = tuple(categories), tuple(generators), tuple(attributes)
    return TextPool(columns, *names, texts, +counts, not stated)


def _rows(examples: Sequence[Example]) -> _Rows:
    found: dict[str, dict[bytes, list[Response]]] = {}
    for example in examples:
        of_prompt = found.setdefault(example.prompt, {})
        for one in example.responses:
            of_prompt.setdefault(response_id(example.prompt, one.generator, one.text), []).append(one)
    prompts = sorted(found, key=prompt_id)
    ids = [key for prompt in prompts for key in sorted(found[prompt])]
    said = [found[prompt][key] for prompt in prompts for key in sorted(found[prompt])]
    offsets = np.concatenate([[0], np.cumsum([len(found[prompt]) for prompt in prompts])]).tolist()
    return _Rows(prompts, offsets, ids, said, {key: place for place, key in enumerate(ids)})


def _numbers(values: list[int]) -> np.ndarray:
    return np.array(values, np.min_scalar_type(max(values)))


def _labels(examples: Sequence[Example], rows: _Rows) -> dict[str, np.ndarray]:
    if examples[0].pair:
        pairs = sorted(
            tuple(rows.place[response_id(example.prompt, one.generator, one.text)] for one in example.responses)
            for example in examples
        )
        return {"human_pairs": np.array(pairs, np.int32)}
    rewards = [[one.reward for one in said if one.reward is not None] for said in rows.said]
    return {"gold": np.array([sum(sorted(values)) / len(values) for values in rewards], np.float32)}


def _mean(said: Iterable[Response], attribute: str) -> float:
    values = sorted(one.attributes[attribute] for one in said if attribute in one.attributes)
    return sum(values) / len(values) if values else float("nan")


def _counts(examples: Sequence[Example], rows: _Rows) -> Counter[str]:
    repeated = 0 if examples[0].pair else sum(len(said) - 1 for said in rows.said)  # pairs may share a response
    return Counter({MERGED: repeated})


def _usable(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return which prompts have a pair, ``(n_prompts,)``."""
    offsets = columns["offsets"]
    if "human_pairs" in columns:
        return np.isin(np.arange(len(offsets) - 1), np.searchsorted(offsets, columns["human_pairs"][:, 0], "right") - 1)
    spread = (columns["gold"][start:stop] for start, stop in pairwise(offsets))
    return np.array([len(gold) > 1 and gold.min() < gold.max() for gold in spread], bool)


def _stated_split(ids: np.ndarray, usable: np.ndarray, source: str) -> dict[str, np.ndarray]:
    """Return no column where the hash of the ids leaves no part without a pair, else the split by rank of the hash."""
    if set(part_of(ids[usable])) == set(PARTS):
        return {}
    if np.count_nonzero(usable) < len(PARTS):
        got = f"{np.count_nonzero(usable)} of {len(ids)}"
        do = "add prompts: training, validation and test need one each, and a table that says something needs hundreds"
        expected = "at least 3 prompts with a better and a worse response"
        raise InputError(who=source, expected=expected, got=got, do=do)
    part = np.zeros(len(ids), np.uint8)  # a prompt without a pair trains nothing
    part[usable] = ranked_parts(ids[usable])
    return {"part": part}
