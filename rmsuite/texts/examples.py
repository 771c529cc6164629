"""One row of a user's file as one example: a prompt, its responses, and which is better or what each is worth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rmsuite.errors import InputError
from rmsuite.texts.dialogues import said, split_off
from rmsuite.texts.files import Row

READ = {"prompt", "chosen", "rejected", "responses", "rewards", "ratings", "attributes", "category", "id"}
WRITERS = {"model", "generator", "models", "generators", "chosen_model", "rejected_model"}
FORMS = "prompt, chosen, rejected; chosen, rejected; or prompt, responses, rewards"
LARGEST = float(np.finfo(np.float32).max)  # pools hold float32
EQUAL = "rows whose chosen equals rejected"
NO_PROMPT = "rows with an empty prompt"
EMPTY = "empty responses"
NO_REWARD = "responses without a reward (missing or NaN)"


@dataclass(frozen=True)
class Response:
    """A response as a row gives it; ``attributes`` holds the ratings that are there."""

    text: str
    generator: str = ""
    reward: float | None = None
    attributes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """What one row says; of a pair the first response is the chosen one and the second the rejected one."""

    where: str
    prompt: str
    category: str
    responses: tuple[Response, ...]
    pair: bool


@dataclass(frozen=True)
class Examples:
    """All examples of a file, and how much was left out for which reason; ``unread`` are fields that say nothing."""

    examples: list[Example]
    left_out: Counter[str]
    unread: list[str]


def read_examples(rows: Iterable[Row], source: str) -> Examples:
    """Return the examples of rows.

    Raises
    ------
    InputError
        If a row is wrong, an id is there twice, pairs and rewards are mixed, or nothing is left.
    """
    left_out: Counter[str] = Counter()
    unread: dict[str, None] = {}
    examples: list[Example] = []
    ids: dict[str, str] = {}
    for row in rows:
        fields = {name: value for name, value in row.fields.items() if value is not None}
        unread |= dict.fromkeys(name for name in fields if name not in READ | WRITERS)
        if (key := fields.get("id")) is not None and ids.setdefault(repr(key), row.where) != row.where:
            got, do = f"{key!r} again, as in {ids[repr(key)]}", "give each row its own id, or leave the field out"
            raise InputError(who=row.where, expected="an id of its own", got=got, do=do)
        examples += _kept(_example(row.where, fields), left_out)
    if not examples:
        got = f"none ({_listed(left_out)})" if left_out else "an empty file"
        raise InputError(who=source, expected=f"rows with {FORMS}", got=got, do="check the file")
    for example in examples:
        if example.pair != examples[0].pair:
            got = f"{'a pair' if example.pair else 'rewards'} after {examples[0].where}"
            do = "put pairs and rewards into files of their own"
            raise InputError(who=example.where, expected="rows of one form", got=got, do=do)
    return Examples(examples, left_out, list(unread))


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{n:,} {reason}" for reason, n in counts.items())


def _kept(example: Example, left_out: Counter[str]) -> Iterator[Example]:
    if not example.prompt.strip():
        left_out[NO_PROMPT] += 1
        return
    written = tuple(r for r in example.responses if r.text.strip())
    rewarded = written if example.pair else tuple(r for r in written if r.reward is not None)
    left_out += Counter({EMPTY: len(example.responses) - len(written), NO_REWARD: len(written) - len(rewarded)})
    if example.pair and len(rewarded) == 2 and rewarded[0].text == rewarded[1].text:
        left_out[EQUAL] += 1
    elif rewarded and (len(rewarded) == 2 or not example.pair):
        yield replace(example, responses=rewarded)


def _example(where: str, fields: dict[str, Any]) -> Example:
    prompt = said(where, "prompt", fields["prompt"]) if "prompt" in fields else None
    category = _name(where, "category", fields.get("category", "all"))
    if "chosen" in fields and "rejected" in fields:
        both = [said(where, name, fields[name]) for name in ("chosen", "rejected")]
        text, (chosen, rejected) = split_off(where, prompt, both)
        first, second = _pair_writers(where, fields)
        return Example(where, text, category, (Response(chosen, first), Response(rejected, second)), True)
    if "responses" in fields and ("rewards" in fields or "ratings" in fields):
        return _rated(where, fields, prompt, category)
    got = f"the fields {', '.join(sorted(fields)) or '(none)'}"
    raise InputError(who=where, expected=f"the fields {FORMS}", got=got, do="rename the fields, or mend the row")


def _rated(where: str, fields: dict[str, Any], prompt: Any, category: str) -> Example:
    given = _listlike(where, "responses", fields["responses"])
    if not given:
        raise InputError(who=where, expected="responses", got="an empty list", do="leave the row out")
    text, responses = split_off(where, prompt, [said(where, "responses", one) for one in given])
    name = "rewards" if "rewards" in fields else "ratings"
    rewards = _numbers(where, name, fields[name], len(given))
    attributes = fields.get("attributes", {})
    if not isinstance(attributes, dict):
        do = "write attributes as names with a list of numbers each"
        raise InputError(who=where, expected="attributes by name", got=repr(attributes)[:80], do=do)
    rated = {
        _name(where, "an attribute", key): _numbers(where, key, values, len(given))
        for key, values in attributes.items()
        if values is not None
    }
    writers = _writers(where, fields, len(given))
    made = (
        Response(response, writer, reward, {k: x for k, values in rated.items() if (x := values[i]) is not None})
        for i, (response, writer, reward) in enumerate(zip(responses, writers, rewards, strict=True))
    )
    return Example(where, text, category, tuple(made), False)


def _listlike(where: str, name: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        do = f"write {name} as a list, one entry a response"
        raise InputError(who=where, expected=f"{name} as a list", got=repr(value)[:80], do=do)
    return value


def _numbers(where: str, name: str, value: Any, n: int) -> list[float | None]:
    values = _listlike(where, name, value)
    if len(values) != n:
        got, do = f"{len(values)} for {n} responses", f"give one of {name} for each response, null where it is missing"
        raise InputError(who=where, expected=f"as many {name} as responses", got=got, do=do)
    wrong = [x for x in values if not (x is None or (isinstance(x, int | float) and not isinstance(x, bool)))]
    wrong += [x for x in values if isinstance(x, int | float) and abs(x) > LARGEST]
    if wrong:
        do = f"write numbers within float32 in {name}, null where one is missing"
        raise InputError(who=where, expected=f"numbers in {name}", got=repr(wrong[0])[:80], do=do)
    return [None if x is None or math.isnan(x) else float(x) for x in values]


def _name(where: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(who=where, expected=f"{name} as text", got=repr(value)[:80], do=f"write {name} as a text")
    return value.encode("utf-8", "replace").decode().strip()


def _pair_writers(where: str, fields: dict[str, Any]) -> tuple[str, str]:
    both = fields.get("generator", fields.get("model", ""))
    given = (fields.get(f"{side}_model", both) for side in ("chosen", "rejected"))
    first, second = (_writer(where, "model", one) for one in given)
    return first, second


def _writers(where: str, fields: dict[str, Any], n: int) -> list[str]:
    name = next((name for name in ("generators", "generator", "models", "model") if name in fields), "")
    given = fields[name] if name else ""
    values = [given] * n if isinstance(given, str) else _listlike(where, name, given)
    if len(values) != n:
        got, do = f"{len(values)} for {n} responses", f"give one of {name} for each response, or one text"
        raise InputError(who=where, expected=f"as many {name} as responses", got=got, do=do)
    return [_writer(where, name, one) for one in values]


def _writer(where: str, name: str, value: Any) -> str:
    return "" if value in ("", None) else _name(where, name, value)
