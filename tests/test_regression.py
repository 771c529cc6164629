"""The method regression against scikit-learn, and by laws; whoever compares with arXiv:2505.10775 relies on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from differences import slopes
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from rmsuite import testing
from rmsuite.data import PreferencePairs, Ratings
from rmsuite.errors import NotApplicable, RmsuiteError
from rmsuite_baselines.rating_heads import Rated, squared_error
from rmsuite_baselines.regression import Regression

TOY = testing.toy(n_prompts=40)
HEADS = pytest.mark.parametrize("head", ["ridge", "mlp"])


def fitted(pairs=TOY.pairs, **parameters) -> Regression:
    return Regression(**parameters).fit(pairs, rng=np.random.default_rng(0))


def rated(pairs: PreferencePairs, values, names=None) -> PreferencePairs:
    return replace(pairs, ratings=Ratings(names or pairs.ratings.names, values))


def noisy(values: np.ndarray, share: float = 0.3) -> np.ndarray:
    """Return ratings with noise, and a share of them missing, each by itself."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal(values.shape) * 3
    return np.where(rng.random(values.shape) < share, np.nan, values + noise + [2, -1])


@pytest.mark.parametrize("penalty", [3.0, 0.1, 0.001])
def test_each_attribute_is_scikit_learns_ridge_on_the_responses_that_have_its_rating(penalty):
    """Its alpha weighs a sum of squared errors, and the constant is not penalised."""
    values = noisy(TOY.pairs.ratings.values)
    model = fitted(rated(TOY.pairs, values), penalties=(penalty,))
    scaler = StandardScaler().fit(TOY.pairs.embeddings.astype(np.float64))
    predicted = model.attributes(TOY.embeddings)
    for place, column in enumerate(values.T):
        known = np.isfinite(column)
        oracle = Ridge(alpha=penalty * known.sum())
        oracle.fit(scaler.transform(TOY.pairs.embeddings[known]), column[known].astype(np.float32))
        np.testing.assert_allclose(predicted[:, place], oracle.predict(scaler.transform(TOY.embeddings)), atol=1e-4)


def test_the_penalty_of_the_least_validation_error_is_kept_for_each_attribute():
    held = rated(TOY.pairs.validation, noisy(TOY.pairs.validation.ratings.values))
    pairs = replace(rated(TOY.pairs, noisy(TOY.pairs.ratings.values)), validation=held)
    each = [fitted(pairs, penalties=(penalty,)) for penalty in Regression().penalties]
    errors = [np.nanmean(np.square(one.attributes(held.embeddings) - held.ratings.values), axis=0) for one in each]
    best, found = np.argmin(errors, axis=0), fitted(pairs).attributes(TOY.embeddings)
    assert 0 < best.min() < best.max()
    for place in range(2):
        np.testing.assert_allclose(found[:, place], each[best[place]].attributes(TOY.embeddings)[:, place])
    alone = fitted(replace(pairs, validation=None)).attributes(TOY.embeddings)
    np.testing.assert_allclose(alone, fitted(pairs, penalties=(10.0,)).attributes(TOY.embeddings))


@HEADS
def test_missing_ratings_are_left_out(head):
    """Responses without any rating may be anything; a column of them alone is predicted as 0."""
    values = TOY.pairs.ratings.values.copy()
    values[::3] = np.nan
    known = np.isfinite(values).any(axis=1)
    wild = TOY.pairs.embeddings.copy()
    wild[~known] = np.roll(wild[~known], 1, axis=0)
    plain = replace(rated(TOY.pairs, values), validation=None)
    one, other = (
        fitted(pairs, head=head, epochs=5).reward(TOY.embeddings) for pairs in (plain, replace(plain, embeddings=wild))
    )
    np.testing.assert_allclose(one, other, atol=1e-3 * one.std())  # the scaling sees other sums of the same rows
    nothing = np.where([True, False], values, np.nan)
    predicted = fitted(rated(TOY.pairs, nothing), head=head, epochs=1).attributes(TOY.embeddings)
    assert np.isfinite(predicted).all()
    if head == "ridge":
        np.testing.assert_array_equal(predicted[:, 1], 0)


@HEADS
def test_ratings_in_another_unit_are_predicted_in_that_unit(head):
    values = TOY.pairs.ratings.values
    one = fitted(head=head).attributes(TOY.embeddings)
    held = rated(TOY.pairs.validation, TOY.pairs.validation.ratings.values * 8 + 3)
    other = fitted(replace(rated(TOY.pairs, values * 8 + 3), validation=held), head=head).attributes(TOY.embeddings)
    np.testing.assert_allclose(other, one * 8 + 3, rtol=0, atol=0.05)


