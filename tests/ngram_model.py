"""A plugin file: an embedder whose models are language models of three characters, with add-one smoothing."""

import math
from collections import Counter
from pathlib import Path

import numpy as np

import rmsuite
from rmsuite.embedders import LogProbability

START = "\0"


class Characters:
    """Learns from the files of a folder; a token is a character.

    ``start`` says whether a token stands before every document. ``log`` is a file that notes what is asked of whom.
    """

    def __init__(self, learns="", name="", start=True, log=""):
        self.learns, self.name, self.start, self.log = learns, name, start, log
        self.threes, self.twos, self.known = Counter(), Counter(), set()
        for path in sorted(Path(learns).rglob("*.txt")) if learns else ():
            self._learn(2 * START + path.read_text(encoding="utf-8"))

    def _learn(self, text):
        self.threes.update(text[i - 2 : i + 1] for i in range(2, len(text)))
        self.twos.update(text[i - 2 : i] for i in range(2, len(text)))
        self.known.update(text)

    def probability(self, context, character):
        """Return P(character | the two before); one that was never seen stands for all such."""
        character = character if character in self.known else "unknown"
        return (self.threes[context + character] + 1) / (self.twos[context] + len(self.known) + 1)

    def log_probabilities(self, documents, n_tokens):
        """Return one record a document."""
        if self.log:
            with Path(self.log).open("a", encoding="utf-8") as file:
                file.write(f"{self.name} {len(documents)}\n")
        return [self.of(document[:n_tokens]) for document in documents]

    def of(self, text):
        """Return the record of a text."""
        whole, first = 2 * START + text, 2 if self.start else 3
        logs = [math.log(self.probability(whole[i - 2 : i], whole[i])) for i in range(first, len(whole))]
        return LogProbability(math.fsum(logs), len(logs), len(whole[first:].encode()))

    def embed(self, texts):
        """Return something that is no zero."""
        return np.ones((len(texts), 2), np.float32)

    def card(self):
        """Say its name."""
        named = {"base_model_name": self.name} if self.name else {}
        return {"base_model": "characters", **named}


@rmsuite.hookimpl
def rmsuite_embedders():
    """Offer it."""
    return [rmsuite.Embedder(name="characters", make=Characters, summary="a test's language model")]
