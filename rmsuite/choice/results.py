"""Results of reward models by base model: a bundled table, or a file of one's own in the manner of RewardBench."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.choice import names, reading
from rmsuite.choice.bases import BaseModels, Step
from rmsuite.choice.published import cards, published
from rmsuite.choice.reading import MODEL, Line, Readable
from rmsuite.errors import InputError

METHOD, SCORE, PARAMETERS, FAMILY, PUBLISHER, STAGE, AFTER = (
    *("method", "score", "params_b", "family", "publisher", "stage", "after"),
)
FACTS = {"pretrain_tokens_t": "pre-training tokens"}
APART = (MODEL, METHOD, SCORE, PARAMETERS, FAMILY, PUBLISHER, STAGE, AFTER, *FACTS)
ROUNDING = 0.1  # a score and the mean of its categories, each printed with a decimal, may lie so far apart
QUALITY = "quality"  # what the mean is called, beside the categories
DEFAULT_METHOD, METRIC = "reward model", "mean of the categories, in the file's unit"


def read_results(name: str | Path) -> BaseModels:
    """Return the base models of a bundled table, by its name, or of a CSV or JSON file, by its path.

    A file has a line a model (and method), with a column ``model`` and a column of numbers a category: quality is their
    plain mean, or the column ``score`` where there is one. It may have ``method``, ``params_b`` (billions),
    ``pretrain_tokens_t`` (trillions), ``family`` or ``publisher`` (else the organisation before the slash), ``stage``
    and ``after`` (the model that it was trained from). A model that lacks a category, and has no score, has no
    quality: a mean of fewer is another measure.

    Raises
    ------
    InputError
        If there is no such table or file, it cannot be read, or gives a model two results of one method.
    """
    bundled: Mapping[str, Any] = cards()["results"]
    if str(name) not in bundled:
        _check_there(Path(name), bundled)
        return _table(str(name), [Path(name)], [])
    card = bundled[str(name)]
    found = _table(str(name), [published(file) for file in card["files"]], [published(f) for f in card["further"]])
    return replace(
        found,
        metric=card["metric"],
        defaults=tuple(card["defaults"]),
        notes=(*found.notes, *card["notes"]),
        citation=f"{card['source']} ({card['citation']})",
        licence=card["licence"],
    )


def _check_there(path: Path, bundled: Mapping[str, Any]) -> None:
    if got := reading.no_file(path):
        expected = f"one of {', '.join(sorted(bundled))}, or a CSV or JSON file"
        raise InputError(who=f"results {path}", expected=expected, got=got, do="check name or path")


def _table(source: str, files: Sequence[Readable], further: Sequence[Readable]) -> BaseModels:
    lines = [line for file in files for line in reading.read_lines(file)]
    more = [line for file in further for line in reading.read_lines(file)]
    categories, unread = reading.numeric(lines, APART)
    if not categories and not any(reading.is_meant_as_number(line[SCORE]) for line in lines):
        got = ", ".join(unread) or "neither"
        raise InputError(who=f"results {source}", expected="categories or scores", got=got, do="add columns of numbers")
    if QUALITY in categories:
        do = "call it score, if quality is it, or otherwise"
        raise InputError(who=f"results {source}", expected="categories of other names", got=QUALITY, do=do)
    spelt = names.spellings(line[MODEL] for line in lines)
    models = list(dict.fromkeys(spelt.of.values()))
    methods = list(dict.fromkeys(line[METHOD] or DEFAULT_METHOD for line in lines))
    at = _places(lines, spelt, models, methods)
    values = np.full((len(models), len(methods), len(categories) + 1), np.nan)
    for place, line in at.items():
        values[place] = _values(line, categories)
    return BaseModels(
        source=source,
        metric=METRIC,
        models=tuple(models),
        methods=tuple(methods),
        quality=values[..., -1],
        parameters=_fact(at, len(models), PARAMETERS),
        families=tuple(_family(name, [at[p] for p in at if models[p[0]] == name]) for name in models),
        facts={said: _fact(at, len(models), name) for name, said in FACTS.items() if any(line[name] for line in lines)},
        categories={name: values[..., place] for place, name in enumerate(categories)},
        steps=tuple(_step(line, categories) for line in _of_stages([*more, *lines])),
        notes=tuple(_notes(spelt, unread, values, at, categories)),
    )


def _places(
    lines: Sequence[Line], spelt: names.Spellings, models: Sequence[str], methods: Sequence[str]
) -> dict[tuple[int, int], Line]:
    found: dict[tuple[int, int], Line] = {}
    for line in lines:
        method = line[METHOD] or DEFAULT_METHOD
        place = models.index(spelt.of[line[MODEL]]), methods.index(method)
        if place in found:
            got = f"another ({found[place].place})"
            expected = f"one result of {line[MODEL]} with {method}"
            do = "leave one of them out, or name methods; categories are columns"
            raise InputError(who=line.place, expected=expected, got=got, do=do)
        found[place] = line
    return found


def _values(line: Line, categories: Sequence[str]) -> list[float]:
    """Return the values of the categories, and the quality: the score where one is given, else their mean."""
    values, score = [line.number(name) for name in categories], line.number(SCORE)
    mean = sum(values) / len(values) if values else math.nan  # NaN where one is missing
    return [*values, mean if math.isnan(score) else score]


def _fact(at: Mapping[tuple[int, int], Line], n_models: int, column: str) -> np.ndarray:
    found = np.full(n_models, np.nan)
    for (row, _), line in at.items():
        value, old = line.number(column), found[row]
        if value < 0:
            do = "correct the table, or leave the cell empty"
            raise InputError(who=f"{line.place}, {column}", expected="0 or more", got=f"{value:g}", do=do)
        if not math.isnan(old) and not math.isnan(value) and old != value:
            got = f"{old:g} and {value:g}"
            raise InputError(who=f"{line.place}, {column}", expected="one of a model", got=got, do="correct the table")
        found[row] = old if math.isnan(value) else value
    return found


def _family(model: str, lines: Sequence[Line]) -> str:
    given = [line[FAMILY] or line[PUBLISHER] for line in lines]
    return next((name for name in given if name), names.organisation(model))


def _of_stages(lines: Sequence[Line]) -> list[Line]:
    """Return the lines that say how a model was trained on, and those of the models that it was trained from."""
    said = [line for line in lines if line[STAGE] or line[AFTER]]
    before = {names.key(line[AFTER]) for line in said if line[AFTER]}
    return [line for line in lines if line[STAGE] or line[AFTER] or names.key(line[MODEL]) in before]


def _step(line: Line, categories: Sequence[str]) -> Step:
    method = line[METHOD] or DEFAULT_METHOD
    return Step(line[MODEL], method, line[STAGE], line[AFTER], tuple(_values(line, categories)))


def _notes(
    spelt: names.Spellings,
    unread: Sequence[str],
    values: np.ndarray,
    at: Mapping[tuple[int, int], Line],
    categories: Sequence[str],
) -> list[str]:
    missing = int(np.isnan(values[..., -1]).sum())
    off = [place for place in at if categories and abs(values[place][:-1].mean() - values[place][-1]) > ROUNDING]
    return [
        *([f"{len(spelt.again)} further spellings of models: {', '.join(spelt.again)}"] if spelt.again else []),
        *([f"columns without numbers, not read: {', '.join(unread)}"] if unread else []),
        *([f"{missing} of {values[..., -1].size} results (model and method) are missing"] if missing else []),
        *([f"{len(off)} scores are not the mean of their categories; the scores are taken"] if off else []),
    ]
