"""Heads on one trunk: what each head weighs, that they have no origin, and what one head is. Ensembles rely on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from differences import slopes
from scipy.special import expit

from rmsuite import RmsuiteError, testing
from rmsuite_baselines.bt_heads import BradleyTerryHeads, prompt_weights
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.losses import PairLoss
from rmsuite_baselines.members import RULES, Rule

TOY = testing.toy(n_prompts=40)
CHOSEN, REJECTED = np.array([0, 0, 1, 4, 3]), np.array([1, 2, 2, 3, 0])


def fitted(pairs=TOY.pairs, **parameters) -> BradleyTerryHeads:
    return BradleyTerryHeads(hidden=8, epochs=3, **parameters).fit(pairs, rng=np.random.default_rng(0))


@pytest.mark.parametrize("kind", [PairLoss(), PairLoss("hinge", margin=0.9), PairLoss(smoothing=0.1, centring=0.3)])
def test_the_slope_of_a_weighted_loss_is_that_of_finite_differences(kind):
    rng = np.random.default_rng(0)
    rewards, weight = rng.standard_normal((6, 3)), rng.exponential(size=(5, 3))
    _, slope = kind(rewards, CHOSEN, REJECTED, weight)
    numeric = slopes(lambda: kind(rewards, CHOSEN, REJECTED, weight)[0], rewards)
    np.testing.assert_allclose(slope, numeric, rtol=0, atol=1e-6)


def test_a_whole_weight_is_so_many_copies_of_a_pair():
    """That is what a bootstrap's weight means; the oracle writes the copies out."""
    rewards, copies = np.random.default_rng(0).standard_normal(6), np.array([2, 0, 1, 3, 1])
    value, slope = PairLoss()(rewards, CHOSEN, REJECTED, copies)
    written = PairLoss()(rewards, np.repeat(CHOSEN, copies), np.repeat(REJECTED, copies))
    assert value * len(CHOSEN) == pytest.approx(written[0] * copies.sum())
    np.testing.assert_allclose(slope * len(CHOSEN), written[1] * copies.sum())


def test_weights_are_one_draw_a_prompt_of_mean_one_and_never_zero():
    """Pairs of one prompt share responses; a head without pairs would never learn."""
    prompt = np.repeat(np.arange(500), 3)
    weight = prompt_weights(prompt, 4, np.random.default_rng(0))
    np.testing.assert_allclose(weight.mean(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(weight[::3], weight[1::3])
    assert (weight > 0).all()
    assert weight.var() == pytest.approx(1, abs=0.2), "the exponential distribution's, as that of a bootstrap"
    np.testing.assert_array_equal(prompt_weights(np.zeros(7, int), 4, np.random.default_rng(0)), 1)


def test_one_head_on_one_prompt_is_bt_mlp_but_for_the_origin():
    """The weight of a prompt that is alone is one."""
    alone = replace(TOY.pairs, prompt=0 * TOY.pairs.prompt)
    base = BradleyTerryMLP(hidden=8, epochs=3).fit(alone, rng=np.random.default_rng(0))
    expected = base.reward(TOY.embeddings) - base.reward(alone.embeddings).mean(dtype=np.float64)
    np.testing.assert_allclose(fitted(alone, heads=1).reward(TOY.embeddings), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_the_reward_is_the_rule_of_the_heads_which_differ(rule):
    model = fitted(heads=4, rule=rule, weight=0.7)
    members = model.member_rewards(TOY.embeddings)
    assert members.shape == (4, len(TOY.embeddings))
    np.testing.assert_array_equal(model.reward(TOY.embeddings), Rule(rule, 0.7)(members))
    np.testing.assert_array_equal(model.uncertainty(TOY.embeddings), members.std(axis=0))
    assert (model.uncertainty(TOY.embeddings) > 0).all()


def test_each_head_has_mean_zero_over_the_training_responses():
    np.testing.assert_allclose(fitted().member_rewards(TOY.pairs.embeddings).mean(axis=1), 0, atol=1e-6)


def test_the_order_of_the_heads_is_irrelevant():
    model = fitted(rule="uwo")
    plain = model.reward(TOY.embeddings)
    order = [3, 0, 4, 1, 2]
    model.layers[-1], model.origins = model.layers[-1][:, order], model.origins[order]
    np.testing.assert_allclose(model.reward(TOY.embeddings), plain, rtol=0, atol=1e-6)


def test_the_probability_is_the_mean_sigmoid_of_the_heads_differences():
    model, (first, second) = fitted(rule="wco"), np.random.default_rng(0).integers(0, len(TOY.embeddings), (2, 50))
    rewards = model.member_rewards(TOY.embeddings)
    stated = model.probability(TOY.embeddings, first, second)
    np.testing.assert_allclose(stated, np.mean([expit(r[first] - r[second]) for r in rewards], axis=0))


def test_without_hidden_layers_each_head_is_linear_in_the_embedding():
    """The form in which a fixed backbone is shared exactly."""
    model = BradleyTerryHeads(hidden=(), epochs=3).fit(TOY.pairs, rng=np.random.default_rng(0))
    one, other = TOY.embeddings[:100], TOY.embeddings[100:]
    middle = (model.member_rewards(one) + model.member_rewards(other)) / 2
    np.testing.assert_allclose(model.member_rewards((one + other) / 2), middle, rtol=0, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"heads": 0}, {"heads": 2.5}, {"rule": "max"}, {"weight": -1}, {"hidden": 0}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(RmsuiteError, match=f"parameter {next(iter(wrong))}: expected"):
        BradleyTerryHeads(**wrong)
