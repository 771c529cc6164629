"""What benchmarks elsewhere say of base models: long or wide tables, several of them, brought together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rmsuite.choice import names, reading
from rmsuite.choice.published import cards, published
from rmsuite.choice.reading import MODEL, Line, Readable
from rmsuite.errors import InputError

BUNDLED = "bundled"
BENCHMARK, SCORE = "benchmark", "score"
PARTS = ("task", "metric")  # of a long table: they belong to the name of the benchmark
# What the tables of a study name rows beside the benchmarks; the numbers of one would pass for those of the other.
TAKEN = ("parameters", "pre-training tokens", "embedding dimension", "merged benchmarks")
TAKEN_PREFIX = "documents: "
PARAMETERS = "params_b"
Cell = tuple[str, str, float, str]  # model, benchmark, score, place


@dataclass(frozen=True)
class Scores:
    """Scores of models on benchmarks.

    Attributes
    ----------
    models, benchmarks : tuple of str
        Each model once, as it was spelled first.
    values : ndarray (n_models, n_benchmarks)
        NaN where there is no score.
    notes : tuple of str
        What was merged, left out or is missing, in words, with counts.
    """

    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    values: np.ndarray
    notes: tuple[str, ...] = ()


def read_scores(paths: Iterable[str | Path]) -> Scores:
    """Return the scores of several files together; ``bundled`` stands for those that come with rmsuite.

    A table with columns model, benchmark and score is long: its columns task and metric, where there are any, belong to
    the name of the benchmark. Any other one is wide: a column model, and a column of numbers a benchmark.

    Raises
    ------
    InputError
        If a file is no such table, or gives a model two different scores on one benchmark.
    """
    cells: list[Cell] = []
    notes: list[str] = []
    for path in _files(paths):
        found, said = _cells(path)
        cells += found
        notes += said
    return _gathered(cells, notes)


def _files(paths: Iterable[str | Path]) -> Iterator[Readable]:
    for path in paths:
        if str(path) == BUNDLED:
            yield from (published(card["file"]) for card in cards()["scores"])
        else:
            _check_there(Path(path))
            yield Path(path)


def _check_there(path: Path) -> None:
    if got := reading.no_file(path):
        expected = f"{BUNDLED}, or a CSV or JSON file"
        raise InputError(who=f"scores {path}", expected=expected, got=got, do="check name or path")


def _cells(path: Readable) -> tuple[list[Cell], list[str]]:
    lines = reading.read_lines(path)
    columns = set().union(*(line.cells for line in lines))
    long = {BENCHMARK, SCORE} <= columns
    return _of_long(path, lines, columns) if long else _of_wide(path, lines)


def _of_long(path: Readable, lines: Sequence[Line], columns: set[str]) -> tuple[list[Cell], list[str]]:
    for line in lines:
        if not line[BENCHMARK]:
            raise InputError(who=line.place, expected="the name of a benchmark", got="none", do="name it")
    cells = [
        (
            line[MODEL],
            " ".join(line[part] for part in (BENCHMARK, *PARTS) if line[part]),
            line.number(SCORE),
            line.place,
        )
        for line in lines
    ]
    further = sorted(columns - {MODEL, BENCHMARK, SCORE, *PARTS})
    return cells, _not_read(path, further)


def _of_wide(path: Readable, lines: Sequence[Line]) -> tuple[list[Cell], list[str]]:
    held, further = reading.numeric(lines, [MODEL])
    if not held:
        raise InputError(
            who=f"table {path if isinstance(path, Path) else path.name}",
            expected="a column of numbers a benchmark, or columns benchmark and score",
            got=", ".join(further) or "no further columns",
            do="add the scores",
        )
    cells = [(line[MODEL], name, line.number(name), line.place) for line in lines for name in held]
    return cells, _not_read(path, further)


def _not_read(path: Readable, columns: Sequence[str]) -> list[str]:
    return [f"{path.name}: columns without numbers, not read: {', '.join(columns)}"] if columns else []


def _gathered(cells: Sequence[Cell], notes: Sequence[str]) -> Scores:
    spelt = names.spellings(cell[0] for cell in cells)
    models = list(dict.fromkeys(spelt.of.values()))
    benchmarks = list(dict.fromkeys(cell[1] for cell in cells))
    values = np.full((len(models), len(benchmarks)), np.nan)
    row = {name: place for place, name in enumerate(models)}
    column = {name: place for place, name in enumerate(benchmarks)}
    again = 0
    for model, benchmark, score, place in cells:
        _check(benchmark, score, place)
        at = row[spelt.of[model]], column[benchmark]
        again += _is_again(values[at], score, f"{place}, {model} on {benchmark}")
        values[at] = values[at] if math.isnan(score) else score
    values.flags.writeable = False
    said = [*notes, *_of_spellings(spelt), *([f"{again} scores were given more than once, alike"] if again else [])]
    return Scores(tuple(models), tuple(benchmarks), values, tuple(said))


def _check(benchmark: str, score: float, place: str) -> None:
    if benchmark in TAKEN or benchmark.startswith(TAKEN_PREFIX):
        do = "rename it"
        raise InputError(who=place, expected="a benchmark whose name no other row has", got=repr(benchmark), do=do)
    if benchmark == PARAMETERS and score < 0:
        do = "correct the table, or leave the cell empty"
        raise InputError(who=f"{place}, {benchmark}", expected="0 or more", got=f"{score:g}", do=do)


def _is_again(old: float, new: float, who: str) -> bool:
    if math.isnan(old) or math.isnan(new):
        return False
    if old != new:
        raise InputError(who=who, expected="one score", got=f"{old:g} and {new:g}", do="leave one of them out")
    return True


def _of_spellings(spelt: names.Spellings) -> list[str]:
    if not spelt.again:
        return []
    shown = ", ".join(f"{name} is {spelt.of[name]}" for name in spelt.again)
    return [f"{len(spelt.again)} further spellings of models: {shown}"]
