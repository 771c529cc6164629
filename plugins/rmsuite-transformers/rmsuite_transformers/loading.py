"""Where a model lies, what identifies it, and how it is loaded without the network."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rmsuite import RmsuiteError

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
WANTED = ["*.json", "*.txt", "*.model", "*.jinja", "*.safetensors"]


def find(model: str, who: str) -> Path:
    """Return a model's folder or ``.gguf`` file; a name is fetched from the hub or found in its cache.

    Raises
    ------
    RmsuiteError
        If there is no such model at hand.
    """
    given = Path(model).expanduser()
    if given.is_dir() or (given.suffix == ".gguf" and given.is_file()):
        return given.resolve()
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=WANTED))
    except Exception as error:  # noqa: BLE001 -- whatever the hub's library raises: there is no such model at hand
        got, do = f"{model!r} ({type(error).__name__})", "give a folder, or allow the network"
        raise RmsuiteError(who=who, expected="a model's folder or name", got=got, do=do) from None


def source(place: Path) -> dict[str, Any]:
    """Return what ``from_pretrained`` is given."""
    if place.is_dir():
        return {"pretrained_model_name_or_path": str(place), "local_files_only": True}
    return {"pretrained_model_name_or_path": str(place.parent), "local_files_only": True, "gguf_file": place.name}


def weights_sha256(place: Path) -> str:
    """Return the sha256 of the weights' file; of several, that of their digests in order of names."""
    files = [place] if place.is_file() else []
    for pattern in WEIGHTS:
        files = files or sorted(place.rglob(pattern))
    digests = [file_sha256(path) for path in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def slug(name: str) -> str:
    """Return a name in lower-case letters, digits and hyphens.

    Examples
    --------
    >>> slug("all-MiniLM-L6_v2.")
    'all-minilm-l6-v2'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"


@contextmanager
def offline() -> Iterator[None]:
    """Keep the hub's library from the network; what is loaded within has been found already."""
    before = os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = before


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Let torch use so many threads, and no gradients; 0 leaves its own choice."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
