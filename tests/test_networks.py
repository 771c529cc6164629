"""Networks of the baselines: gradients by finite differences, Adam by hand, what a batch and an epoch are.

Every baseline that is a network relies on it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from differences import slopes
from scipy.special import expit

from rmsuite import testing
from rmsuite.errors import RmsuiteError
from rmsuite_baselines import networks
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.losses import PairLoss
from rmsuite_baselines.mlp import fit_together
from rmsuite_baselines.networks import Adam, Dropout, Schedule, backward, descend, forward, initial, rewards_of, stacked
from rmsuite_baselines.scaling import Scaling


def network(sizes: tuple[int, ...] = (5, 7, 4), n_heads: int = 1) -> list[np.ndarray]:
    """Return layers in float64 with biases that are not zero and a head of the size of the rest."""
    rng = np.random.default_rng(1)
    return [rng.normal(0, 0.5, layer.shape) for layer in initial(list(sizes), rng, n_heads)]


@pytest.mark.parametrize("n_heads", [1, 3])
@pytest.mark.parametrize("sizes", [(5, 7, 4), (5, 6), (5,)], ids=["two hidden layers", "one", "none"])
def test_the_networks_gradient_is_that_of_finite_differences(sizes, n_heads):
    rng, layers = np.random.default_rng(2), network(sizes, n_heads)
    embeddings, slope = rng.standard_normal((9, 5)), rng.standard_normal((9, n_heads))
    gradients = backward(layers, forward(layers, embeddings)[1], slope)
    assert len(gradients) == len(layers)
    for layer, gradient in zip(layers, gradients, strict=True):
        numeric = slopes(lambda: np.sum(slope * forward(layers, embeddings)[0]), layer)
        np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-7)


@pytest.mark.parametrize("n_heads", [1, 2])
@pytest.mark.parametrize("sizes", [(5, 7, 4), (5, 6), (5,)], ids=["two hidden layers", "one", "none"])
def test_networks_that_are_stacked_are_each_what_they_are_alone(sizes, n_heads):
    """Rewards and gradients, one network after the other. Ensembles that are trained together rely on it."""
    rng, embeddings = np.random.default_rng(2), np.random.default_rng(3).standard_normal((9, 5))
    alone = [[rng.normal(0, 0.5, layer.shape) for layer in network(sizes, n_heads)] for _ in range(3)]
    together, slope = stacked(alone), rng.standard_normal((9, 3 * n_heads))
    rewards, inputs = forward(together, embeddings)
    gradients = backward(together, inputs, slope)
    for i, layers in enumerate(alone):
        own = slice(i * n_heads, (i + 1) * n_heads)
        expected, own_inputs = forward(layers, embeddings)
        np.testing.assert_allclose(rewards[:, own], expected)
        for mine, given in zip(gradients, backward(layers, own_inputs, slope[:, own]), strict=True):
            np.testing.assert_allclose(mine[i], np.atleast_2d(given))
    assert [gradient.shape for gradient in gradients] == [layer.shape for layer in together]


@pytest.mark.parametrize("hidden", [8, (8, 4), ()])
def test_networks_that_are_trained_together_do_not_touch_one_another(hidden):
    """By one batch an epoch and for all epochs, each becomes what it becomes alone."""
    toy = testing.toy(n_prompts=20)
    pairs = replace(toy.pairs, validation=None)
    together, alone = ([BradleyTerryMLP(hidden=hidden, epochs=4) for _ in range(3)] for _ in range(2))
    fit_together(together, pairs, np.random.default_rng(0).spawn(3))
    for model, other, rng in zip(alone, together, np.random.default_rng(0).spawn(3), strict=True):
        expected = model.fit(pairs, rng=rng).reward(toy.embeddings)
        np.testing.assert_allclose(other.reward(toy.embeddings), expected, rtol=0, atol=1e-5)


def test_the_gradient_under_dropout_is_that_of_finite_differences():
    """The same units are dropped in both passes: the generator begins anew for each evaluation."""
    rng, layers = np.random.default_rng(2), network()
    embeddings, slope = rng.standard_normal((9, 5)), rng.standard_normal((9, 1))

    def run():
        return forward(layers, embeddings, Dropout(0.4, np.random.default_rng(3)))

    gradients = backward(layers, run()[1], slope, Dropout(0.4))
    for layer, gradient in zip(layers, gradients, strict=True):
        np.testing.assert_allclose(gradient, slopes(lambda: np.sum(slope * run()[0]), layer), rtol=0, atol=1e-6)


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    hidden = np.ones((400, 500), np.float32)
    dropped = Dropout(0.3, np.random.default_rng(0))(hidden.copy())
    assert np.mean(dropped == 0) == pytest.approx(0.3, abs=0.01)
    assert dropped.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(Dropout()(hidden.copy()), hidden)


def test_rewards_do_not_depend_on_how_many_rows_go_forward_at_a_time(monkeypatch):
    layers = [layer.astype(np.float32) for layer in network()]
    embeddings = np.random.default_rng(2).standard_normal((50, 5)).astype(np.float32)
    rows = Scaling.of(embeddings).lazily(embeddings, "test")
    whole = rewards_of(layers, rows)
    monkeypatch.setattr(networks, "ROWS", 7)
    np.testing.assert_allclose(rewards_of(layers, rows), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 60, 100])
def test_an_epoch_has_each_item_once_and_keeps_groups_together(size):
    """Whoever shares responses between the pairs of a prompt relies on it."""
    group = np.random.default_rng(0).integers(0, 9, 60)
    batches = list(Schedule(1e-3, 0, size, 1, 1).batches(group, np.random.default_rng(1)))
    order = np.concatenate(batches)
    assert sorted(order) == list(range(60))
    assert max(len(batch) for batch in batches) <= size
    assert np.count_nonzero(np.diff(group[order])) == len(np.unique(group)) - 1


def test_each_epoch_draws_another_order():
    rng, group = np.random.default_rng(1), np.arange(60)
    first, second = (np.concatenate(list(Schedule(1e-3, 0, 8, 1, 1).batches(group, rng))) for _ in range(2))
    assert not np.array_equal(first, second)


def test_each_distinct_response_of_a_batch_goes_forward_once(monkeypatch):
    """The speed of the method rests on it: 20 prompts have 80 responses in 60 pairs, not 120."""
    pairs, seen = replace(testing.toy(n_prompts=20).pairs, validation=None), []

    def counted(layers, embeddings, dropout):
        seen.append(embeddings)
        return forward(layers, embeddings, dropout)

    monkeypatch.setattr(networks, "forward", counted)
    BradleyTerryMLP(epochs=2, batch=60).fit(pairs, rng=np.random.default_rng(0))
    assert [len(rows) for rows in seen] == [80, 80]
    seen.clear()
    BradleyTerryMLP(epochs=2, batch=25).fit(pairs, rng=np.random.default_rng(0))
    assert len(seen) == 2 * 3
    assert all(len(np.unique(rows, axis=0)) == len(rows) for rows in seen)


def test_the_gradient_of_a_batch_is_that_of_its_pairs_one_by_one(monkeypatch):
    """Sharing responses between pairs saves work and changes nothing: the oracle runs each pair by itself."""
    pairs, seen = replace(testing.toy(n_prompts=5).pairs, validation=None), []
    monkeypatch.setattr(Adam, "step", lambda adam, layers, gradients: seen.append((layers, gradients)))
    BradleyTerryMLP(hidden=(7, 4), epochs=1).fit(pairs, rng=np.random.default_rng(0))
    ((layers, gradients),) = seen
    layers = [layer.astype(np.float64) for layer in layers]
    scaled = Scaling.of(pairs.embeddings)(pairs.embeddings, "test").astype(np.float64)
    total = [np.zeros_like(layer) for layer in layers]
    for pair in zip(pairs.chosen, pairs.rejected, strict=True):
        rewards, inputs = forward(layers, scaled[list(pair)])
        slope = expit(rewards[1] - rewards[0]) / len(pairs)
        for layer, gradient in zip(total, backward(layers, inputs, np.array([-slope, slope])), strict=True):
            layer += gradient
    for gradient, expected in zip(gradients, total, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-6)


def test_adams_first_step_is_what_one_computes_by_hand():
    """Corrected for its start, it is the learning rate against the gradient's sign; then the weights decay."""
    gradient = np.array([0.5, -2e-3, 10.0, 0.0], np.float32)
    layer = np.array([1.0, 2.0, -3.0, 4.0], np.float32)
    Adam(learning_rate=0.01, decay=2.0).step([layer], [gradient.copy()])
    by_hand = (np.array([1.0, 2.0, -3.0, 4.0]) - 0.01 * np.sign(gradient)) * (1 - 0.01 * 2.0)
    np.testing.assert_allclose(layer, by_hand, rtol=2e-6)


