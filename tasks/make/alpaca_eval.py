"""Make the pools ``alpaca-eval`` and ``alpaca-eval-probe``, and outside the package ``alpaca-eval-wide``.

Run by hand: ``python tasks/make/alpaca_eval.py DATA [OUT]``, with the normalised Parquet files in DATA.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import normalised
import numpy as np
import pandas as pd
import recipe

SOURCE = "alpaca_eval"
ATTACKS = ("NullModel", "gpt4_gamed")
REFERENCE = "gpt4_1106_preview"
TRAINING_RESPONSES = 16

CARD = {
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


PROBE_FLAWS = ["Attacks on the judge: a reward-hacking probe, no ordinary responses."]
WIDE_FLAWS = ["As alpaca-eval, with all responses of every prompt: several times the size, so it is made where needed."]


def judged(data: Path) -> pd.DataFrame:
    """Return the responses that the judge of the gold has seen."""
    return normalised.responses(data, SOURCE).dropna(subset=["gold"])


def systems(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out the attacks and the reference."""
    return frame[~frame["model"].isin([*ATTACKS, REFERENCE])].reset_index(drop=True)


def ordinary(frame: pd.DataFrame) -> pd.DataFrame:
    """Leave out the attacks and the reference; keep 16 responses a prompt outside the test part."""
    return recipe.fewer_in_training(systems(frame), None, TRAINING_RESPONSES)


def attacks(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the attacks only."""
    return frame[frame["model"].isin(ATTACKS)].reset_index(drop=True)


def rows(choose: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], recipe.Rows]:
    """Return the function that reads the rows of one pool of this source."""

    def read(data: Path) -> recipe.Rows:
        frame = choose(judged(data))
        return recipe.Rows(frame, {"gold": frame["gold"].to_numpy(np.float32)}, {})

    return read


PROBE = recipe.Recipe("alpaca-eval-probe", {**CARD, "known_flaws": PROBE_FLAWS}, rows(attacks))
ORDINARY = recipe.Recipe("alpaca-eval", {**CARD, "known_flaws": FLAWS}, rows(ordinary))
WIDE = recipe.Recipe("alpaca-eval-wide", {**CARD, "known_flaws": [*FLAWS, *WIDE_FLAWS]}, rows(systems), local=True)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], PROBE, ORDINARY, WIDE)
