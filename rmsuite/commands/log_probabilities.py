"""``rmsuite log-probabilities``: what language models think of documents, by category."""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from rmsuite.choice import names
from rmsuite.choice.presence import COLUMNS
from rmsuite.commands import shared
from rmsuite.embedders import ConfiguredEmbedder, LanguageModel, reads
from rmsuite.errors import EmbedderError, InputError, shown
from rmsuite.plugins import Catalogue
from rmsuite.render.cells import GAP, plain
from rmsuite.render.comma_separated import guarded, printed
from rmsuite.texts.build import checked_card
from rmsuite.texts.documents import Documents, read_documents
from rmsuite.texts.predicted import Predicted, predict
from rmsuite.texts.shards import asked

MEANT = """Log-probability in nats of the first {tokens:,} tokens, per token and per byte of UTF-8: means of documents.
Tokens differ between tokenizers: between those, compare bytes, or differences between categories."""
HEADERS = ("model", "category", "documents", "tokens", "per token", "per byte")


def log_probabilities(options: Namespace) -> int:
    """Read documents, ask each model in turn, write what they say, and print it by category."""
    _refuse_what_is_there(options.output)
    catalogue = shared.catalogue(options)
    named = _named([catalogue.embedder(text) for text in options.embedder], catalogue)
    read = read_documents(options.documents)
    for reason, n in read.left_out.items():
        print(f"left out: {n:,} {reason}")
    rows: list[list[str]] = []
    with _written(options.output) as file:
        for name, embedder in named.items():
            rows += _ask(name, embedder, read, options.tokens, file)
    print(tabulate(rows, HEADERS, tablefmt="simple", disable_numparse=True, colalign=("left",) * 2 + ("right",) * 4))
    print(MEANT.format(tokens=options.tokens))
    print(f"Next: rmsuite base-models --log-probabilities {shlex.quote(str(options.output))}")
    return 0


def _refuse_what_is_there(path: Path) -> None:
    if os.path.lexists(path):  # which no name is too long for
        do = "give another file with --output, or remove this one"
        raise InputError(who=f"file {path}", expected="none of this name", got="one: nothing is overwritten", do=do)


def _named(asked_for: Sequence[ConfiguredEmbedder], catalogue: Catalogue) -> dict[str, ConfiguredEmbedder]:
    """Return embedders by the names of their base models, so that all mistakes are found before any model is asked.

    The models that tell their names are let go again: only one is held at a time.
    """
    found: dict[str, ConfiguredEmbedder] = {}
    for one in asked_for:
        if reads(one.embedder) is False:
            raise _no_language_model(one, catalogue)
        model = asked(_who(one), one.make)
        if not isinstance(model, LanguageModel):
            raise _no_language_model(one, catalogue)
        card = checked_card(asked(_who(one), lambda made: made.card(), model), one.label)
        name = _base_model(one, card)
        if again := names.matches(name, found):
            got, do = f"{name!r} of {found[again[0]].label!r} too", "leave one out, or ask for it into another file"
            raise EmbedderError(who=_who(one), expected="a base model of another name", got=got, do=do)
        found[name] = one
    return found


def _base_model(embedder: ConfiguredEmbedder, card: Mapping[str, Any]) -> str:
    """Return the name that a card gives its base model, which the tables of base models have to know again."""
    name = card.get("base_model_name") or card["base_model"]
    if not isinstance(name, str) or not names.key(name):
        who, do = f"{_who(embedder)}, base_model_name", "mend the embedder's card"
        raise EmbedderError(who=who, expected="the name of a model, as text", got=shown(name), do=do)
    return name


def _who(embedder: ConfiguredEmbedder) -> str:
    return f"embedder {embedder.label!r}"


def _no_language_model(embedder: ConfiguredEmbedder, catalogue: Catalogue) -> EmbedderError:
    owners = catalogue.embedder_owners.items()
    able = [f"{name} ({plugin.origin})" for name, both in owners for plugin, one in both if reads(one)]
    do = f"name one of {', '.join(able)}" if able else "install a plugin with one, as plugins/rmsuite-transformers is"
    expected = "an embedder that is a language model too, with log_probabilities"
    return EmbedderError(who=_who(embedder), expected=expected, got="one that only embeds", do=do)


@contextlib.contextmanager
def _written(path: Path) -> Iterator[FileIO]:
    """Give a file that gets its name at the end; if the block fails, what it holds of whole models stays beside it."""
    part, header = path.with_name(f"{path.name}.{os.getpid()}.part"), ",".join(COLUMNS) + "\n"
    try:
        with part.open("xb", buffering=0) as file:
            try:
                _append(file, header)
                yield file
                _refuse_what_is_there(path)  # what came meanwhile is not overwritten either
                part.replace(path)
            except BaseException:
                _tell_of_what_is_there(part, len(header))
                raise
    except OSError as error:
        do = "give a file in another folder with --output, or free space"
        got = error.strerror or type(error).__name__
        raise InputError(who=f"file {path}", expected="a file that can be written", got=got, do=do) from None


def _append(file: FileIO, text: str) -> None:
    """Write all of a text at the end, or nothing: half a model, or half a number, would pass for a whole one."""
    start, rest = file.tell(), text.encode()
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except BaseException:
        file.truncate(start)
        raise


def _tell_of_what_is_there(part: Path, start: int) -> None:
    if part.stat().st_size > start:
        print(f"rmsuite: what the models before said is in {part}", file=sys.stderr)
    else:
        part.unlink()


def _ask(name: str, embedder: ConfiguredEmbedder, read: Documents, n_tokens: int, file: FileIO) -> list[list[str]]:
    """Write what one model says, which goes with this call, and return its rows of the table."""
    model = asked(_who(embedder), embedder.make)
    found = predict(read.documents, model, n_tokens, _who(embedder), _bar)
    if unsaid := len(read.documents) - len(found):
        print(f"left out: {unsaid:,} documents without a token that {plain(name)} predicts")
    lines = [dict(zip(COLUMNS, _cells(name, one), strict=True)) for one in found]
    _, _, rows = printed(COLUMNS, lines).partition("\n")
    _append(file, rows + "\n" if rows else "")
    return _rows(name, found)


def _cells(name: str, one: Predicted) -> tuple[object, ...]:
    texts = map(guarded, (name, one.document.category, one.document.name))
    return *texts, one.said.n_tokens, one.said.n_bytes or "", repr(one.per_token)  # missing bytes are not zero


def _bar(numbers: Iterable[int]) -> Iterable[int]:
    return tqdm(numbers, unit="chunk", leave=False, disable=not sys.stderr.isatty())


def _rows(name: str, found: Sequence[Predicted]) -> list[list[str]]:
    rows = []
    for category in sorted({one.document.category for one in found}):
        some = [one for one in found if one.document.category == category]
        tokens, n_bytes = [one.per_token for one in some], [one.per_byte for one in some if one.said.n_bytes]
        counts = f"{len(some):,}", f"{sum(one.said.n_tokens for one in some):,}"
        rows.append([plain(name), plain(category), *counts, _mean(tokens), _mean(n_bytes)])
    return rows


def _mean(values: Sequence[float]) -> str:
    return f"{math.fsum(values) / len(values):.4f}" if values else GAP
