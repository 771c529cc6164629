"""Read the normalised Parquet files (``<source>.responses|pairs|labels.parquet``) into the columns of a pool."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

Columns = dict[str, np.ndarray]


def responses(data: Path, source: str) -> pd.DataFrame:
    """Return the responses of one source, sorted by prompt id and response id."""
    frame = pd.read_parquet(data / f"{source}.responses.parquet")
    return frame.sort_values(["prompt_id", "response_id"], kind="stable").reset_index(drop=True)


def labels(data: Path, source: str) -> pd.DataFrame:
    """Return the single labels of one source: response_id, annotator, attribute, value."""
    return pd.read_parquet(data / f"{source}.labels.parquet")


def digest(name: str) -> str:
    """Return an id without its source's prefix."""
    return name.rpartition(":")[2][1:]


def short_ids(ids: pd.Series) -> np.ndarray:
    """Drop the source's prefix: what stays is a digest of the text, equal for equal prompts of any two sources."""
    return ids.str.rsplit(":", n=1).str[1].str[1:].to_numpy("S14")


def draw(ids: pd.Series, n: int) -> np.ndarray:
    """Mark the ``n`` ids with the smallest digests: a draw that a new row changes in one place at most."""
    digests = ids.map(lambda text: hashlib.sha256(text.encode()).hexdigest())
    return np.asarray(digests.rank(method="first") <= n)


def draw_each(frame: pd.DataFrame, n: int) -> np.ndarray:
    """Mark ``n`` responses of each prompt."""
    drawn = frame.groupby("prompt_id")["response_id"].transform(lambda ids: draw(ids, n))
    return np.asarray(drawn.astype(bool))


def one_row_a_text(frame: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Merge responses of one prompt with the same text: the first row stays, and has the labels of all.

    Two equal texts have one embedding: no reward could tell them apart.
    """
    frame = frame.sort_values(["prompt_id", "response_id"], kind="stable")
    first = frame.groupby(["prompt_id", "response"], sort=False)["response_id"].transform("first")
    merged = dict(zip(frame["response_id"], first, strict=True))
    labels = labels[labels["response_id"].isin(merged)]
    kept = frame[frame["response_id"] == first].reset_index(drop=True)
    return kept, labels.assign(response_id=labels["response_id"].map(merged))


def columns(frame: pd.DataFrame, categories: list[str], generators: list[str]) -> Columns:
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


def ratings(frame: pd.DataFrame, labels: pd.DataFrame, attributes: Sequence[str]) -> np.ndarray:
    """Return ``(n_responses, n_attributes)`` mean labels, NaN where there is none."""
    means = labels.groupby(["response_id", "attribute"])["value"].mean().unstack("attribute")
    return means.reindex(index=frame["response_id"], columns=list(attributes)).to_numpy(np.float32)


def votes(frame: pd.DataFrame, labels: pd.DataFrame, raters: Sequence[str]) -> Columns:
    """Return the vote columns, sorted by row, rater and value; raters become positions in the list."""
    row = pd.Series(np.arange(len(frame)), index=frame["response_id"])
    table = pd.DataFrame(
        {
            "vote_response": row[labels["response_id"]].to_numpy(np.int32),
            "vote_rater": labels["annotator"].map(list(raters).index).to_numpy(np.uint8),
            "vote_value": labels["value"].to_numpy(np.float32) + np.float32(0),  # no negative zeros
        }
    ).sort_values(["vote_response", "vote_rater", "vote_value"], kind="stable")
    return {name: table[name].to_numpy() for name in table}


def texts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the (prompt, response) texts, row-aligned with the pool."""
    return list(zip(frame["prompt"], frame["response"], strict=True))
