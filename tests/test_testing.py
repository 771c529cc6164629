"""Toy data: what it says of itself is so. The contract's checks and plugin authors rely on it."""

from __future__ import annotations

import numpy as np
import pytest

from rmsuite import testing

TOY = testing.toy()


def agreement(chosen, rejected, gold) -> float:
    return float(np.mean(gold[chosen] > gold[rejected]))


def test_the_attributes_add_up_to_gold():
    np.testing.assert_array_equal(testing.attribute_directions().sum(axis=1), testing.direction())
    assert (testing.attribute_directions() != 0).sum(axis=0).tolist() == [8, 8]


@pytest.mark.parametrize("pairs", [TOY.pairs, TOY.pairs.validation], ids=["training", "validation"])
def test_consistent_attribute_labels_are_right_and_the_others_are_coin_flips(pairs):
    gold = pairs.embeddings @ testing.attribute_directions()
    assert tuple(one.name for one in pairs.attributes) == testing.ATTRIBUTES
    for one, column in zip(pairs.attributes, gold.T, strict=True):
        kept = one.consistent
        assert agreement(one.chosen[kept], one.rejected[kept], column) == 1
        assert 0.3 < agreement(one.chosen[~kept], one.rejected[~kept], column) < 0.7
        assert 0.1 < np.mean(~kept) < 0.3
        np.testing.assert_array_equal(one.prompt, pairs.prompt)


def test_ratings_are_the_attributes_but_for_a_few_that_are_missing():
    ratings = TOY.pairs.ratings
    missing = np.isnan(ratings.values)
    gold = (TOY.pairs.embeddings @ testing.attribute_directions()).astype(np.float32)
    assert ratings.names == testing.ATTRIBUTES
    assert 0.02 < missing.mean() < 0.1
    np.testing.assert_array_equal(ratings.values[~missing], gold[~missing])


def test_coin_flips_leave_nothing_to_learn_from_attributes_and_ratings():
    """The check of shuffled labels would fail a method that uses them otherwise."""
    pairs = testing.toy(flips=0.5).pairs
    gold = pairs.embeddings @ testing.attribute_directions()
    for one, column in zip(pairs.attributes, gold.T, strict=True):
        assert agreement(one.chosen, one.rejected, column) == pytest.approx(0.5, abs=0.1)
    rated = ~np.isnan(pairs.ratings.values)
    assert np.mean(pairs.ratings.values[rated] * gold[rated] > 0) == pytest.approx(0.5, abs=0.1)


def test_swapping_turns_every_label_and_rating_and_twice_none():
    turned = testing.swapped(TOY.pairs)
    for pairs, swapped in ((TOY.pairs, turned), (TOY.pairs.validation, turned.validation)):
        np.testing.assert_array_equal(swapped.chosen, pairs.rejected)
        np.testing.assert_array_equal(swapped.ratings.values, -pairs.ratings.values)
        for one, other in zip(pairs.attributes, swapped.attributes, strict=True):
            np.testing.assert_array_equal(other.chosen, one.rejected)
            np.testing.assert_array_equal(other.consistent, one.consistent)
    again = testing.swapped(turned)
    np.testing.assert_array_equal(again.attributes[1].chosen, TOY.pairs.attributes[1].chosen)
