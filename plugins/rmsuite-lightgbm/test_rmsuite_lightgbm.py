"""The contract of rmsuite on this plugin, its objective by finite differences and algebra, and LightGBM itself."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rmsuite_lightgbm
from rmsuite_lightgbm import BradleyTerryLightGBM, ClassifierLightGBM, objective

from rmsuite import PreferencePairs, RmsuiteError, plugins, testing
from rmsuite.checks import CHECKS, Subject, examine, file_listing

lightgbm = pytest.importorskip("lightgbm")

every_method = pytest.mark.parametrize("make", [ClassifierLightGBM, BradleyTerryLightGBM])


@pytest.mark.parametrize("name", ["clf-lightgbm", "bt-lightgbm"])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_keeps_the_contract(check, name):
    catalogue = plugins.load(objects={"lightgbm-under-test": rmsuite_lightgbm}, installed=False)
    _, configured = catalogue.configured(name)
    finding = examine(check, Subject(configured, file_listing(Path(rmsuite_lightgbm.__file__))))
    assert finding.status != "failed", f"{check.promise}: {finding.evidence}"


def rewards_and_pairs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 7, 20)
    return rng.standard_normal(7), chosen, (chosen + rng.integers(1, 7, 20)) % 7


def test_the_objectives_gradient_is_that_of_finite_differences():
    rewards, chosen, rejected = rewards_and_pairs()

    def loss(moved: np.ndarray) -> float:
        return float(np.logaddexp(0, moved[rejected] - moved[chosen]).sum())

    gradient, _ = objective(chosen, rejected)(rewards)
    numeric = [(loss(rewards + step) - loss(rewards - step)) / 2e-6 for step in 1e-6 * np.eye(7)]
    np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-8)


def test_the_objectives_hessian_is_twice_the_diagonal_of_the_weighted_laplacian_and_bounds_it():
    rewards, chosen, rejected = rewards_and_pairs()
    edges = np.eye(7)[chosen] - np.eye(7)[rejected]
    right = 1 / (1 + np.exp(-edges @ rewards))
    laplacian = edges.T @ np.diag(right * (1 - right)) @ edges
    _, diagonal = objective(chosen, rejected)(rewards)
    np.testing.assert_allclose(diagonal, 2 * np.diag(laplacian), rtol=1e-12)
    assert np.linalg.eigvalsh(np.diag(diagonal) - laplacian).min() > -1e-12


def test_a_classifier_is_lightgbm_with_its_defaults():
    toy = testing.toy(n_prompts=60)
    rows = np.concatenate([toy.pairs.chosen, toy.pairs.rejected])
    label = np.repeat([1, 0], len(toy.pairs))
    data = lightgbm.Dataset(toy.pairs.embeddings[rows], label)
    oracle = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, data)
    model = ClassifierLightGBM().fit(toy.pairs, rng=np.random.default_rng(0))
    expected = oracle.predict(toy.embeddings, raw_score=True, num_threads=1)
    np.testing.assert_allclose(model.reward(toy.embeddings), expected, rtol=0, atol=1e-6)


def two_kinds(one_in: int) -> PreferencePairs:
    """400 pairs of two kinds of response, of which the second wins all but one comparison in so many."""
    kind, numbers = np.array([0, 1] * 400), np.arange(400)
    won = 2 * numbers + (numbers % one_in > 0)
    return replace(
        testing.toy(n_prompts=1).pairs,
        embeddings=kind[:, None].astype(np.float32),
        chosen=won,
        rejected=4 * numbers + 1 - won,
        prompt=numbers,
        category=0 * numbers,
        validation=None,
    )


def test_two_kinds_of_response_get_the_log_odds_of_their_wins():
    """By hand: one kind wins three comparisons of four, so that the rewards end log 3 apart."""
    model = BradleyTerryLightGBM().fit(two_kinds(4), rng=np.random.default_rng(0))
    first, second = model.reward(np.array([[0], [1]], np.float32))
    assert second - first == pytest.approx(np.log(3), abs=1e-3)
    chances = model.probability(np.array([[1], [0]], np.float32), np.array([0]), np.array([1]))
    assert chances == pytest.approx(0.75, abs=1e-3)


@pytest.mark.parametrize("leaves", [2, 31])
@pytest.mark.parametrize(
    "pairs", [testing.toy(n_prompts=30).pairs, *map(two_kinds, (2, 4, 8, 20, 400))], ids=lambda pairs: len(pairs)
)
def test_no_tree_raises_the_training_loss_at_the_largest_learning_rate(pairs, leaves):
    """With the Hessian's diagonal itself, two kinds of response are driven apart without end."""
    model = BradleyTerryLightGBM(trees=60, learning_rate=1.0, leaves=leaves).fit(pairs, rng=np.random.default_rng(0))
    grown = [model.model.predict(pairs.embeddings, num_iteration=n + 1) for n in range(model.model.num_trees())]
    margins = [rewards[pairs.chosen] - rewards[pairs.rejected] for rewards in [0 * grown[0], *grown]]
    losses = np.logaddexp(0, -np.array(margins)).mean(axis=1)
    assert np.diff(losses).max() < 1e-12


@every_method
@pytest.mark.parametrize("case", ["one pair", "constant", "contradicting", "no validation", "largest float16"])
def test_odd_pairs_give_finite_rewards_in_silence(make, case, capfd):
    toy = testing.toy(n_prompts=20)
    pairs = toy.pairs
    if case == "one pair":
        pairs = replace(pairs, chosen=pairs.chosen[:1], rejected=pairs.rejected[:1])
    if case == "constant":
        pairs = replace(pairs, embeddings=np.full_like(pairs.embeddings, 0.1))
    if case == "contradicting":
        both = np.concatenate([pairs.chosen, pairs.rejected])
        pairs = replace(pairs, chosen=both, rejected=np.concatenate([pairs.rejected, pairs.chosen]))
    if case == "no validation":
        pairs = replace(pairs, validation=None)
    if case == "largest float16":
        largest = np.abs(pairs.embeddings).max()
        pairs = replace(pairs, embeddings=(pairs.embeddings / largest * 65504).astype(np.float16))
    rewards = make().fit(pairs, rng=np.random.default_rng(0)).reward(toy.embeddings)
    assert rewards.shape == (200,)
    assert np.isfinite(rewards).all()
    assert capfd.readouterr() == ("", "")


@every_method
def test_a_model_is_its_trees_and_pickles_to_the_same_bits(make):
    toy = testing.toy(n_prompts=20)
    model = make(trees=20).fit(toy.pairs, rng=np.random.default_rng(0))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.reward(toy.embeddings), model.reward(toy.embeddings))
    assert model.model.num_trees() == 20
    assert model.reward(np.zeros((0, testing.N_FEATURES), np.float32)).shape == (0,)


@every_method
@pytest.mark.parametrize(("name", "value"), [("trees", 0), ("trees", 2.5), ("learning_rate", 0), ("leaves", 1)])
def test_parameters_out_of_range_are_refused(make, name, value):
    with pytest.raises(RmsuiteError, match=name):
        make(**{name: value})
