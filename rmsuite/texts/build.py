"""From a user's file to a folder of tasks: read, lay out, embed, write."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from rmsuite import roots
from rmsuite.embedders import ConfiguredEmbedder
from rmsuite.errors import EmbedderError, shown
from rmsuite.method import NAME
from rmsuite.pool_files import sha256, write_folder
from rmsuite.pools import EMBEDDINGS_CARD, FORMAT, POOL_CARD, read_card
from rmsuite.texts.examples import Examples, read_examples
from rmsuite.texts.files import read_rows
from rmsuite.texts.pool import TextPool, lay_out
from rmsuite.texts.shards import Bar, Shards, asked, request


@dataclass(frozen=True)
class Order:
    """What a user asks for; ``licence`` is of the texts."""

    source: Path
    name: str
    root: Path
    licence: str = "none stated"
    question: str = ""


@dataclass(frozen=True, eq=False)
class Built:
    """What was written: the task's name, its pool, what was noticed, and the fields of the file that say nothing."""

    task: str
    pool: TextPool
    card: dict[str, Any]
    counts: Counter[str]
    unread: list[str]


def build(order: Order, embedder: ConfiguredEmbedder, bar: Bar, tell: Callable[[str], None]) -> Built:
    """Write the pool, its embeddings and a task card into the folder ``order.root``.

    Parameters
    ----------
    bar : callable
        Wraps the numbers of the shards, to show progress.
    tell : callable
        Is told what is gone on with.

    Raises
    ------
    InputError
        If the texts cannot become a pool.
    EmbedderError
        If the embedder gives something else than embeddings.
    """
    roots.checked_name(order.name)
    read = read_examples(read_rows(order.source), str(order.source))
    pool = lay_out(read.examples, str(order.source))
    who = f"embedder {embedder.label!r}"
    model = asked(who, embedder.make)
    card = checked_card(asked(who, lambda: model.card()), embedder.label)
    key = request(pool.texts, embedder.label, card)
    roots.make_root(order.root)
    work = order.root / f".embedding-{order.name}-{key[:16]}"
    folder, home = order.root / "pools" / order.name, f"embeddings/{card['base_model']}"
    if not _is_there(folder / home, key):
        shards = Shards(work / "shards", len(pool.texts))
        done = sum(path.exists() for path in shards.paths)
        if done:
            tell(f"going on with {done} of {len(shards.paths)} shards that are there")
        shards.fill(pool.texts, model, who, bar)
        _write_embeddings(work / "draft" / home, shards, {**card, "embedder": embedder.label, "request_sha256": key})
    else:
        tell("these embeddings are there already")
    _place(work / "draft", folder, home, _pool_card(order, pool, read), pool)
    sizes = np.diff(pool.columns["offsets"]).tolist()
    question = order.question or f"Which response to a prompt of {roots.printable(order.source.name)} is better?"
    fields = roots.task_card(order.name, str(card["base_model"]), question, sizes, "gold" in pool.columns)
    task = roots.write_task(order.root, order.name, fields)
    shutil.rmtree(work, ignore_errors=True)
    written = read_card(folder / home / EMBEDDINGS_CARD)
    return Built(task, pool, written, read.left_out + pool.counts, read.unread)


def checked_card(card: Any, label: str) -> dict[str, Any]:
    """Return the card of an embedder; raises ``EmbedderError`` if it is none."""
    named = isinstance(card, dict) and isinstance(card.get("base_model"), str) and NAME.fullmatch(card["base_model"])
    plain = named and all(isinstance(value, str | int | float | bool) for value in card.values())
    if not plain:
        expected = "a card with base_model (lower-case letters, digits and hyphens) and plain values"
        do = "mend the embedder's card"
        raise EmbedderError(who=f"embedder {label!r}", expected=expected, got=shown(card), do=do)
    return dict(card)


def _is_there(home: Path, key: str) -> bool:
    path = home / EMBEDDINGS_CARD
    return path.is_file() and read_card(path).get("request_sha256") == key


def _write_embeddings(home: Path, shards: Shards, card: dict[str, Any]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    facts = shards.join(home / "embeddings.npy")
    digests = {"embeddings.npy": sha256(home / "embeddings.npy")}
    (home / EMBEDDINGS_CARD).write_text(tomli_w.dumps({**card, **facts, "sha256": digests}), encoding="utf-8")


def _place(draft: Path, folder: Path, home: str, card: dict[str, Any], pool: TextPool) -> None:
    write_folder(draft, POOL_CARD, card, pool.columns)
    if not roots.place_pool(draft, folder) and (draft / home).exists():
        roots.place_embeddings(draft / home, folder / home)


def _pool_card(order: Order, pool: TextPool, read: Examples) -> dict[str, Any]:
    gold = "gold" in pool.columns
    flaws = [f"{n:,} {reason}" for reason, n in (read.left_out + pool.counts).items()]
    if not pool.hashed:
        flaws.append("Few prompts: split by the rank of the hash of their ids, so that no part is empty.")
    card = {
        "name": order.name,
        "format": FORMAT,
        "source": roots.printable(order.source.name),
        "licence": order.licence,
        "redistribution": "ids, labels, statistics and embeddings only",
        "label_source": "the file's rewards" if gold else "the file's pairs",
        "gold": "the file's rewards; larger is better" if gold else "none; the order within a pair only",
        "length_unit": "characters",
        "known_flaws": flaws,
        "n_prompts": len(pool.columns["prompt_id"]),
        "n_responses": len(pool.texts),
        "n_human_pairs": len(pool.columns.get("human_pairs", ())),
        "categories": list(pool.categories),
        "generators": list(pool.generators),
    }
    return card | ({"attributes": list(pool.attributes)} if pool.attributes else {})
