"""Make the pool ``truthfulqa``: ``python tasks/make/truthfulqa.py DATA [OUT]``, DATA with the normalised files."""

from __future__ import annotations

import sys
from pathlib import Path

import normalised
import recipe

SOURCE = "truthfulqa"
ATTRIBUTES = ["truthful", "informative"]
TRAINING_RESPONSES = 16
CARD = {
    "source": "ictnlp/TruthX at commit a41093a6ae3b, TruthfulQA/data/finetune_{truth,info}.jsonl and TruthfulQA.csv",
    "licence": "Apache-2.0",
    "redistribution": f"{recipe.ONLY_DERIVED}; with the licence text",
    "citation": "Lin et al., TruthfulQA: Measuring How Models Mimic Human Falsehoods, 2022",
    "label_source": "humans (the authors) for answers of models; reference answers are true or false by construction",
    "gold": "truthful times informative, from 0 to 1",
    "length_unit": "characters",
    "known_flaws": [
        "Answers of models of 2021 and of humans; who wrote which is not in the source.",
        "Many answers are truthful and say nothing, or inform and are false: the two attributes trade off.",
        "A few answers have both labels in the source; the mean is taken.",
    ],
}


def rows(data: Path) -> recipe.Rows:
    """Return the pool's rows: all answers to test prompts, 16 to others; ratings are the two attributes."""
    frame, labels = normalised.one_row_a_text(normalised.responses(data, SOURCE), normalised.labels(data, SOURCE))
    split_id = recipe.split_ids(frame)
    frame = recipe.fewer_in_training(frame.assign(model="unknown"), split_id, TRAINING_RESPONSES)
    columns = {"gold": recipe.gold(frame), "ratings": normalised.ratings(frame, labels, ATTRIBUTES)}
    return recipe.Rows(frame, columns, {"attributes": ATTRIBUTES}, split_id)


RECIPE = recipe.Recipe("truthfulqa", CARD, rows)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], RECIPE)
