"""Write folders of tasks of a user's own: pools and cards that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomli_w

from rmsuite.errors import InputError
from rmsuite.method import NAME
from rmsuite.pools import EMBEDDINGS_CARD, POOL_CARD, read_card

LONGEST_NAME = 100  # characters: file names hold it beside other things, and end at 255
PAIRS_PER_PROMPT = 20  # where gold rewards give more


def checked_name(name: str) -> str:
    """Return a name for a task and its pool, or raise ``InputError``."""
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        expected = f"at most {LONGEST_NAME} lower-case letters, digits and hyphens"
        got = repr(name[:LONGEST_NAME])
        raise InputError(who=f"name {got}", expected=expected, got=got, do="give another name")
    return name


def make_root(root: Path) -> None:
    """Make the folder of a user's tasks, if it is not there.

    Raises
    ------
    InputError
        If it cannot be made or written to.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=root):  # whether it can be written to, whatever its permissions say
            pass
    except OSError as error:
        do = "give another --output"
        raise InputError(who=f"folder {root}", expected="a folder to write to", got=str(error), do=do) from None


def printable(text: str) -> str:
    """Return a file's name as a card can hold it: a byte that is no UTF-8 becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


@contextmanager
def whole_or_nothing(root: Path, name: str, base_model: str) -> Iterator[None]:
    """Take back what the block adds to a folder of tasks, if the block fails: a pool, its embeddings and task cards."""
    cards = [root / "tasks" / f"{task}.toml" for task in (name, f"{name}-{base_model}")]
    paths = [root / "pools" / name, root / "pools" / name / "embeddings" / base_model, *cards]
    new = [path for path in paths if not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        for folder in (root / "pools", root / "tasks"):
            with suppress(OSError):  # there are others in it
                folder.rmdir()
        raise


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
