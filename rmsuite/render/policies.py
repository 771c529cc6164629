"""Tables of policies as text, Markdown and CSV: a row a reward model, an optimizer and a beta."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rmsuite.render import markdown, text
from rmsuite.render.cells import GAP, Block, Cell, Grid, finite, plain
from rmsuite.render.comma_separated import guarded, printed
from rmsuite.render.footer import BOLD, THESE_FITS, few_prompts, interval_line
from rmsuite.reports.policies import PolicyRow, PolicyTable, said_of_reference
from rmsuite.statistics import Estimate
from rmsuite.statistics.comparisons import FAMILY_LEVEL

FIELDS = (
    *("task", "method", "optimizer", "beta", "gold_gain", "low", "high", "letters"),
    *("win_rate", "win_rate_low", "win_rate_high", "proxy_gain", "kl", "length_gain", "reference_length"),
    *("sd", "steps", "samples", "reward_calls", "seconds", "hyperparameters", "target", "samples_to", "samples_low"),
    *("samples_high", "against", "ratio", "ratio_low", "ratio_high", "note", "signature"),
)
HEADERS = (
    *("reward model", "optimizer", "beta", "gold gain ↑", "sd", "win rate % ↑", "proxy gain", "KL", "longer by"),
    *("steps", "samples", "reward calls", "train s", "hyperparameters"),
)
NEVER = "never"
ENOUGH_TRAININGS = 10  # of each repetition: drawing from n shows (n - 1) / n of their variance
Printer = Callable[[str, Grid, list[str]], str]


def render_policies(tables: Sequence[PolicyTable], style: str) -> str:
    """Print tables in one of ``POLICY_STYLES``."""
    return POLICY_STYLES[style](tables)


def blocks(tables: Sequence[PolicyTable], bold: bool) -> list[Block]:
    """Return title, cells and footer of each table, for a format that can set the best group in bold or not."""
    return [(f"{one.task}: policies", _grid(one), _footer(one, bold)) for one in tables]


def documents(tables: Sequence[PolicyTable]) -> list[dict[str, Any]]:
    """Return tables for JSON; estimates that are not finite are None."""
    return [{**vars(one), "footer": _footer(one, False), "rows": [*map(_document, one.rows)]} for one in tables]


def _document(row: PolicyRow) -> dict[str, Any]:
    gold, wins = (asdict(found) if (found := finite(one)) else None for one in (row.gold, row.win_rate))
    return {**vars(row), "gold": gold, "win_rate": wins, "samples_to": _ends(row.samples_to), "ratio": _ends(row.ratio)}


def _ends(found: Estimate | None) -> dict[str, float | None] | None:
    """Return value and interval; what is never reached is None."""
    if found is None:
        return None
    ends = {"value": found.value, "low": found.low, "high": found.high}
    return {name: end if math.isfinite(end) else None for name, end in ends.items()}


def _readable(block: Printer, bold: bool) -> Callable[[Sequence[PolicyTable]], str]:
    def printed(tables: Sequence[PolicyTable]) -> str:
        return "\n\n".join(block(*one) for one in blocks(tables, bold))

    return printed


def _grid(table: PolicyTable) -> Grid:
    compared = [f"samples to {table.target:+g} ↓", *([f"times {plain(table.against)}'s"] if table.against else [])]
    return Grid((*HEADERS, *compared), tuple(tuple(_cells(row, table)) for row in table.rows))


def _cells(row: PolicyRow, table: PolicyTable) -> Iterator[Cell]:
    yield from (Cell(plain(row.method)), Cell(plain(row.optimizer)), Cell(_beta(row)))
    yield Cell(f"{_interval(row.gold, 1, '+.3f')} {row.letters}".rstrip(), row.best)
    yield Cell(_number(row.sd, ".3f"))
    yield Cell(_interval(row.win_rate, 100, ".1f"))
    shown = ((row.proxy, "+.3f"), (row.kl, ".3f"), (row.length, "+,.0f"))
    counted = ((row.steps, ",.0f"), (row.samples, ",.0f"), (row.reward_calls, ",.0f"), (row.seconds, ".2f"))
    yield from (Cell(_number(value, style)) for value, style in (*shown, *counted))
    yield Cell(str(row.hyperparameters))
    yield Cell(_reached(row.samples_to, ",.0f"))
    if table.against:
        yield Cell(_reached(row.ratio, ".2f"))


def _reached(found: Estimate | None, style: str) -> str:
    """Return where a level is reached; an end of the interval may be never."""
    if found is None:
        return GAP
    value, low, high = (f"{x:{style}}" if math.isfinite(x) else NEVER for x in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def _beta(row: PolicyRow) -> str:
    return GAP if row.beta is None else f"{row.beta:g}"


def _number(value: float, style: str) -> str:
    return f"{value:{style}}" if math.isfinite(value) else GAP


def _interval(estimate: Estimate | None, factor: float, style: str) -> str:
    found = finite(estimate)
    if found is None:
        return GAP
    value, low, high = (f"{factor * x:{style}}" for x in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def _footer(table: PolicyTable, bold: bool) -> list[str]:
    found = [row.gold for row in table.rows if row.gold and finite(row.gold)]
    lines = [
        f"Gold and proxy gain: expected reward less that of the reference, which {said_of_reference(table.signature)}; "
        "in standard deviations within a prompt, of the training part. Win rate: chance of more gold "
        "than a response of the reference, ties a half. KL to the reference in nats, of which the pool allows "
        f"{_number(table.budget, '.2f')} (mean over test prompts); beta is its price in units of proxy. Longer by: "
        f"expected length less the reference's {_number(table.reference_length, ',.0f')}, in the pool's unit.",
        f"Means over repetitions and {table.n_policies} policies each; sd: of the gold gain over these. Steps, samples "
        "and reward calls are of one policy's training, seconds of all policies of a cell side by side; an optimizer "
        "of several passes updates its policy so many times a step; closed forms train nothing.",
        *_samples(table),
        *_letters(table, bold),
        *([f"{interval_line(found, 'test prompts')}.", *few_prompts(found)] if found else ["No row has a number."]),
        *(f"Note: {row.name}: {row.note.rstrip('.')}." for row in table.rows if row.note),
    ]
    return [*map(plain, lines), f"Signature: {table.signature}"]


def _samples(table: PolicyTable) -> list[str]:
    found = [row.samples_to for row in table.rows if row.samples_to]
    if not found:
        return []
    one = found[0]
    against = (
        f"; times {table.against}'s: with the same reward model and beta, without the draws in which neither gets there"
        if table.against
        else ""
    )
    said = (
        f"Samples to {table.target:+g}: responses that a policy wrote until the mean gold gain first reached that, by "
        f"straight lines between the steps that are stored{against}. A sample is a response, a greedy one too. "
        f"Intervals: {one.method}, {one.n_draws:,} draws of {one.n_clusters:,} test prompts and of the {one.n_items} "
        f"training(s) of each repetition; they speak of {one.population.replace('clusters', 'prompts')}."
        f"{_few_trainings(one)}"
    )
    return [said]


def _few_trainings(one: Estimate) -> str:
    few = 1 < one.n_items < ENOUGH_TRAININGS
    return f" They are too narrow: {one.n_items} trainings tell little of how trainings differ." if few else ""


def _letters(table: PolicyTable, bold: bool) -> list[str]:
    if not any(row.letters for row in table.rows):
        return []
    said = (
        "Rows that share a letter are not separable in gold (paired by prompt, all pairs of rows, Holm-corrected, "
        f"family error {FAMILY_LEVEL:g}); {THESE_FITS}."
    )
    return [f"{said} {BOLD}" if bold else said]


def _csv(tables: Sequence[PolicyTable]) -> str:
    """Return one line a row, in full precision; what is not there is an empty cell."""
    return printed(FIELDS, (_line(table, row) for table in tables for row in table.rows))


def _line(table: PolicyTable, row: PolicyRow) -> dict[str, object]:
    line: dict[str, object] = {name: guarded(getattr(row, name)) for name in ("method", "optimizer", "letters", "note")}
    line |= {"task": table.task, "signature": table.signature}
    line |= {} if row.beta is None else {"beta": row.beta}
    numbers = {"proxy_gain": row.proxy, "kl": row.kl, "length_gain": row.length, "samples": row.samples}
    numbers |= {"reward_calls": row.reward_calls, "seconds": row.seconds, "reference_length": table.reference_length}
    numbers |= {"sd": row.sd, "steps": row.steps, "target": table.target, **_compared(row)}
    line |= {name: value for name, value in numbers.items() if math.isfinite(value)}
    if gold := finite(row.gold):
        line |= {"gold_gain": gold.value, "low": gold.low, "high": gold.high}
    if wins := finite(row.win_rate):
        line |= {"win_rate": wins.value, "win_rate_low": wins.low, "win_rate_high": wins.high}
    return line | {"hyperparameters": row.hyperparameters, "against": guarded(table.against)}


def _compared(row: PolicyRow) -> dict[str, float]:
    """Return samples to the target and their ratio; what is never is left out, as other gaps are."""
    out = dict[str, float]()
    for value, name, found in (("samples_to", "samples", row.samples_to), ("ratio", "ratio", row.ratio)):
        if found:
            out |= {value: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return out


POLICY_STYLES: Mapping[str, Callable[[Sequence[PolicyTable]], str]] = {
    "text": _readable(text.block, False),
    "markdown": _readable(markdown.block, True),
    "csv": _csv,
}