def test_adam_takes_the_steps_of_the_paper():
    rng = np.random.default_rng(0)
    expected, first, second = rng.standard_normal(6), np.zeros(6), np.zeros(6)
    layer, adam = expected.astype(np.float32), Adam(learning_rate=0.01, decay=0.0)
    for t in range(1, 6):
        gradient = rng.standard_normal(6)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        expected -= 0.01 * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
        adam.step([layer], [gradient.astype(np.float32)])
        np.testing.assert_allclose(layer, expected, rtol=1e-5)


def test_the_layers_of_the_best_validation_epoch_are_kept():
    """Training goes on for as many epochs as patience says, and forgets them."""
    losses, seen, layers = iter([5, 3, 4, 3, 6, 0]), [], [np.zeros(1, np.float32)]

    def validation_loss():
        seen.append((next(losses), layers[0].copy()))
        return seen[-1][0]

    schedule = Schedule(0.1, 0, 10, 30, patience=3)
    descend(
        layers, schedule, np.arange(10), lambda _: [np.ones(1, np.float32)], validation_loss, np.random.default_rng(0)
    )
    assert [loss for loss, _ in seen] == [5, 3, 4, 3, 6]
    np.testing.assert_array_equal(layers[0], seen[1][1])


def test_without_validation_the_last_epoch_is_kept():
    layers = [np.zeros(1, np.float32)]
    gradient = [np.ones(1, np.float32)]
    descend(
        layers, Schedule(0.1, 0, 5, 4, 1), np.arange(10), lambda _: [gradient[0].copy()], None, np.random.default_rng(0)
    )
    np.testing.assert_allclose(layers[0], -0.8, rtol=1e-5)  # two batches an epoch, four epochs, steps of the rate


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": "abc"},
        {"hidden": -1},
        {"hidden": (64, 0)},
        {"batch": 0},
        {"epochs": 0},
        {"patience": 1.5},
        {"learning_rate": float("nan")},
        {"learning_rate": 1000000000.0},
        {"weight_decay": -1},
        {"weight_decay": 100, "learning_rate": 0.1},
        {"learning_rate": 0},
        {"dropout": 1.0},
        {"loss": "squared"},
        {"smoothing": 0.6},
        {"centring": -1},
        {"margin": -1},
        {"margin": True},
    ],
)
def test_bt_mlp_refuses_parameters_out_of_range(wrong):
    with pytest.raises(RmsuiteError, match=f"parameter {next(iter(wrong))}: expected"):
        BradleyTerryMLP(**wrong)


def test_a_hinge_needs_a_margin():
    """At equal rewards a hinge without one has no slope: nothing would be learnt."""
    with pytest.raises(RmsuiteError, match="margin"):
        PairLoss("hinge")


def test_an_epoch_that_is_worse_than_no_training_is_kept_all_the_same():
    """A network that was never trained is no answer; the validation loss of the first epoch is the first to beat."""
    layers = [np.zeros(1, np.float32)]
    losses = iter([5.0, 6.0])
    descend(layers, Schedule(0.1, 0, 10, 2, 2), np.arange(10), ones, lambda: next(losses), np.random.default_rng(0))
    assert layers[0][0] == pytest.approx(-0.1)


def ones(batch: np.ndarray) -> list[np.ndarray]:
    return [np.ones(1, np.float32)]


def test_a_training_that_diverges_is_an_error_that_names_the_rate():
    layers = [np.zeros(1, np.float32)]
    with pytest.raises(RmsuiteError, match=r"learning_rate=0\.1: expected a finite validation loss"):
        descend(layers, Schedule(0.1, 0, 10, 2, 2), np.arange(10), ones, lambda: np.nan, np.random.default_rng(0))
