"""When two spellings name one model: case, separators and the organisation before the slash tell no models apart.

Nor does what cannot be seen: forms of Unicode that look alike, and characters of no width.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SEPARATORS = re.compile(r"[-_.\s]+")


def key(name: str) -> str:
    """Return what spellings of one model have in common.

    Examples
    --------
    >>> key("Qwen/Qwen2.5-7B_Instruct") == key("qwen2.5-7b-instruct")
    True
    >>> key("stablelm-2-1_6b-chat"), key("gemma-2-2b") == key("gemma-2b")
    ('stablelm-2-1-6b-chat', False)
    """
    last = SEPARATORS.sub("-", _seen(name).rsplit("/", 1)[-1].lower()).strip("-")
    return unicodedata.normalize("NFC", last)  # lower case may come apart again


def _seen(name: str) -> str:
    shown = (one for one in unicodedata.normalize("NFKC", name) if unicodedata.category(one) != "Cf")
    return "".join(shown).strip()


def organisation(name: str) -> str:
    """Return the organisation before the slash, in the same way; empty where there is none."""
    return key(_seen(name).rsplit("/", 1)[0]) if "/" in _seen(name) else ""


@dataclass(frozen=True)
class Spellings:
    """The models that a table names, each under one name, and how it was spelled.

    Attributes
    ----------
    of : mapping of str to str
        Each spelling, and the first spelling of the same model.
    again : tuple of str
        Further spellings of models that were named before.
    """

    of: Mapping[str, str]
    again: tuple[str, ...]


def spellings(names: Iterable[str]) -> Spellings:
    """Return which names are one model.

    Names of one key are, unless two organisations stand before them: then each organisation has a model of its own,
    and a name without one is a further model.
    """
    distinct = list(dict.fromkeys(names))
    owners: dict[str, set[str]] = {}
    for name in distinct:
        owners.setdefault(key(name), set()).add(organisation(name))
    first: dict[tuple[str, str], str] = {}
    of = {}
    for name in distinct:
        several = len(owners[key(name)] - {""}) > 1
        of[name] = first.setdefault((key(name), organisation(name) if several else ""), name)
    return Spellings(of, tuple(name for name in distinct if of[name] != name))


def matches(name: str, known: Iterable[str]) -> list[str]:
    """Return the models that a name may mean: those of its key, of its own organisation where one of them is.

    A name without an organisation may mean any; a name of another organisation is another model.

    Examples
    --------
    >>> matches("b/m-1", ["a/m_1", "b/M-1"]), matches("m-1", ["a/m_1", "b/M-1"]), matches("c/m-1", ["m-1", "a/m-1"])
    (['b/M-1'], ['a/m_1', 'b/M-1'], ['m-1'])
    """
    alike = [one for one in known if key(one) == key(name)]
    own = organisation(name)
    same = [one for one in alike if own and organisation(one) == own]
    return same or [one for one in alike if not own or not organisation(one)]
