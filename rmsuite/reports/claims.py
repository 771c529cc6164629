"""Claims of papers held against policy cells: each is reproduced, not reproduced or inconclusive, with an interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.stats import spearmanr

from rmsuite.policy_suites import Claim, Term
from rmsuite.results import CellRecord
from rmsuite.statistics import Estimate, crossed_mean

POPULATION = "clusters like these and repetitions anew"
THIS_FIT = "clusters like these; the one repetition held fixed"
REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, NOT_RUN = "reproduced", "not reproduced", "inconclusive", "not run"
FEWEST = 4  # repetitions that a rank correlation needs


@dataclass(frozen=True)
class Verdict:
    """What results say of a claim; without an estimate, ``note`` says why."""

    claim: Claim
    word: str
    estimate: Estimate | None = None
    note: str = ""


class _Gap(Exception):  # noqa: N818 -- not an error: a claim that cannot be judged
    """Says why."""


class _Missing(_Gap):
    """Says which cells there are none of."""


Cells = dict[tuple[str, str, str], list[CellRecord]]  # by task, reward model and optimizer; repetitions in order


def verdicts(records: Iterable[CellRecord], claims: Iterable[Claim]) -> tuple[Verdict, ...]:
    """Judge claims by policy cells that are ok; each interval covers 95% for its claim alone (``POPULATION``)."""
    cells: Cells = {}
    for record in sorted(records, key=lambda record: record.repetition):
        if record.status == "ok":
            key = record.task, record.facts["reward_model"], record.facts["optimizer"]
            cells.setdefault(key, []).append(record)
    return tuple(_verdict(claim, cells) for claim in claims)


def _verdict(claim: Claim, cells: Cells) -> Verdict:
    try:
        found = [_points(term, cells) for term in claim.terms]
        if claim.of != "gain" and min(map(len, found)) < 2:
            raise _Gap("a curve of one point has no earlier one to fall from")
        estimate = _correlation(claim, found, cells) if claim.of == "correlation" else _sum(claim, found, cells)
    except _Gap as gap:
        return Verdict(claim, NOT_RUN if isinstance(gap, _Missing) else INCONCLUSIVE, note=str(gap))
    return Verdict(claim, word(claim, estimate), estimate, _beyond(claim, estimate) or _rising(claim, found))


def _beyond(claim: Claim, estimate: Estimate) -> str:
    """Say so where even a correlation of 0 would have an interval that reaches beyond the claim's limit."""
    if claim.of != "correlation" or claim.bound != "within":
        return ""
    half = float(np.tanh((np.arctanh(estimate.high) - np.arctanh(estimate.low)) / 2))
    if half < claim.limit:
        return ""
    return f"so few repetitions cannot reproduce it: around 0 the interval would be [{-half:+.2f}, {half:+.2f}]"


def _rising(claim: Claim, found: Sequence[np.ndarray]) -> str:
    """Say so where no curve of a sum of drops falls, which makes it 0."""
    if claim.of != "drop" or len(found) == 1 or any(drops(points, floor=True).any() for points in found):
        return ""
    return "none of its curves falls, so that each counts 0"


def word(claim: Claim, estimate: Estimate) -> str:
    """Return whether an interval lies where the claim says, where it denies it, or on both sides."""
    low, high, limit = estimate.low, estimate.high, claim.limit
    holds = {"above": low > limit, "below": high < limit, "within": -limit < low and high < limit}
    denied = {"above": high <= limit, "below": low >= limit, "within": low >= limit or high <= -limit}
    return REPRODUCED if holds[claim.bound] else NOT_REPRODUCED if denied[claim.bound] else INCONCLUSIVE


def _points(term: Term, cells: Cells) -> np.ndarray:
    """Return gold gains along a term's curve, ``(n_points, n_repetitions, n_prompts)``; means over policies."""
    groups = [_group(term, optimizer, cells) for optimizer in term.curve.optimizers]
    if len({tuple(cell.repetition for cell in group) for group in groups}) > 1:
        raise _Gap(f"the curve of {term.method} on {term.task} has not the same repetitions at all its points")
    if len(groups) == 1:
        return np.stack([_gains(cell) for cell in groups[0]], axis=1)
    return np.stack([np.stack([_gains(cell)[-1] for cell in group]) for group in groups])


