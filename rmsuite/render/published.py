"""Take a published table back: from any text that ``render`` wrote, also with prose around it."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import takewhile
from typing import Any

from rmsuite import signature
from rmsuite.errors import ResultsError
from rmsuite.render import latex, markdown
from rmsuite.render.cells import GAP, MARK, TOWARDS
from rmsuite.render.comma_separated import FIELDS, unguarded

LINE = r"Signature: +(`*)(rmsuite:.*?)\1\s*"
HEADER = re.compile(rf"(\S+?)(?: %)? (?:{'|'.join(TOWARDS.values())})")
CELL = re.compile(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\](?: ([a-z0-9]+))?")
TEXT_RULE = re.compile(r"( *)-+(?:  -+)+ *")
MARKDOWN_RULE = re.compile(r"( *)\|[-:| ]*--[-:| ]*\| *")


@dataclass(frozen=True)
class PublishedCell:
    """A value with its interval: as printed, or, in CSV and JSON, in full as floats; and the letters of its tie group.

    Examples
    --------
    >>> print(PublishedCell("82.4", "81.1", "83.6", "ab"))
    82.4 [81.1, 83.6]
    """

    value: str | float
    low: str | float
    high: str | float
    letters: str = ""

    def __str__(self) -> str:
        return f"{self.value} [{self.low}, {self.high}]"


@dataclass(frozen=True)
class PublishedRow:
    """A row as published: its cell of each metric, ``None`` for a gap; ``marked`` as of another protocol or not."""

    method: str
    kind: str
    cells: Mapping[str, PublishedCell | None]
    marked: bool = False


@dataclass(frozen=True)
class PublishedTable:
    """The table of one task, with its signature and the style it was printed in."""

    task: str
    signature: str
    style: str
    rows: tuple[PublishedRow, ...]

    @property
    def seed(self) -> int:
        """The root seed that the signature says; raises ``ResultsError`` if it says none."""
        return self._numbers("seed", r"-?[0-9]{1,20}")[0]

    @property
    def repetitions(self) -> list[int]:
        """The repetitions that the signature says; raises ``ResultsError`` if it says none."""
        return self._numbers("repetitions", r"[0-9]{1,5}(,[0-9]{1,5})*")

    def _numbers(self, part: str, form: str) -> list[int]:
        said = signature.read(self.signature).get(part, "")
        if not re.fullmatch(form, said):
            do = "give the table as it was printed, with its signature"
            who = f"signature of the table of {self.task}"
            raise ResultsError(who=who, expected=f"whole numbers in its part {part!r}", got=said or "none", do=do)
        return [int(number) for number in said.split(",")]


@dataclass(frozen=True)
class _Printed:
    """The cells of a table that people read: the header first."""

    signature: str
    lines: Sequence[Sequence[str]]


def read_published(text: str) -> list[PublishedTable]:
    """Return the tables of tasks in a text; those over all tasks are left out, they follow from the others.

    Raises
    ------
    ResultsError
        If the text holds no such table, or one without its signature.
    """
    text = text.removeprefix("\ufeff")
    for reader in _readers(text):
        found = [table for table in reader(text) if table.rows]
        if found:
            return found
    raise ResultsError(
        who="published table",
        expected="a table that rmsuite printed, with its line `Signature: rmsuite:...`",
        got="a signature without a table" if "rmsuite:" in text else "no signature",
        do="give the whole output of `rmsuite table` in any format, or the file that holds it",
    )


def _readers(text: str) -> list[Callable[[str], Iterator[PublishedTable]]]:
    if text.lstrip().startswith("{"):
        return [_from_json]
    return [_from_csv] if text.startswith(",".join(FIELDS[:4])) else [_from_html, _from_latex, _from_lines]


def _damaged(style: str, error: Exception) -> ResultsError:
    return ResultsError(
        who="published table",
        expected=f"{style} as `rmsuite table` prints it",
        got=f"{type(error).__name__}: {error}",
        do="give the output as it was written",
    )


def _from_json(text: str) -> Iterator[PublishedTable]:
    try:
        for table in json.loads(text)["tables"]:
            rows = tuple(
                PublishedRow(row["method"], row["kind"], _json_cells(row), bool(row.get("mark")))
                for row in table["rows"]
            )
            yield PublishedTable(table["task"], table["signature"], "json", rows)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged("JSON", error) from None


def _json_cells(row: Mapping[str, Any]) -> dict[str, PublishedCell | None]:
    letters = {name: standing["letters"] for name, standing in row["standings"].items() if standing}
    estimates = row["estimates"].items()
    return {name: _in_full(e, letters.get(name, "")) if e else None for name, e in estimates}


def _in_full(numbers: Mapping[str, Any], letters: str) -> PublishedCell:
    return PublishedCell(float(numbers["value"]), float(numbers["low"]), float(numbers["high"]), letters)


def _from_csv(text: str) -> Iterator[PublishedTable]:
    tables: dict[str, list[dict[str, str]]] = {}
    try:
        found = csv.DictReader(io.StringIO(text, newline=""))
        for line in takewhile(lambda line: line["task"] != "task", found):  # another header: that of policies
            if "aggregate" not in signature.read(line["signature"]):
                tables.setdefault(unguarded(line["task"]), []).append(line)
        for task, lines in tables.items():
            yield PublishedTable(task, _shared_signature(lines), "csv", _csv_rows(lines))
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise _damaged("CSV", error) from None


def _shared_signature(lines: Sequence[Mapping[str, str]]) -> str:
    """Return the part of the numbers' signatures that belongs to the table."""
    parts = signature.read(lines[0]["signature"])
    return signature.write({key: value for key, value in parts.items() if key not in ("metric", "tie")})


