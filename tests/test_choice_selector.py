"""The selector against scikit-learn, and by laws: what it has not seen moves nothing. Predictions rest on it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from rmsuite.choice import elastic
from rmsuite.choice.selector import FEWEST, offered, select

SEEDS = pytest.mark.parametrize("seed", range(3))


def rng(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


def data(seed, n=30, p=3, noise=0.5):
    source = np.random.default_rng(seed)
    matrix = source.normal(size=(n, p))
    return matrix, 60 + 8 * (matrix[:, 0] + 0.5 * matrix[:, 1] ** 2 + noise * source.normal(size=n))


def asked(family):
    return rng(sum(map(ord, family)))


def columns(matrix, prefix="f"):
    return {f"{prefix}{place}": column for place, column in enumerate(matrix.T)}


@SEEDS
def test_the_search_finds_what_scikit_learns_grid_search_finds(seed):
    matrix, quality = data(seed, p=2)
    order = rng(seed).permutation(len(quality))
    pipeline = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(include_bias=False),
        StandardScaler(),
        ElasticNet(max_iter=elastic.FIT_STEPS),
    )
    grid = {
        "polynomialfeatures__degree": elastic.DEGREES,
        "elasticnet__alpha": elastic.ALPHAS,
        "elasticnet__l1_ratio": elastic.L1_RATIOS,
    }
    search = GridSearchCV(pipeline, grid, cv=KFold(10), scoring="neg_mean_squared_error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(matrix[order], ((quality - quality.mean()) / quality.std())[order])
    found = elastic.fit(matrix, quality, rng(seed))
    points = search.cv_results_["params"]
    (mine,) = (
        place
        for place, point in enumerate(points)
        if list(point.values()) == [found.alpha, found.l1_ratio, found.degree]
    )
    # Quality is standardised in each fold here and as a whole there, so that the penalties differ a little.
    assert search.cv_results_["mean_test_score"][mine] == pytest.approx(search.best_score_, rel=0.05)
    assert found.error == pytest.approx(-search.best_score_, rel=0.05)
    assert found.converged


@SEEDS
def test_the_last_fit_is_scikit_learns_elastic_net(seed):
    matrix, quality = data(seed)
    found = elastic.fit(matrix, quality, rng(seed))
    base = StandardScaler().fit(matrix)
    terms = PolynomialFeatures(found.degree, include_bias=False).fit_transform(base.transform(matrix))
    terms = StandardScaler().fit_transform(terms)
    target = (quality - quality.mean()) / quality.std()
    net = ElasticNet(alpha=found.alpha, l1_ratio=found.l1_ratio, max_iter=elastic.FIT_STEPS).fit(terms, target)
    expected = quality.mean() + quality.std() * net.predict(terms)
    np.testing.assert_allclose(found.predict(matrix), expected, atol=1e-2 * quality.std())


@SEEDS
def test_units_move_no_prediction(seed):
    matrix, quality = data(seed)
    plain = elastic.fit(matrix, quality, rng()).predict(matrix)
    scaled = elastic.fit(matrix * [10, 0.1, 3] - 4, quality / 100 + 2, rng())
    assert np.allclose((scaled.predict(matrix * [10, 0.1, 3] - 4) - 2) * 100, plain, rtol=1e-6)


@SEEDS
def test_a_line_is_found_and_noise_is_not_used(seed):
    source = np.random.default_rng(seed)
    matrix = source.normal(size=(40, 2))
    found = elastic.fit(matrix, 5 * matrix[:, 0] + 1, rng())
    np.testing.assert_allclose(found.predict(matrix), 5 * matrix[:, 0] + 1, atol=0.2)
    assert found.used()[0]
    nothing = elastic.fit(matrix, source.normal(size=40), rng())
    assert nothing.predict(matrix).std() < 0.6


def test_a_gap_is_the_mean_of_the_models_that_were_learnt_from():
    matrix, quality = data(0)
    matrix[3, 0] = np.nan
    found = elastic.fit(matrix, quality, rng())
    filled = matrix.copy()
    filled[3, 0] = np.nanmean(matrix[:, 0])
    np.testing.assert_allclose(found.predict(matrix), found.predict(filled))


@pytest.mark.parametrize(("n_features", "expected"), [(2, (1, 2, 3)), (5, (1, 2, 3)), (15, (1, 2)), (300, (1,))])
def test_degrees_are_tried_while_they_make_few_terms(n_features, expected):
    assert elastic.degrees(n_features) == expected
    for degree in expected[1:]:
        made = PolynomialFeatures(degree, include_bias=False).fit(np.zeros((1, n_features)))
        assert made.n_output_features_ <= elastic.MOST_TERMS


def test_more_features_than_models_are_learnt_from():
    matrix, quality = data(0, n=12, p=30, noise=0.1)
    found = elastic.fit(matrix, quality, rng())
    assert found.degree == 1
    assert np.isfinite(found.predict(matrix)).all()


@SEEDS
def test_quality_of_a_family_moves_no_prediction_for_it(seed):
    matrix, quality = data(seed)
    families = [f"family {place % 5}" for place in range(30)]
    plain = select(columns(matrix), {}, quality, families, asked)
    mine = np.array(families) == "family 2"
    other = select(columns(matrix), {}, np.where(mine, 100 - quality, quality), families, asked)
    np.testing.assert_array_equal(other.unseen[mine], plain.unseen[mine])
    assert not np.allclose(other.unseen[~mine], plain.unseen[~mine])
    assert not np.allclose(other.in_sample, plain.in_sample)


def test_a_model_among_others_of_its_family_is_predicted_without_them():
    matrix, quality = data(1)
    families = ["a"] * 10 + ["b"] * 20
    found = select(columns(matrix), {}, quality, families, asked)
    alone = elastic.fit(matrix[10:], quality[10:], asked("a"))
    np.testing.assert_array_equal(found.unseen[:10], alone.predict(matrix[:10]))
    whole = elastic.fit(matrix, quality, asked(""))
    np.testing.assert_array_equal(found.in_sample, whole.predict(matrix))


def test_benchmarks_have_to_reach_the_floors_and_facts_do_not():
    quality = np.arange(20.0)
    half = np.where(np.arange(20) % 2, quality, -quality)
    benchmarks = {"good": quality**2, "bad": -quality, "half": half, "rare": np.where(quality < 10, np.nan, quality)}
    assert offered({"size": -quality}, benchmarks, quality) == ("size", "good")
    found = select({"size": -quality}, benchmarks, quality, ["a", "b"] * 10, asked)
    assert found.fitted.offered == ("size", "good")
    assert found.used.left_out == {"rare": "known of 10 of 20 models"}


REASONS = {
    "too few": (FEWEST - 1, 1, ["a", "b"], "4 models: a selector needs 5", "4 models: a selector needs 5"),
    "constant": (10, 0, ["a", "b"], "quality is constant", "quality is constant"),
    "one family": (10, 1, ["a", "a"], "", "all models are of one family"),
    "no families": (10, 1, ["a", ""], "", "the families of some models are not known"),
    "nothing left": (10, 1, ["a", "b", "b", "b", "b"], "", "too little to learn from"),
}


@pytest.mark.parametrize(("n", "scale", "families", "why", "why_not_unseen"), REASONS.values(), ids=REASONS)
def test_what_cannot_be_learnt_has_a_reason(n, scale, families, why, why_not_unseen):
    matrix, quality = data(0, n=n)
    names = [families[place % len(families)] for place in range(n)]
    found = select(columns(matrix), {}, quality * scale, names, asked)
    assert found.why_not == why
    assert why_not_unseen in found.why_not_unseen
    assert np.isnan(found.unseen).all()
    assert np.isnan(found.in_sample).all() == bool(why)


def test_no_feature_is_no_selector():
    quality = np.arange(10.0)
    nothing = select({"size": np.ones(10)}, {}, quality, ["a", "b"] * 5, asked)
    assert nothing.why_not == "no feature is known of enough models"
    useless = select({}, {"worst": -quality}, quality, ["a", "b"] * 5, asked)
    assert useless.why_not == useless.why_not_unseen == "no feature is left"
    assert useless.fitted is None
