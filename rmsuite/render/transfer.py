"""Matrices of transfer as text, Markdown and CSV: a row a method and what it was trained on, a column a test part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from rmsuite.render import markdown, text
from rmsuite.render.cells import GAP, Cell, Grid, cell, finite, plain
from rmsuite.render.comma_separated import guarded, printed
from rmsuite.render.footer import few_prompts, interval_line
from rmsuite.reports.transfer import TransferMatrix, Transferred
from rmsuite.statistics.comparisons import FAMILY_LEVEL

FIELDS = (
    *("metric", "method", "trained", "tested", "value", "low", "high"),
    *("gap", "gap_low", "gap_high", "p", "p_holm", "note", "signature"),
)
Block = Callable[[str, Grid, list[str]], str]


def render_transfer(matrices: Sequence[TransferMatrix], style: str) -> str:
    """Print matrices in one of ``TRANSFER_STYLES``."""
    return TRANSFER_STYLES[style](matrices)


def _readable(block: Block) -> Callable[[Sequence[TransferMatrix]], str]:
    def printed(matrices: Sequence[TransferMatrix]) -> str:
        return "\n\n".join(block(f"transfer: {one.metric.name}", _grid(one), _footer(one)) for one in matrices)

    return printed


def _grid(matrix: TransferMatrix) -> Grid:
    headers = ("method", "trained on", *(f"tested on {name}" for name in matrix.tested))
    found = {(c.method, c.trained, c.tested): c for c in matrix.cells}
    rows = []
    for method in dict.fromkeys(c.method for c in matrix.cells):
        for trained in matrix.trained:
            row = [found.get((method, trained, tested)) for tested in matrix.tested]
            if any(row):
                names = (Cell(plain(method)), Cell(plain(trained)))
                rows.append((*names, *(Cell(_printed(c, matrix)) for c in row)))
    return Grid(headers, tuple(rows))


def _printed(one: Transferred | None, matrix: TransferMatrix) -> str:
    if one is None or finite(one.estimate) is None:
        return GAP
    printed = cell(one.estimate, matrix.metric)
    if one.gap is None:
        return printed
    star = "*" if one.gap.p_holm < FAMILY_LEVEL else ""
    return f"{printed}, gap {cell(one.gap.estimate, matrix.metric, sign=True)}{star}"


def _footer(matrix: TransferMatrix) -> list[str]:
    found = [c.estimate for c in matrix.cells if finite(c.estimate) and c.estimate is not None]
    unit = " in %" if matrix.metric.percent else ""
    lines = [
        f"Values of {matrix.metric.name}{unit} ({matrix.metric.direction}). Gap: minus the same method trained "
        "in-domain, on the same test prompts, paired by prompt; trainings differ in number and labels of pairs too. "
        f"*: p < {FAMILY_LEVEL:g}, Holm-corrected over all gaps of the matrix.",
        *([f"{interval_line(found, 'test prompts')}.", *few_prompts(found)] if found else ["No method has a number."]),
        *(f"Note: {c.method}, {c.trained} to {c.tested}: {c.note}." for c in matrix.cells if c.note),
    ]
    return [*map(plain, lines), *(f"Signature: {line}" for line in matrix.signatures.values())]


def _csv(matrices: Sequence[TransferMatrix]) -> str:
    """Return one line a cell, in full precision; what is not there is an empty cell."""
    return printed(FIELDS, (line for matrix in matrices for line in _lines(matrix)))


def _lines(matrix: TransferMatrix) -> Iterator[dict[str, object]]:
    for one in matrix.cells:
        line: dict[str, object] = {
            name: guarded(getattr(one, name)) for name in ("method", "trained", "tested", "note")
        }
        line |= {"metric": matrix.metric.name, "signature": matrix.signatures[one.tested]}
        if estimate := finite(one.estimate):
            line |= {"value": estimate.value, "low": estimate.low, "high": estimate.high}
        if one.gap and (gap := finite(one.gap.estimate)):
            line |= {"gap": gap.value, "gap_low": gap.low, "gap_high": gap.high}
            line |= {"p": one.gap.p, "p_holm": one.gap.p_holm}
        yield line


TRANSFER_STYLES: Mapping[str, Callable[[Sequence[TransferMatrix]], str]] = {
    "text": _readable(text.block),
    "markdown": _readable(markdown.block),
    "csv": _csv,
}
