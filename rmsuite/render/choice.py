"""The choice of base models as text, Markdown and CSV."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from rmsuite.choice.bases import PARAMETERS
from rmsuite.choice.components import Components
from rmsuite.choice.correlations import EXACT, FEW, FEWEST, STATISTICS, Correlation
from rmsuite.choice.coverage import FLOORS, RULES, TOP, chance, top
from rmsuite.render import choice_lines, markdown, presence, text
from rmsuite.render.cells import GAP
from rmsuite.render.sections import Section, joined, number, sequence, tabulated
from rmsuite.reports.choice import SINGLE, ByMethod, Candidate, Choice, Predictor
from rmsuite.statistics.comparisons import FAMILY_LEVEL

SHOWN = 10  # components
EXACTLY = 1e-9  # from a correlation of 1: no two measurements come so near
FLOORS_OF_FEW = ", where these k leave a model out; of few models, chance reaches that too"
MERGED_IS = "Merged benchmarks: the mean of a model's standardised scores."


def render_choice(choice: Choice, style: str) -> str:
    """Print a study in one of ``CHOICE_STYLES``."""
    return CHOICE_STYLES[style](choice)


def sections(choice: Choice, gains: bool = True) -> Iterator[Section]:
    """Yield the tables of a study, each with its title and footer; without gains where those stand elsewhere."""
    for one in choice.methods:
        yield _predictors(choice, one)
        yield _candidates(choice, one)
    yield from ([_components(choice.components)] if choice.components else [])
    yield from ([_gains(choice), _spreads(choice)] if gains else [])
    yield from ([_agreements(choice)] if choice.agreements else [])
    yield from ([_stages(choice)] if choice.stages else [])
    yield from (presence.sections(choice.documents) if choice.documents else [])
    yield _table(choice)


def _predictors(choice: Choice, one: ByMethod) -> Section:
    few = sum(map(_of_few, one.predictors))
    order = sorted((p for p in one.predictors if not _of_few(p)), key=_place)
    headers = ("known before training", "models", *STATISTICS, *_headers(), "kept")
    rows = [_predictor(predictor) for predictor in order]
    none = sequence([f"{p.name} ({p.correlations['pearson'].note})" for p in order if p.correlations["pearson"].note])
    alike = sequence([p.name for p in order if abs(p.correlations["pearson"].value) > 1 - EXACTLY])
    return (
        f"{choice.bases.source}: {one.method}: quality and what is known before training",
        tabulated(headers, rows),
        [
            f"Correlations over base models, with {_bounds(choice)}. *: p < {FAMILY_LEVEL:g}, Holm-corrected over the "
            f"rows of the column; of up to {EXACT} models by all permutations. Intervals are not corrected; models of "
            "one family count as independent.",
            f"{_coverage(choice)} {_kept(order)}",
            *([MERGED_IS] if any(p.kind == "merged" for p in order) else []),
            *([f"No correlation: {none}."] if none else []),
            *([f"Exactly as quality goes, so that it may be made of it: {alike}."] if alike else []),
            *([f"{few} rows are known of fewer than {FEWEST} of the models, and left out."] if few else []),
        ],
    )


def _bounds(choice: Choice) -> str:
    drawn = f"percentile bootstrap of models, {choice.settings.n_draws:,} draws, seed {choice.settings.seed}"
    return f"95% intervals: {drawn}, of fewer than {FEW} models no narrower than by Fisher's transformation"


def _kept(order: Sequence[Predictor]) -> str:
    """Say what a row reaches that is kept; of few models a floor may leave no model out, and then it is none."""
    floors = " and ".join(f"{v:g} at k = {k}" for k, v in FLOORS.items())
    few = any(one.correlations["pearson"].n_models <= max(FLOORS) for one in order)
    return f"Kept: reaches {floors}{FLOORS_OF_FEW if few else ''}."


def _of_few(predictor: Predictor) -> bool:
    """Whether a row would have gaps only."""
    return predictor.kind in ("documents", "benchmark") and predictor.correlations["pearson"].n_models < FEWEST


def _place(predictor: Predictor) -> tuple[int, float]:
    value = predictor.correlations["spearman"].value
    kinds = ("fact", "documents", "merged", "benchmark")
    return kinds.index(predictor.kind), -value if math.isfinite(value) else math.inf


def _headers() -> list[str]:
    return [f"cover {TOP[0]}", f"cover {TOP[-1]}", f"cover {TOP[0]}-{TOP[-1]} (chance)"]


def _predictor(one: Predictor) -> list[str]:
    shown = [_correlation(one, name) for name in STATISTICS]
    kept = "yes" if one.kept else "no"
    n = one.correlations["pearson"].n_models
    return [one.name, str(n), *shown, *_covered(one.curve), kept if n > min(FLOORS) else GAP]


def _correlation(one: Predictor, name: str) -> str:
    found = one.correlations[name]
    return _interval(found) + ("*" if found.p_holm < FAMILY_LEVEL else "")


def _interval(found: Correlation) -> str:
    return GAP if found.note else f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"


def _covered(curve: np.ndarray) -> list[str]:
    at = [number(curve[k - 1]) if k < len(curve) else GAP for k in (TOP[0], TOP[-1])]
    random = top(chance(len(curve))) if len(curve) else math.nan
    return [*at, f"{number(top(curve))} ({number(random)})" if math.isfinite(random) else GAP]


def _coverage(choice: Choice) -> str:
    said = (
        f"Cover k: of the first k by the row, the share that are among the best k (ties: {RULES[choice.settings.ties]})"
    )
    return f"{said}; {TOP[0]}-{TOP[-1]}: mean over these k, those that leave no model out apart."


def _candidates(choice: Choice, one: ByMethod) -> Section:
    base = {candidate.name: candidate.top for candidate in one.candidates}
    rows = [_candidate(candidate, base[PARAMETERS], base[SINGLE]) for candidate in one.candidates]
    headers = ("way to choose", "spearman", *_headers(), "minus parameters", "minus best single", "mean error")
    return (
        f"{choice.bases.source}: {one.method}: ways to choose, over the same {one.n_compared} models",
        tabulated(headers, rows),
        [
            f"Minus: differences of cover {TOP[0]}-{TOP[-1]}. Mean error: absolute, in the unit of quality.",
            "Selector: elastic net over polynomials of standardised features, hyperparameters by 10-fold "
            "cross-validation. In sample: predicts the models that it learnt from, as arXiv:2505.10775 does, and leans "
            "upwards; new family: predicts each family with nothing of it seen. The best single benchmark is chosen on "
            "these very models, and leans upwards too.",
            *_fitted(one),
            *(f"Note: {c.name}: {c.note}." for c in one.candidates if c.note),
        ],
    )


def _candidate(one: Candidate, *others: float) -> list[str]:
    name = f"{one.name} ({one.of})" if one.of else one.name
    ahead = [number(one.top - other, "+.2f") for other in others]
    return [
        name,
        number(one.correlation),
        *_covered(one.curve),
        *ahead,
        number(one.error),
    ]


def _fitted(one: ByMethod) -> list[str]:
    fitted, used = one.selected.fitted, one.selected.used
    lines = []
    if math.isfinite(one.by_mean):
        lines.append(f"The mean of the other families in place of the selector errs by {number(one.by_mean)}.")
    if fitted:
        net = fitted.net
        lines.append(
            f"Selector: degree {net.degree}, alpha {net.alpha:g}, l1_ratio {net.l1_ratio:g}"
            f"{'' if net.converged else ', not converged'}; offered {sequence(fitted.offered)}; "
            f"uses {sequence(fitted.uses) or 'none'}; {used.n_gaps} gaps filled with means."
        )
    if used.left_out:
        shown = sequence([f"{name} ({why})" for name, why in used.left_out.items()], most=4)
        lines.append(f"{len(used.left_out)} features are not usable where several are combined: {shown}.")
    return lines


def _components(found: Components) -> Section:
    shares = list(found.shares[:SHOWN])
    rows = [[str(n), number(100 * s, ".1f"), number(100 * sum(shares[:n]), ".1f")] for n, s in enumerate(shares, 1)]
    used = found.used
    said = f"Shares of variance, of {len(used.names)} standardised benchmarks over {found.n_models} models; "
    more = f"{used.n_gaps} gaps are means, {len(used.left_out)} benchmarks are left out."
    return (
        "principal components of the benchmarks",
        tabulated(("component", "share %", "in all %"), rows),
        [said + more],
    )


def _gains(choice: Choice) -> Section:
    rows = [
        [
            g.method,
            g.size,
            str(g.n_models),
            g.default or GAP,
            g.best or GAP,
            number(g.points, "+.1f"),
            _percent(g.relative),
        ]
        for g in choice.gains
    ]
    headers = ("method", "size", "models", "default", "best", "gain, points", "gain, % of the default")
    notes = [f"Note: {g.method}, {g.size}: {g.note}." for g in choice.gains if g.note]
    said = "Best: of the same size, by the results that measure it, so gains lean upwards. "
    return (
        "gain over the default base model",
        tabulated(headers, rows),
        [f"{said}Quality: {choice.bases.metric}.", *notes],
    )


def _percent(share: float) -> str:
    return number(100 * share, "+.1f")


def _spreads(choice: Choice) -> Section:
    names = dict.fromkeys(one.of for one in choice.spreads)
    found: Mapping[tuple[str, str], float] = {(one.method, one.of): one.deviation for one in choice.spreads}
    rows = [[method, *(number(found[method, name], ".1f") for name in names)] for method in choice.bases.methods]
    return (
        "spread over base models",
        tabulated(("method", *names), rows),
        ["Standard deviations (n - 1) over base models."],
    )


def _agreements(choice: Choice) -> Section:
    headers = ("methods", "models", *STATISTICS, *_headers(), "mean difference", "second ahead")
    rows = [
        [
            f"{a.first}, {a.second}",
            str(a.n_models),
            *(_interval(a.correlations[name]) for name in STATISTICS),
            *_covered(a.coverage),
            number(a.difference, "+.1f"),
            f"{len(a.ahead)}{f': {sequence(a.ahead, 4)}' if a.ahead else ''}",
        ]
        for a in choice.agreements
    ]
    said = (
        f"Two methods over the same base models: correlations with {_bounds(choice)}; cover is of the first's best "
        "ones by the second's order; difference is the first minus the second."
    )
    return "do methods agree on base models", tabulated(headers, rows), [said]


def _stages(choice: Choice) -> Section:
    headers = ("method", "checkpoint", "stage", "trained from", *choice.categories)
    rows = [
        [s.method, s.model, s.stage, s.after or GAP, *map(_changed, s.values, s.before_relative, s.start_relative)]
        for s in choice.stages
    ]
    said = (
        "In parentheses: the change in % of the checkpoint that it was trained from; of the one that its chain begins "
        "with. A dash: that one has no result, or the chain no beginning."
    )
    return "stages of post-training", tabulated(headers, rows), [said]


def _changed(value: float, before: float, start: float) -> str:
    changes = [_percent(one) for one in (before, start)]
    return number(value, ".1f") + (f" ({'; '.join(changes)})" if changes != [GAP, GAP] else "")


def _table(choice: Choice) -> Section:
    bases, matched = choice.bases, choice.matched
    families = len(set(bases.families) - {""})
    rows = [
        ["base models", str(len(bases.models))],
        ["methods", sequence(bases.methods)],
        ["families", str(families)],
        ["base models with scores", str(matched.n_with_scores)],
        ["models with scores elsewhere only", str(matched.n_others)],
        ["benchmarks with a score of some model", str(len(matched.benchmarks))],
    ]
    none = "No principal components: fewer than two benchmarks are known of enough of the models."
    lines = [*([] if choice.components else [none]), *(f"Note: {note.rstrip('.')}." for note in choice.notes)]
    lines += [f"Source: {bases.citation}. Licence: {bases.licence}."] if bases.citation else []
    return f"{bases.source}: what this rests on", tabulated(("", "count"), rows), lines


CHOICE_STYLES: Mapping[str, Callable[[Choice], str]] = {
    "text": lambda choice: joined(sections(choice), text.block),
    "markdown": lambda choice: joined(sections(choice), markdown.block),
    "csv": choice_lines.write,
}
