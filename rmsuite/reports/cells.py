"""Which cells make a table: by method and repetition, of one signature, with what is left out put into words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rmsuite import signature
from rmsuite.errors import ResultsError
from rmsuite.results import CellRecord

Group = tuple[CellRecord, ...]  # one method's cells, one a repetition


@dataclass(frozen=True)
class Chosen:
    """The cells of one task's table.

    Attributes
    ----------
    line : str
        The signature of the cells.
    groups : mapping
        By method, its cells in the order of ``repetitions``.
    marked : mapping
        By method whose cells have another signature, the parts in which it differs; empty unless mixing is allowed.
    stored : frozenset of str
        Methods that come from stored results.
    omitted : tuple of str
        What is left out, and why.
    """

    line: str
    repetitions: tuple[int, ...]
    groups: Mapping[str, Group]
    marked: Mapping[str, str]
    stored: frozenset[str]
    omitted: tuple[str, ...]


def by_task(records: Iterable[CellRecord]) -> dict[str, list[CellRecord]]:
    """Return records by task label."""
    out: dict[str, list[CellRecord]] = {}
    for record in records:
        out.setdefault(record.task, []).append(record)
    return out


def choose(task: str, run: Sequence[CellRecord], stored: Sequence[CellRecord], allow_mixed: bool) -> Chosen:
    """Choose the cells of a task's table.

    A method of ``run`` hides a stored one. Stored cells of another signature, or without some repetition of the run,
    are left out; with ``allow_mixed`` those of another signature are marked instead.

    Raises
    ------
    ResultsError
        If there are none in ``run``, if these have different signatures, unless ``allow_mixed``; if no repetition is
        common.
    """
    if not run:
        do = "run the cells that are missing"
        raise ResultsError(who=f"table of {task}", expected="finished cells", got="none", do=do)
    line = _leading_signature(task, run, allow_mixed)
    marked = _marked(line, run)
    own = _by_method(record for record in run if record.method not in marked)
    repetitions = _common_repetitions(task, own)
    reference = _by_method(r for r in stored if r.signature == line and r.method not in own and r.method not in marked)
    short = [method for method, cells in reference.items() if not set(repetitions) <= set(cells)]
    kept = {method: cells for method, cells in reference.items() if method not in short}
    others = _by_method(record for record in run if record.method in marked)
    if allow_mixed:
        further = [r for r in stored if r.signature != line and r.kind == "method" and r.method not in {*own, *others}]
        marked |= _marked(line, further)
        others |= _by_method(further)
    groups = {method: tuple(cells[r] for r in repetitions) for method, cells in {**own, **kept}.items()}
    groups |= {method: tuple(cells[r] for r in sorted(cells)) for method, cells in others.items()}
    omitted = (
        *_other_signatures(line, [record for record in stored if record.method not in marked]),
        *_too_short(short),
        *_other_repetitions(own, repetitions),
    )
    return Chosen(line, repetitions, groups, marked, frozenset(kept), omitted)


def _by_method(records: Iterable[CellRecord]) -> dict[str, dict[int, CellRecord]]:
    out: dict[str, dict[int, CellRecord]] = {}
    for record in records:
        out.setdefault(record.method, {})[record.repetition] = record
    return out


def _leading_signature(task: str, records: Sequence[CellRecord], allow_mixed: bool) -> str:
    """Return the signature that all cells share, or the one that most have if mixing is allowed."""
    lines = {record.signature: record.method for record in records}
    if len(lines) > 1 and not allow_mixed:
        (first, one), (second, two), *_ = lines.items()
        raise ResultsError(
            who=f"table of {task}",
            expected="results with one signature",
            got=f"{one!r} and {two!r} with {signature.worded(first, second)}",
            do="run them anew into one folder, keep them in two (--output), or mark the others (--allow-mixed)",
        )
    return max(sorted(lines), key=Counter(record.signature for record in records).__getitem__)


def _marked(line: str, records: Iterable[CellRecord]) -> dict[str, str]:
    return {record.method: signature.worded(record.signature, line) for record in records if record.signature != line}


def _common_repetitions(task: str, cells: Mapping[str, Mapping[int, CellRecord]]) -> tuple[int, ...]:
    common = tuple(sorted(set.intersection(*(set(by_repetition) for by_repetition in cells.values()))))
    if not common:
        counts = ", ".join(f"{method}: {sorted(by_repetition)}" for method, by_repetition in sorted(cells.items()))
        do = "run the missing repetitions, or give another folder"
        raise ResultsError(who=f"table of {task}", expected="a repetition that all methods have", got=counts, do=do)
    return common


def _other_signatures(line: str, stored: Sequence[CellRecord]) -> list[str]:
    methods: dict[str, set[str]] = {}
    for record in stored:
        if record.signature != line:
            parts = ", ".join(signature.differences(line, record.signature))
            methods.setdefault(parts, set()).add(record.method)
    return [
        f"stored results of {', '.join(sorted(names))} are left out: they differ in {parts}"
        for parts, names in sorted(methods.items())
    ]


def _too_short(methods: Sequence[str]) -> list[str]:
    if not methods:
        return []
    names = ", ".join(sorted(methods))
    return [f"stored results of {names} are left out: they have fewer repetitions; run them too to compare"]


def _other_repetitions(cells: Mapping[str, Mapping[int, CellRecord]], common: Sequence[int]) -> list[str]:
    short = sorted(method for method, by_repetition in cells.items() if set(by_repetition) == set(common))
    extra = sorted({number for by_repetition in cells.values() for number in by_repetition} - set(common))
    if not extra:
        return []
    numbers = ", ".join(map(str, extra))
    return [f"repetition(s) {numbers} are left out: {', '.join(short)} {'has' if len(short) == 1 else 'have'} none"]


def is_whole(group: Group) -> bool:
    """Whether a method has numbers in all repetitions, all of one code and one signature."""
    one = len({cell.origin for cell in group}) == len({cell.signature for cell in group}) == 1
    return one and all(cell.status == "ok" for cell in group)


def why_not(group: Group) -> str:
    """Return why a group is not whole."""
    if len({cell.signature for cell in group}) > 1:
        return "repetitions with different signatures, run it anew"
    if len({cell.origin for cell in group}) > 1:
        origins = ", ".join(f"{cell.repetition}: {cell.origin}" for cell in group)
        return f"repetitions of different code, run it anew ({origins})"
    broken = [cell for cell in group if cell.status != "ok"]
    first = broken[0]
    reason = f"{first.phase}: {first.error}" if first.phase else first.error
    return f"{first.status} in {len(broken)} of {len(group)} repetitions: {reason}"


def across_tasks(task: str, cells: Mapping[str, Sequence[CellRecord]], asked: Collection[str] = ()) -> list[str]:
    """Say which methods have results on other tasks only, or were asked for in vain, or are of another code there."""
    here = {cell.method: cell.origin for cell in cells[task]}
    there = {cell.method: (cell.origin, other) for other in sorted(cells) if other != task for cell in cells[other]}
    absent = [f"{method} has no results here" for method in sorted({*there, *asked} - set(here))]
    changed = [
        f"{method} is of other code here ({origin}) than on {there[method][1]} ({there[method][0]})"
        for method, origin in sorted(here.items())
        if method in there and there[method][0] != origin
    ]
    return [*absent, *changed]
