"""From texts to tokens: special tokens around a prompt and a response, one rule of truncation, padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmsuite import RmsuiteError

CHARACTERS = 40_000  # far more than any length limit holds; what lies beyond is dropped before tokenising
MARKS = ("rmsuiteprompt", "rmsuiteresponse")


@dataclass(frozen=True)
class Frame:
    """The tokens that stand before the prompt, between prompt and response, and after the response.

    ``segments`` are the token types of these three, and in second and fourth place of prompt and response.
    """

    head: tuple[int, ...]
    middle: tuple[int, ...]
    tail: tuple[int, ...]
    segments: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)

    def __len__(self) -> int:
        return len(self.head) + len(self.middle) + len(self.tail)


@dataclass(frozen=True)
class Tokens:
    """A framed pair; the response's own tokens are ``ids[first:end]``."""

    ids: tuple[int, ...]
    segments: tuple[int, ...]
    first: int
    end: int


def fit_pair(prompt: list[int], response: list[int], room: int, floor: int) -> tuple[list[int], list[int]]:
    """Cut a tokenised pair to ``room`` tokens: the response keeps its first ones, the prompt its last ones.

    A prompt keeps at least ``floor`` tokens, or all where it has fewer: the question that is answered stands at the
    end of a dialogue.

    Examples
    --------
    >>> fit_pair([1, 2, 3], [4, 5, 6, 7], room=5, floor=2)
    ([2, 3], [4, 5, 6])
    """
    response = response[: room - min(len(prompt), floor)]
    kept = room - len(response)
    return prompt[len(prompt) - min(len(prompt), kept) :], response


def pair_frame(tokenizer: Any) -> Frame:
    """Return the frame that the tokenizer puts around a text pair."""
    probe = tokenizer("a", "b")
    sides, ids = probe.sequence_ids(0), probe["input_ids"]
    types = probe.get("token_type_ids", [0] * len(ids))
    a, b = sides.index(0), sides.index(1)
    a_end, b_end = len(sides) - sides[::-1].index(0), len(sides) - sides[::-1].index(1)
    cuts = [(0, a), (a, a_end), (a_end, b), (b, b_end), (b_end, len(ids))]
    head, _, middle, _, tail = (tuple(ids[start:end]) for start, end in cuts)
    segments = tuple(types[start] if start < end else 0 for start, end in cuts)
    return Frame(head, middle, tail, segments)  # type: ignore[arg-type]


def joined_frame(tokenizer: Any) -> Frame:
    """Return the frame of one text: what the tokenizer puts around it, and an empty line in the middle."""
    probe = tokenizer("a")
    sides, ids = probe.sequence_ids(0), probe["input_ids"]
    start, end = sides.index(0), len(sides) - sides[::-1].index(0)
    return Frame(tuple(ids[:start]), tuple(plain_ids(tokenizer, "\n\n")), tuple(ids[end:]))


def chat_frame(tokenizer: Any) -> Frame:
    """Return the frame of the tokenizer's chat template, up to the token that ends the assistant's turn.

    Raises
    ------
    RmsuiteError
        If the template does not show both texts once and in order.
    """
    roles = zip(("user", "assistant"), MARKS, strict=True)
    shown = tokenizer.apply_chat_template([{"role": role, "content": mark} for role, mark in roles], tokenize=False)
    head, found, rest = shown.partition(MARKS[0])
    middle, found_too, tail = rest.partition(MARKS[1])
    if not (found and found_too) or any(mark in head + middle + tail for mark in MARKS):
        do = "give chat=false"
        raise RmsuiteError(who="chat template", expected="prompt and response, once each", got=repr(shown), do=do)
    return Frame(*(tuple(plain_ids(tokenizer, part)) for part in (head, middle, tail.rstrip())))


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of a text without special tokens around it."""
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def framed(tokenizer: Any, frame: Frame, prompt: str, response: str, max_tokens: int, floor: int) -> Tokens:
    """Tokenise a pair, cut it and put the frame around it."""
    both = plain_ids(tokenizer, prompt[-CHARACTERS:]), plain_ids(tokenizer, response[:CHARACTERS])
    asked, answered = fit_pair(*both, room=max_tokens - len(frame), floor=floor)
    parts = (frame.head, asked, frame.middle, answered, frame.tail)
    ids = tuple(token for part in parts for token in part)
    segments = tuple(kind for part, kind in zip(parts, frame.segments, strict=True) for _ in part)
    first = len(frame.head) + len(asked) + len(frame.middle)
    return Tokens(ids, segments, first, first + len(answered))


@dataclass(frozen=True, eq=False)
class Batch:
    """Padded pairs: their places ``rows``, and ``ids``, ``segments``, ``seen``, ``response``, ``(n, width)`` int64."""

    rows: np.ndarray
    ids: np.ndarray
    segments: np.ndarray
    seen: np.ndarray
    response: np.ndarray


def batches(inputs: Sequence[Tokens], size: int, pad: int) -> Iterator[Batch]:
    """Yield batches of pairs of like length, short ones first; ties keep their order."""
    order = np.argsort([len(one.ids) for one in inputs], kind="stable")
    for start in range(0, len(order), size):
        yield _batch(order[start : start + size], inputs, pad)


def _batch(rows: np.ndarray, inputs: Sequence[Tokens], pad: int) -> Batch:
    width = max(len(inputs[row].ids) for row in rows)
    segments, seen, response = (np.zeros((len(rows), width), np.int64) for _ in range(3))
    ids = np.full_like(seen, pad)
    for at, row in enumerate(rows):
        one = inputs[row]
        ids[at, : len(one.ids)] = one.ids
        segments[at, : len(one.ids)] = one.segments
        seen[at, : len(one.ids)] = 1
        response[at, one.first : one.end] = 1
    return Batch(rows, ids, segments, seen, response)


def pool(states: np.ndarray, batch: Batch, pooling: str) -> np.ndarray:
    """Pool hidden states ``(n, width, n_features)`` to ``(n, n_features)`` float32.

    ``mean`` is over the response's tokens; a response without a single one (spaces only, say) gets zeros. ``last`` is
    the last token of all, the end of the assistant's turn where the frame has one.
    """
    if pooling == "last":
        return np.asarray(states[np.arange(len(states)), batch.seen.sum(1) - 1], np.float32)
    mask = batch.response.astype(np.float32)
    # One product a row: a sum over another shape could round in another order.
    sums = np.stack([weights @ row for weights, row in zip(mask, states, strict=True)])
    return np.asarray(sums / np.maximum(mask.sum(1, keepdims=True), 1), np.float32)
