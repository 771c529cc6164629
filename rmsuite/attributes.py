"""What a pool's ratings add to training pairs: ratings of responses, and pairs that are ordered by one attribute."""

from __future__ import annotations

import numpy as np

from rmsuite.data import AttributePairs, Pool, Ratings
from rmsuite.errors import TaskError


def given_ratings(pool: Pool, rows: np.ndarray) -> Ratings:
    """Return the ratings of some responses (rows of the pool), in their order; NaN where one is missing.

    Raises
    ------
    TaskError
        If the pool has no ratings.
    """
    return Ratings(pool.attributes, _values(pool)[rows])


def attribute_pairs(
    pool: Pool, rows: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], prompt: np.ndarray, category: np.ndarray
) -> tuple[AttributePairs, ...]:
    """Return for each attribute those of the pairs whose two ratings differ, the response of the higher one chosen.

    A pair whose rating is missing on a side, or equal on both, is left out of that attribute. No judge was shown a
    pair in the other order, so that ``consistent`` is True throughout: it says that nothing is known to the contrary.

    Parameters
    ----------
    rows : (n_responses,) int
        Rows of the pool, those of ``PreferencePairs.embeddings``.
    pairs : two (n_pairs,) int
        Places in ``rows``.
    prompt, category : (n_pairs,) int
        As in ``PreferencePairs``.

    Raises
    ------
    TaskError
        If the pool has no ratings.
    """
    values = _values(pool)[rows].astype(np.float64)
    out = []
    for name, rating in zip(pool.attributes, values.T, strict=True):
        margin = rating[pairs[0]] - rating[pairs[1]]
        judged = np.isfinite(margin) & (margin != 0)
        first = margin[judged] > 0
        one, other = (side[judged] for side in pairs)
        chosen, rejected = np.where(first, one, other), np.where(first, other, one)
        consistent = np.ones(len(chosen), bool)
        out.append(AttributePairs(name, chosen, rejected, prompt[judged], category[judged], consistent))
    return tuple(out)


def _values(pool: Pool) -> np.ndarray:
    if pool.ratings is None:
        do = "leave it out of gives, or choose a pool with ratings"
        who, expected = f"gives on pool {pool.name!r}", "ratings by attribute"
        raise TaskError(who=who, expected=expected, got="a pool without", do=do)
    return np.asarray(pool.ratings)
