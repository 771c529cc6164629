"""Read the normalised Parquet files (``<source>.responses.parquet``, ``<source>.pairs.parquet``) into pool columns."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd


def responses(data: Path, source: str) -> pd.DataFrame:
    """Return the responses of one source, sorted by prompt id and response id."""
    frame = pd.read_parquet(data / f"{source}.responses.parquet")
    return frame.sort_values(["prompt_id", "response_id"], kind="stable").reset_index(drop=True)


def short_ids(ids: pd.Series) -> np.ndarray:
    """Drop the source's prefix: what stays is a digest of the text, equal for equal prompts of any two sources."""
    return ids.str.rsplit(":", n=1).str[1].str[1:].to_numpy("S14")


def draw(ids: pd.Series, n: int) -> np.ndarray:
    """Mark the ``n`` ids with the smallest digests: a draw that a new row changes in one place at most."""
    digests = ids.map(lambda text: hashlib.sha256(text.encode()).hexdigest())
    return np.asarray(digests.rank(method="first") <= n)


def columns(frame: pd.DataFrame, categories: list[str], generators: list[str]) -> dict[str, np.ndarray]:
    """Return the columns of a pool; ``frame`` is sorted by prompt, and names become positions in the two lists."""
    first = np.flatnonzero(frame["prompt_id"].ne(frame["prompt_id"].shift()))
    heads = frame.iloc[first]
    return {
        "prompt_id": short_ids(heads["prompt_id"]),
        "category": heads["category"].map(categories.index).to_numpy(np.uint8),
        "offsets": np.append(first, len(frame)).astype(np.int64),
        "response_id": short_ids(frame["response_id"]),
        "generator": frame["model"].map(generators.index).to_numpy(np.uint8),
        "length": frame["response"].str.len().to_numpy(np.int32),
    }


def texts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the (prompt, response) texts, row-aligned with the pool."""
    return list(zip(frame["prompt"], frame["response"], strict=True))
