"""Boosted trees on single responses: their points, against scikit-learn itself, when they stop, what they do not learn.

Whoever compares classification with Bradley-Terry on trees relies on it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logit
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from rmsuite import testing
from rmsuite.errors import RmsuiteError
from rmsuite_baselines import networks
from rmsuite_baselines.clf_trees import ClassifierTrees, labelled


def fitted(pairs, **parameters) -> ClassifierTrees:
    return ClassifierTrees(**parameters).fit(pairs, rng=np.random.default_rng(0))


def test_each_pair_is_two_points():
    pairs = testing.toy(n_prompts=3).pairs
    points, label = labelled(pairs)
    np.testing.assert_array_equal(points, pairs.embeddings[np.concatenate([pairs.chosen, pairs.rejected])])
    np.testing.assert_array_equal(label, [1] * 9 + [0] * 9)


def test_rewards_are_the_log_odds_of_scikit_learns_classifier():
    """Without validation nothing stops early, and nothing is drawn at random from so few points."""
    toy = testing.toy(n_prompts=60)
    oracle = HistGradientBoostingClassifier(
        learning_rate=0.2, max_iter=20, max_leaf_nodes=4, min_samples_leaf=7, early_stopping=False
    ).fit(*labelled(toy.pairs))
    found = fitted(replace(toy.pairs, validation=None), trees=20, learning_rate=0.2, leaves=4, least=7)
    expected = logit(oracle.predict_proba(toy.embeddings)[:, 1])
    np.testing.assert_allclose(found.reward(toy.embeddings), expected, rtol=0, atol=1e-9)


def test_no_more_trees_are_grown_when_the_loss_on_the_validation_pairs_rises():
    """Validation labels that say the opposite get worse from the first tree on; a random split would not know."""
    pairs = testing.toy(n_prompts=60).pairs
    opposed = replace(pairs, validation=testing.swapped(pairs.validation))
    assert fitted(opposed, patience=4).model.n_iter_ == 4
    assert fitted(pairs, patience=4).model.n_iter_ > 20
    assert fitted(replace(pairs, validation=None), trees=30).model.n_iter_ == 30


def test_only_the_order_of_a_feature_matters():
    """Nothing is standardised: the responses of training get the same rewards after any increasing function."""
    pairs = replace(testing.toy(n_prompts=60).pairs, validation=None)
    bent = replace(pairs, embeddings=pairs.embeddings**3)
    np.testing.assert_array_equal(fitted(bent).reward(bent.embeddings), fitted(pairs).reward(pairs.embeddings))


def test_a_feature_that_decides_alone_is_learnt():
    toy = testing.toy()
    first, second = np.random.default_rng(0).integers(0, len(toy.pairs.embeddings), (2, 4000))
    feature = toy.pairs.embeddings[:, 2]
    up = feature[first] > feature[second]
    chosen, rejected, numbers = np.where(up, first, second), np.where(up, second, first), np.arange(4000)
    pairs = replace(toy.pairs, chosen=chosen, rejected=rejected, prompt=numbers, category=0 * numbers, validation=None)
    assert replace(toy, gold=toy.embeddings[:, 2]).accuracy(fitted(pairs).reward(toy.embeddings)) > 0.9


def test_rewards_do_not_depend_on_threads_or_on_rows_at_a_time(monkeypatch):
    toy = testing.toy(n_prompts=40)
    with threadpool_limits(2):
        whole = fitted(toy.pairs).reward(toy.embeddings)
    monkeypatch.setattr(networks, "ROWS", 7)
    with threadpool_limits(1):
        np.testing.assert_array_equal(fitted(toy.pairs).reward(toy.embeddings), whole)


def test_no_rows_have_no_rewards():
    assert fitted(testing.toy(n_prompts=10).pairs).reward(np.zeros((0, testing.N_FEATURES), np.float32)).shape == (0,)


def test_the_largest_float16_numbers_give_finite_rewards():
    toy = testing.toy(n_prompts=20)
    scaled = (toy.pairs.embeddings / np.abs(toy.pairs.embeddings).max() * 65504).astype(np.float16)
    given = replace(toy.pairs, embeddings=scaled, validation=None)
    assert np.isfinite(fitted(given).reward(scaled)).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", 0), ("learning_rate", 2), ("trees", 0), ("leaves", 1), ("least", 0), ("patience", 1.5)],
)
def test_parameters_out_of_range_are_refused(name, value):
    with pytest.raises(RmsuiteError, match=name):
        ClassifierTrees(**{name: value})


@pytest.mark.parametrize("n_pairs", [4, 40, 99])
def test_few_pairs_are_parted_all_the_same(n_pairs):
    """By a least number of points a leaf, they would give one reward for all."""
    toy = testing.toy(n_prompts=60)
    pairs = replace(toy.pairs, chosen=toy.pairs.chosen[:n_pairs], rejected=toy.pairs.rejected[:n_pairs])
    pairs = replace(pairs, prompt=toy.pairs.prompt[:n_pairs], category=toy.pairs.category[:n_pairs])
    assert len(np.unique(fitted(pairs).reward(toy.embeddings))) > 1
