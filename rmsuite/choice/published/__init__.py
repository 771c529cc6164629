"""The bundled tables, and the cards that say where their figures come from and under which licence."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any


def published(name: str) -> Traversable:
    """Return a bundled file."""
    return files(__name__) / name


def cards() -> dict[str, Any]:
    """Return what is bundled: ``results`` by name, and ``scores``, a list; each with source and licence."""
    return tomllib.loads(published("cards.toml").read_text(encoding="utf-8"))
