"""What a reader must know of a table: the same sentences in every format."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rmsuite.render.cells import MARK, finite, number, plain, reason
from rmsuite.reports.records import RERUN, UNVERIFIED, Aggregated, Overall, Row, Table
from rmsuite.statistics import Estimate, Variance
from rmsuite.statistics.comparisons import FAMILY_LEVEL

FEW_PROMPTS = 10
THESE_FITS = "letters speak of these fits, not of fits anew"
RANDOM_DIRECTIONS = (
    "shuffled-labels is one random direction a repetition: its interval, letters and sd speak of those drawn, "
    "not of chance."
)
BOLD = "Bold: not separable from the best row but the oracle."


def footer(table: Table, *, bold: bool = False) -> list[str]:
    """Return the lines under a task's table, the first on how to read it; the last is its signature.

    Parameters
    ----------
    bold : bool
        Whether the format can set the best group in bold.
    """
    return [plain(line) for line in (*_legend(table, bold), *_numbers(table), *_origins(table), *_remarks(table))] + [
        f"Signature: {table.signature}"
    ]


def _legend(table: Table, bold: bool) -> list[str]:
    head = table.columns[0].name
    standing = any(row.standings for row in table.rows)
    said = [
        "Rows in parentheses are controls." if any(row.kind == "control" for row in table.rows) else "",
        "Rows that share a letter are not separable (paired by prompt, all pairs of rows but the oracle, "
        f"Holm-corrected, family error {FAMILY_LEVEL:g}); {THESE_FITS}."
        if standing
        else "",
        BOLD if standing and bold else "",
        "·: not ranked." if any(column.direction == "not ranked" for column in table.columns) else "",
        f"Rank: the ranks in {head} that are not excluded." if any(head in row.standings for row in table.rows) else "",
        *_gain(table),
        f"sd: of {head} over repetitions." if any(row.spread for row in table.rows) else "",
        "fit s: mean seconds a fit." if any(row.fit_seconds is not None for row in table.rows) else "",
    ]
    line = " ".join(text for text in said if text)
    return [line] if line else []


def _gain(table: Table) -> list[str]:
    head = table.columns[0].name
    if not any(head in row.gains for row in table.rows):
        return []
    return [
        f"Gain: {head} minus that of {table.best_control}, the best control but the oracle, paired by prompt; chosen "
        "on the same prompts, so gains lean downwards.",
        f"*: better than every control (p < {FAMILY_LEVEL:g}, Holm-corrected over the methods: a smaller family than "
        "that of the letters).",
    ]


def _numbers(table: Table) -> list[str]:
    ties = ". ".join(f"{column.name}: {column.tie_rule}" for column in table.columns)
    return [*_intervals(table), *_power(table), *_variance(table), _counts(table), f"Ties: {ties}."]


def _intervals(table: Table) -> list[str]:
    """Say how intervals were made, once for all metrics that share it."""
    groups: dict[str, list[str]] = {}
    for column in table.columns:
        found = [e for row in table.rows if not row.mark and (e := finite(row.estimates.get(column.name)))]
        if found:
            groups.setdefault(interval_line(found, "test prompts"), []).append(column.name)
    if not groups:
        return ["No row that is compared has a number."]
    lines = [f"{said}{_of(names, groups)}." for said, names in groups.items()]
    lines += [
        f"Noise moves {column.name} {column.bias}, resampled values more so: its interval is no 95% interval."
        for column in table.columns
        if column.bias
    ]
    return [*lines, *few_prompts(e for row in table.rows for e in row.estimates.values())]


def interval_line(found: Sequence[Estimate], items: str) -> str:
    """Say how intervals were made, without a full stop."""
    one, numbers = found[0], sorted({e.n_clusters for e in found})
    return (
        f"{100 * one.level:g}% intervals: {one.method}, {one.n_draws:,} draws of "
        f"{'-'.join(f'{n:,}' for n in dict.fromkeys((numbers[0], numbers[-1])))} {items}, answered by the same "
        f"generators; they speak of {one.population.replace('clusters', 'prompts')} ({one.n_repetitions})"
    )


def _of(names: Sequence[str], groups: dict[str, list[str]]) -> str:
    return f"; of {', '.join(names)}" if len(groups) > 1 else ""


def few_prompts(found: Iterable[Estimate]) -> list[str]:
    """Warn of intervals from few prompts."""
    few = min(e.n_clusters for e in found)
    warning = f"Warning: only {few} test prompt(s); below {FEW_PROMPTS} the intervals are very wide, and say little."
    return [warning] if few < FEW_PROMPTS else []


def _power(table: Table) -> list[str]:
    head = table.columns[0]
    effect = table.detectable.get(head.name, math.inf)
    if not math.isfinite(effect):
        return []
    size = number(effect, head) + (" points" if head.percent else "")
    return [
        f"Minimum detectable difference in {head.name} (power 0.8, uncorrected, median over pairs of methods): {size}."
    ]


def _variance(table: Table) -> list[str]:
    best = _best_method(table)
    if best is None or best.spread is None:
        return []
    v = best.spread
    whole = v.prompts + v.repetitions + v.both
    if not (math.isfinite(whole) and whole > 0):
        return []
    n = best.estimates[table.columns[0].name]
    most = v.repetitions_at_most / (v.prompts + v.repetitions_at_most + v.both)
    return [
        f"Uncertainty of {best.method}, repetitions included, shares of its variance: test prompts "
        f"{v.prompts / whole:.0%}, repetitions {v.repetitions / whole:.0%} (of {n.n_repetitions}: at most {most:.0%}), "
        f"both together {v.both / whole:.0%}. {_halving(v, n)}."
    ]


def _best_method(table: Table) -> Row | None:
    head = table.columns[0]
    sign = 1 if head.direction == "larger is better" else -1
    rows = [row for row in table.rows if row.kind == "method" and row.spread and not row.mark]
    rows = [row for row in rows if finite(row.estimates.get(head.name))]
    return max(rows, key=lambda row: sign * row.estimates[head.name].value, default=None)


def _halving(v: Variance, now: Estimate) -> str:
    ways = [
        f"{wanted:,} {what} (now {there:,})"
        for wanted, what, there in (
            (v.prompts_to_halve, "prompts", now.n_clusters),
            (v.repetitions_to_halve, "repetitions", now.n_repetitions),
        )
        if wanted
    ]
    alone = "" if v.repetitions_to_halve else "; more repetitions alone cannot halve it"
    return f"Half the standard error takes {' or '.join(ways) or 'more of both'}{alone}"


def _counts(table: Table) -> str:
    facts = table.facts
    agreement = facts["annotator_agreement"]
    labels = "human labels" if agreement is None else f"labels agree with gold in {agreement:.1%} of them"
    if "n_train_ties" in facts:
        labels += f"; {facts['n_train_ties']:,} ties and {facts['n_train_abstentions']:,} abstentions are left out"
    return (
        f"{facts['n_train_pairs']:,} training pairs of {facts['n_train_prompts']:,} prompts ({labels}); "
        f"{facts['n_test_responses']:,} responses to {facts['n_test_prompts']:,} test prompts{_n_pairs(table)}."
    )


def _n_pairs(table: Table) -> str:
    pairs = [column.name for column in table.columns if "pairs" in column.needs and column.mean]
    rows = [row for row in table.rows if not row.mark]
    found = {row.estimates[pair].n_items for pair in pairs for row in rows if pair in row.estimates}
    return f" in {max(found):,} pairs" if found else ""


def _origins(table: Table) -> list[str]:
    code = _grouped((row.origin, row.method) for row in table.rows if row.kind == "method")
    stored = [row.method for row in table.rows if row.stored]
    annotator = table.facts.get("annotator_source", "")
    return [
        *([f"Code: {'; '.join(f'{methods}: {origin}' for origin, methods in code.items())}."] if code else []),
        *([f"Code of the annotator, a plugin's: {annotator}."] if annotator else []),
        *([f"Stored results, their seconds measured elsewhere: {', '.join(stored)}."] if stored else []),
        _verification(table),
    ]


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    groups: dict[str, list[str]] = {}
    for key, method in pairs:
        groups.setdefault(key, []).append(method)
    return {key: ", ".join(methods) for key, methods in groups.items()}


def _verification(table: Table) -> str:
    levels = _grouped((row.verification, row.method) for row in table.rows)
    if list(levels) == [UNVERIFIED]:
        return "Verification: all rows are unverified (`rmsuite verify`)."
    again = " (all cells recomputed, at least one of each row run again)" if RERUN in levels else ""
    return f"Verification{again}: {'; '.join(f'{level}: {methods}' for level, methods in sorted(levels.items()))}."


def _remarks(table: Table) -> list[str]:
    names = [column.name for column in table.columns]
    return [
        *_reasons(table.rows, names),
        *(f"Note: {RANDOM_DIRECTIONS}" for row in table.rows if row.method == "shuffled-labels"),
        *(f"{MARK} {row.method} has another protocol ({row.mark}); not compared." for row in table.rows if row.mark),
        *(f"Note: {text.removesuffix('.')}." for text in table.omitted),
        *([f"Gold: no label, but the reward of {table.facts['gold']}."] if "gold" in table.facts else []),
        f"Data licence: {table.facts['licence']}.",
    ]


def _reasons(rows: Iterable[Row | Aggregated], names: Sequence[str]) -> list[str]:
    said = [(row.method, reason(row, names)) for row in rows]
    return [f"Note: {method}: {text}." for method, text in said if text]


def overall_footer(overall: Overall) -> list[str]:
    """Return the lines under the table of all tasks; the last is its signature."""
    lines = [
        f"Over {', '.join(overall.tasks)}; the first metric of each, normalised: 0 at chance, 1 if perfect.",
        *(["Rows in parentheses are controls."] if any(row.kind == "control" for row in overall.rows) else []),
        *(f"{rule}: {summary}." for rule, summary in overall.rules.items()),
        *_overall_intervals(overall),
        *(f"Warning: {text.removesuffix('.')}." for text in overall.warnings),
        *_reasons(overall.rows, list(overall.rules)),
    ]
    return [*map(plain, lines), f"Signature: {overall.signature}"]


def _overall_intervals(overall: Overall) -> list[str]:
    found = [e for row in overall.rows for e in row.estimates.values()]
    return [f"{interval_line(found, 'test prompts of all tasks')}."] if found else []
