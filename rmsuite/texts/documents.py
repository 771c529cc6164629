"""Read documents by category: a folder with a sub-folder for each, or rows of JSON lines or Parquet."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmsuite.errors import InputError
from rmsuite.texts.files import Row, read_rows

EMPTY, HIDDEN = "empty documents", "hidden files"


@dataclass(frozen=True, order=True)
class Document:
    """A text of a category; ``name`` is its own within the category."""

    category: str
    name: str
    text: str


@dataclass(frozen=True)
class Documents:
    """Documents, sorted by category and name, and how many of what were left out."""

    documents: tuple[Document, ...]
    left_out: Counter[str]


@dataclass(frozen=True)
class _Found:
    where: str
    document: Document


def read_documents(source: Path) -> Documents:
    """Read a folder whose sub-folders are categories with UTF-8 files at any depth, or a file of rows.

    Rows have ``category``, ``text`` and, if they like, ``document``, a name of their own; without one they are named by
    the sha256 of their text, which no order of rows moves. Hidden files, and texts of nothing but white space, are left
    out and counted: what is empty has no probability. Links to folders are followed for categories only.

    Raises
    ------
    InputError
        If there is no such file or folder, a document has no category or is not UTF-8, two of a category have one
        name, or none is left.
    """
    left_out: Counter[str] = Counter()
    found = [*(_files(source, left_out) if source.is_dir() else map(_of_row, read_rows(source)))]
    named: dict[tuple[str, str], str] = {}
    for where, one in ((one.where, one.document) for one in found):
        if (one.category, one.name) in named:
            got = f"document {one.name!r} of category {one.category!r} as {named[one.category, one.name]} has it"
            raise _wrong(where, "every document once", got, "remove one, or give them names of their own")
        named[one.category, one.name] = where
    kept = sorted(one.document for one in found if one.document.text.strip())
    left_out[EMPTY] += len(found) - len(kept)
    if not kept:
        do = "give a folder with one sub-folder a category, or rows with category and text"
        raise _wrong(str(source), "documents with text", "none", do)
    return Documents(tuple(kept), +left_out)


def _wrong(who: str, expected: str, got: str, do: str) -> InputError:
    return InputError(who=who, expected=expected, got=got, do=do)


def _files(folder: Path, left_out: Counter[str]) -> Iterator[_Found]:
    for top in sorted(folder.iterdir()):
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            parts = path.relative_to(folder).parts
            if any(part.startswith(".") for part in parts):
                left_out[HIDDEN] += path.is_file()
            elif path.is_file():
                yield _of_file(path, parts)


def _of_file(path: Path, parts: tuple[str, ...]) -> _Found:
    if len(parts) == 1:
        do = "move it into a sub-folder, whose name is its category"
        raise _wrong(str(path), "a document in the folder of a category", "one beside these folders", do)
    category, name = (_utf8(part, ascii(str(path))) for part in (parts[0], "/".join(parts[1:])))
    return _Found(str(path), Document(category, name, _read(path)))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"byte {error.object[error.start]:#04x} at position {error.start + 1}"
        raise _wrong(str(path), "text in UTF-8", got, "save the file as UTF-8, or remove it") from None
    except OSError as error:
        raise _wrong(str(path), "a file that can be read", str(error), "mend its permissions, or remove it") from None


def _of_row(row: Row) -> _Found:
    category, text, name = (row.fields.get(key) for key in ("category", "text", "document"))
    if not isinstance(category, str) or not category.strip():
        raise _wrong(row.where, "a category, as text", _shown(category), "give every row a category")
    if not isinstance(text, str | None):
        raise _wrong(row.where, "text as text", _shown(text), "write the document's text there")
    if isinstance(name, bool) or not isinstance(name, str | int | None) or name == "":
        raise _wrong(row.where, "document as text or a whole number", _shown(name), "name it so, or not at all")
    text = _utf8(text or "", row.where)
    own = hashlib.sha256(text.encode()).hexdigest()[:16] if name is None else _utf8(str(name), row.where)
    return _Found(row.where, Document(_utf8(category, row.where), own, text))


def _utf8(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        got = f"half a character at position {error.start + 1} of {_shown(text)}"
        raise _wrong(where, "text that UTF-8 can hold", got, "mend the text, or remove it") from None
    return text


def _shown(value: Any) -> str:
    return ascii(value)[:80]
