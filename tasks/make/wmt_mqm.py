"""Make the pool ``mqm``: ``python tasks/make/wmt_mqm.py DATA [OUT]``, with the normalised Parquet files in DATA."""

from __future__ import annotations

import sys
from pathlib import Path

import normalised
import pandas as pd
import recipe

SOURCE = "wmt_mqm"
ATTRIBUTES = ["accuracy", "fluency", "other"]
PAIRS = {"ende": "en-de", "zhen": "zh-en"}
CARD = {
    "source": "google/wmt-mqm-human-evaluation at commit 7fadea281aff, TED talks and the general sets of 2023 with "
    "three ratings a segment",
    "licence": "Apache-2.0",
    "redistribution": f"{recipe.ONLY_DERIVED}; with the licence text",
    "citation": "Freitag et al., Experts, Errors, and Context: A Large-Scale Study of Human Evaluation for Machine "
    "Translation, 2021",
    "label_source": "professional translators, one to six ratings a translation",
    "gold": "minus the MQM penalty, mean over ratings; 0 is best",
    "length_unit": "characters",
    "known_flaws": [
        "Translation, not chat: from English to German and from Chinese to English.",
        "Most translations have one rating only, and raters of one translation agree little.",
        "A rating beside another translation (side by side) counts as a vote of the same rater.",
        "Penalties crowd at zero: many pairs are ties.",
        "Equal texts of two systems are one response, with the votes on both.",
    ],
}


def rows(data: Path) -> recipe.Rows:
    """Return the pool's rows: every translation, its mean ratings by attribute and the raters' single penalties."""
    labels = normalised.labels(data, SOURCE)
    labels = labels.assign(annotator=labels["annotator"].str.split("|").str[0])
    frame, labels = normalised.one_row_a_text(normalised.responses(data, SOURCE), labels)
    frame = frame.assign(category=frame["category"].map(PAIRS))
    votes = labels[labels["attribute"] == "mqm"]
    raters = sorted(votes["annotator"].unique(), key=_number)
    gold, *means = normalised.ratings(frame, labels, ["mqm", *ATTRIBUTES]).T + 0
    columns = {"gold": gold, "ratings": pd.DataFrame(means).T.to_numpy("float32")}
    columns |= normalised.votes(frame, votes, raters)
    return recipe.Rows(frame, columns, {"attributes": ATTRIBUTES, "raters": raters}, recipe.split_ids(frame))


def _number(rater: str) -> tuple[str, int]:
    language, number = rater.split(":rater")
    return language, int(number)


RECIPE = recipe.Recipe("mqm", CARD, rows)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], RECIPE)
