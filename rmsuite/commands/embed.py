"""``rmsuite embed``: make a task of a user's own texts."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from rmsuite.book import read_book
from rmsuite.commands import shared
from rmsuite.splits import PARTS
from rmsuite.texts.build import Built, Order, build


def embed(options: Namespace) -> int:
    """Read texts, embed them, and write the folder of a task."""
    embedder = shared.catalogue(options).embedder(options.embedder)
    name = options.name or named_after(options.texts)
    order = Order(options.texts, name, options.output, options.licence or "none stated", options.question or "")
    built = build(order, embedder, _bar, lambda text: print(f"rmsuite: {text}", file=sys.stderr))
    print(f"embeddings: {built.card['n_responses']:,} × {built.card['n_features']:,} {built.card['dtype']}", end="")
    print(f", base model {built.card['base_model']}")
    for reason, n in built.counts.items():
        print(f"noticed: {n:,} {reason}")
    if built.unread:
        print(f"not read: {', '.join(built.unread)}")
    tell_of_task(options.output, built.task)
    _warn(built)
    return 0


def named_after(source: Path) -> str:
    """Return a name for the task of a file: its own, in lower-case letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", source.resolve().stem.lower()).strip("-") or "mine"


def tell_of_task(root: Path, name: str) -> None:
    """Print the sizes of a task that was just written, and how to run it; loading it checks it."""
    task = read_book([root]).task(name).load()
    parts = ", ".join(f"{len(task.parts[part]):,} {part}" for part in PARTS)
    print(f"task {task.card.label}: {len(task.pool.prompt_id):,} prompts ({parts})")
    print(f"Next: rmsuite run --tasks {root} --task {name} --method NAME")


def _bar(numbers: Iterable[int]) -> Iterable[int]:
    return tqdm(numbers, unit="shard", leave=False, disable=not sys.stderr.isatty())


def _warn(built: Built) -> None:
    n_prompts = len(built.pool.columns["prompt_id"])
    if not built.pool.hashed:
        reason = "the hash of the prompt ids left a part empty; the prompts are split by its rank, as the pool says"
        print(f"rmsuite: {reason}", file=sys.stderr)
    if n_prompts < 200:
        print(f"rmsuite: {n_prompts} prompts are few: expect wide intervals", file=sys.stderr)
