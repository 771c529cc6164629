"""All recipes, and the step that embeds the pools they made: one for every base model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import alpaca_eval
import hh_rlhf
import mt_bench
import normalised
import numpy as np
import recipe
import rmb
import summaries
import truthfulqa
import wmt_mqm
import xstest
import zeroeval_math

from rmsuite.errors import TaskError, unknown_name
from rmsuite.pool_files import write_embeddings

RECIPES = {
    one.name: one
    for one in (
        alpaca_eval.PROBE,
        alpaca_eval.ORDINARY,
        alpaca_eval.MANY,
        alpaca_eval.WIDE,
        hh_rlhf.RECIPE,
        rmb.RECIPE,
        xstest.RECIPE,
        truthfulqa.RECIPE,
        mt_bench.RECIPE,
        summaries.RECIPE,
        wmt_mqm.RECIPE,
        zeroeval_math.RECIPE,
    )
}
Embed = Callable[[Sequence[tuple[str, str]]], np.ndarray]


def rows(name: str, data: Path) -> recipe.Rows:
    """Return the rows of a pool.

    Raises
    ------
    TaskError
        If no recipe makes a pool of that name.
    """
    if name not in RECIPES:
        raise unknown_name("pool", name, RECIPES, "see tasks/make/recipes.py")
    return RECIPES[name].rows(data)


def home(name: str) -> Path:
    """Return the folder of the pools among which a pool is; the package's for one without a home."""
    return RECIPES[name].home or recipe.POOLS


def texts(name: str, data: Path, pools: Path | None = None) -> list[tuple[str, str]]:
    """Return the (prompt, response) texts of a committed pool, row-aligned with its columns.

    Raises
    ------
    TaskError
        If the recipe gives other responses than the pool holds.
    """
    frame = rows(name, data).frame
    there = np.load((pools or home(name)) / name / "response_id.npy")
    if normalised.short_ids(frame["response_id"]).tolist() != there.tolist():
        expected = "the responses of the pool that the recipe made"
        do = "make the pool's columns again with its recipe, or take the data that they were made from"
        raise TaskError(who=f"pool {name}", expected=expected, got="others", do=do)
    return normalised.texts(frame)


def embed_pools(arguments: Sequence[str], embed: Embed, card: Mapping[str, Any], pools: Path | None = None) -> None:
    """Write an embedding set of each named pool; the arguments are DATA and the names, none for the package's pools."""
    data, *names = arguments
    for name in names or [path.name for path in sorted((pools or recipe.POOLS).iterdir()) if path.is_dir()]:
        write_embeddings((pools or home(name)) / name, embed(texts(name, Path(data), pools)), card)
