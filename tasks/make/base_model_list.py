"""The base models of the suite ``base-models``: where each comes from, and how it embeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import other_models
import shards
import unpacking
from base_model_files import (
    E5,
    E5_TOKENIZER,
    GEMMA3,
    GLOVE,
    INT8,
    L3,
    MINILM_FOLDER,
    MINILM_WEIGHTS,
    MPNET,
    QWEN,
    SMOLLM2,
    USE,
    WORDLLAMA,
)
from carriers import File

from rmsuite.embedders import Hashed
from rmsuite_transformers import CausalLM, Encoder

CUT = "512 tokens; the response keeps its first, the prompt its last tokens, at least 125 where it has them"
PAIR = "text pair: [CLS] prompt [SEP] response [SEP]"
MEAN = "mean over the response tokens"


@dataclass(frozen=True)
class BaseModel:
    """A base model, the files that it is made of, and what makes its embeddings.

    The sha256 of the first of ``files`` is on the card; ``make`` takes the folder and returns what embeds;
    ``variants`` are ``LAYER-POOLING``, and ``top`` is what a card calls the last layer; the versions of ``made_with``
    are on the card. ``bundled`` says whether its embeddings may be part of the project.
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


def static(make: Callable[..., other_models.Embed], *arguments: int) -> Callable[[Path], shards.Embed]:
    """Return what makes an embedder of ``other_models``."""
    return lambda folder: by_variant(make(folder, *arguments))


SMOLLM2_VARIANTS = ("last-last", "last-mean", "8-mean", "15-mean", "22-mean")
GEMMA3_VARIANTS = ("last-last", "last-mean", "6-mean")
QWEN_VARIANTS = ("last-mean", "12-mean")

