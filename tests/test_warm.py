"""Averaged weights: what members share, where they differ, and what the average is where one can say so."""

from __future__ import annotations

import numpy as np
import pytest

from rmsuite import RmsuiteError, testing
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.networks import Schedule, forward, rewards_of
from rmsuite_baselines.warm import WeightAveraged

TOY = testing.toy(n_prompts=40)


def members_of(**parameters):
    """A model whose members were trained, and their layers."""
    model = WeightAveraged(**{"hidden": 8, "epochs": 3, **parameters})
    return model, model._members(TOY.pairs, np.random.default_rng(0))


def test_without_hidden_layers_it_is_the_mean_ensemble():
    """Rewards are linear in the weights then: the mean of the one is the mean of the other."""
    model, members = members_of(hidden=(), members=4)
    rows = model.scaling.lazily(TOY.embeddings, "test")
    expected = np.mean([rewards_of(layers, rows)[:, 0] for layers in members], axis=0)
    again = WeightAveraged(hidden=(), epochs=3, members=4).fit(TOY.pairs, rng=np.random.default_rng(0))
    np.testing.assert_allclose(again.reward(TOY.embeddings), expected, rtol=0, atol=1e-6)
    assert np.ptp([layers[-1] for layers in members], axis=0).max() > 1e-3


def test_with_hidden_layers_its_layers_are_the_means_of_those_of_the_members():
    _, members = members_of(hidden=(8, 4))
    again = WeightAveraged(hidden=(8, 4), epochs=3).fit(TOY.pairs, rng=np.random.default_rng(0))
    for layer, same in zip(again.layers, zip(*members, strict=True), strict=True):
        np.testing.assert_allclose(layer, np.mean(same, axis=0), rtol=0, atol=1e-7)
        assert layer.dtype == np.float32


def test_members_begin_alike_and_end_apart(monkeypatch):
    """A mean of networks that began apart would be no network of use."""
    begun = []
    monkeypatch.setattr(
        "rmsuite_baselines.warm.train", lambda layers, *others: begun.append([x.copy() for x in layers])
    )
    members_of(members=3)
    for other in begun[1:]:
        for layer, same in zip(begun[0], other, strict=True):
            np.testing.assert_array_equal(layer, same)
    monkeypatch.undo()
    _, members = members_of(members=3, spread=1.0, batch=32)
    assert len({forward(layers, TOY.embeddings)[0].tobytes() for layers in members}) == 3, "orders differ"


def test_learning_rates_are_spread_in_equal_ratios_about_the_given_one(monkeypatch):
    seen: list[Schedule] = []
    monkeypatch.setattr("rmsuite_baselines.warm.train", lambda *given: seen.append(given[4]))
    members_of(members=5, spread=4.0, learning_rate=0.01)
    np.testing.assert_allclose([schedule.learning_rate for schedule in seen], 0.01 * np.array([1 / 4, 1 / 2, 1, 2, 4]))
    assert WeightAveraged(members=1)._rates() == [WeightAveraged().learning_rate]


def test_one_member_is_bt_mlp_with_other_draws():
    """The members' generators are of their own: the same initial weights, another order of pairs."""
    _, (layers,) = members_of(members=1)
    base = BradleyTerryMLP(hidden=8, epochs=3).fit(TOY.pairs, rng=np.random.default_rng(0))
    assert [layer.shape for layer in layers] == [layer.shape for layer in base.layers]
    correlation = np.corrcoef(forward(layers, TOY.embeddings)[0][:, 0], forward(base.layers, TOY.embeddings)[0][:, 0])
    assert correlation[0, 1] > 0.9


@pytest.mark.parametrize("wrong", [{"members": 0}, {"spread": 0.5}, {"spread": 1e9}, {"learning_rate": 1e3}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(RmsuiteError, match=f"parameter {next(iter(wrong))}: expected"):
        WeightAveraged(**wrong)
