"""Ask a language model for the log-probabilities of documents, and check what it answers."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rmsuite.embedders import LanguageModel, LogProbability
from rmsuite.errors import EmbedderError, shown
from rmsuite.texts.documents import Document
from rmsuite.texts.shards import asked

LARGEST, SMALLEST, MOST_BYTES = 1e50, 1e-50, 10**15  # far beyond all documents: sums of such are numbers still
CHUNK = 64  # documents that a model is asked about at a time
Bar = Callable[[Iterable[int]], Iterable[int]]


@dataclass(frozen=True)
class Predicted:
    """A document, and what a language model says of it: at least one token was predicted."""

    document: Document
    said: LogProbability

    @property
    def per_token(self) -> float:
        """The mean log-probability of its tokens, in nats."""
        return self.said.total / self.said.n_tokens

    @property
    def per_byte(self) -> float:
        """Their log-probability a byte, in nats; NaN of tokens that have none."""
        return self.said.total / self.said.n_bytes if self.said.n_bytes else math.nan


def predict(documents: Sequence[Document], model: LanguageModel, n_tokens: int, who: str, bar: Bar) -> list[Predicted]:
    """Return what a model says of the first ``n_tokens`` tokens of documents, without those that have none to predict.

    Parameters
    ----------
    who : str
        The embedder, for errors.
    bar : callable
        Wraps the numbers of the chunks, to show progress.

    Raises
    ------
    EmbedderError
        If the model fails, or answers something else than a log-probability a document.
    """
    found: list[Predicted] = []
    for start in bar(range(0, len(documents), CHUNK)):
        some = documents[start : start + CHUNK]
        answers = asked(who, lambda texts: [*model.log_probabilities(texts, n_tokens)], [one.text for one in some])
        if len(answers) != len(some):
            expected, got = f"one answer for each of {len(some)} documents", f"{len(answers)}"
            raise EmbedderError(who=who, expected=expected, got=got, do="mend log_probabilities of the embedder")
        said = [_checked(answer, n_tokens, who, one) for answer, one in zip(answers, some, strict=True)]
        found += [Predicted(one, its) for one, its in zip(some, said, strict=True) if its.n_tokens]
    return found


def _checked(answer: Any, n_tokens: int, who: str, document: Document) -> LogProbability:
    said = _as_numbers(answer)
    if said is None or not _possible(said, n_tokens):
        where = f"{who}, document {document.name!r} of category {document.category!r}"
        expected = f"a finite sum of log-probabilities of at most 0, of 0 to {n_tokens} tokens, and their bytes"
        do = "mend log_probabilities of the embedder"
        raise EmbedderError(who=where, expected=expected, got=shown(answer), do=do)
    return said


def _possible(said: LogProbability, n_tokens: int) -> bool:
    counts = 0 <= said.n_tokens <= n_tokens and 0 <= said.n_bytes <= MOST_BYTES
    total = said.total == 0 or SMALLEST <= -said.total <= LARGEST
    return counts and total and bool(said.n_tokens or not said.total)


def _as_numbers(answer: Any) -> LogProbability | None:
    try:
        total, n_tokens, n_bytes = answer
        return LogProbability(float(total), operator.index(n_tokens), operator.index(n_bytes))
    except Exception:  # noqa: BLE001 -- what a stranger's numbers raise
        return None
