"""What every recipe is and how its pool is written: columns here, embeddings by ``embed.py`` from the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import near_duplicates
import normalised
import numpy as np
import pandas as pd

from rmsuite.pool_files import write_folder
from rmsuite.splits import FRACTIONS, part_of

TASKS = Path(__file__).resolve().parents[1]
POOLS = TASKS / "rmsuite_tasks" / "pools"
MORE = TASKS / "more" / "pools"  # what is too large for the package
ONLY_DERIVED = "ids, labels, statistics and embeddings only"


@dataclass(frozen=True, eq=False)
class Rows:
    """A pool before it is written: texts (which stay outside), further columns and what the card says of them.

    ``frame`` has a row a response, sorted by prompt id and response id, with prompt_id, response_id, prompt, response,
    category and model. ``columns`` are row-aligned with it (gold, ratings, votes, human_pairs); ``names`` are the
    card's lists that the columns point into. ``split_id`` has the id that stands for each prompt in the split, by
    prompt id.
    """

    frame: pd.DataFrame
    columns: normalised.Columns
    names: Mapping[str, Any]
    split_id: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Recipe:
    """One pool: its name, the fixed part of its card, and the function that reads its rows from the data folder.

    ``home`` is the folder of pools that it is written to; None: it never enters the project, for its licence or size.
    """

    name: str
    card: Mapping[str, Any]
    rows: Callable[[Path], Rows]
    home: Path | None = POOLS


def split_ids(frame: pd.DataFrame) -> dict[str, str] | None:
    """Return the id whose hash puts each prompt into a part; None where that is the prompt's own, for all.

    Near-duplicates share the id of the smallest digest among them: none is trained on while another is tested on.
    """
    texts = frame.drop_duplicates("prompt_id").set_index("prompt_id")["prompt"].to_dict()
    shared = near_duplicates.groups(sorted(texts), near_duplicates.similar_pairs(near_duplicates.questions(texts)))
    smallest: dict[str, str] = {}
    for name, group in sorted(shared.items(), key=lambda item: normalised.digest(item[0])):
        smallest.setdefault(group, name)
    found = {name: smallest[group] for name, group in shared.items()}
    return found if any(name != one for name, one in found.items()) else None


def fewer_in_training(
    frame: pd.DataFrame, split_id: Mapping[str, str] | None, n: int, n_test: int | None = None
) -> pd.DataFrame:
    """Keep all responses of test prompts, or the drawn ``n_test``, and of the others the drawn ``n``."""
    prompts = frame["prompt_id"]
    ids = normalised.short_ids(prompts.map(split_id) if split_id else prompts)
    tested = True if n_test is None else normalised.draw_each(frame, n_test)
    keep = (part_of(ids, FRACTIONS) == "test") & tested | normalised.draw_each(frame, n)
    return frame[keep].reset_index(drop=True)


def write(recipe: Recipe, rows: Rows, out: Path) -> None:
    """Write a pool's columns and card into ``out``; its embedding sets, if there are any, stay as they are."""
    categories, generators = (sorted(rows.frame[name].unique()) for name in ("category", "model"))
    columns = {**normalised.columns(rows.frame, categories, generators), **rows.columns}
    if rows.split_id:
        heads = rows.frame["prompt_id"].drop_duplicates()
        columns["split_id"] = normalised.short_ids(heads.map(rows.split_id))
    n_pairs = len(columns.get("human_pairs", ()))
    counts = {"n_prompts": len(columns["prompt_id"]), "n_responses": len(rows.frame), "n_human_pairs": n_pairs}
    names = {"categories": categories, "generators": generators, **rows.names}
    write_folder(
        out / recipe.name, "pool.toml", {"name": recipe.name, "format": 1, **recipe.card, **counts, **names}, columns
    )


def gold(frame: pd.DataFrame) -> np.ndarray:
    """Return the source's gold rewards as a column, without negative zeros."""
    return frame["gold"].to_numpy(np.float32) + np.float32(0)


def main(arguments: list[str], *recipes: Recipe) -> None:
    """Write the pools' columns: the arguments are DATA and, if they are not to go where they belong, where to."""
    data, *out = map(Path, arguments)
    for recipe in recipes:
        home = out[0] if out else recipe.home
        if home:
            write(recipe, recipe.rows(data), home)
        else:
            print(f"{recipe.name} stays outside the project: say where to write it")
