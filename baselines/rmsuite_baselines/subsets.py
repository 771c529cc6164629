"""Parts of the training pairs: some pairs, some prompts, one category, one attribute, or some features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from rmsuite import AttributePairs, PreferencePairs, Ratings

Record = TypeVar("Record", PreferencePairs, AttributePairs)

COLUMNS = ("chosen", "rejected", "prompt", "category")


def records(pairs: PreferencePairs) -> list[PreferencePairs | AttributePairs]:
    """Return the pairs themselves, and those by attribute."""
    return [pairs, *pairs.attributes]


def taken(record: Record, which: np.ndarray) -> Record:
    """Return some pairs, by position or by mask; embeddings and, in ``PreferencePairs``, all else stay."""
    columns = {name: getattr(record, name)[which] for name in COLUMNS}
    if isinstance(record, AttributePairs):
        columns["consistent"] = record.consistent[which]
    return replace(record, **columns)


def selected(pairs: PreferencePairs, keep: Callable[[PreferencePairs | AttributePairs], np.ndarray]) -> PreferencePairs:
    """Return the pairs, and the pairs of each attribute, for which ``keep`` is true; validation is left as it is."""
    attributes = tuple(taken(one, keep(one)) for one in pairs.attributes)
    return replace(taken(pairs, keep(pairs)), attributes=attributes)


def compact(pairs: PreferencePairs) -> PreferencePairs:
    """Leave out responses that are in no pair, overall or by attribute; ratings follow the others."""
    rows = np.unique(np.concatenate([side for part in records(pairs) for side in (part.chosen, part.rejected)]))
    attributes = tuple(_renumbered(one, rows) for one in pairs.attributes)
    ratings = pairs.ratings and Ratings(pairs.ratings.names, pairs.ratings.values[rows])
    whole = _renumbered(pairs, rows)
    return replace(whole, embeddings=pairs.embeddings[rows], attributes=attributes, ratings=ratings)


def _renumbered(record: Record, rows: np.ndarray) -> Record:
    chosen, rejected = (np.searchsorted(rows, side) for side in (record.chosen, record.rejected))
    return replace(record, chosen=chosen, rejected=rejected)


def of_prompts(pairs: PreferencePairs, kept: np.ndarray) -> PreferencePairs:
    """Return the pairs of some prompts, numbered anew, with their responses only; the validation pairs stay.

    Parameters
    ----------
    kept : (n_prompts,) bool
        Which prompts are kept; pairs by attribute and ratings follow them.
    """
    part, number = compact(selected(pairs, lambda one: kept[one.prompt])), np.cumsum(kept) - 1
    attributes = tuple(replace(one, prompt=number[one.prompt]) for one in part.attributes)
    return replace(part, prompt=number[part.prompt], attributes=attributes)


def of_category(pairs: PreferencePairs, category: int) -> PreferencePairs:
    """Return the pairs of one category, for each attribute too, with responses of its own; in validation too."""
    held = pairs.validation and of_category(pairs.validation, category)
    return replace(compact(selected(pairs, lambda part: part.category == category)), validation=held)


def of_attribute(pairs: PreferencePairs, name: str) -> PreferencePairs:
    """Return the consistent pairs of one attribute as pairs to train on, in validation too."""
    held = pairs.validation and of_attribute(pairs.validation, name)
    given = [taken(one, one.consistent.astype(bool)) for one in pairs.attributes if one.name == name]
    columns = {
        column: np.concatenate([getattr(one, column) for one in given] or [np.empty(0, np.intp)]) for column in COLUMNS
    }
    return replace(pairs, **columns, validation=held, attributes=(), ratings=None)


def split(pairs: PreferencePairs, share: float, rng: np.random.Generator) -> tuple[PreferencePairs, PreferencePairs]:
    """Part pairs by prompt; the first part gets a share of the prompts that have pairs.

    Attribute labels of other prompts go to the first part. One prompt cannot be parted: both parts have its pairs.
    """
    prompts = rng.permutation(np.unique(pairs.prompt))
    if len(prompts) < 2:
        return pairs, pairs
    n_first = min(max(round(share * len(prompts)), 1), len(prompts) - 1)
    later = prompts[n_first:]
    first = selected(pairs, lambda part: ~np.isin(part.prompt, later))
    second = selected(pairs, lambda part: np.isin(part.prompt, later))
    assert len(first) + len(second) == len(pairs)
    assert len(np.unique(first.prompt)) == n_first
    return first, second


def of_features(pairs: PreferencePairs, features: np.ndarray) -> PreferencePairs:
    """Return the pairs, and their validation pairs, with some columns of the embeddings only."""
    validation = None if pairs.validation is None else of_features(pairs.validation, features)
    return replace(pairs, embeddings=np.take(pairs.embeddings, features, axis=1), validation=validation)
