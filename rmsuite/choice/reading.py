"""Tables that others wrote, as CSV or JSON: lines of text by column, each fault named with file and line."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rmsuite.choice.names import key
from rmsuite.errors import InputError

MISSING = {"", "-", "–", "na", "n/a", "nan", "none", "null"}
MODEL = "model"
NAMED = {"category", "document"}  # these are names too, though in this spelling only
SMALLEST, LARGEST = 1e-60, 1e60  # their squares, and the products of those, are still numbers
# Columns of results and scores whose name means something, in any case; other names stay as they are.
RESERVED = {MODEL, "benchmark", "task", "metric", "score", "method", "family", "publisher", "stage", "after"}
RESERVED |= {"params_b", "pretrain_tokens_t"}
# As people write numbers: with percent signs, with commas.
MEANT = re.compile(r"[-+]?(\d+([.,]\d*)?|\d{1,3}(,\d{3})+(\.\d+)?)\s*%?")
NOT_COMMAS = re.compile(r"model[;|\s]", re.IGNORECASE)  # how a first line begins that other signs divide


class Readable(Protocol):
    """A file: a path, or what ``importlib.resources`` gives for one that is bundled."""

    @property
    def name(self) -> str:
        """Its last part."""
        ...

    def read_bytes(self) -> bytes:
        """Return all of it."""
        ...


@dataclass(frozen=True)
class Line:
    """One line of a table: where it stands, and its cells as text by column."""

    place: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        """Return a cell without spaces around it; empty where the table has no such column."""
        return self.cells.get(column, "").strip()

    def number(self, column: str) -> float:
        """Return a finite number; NaN where there is none.

        Raises
        ------
        InputError
            If the cell holds something else.
        """
        text = self[column]
        if text.lower() in MISSING:
            return math.nan
        if not is_number(text):
            do = "write a plain number, or leave the cell empty"
            raise InputError(who=f"{self.place}, {column}", expected="a finite number", got=repr(text), do=do)
        value = float(text)
        if value and not SMALLEST <= abs(value) <= LARGEST:
            expected, do = f"0, or a size from {SMALLEST:g} to {LARGEST:g}", "take another unit, or correct the table"
            raise InputError(who=f"{self.place}, {column}", expected=expected, got=repr(text), do=do)
        return value


def is_number(text: str) -> bool:
    """Return whether a text is a finite number in plain digits.

    Examples
    --------
    >>> [is_number(text) for text in ("71.2", "-1e-3", "71.2%", "1_0", "inf", "")]
    [True, True, False, False, False, False]
    """
    try:
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def is_meant_as_number(text: str) -> bool:
    """Return whether a text is a number, or what somebody writes who means one.

    Examples
    --------
    >>> [is_meant_as_number(text) for text in ("71.2", "71 %", "71,2", "1,234.5", "7B", "1.2.3", "")]
    [True, True, True, True, False, False, False]
    """
    return is_number(text) or MEANT.fullmatch(text) is not None


def no_file(path: Path) -> str:
    """Return what is at a path instead of a file, in words; empty where a file is."""
    if os.path.isfile(path):  # noqa: PTH113 -- which no name is too long for
        return ""
    return "a folder" if os.path.isdir(path) else "no such file"  # noqa: PTH112


def read_lines(path: Readable) -> list[Line]:
    """Return the lines of a table that has a column ``model``: a CSV file, or a JSON list of objects (or one object).

    The names in ``RESERVED`` are found in any case; lines without any text are left out.

    Raises
    ------
    InputError
        If there is no such file, or it is no such table.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        got = error.strerror or type(error).__name__
        raise InputError(who=_of(path), expected="a readable file", got=got, do="check the path") from None
    except UnicodeDecodeError:
        raise InputError(who=_of(path), expected="text in UTF-8", got="other bytes", do="save it as UTF-8") from None
    lines = _of_json(path, text) if path.name.lower().endswith(".json") else _of_csv(path, text)
    if not lines:
        raise InputError(who=_of(path), expected="a line a model", got="none", do="check the file")
    for line in lines:
        if not key(line[MODEL]):
            got = repr(line[MODEL]) if line[MODEL] else "none"
            raise InputError(who=line.place, expected="the name of a model", got=got, do="name it")
    return lines


