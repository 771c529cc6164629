"""Embedders: what turns (prompt, response) texts into embeddings, and the one that needs no model and no package."""

from __future__ import annotations

import hashlib
import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from rmsuite.endpoint import Endpoint
from rmsuite.errors import EmbedderError, PluginError
from rmsuite.method import NAME, all_parameters, parameters_of, spell

Texts = Sequence[tuple[str, str]]
Card = dict[str, str | int | float | bool]


class EmbeddingModel(Protocol):
    """What an embedder makes; heavy imports happen in it, not before.

    One that is a language model too may offer ``log_probabilities`` beside, for the command of that name: see
    ``LanguageModel``.
    """

    def embed(self, texts: Texts) -> np.ndarray:
        """Return the embeddings of (prompt, response) pairs, ``(n, n_features)`` float32.

        Each row depends on its own pair only, not on the others of the call.
        """
        ...

    def card(self) -> Card:
        """Return what made the embeddings.

        ``base_model`` is a short name in lower-case letters, digits and hyphens; further ``base_model_name``,
        ``weights_sha256``, ``precision``, ``layer``, ``input``, ``pooling``, ``truncation`` and whatever else decides a
        number. `rmsuite base-models` also reads ``family``, ``parameters`` (their number), ``stage`` and ``after`` (how
        the model was trained on, and the ``base_model`` that it was trained from), and ``seconds_per_1000_responses``.
        """
        ...


class LogProbability(NamedTuple):
    """What a language model says of the first tokens of one document.

    Attributes
    ----------
    total : float
        The sum of the natural logarithms of the probabilities of the tokens that were predicted; at most 0.
    n_tokens : int
        How many were predicted; 0, with a total of 0, if there was none to predict.
    n_bytes : int
        UTF-8 bytes of their text, for tokens differ between tokenizers. A character that several tokens make counts
        with the first of them.
    """

    total: float
    n_tokens: int
    n_bytes: int


@runtime_checkable
class LanguageModel(Protocol):
    """What an embedding model may offer beside embeddings: how probable documents are to it, token by token.

    Where a token stands before every document, all its first ``n_tokens`` tokens are predicted; where none does, the
    first one is only read, and not counted.
    """

    def log_probabilities(self, documents: Sequence[str], n_tokens: int) -> Sequence[LogProbability]:
        """Return one ``LogProbability`` a document, of its first ``n_tokens`` tokens (or fewer, if it has fewer).

        A document is not empty. Each record depends on its own document only, not on the others of the call, but for
        rounding.
        """
        ...


def reads(embedder: Embedder) -> bool | None:
    """Return whether the models of an embedder are language models too; None if only a model can tell."""
    return issubclass(embedder.make, LanguageModel) if isinstance(embedder.make, type) else None


@dataclass(frozen=True)
class Embedder:
    """An embedder as a plugin offers it.

    Attributes
    ----------
    name : str
        Lower-case letters, digits and hyphens; unique among all plugins.
    make : callable
        Returns an ``EmbeddingModel``; its keyword arguments are the embedder's parameters.
    summary : str
        One line for lists.
    reference : str
        Where it comes from.
    """

    name: str
    make: Callable[..., EmbeddingModel]
    summary: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        who = f"Embedder(name={self.name!r})"
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            expected = "lower-case letters, digits and hyphens"
            raise PluginError(who=who, expected=expected, got=repr(self.name), do="rename the embedder")
        if not callable(self.make):
            do = "give the class itself, or a function that returns a model"
            raise PluginError(who=who, expected="a callable `make`", got=repr(self.make), do=do)

    def defaults(self) -> dict[str, Any]:
        """Return the parameters with their defaults; a parameter without one is given as ``...``."""
        return parameters_of(self.make)


@dataclass(frozen=True)
class ConfiguredEmbedder:
    """An embedder with the parameters that differ from its defaults."""

    embedder: Embedder
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The specification in one canonical spelling."""
        return spell(self.embedder.name, self.parameters)

    def make(self) -> EmbeddingModel:
        """Return the model."""
        return self.embedder.make(**self.parameters)


def configure(embedder: Embedder, parameters: Mapping[str, Any]) -> ConfiguredEmbedder:
    """Bind parameters to an embedder.

    Raises
    ------
    UnknownNameError
        If the embedder has no such parameter.
    EmbedderError
        If one that it requires is not given.
    """
    chosen = all_parameters("embedder", embedder.name, embedder.defaults(), parameters, EmbedderError)
    return ConfiguredEmbedder(embedder, chosen)


@lru_cache(maxsize=2**18)
def _place(side: str, gram: str) -> tuple[int, float]:
    digest = hashlib.blake2b(f"{side}\0{gram}".encode("utf-8", "replace"), digest_size=8, person=b"rmsuite-hashed")
    number = int.from_bytes(digest.digest(), "big")
    return number >> 1, 1.0 if number & 1 else -1.0


def _grams(text: str) -> Iterator[str]:
    """Yield words and punctuation marks, and each two neighbours; case and width of letters do not count."""
    words = re.findall(r"\w+|[^\w\s]", unicodedata.normalize("NFKC", text).casefold())
    yield from words
    yield from map(" ".join, pairwise(words))


@dataclass(frozen=True)
class Hashed:
    """A hashed bag of words and of two neighbouring words, of the response and of the prompt; nothing is learnt.

    Every distinct one- or two-word sequence, told apart by whether the prompt or the response has it, is put by its
    BLAKE2b digest into one of the ``features`` columns with a sign, and adds the square root of its count (a root is
    the same to the last bit on every machine). No text is cut. What two words mean it cannot know: a floor that needs
    no model, and a way to try data, not an embedding to report.

    Parameters
    ----------
    features : int
        Number of columns; fewer make more words share one.
    """

    features: int = 512

    def __post_init__(self) -> None:
        if type(self.features) is not int or not 1 <= self.features <= 2**20:
            got, do = repr(self.features), "change features"
            raise EmbedderError(who="embedder 'hashed'", expected="features from 1 to 1048576", got=got, do=do)

    def embed(self, texts: Texts) -> np.ndarray:
        """Return ``(n, features)`` float32."""
        rows = np.zeros((len(texts), self.features), np.float32)
        for row, (prompt, response) in zip(rows, texts, strict=True):
            sums = [0.0] * self.features
            for side, text in (("p", prompt), ("r", response)):
                for gram, count in Counter(_grams(text)).items():
                    number, sign = _place(side, gram)
                    sums[number % self.features] += sign * math.sqrt(count)
            row[:] = sums
        return rows

    def card(self) -> Card:
        """Say what made the embeddings."""
        return {
            "base_model": "hashed" if self.features == 512 else f"hashed-{self.features}",
            "base_model_name": "hashed 1- and 2-grams, version 1",
            "weights_sha256": "none: nothing is learnt",
            "precision": "float32",
            "layer": "none",
            "input": "words of the prompt and of the response, hashed apart",
            "pooling": "signed sum of square roots of counts",
            "truncation": "none",
            "unicode": f"{unicodedata.unidata_version} (Python {sys.version_info.major}.{sys.version_info.minor})",
        }


BUILT_IN: tuple[Embedder, ...] = (
    Embedder("hashed", Hashed, "hashed words of prompt and response: no model, no package, no network"),
    Embedder("openai-endpoint", Endpoint, "a server with the protocol of OpenAI's /v1/embeddings"),
)
