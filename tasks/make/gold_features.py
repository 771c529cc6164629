"""What a gold reward model sees of a response: its embeddings by several base models, side by side.

Embeddings that are no committed set are kept in shards under a cache, so that a run can be broken off. Run by hand:
``python tasks/make/gold_features.py CACHE DATA [POOL ...]``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import base_models
import numpy as np
import recipes
import shards

from rmsuite.pools import load_embeddings, load_pool

BASES = ("minilm-l6", "use-m3", "wordllama-256", "glove-50")
TAUGHT = ("alpaca-eval", "hh-rlhf", "mqm", "mt-bench", "safety", "summaries", "truthfulqa")
WITHIN = {"alpaca-eval-large": "alpaca-eval"}  # pools many of whose responses are in another one too
POOLS = (*TAUGHT, *WITHIN)


def folder(name: str) -> Path:
    """Return where a pool's files lie."""
    return recipes.home(name) / name


def _shared(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a pool that are in the one that it is ``WITHIN``, and their rows there."""
    ids = load_pool(folder(name))[0].response_id
    if name not in WITHIN:
        return np.zeros(0, int), np.zeros(0, int)
    others = load_pool(folder(WITHIN[name]))[0].response_id
    return np.intersect1d(ids, others, return_indices=True)[1:]


def embed(name: str, base: str, cache: Path, data: Path) -> None:
    """Embed those responses of a pool that no committed set and no other pool has."""
    home = cache / "gold" / name / base
    if (folder(name) / "embeddings" / base).is_dir() or shards.complete(home):
        return
    texts = np.delete(np.array(recipes.texts(name, data), dtype=object), _shared(name)[0], axis=0)
    model = base_models.named(base)
    shards.run([tuple(pair) for pair in texts], model.make(base_models.fetch(model, cache)), home)


def features(name: str, base: str, cache: Path) -> np.ndarray:
    """Return a pool's embeddings by one base model, ``(n_responses, n_features)`` float32."""
    n = len(load_pool(folder(name))[0].response_id)
    if (folder(name) / "embeddings" / base).is_dir():
        return np.asarray(load_embeddings(folder(name), base, n).matrix, np.float32)
    here, there = _shared(name)
    fresh = shards.gather(cache / "gold" / name / base, n - len(here))[0]["last-mean"]
    whole = np.empty((n, fresh.shape[1]), np.float32)
    whole[np.setdiff1d(np.arange(n), here)] = fresh
    if len(here):
        whole[here] = features(WITHIN[name], base, cache)[there]
    return whole


def main(cache: Path, data: Path, *names: str) -> None:
    """Embed the named pools, or all, cheap base models first."""
    for base in reversed(BASES):
        for name in names or POOLS:
            print(name, base, flush=True)
            embed(name, base, cache, data)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
