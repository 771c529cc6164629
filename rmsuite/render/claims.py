"""Claims and what results say of them, as text, Markdown and CSV."""

from __future__ import annotations

from collections.abc import Sequence

from rmsuite.render import markdown, text
from rmsuite.render.cells import GAP, Cell, Grid, plain
from rmsuite.render.comma_separated import guarded, printed
from rmsuite.reports.claims import Verdict
from rmsuite.statistics import Estimate

FIELDS = ("claim", "source", "says", "of", "value", "low", "high", "bound", "limit", "verdict", "note")
HEADERS = ("claim", "source", "says", "found", "holds if", "verdict")
FEW_REPETITIONS = 3  # below, simulated intervals hold as few as 87 % of truths in place of 95 %
MEANT = {
    "gain": "gold gain at the end of a curve",
    "drop": "gold gain at the best earlier point of a curve less that at its end, negative where it rises to its end; "
    "in a sum of several curves 0 there",
    "correlation": "rank correlation of the reward model's pair accuracy with the drop, over repetitions, no unit",
}


def render_claims(verdicts: Sequence[Verdict], style: str, departures: Sequence[str] = ()) -> str:
    """Print verdicts in one of "text", "markdown" and "csv", with what departs from the suite's card."""
    if style == "csv":
        return printed(FIELDS, map(_line, verdicts))
    block = markdown.block if style == "markdown" else text.block
    return block(
        "claims", Grid(HEADERS, tuple(map(_row, verdicts))), [plain(line) for line in _footer(verdicts, departures)]
    )


def _row(one: Verdict) -> tuple[Cell, ...]:
    claim, found = one.claim, one.estimate
    number = f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]" if found else GAP
    words = (claim.id, claim.source, claim.says, number, f"{claim.of} {claim.bound} {claim.limit:g}", one.word)
    return tuple(Cell(plain(word)) for word in words)


def _footer(verdicts: Sequence[Verdict], departures: Sequence[str]) -> list[str]:
    used = dict.fromkeys(one.claim.of for one in verdicts)
    ways = dict.fromkeys(_way(one.claim.of, one.estimate) for one in verdicts if one.estimate)
    return [
        "Found: what is taken of the claim's curves, summed, in standard deviations of gold within a prompt ("
        + "; ".join(f"{name}: {MEANT[name]}" for name in used)
        + "). Reproduced: the whole 95% interval lies where the claim says; not reproduced: all of it where the claim "
        "does not hold; else inconclusive; not run: without cells. Each interval holds for its claim alone.",
        *([f"Note: not as the suite says: {'; '.join(departures)}."] if departures else []),
        *([f"Intervals: {'; '.join(ways)}."] if ways else []),
        *_few_repetitions(verdicts),
        *(f"Note: {one.claim.id}: {one.note}." for one in verdicts if one.note),
    ]


def _way(of: str, found: Estimate) -> str:
    sizes = f"{found.n_clusters:,} prompts, {found.n_repetitions}" if of != "correlation" else f"{found.n_clusters}"
    counted = "repetition" if found.n_repetitions == 1 else "repetitions"
    return f"{found.method}, {sizes} {counted}, for {found.population.replace('clusters', 'prompts')}"


def _few_repetitions(verdicts: Sequence[Verdict]) -> list[str]:
    """Warn of intervals that rest on one or two repetitions."""
    few = min((one.estimate.n_repetitions for one in verdicts if one.estimate), default=FEW_REPETITIONS)
    if few >= FEW_REPETITIONS:
        return []
    said = "says nothing of repetitions anew" if few == 1 else "is too narrow where these differ more than prompts do"
    counted = "1 repetition" if few == 1 else f"{few} repetitions"
    return [f"Warning: an interval from {counted} {said}; {FEW_REPETITIONS} or more tell."]


def _line(one: Verdict) -> dict[str, object]:
    claim, found = one.claim, one.estimate
    words = {"claim": claim.id, "source": claim.source, "says": claim.says, "note": one.note}
    numbers = {"value": found.value, "low": found.low, "high": found.high} if found else {}
    held = {"of": claim.of, "bound": claim.bound, "limit": claim.limit, "verdict": one.word}
    return {**{name: guarded(value) for name, value in words.items()}, **numbers, **held}
