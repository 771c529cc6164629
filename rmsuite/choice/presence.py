"""How likely language models find documents by category: what tells on which kinds of text a base model was trained.

The presence score of arXiv:2505.10775 is the mean log-probability of a document's first tokens under a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from rmsuite.choice import names, reading
from rmsuite.choice.reading import MODEL, Line
from rmsuite.choice.scores import Scores
from rmsuite.errors import InputError

CATEGORY, DOCUMENT, TOKENS, BYTES, SCORE = "category", "document", "n_tokens", "n_bytes", "log_probability"
COLUMNS = (MODEL, CATEGORY, DOCUMENT, TOKENS, BYTES, SCORE)  # of the file that the command of that name writes
TOKEN, BYTE = "token", "byte"
LEVEL = 0.95
PREFIX = "documents: "  # before a category, where it stands among benchmarks
Key = tuple[str, str, str]  # model, category, document


@dataclass(frozen=True)
class Category:
    """The documents of one category under the models that read them.

    Attributes
    ----------
    name : str
        Of the category.
    models : tuple of str
        Those that have a score on some document.
    documents : tuple of str
        Those that all these models have, in alphabetical order.
    scores : ndarray (n_models, n_documents)
        Mean log-probability per token or byte, in nats, at most 0; larger is likelier.
    """

    name: str
    models: tuple[str, ...]
    documents: tuple[str, ...]
    scores: np.ndarray

    def of(self, model: str) -> np.ndarray:
        """Return the scores of one model, (n_documents,)."""
        return np.asarray(self.scores[self.models.index(model)])


@dataclass(frozen=True)
class Presence:
    """Presence scores of models: ``unit`` is what a score is the mean per, ``notes`` what was left out, with counts."""

    models: tuple[str, ...]
    categories: tuple[Category, ...]
    unit: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mean:
    """A model's mean over the documents of a category, with Student's interval at 95 %, NaN for a single document."""

    model: str
    category: str
    value: float
    low: float
    high: float
    n_documents: int


def read_presence(paths: Iterable[str | Path], unit: str = TOKEN) -> Presence:
    """Return the presence scores of several files together, CSV or JSON.

    A line is a document under a model, with columns ``model``, ``category`` and ``log_probability`` (the mean per
    token, natural logarithm), ``document`` where a category has more than one, and, for ``unit`` byte, ``n_tokens`` and
    ``n_bytes``. Of a category those documents are kept that all models have which have any: means and distances compare
    models on the same texts.

    Raises
    ------
    InputError
        If a file is no such table, a log-probability is above 0, or a document has two of one model.
    """
    lines = [line for path in paths for line in _lines(Path(path))]
    known = [line for line in lines if not math.isnan(_score(line, unit))]
    if not known:
        raise InputError(who="log-probabilities", expected="one or more", got="none", do="check the files")
    spelt = names.spellings(line[MODEL] for line in lines)
    held = _held(known, spelt)
    again, gaps = len(known) - len(held), len(lines) - len(known)
    found, notes = _categories({key: _score(line, unit) for key, line in held.items()})
    notes += [f"{again} log-probabilities were given more than once, alike"] if again else []
    notes += [f"{gaps} lines have no log-probability per {unit}"] if gaps else []
    notes += [f"further spellings of models: {', '.join(spelt.again)}"] if spelt.again else []
    notes += _of_tokens(held, unit)
    return Presence(tuple(dict.fromkeys(key[0] for key in held)), tuple(found), unit, tuple(notes))


def _held(lines: Sequence[Line], spelt: names.Spellings) -> dict[Key, Line]:
    """Return one line a document under a model; another one has to say the same."""
    held: dict[Key, Line] = {}
    for line in lines:
        _check_again(held.setdefault((spelt.of[line[MODEL]], line[CATEGORY], line[DOCUMENT]), line), line)
    return held


def _lines(path: Path) -> list[Line]:
    lines = reading.read_lines(path)
    columns = set().union(*(line.cells for line in lines))
    if missing := [name for name in (CATEGORY, SCORE) if name not in columns]:
        got, do = ", ".join(sorted(columns)), "write them with rmsuite log-probabilities, or name columns so"
        raise InputError(who=f"table {path}", expected=f"a column {missing[0]}", got=got, do=do)
    for line in lines:
        if not line[CATEGORY]:
            raise InputError(who=line.place, expected="the name of a category", got="none", do="name it")
    return lines


def _score(line: Line, unit: str) -> float:
    """Return the mean log-probability per token or byte; NaN where it is not known."""
    value = line.number(SCORE)
    if value > 0:
        expected, do = "a log-probability, at most 0", "write the mean natural logarithm per token"
        raise InputError(who=f"{line.place}, {SCORE}", expected=expected, got=f"{value:g}", do=do)
    return value if unit == TOKEN else value * _count(line, TOKENS) / _count(line, BYTES)


def _count(line: Line, column: str) -> float:
    value = line.number(column)
    if value <= 0 or value % 1 > 0:
        do = "write how many there were, or leave the cell empty"
        raise InputError(who=f"{line.place}, {column}", expected="a whole number above 0", got=f"{value:g}", do=do)
    return value


def _check_again(old: Line, new: Line) -> None:
    mine, other = ([line.number(name) for name in (SCORE, TOKENS, BYTES)] for line in (new, old))
    if not np.array_equal(mine, other, equal_nan=True):
        expected = f"one line of {new[MODEL]} on {new[CATEGORY]} {new[DOCUMENT] or 'without the name of a document'}"
        do = "leave one of them out, or tell documents apart in a column document"
        raise InputError(who=new.place, expected=expected, got=f"another ({old.place})", do=do)


def _categories(scores: Mapping[Key, float]) -> tuple[list[Category], list[str]]:
    found, notes = [], []
    for name in sorted({key[1] for key in scores}):
        here = {(model, document): value for (model, category, document), value in scores.items() if category == name}
        models, documents = list(dict.fromkeys(m for m, _ in here)), sorted({d for _, d in here})
        common = [d for d in documents if all((m, d) in here for m in models)]
        if len(common) < len(documents):
            n, lost = len(documents), len(documents) - len(common)
            notes.append(f"{name}: {lost} of {n} documents, which some models lack, are left out")
        if common:
            values = np.array([[here[m, d] for d in common] for m in models])
            found.append(Category(name, tuple(models), tuple(common), values))
    return found, notes


def _of_tokens(held: Mapping[Key, Line], unit: str) -> list[str]:
    counts: dict[tuple[str, str], set[str]] = {}
    for (_, category, document), line in held.items():
        counts.setdefault((category, document), set()).add(line[TOKENS])
    differ = sum(len(found - {""}) > 1 for found in counts.values())
    if not differ or unit == BYTE:
        return []
    return [f"{differ} documents have other numbers of tokens under other models: means per byte compare them (--per)"]


def means(presence: Presence) -> Iterator[Mean]:
    """Yield the mean of each model on each category that it has, models in the order of the files."""
    for model in presence.models:
        for category in presence.categories:
            if model in category.models:
                scores = category.of(model)
                yield Mean(model, category.name, *student(scores), len(scores))


def student(values: np.ndarray) -> tuple[float, float, float]:
    """Return a mean and Student's interval for it at ``LEVEL``, NaN for a single value."""
    n, value = len(values), float(values.mean())
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return value, value - reach, value + reach


