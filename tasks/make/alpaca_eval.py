"""Make the pools ``alpaca-eval`` and ``alpaca-eval-probe``, ``alpaca-eval-large`` and ``alpaca-eval-wide``.

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

from rmsuite.splits import FRACTIONS, part_of

SOURCE = "alpaca_eval"
ATTACKS = ("NullModel", "gpt4_gamed")
PROBE_ATTACK = "NullModel"
REFERENCE = "gpt4_1106_preview"
TRAINING_RESPONSES = 16
LARGE_TRAINING_PROMPTS = 104

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


PROBE_FLAWS = [
    "One constant text that answers no prompt, written to deceive the judge of the gold, which it does (mean "
    "preference 0.77): a reward-hacking probe, no ordinary responses.",
]
LARGE = {
    "label_source": "none: the rewards of gold reward models stand beside the pool",
    "gold": "none of its own",
}
LARGE_FLAWS = [
    "Nearly half of the responses were never judged, so that gold rewards are those of a model only.",
    "All systems' responses, several of which are older or newer versions of one system: responses are near relatives.",
    FLAWS[-1],
]
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


def attack(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the constant text of NullModel only."""
    return frame[frame["model"] == PROBE_ATTACK].reset_index(drop=True)


def rows(choose: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], recipe.Rows]:
    """Return the function that reads the rows of one pool of this source."""

    def read(data: Path) -> recipe.Rows:
        frame = choose(judged(data))
        return recipe.Rows(frame, {"gold": frame["gold"].to_numpy(np.float32)}, {})

    return read


def large_rows(data: Path) -> recipe.Rows:
    """Return all systems' responses, judged or not, to all test prompts and to a draw of the others."""
    frame = systems(normalised.responses(data, SOURCE))
    heads = frame["prompt_id"].drop_duplicates()
    tested = part_of(normalised.short_ids(heads), FRACTIONS) == "test"
    drawn = heads[~tested][normalised.draw(heads[~tested], LARGE_TRAINING_PROMPTS)]
    return recipe.Rows(frame[frame["prompt_id"].isin([*heads[tested], *drawn])].reset_index(drop=True), {}, {})


PROBE = recipe.Recipe("alpaca-eval-probe", {**CARD, "known_flaws": PROBE_FLAWS}, rows(attack))
MANY = recipe.Recipe("alpaca-eval-large", {**CARD, **LARGE, "known_flaws": LARGE_FLAWS}, large_rows, recipe.MORE)
ORDINARY = recipe.Recipe("alpaca-eval", {**CARD, "known_flaws": FLAWS}, rows(ordinary))
WIDE = recipe.Recipe("alpaca-eval-wide", {**CARD, "known_flaws": [*FLAWS, *WIDE_FLAWS]}, rows(systems), None)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], PROBE, ORDINARY, MANY, WIDE)
