r"""Texts and lists of chat turns as plain prompts and responses, in one form, so that equal prompts have equal ids.

A prompt of one user turn is its text alone; one of more turns reads ``\n\nHuman: ...\n\nAssistant: ...`` and ends
with ``\n\nAssistant:``, the form of hh-rlhf. A response of one turn is its text alone.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from rmsuite.errors import InputError

ROLES = {"user": "Human", "human": "Human", "assistant": "Assistant", "gpt": "Assistant", "system": "System"}
MARK = "Assistant:"


class Turn(NamedTuple):
    """One turn of a chat."""

    role: str
    text: str


Said = str | tuple[Turn, ...]


def said(where: str, name: str, value: Any) -> Said:
    """Return a text, or a list of chat turns ``{role, content}``, checked.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, list) and value and all(isinstance(turn, dict) for turn in value):
        return tuple(_turn(where, name, turn) for turn in value)
    got = f"{name} = {repr(value)[:80]}" if value is not None else f"no {name}"
    do = f"write {name} as a text, or as chat turns with role and content"
    raise InputError(who=where, expected=f"{name} as text or list of chat turns", got=got, do=do)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate has no bytes


def _turn(where: str, name: str, turn: dict[str, Any]) -> Turn:
    role, content = turn.get("role", turn.get("from")), turn.get("content", turn.get("value"))
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(role, str) or not isinstance(content, str):
        do = "give each turn a role and a content, both text"
        raise InputError(who=where, expected=f"chat turns in {name}", got=repr(turn)[:80], do=do)
    return Turn(ROLES.get(role.lower(), role), _clean(content))


def as_prompt(prompt: Said) -> str:
    r"""Return a prompt's text.

    Examples
    --------
    >>> as_prompt((Turn("Human", "Hi"),)), as_prompt((Turn("System", "Be brief."), Turn("Human", "Hi")))
    ('Hi', '\n\nSystem: Be brief.\n\nHuman: Hi\n\nAssistant:')
    """
    if isinstance(prompt, str):
        alone = re.fullmatch(r"\s*Human:(.*?)\s*Assistant:\s*", prompt, re.DOTALL)
        single = alone and "\n\nHuman:" not in alone[1] and "\n\nAssistant:" not in alone[1]
        return alone[1].strip() if alone and single else prompt
    if len(prompt) == 1 and prompt[0].role == "Human":
        return prompt[0].text
    return "".join(f"\n\n{turn.role}: {turn.text}" for turn in prompt) + f"\n\n{MARK}"


def as_response(response: Said) -> str:
    """Return a response's text: of one turn the text alone, of more turns all that follows the prompt."""
    if isinstance(response, str):
        return response
    if len(response) == 1:
        return response[0].text
    return "".join(f"\n\n{turn.role}: {turn.text}" for turn in response).strip()


def split_off(where: str, prompt: Said | None, responses: list[Said]) -> tuple[str, list[str]]:
    """Return the prompt's text and the responses' texts.

    Without a prompt, it is what the responses share: chat turns at the beginning, but never a whole response; of texts
    the common beginning up to and with its last ``Assistant:``. With a prompt, responses as chat lists that begin with
    a turn of the user or the system are whole dialogues, whose shared turns are the prompt.

    Raises
    ------
    InputError
        If texts without a prompt share no beginning with ``Assistant:``, or texts are mixed with chat turns.
    """
    chats = [response for response in responses if not isinstance(response, str)]
    texts = [response for response in responses if isinstance(response, str)]
    if len(chats) == len(responses) and (prompt is None or all(chat[0].role in ("Human", "System") for chat in chats)):
        shared = _shared_turns(chats)
        if not shared:
            raise _nothing_shared(where, "chat turns")
        return as_prompt(shared), [as_response(chat[len(shared) :]) for chat in chats]
    if prompt is not None:
        return as_prompt(prompt), [as_response(response) for response in responses]
    if chats:
        do = "write them all as texts, or all as chat turns"
        raise InputError(who=where, expected="responses of one form", got="texts and chat turns", do=do)
    start = _shared_text(texts)
    if not start:
        raise _nothing_shared(where, f"text with '{MARK}'")
    return as_prompt(start), [text[len(start) :].strip() for text in texts]


def _nothing_shared(where: str, what: str) -> InputError:
    do = "give the prompt in the field prompt"
    return InputError(who=where, expected=f"a prompt, or responses that begin with the same {what}", got="none", do=do)


def _shared_turns(chats: list[tuple[Turn, ...]]) -> tuple[Turn, ...]:
    longest, same = min(map(len, chats)) - 1, 0
    while same < longest and len({chat[same] for chat in chats}) == 1:
        same += 1
    if len(set(chats)) > 1:
        return chats[0][:same]
    return chats[0][:-1]  # equal responses: the last turn is what they say


def _shared_text(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    place = first.rfind(MARK, 0, same)
    return first[: place + len(MARK)] if place >= 0 else ""
