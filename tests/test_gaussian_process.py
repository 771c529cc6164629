"""bt-gp against the exact kernel, and against the textbook's formulas with one value a pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import cdist, pdist
from scipy.special import expit

from rmsuite import testing
from rmsuite.errors import RmsuiteError
from rmsuite_baselines.gaussian_process import (
    FourierFeatures,
    GaussianProcess,
    median_distance,
    orthogonal_frequencies,
)
from rmsuite_baselines.scaling import Scaling

pytestmark = pytest.mark.usefixtures("one_thread")

TOY = testing.toy(n_prompts=20, flips=0.2)


def fitted(pairs=TOY.pairs, n_frequencies: int = 32, **parameters) -> GaussianProcess:
    return GaussianProcess(n_frequencies, **parameters).fit(pairs, rng=np.random.default_rng(0))


# Features


def test_the_frequencies_of_a_block_are_orthogonal_and_as_long_as_normal_vectors():
    frequencies = orthogonal_frequencies(300, 700, np.random.default_rng(0))
    assert frequencies.shape == (300, 700)
    gram = frequencies[:, :300].T @ frequencies[:, :300]
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-9)
    np.testing.assert_allclose(np.square(frequencies).sum(axis=0).mean(), 300, rtol=0.02)
    np.testing.assert_allclose(np.cov(frequencies[0]), 1, rtol=0.3)


def test_products_of_features_are_the_kernel_but_for_the_draw():
    """With 20,000 frequencies the draw leaves a deviation of 1 / sqrt(20,000) at most."""
    embeddings = np.random.default_rng(0).standard_normal((30, 6)).astype(np.float32)
    rows, scale = Scaling.of(embeddings).lazily(embeddings, "test"), 1.7
    frequencies = orthogonal_frequencies(6, 20_000, np.random.default_rng(1)) / scale
    features = FourierFeatures(frequencies.astype(np.float32))(rows)
    kernel = np.exp(-cdist(rows[:], rows[:], "sqeuclidean") / (2 * scale**2))
    np.testing.assert_allclose(features @ features.T, kernel, rtol=0, atol=5 / np.sqrt(20_000))
    np.testing.assert_allclose(np.square(features).sum(axis=1), 1, atol=1e-4)


def test_features_do_not_depend_on_how_many_rows_are_taken_at_a_time(monkeypatch):
    model = fitted()
    whole = model.features(TOY.embeddings)
    monkeypatch.setattr("rmsuite_baselines.gaussian_process.ROWS", 7)
    np.testing.assert_allclose(model.features(TOY.embeddings), whole, atol=1e-6)


def test_the_median_distance_is_that_of_the_standardised_responses():
    scaling = Scaling.of(TOY.pairs.embeddings)
    rows = scaling.lazily(TOY.pairs.embeddings, "test")
    assert median_distance(rows, np.random.default_rng(0)) == pytest.approx(np.median(pdist(rows[:])))
    alike = scaling.lazily(np.repeat(TOY.pairs.embeddings[:1], 9, axis=0), "test")
    assert median_distance(alike, np.random.default_rng(0)) == 1.0
    assert median_distance(scaling.lazily(TOY.pairs.embeddings[:1], "test"), np.random.default_rng(0)) == 1.0


# Posterior


@pytest.mark.parametrize("precision", [2.0, 0.05])
def test_rewards_and_uncertainty_are_those_of_the_kernel_form(precision):
    """The oracle has one value a pair instead of one a feature (Rasmussen and Williams 2006, section 3.4).

    Its mode is found by a general optimiser; its variance is k** - k*' (K + inverse of W)^-1 k*.
    """
    pairs = replace(TOY.pairs, validation=None)
    model = fitted(pairs, factors=(1.0,), precisions=(precision,))
    trained = model.features(pairs.embeddings).astype(np.float64)
    centred = model.features(TOY.embeddings) - trained.mean(axis=0)
    z = trained[pairs.chosen] - trained[pairs.rejected]
    kernel, cross = z @ z.T / precision, centred @ z.T / precision

    def surprise(dual):
        values = kernel @ dual
        return np.logaddexp(0, -values).sum() + dual @ values / 2, kernel @ (dual - expit(-values))

    dual = minimize(surprise, np.zeros(len(z)), jac=True, method="BFGS", options={"gtol": 1e-8, "maxiter": 5000}).x
    values = kernel @ dual
    flat = np.diag(1 / (expit(values) * expit(-values)))
    variances = np.square(centred).sum(axis=1) / precision - np.sum(
        cross * np.linalg.solve(kernel + flat, cross.T).T, 1
    )
    rewards = model.reward(TOY.embeddings)
    np.testing.assert_allclose(rewards - trained.mean(axis=0) @ model.posterior.weights, cross @ dual, atol=1e-4)
    np.testing.assert_allclose(model.uncertainty(TOY.embeddings), np.sqrt(variances), rtol=1e-4)


def test_far_from_the_training_responses_nothing_is_known():
    """Uncertainty is greater there than at any training response, and about that of the prior's difference."""
    model = fitted(n_frequencies=256, factors=(1.0,), precisions=(0.25,))
    far = 100 * TOY.embeddings
    known = model.uncertainty(TOY.pairs.embeddings)
    assert model.uncertainty(far).min() > known.max()
    prior = np.linalg.norm(model.features(far) - model.centre, axis=1) / np.sqrt(0.25)
    np.testing.assert_allclose(model.uncertainty(far), prior, rtol=0.1)  # 512 features are correlated by chance


def test_a_sharp_prior_makes_all_rewards_equal():
    np.testing.assert_allclose(fitted(precisions=(1e8,)).reward(TOY.embeddings), 0, atol=1e-5)


def test_probabilities_are_symmetric_and_one_half_for_equal_responses():
    model, first, second = fitted(), np.arange(0, 200, 2), np.arange(1, 200, 2)
    stated = model.probability(TOY.embeddings, first, second)
    np.testing.assert_allclose(stated + model.probability(TOY.embeddings, second, first), 1, atol=1e-12)
    np.testing.assert_array_equal(model.probability(TOY.embeddings, first, first), 0.5)


def test_the_length_scale_and_the_precision_of_the_least_validation_loss_are_kept():
    """Stopping each path early finds what trying all finds."""
    held, model = TOY.pairs.validation, fitted()
    losses = {}
    for factor in model.factors:
        for precision in model.precisions:
            one = fitted(factors=(factor,), precisions=(precision,))
            stated = one.probability(held.embeddings, held.chosen, held.rejected)
            losses[factor, precision] = -np.log(stated).mean()
    assert (model.factor, model.posterior.precision) == min(losses, key=losses.get)


def test_swapped_labels_negate_rewards_and_keep_the_uncertainty():
    model, mirrored = fitted(), fitted(testing.swapped(TOY.pairs))
    np.testing.assert_allclose(mirrored.reward(TOY.embeddings), -model.reward(TOY.embeddings), atol=1e-5)
    np.testing.assert_allclose(mirrored.uncertainty(TOY.embeddings), model.uncertainty(TOY.embeddings), rtol=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"n_frequencies": 0}, {"factors": ()}, {"factors": (0.0,)}, {"precisions": (-1.0,)}, {"precisions": ()}]
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(RmsuiteError, match=rf"parameter (number of )?{next(iter(wrong))}: expected"):
        GaussianProcess(**wrong)