def as_scores(presence: Presence) -> Scores:
    """Return the category means as if each category were a benchmark."""
    values = np.full((len(presence.models), len(presence.categories)), np.nan)
    columns = [category.name for category in presence.categories]
    for mean in means(presence):
        values[presence.models.index(mean.model), columns.index(mean.category)] = mean.value
    return Scores(presence.models, tuple(PREFIX + name for name in columns), values)


def inherited(
    columns: Mapping[str, np.ndarray], families: Sequence[str], parameters: np.ndarray, tokens: np.ndarray
) -> tuple[dict[str, np.ndarray], int]:
    """Give models without scores those of the largest model of their family that has some and saw as many tokens.

    Each column is (n_models,), as are ``parameters`` and ``tokens``. Returns the columns and how many models were given
    some. Source: arXiv:2505.10775, which does so for smaller models of a family.
    """
    matrix = np.column_stack(list(columns.values()))
    bare = np.isnan(matrix).all(axis=1)
    found = matrix.copy()
    for row in np.flatnonzero(bare).tolist():
        kin = [r for r in np.flatnonzero(~bare).tolist() if families[r] and families[r] == families[row]]
        kin = [r for r in kin if tokens[r] == tokens[row] and parameters[r] > parameters[row]]
        if kin:
            found[row] = matrix[max(kin, key=lambda r: parameters[r])]
    n = int((bare & ~np.isnan(found).all(axis=1)).sum())
    return dict(zip(columns, found.T, strict=True)), n
