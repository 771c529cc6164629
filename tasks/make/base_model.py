"""A base model of the suite ``base-models`` as the list of them describes it, and what makes its embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import other_models
import shards
import unpacking
from carriers import File

from rmsuite_transformers import CausalLM, Encoder

CUT = "512 tokens; the response keeps its first, the prompt its last tokens, at least 125 where it has them"
PAIR = "text pair: [CLS] prompt [SEP] response [SEP]"
MEAN = "mean over the response tokens"
KNOWN_MEAN = f"{MEAN}, unknown ones left out"


@dataclass(frozen=True)
class BaseModel:
    """A base model, the files that it is made of, and what makes its embeddings.

    The sha256 of the first of ``files`` is on the card; ``make`` takes the folder and returns what embeds;
    ``variants`` are ``LAYER-POOLING``, and ``top`` is what a card calls the last layer; the versions of ``made_with``
    are on the card. ``checked`` says what shows that the weights are those of the name, and is on the card where it is
    not empty. ``bundled`` says whether its embeddings may be part of the project.
    """

    name: str
    full_name: str
    family: str
    parameters: int
    licence: str
    files: tuple[File, ...]
    make: Callable[[Path], Any]
    unpack: Callable[[Path], None] = unpacking.nothing
    variants: tuple[str, ...] = ("last-mean",)
    depth: int = 0
    precision: str = "float32"
    input: str = PAIR
    pooling: str = MEAN
    truncation: str = CUT
    top: str = "last"
    made_with: tuple[str, ...] = ("transformers", "torch")
    checked: str = ""
    bundled: bool = True

    @property
    def weights_sha256(self) -> str:
        """The sha256 of the file that holds the weights, where there are some."""
        return self.files[0].sha256 if self.files else "none: nothing is learnt"

    def set_name(self, variant: str) -> str:
        """Return the name of a variant's embedding set, for instance ``smollm2-l15-mean``."""
        layer, pooling = variant.split("-")
        return f"{self.name}-l{self.depth if layer == 'last' else layer}-{pooling}" if self.depth else self.name

    def card(self, variant: str) -> dict[str, Any]:
        """Return what the embedding set's card says of the base model and of how it was used."""
        layer, pooling = variant.split("-")
        packages = dict.fromkeys(package for file in self.files for package in file.packages)
        return {
            "base_model": self.set_name(variant),
            "base_model_name": self.full_name,
            "base_model_licence": self.licence,
            "family": self.family,
            "parameters": self.parameters,
            "package": ", ".join(packages),
            "weights_sha256": self.weights_sha256,
            "precision": self.precision,
            "layer": self.top if layer == "last" else int(layer),
            "input": self.input,
            "pooling": "last token" if pooling == "last" else self.pooling,
            "truncation": self.truncation,
            **({"weights_checked": self.checked} if self.checked else {}),
        }


RESPONSE_ALONE = {
    "input": "the response alone: a static model has no context",
    "top": "none",
    "truncation": "none",
    "made_with": ("numpy", "tokenizers"),
}


def encoder(**parameters: Any) -> Callable[[Path], Any]:
    """Return what makes an encoder of a folder."""
    return lambda folder: by_variant(Encoder(str(folder), **parameters).embed)


def by_variant(embed: Callable[[Any], np.ndarray]) -> shards.Embed:
    """Return an embedder that has one variant."""
    return lambda texts: {"last-mean": embed(texts)}


def decoder(*variants: str, chat: bool = True) -> Callable[[Path], shards.Embed]:
    """Return what makes all variants of a causal language model in one pass."""

    def make(folder: Path) -> shards.Embed:
        model = CausalLM(str(folder), precision="bfloat16", chat=chat)
        wanted = [(-1 if layer == "last" else int(layer), pooling) for layer, pooling in map(_split, variants)]
        return lambda texts: dict(zip(variants, model.variants(texts, wanted), strict=True))

    return make


def _split(variant: str) -> tuple[str, str]:
    layer, _, pooling = variant.partition("-")
    return layer, pooling


def static(make: Callable[..., other_models.Embed], *arguments: int | str) -> Callable[[Path], shards.Embed]:
    """Return what makes an embedder of ``other_models``."""
    return lambda folder: by_variant(make(folder, *arguments))
