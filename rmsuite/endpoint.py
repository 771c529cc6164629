"""Embed by a server that speaks the protocol of OpenAI's ``POST /v1/embeddings``; the standard library suffices."""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmsuite import network
from rmsuite.errors import EmbedderError
from rmsuite.network import CUT


@dataclass(frozen=True)
class Endpoint:
    """A server with the protocol of OpenAI's embeddings: vLLM, text-embeddings-inference, Ollama, llama.cpp and others.

    Prompt and response are sent as one text, the response after an empty line. Responses that say "too busy" (429) or
    "failed" (5xx), broken connections and timeouts are tried again, later each time. What the server does with a text
    that is too long for its model is the server's affair, so set ``characters`` to what the model takes.

    Parameters
    ----------
    model : str
        The name that the server knows the model by.
    url : str
        Where the protocol begins; ``/embeddings`` is added.
    batch : int
        Texts a request.
    characters : int
        Longer texts are cut to so many: the response keeps its first, the prompt its last characters, at least a
        quarter of them where it has them.
    timeout : float
        Seconds that a request may take.
    retries : int
        How often a request that failed is tried again.
    backoff : float
        Seconds before the first of these; each further wait is twice as long, up to a minute.
    key_variable : str
        The environment variable that holds the key, if the server wants one; the key itself is written nowhere.
    encoding : str
        How numbers travel: float or base64.
    """

    model: str
    url: str = "http://localhost:8000/v1"
    batch: int = 32
    characters: int = 24_000
    timeout: float = 120.0
    retries: int = 5
    backoff: float = 0.5
    key_variable: str = "OPENAI_API_KEY"
    encoding: str = "float"

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(str(self.url))
        tests = {
            "url": (parts.scheme in ("http", "https") and bool(parts.hostname), "an address with http:// or https://"),
            "batch": (_whole(self.batch) and self.batch > 0, "a whole number of at least 1"),
            "characters": (_whole(self.characters) and self.characters >= 4, "a whole number of at least 4"),
            "timeout": (_number(self.timeout) and self.timeout > 0, "a positive number"),
            "retries": (_whole(self.retries) and self.retries >= 0, "a whole number of at least 0"),
            "backoff": (_number(self.backoff) and self.backoff >= 0, "a number of at least 0"),
            "encoding": (self.encoding in ("float", "base64"), "float or base64"),
        }
        for name, (right, expected) in tests.items():
            if not right:
                got, do = f"{name}={getattr(self, name)!r}", f"change {name}"
                raise EmbedderError(who="embedder 'openai-endpoint'", expected=expected, got=got, do=do)

    @property
    def who(self) -> str:
        """What messages call it, without user name and password."""
        return f"endpoint {network.shown(self.url)}/embeddings"

    def card(self) -> dict[str, str | int | float | bool]:
        """Say what made the embeddings, as far as one can know from outside."""
        short = re.sub(r"[^a-z0-9]+", "-", str(self.model).lower().rpartition("/")[2]).strip("-")
        return {
            "base_model": short or "endpoint",
            "base_model_name": str(self.model),
            "weights_sha256": "unknown: the model is behind a server",
            "precision": "unknown: the server's",
            "layer": "unknown: the server's",
            "input": "prompt, an empty line, response",
            "pooling": "unknown: the server's",
            "truncation": f"{self.characters} characters: the response keeps its first, the prompt its last, "
            f"at least a quarter; then the server's",
        }

    def embed(self, texts: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return ``(n, n_features)`` float32.

        Raises
        ------
        EmbedderError
            If the server refuses, answers something else, or fails too often.
        """
        joined = [self._joined(*pair) for pair in texts]
        rows = [self._batch(joined[i : i + self.batch]) for i in range(0, len(joined), self.batch)]
        widths = {block.shape[1] for block in rows}
        if len(widths) > 1:
            raise self._wrong("embeddings of one width", f"widths {sorted(widths)}")
        return np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)

    def _joined(self, prompt: str, response: str) -> str:
        kept = max(self.characters // 4, self.characters - len(response))
        prompt = prompt[max(len(prompt) - kept, 0) :]
        return f"{prompt}\n\n{response[: self.characters - len(prompt)]}"

    def _batch(self, texts: list[str]) -> np.ndarray:
        try:
            return network.persistent(
                lambda: self._vectors(self._answer(texts), len(texts)), self.retries, self.backoff
            )
        except network.TryAgain as failure:
            do = "see that it runs and has room; the same command goes on where this one stopped"
            got = f"{failure.reason}, {self.retries + 1} times"
            raise EmbedderError(who=self.who, expected="embeddings", got=got, do=do) from None

    def _answer(self, texts: list[str]) -> Any:
        from urllib.request import Request  # slow to import, and needed by no other command

        body = json.dumps({"model": self.model, "input": texts, "encoding_format": self.encoding})
        key = os.environ.get(self.key_variable, "")
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        address = f"{self.url.rstrip('/')}/embeddings"
        request = Request(address, body.encode("utf-8", "replace"), headers, method="POST")
        try:
            with network.answered(request, self.timeout) as answer:
                return json.loads(answer.read())
        except network.Refused as refusal:
            raise self._refusal(refusal) from None
        except ValueError:
            raise self._wrong("an answer in JSON", "something else") from None

    def _refusal(self, refusal: network.Refused) -> EmbedderError:
        do = {401: f"set the key in the environment variable {self.key_variable}", 404: "check url and model"}
        advice = do.get(refusal.status, "check url, model and the length of the texts (characters)")
        return EmbedderError(who=self.who, expected="embeddings", got=refusal.reason, do=advice)

    def _vectors(self, answer: Any, n: int) -> np.ndarray:
        items = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self._wrong("an answer with the list 'data'", f"{str(answer)[:CUT]}")
        if len(items) != n:
            raise self._wrong(f"{n} embeddings for {n} texts", str(len(items)))
        places = [item.get("index", place) for place, item in enumerate(items)]
        if sorted(map(str, places)) != sorted(map(str, range(n))):
            raise self._wrong(f"each index from 0 to {n - 1} once", f"{places[:8]}")
        rows = [self._numbers(item.get("embedding")) for item in items]
        if len({len(row) for row in rows}) != 1 or not rows[0].size:
            raise self._wrong("embeddings of one width", f"widths {sorted({len(row) for row in rows})}")
        ordered = np.stack(rows)[np.argsort([int(place) for place in places])]
        if not np.isfinite(ordered).all():
            raise self._wrong("finite numbers", "infinity or NaN")
        return ordered

    def _numbers(self, given: Any) -> np.ndarray:
        try:
            if isinstance(given, str):
                return np.frombuffer(base64.b64decode(given, validate=True), "<f4").astype(np.float32)
            numbers = np.asarray(given, dtype=np.float32)
        except (ValueError, TypeError, binascii.Error):
            raise self._wrong("an embedding as numbers or as base64", f"{str(given)[:CUT]}") from None
        if numbers.ndim != 1:
            raise self._wrong("an embedding as numbers or as base64", f"{str(given)[:CUT]}")
        return numbers

    def _wrong(self, expected: str, got: str) -> EmbedderError:
        do = "check that the server speaks the protocol of OpenAI's embeddings, and model"
        return EmbedderError(who=self.who, expected=expected, got=got, do=do)


def _whole(value: Any) -> bool:
    return type(value) is int


def _number(value: Any) -> bool:
    return type(value) in (int, float) and bool(np.isfinite(value))
