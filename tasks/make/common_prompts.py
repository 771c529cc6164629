"""The pool ``alpaca-eval-common``: the prompts and responses that every base model embeds."""

from __future__ import annotations

from pathlib import Path

import alpaca_eval
import normalised
import numpy as np
import pandas as pd

PROMPTS, RESPONSES = 440, 6
NAME = "alpaca-eval-common"


def common(data: Path) -> pd.DataFrame:
    """Return 440 prompts of the pool ``alpaca-eval`` with six responses each, all drawn by digest."""
    judged = normalised.responses(data, alpaca_eval.SOURCE).dropna(subset=["gold"])
    frame = alpaca_eval.ordinary(judged)
    prompts = pd.Series(frame["prompt_id"].unique())
    frame = frame[frame["prompt_id"].isin(prompts[normalised.draw(prompts, PROMPTS)])]
    drawn = frame.groupby("prompt_id")["response_id"].transform(lambda ids: normalised.draw(ids, RESPONSES))
    return frame[drawn.astype(bool)].sort_values(["prompt_id", "response_id"], kind="stable")


def texts(data: Path) -> list[tuple[str, str]]:
    """Return the (prompt, response) texts, row-aligned with the pool."""
    return normalised.texts(common(data))


def columns(frame: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, list[str]]]:
    """Return the pool's columns, and the names that its numbers stand for."""
    categories, generators = (sorted(frame[name].unique()) for name in ("category", "model"))
    found = normalised.columns(frame, categories, generators)
    found["gold"] = frame["gold"].to_numpy(np.float32)
    return found, {"categories": categories, "generators": generators}
