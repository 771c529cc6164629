"""Make the pool ``mt-bench``: ``python tasks/make/mt_bench.py DATA [OUT]``, DATA with the normalised files."""

from __future__ import annotations

import sys
from pathlib import Path

import normalised
import recipe

SOURCE = "mt_bench_forks"
TRAINING_RESPONSES = 16
CARD = {
    "source": "lm-sys/FastChat and forks of it, data/mt_bench/model_judgment/gpt-4_single.jsonl; first turns only",
    "licence": "Apache-2.0",
    "redistribution": f"{recipe.ONLY_DERIVED}; with the licence text",
    "citation": "Zheng et al., Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena, 2023",
    "label_source": "GPT-4, grading one answer at a time",
    "gold": "the judge's grade, 1 to 10 (mean where it graded more than once)",
    "length_unit": "characters",
    "known_flaws": [
        "80 prompts in all: intervals are wide, and a category has ten prompts.",
        "Forks called GPT-4 at different times: grades of different forks are not strictly comparable.",
        "The grades are whole numbers and crowd at the top, so that many pairs are ties.",
        "Equal texts of two systems are one response.",
    ],
}


def rows(data: Path) -> recipe.Rows:
    """Return the pool's rows: all answers to test prompts, 16 to others; first turns only.

    A second turn's prompt holds its system's own first answer: no two systems share it.
    """
    frame = normalised.responses(data, SOURCE)
    frame, labels = normalised.one_row_a_text(frame[frame["subcategory"] == "turn1"], normalised.labels(data, SOURCE))
    split_id = recipe.split_ids(frame)
    frame = recipe.fewer_in_training(frame, split_id, TRAINING_RESPONSES)
    gold = normalised.ratings(frame, labels, ["mt_bench_score"])[:, 0]
    return recipe.Rows(frame, {"gold": gold}, {}, split_id)


RECIPE = recipe.Recipe("mt-bench", CARD, rows)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], RECIPE)
