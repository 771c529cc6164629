"""Make the pool ``hh-rlhf``.

Run by hand: ``python tasks/make/hh_rlhf.py DATA [OUT]``, with the normalised Parquet files in DATA.
"""

from __future__ import annotations

import sys
from pathlib import Path

import embed_minilm
import normalised
import numpy as np
import pandas as pd

from rmsuite.pool_files import write_embeddings, write_folder

SOURCE = "hh_rlhf_test"
CARD = {
    "name": "hh-rlhf",
    "format": 1,
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


def main(data: Path, out: Path) -> None:
    """Write the pool into ``out``; a response that is in no pair is left out."""
    pairs = pd.read_parquet(data / f"{SOURCE}.pairs.parquet")
    used = pd.concat([pairs["chosen_id"], pairs["rejected_id"]])
    frame = normalised.responses(data, SOURCE)
    frame = frame[frame["response_id"].isin(used)].assign(model="unknown").reset_index(drop=True)
    categories = sorted(frame["category"].unique())
    columns = normalised.columns(frame, categories, ["unknown"])
    columns["human_pairs"] = pair_rows(pairs, frame)
    counts = {"n_prompts": len(columns["prompt_id"]), "n_responses": len(frame), "n_human_pairs": len(pairs)}
    pool = out / "hh-rlhf"
    names = {"categories": categories, "generators": ["unknown"]}
    write_folder(pool, "pool.toml", {**CARD, **counts, **names}, columns)
    write_embeddings(pool, embed_minilm.embed(normalised.texts(frame)), embed_minilm.card())


if __name__ == "__main__":
    home = Path(__file__).resolve().parents[1] / "rmsuite_tasks" / "pools"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else home)
