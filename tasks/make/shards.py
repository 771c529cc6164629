"""Embed many texts in shards that are kept on disk, so that a run can be broken off and taken up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

SHARDS = 12

Texts = Sequence[tuple[str, str]]
Embed = Callable[[Texts], dict[str, np.ndarray]]


def run(texts: Texts, embed: Embed, folder: Path) -> None:
    """Embed every twelfth text a shard, and keep each shard's embeddings and the CPU seconds that it took."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(SHARDS):
        path = folder / f"{number:02d}.npz"
        if path.exists():
            continue
        start = time.process_time()
        found = embed(texts[number::SHARDS])
        seconds = time.process_time() - start
        unfinished = path.with_suffix(".part.npz")
        np.savez(unfinished, seconds=seconds, **found)
        unfinished.rename(path)
        print(f"{time.strftime('%H:%M:%S')} {folder.name} {number + 1} of {SHARDS}: {seconds:.0f} s", flush=True)


def complete(folder: Path) -> bool:
    """Whether every shard is there."""
    return all((folder / f"{number:02d}.npz").exists() for number in range(SHARDS))


def gather(folder: Path, n_texts: int) -> tuple[dict[str, np.ndarray], float]:
    """Return the embeddings in the texts' order, by variant, and the CPU seconds of them all."""
    loaded = [np.load(folder / f"{number:02d}.npz") for number in range(SHARDS)]
    names = [name for name in loaded[0].files if name != "seconds"]
    whole = {name: np.empty((n_texts, loaded[0][name].shape[1]), np.float32) for name in names}
    for number, shard in enumerate(loaded):
        for name in names:
            whole[name][number::SHARDS] = shard[name]
    return whole, float(sum(shard["seconds"] for shard in loaded))
