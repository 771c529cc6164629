"""Some prompts or some features of the training pairs. Ensembles whose members see different data rely on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rmsuite import AttributePairs, PreferencePairs, Ratings, testing
from rmsuite_baselines.subsets import of_features, of_prompts


def whole() -> PreferencePairs:
    """Toy pairs with ratings that are the first feature, and pairs by one attribute, on every other prompt."""
    pairs = testing.toy(n_prompts=30).pairs
    columns = [column[::2] for column in (pairs.rejected, pairs.chosen, pairs.prompt, pairs.category)]
    attribute = AttributePairs("length", *columns, consistent=np.arange(len(columns[0])) % 2 == 0)
    ratings = Ratings(("first",), pairs.embeddings[:, :1])
    return replace(pairs, attributes=(attribute,), ratings=ratings)


def judgements(embeddings: np.ndarray, pairs) -> set[tuple[bytes, bytes, int]]:
    """Who was chosen over whom, by their embeddings: what numbering does not change."""
    rows = zip(pairs.chosen, pairs.rejected, pairs.category, strict=True)
    return {
        (embeddings[chosen].tobytes(), embeddings[rejected].tobytes(), category) for chosen, rejected, category in rows
    }


@pytest.mark.parametrize("seed", range(3))
def test_two_parts_have_together_what_the_whole_has_and_share_nothing(seed):
    pairs, kept = whole(), np.random.default_rng(seed).random(30) < 0.7
    parts = [of_prompts(pairs, kept), of_prompts(pairs, ~kept)]
    for attribute in (None, 0):
        picked = [part if attribute is None else part.attributes[0] for part in (pairs, *parts)]
        all_of, one, other = (judgements(p.embeddings, c) for p, c in zip((pairs, *parts), picked, strict=True))
        assert one | other == all_of
        assert one & other == set()
        assert len(picked[1]) + len(picked[2]) == len(picked[0])
    rows = [{row.tobytes() for row in part.embeddings} for part in parts]
    assert rows[0] & rows[1] == set()


def test_ratings_and_consistency_go_with_their_responses_and_pairs():
    """A rating that slipped by one row would be somebody else's."""
    pairs, kept = whole(), np.arange(30) % 3 > 0
    part = of_prompts(pairs, kept)
    np.testing.assert_array_equal(part.ratings.values, part.embeddings[:, :1])
    assert part.ratings.names == ("first",)
    assert len(part.embeddings) == 4 * 20
    given = pairs.attributes[0]
    np.testing.assert_array_equal(part.attributes[0].consistent, given.consistent[kept[given.prompt]])
    assert part.attributes[0].name == "length"


def test_prompts_are_numbered_anew_without_gaps_and_alike_in_all_columns():
    pairs, kept = whole(), np.arange(30) % 3 > 0
    part = of_prompts(pairs, kept)
    np.testing.assert_array_equal(np.unique(part.prompt), np.arange(20))
    old = np.flatnonzero(kept)
    np.testing.assert_array_equal(old[part.prompt], pairs.prompt[kept[pairs.prompt]])
    np.testing.assert_array_equal(old[part.attributes[0].prompt] % 3, part.attributes[0].category)


def test_all_prompts_are_the_whole_and_none_is_empty():
    pairs = whole()
    same, none = of_prompts(pairs, np.ones(30, bool)), of_prompts(pairs, np.zeros(30, bool))
    for name in ("embeddings", "chosen", "rejected", "prompt", "category"):
        np.testing.assert_array_equal(getattr(same, name), getattr(pairs, name))
    assert same.validation is pairs.validation
    assert len(none) == 0
    assert none.embeddings.shape == (0, testing.N_FEATURES)


def test_some_features_are_taken_in_training_and_validation_alike():
    pairs, features = whole(), np.array([1, 4, 15])
    some = of_features(pairs, features)
    np.testing.assert_array_equal(some.embeddings, pairs.embeddings[:, features])
    np.testing.assert_array_equal(some.validation.embeddings, pairs.validation.embeddings[:, features])
    np.testing.assert_array_equal(some.validation.chosen, pairs.validation.chosen)
    assert some.embeddings.flags.c_contiguous, "rows are gathered one by one in training"
    assert of_features(replace(pairs, validation=None), features).validation is None