@pytest.mark.parametrize("values", [None, np.nan])
def test_a_task_without_ratings_is_not_for_this_method(values):
    ratings = None if values is None else Ratings(("a",), np.full((len(TOY.pairs.embeddings), 1), values))
    with pytest.raises(NotApplicable, match="rating"):
        fitted(replace(TOY.pairs, ratings=ratings))


@HEADS
def test_validation_pairs_need_no_ratings(head):
    """They choose the weights of the attributes all the same."""
    model = fitted(replace(TOY.pairs, validation=replace(TOY.pairs.validation, ratings=None)), head=head, epochs=3)
    assert np.isfinite(model.reward(TOY.embeddings)).all()
    assert model.weights.max() > 0


# Weights of the attributes


def test_weights_are_equal_without_validation_pairs_and_negative_where_less_is_better():
    pairs = replace(TOY.pairs, validation=None)
    np.testing.assert_array_equal(fitted(pairs).weights, [1, 1])
    pairs = rated(pairs, pairs.ratings.values, ("helpfulness", "verbosity"))
    np.testing.assert_array_equal(fitted(pairs).weights, [1, -1])
    np.testing.assert_array_equal(fitted(pairs, negative=("helpfulness",)).weights, [-1, 1])


def test_the_weights_are_those_of_the_most_validation_pairs():
    """The oracle tries all 441 points; the second attribute is turned round, as a verbosity would be."""
    pairs = rated(TOY.pairs, TOY.pairs.ratings.values * [1, -2], ("quality", "verbosity"))
    held = pairs.validation
    model = fitted(pairs)
    predicted = model.attributes(held.embeddings)
    margins = predicted[held.chosen] - predicted[held.rejected]
    points = np.array([(a / 20, -b / 20) for a in range(21) for b in range(21)])
    assert np.mean(margins @ model.weights > 0) == np.mean(margins @ points.T > 0, axis=0).max()
    assert model.weights[1] < 0


def test_the_reward_is_the_weighted_sum_of_the_attributes():
    model = fitted()
    np.testing.assert_allclose(model.reward(TOY.embeddings), model.attributes(TOY.embeddings) @ model.weights)


# Network


def test_the_slope_of_the_squared_error_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    outputs, targets = rng.standard_normal((6, 3)), rng.standard_normal((6, 3))
    targets[[0, 2, 2], [1, 0, 2]] = np.nan
    value, slope = squared_error(outputs, targets)
    assert value == pytest.approx(np.nanmean(np.square(outputs - targets)))
    np.testing.assert_allclose(slope, slopes(lambda: squared_error(outputs, targets)[0], outputs), atol=1e-8)


def test_the_network_learns_what_no_linear_map_can():
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((4000, 4)).astype(np.float32)
    values = np.abs(embeddings[:, :1]) * 3
    first, second = np.arange(0, 4000, 2), np.arange(1, 4000, 2)
    right = values[first, 0] > values[second, 0]
    chosen, rejected = np.where(right, first, second), np.where(right, second, first)
    pairs = PreferencePairs(embeddings, chosen, rejected, first // 2, 0 * first, ratings=Ratings(("a",), values))
    test = rng.standard_normal((300, 4)).astype(np.float32)
    rewards = {head: fitted(pairs, head=head).reward(test) for head in ("ridge", "mlp")}
    correlation = {head: np.corrcoef(found, np.abs(test[:, 0]))[0, 1] for head, found in rewards.items()}
    assert correlation["mlp"] > 0.8 > 0.4 > correlation["ridge"]


@HEADS
@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_rated_responses_give_finite_rewards(head, n):
    values = np.full_like(TOY.pairs.ratings.values, np.nan)
    values[:n, 0] = 3
    rewards = fitted(rated(TOY.pairs, values), head=head, epochs=2).reward(TOY.embeddings)
    assert np.isfinite(rewards).all()
    assert len(Rated.of(rated(TOY.pairs, values)).values) == n


@pytest.mark.parametrize(
    "wrong", [{"head": "tree"}, {"penalties": ()}, {"penalties": (0,)}, {"steps": 0}, {"together": 0}, {"batch": 0}]
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(RmsuiteError, match=rf"parameter (number of )?{next(iter(wrong))}: expected"):
        Regression(**wrong)


@pytest.mark.parametrize("wrong", [{"together": 8}, {"steps": 1000}, {"steps": 2, "together": 15}])
def test_a_grid_that_cannot_be_searched_is_refused(wrong):
    with pytest.raises(RmsuiteError, match=r"parameter together at steps=\d+: expected a number from 1 to"):
        Regression(**wrong)


def test_an_attribute_that_nobody_rates_is_refused_as_negative():
    """A typing error would turn the sign of a weight."""
    with pytest.raises(RmsuiteError, match=r"parameter negative: expected rated attributes .*got lenght"):
        fitted(negative=("verbosity", "lenght"))