def _csv_rows(lines: Sequence[Mapping[str, str]]) -> tuple[PublishedRow, ...]:
    rows: dict[str, tuple[str, bool, dict[str, PublishedCell | None]]] = {}
    for line in lines:
        *_, cells = rows.setdefault(unguarded(line["method"]), (line["kind"], bool(line["mark"]), {}))
        cells[line["metric"]] = _in_full(line, line["letters"]) if line["value"] else None
    return tuple(PublishedRow(method, kind, cells, marked) for method, (kind, marked, cells) in rows.items())


def _from_lines(text: str) -> Iterator[PublishedTable]:
    """Read the text and the Markdown form: a header, a rule of dashes, rows up to an empty line, a signature below."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        for style, rule, split in (("text", TEXT_RULE, _split_text), ("markdown", MARKDOWN_RULE, _split_markdown)):
            found = rule.fullmatch(line)
            headers = [above for above in lines[max(0, number - 2) : number] if found and _is_header(above, style)]
            if found and headers:
                below = lines[number + 1 :]
                cells = [split(headers[0]), *map(split, _until_empty(below))]
                yield from _tables(style, [_Printed(_signature_below(below, found[1]), cells)])


def _is_header(line: str, style: str) -> bool:
    words = line.strip().removeprefix("| ") if style == "markdown" else line.strip()
    return words.startswith("method ") and HEADER.search(words) is not None


def _until_empty(lines: Sequence[str]) -> Sequence[str]:
    return lines[: next((number for number, line in enumerate(lines) if not line.strip()), len(lines))]


def _signature_below(lines: Sequence[str], indent: str) -> str:
    """Return the signature under a table, unless another table begins first; lines that notes wrap to are indented."""
    line = re.compile(rf"{indent}(?:[-*+] +)?{LINE}")
    for number, below in enumerate(lines):
        if found := line.fullmatch(below):
            return found[2]
        if number and any(_is_header(below, style) for style in ("text", "markdown")):
            return ""
    return ""


def _split_text(line: str) -> list[str]:
    return re.split(" {2,}", line.strip())


def _split_markdown(line: str) -> list[str]:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)((?:\\\\)*)\|", line)]
    # Every second piece is the backslashes before a bar: they end the cell before it.
    joined = [cell + slashes for cell, slashes in zip(cells[::2], [*cells[1::2], ""], strict=True)]
    return [markdown.unescaped(re.sub(r"^\*\*(.*)\*\*$", r"\1", cell)) for cell in joined[1:-1]]


def _tables(style: str, printed: Sequence[_Printed]) -> Iterator[PublishedTable]:
    for one in printed:
        if not one.signature.startswith("rmsuite:"):
            continue
        parts = signature.read(one.signature)
        header, *lines = one.lines
        columns = {i: found[1] for i, name in enumerate(header) if (found := HEADER.fullmatch(name))}
        if columns and "task" in parts:  # that of all tasks has none
            rows = [_row(line, columns) for line in lines if len(line) == len(header)]
            yield PublishedTable(parts["task"], one.signature, style, tuple(row for row in rows if row))


def _row(line: Sequence[str], columns: Mapping[int, str]) -> PublishedRow | None:
    """Return a row; None for one of another hand, whose cells are not ours."""
    if not all(line[i] == GAP or CELL.fullmatch(line[i]) for i in columns):
        return None
    name = line[0].removesuffix(MARK).strip()
    control = name.startswith("(") and name.endswith(")")
    cells = {metric: _cell(line[i]) for i, metric in columns.items()}
    kind = "control" if control else "method"
    return PublishedRow(name[1:-1] if control else name, kind, cells, line[0].endswith(MARK))


def _cell(text: str) -> PublishedCell | None:
    found = CELL.fullmatch(text)
    return PublishedCell(found[1], found[2], found[3], found[4] or "") if found else None


class _Tables(HTMLParser):
    """Collects the cells of each table of a document, and the signature that comes next."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Printed] = []
        self.lines: list[list[str]] = []
        self.text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 -- the base class names it
        """Begin a table, a row or a cell."""
        if tag == "table":
            self.lines = []
        elif tag == "tr":
            self.lines.append([])
        elif tag in ("th", "td", "code"):
            self.text = []

    def handle_data(self, data: str) -> None:
        """Add to the cell that is open."""
        if self.text is not None:
            self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        """End a cell, or with its signature a table."""
        if tag not in ("th", "td", "code") or self.text is None:
            return
        text, self.text = "".join(self.text), None
        if tag != "code" and self.lines:
            self.lines[-1].append(text.strip())
        elif text.startswith("rmsuite:") and self.lines:
            self.found.append(_Printed(text, self.lines))
            self.lines = []


def _from_html(text: str) -> Iterator[PublishedTable]:
    parser = _Tables()
    with suppress(AssertionError):  # raised where prose holds something like a declaration
        parser.feed(text if "<table" in text.lower() else "")
    yield from _tables("html", parser.found)


def _from_latex(text: str) -> Iterator[PublishedTable]:
    """Read every booktabs table; its signature is a comment above it or, where comments were removed, in its notes."""
    pieces = re.split(r"\\toprule\b(.*?)\\bottomrule\b", text, flags=re.DOTALL)
    for above, body, below in zip(pieces[::2], pieces[1::2], pieces[2::2], strict=False):
        comments = re.findall(rf"^% {LINE}$", above, re.MULTILINE)
        shown = re.search(r"Signature: \\texttt\{((?:\\.|\{[^{}\\]*\}|[^{}\\])*)\}", below)
        line = comments[-1][1] if comments else latex.unescaped(shown[1]) if shown else ""
        rows = re.sub(r"\\midrule\b", "", body).split(r"\\")
        cells = [[latex.read_cell(cell) for cell in re.split(r"(?<!\\)&", row)] for row in rows]
        yield from _tables("latex", [_Printed(line, cells)])
