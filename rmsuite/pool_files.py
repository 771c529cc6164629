"""Write pools and their embedding sets: columns as ``.npy``, cards as TOML, and no text of the source."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from rmsuite.errors import TaskError


def sha256(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_folder(folder: Path, card_name: str, card: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and the card that lists each file's sha256."""
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for name, array in sorted(arrays.items()):
        path = folder / f"{name}.npy"
        np.save(path, np.ascontiguousarray(array), allow_pickle=False)
        digests[path.name] = sha256(path)
    (folder / card_name).write_text(tomli_w.dumps({**card, "sha256": digests}), encoding="utf-8")


def as_float16(embeddings: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Round to float16; an overflow is an error. Return also what the rounding lost, for the card.

    Raises
    ------
    TaskError
        If a finite float32 value has no finite float16 value.
    """
    with np.errstate(over="ignore"):
        small = embeddings.astype(np.float16)
    if not np.isfinite(small).all():
        raise TaskError(
            who="as_float16",
            expected="embeddings within the range of float16",
            got=f"largest magnitude {np.abs(embeddings).max():g}",
            do="store this embedding set as float32",
        )
    error = small.astype(np.float32) - embeddings
    loss = float(np.linalg.norm(error)) / max(float(np.linalg.norm(embeddings)), 1e-12)
    return small, {"float16_relative_error": float(f"{loss:.3g}"), "float16_largest_value": float(np.abs(small).max())}


def write_embeddings(pool: Path, embeddings: np.ndarray, card: Mapping[str, Any]) -> None:
    """Write one embedding set of a pool into its own folder, named by the base model."""
    small, loss = as_float16(embeddings)
    facts: dict[str, Any] = {
        **card,
        "dtype": "float16",
        "n_responses": small.shape[0],
        "n_features": small.shape[1],
        **loss,
    }
    write_folder(pool / "embeddings" / str(card["base_model"]), "embeddings.toml", facts, {"embeddings": small})
