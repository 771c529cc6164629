"""Parts of the training pairs: some prompts, or some features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from rmsuite import AttributePairs, PreferencePairs, Ratings


def of_prompts(pairs: PreferencePairs, kept: np.ndarray) -> PreferencePairs:
    """Return the pairs of some prompts, numbered anew, with their responses only; the validation pairs stay.

    Parameters
    ----------
    kept : (n_prompts,) bool
        Which prompts are kept; pairs by attribute and ratings follow them.
    """
    parts = judged(pairs)
    picks = [kept[part.prompt] for part in parts]
    sides = [side[pick] for part, pick in zip(parts, picks, strict=True) for side in (part.chosen, part.rejected)]
    rows = np.unique(np.concatenate(sides))
    whole, *columns = [_columns(part, pick, rows, kept) for part, pick in zip(parts, picks, strict=True)]
    attributes = tuple(
        replace(part, consistent=part.consistent[pick], **own)
        for part, pick, own in zip(pairs.attributes, picks[1:], columns, strict=True)
    )
    ratings = pairs.ratings and Ratings(pairs.ratings.names, pairs.ratings.values[rows])
    return replace(pairs, embeddings=pairs.embeddings[rows], attributes=attributes, ratings=ratings, **whole)


def judged(pairs: PreferencePairs) -> list[PreferencePairs | AttributePairs]:
    """Return the pairs themselves, and those by attribute."""
    return [pairs, *pairs.attributes]


def _columns(
    part: PreferencePairs | AttributePairs, pick: np.ndarray, rows: np.ndarray, kept: np.ndarray
) -> dict[str, Any]:
    return {
        "chosen": np.searchsorted(rows, part.chosen[pick]),
        "rejected": np.searchsorted(rows, part.rejected[pick]),
        "prompt": (np.cumsum(kept) - 1)[part.prompt[pick]],
        "category": part.category[pick],
    }


def of_features(pairs: PreferencePairs, features: np.ndarray) -> PreferencePairs:
    """Return the pairs, and their validation pairs, with some columns of the embeddings only."""
    validation = None if pairs.validation is None else of_features(pairs.validation, features)
    return replace(pairs, embeddings=np.take(pairs.embeddings, features, axis=1), validation=validation)
