"""Make the pool ``hh-rlhf``.

Run by hand: ``python tasks/make/hh_rlhf.py DATA [OUT]``, with the normalised Parquet files in DATA.
"""

from __future__ import annotations

import sys
from pathlib import Path

import normalised
import numpy as np
import pandas as pd
import recipe

SOURCE = "hh_rlhf_test"
CARD = {
    "source": "anthropics/hh-rlhf, the four test sets; "
    "helpful-online and helpful-rejection-sampled in an earlier release",
    "licence": "MIT",
    "redistribution": "ids, labels, statistics and embeddings only; with the notice of Anthropic's MIT licence",
    "citation": "Bai et al., Training a Helpful and Harmless Assistant with RLHF, arXiv:2204.05862",
    "label_source": "human crowd workers, one vote a pair",
    "gold": "none; the order within a pair only",
    "length_unit": "characters",
    "known_flaws": [
        "One vote a pair; label noise is known to be high.",
        "The longer response wins 52 % of the pairs.",
        "The dialogues hold offensive content; only numbers of them are kept here.",
    ],
}


def pair_rows(pairs: pd.DataFrame, frame: pd.DataFrame) -> np.ndarray:
    """Return ``(n_pairs, 2)`` pool rows, chosen first, sorted by prompt and then by the two response ids."""
    row = pd.Series(np.arange(len(frame)), index=frame["response_id"])
    pairs = pairs.sort_values(["prompt_id", "chosen_id", "rejected_id"], kind="stable")
    return np.column_stack([row[pairs["chosen_id"]], row[pairs["rejected_id"]]]).astype(np.int32)


def rows(data: Path) -> recipe.Rows:
    """Return the pool's rows; a response that is in no pair is left out."""
    return paired_rows(data, SOURCE, "unknown")


def paired_rows(data: Path, source: str, model: str | None = None) -> recipe.Rows:
    """Return the responses of a source that are in its pairs, and the pairs; ``model`` stands for all generators."""
    pairs = pd.read_parquet(data / f"{source}.pairs.parquet")
    used = pd.concat([pairs["chosen_id"], pairs["rejected_id"]])
    frame = normalised.responses(data, source)
    frame = frame[frame["response_id"].isin(used)].reset_index(drop=True)
    frame = frame.assign(model=model) if model else frame
    return recipe.Rows(frame, {"human_pairs": pair_rows(pairs, frame)}, {})


RECIPE = recipe.Recipe("hh-rlhf", CARD, rows)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], RECIPE)
