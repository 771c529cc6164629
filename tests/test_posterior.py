"""Laplace's approximation against numeric derivatives, integrals and scikit-learn.

Whoever reads the uncertainty or the probabilities of a method with a posterior relies on it.
"""

from __future__ import annotations

import numpy as np
import pytest
from differences import slopes
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from rmsuite_baselines.posterior import Posterior, blocks, curvature, moderated, most_probable


def noisy_differences(n: int = 200, d: int = 5, separable: bool = False) -> np.ndarray:
    rng = np.random.default_rng(3)
    differences = rng.standard_normal((n, d)) * np.linspace(0.5, 3, d)
    chance = expit(differences @ np.linspace(-1, 1, d))
    first = chance > 0.5 if separable else rng.random(n) < chance
    return np.where(first[:, None], differences, -differences)


def fitted(differences: np.ndarray, precision: float) -> Posterior:
    return most_probable(differences, Posterior.around(np.zeros(differences.shape[1]), differences, 1.0), precision)


def covariance(posterior: Posterior) -> np.ndarray:
    return np.array([posterior.covariance_times(row) for row in np.eye(len(posterior.weights))])


def log_density(differences: np.ndarray, weights: np.ndarray, precision: float) -> float:
    """Return the log posterior but for a constant, from the definitions."""
    return float(np.log(expit(differences @ weights)).sum() + norm.logpdf(weights, 0, precision**-0.5).sum())


@pytest.mark.parametrize("precision", [0.1, 30.0])
@pytest.mark.parametrize("at_mode", [True, False], ids=["at the mode", "elsewhere"])
def test_the_covariance_is_the_inverse_of_minus_the_numeric_hessian(precision, at_mode):
    """bt-laplace takes it around the weights of a network, which are no mode."""
    differences = noisy_differences()
    weights = fitted(differences, precision).weights if at_mode else np.linspace(0.3, -0.2, 5)
    posterior = Posterior.around(weights, differences, precision)
    moved = weights.copy()
    rows = [
        slopes(lambda: slopes(lambda: log_density(differences, moved, precision), moved, 1e-3)[k], moved, 1e-3)  # noqa: B023
        for k in range(5)
    ]
    np.testing.assert_allclose(covariance(posterior) @ -np.array(rows), np.eye(5), atol=1e-4)


def test_whitened_lengths_are_variances():
    posterior, features = fitted(noisy_differences(), 2.0), np.random.default_rng(0).standard_normal((7, 5))
    expected = np.diag(features @ covariance(posterior) @ features.T)
    np.testing.assert_allclose(np.square(posterior.whitened(features)).sum(axis=1), expected)


@pytest.mark.parametrize("precision", [30.0, 1.0, 1e-3])
@pytest.mark.parametrize("separable", [False, True], ids=["noisy", "separable"])
def test_the_mode_is_the_optimum_that_scikit_learn_finds(precision, separable):
    """Pairs and their mirror images are two classes, which weigh every pair twice."""
    differences = noisy_differences(separable=separable)
    oracle = LogisticRegression(C=0.5 / precision, fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    oracle.fit(np.vstack([differences, -differences]), np.repeat([1, 0], len(differences)))
    np.testing.assert_allclose(fitted(differences, precision).weights, oracle.coef_[0], rtol=2e-4, atol=1e-5)


def test_the_mode_does_not_depend_on_the_start():
    """A path of precisions starts each where the last one ended; a curvature from afar misleads the first steps."""
    differences = noisy_differences()
    near = fitted(differences, 0.01).weights
    for scale in (1, 30, 1000):
        start = Posterior.around(scale * np.random.default_rng(scale).standard_normal(5), differences, 0.01)
        np.testing.assert_allclose(most_probable(differences, start, 0.01).weights, near, rtol=0, atol=1e-5)


def test_repeated_pairs_shrink_the_uncertainty():
    """Copies of all pairs and of the prior divide the covariance; copies of the pairs alone make every reward surer."""
    differences, weights = noisy_differences(), np.linspace(0.3, -0.2, 5)
    once, thrice = (Posterior.around(weights, np.tile(differences, (n, 1)), 2.0) for n in (1, 3))
    np.testing.assert_allclose(covariance(thrice.under(6.0)), covariance(once) / 3)
    features = np.random.default_rng(0).standard_normal((50, 5))
    before, after = (np.square(one.whitened(features)).sum(axis=1) for one in (once, thrice))
    assert (after < before).all()


def test_a_sharp_prior_leaves_no_uncertainty_and_no_reward():
    posterior = fitted(noisy_differences(), 1e12)
    np.testing.assert_allclose(posterior.weights, 0, atol=1e-8)
    np.testing.assert_allclose(covariance(posterior), 0, atol=2e-12)


def test_the_curvature_does_not_depend_on_how_many_pairs_are_taken_at_a_time(monkeypatch):
    differences = noisy_differences()
    whole = curvature(differences, differences[:, 0])
    monkeypatch.setattr("rmsuite_baselines.posterior.PAIRS", 7)
    assert len(list(blocks(200))) == 29
    np.testing.assert_allclose(curvature(differences, differences[:, 0]), whole)


@pytest.mark.parametrize("precision", [0.3, 5.0])
def test_the_evidence_is_about_the_integral_over_the_weights(precision):
    """Without validation pairs it chooses hyperparameters. One weight can be integrated numerically."""
    differences = noisy_differences(d=1)
    mode = fitted(differences, precision)
    highest = log_density(differences, mode.weights, precision)
    integral = quad(
        lambda w: np.exp(log_density(differences, np.array([w]), precision) - highest),
        *(mode.weights[0] + np.array([-10, 10]) * mode.bends[0] ** -0.5),
    )[0]
    assert mode.evidence() == pytest.approx(np.log(integral) + highest, abs=0.02)


def test_moderated_probabilities_are_about_the_mean_over_a_normal_logit():
    """MacKay's formula is an approximation; it is known to be within 0.02 of the integral."""
    for mean in (-3.0, -0.4, 0.0, 1.5):
        for deviation in (0.1, 1.0, 3.0):
            integral = quad(lambda x, m=mean, s=deviation: expit(x) * norm.pdf(x, m, s), mean - 30, mean + 30)[0]
            assert expit(moderated(np.array(mean), np.array(deviation**2))) == pytest.approx(integral, abs=0.02)


def test_the_loss_of_held_out_pairs_is_that_of_their_moderated_probabilities():
    differences = noisy_differences()
    posterior = fitted(differences[:100], 1.0)
    held = differences[100:]
    variances = np.diag(held @ covariance(posterior) @ held.T)
    chances = expit(held @ posterior.weights / np.sqrt(1 + np.pi / 8 * variances))
    assert posterior.surprise(held) == pytest.approx(-np.log(chances).mean())
    assert posterior.surprise(None) == -posterior.evidence()