BASE_MODELS = (
    BaseModel(
        name="minilm-l6",
        full_name="sentence-transformers/all-MiniLM-L6-v2",
        family="BERT encoder, 6 layers",
        parameters=22_700_000,
        licence="Apache-2.0",
        files=(MINILM_WEIGHTS, *MINILM_FOLDER),
        make=encoder(batch=32),
    ),
    BaseModel(
        name="minilm-l6-int8",
        full_name="sentence-transformers/all-MiniLM-L6-v2, 8-bit ONNX",
        family="BERT encoder, 6 layers",
        parameters=22_700_000,
        licence="Apache-2.0",
        files=(INT8, *MINILM_FOLDER),
        make=static(other_models.onnx_encoder),
        made_with=("onnxruntime", "transformers"),
        precision="int8",
    ),
    BaseModel(
        name="minilm-l6-random",
        full_name="the architecture of all-MiniLM-L6-v2 with random weights",
        family="BERT encoder, 6 layers, untrained",
        parameters=22_700_000,
        licence="none needed: nothing is learnt",
        files=MINILM_FOLDER,
        make=encoder(precision="bfloat16"),
        unpack=unpacking.random_weights,
        precision="bfloat16",
    ),
    BaseModel(
        name="minilm-l3",
        full_name="sentence-transformers/paraphrase-MiniLM-L3-v2",
        family="BERT encoder, 3 layers",
        parameters=17_200_000,
        licence="Apache-2.0",
        files=(L3, *MINILM_FOLDER),
        make=static(other_models.onnx_encoder),
        made_with=("onnxruntime", "transformers"),
    ),
    BaseModel(
        name="mpnet",
        full_name="sentence-transformers/all-mpnet-base-v2",
        family="MPNet encoder, 12 layers",
        parameters=109_000_000,
        licence="Apache-2.0",
        files=(MPNET,),
        make=encoder(precision="bfloat16"),
        unpack=unpacking.archive(MPNET.name, "all-mpnet-base-v2"),
        precision="bfloat16",
        input="text pair: <s> prompt </s> </s> response </s>",
    ),
    BaseModel(
        name="e5-small",
        full_name="intfloat/multilingual-e5-small, 4-bit",
        family="BERT encoder, 12 layers, multilingual",
        parameters=118_000_000,
        licence="MIT",
        files=(E5, E5_TOKENIZER),
        make=encoder(precision="bfloat16", prefix="query: "),
        unpack=unpacking.e5,
        precision="bfloat16",
        input="text pair: <s> query: prompt </s> </s> response </s>",
    ),
    BaseModel(
        name="use-m3",
        full_name="Universal Sentence Encoder multilingual 3, 6-bit word table",
        family="convolutions over n-grams, averaged",
        parameters=69_000_000,
        licence="Apache-2.0",
        files=(USE,),
        make=static(other_models.sentence_encoder),
        made_with=("numpy",),
        unpack=unpacking.archive(USE.name),
        input="prompt, empty line, response as one text",
        pooling="the model's own",
        truncation="none",
    ),
    BaseModel(
        name="wordllama-256",
        full_name="WordLlama l2_supercat, 256 columns",
        family="static token vectors, distilled from language models",
        parameters=8_200_000,
        licence="MIT (as its package says; its vectors come from the token tables of language models)",
        files=WORDLLAMA,
        make=static(other_models.wordllama, 256),
        **RESPONSE_ALONE,
    ),
    BaseModel(
        name="wordllama-64",
        full_name="WordLlama l2_supercat, first 64 columns",
        family="static token vectors, distilled from language models",
        parameters=2_000_000,
        licence="MIT (as its package says; its vectors come from the token tables of language models)",
        files=WORDLLAMA,
        make=static(other_models.wordllama, 64),
        **RESPONSE_ALONE,
    ),
    BaseModel(
        name="glove-50",
        full_name="GloVe 6B, 50 columns",
        family="static word vectors",
        parameters=20_000_000,
        licence="PDDL 1.0",
        files=GLOVE,
        make=static(other_models.glove),
        **RESPONSE_ALONE,
    ),
    BaseModel(
        name="hashed",
        full_name="hashed 1- and 2-grams, version 1",
        family="hashed bag of words",
        parameters=0,
        licence="none needed: nothing is learnt",
        files=(),
        make=lambda folder: by_variant(Hashed().embed),
        made_with=("rmsuite",),
        input="words of the prompt and of the response, hashed apart",
        pooling="signed sum of square roots of counts",
        truncation="none",
        top="none",
    ),
    BaseModel(
        name="smollm2",
        full_name="HuggingFaceTB/SmolLM2-135M-Instruct, 4-bit (Q4_1)",
        family="Llama decoder, 30 layers",
        parameters=134_500_000,
        licence="Apache-2.0",
        files=(SMOLLM2,),
        make=decoder(*SMOLLM2_VARIANTS),
        unpack=unpacking.gguf(SMOLLM2.name),
        variants=SMOLLM2_VARIANTS,
        depth=30,
        precision="bfloat16",
        input="chat template of the tokenizer",
    ),
    BaseModel(
        name="gemma3-270m",
        full_name="google/gemma-3-270m, 4-bit (Q4_K_M)",
        family="Gemma 3 decoder, 18 layers",
        parameters=268_000_000,
        licence="Gemma Terms of Use",
        files=(GEMMA3,),
        make=decoder(*GEMMA3_VARIANTS, chat=False),
        unpack=unpacking.gguf(GEMMA3.name),
        variants=GEMMA3_VARIANTS,
        depth=18,
        precision="bfloat16",
        input="prompt, empty line, response",
        bundled=False,  # its terms are to be passed on with what is derived from it
    ),
    BaseModel(
        name="qwen2-5-coder-0-5b",
        full_name="Qwen/Qwen2.5-Coder-0.5B-Instruct, 4-bit (Q4_K_M)",
        family="Qwen2 decoder, 24 layers",
        parameters=494_000_000,
        licence="Apache-2.0",
        files=(QWEN,),
        make=decoder(*QWEN_VARIANTS),
        unpack=unpacking.gguf(QWEN.name),
        variants=QWEN_VARIANTS,
        depth=24,
        precision="bfloat16",
        input="chat template of the tokenizer",
    ),
)
