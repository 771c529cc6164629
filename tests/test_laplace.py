"""bt-laplace: bt-mlp with uncertainty. Selective metrics and calibration rely on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from rmsuite import testing
from rmsuite.errors import RmsuiteError
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.laplace import LaplaceMLP

TOY = testing.toy(n_prompts=40, flips=0.2)


def fitted(pairs=TOY.pairs, **parameters) -> LaplaceMLP:
    return LaplaceMLP(hidden=32, **parameters).fit(pairs, rng=np.random.default_rng(0))


def by_hand(model: LaplaceMLP, embeddings: np.ndarray, pairs=TOY.pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of embeddings less the mean training ones, and the covariance, from the formulas."""
    weights, bias, head = (layer.astype(np.float64) for layer in model.layers)

    def features(rows):
        return np.maximum((rows - model.scaling.mean) * model.scaling.factor @ weights + bias, 0)

    trained = features(pairs.embeddings)
    z = trained[pairs.chosen] - trained[pairs.rejected]
    p = expit(z @ head)
    precision = (z * p * (1 - p)).T @ z + model.posterior.precision * np.eye(len(head))
    return features(embeddings) - trained.mean(axis=0), np.linalg.inv(precision)


def test_the_rewards_are_those_of_bt_mlp_to_the_bit():
    plain = BradleyTerryMLP(hidden=32).fit(TOY.pairs, rng=np.random.default_rng(0))
    assert fitted().reward(TOY.embeddings).tobytes() == plain.reward(TOY.embeddings).tobytes()


def test_uncertainty_and_probability_are_what_the_formulas_say():
    """The variance of a pair is that of its difference, covariance included."""
    model = fitted()
    centred, covariance = by_hand(model, TOY.embeddings)
    deviations = np.sqrt(np.einsum("nd,de,ne->n", centred, covariance, centred))
    np.testing.assert_allclose(model.uncertainty(TOY.embeddings), deviations, rtol=1e-3)
    first, second = np.arange(0, 200, 2), np.arange(1, 200, 2)
    z = centred[first] - centred[second]
    margins = z @ model.layers[-1][:, 0] / np.sqrt(1 + np.pi / 8 * np.einsum("nd,de,ne->n", z, covariance, z))
    np.testing.assert_allclose(model.probability(TOY.embeddings, first, second), expit(margins), atol=1e-4)


def test_probabilities_are_symmetric_and_nearer_to_one_half_than_without_uncertainty():
    model, plain = fitted(), BradleyTerryMLP(hidden=32).fit(TOY.pairs, rng=np.random.default_rng(0))
    first, second = np.arange(0, 200, 2), np.arange(1, 200, 2)
    stated = model.probability(TOY.embeddings, first, second)
    np.testing.assert_allclose(stated + model.probability(TOY.embeddings, second, first), 1, atol=1e-12)
    certain = plain.probability(TOY.embeddings, first, second)
    np.testing.assert_array_equal(stated > 0.5, certain > 0.5)
    assert (np.abs(stated - 0.5) < np.abs(certain - 0.5)).all()


def test_the_mean_training_features_have_no_uncertainty(monkeypatch):
    """They are what the deviation of a reward refers to."""
    model = fitted()
    monkeypatch.setattr(model, "features", lambda embeddings: model.centre[None])
    np.testing.assert_array_equal(model.uncertainty(TOY.embeddings[:1]), 0)


def test_the_precision_of_the_least_validation_loss_is_kept():
    model, held = fitted(), TOY.pairs.validation
    losses = {}
    for precision in model.precisions:
        model.posterior = model.posterior.under(precision)
        stated = model.probability(held.embeddings, held.chosen, held.rejected)
        losses[precision] = -np.log(stated).mean()
    assert fitted().posterior.precision == min(losses, key=losses.get)
    assert fitted(precisions=(7.0,)).posterior.precision == 7.0


def test_without_validation_the_precision_of_the_most_evidence_is_kept():
    model = fitted(replace(TOY.pairs, validation=None), epochs=5)
    evidence = {precision: model.posterior.under(precision).evidence() for precision in model.precisions}
    assert model.posterior.precision == max(evidence, key=evidence.get)
    assert min(model.precisions) < model.posterior.precision < max(model.precisions)


@pytest.mark.parametrize("wrong", [{"precisions": ()}, {"precisions": (0.0,)}, {"precisions": ("a",)}, {"hidden": 0}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(RmsuiteError, match=rf"parameter (number of )?{next(iter(wrong))}: expected"):
        LaplaceMLP(**wrong)
