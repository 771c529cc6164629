"""Listings: what a folder of tasks has beside it that is too large for its package, by name, size and sha256.

A folder that the hook ``rmsuite_tasks`` names may hold a file ``more.toml``: ``format = 1`` and a list ``items``, each
with ``name``, ``what`` it is in words, the names of the items that it ``needs``, and ``files``: by path, as in a
folder of tasks, the size in bytes, a space, and the sha256.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rmsuite.errors import TaskError, unknown_name
from rmsuite.pool_files import sha256
from rmsuite.pools import read_card

LISTING, FORMAT = "more.toml", 1
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@=+-]*")  # of a file or folder: none that is hidden, or leads upwards
KINDS: Mapping[str, type] = {"name": str, "what": str, "needs": list, "files": dict}  # of an item's fields


@dataclass(frozen=True)
class Listed:
    """A file as a listing has it: ``path`` relative to a folder of tasks, ``size`` in bytes."""

    path: str
    size: int
    sha256: str

    def is_in(self, folder: Path) -> bool:
        """Return whether the file lies in a folder, whole."""
        path = folder / self.path
        return path.is_file() and path.stat().st_size == self.size and sha256(path) == self.sha256


@dataclass(frozen=True)
class Item:
    """What one can ask for by name; it comes with all that it needs."""

    name: str
    what: str
    needs: tuple[str, ...]
    files: tuple[Listed, ...]

    @property
    def size(self) -> int:
        """Bytes of its own files."""
        return sum(file.size for file in self.files)


def read_all(roots: Iterable[Path]) -> dict[str, Item]:
    """Return the items of all listings in some folders, by name.

    Raises
    ------
    TaskError
        If a listing is malformed, has a path that leaves the folder, or two have one name or path.
    """
    items: dict[str, Item] = {}
    paths: set[str] = set()
    for listing in (root / LISTING for root in roots):
        for item in _read(listing) if listing.is_file() else ():
            twice = [item.name] * (item.name in items) + [file.path for file in item.files if file.path in paths]
            if twice:
                raise _wrong(listing, "every name and path once in all listings", f"{twice[0]!r} again")
            items[item.name] = item
            paths |= {file.path for file in item.files}
    return items


def _read(listing: Path) -> list[Item]:
    card = read_card(listing)
    if card.get("format") != FORMAT or not isinstance(card.get("items"), list):
        raise _wrong(listing, f"format {FORMAT} and a list of items", f"format {card.get('format')!r}")
    items = [_item(listing, fields) for fields in card["items"]]
    names = {item.name for item in items}
    for item in items:
        if not set(item.needs) <= names:
            raise _wrong(listing, "items that need items of the listing", f"{item.name} needs {sorted(item.needs)}")
    return items


def _item(listing: Path, fields: Any) -> Item:
    if not isinstance(fields, dict) or {key: type(value) for key, value in fields.items()} != dict(KINDS):
        raise _wrong(listing, f"items with {', '.join(f'{k} ({t.__name__})' for k, t in KINDS.items())}", f"{fields!r}")
    files = [_listed(listing, path, said) for path, said in fields["files"].items()]
    return Item(fields["name"], fields["what"], tuple(map(str, fields["needs"])), tuple(files))


def _listed(listing: Path, path: str, said: Any) -> Listed:
    if not all(NAME.fullmatch(part) for part in path.split("/")):
        expected = "paths within the folder of tasks, in letters, digits and _.@=+-"
        raise _wrong(listing, expected, repr(path))
    match = re.fullmatch(r"(0|[1-9]\d{0,14}) ([0-9a-f]{64})", str(said))
    if not match:
        raise _wrong(listing, f"size and sha256 of {path}", repr(said))
    return Listed(path, int(match[1]), match[2])


def _wrong(listing: Path, expected: str, got: str) -> TaskError:
    return TaskError(who=f"listing {listing}", expected=expected, got=got, do="reinstall the plugin that has it")


def chosen(items: Mapping[str, Item], names: Iterable[str]) -> list[Item]:
    """Return the items of these names, each once; a name may be a pattern as shells have it: ``pool/*``.

    Raises
    ------
    UnknownNameError
        If a name or a pattern fits none.
    """
    found: dict[str, Item] = {}
    for name in names:
        fitting = {known: item for known, item in items.items() if known == name or fnmatchcase(known, name)}
        if not fitting:
            raise unknown_name("item", name, items, "see `rmsuite fetch`")
        found |= fitting
    return list(found.values())


def files_of(item: Item, items: Mapping[str, Item]) -> list[Listed]:
    """Return the files of an item and of all that it needs, cards last: what they speak of is there before them."""
    needed: dict[str, Item] = {}
    pending = [item.name]
    while pending:
        name = pending.pop()
        if name not in needed:
            needed[name] = items[name]
            pending += items[name].needs
    return in_order(file for one in needed.values() for file in one.files)


def in_order(files: Iterable[Listed]) -> list[Listed]:
    """Return files, each once, in the order in which they are fetched: data, cards of pools, cards of tasks."""
    return sorted(set(files), key=lambda file: (file.path.endswith(".toml"), *_depth_first(file.path)))


def _depth_first(path: str) -> Sequence[Any]:
    return -path.count("/"), path
