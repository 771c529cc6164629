"""Make the pool ``rmb`` outside the package: ``python tasks/make/rmb.py DATA OUT``, DATA with the normalised files."""

from __future__ import annotations

import sys
from pathlib import Path

import hh_rlhf
import recipe

SOURCE = "rmb"
CARD = {
    "source": "Zhou-Zoey/RMB-Reward-Model-Benchmark at commit 2be3180857f2, pairwise and best-of-n sets",
    "licence": "none stated",
    "redistribution": "none: no right to pass anything on is granted",
    "citation": "Zhou et al., RMB: Comprehensively Benchmarking Reward Models in LLM Alignment, 2024",
    "label_source": "the release's labels, from AI feedback",
    "gold": "none; the order within a pair only",
    "length_unit": "characters",
    "known_flaws": [
        "No licence: for use where the source lies, never to be published.",
        "Pairs of a prompt are never circular, as if all came from one ranking: they are not independent.",
        "Three files of the source are absent.",
        "Many prompts are dialogues; some are harmful.",
    ],
}


def rows(data: Path) -> recipe.Rows:
    """Return the pool's rows: the responses in pairs, and the pairs."""
    return hh_rlhf.paired_rows(data, SOURCE)


RECIPE = recipe.Recipe("rmb", CARD, rows, None)

if __name__ == "__main__":
    recipe.main(sys.argv[1:], RECIPE)