def _of(path: Readable) -> str:
    return f"table {path if isinstance(path, Path) else path.name}"


def _of_csv(path: Readable, text: str) -> list[Line]:
    reader = csv.reader(io.StringIO(text, newline=""))  # a cell in quotes may hold ends of lines
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        who, do = f"{_of(path)}, line {reader.line_num}", "check the quotes of this line and before"
        raise InputError(who=who, expected="cells of CSV", got=str(error), do=do) from None
    header = [_column(name) for name in rows[0][1]] if rows else []
    check_columns(_of(path), header)
    for number, row in rows[1:]:
        if len(row) != len(header):
            raise InputError(
                who=f"{_of(path)}, line {number}",
                expected=f"{len(header)} cells, as many as the first line",
                got=f"{len(row)}",
                do="set cells that hold a comma in quotes",
            )
    return [Line(f"{_of(path)}, line {number}", dict(zip(header, row, strict=True))) for number, row in rows[1:]]


def _column(name: str) -> str:
    name = " ".join(name.split())
    return name.lower() if name.lower() in RESERVED else name


def check_columns(who: str, header: Sequence[str]) -> None:
    """Refuse a table without a column ``model``, or with two of one name.

    Raises
    ------
    InputError
        If it is such a table.
    """
    twice = sorted({name for name in header if header.count(name) > 1})
    if MODEL not in header:
        got, do = ", ".join(header) or "no columns", "name the column of the models so"
        if len(header) == 1 and NOT_COMMAS.match(header[0]):
            do = "set commas between the cells"
        raise InputError(who=who, expected=f"a column {MODEL}", got=got, do=do)
    if twice:
        raise InputError(who=who, expected="columns of different names", got=f"{twice[0]!r} twice", do="rename one")


def _of_json(path: Readable, text: str) -> list[Line]:
    try:
        found = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise InputError(who=_of(path), expected="JSON", got=str(error), do="check the file") from None
    rows = found if isinstance(found, list) else [found]
    return [_of_object(f"{_of(path)}, object {number}", row) for number, row in enumerate(rows, 1)]


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{max(names, key=names.count)!r} twice in one object")
    return found


def _of_object(place: str, row: Any) -> Line:
    if not isinstance(row, dict):
        got, do = type(row).__name__, "write a list of objects, one a model"
        raise InputError(who=place, expected="an object", got=got, do=do)
    names = [_column(name) for name in row]
    check_columns(place, names)
    cells = dict(zip(names, row.values(), strict=True))
    for name in (RESERVED | NAMED) & set(cells):
        if isinstance(cells[name], dict | list | bool):
            got, do = type(cells[name]).__name__, "write it so"
            raise InputError(who=f"{place}, {name}", expected="text or a number", got=got, do=do)
    return Line(place, {name: "" if value is None else str(value) for name, value in cells.items()})


def numeric(lines: Sequence[Line], apart: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the columns that hold numbers and those that hold none, in the table's order, without those ``apart``.

    A column that holds a number anywhere, or what is meant as one, holds numbers everywhere: what else stands in it is
    a fault, found when it is read. A column without any cell that is filled holds none.

    Raises
    ------
    InputError
        If a column with something in it has no name: programs write the numbers of lines so.
    """
    names = dict.fromkeys(name for line in lines for name in line.cells)
    if unnamed := next((line for line in lines if line[""]), None):
        got, do = f"{unnamed['']!r} in one without", "name that column, or leave it out"
        raise InputError(who=unnamed.place, expected="a name for every column", got=got, do=do)
    open_ = [name for name in names if name not in set(apart)]
    held = [name for name in open_ if any(is_meant_as_number(line[name]) for line in lines)]
    return held, [name for name in open_ if name not in held]
