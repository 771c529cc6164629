"""Make the pool ``summaries``: ``python tasks/make/summaries.py DATA [OUT]``, DATA with the normalised files.

Three sources with gold of three kinds: each is brought to mean 0 and standard deviation 1 over its own responses, so
that an order within a prompt is the source's, and a mean over prompts weighs the sources alike.
"""

from __future__ import annotations

import sys
from pathlib import Path

import normalised
import numpy as np
import pandas as pd
import recipe

SOURCES = {"summeval": "summeval", "realsumm": "realsumm", "newsroom_human": "newsroom"}
TRAINING_RESPONSES = 8
ATTRIBUTES = ["coherence", "consistency", "fluency", "informativeness", "relevance"]
CARD = {
    "source": "neulab/BARTScore at commit 248f511cb34a, SUM/{SummEval,REALSumm,Newsroom}/data.pkl; "
    "SummEval also Yale-LILY/SummEval at commit 81b59ad53d63",
    "licence": "Apache-2.0 (BARTScore repository); SummEval MIT",
    "redistribution": f"{recipe.ONLY_DERIVED}; with the licence texts; the articles belong to their publishers",
    "citation": "Fabbri et al., SummEval, 2021; Bhandari et al., Re-evaluating Evaluation in Text Summarization, 2020; "
    "Grusky et al., Newsroom, 2018; gathered by Yuan et al., BARTScore, 2021",
    "label_source": "humans: means of experts (summeval) or crowd workers (newsroom), content units (realsumm)",
    "gold": "summeval and newsroom: mean of four ratings; realsumm: lite-pyramid recall; "
    "each standardised over its source by gold_mean and gold_sd, so comparable within a prompt only",
    "length_unit": "characters",
    "known_flaws": [
        "Gold of the three sources (the categories) means different things; realsumm rewards recall, so length.",
        "Ratings are means over raters; single votes are not in the source.",
        "The attributes of newsroom nearly coincide (correlations of 0.72 to 0.87).",
        "realsumm has no ratings, summeval no informativeness, newsroom no consistency.",
        "Most prompts are longer than the base model's input: it sees the end of the article only.",
        "Equal texts of two systems are one response. Texts of summeval and realsumm are tokenised.",
    ],
}


def one_source(data: Path, source: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return responses with equal texts merged, and their labels; category and generators carry the source's name."""
    frame, labels = normalised.one_row_a_text(normalised.responses(data, source), normalised.labels(data, source))
    means = normalised.ratings(frame, labels, sorted(labels["attribute"].unique())).mean(axis=1)
    name = SOURCES[source]
    return frame.assign(category=name, model=f"{name}:" + frame["model"], gold=means), labels


def standardised(frame: pd.DataFrame) -> tuple[np.ndarray, dict[str, dict[str, float]]]:
    """Return gold with mean 0 and standard deviation 1 in each source, and the two numbers by source."""
    by_source = frame.groupby("category")["gold"].agg(["mean", lambda gold: gold.std(ddof=0)])
    mean, sd = (frame["category"].map(by_source[name]).to_numpy() for name in by_source)
    facts = {
        name: by_source[column].round(6).to_dict()
        for name, column in zip(("gold_mean", "gold_sd"), by_source, strict=True)
    }
    return ((frame["gold"].to_numpy() - mean) / sd).astype(np.float32), facts


def rows(data: Path) -> recipe.Rows:
    """Return the pool's rows, sorted by prompt: all summaries of test articles, 8 of others."""
    frames, labels = zip(*(one_source(data, source) for source in SOURCES), strict=True)
    frame = pd.concat(frames)
    frame = frame.iloc[np.lexsort([normalised.short_ids(frame[name]) for name in ("response_id", "prompt_id")])]
    frame = frame.reset_index(drop=True)
    split_id = recipe.split_ids(frame)
    frame = recipe.fewer_in_training(frame, split_id, TRAINING_RESPONSES)
    gold, facts = standardised(frame)
    columns = {"gold": gold, "ratings": normalised.ratings(frame, pd.concat(labels), ATTRIBUTES)}
    return recipe.Rows(frame, columns, {"attributes": ATTRIBUTES, **facts}, split_id)


RECIPE = recipe.Recipe("summaries", CARD, rows)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], RECIPE)