def _group(term: Term, optimizer: str, cells: Cells) -> list[CellRecord]:
    found = cells.get((term.task, term.method, optimizer), [])
    group = [cell for cell in found if cell.facts["beta"] in (None, term.curve.beta)]
    if not group:
        raise _Missing(f"no results of {term.method} with {optimizer} on {term.task}")
    return group


def _gains(cell: CellRecord) -> np.ndarray:
    gold: np.ndarray = cell.arrays["gold"].mean(axis=2)
    return gold - cell.arrays["reference_gold"]


def _sum(claim: Claim, found: Sequence[np.ndarray], cells: Cells) -> Estimate:
    of = ends if claim.of == "gain" else partial(drops, floor=len(found) > 1)
    each = [term.weight * of(points) for term, points in zip(claim.terms, found, strict=True)]
    groups = [_group(term, term.curve.optimizers[0], cells) for term in claim.terms]
    alike = {tuple(cell.repetition for cell in group) for group in groups}
    if len({one.shape for one in each}) > 1 or len(alike) > 1:
        raise _Gap("the terms have not the same prompts and repetitions")
    values = np.sum(each, axis=0)
    return crossed_mean(values, POPULATION if len(values) > 1 else THIS_FIT)


def ends(points: np.ndarray) -> np.ndarray:
    """Return the last point of a curve, ``(n_repetitions, n_prompts)``."""
    last: np.ndarray = points[-1]
    return last


def drops(points: np.ndarray, floor: bool = False) -> np.ndarray:
    """Return by how much the best earlier point of a curve is above its end, ``(n_repetitions, n_prompts)``.

    Negative for a curve that rises to its end; with ``floor``, 0 there, for of two curves that rise the one that rises
    less does not fall more. The best point of each half of the prompts is chosen on the other half:
    on the same prompts even a flat curve would seem to fall. The same repetitions serve both halves, so that the chance
    in a fit can still make a flat curve seem to fall, but by much less.
    """
    out, candidates = np.empty(points.shape[1:]), points if floor else points[:-1]
    second = np.arange(points.shape[2]) % 2 == 1
    for half in (second, ~second):
        best = candidates[:, :, ~half].mean(axis=(1, 2)).argmax()
        out[:, half] = points[best][:, half] - points[-1][:, half]
    return out


def _correlation(claim: Claim, found: Sequence[np.ndarray], cells: Cells) -> Estimate:
    """Return the mean of the terms' rank correlations, each weighed by its repetitions, by Fisher's transform."""
    pairs = zip(claim.terms, found, strict=True)
    z = [
        _z([_accuracy(cell) for cell in _group(term, term.curve.optimizers[-1], cells)], drops(p)) for term, p in pairs
    ]
    n = [points.shape[1] for points in found]
    weights = np.array(n) - 3.0
    mean, reach = float(np.average(z, weights=weights)), 1.96 * float(np.sqrt(1.06 / weights.sum()))  # Fieller 1957
    base = Estimate(0, 0, 0, 0.95, "Fisher's z of rank correlations", "repetitions anew", sum(n), sum(n), max(n), 0)
    value, low, high = (float(np.tanh(x)) for x in (mean, mean - reach, mean + reach))
    return replace(base, value=value, low=low, high=high)


def _z(accuracy: Sequence[float], fallen: np.ndarray) -> float:
    """Return Fisher's z of the rank correlation of accuracy with the mean drop of each repetition."""
    by_repetition = fallen.mean(axis=1)
    if len(accuracy) < FEWEST:
        raise _Gap(f"{len(accuracy)} repetitions: a rank correlation needs {FEWEST}")
    if not (np.ptp(accuracy) and np.ptp(by_repetition)):
        raise _Gap("nothing varies over repetitions")
    return float(np.arctanh(np.clip(spearmanr(accuracy, by_repetition).statistic, -0.999, 0.999)))


def _accuracy(cell: CellRecord) -> float:
    credit, total = cell.arrays["pair_accuracy"].sum(axis=0)
    return float(credit / total)
