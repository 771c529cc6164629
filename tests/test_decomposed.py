"""Decomposed reward models against scikit-learn and by laws; whoever compares with arXiv:2502.13131 relies on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.decomposition import PCA

from rmsuite import testing
from rmsuite.data import PreferencePairs
from rmsuite.errors import RmsuiteError
from rmsuite_baselines.decomposed import Decomposed, directions

TOY = testing.toy(n_prompts=40, flips=0.2)


def fitted(pairs=TOY.pairs, **parameters) -> Decomposed:
    return Decomposed(**parameters).fit(pairs, rng=np.random.default_rng(0))


def one_way(where: int, n: int = 400) -> PreferencePairs:
    """Return pairs whose chosen response is better in one feature only; features are of unequal size."""
    rng = np.random.default_rng(0)
    embeddings = (rng.standard_normal((2 * n, 6)) * np.arange(1, 7)).astype(np.float32)
    first, second = np.arange(n), np.arange(n, 2 * n)
    right = embeddings[first, where] > embeddings[second, where]
    chosen, rejected = np.where(right, first, second), np.where(right, second, first)
    pairs = PreferencePairs(embeddings, chosen, rejected, first, 0 * first)
    return replace(pairs, validation=pairs)


def test_the_directions_are_the_principal_components_of_scikit_learn():
    differences = TOY.pairs.differences().astype(np.float64) * np.arange(1, 17)
    found, oracle = directions(differences), PCA().fit(differences)
    np.testing.assert_allclose(np.abs(np.sum(found.T * oracle.components_, axis=1)), 1, atol=1e-8)
    np.testing.assert_allclose((differences @ found).var(axis=0, ddof=1), oracle.explained_variance_)


def test_the_directions_are_orthonormal_and_those_without_variance_are_left_out():
    """Fewer pairs than features leave as many directions as pairs, less one for the mean."""
    few = np.random.default_rng(0).standard_normal((9, 20))
    found = directions(few)
    assert found.shape == (20, 8)
    np.testing.assert_allclose(found.T @ found, np.eye(8), atol=1e-12)
    assert directions(few[:1]).shape == (20, 0)


@pytest.mark.parametrize("validated", [True, False])
def test_the_reward_is_the_weighted_sum_over_directions_of_both_signs(validated):
    """The oracle goes through the 32 directions one by one, as the paper writes it."""
    pairs = TOY.pairs if validated else replace(TOY.pairs, prompt=0 * TOY.pairs.prompt, validation=None)
    held, model = pairs.validation or pairs, fitted(pairs, temperature=0.3)
    chosen, rejected, test = (
        model.scaling(rows, "test").astype(np.float64)
        for rows in (held.embeddings[held.chosen], held.embeddings[held.rejected], TOY.embeddings)
    )
    total, parts = 0.0, []
    for direction in [*model.directions.T, *-model.directions.T]:
        deviation = np.concatenate([chosen @ direction, rejected @ direction]).std()
        loss = -np.log(expit((chosen - rejected) @ direction / deviation)).mean()
        parts.append(np.exp(-loss / 0.3) * (test @ direction / deviation))
        total += np.exp(-loss / 0.3)
    np.testing.assert_allclose(model.reward(TOY.embeddings), np.sum(parts, axis=0) / total, atol=1e-6)


@pytest.mark.parametrize("temperature", [1e-4, 0.1, 100.0])
def test_the_shares_are_positive_or_zero_and_sum_to_one(temperature):
    model = fitted(temperature=temperature)
    assert model.shares.shape == (2, 16)
    assert model.shares.min() >= 0
    assert model.shares.sum() == pytest.approx(1)


def test_a_great_temperature_gives_all_directions_equal_shares_and_no_reward():
    model = fitted(temperature=1e6)
    np.testing.assert_allclose(model.shares, 1 / 32, rtol=1e-5)
    np.testing.assert_allclose(model.reward(TOY.embeddings), 0, atol=1e-5)


@pytest.mark.parametrize("where", [0, 3])
def test_one_informative_direction_gets_nearly_all_of_the_weight(where):
    model = fitted(one_way(where), temperature=0.01)
    sign, place = np.unravel_index(model.shares.argmax(), model.shares.shape)
    found = model.directions[:, place] * (1 - 2 * sign)
    assert model.shares.max() > 0.99
    assert found[where] > 0.98


def test_a_flipped_sign_of_the_data_flips_rewards():
    """Swapped labels and negated embeddings do the same, but for the origin of rewards; both at once do nothing."""

    def rewards(pairs):
        found = fitted(pairs).reward(TOY.embeddings)
        return found - found.mean()

    plain, swapped = rewards(TOY.pairs), testing.swapped(TOY.pairs)
    negated = testing.with_embeddings(TOY.pairs, np.float32(-1))
    np.testing.assert_allclose(rewards(swapped), -plain, rtol=0, atol=1e-6)
    np.testing.assert_allclose(rewards(negated), -plain, rtol=0, atol=1e-6)
    np.testing.assert_allclose(rewards(testing.swapped(negated)), plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("n_prompts", "n_held"), [(40, 10), (3, 1), (2, 1)])
def test_without_validation_a_quarter_of_the_prompts_is_held_out(n_prompts, n_held):
    """Pairs that weigh a direction did not make it."""
    pairs = replace(testing.toy(n_prompts=n_prompts).pairs, validation=None)
    training, adaptation = Decomposed()._parts(pairs, np.random.default_rng(0))
    held = set(adaptation.prompt)
    assert len(held) == n_held
    assert held.isdisjoint(training.prompt)
    assert len(training) + len(adaptation) == len(pairs)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"temperature": "low"}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(RmsuiteError, match=f"parameter {next(iter(wrong))}: expected"):
        Decomposed(**wrong)
