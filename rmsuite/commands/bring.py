"""``rmsuite import``: make a task of arrays that are there."""

from __future__ import annotations

import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import tomli_w
from tqdm import tqdm

from rmsuite import imports, roots
from rmsuite.commands.embed import named_after, tell_of_task
from rmsuite.errors import on_behalf_of
from rmsuite.imports import Piece
from rmsuite.pool_files import sha256, write_folder
from rmsuite.pools import EMBEDDINGS_CARD, FORMAT, POOL_CARD
from rmsuite.stacked import open_stacked


def bring(options: Namespace) -> int:
    """Link to the arrays, and write the folder of a task."""
    name = roots.checked_name(options.name or named_after(options.source))
    base_model = roots.checked_name(options.base_model)
    found = imports.pieces(options.source, options.axes)
    for piece in found:
        print(f"{piece.sources[0].path.name}: {piece.n_prompts:,} prompts × {piece.n_responses:,} responses", end="")
        print(", test part" if piece.test else "")
    roots.make_root(options.output)
    draft = Path(mkdtemp(prefix=f".import-{name}-", dir=options.output))
    try:
        _write(draft, found, name, base_model, options)
        with roots.whole_or_nothing(options.output, name, base_model):
            _place(draft, found, name, base_model, options)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return 0


def _place(draft: Path, found: Sequence[Piece], name: str, base_model: str, options: Namespace) -> None:
    home, kept = options.output / "pools" / name, Path("embeddings") / base_model
    if not roots.place_pool(draft, home):
        roots.place_embeddings(draft / kept, home / kept)
    question = options.question or f"Which response of {roots.printable(options.source.resolve().name)} is better?"
    sizes = [piece.n_responses for piece in found]
    card = roots.task_card(name, base_model, question, sizes, found[0].rewards is not None)
    task = roots.write_task(options.output, name, card)
    with on_behalf_of(f"import of {options.source}"):
        tell_of_task(options.output, task)


def _write(draft: Path, found: Sequence[Piece], name: str, base_model: str, options: Namespace) -> None:
    home = draft / "embeddings" / base_model
    home.mkdir(parents=True)
    listed, files = imports.blocks(found)
    for linked, path in files.items():
        _link(path.resolve(), home / linked, options.copy)
    matrix = open_stacked(home, listed)
    hashed = tqdm(sorted(files), unit="file", leave=False, disable=not sys.stderr.isatty())
    facts = {
        "base_model": base_model,
        "n_responses": matrix.shape[0],
        "n_features": matrix.shape[1],
        "dtype": matrix.dtype.name,
        "blocks": listed,
        "sha256": {linked: sha256(home / linked) for linked in hashed},
    }
    (home / EMBEDDINGS_CARD).write_text(tomli_w.dumps(facts), encoding="utf-8")
    columns = imports.columns(found, name)
    write_folder(draft, POOL_CARD, _pool_card(name, columns, options), columns)


def _link(source: Path, target: Path, copy: bool) -> None:
    """Link to a file: by a second name where the disk is the same, else by its path."""
    if copy:
        shutil.copyfile(source, target)
        return
    try:
        os.link(source, target)
    except OSError:
        target.symlink_to(source)


def _pool_card(name: str, columns: dict[str, np.ndarray], options: Namespace) -> dict[str, Any]:
    gold = "gold" in columns
    flaws = ["The arrays tell neither texts nor lengths: all lengths are 0, and ids are places in the files."]
    if not gold:
        flaws.append("The arrays tell no prompts: every pair counts as one, so intervals are too narrow if it is not.")
    return {
        "name": name,
        "format": FORMAT,
        "source": roots.printable(options.source.resolve().name),
        "licence": options.licence or "none stated",
        "redistribution": "the user's affair",
        "label_source": "the rewards of the source" if gold else "the pairs of the source",
        "gold": "the rewards of the source; larger is better" if gold else "none; the order within a pair only",
        "length_unit": "unknown: all are 0",
        "known_flaws": flaws,
        "n_prompts": len(columns["prompt_id"]),
        "n_responses": len(columns["response_id"]),
        "n_human_pairs": len(columns.get("human_pairs", ())),
        "categories": ["all"],
        "generators": ["unknown"],
    }
