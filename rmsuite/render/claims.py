"""Claims and what results say of them, as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rmsuite.render import markdown, text
from rmsuite.render.cells import GAP, Cell, Grid, plain
from rmsuite.render.comma_separated import guarded
from rmsuite.reports.claims import Verdict
from rmsuite.statistics import Estimate

FIELDS = ("claim", "source", "says", "of", "value", "low", "high", "bound", "limit", "verdict", "note")
HEADERS = ("claim", "source", "says", "found", "holds if", "verdict")
MEANT = {
    "gain": "gold gain at the end of a curve",
    "drop": "gold gain at the best earlier point of a curve less that at its end",
    "correlation": "rank correlation over repetitions",
}


def render_claims(verdicts: Sequence[Verdict], style: str) -> str:
    """Print verdicts in one of "text", "markdown" and "csv"."""
    if style == "csv":
        return _csv(verdicts)
    block = markdown.block if style == "markdown" else text.block
    return block("claims", Grid(HEADERS, tuple(map(_row, verdicts))), [plain(line) for line in _footer(verdicts)])


def _row(one: Verdict) -> tuple[Cell, ...]:
    claim, found = one.claim, one.estimate
    number = f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]" if found else GAP
    words = (claim.id, claim.source, claim.says, number, f"{claim.of} {claim.bound} {claim.limit:g}", one.word)
    return tuple(Cell(plain(one)) for one in words)


def _footer(verdicts: Sequence[Verdict]) -> list[str]:
    used = dict.fromkeys(one.claim.of for one in verdicts)
    ways = dict.fromkeys(_way(one.claim.of, one.estimate) for one in verdicts if one.estimate)
    return [
        "Found: a sum of curves, in standard deviations of gold within a prompt ("
        + "; ".join(f"{name}: {MEANT[name]}" for name in used)
        + "). Reproduced: the whole 95% interval lies where the claim says; not reproduced: all of it where the claim "
        "does not hold; else inconclusive. Each interval holds for its claim alone.",
        *([f"Intervals: {'; '.join(ways)}; they speak of prompts like these and repetitions anew."] if ways else []),
        *(f"Note: {one.claim.id}: {one.note}." for one in verdicts if one.note),
    ]


def _way(of: str, found: Estimate) -> str:
    sizes = f"{found.n_clusters:,} prompts, {found.n_repetitions}" if of != "correlation" else f"{found.n_clusters}"
    return f"{found.method}, {sizes} repetitions"


def _csv(verdicts: Sequence[Verdict]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    for one in verdicts:
        claim, found = one.claim, one.estimate
        line = {"claim": claim.id, "source": claim.source, "says": claim.says, "of": claim.of, "bound": claim.bound}
        numbers = {"value": found.value, "low": found.low, "high": found.high} if found else {}
        words = {name: guarded(value) for name, value in {**line, "note": one.note}.items()}
        writer.writerow({**words, **numbers, "limit": claim.limit, "verdict": one.word})
    return out.getvalue().rstrip("\n").encode("utf-8", "replace").decode()  # half characters cannot be stored
