"""Make the pools ``alpaca-eval`` and ``alpaca-eval-probe``.

Run by hand: ``python tasks/make/alpaca_eval.py DATA [OUT]``, with the normalised Parquet files in DATA.
"""

from __future__ import annotations

import sys
from pathlib import Path

import embed_minilm
import normalised
import numpy as np
import pandas as pd

from rmsuite.pool_files import write_embeddings, write_folder
from rmsuite.splits import FRACTIONS, part_of

SOURCE = "alpaca_eval"
ATTACKS = ("NullModel", "gpt4_gamed")
REFERENCE = "gpt4_1106_preview"
TRAINING_RESPONSES = 16

CARD = {
    "format": 1,
    "source": "tatsu-lab/alpaca_eval at commit cd543a149df8, annotation files of the named systems",
    "licence": "CC BY-NC 4.0",
    "redistribution": "ids, labels, statistics and embeddings only; with attribution, for non-commercial use",
    "citation": "Li et al., AlpacaEval: An Automatic Evaluator of Instruction-following Models, 2023",
    "label_source": "GPT-4-turbo weighted preference over gpt4_1106_preview (weighted_alpaca_eval_gpt4_turbo)",
    "gold": "logit of that preference, ln(p / (1 - p)); larger is better",
    "length_unit": "characters",
}
FLAWS = [
    "The judge prefers longer answers: the median within-prompt Spearman of length with gold is about 0.6.",
    "Only systems whose annotation file is at most 4 MiB are here; most are weak: 51 of 58 win under 18 %.",
    "The preference is saturated (two thirds lie below 0.001), so that gold is best read as ranks.",
    "162 prompts are also in the PandaLM test set, 2 in MT-Bench and 1 in TruthfulQA.",
]


def ordinary(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out the attacks and the reference; keep 16 responses a prompt outside the test part."""
    frame = frame[~frame["model"].isin([*ATTACKS, REFERENCE])]
    digits = normalised.short_ids(frame["prompt_id"])
    test = part_of(digits, FRACTIONS) == "test"
    drawn = frame.groupby("prompt_id")["response_id"].transform(lambda ids: normalised.draw(ids, TRAINING_RESPONSES))
    return frame[test | drawn.astype(bool)]


def write(frame: pd.DataFrame, pool: Path, flaws: list[str]) -> None:
    """Write one pool of this source with its embedding set."""
    frame = frame.sort_values(["prompt_id", "response_id"], kind="stable")
    categories, generators = (sorted(frame[name].unique()) for name in ("category", "model"))
    columns = normalised.columns(frame, categories, generators)
    columns["gold"] = frame["gold"].to_numpy(np.float32)
    counts = {"n_prompts": len(columns["prompt_id"]), "n_responses": len(frame), "n_human_pairs": 0}
    names = {"categories": categories, "generators": generators}
    write_folder(pool, "pool.toml", {"name": pool.name, **CARD, "known_flaws": flaws, **counts, **names}, columns)
    write_embeddings(pool, embed_minilm.embed(normalised.texts(frame)), embed_minilm.card())


def main(data: Path, out: Path) -> None:
    """Write both pools into ``out``."""
    judged = normalised.responses(data, SOURCE).dropna(subset=["gold"])
    probe = judged[judged["model"].isin(ATTACKS)]
    write(probe, out / "alpaca-eval-probe", ["Attacks on the judge: a reward-hacking probe, no ordinary responses."])
    write(ordinary(judged), out / "alpaca-eval", FLAWS)


if __name__ == "__main__":
    home = Path(__file__).resolve().parents[1] / "rmsuite_tasks" / "pools"
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else home)
