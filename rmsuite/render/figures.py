"""Figures as records that know nothing of who draws them, and the files that are written of each.

A figure ``NAME`` becomes ``NAME.svg`` and the like, ``NAME.csv`` with its numbers, and ``NAME.txt`` with its caption,
which says what the intervals are, and its signature.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rmsuite.errors import RmsuiteError
from rmsuite.render.cells import plain
from rmsuite.render.comma_separated import guarded, printed

FORMATS = ("svg", "pdf", "png")
FIELDS = ("panel", "line", "quantity", "x", "y", "low", "high", "signature")
Numbers = tuple[float, ...]
Record = Mapping[str, object]


@dataclass(frozen=True)
class Line:
    """Points to join. Lines of one label have one colour and marker in a figure, those of one quantity one dash.

    Attributes
    ----------
    x, y : tuple of float
        Of one length; what is not finite is not drawn.
    low, high : tuple of float
        The interval of each ``y``; empty if there are none.
    kind : str
        ``line``; ``points``, which are not joined; or ``level``, which has one ``y`` for every ``x``.
    """

    label: str
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    quantity: str = ""
    kind: Literal["line", "points", "level"] = "line"

    def __post_init__(self) -> None:
        lengths = {len(self.x), len(self.y), len(self.low or self.y), len(self.high or self.y)}
        if len(lengths) > 1 or bool(self.low) != bool(self.high):
            raise ValueError(f"x, y and interval of line {self.label!r} are of unequal length")


@dataclass(frozen=True)
class Panel:
    """Lines over one pair of axes; panels with the same label of an axis share its limits.

    ``intervals`` are drawn as bands along a line, as bars at each point, or as bars side by side where lines share
    their x. ``ticks`` are those of x, if not left to the drawing; ``zero`` asks for a line at ``y = 0`` where the axis
    has it; ``notes`` go with the caption.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    log_x: bool = False
    ticks: Numbers = ()
    zero: bool = False
    intervals: Literal["band", "bars", "dodged"] = "band"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeatMap:
    """Values by row and column, ``(n_rows, n_columns)``, printed in their places as ``style`` says; NaN is a gap."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[Numbers, ...]
    quantity: str = ""
    style: str = ".2f"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.values) != len(self.rows) or any(len(row) != len(self.columns) for row in self.values):
            raise ValueError(f"heat map {self.title!r} has not a value for each row and column")


@dataclass(frozen=True)
class Slopes:
    """Ranks on two sides, the first on top: one slope a label. ``sides`` name what they are ranks in."""

    title: str
    sides: tuple[str, str]
    labels: tuple[str, ...]
    left: Numbers
    right: Numbers
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.left) == len(self.right):
            raise ValueError(f"slopes {self.title!r} have not two ranks for each label")


@dataclass(frozen=True)
class Figure:
    """Panels with a caption.

    Attributes
    ----------
    name : str
        Of its files; characters that a file system may refuse are replaced.
    caption : tuple of str
        Sentences: what is shown, of how many prompts, and what the intervals are.
    signature : str
        Of the numbers.
    records : sequence of mapping
        The lines of its CSV, where the numbers drawn (``FIELDS``) do not say enough.
    """

    name: str
    panels: tuple[Panel | HeatMap | Slopes, ...]
    caption: tuple[str, ...]
    signature: str
    records: Sequence[Record] = ()

    @property
    def file(self) -> str:
        """The name of its files, without a suffix."""
        name = re.sub(r"[^a-z0-9@=-]+", "_", self.name.lower())
        if name != self.name or not 0 < len(name) <= 60:
            digest = hashlib.sha256(self.name.encode("utf-8", "surrogatepass")).hexdigest()
            name = f"{name[:60].strip('_-') or 'figure'}-{digest[:8]}"
        return name


def require_matplotlib() -> None:
    """Refuse where figures cannot be drawn.

    Raises
    ------
    RmsuiteError
        If matplotlib cannot be imported.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        do = "pip install 'rmsuite[figures]'"
        raise RmsuiteError(who="figures", expected="the package matplotlib", got=str(error), do=do) from None


def write(figures: Iterable[Figure], folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write figures, and return the files, in order; the same figures make the same bytes.

    Parameters
    ----------
    folder : Path
        Is made if it is not there; files of the same names are replaced.
    formats : sequence of str
        Of ``FORMATS``.

    Raises
    ------
    RmsuiteError
        If matplotlib cannot be imported, or the folder cannot be written.
    """
    require_matplotlib()
    from rmsuite.render.drawing import drawn

    files: list[Path] = []
    for figure in figures:
        contents = {kind: drawn(figure, kind) for kind in formats}
        contents |= {"csv": numbers(figure), "txt": caption(figure)}
        for kind, content in contents.items():
            files.append(folder / f"{figure.file}.{kind}")
            _write(files[-1], content)
    return files


def make_folder(folder: Path) -> None:
    """Make the folder of figures.

    Raises
    ------
    RmsuiteError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _write(path: Path, content: bytes) -> None:
    make_folder(path.parent)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise _unwritable(path.parent, error) from None


def _unwritable(folder: Path, error: OSError) -> RmsuiteError:
    who, do = f"figures in {folder}", "give another folder, or make room in this one"
    return RmsuiteError(who=who, expected="a writable folder", got=str(error), do=do)


def caption(figure: Figure) -> bytes:
    """Return the caption, the notes of the panels, and the signature on the last line, the one that begins so."""
    notes = [f"{panel.title}: {note}" for panel in figure.panels for note in panel.notes]
    lines = [f"- {plain(text)}" for text in (*figure.caption, *notes)] + [f"Signature: {plain(figure.signature)}"]
    return "".join(f"{line}\n" for line in lines).encode()


def numbers(figure: Figure) -> bytes:
    """Return the figure's numbers as CSV, in full precision; what is not finite is an empty cell."""
    records = figure.records or [line for panel in figure.panels for line in _records(panel, figure.signature)]
    lines = ({name: _field(value) for name, value in one.items()} for one in records)
    return f"{printed(list(records[0]) if records else FIELDS, lines)}\n".encode()


def _field(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return guarded(value) if isinstance(value, str) else value


def _records(panel: Panel | HeatMap | Slopes, signature: str) -> Iterator[Record]:
    shared = {"panel": panel.title, "signature": signature}
    if isinstance(panel, Panel):
        for line in panel.lines:
            nothing = (math.nan,) * len(line.x)
            rows = zip(line.x, line.y, line.low or nothing, line.high or nothing, strict=True)
            for row in rows:
                yield _record(line.label, line.quantity or panel.y_label, *row) | shared
    elif isinstance(panel, HeatMap):
        for name, values in zip(panel.rows, panel.values, strict=True):
            for column, value in zip(panel.columns, values, strict=True):
                yield _record(name, panel.quantity, column, value) | shared
    else:
        for side, ranks in zip(panel.sides, (panel.left, panel.right), strict=True):
            for label, rank in zip(panel.labels, ranks, strict=True):
                yield _record(label, "rank", side, rank) | shared


def _record(
    line: str, quantity: str, x: float | str, y: float, low: float = math.nan, high: float = math.nan
) -> dict[str, object]:
    # The order is that of FIELDS; the caller fills panel and signature in.
    return dict.fromkeys(FIELDS, "") | {"line": line, "quantity": quantity, "x": x, "y": y, "low": low, "high": high}
