"""Write folders of tasks of a user's own: pools and cards that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from rmsuite.errors import InputError
from rmsuite.method import NAME
from rmsuite.pools import EMBEDDINGS_CARD, POOL_CARD, read_card

PAIRS_PER_PROMPT = 20  # where gold rewards give more


def checked_name(name: str) -> str:
    """Return a name for a task and its pool, or raise ``InputError``."""
    if not NAME.fullmatch(name):
        do = "give another --name"
        raise InputError(who=f"name {name!r}", expected="lower-case letters, digits and hyphens", got=repr(name), do=do)
    return name


def place_pool(draft: Path, pool: Path) -> bool:
    """Move a finished pool to where it belongs; return False, and leave it, where an equal one is there already.

    Raises
    ------
    InputError
        If another pool of that name is there.
    """
    if not pool.exists():
        pool.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(pool)
        return True
    if (pool / POOL_CARD).read_bytes() != (draft / POOL_CARD).read_bytes():
        do = "give another --name or --output, or delete the old one"
        raise InputError(who=f"pool {pool}", expected="the same pool, or none", got="one of other texts", do=do)
    return False


def place_embeddings(draft: Path, home: Path) -> None:
    """Move a finished embedding set to where it belongs; an equal one may be there.

    Raises
    ------
    InputError
        If another one of that base model is there.
    """
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        draft.rename(home)
        return
    if read_card(home / EMBEDDINGS_CARD) != read_card(draft / EMBEDDINGS_CARD):
        do = "give another --name or --output, or delete the old ones"
        raise InputError(who=f"embeddings {home}", expected="the same embeddings, or none", got="others", do=do)
    shutil.rmtree(draft)


def write_task(root: Path, name: str, card: Mapping[str, Any]) -> str:
    """Write a task card and return the task's name: ``name``, or with the base model where another one has that.

    Raises
    ------
    InputError
        If a card of that name asks something else.
    """
    path = root / "tasks" / f"{name}.toml"
    if path.exists() and read_card(path).get("base_model") != card["base_model"]:
        name = f"{name}-{card['base_model']}"
        path = root / "tasks" / f"{name}.toml"
    text = tomli_w.dumps({"name": name, "version": 1, **card})
    if path.exists() and path.read_text(encoding="utf-8") != text:
        do = "give another --name or --output, or delete the old card"
        raise InputError(who=f"task card {path}", expected="the same task, or none", got="another", do=do)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
    return name


def task_card(pool: str, base_model: str, question: str, sizes: Sequence[int], gold: bool) -> dict[str, Any]:
    """Return a task's fields, without name and version; ``sizes`` are the numbers of responses of its prompts."""
    usual = sorted(sizes)[len(sizes) // 2]
    largest = max(n for n in (1, 2, 4, 8, 16, 32) if n <= usual)
    further = ["spearman"] * (max(sizes) > 2) + [f"best-of-{largest}"] * (largest > 1)
    columns = ["pair-accuracy", *(further if gold else [])]
    return {
        "question": question,
        "pool": pool,
        "base_model": base_model,
        "annotator": "perfect" if gold else "human",
        "pairs_per_prompt": PAIRS_PER_PROMPT if gold else 0,
        "columns": columns,
    }
