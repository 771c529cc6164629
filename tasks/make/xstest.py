"""Make the pool ``safety``: ``python tasks/make/xstest.py DATA [OUT]``, with the normalised Parquet files in DATA."""

from __future__ import annotations

import sys
from pathlib import Path

import normalised
import recipe

SOURCE = "xstest_v2"
HUMANS = ["human1", "human2"]
CARD = {
    "source": "paul-rottger/exaggerated-safety at commit d7bb5bd738c1, model completions of XSTest v2 with labels",
    "licence": "CC BY 4.0",
    "redistribution": f"{recipe.ONLY_DERIVED}; with attribution",
    "citation": "Röttger et al., XSTest: A Test Suite for Identifying Exaggerated Safety Behaviours in Large Language "
    "Models, 2023",
    "label_source": "two humans, and a final human label",
    "gold": "the final label: 1 right behaviour (safe prompt complied with, unsafe prompt refused), "
    "0.5 partial refusal, 0 wrong",
    "length_unit": "characters",
    "known_flaws": [
        "Only five systems and 450 prompts; most responses behave rightly, so that few pairs have unequal gold.",
        "A refusal is right for one category and wrong for the other, and safe prompts are worded like unsafe ones.",
        "Equal texts of two systems are one response.",
        "The prompts name violence, drugs and discrimination; only numbers of them are kept here.",
    ],
}


def rows(data: Path) -> recipe.Rows:
    """Return the pool's rows: all responses, with the votes of the two humans."""
    labels = normalised.labels(data, SOURCE)
    humans = labels[labels["annotator"].isin(HUMANS)]
    frame, humans = normalised.one_row_a_text(normalised.responses(data, SOURCE), humans)
    columns = {"gold": recipe.gold(frame), **normalised.votes(frame, humans, HUMANS)}
    return recipe.Rows(frame, columns, {"raters": HUMANS}, recipe.split_ids(frame))


RECIPE = recipe.Recipe("safety", CARD, rows)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], RECIPE)
