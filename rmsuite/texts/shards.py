"""Embed texts shard by shard, so that a killed command goes on where it stopped and ends with the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.embedders import EmbeddingModel
from rmsuite.errors import EmbedderError, RmsuiteError, describe

SHARD = 256  # texts
Bar = Callable[[Iterable[int]], Iterable[int]]


def request(texts: Sequence[tuple[str, str]], label: str, card: Mapping[str, Any]) -> str:
    """Return the digest of what is asked for: texts, embedder with parameters, and its card."""
    digest = hashlib.sha256(json.dumps([label, sorted(card.items()), SHARD]).encode())
    for pair in texts:
        digest.update(json.dumps(pair).encode() + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True)
class Shards:
    """Finished shards in a folder, ``(n, n_features)`` float32 files; one is there whole or not at all."""

    folder: Path
    n_texts: int

    @property
    def paths(self) -> list[Path]:
        """One file a shard."""
        return [self.folder / f"{i:06d}.npy" for i in range(-(-self.n_texts // SHARD))]

    def fill(self, texts: Sequence[tuple[str, str]], model: EmbeddingModel, who: str, bar: Bar) -> None:
        """Embed what is not there yet.

        Raises
        ------
        EmbedderError
            If the embedder returns something else than a row of finite numbers for each text.
        """
        width = next((block.shape[1] for block in map(_read, self.paths) if block is not None), None)
        for number in bar(range(len(self.paths))):
            path = self.paths[number]
            if _read(path) is None:
                given = texts[number * SHARD : (number + 1) * SHARD]
                rows = _checked(asked(who, lambda some: model.embed(some), given), len(given), width, who)
                width = rows.shape[1]
                _write(path, rows)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the shards in order."""
        for path in self.paths:
            yield np.load(path, mmap_mode="r", allow_pickle=False)

    def join(self, path: Path) -> dict[str, Any]:
        """Write all rows into one file, float16 if no value overflows, else float32; return facts for the card."""
        shapes = [block.shape for block in self.blocks()]
        largest = max(float(np.abs(block).max(initial=0)) for block in self.blocks())
        kind = np.float16 if largest < 65520 else np.float32  # from there float16 rounds to infinity
        shape = sum(n for n, _ in shapes), shapes[0][1]
        out = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
        start, lost, whole = 0, 0.0, 0.0
        for block in self.blocks():
            rows = out[start : start + len(block)]
            rows[...] = block
            exact = block.astype(np.float64)
            lost += float(np.square(rows - exact).sum())
            whole += float(np.square(exact).sum())
            start += len(block)
        out.flush()
        facts: dict[str, Any] = {"dtype": np.dtype(kind).name, "n_responses": shape[0], "n_features": shape[1]}
        if kind is np.float32:
            return facts | {"why_float32": f"float16 ends at 65504; the largest magnitude is {largest:g}"}
        loss = float(f"{np.sqrt(lost / max(whole, 1e-300)):.3g}")
        return facts | {"float16_relative_error": loss, "float16_largest_value": float(np.float16(largest))}


def asked(who: str, call: Callable[..., Any], *given: Any) -> Any:
    """Return what a stranger's code answers; what it prints is not for standard output.

    Raises
    ------
    EmbedderError
        If it fails otherwise than by an error of rmsuite, which has its own words.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            return call(*given)
    except (RmsuiteError, KeyboardInterrupt):
        raise
    except BaseException as error:  # one that exits would end the command as if all were well
        do = "mend the embedder, or change its parameters"
        raise EmbedderError(who=who, expected="an answer", got=describe(error), do=do) from error


def _read(path: Path) -> np.ndarray | None:
    """Return a shard, or None where there is none that can be read: a power cut may leave a file of zeros."""
    try:
        block: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return block


def _write(path: Path, rows: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.save(file, rows, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _checked(rows: Any, n: int, width: int | None, who: str) -> np.ndarray:
    array = np.asarray(rows)
    do = "mend the embedder: embed returns one row of finite numbers a text"
    if array.ndim != 2 or len(array) != n or not array.shape[1] or (width is not None and array.shape[1] != width):
        expected = f"shape ({n}, {width or 'n_features'}) for {n} texts"
        raise EmbedderError(who=who, expected=expected, got=f"shape {array.shape}", do=do)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        got = f"dtype {array.dtype}" if array.dtype.kind not in "fiu" else "infinity or NaN"
        raise EmbedderError(who=who, expected="finite real numbers", got=got, do=do)
    with np.errstate(over="ignore"):
        small = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(small).all():
        raise EmbedderError(who=who, expected="numbers within float32", got="larger ones", do="scale the embeddings")
    return small
