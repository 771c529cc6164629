"""Make the pool ``math``: ``python tasks/make/zeroeval_math.py DATA [OUT]``, DATA with the normalised files."""

from __future__ import annotations

import sys
from pathlib import Path

import normalised
import pandas as pd
import recipe

SOURCE = "zeroeval_math_l5"
TRAINING_RESPONSES, TEST_RESPONSES = 6, 16
NO_LABELS = pd.DataFrame({"response_id": pd.Series(dtype=str)})
CARD = {
    "source": "WildEval/ZeroEval at commit 8c1485edf12c, result_dirs/math-l5; problems of MATH, level 5",
    "licence": "Apache-2.0 (replies); MIT (problems)",
    "redistribution": f"{recipe.ONLY_DERIVED}; with the licence texts",
    "citation": "Lin, ZeroEval: A Unified Framework for Evaluating Language Models, 2024; Hendrycks et al., Measuring "
    "Mathematical Problem Solving With the MATH Dataset, 2021",
    "label_source": "a program that compares the reply's answer with the reference",
    "gold": "1 right, 0 wrong",
    "length_unit": "characters",
    "known_flaws": [
        "Scored by a matcher other than the authors': take single golds as having about 1 % noise.",
        "A reply whose answer is not found counts as wrong: some wrong replies are wrong by their form.",
        "Two of the 43 systems answered a part of the problems only.",
        "A draw: 16 replies to each test problem and 6 to each other, so no system answers all problems.",
        "Equal texts of two systems are one response.",
    ],
}


def rows(data: Path) -> recipe.Rows:
    """Return the pool's rows: 16 replies to each test prompt, 6 to each other."""
    frame, _ = normalised.one_row_a_text(normalised.responses(data, SOURCE), NO_LABELS)
    split_id = recipe.split_ids(frame)
    frame = recipe.fewer_in_training(frame, split_id, TRAINING_RESPONSES, TEST_RESPONSES)
    return recipe.Rows(frame, {"gold": recipe.gold(frame)}, {}, split_id)


RECIPE = recipe.Recipe("math", CARD, rows)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], RECIPE)
