"""The baselines against oracles, by laws, and on degenerate inputs. Every table compares a new method with them.

The contract of ``rmsuite check`` is run on them in ``test_checks``.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from rmsuite import testing
from rmsuite.data import PreferencePairs
from rmsuite.errors import ContractError, RmsuiteError
from rmsuite_baselines import bt_mlp, rmsuite_methods
from rmsuite_baselines.bt_linear import BradleyTerryLinear, loss, newton
from rmsuite_baselines.bt_mlp import Adam, BradleyTerryMLP, backward, forward, initial, pair_loss
from rmsuite_baselines.mean_difference import MeanDifference
from rmsuite_baselines.scaling import Scaling

every_baseline = pytest.mark.parametrize("method", rmsuite_methods(), ids=lambda method: method.name)
linear_baselines = pytest.mark.parametrize("make", [MeanDifference, BradleyTerryLinear])


def rewards_of(make, pairs: PreferencePairs, embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    return make().fit(pairs, rng=np.random.default_rng(seed)).reward(embeddings)


def slopes(function, array: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Return the derivative of ``function()`` by each entry of the array that it reads, by central differences."""
    found = np.empty_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = function()
        array[index] = kept - step
        found[index] = (above - function()) / (2 * step)
        array[index] = kept
    return found


# Laws of all baselines


@every_baseline
def test_one_seed_gives_the_same_bits(method):
    """Whoever reproduces a table relies on it."""
    toy = testing.toy(n_prompts=40)
    first, second = (rewards_of(method.make, toy.pairs, toy.embeddings) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@every_baseline
def test_the_unit_and_the_origin_of_a_feature_are_irrelevant(method):
    """Base models whose features are of other sizes are compared fairly; powers of two make it exact."""
    toy = testing.toy(n_prompts=40)
    unit = 2.0 ** np.resize([-8, 0, 3, 20], testing.N_FEATURES).astype(np.float32)
    plain = rewards_of(method.make, toy.pairs, toy.embeddings)
    scaled = rewards_of(method.make, testing.with_embeddings(toy.pairs, unit), toy.embeddings * unit)
    np.testing.assert_array_equal(scaled, plain)
    moved = [replace(p, embeddings=p.embeddings + 4) for p in (toy.pairs, toy.pairs.validation)]
    moved = rewards_of(method.make, replace(moved[0], validation=moved[1]), toy.embeddings + 4)
    np.testing.assert_allclose(moved, plain, rtol=0, atol=1e-3 * plain.std())


@linear_baselines
def test_exchanging_chosen_and_rejected_negates_rewards(make):
    toy = testing.toy(n_prompts=40, flips=0.1)
    plain = rewards_of(make, toy.pairs, toy.embeddings)
    mirrored = rewards_of(make, testing.swapped(toy.pairs), toy.embeddings)
    np.testing.assert_allclose(mirrored, -plain, rtol=0, atol=1e-9)


@linear_baselines
def test_the_order_and_the_number_of_copies_of_pairs_are_irrelevant(make):
    """A penalty is on the scale of the mean loss, so that the same pairs three times over are the same data."""
    toy = testing.toy(n_prompts=40, flips=0.1)
    order = np.random.default_rng(0).permutation(np.tile(np.arange(len(toy.pairs)), 3))
    columns = {name: getattr(toy.pairs, name)[order] for name in ("chosen", "rejected", "prompt", "category")}
    plain = rewards_of(make, toy.pairs, toy.embeddings)
    again = rewards_of(make, replace(toy.pairs, **columns), toy.embeddings)
    np.testing.assert_allclose(again, plain, rtol=0, atol=1e-6)


# Degenerate inputs


def embedded(embeddings: np.ndarray, chosen: list[int], rejected: list[int]) -> PreferencePairs:
    numbers = np.arange(len(chosen))
    return PreferencePairs(
        embeddings.astype(np.float32), np.array(chosen, int), np.array(rejected, int), numbers, 0 * numbers
    )


def degenerate() -> dict[str, PreferencePairs]:
    normal = np.random.default_rng(5).standard_normal
    half_constant = normal((8, 6))
    half_constant[:, ::2] = [0.1, 0.0, -3e5]
    return {
        "one pair": embedded(normal((2, 6)), [0], [1]),
        "all features constant": embedded(np.full((8, 6), 0.1), [0, 1, 2, 3], [4, 5, 6, 7]),
        "half of the features constant": embedded(half_constant, [0, 1, 2, 3], [4, 5, 6, 7]),
        "duplicated responses": embedded(np.repeat(normal((4, 6)), 2, axis=0), [0, 2, 4, 6], [1, 5, 3, 0]),
        "contradicting pairs": embedded(normal((4, 6)), [0, 1, 2, 3], [1, 0, 3, 2]),
        "more features than pairs": embedded(normal((8, 60)), [0, 1, 2, 3], [4, 5, 6, 7]),
        "no validation": replace(testing.toy(n_prompts=10).pairs, validation=None),
        "empty validation": replace(testing.toy(n_prompts=10).pairs, validation=embedded(normal((1, 16)), [], [])),
    }


@every_baseline
@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("case", degenerate())
def test_degenerate_pairs_give_finite_rewards_without_warnings(method, case, validated):
    """Small and odd tasks rely on it; a warning is an error here."""
    pairs = degenerate()[case]
    embeddings = np.random.default_rng(6).standard_normal((30, pairs.n_features)).astype(np.float32)
    given = replace(pairs, validation=pairs) if validated else pairs
    rewards = rewards_of(method.make, given, embeddings)
    assert rewards.shape == (30,)
    assert np.isfinite(rewards).all()


@every_baseline
def test_separable_pairs_are_learnt_without_validation(method):
    """Validation pairs help to stop and to choose; a method that is given none still has to learn."""
    toy = testing.toy()
    rewards = rewards_of(method.make, replace(toy.pairs, validation=None), toy.embeddings)
    assert toy.accuracy(rewards) > 0.9


@every_baseline
def test_training_responses_that_are_all_alike_give_equal_rewards(method):
    embeddings = np.random.default_rng(6).standard_normal((30, 6)).astype(np.float32)
    rewards = rewards_of(method.make, degenerate()["all features constant"], embeddings)
    np.testing.assert_array_equal(rewards, rewards[0])


@every_baseline
@pytest.mark.parametrize("width", [15, 17])
def test_another_width_is_refused_by_an_error_that_names_both(method, width):
    model = method.make().fit(testing.toy(n_prompts=10).pairs, rng=np.random.default_rng(0))
    with pytest.raises(ContractError, match=rf"{method.name}.*\(n, 16\).*\(3, {width}\)"):
        model.reward(np.zeros((3, width), np.float32))


# Scaling and mean-difference


@pytest.mark.parametrize("constant", [0.0, 0.1, -3e5, 1e-20])
@pytest.mark.parametrize("rounded", [False, True], ids=["exact", "but for its last bit"])
def test_a_constant_feature_is_mapped_to_zero(constant, rounded):
    """Divided by the deviation that rounding leaves it, its noise would count as much as any feature."""
    feature = np.full(1001, constant, np.float32)
    if rounded and constant:
        feature[::2] = np.nextafter(feature[::2], np.float32(np.inf))
    scaling = Scaling.of(feature[:, None])
    assert not scaling(np.array([[constant], [7.0]], np.float32), "test").any()


def test_standardised_training_responses_have_mean_zero_and_deviation_one():
    embeddings = (np.random.default_rng(0).standard_normal((500, 3)) * [1e-3, 1, 1e3] + [1, 2, 3]).astype(np.float32)
    scaled = Scaling.of(embeddings)(embeddings, "test").astype(np.float64)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-4)


def test_mean_difference_is_what_one_computes_by_hand():
    """The features have means (1, 2), deviations (1, 2); the standardised differences are (2, 0) and (0, 2)."""
    pairs = embedded(np.array([[0.0, 0], [2, 0], [0, 4], [2, 4]]), [1, 3], [0, 1])
    rewards = rewards_of(MeanDifference, pairs, np.array([[3, 10], [1, 2], [1, 0]], np.float32))
    np.testing.assert_allclose(rewards, [2 * 1 + 4 * 1, 0, -1])


# bt-linear


def noisy_differences(n: int = 300, d: int = 7) -> np.ndarray:
    rng = np.random.default_rng(3)
    differences = rng.standard_normal((n, d)) * np.linspace(0.3, 3, d)
    chosen_first = rng.random(n) < expit(differences @ np.linspace(-1, 1, d))
    return np.where(chosen_first[:, None], differences, -differences)


def objective(differences: np.ndarray, weights: np.ndarray, penalty: float) -> float:
    return loss(differences, weights) + penalty / 2 * float(weights @ weights)


@pytest.mark.parametrize("penalty", [1.0, 0.03, 1e-4])
def test_newton_finds_the_optimum_that_scikit_learn_finds(penalty):
    """Pairs and their mirror images are two classes; its C weighs a sum over both copies."""
    differences = noisy_differences()
    c = 1 / (2 * len(differences) * penalty)
    oracle = LogisticRegression(C=c, fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    oracle.fit(np.vstack([differences, -differences]), np.repeat([1, 0], len(differences)))
    found = newton(differences, penalty, np.zeros(differences.shape[1]))
    np.testing.assert_allclose(found, oracle.coef_[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("penalty", [1.0, 1e-3])
@pytest.mark.parametrize("separable", [False, True])
def test_the_objective_is_flat_where_newton_stops(penalty, separable):
    """Its gradient is right, by finite differences, where it calls it zero: on separable pairs too."""
    differences = noisy_differences()
    if separable:
        differences *= np.sign(differences[:, :1])
    weights = newton(differences, penalty, np.zeros(differences.shape[1]))
    flat = slopes(lambda: objective(differences, weights, penalty), weights, step=1e-5)
    np.testing.assert_allclose(flat, 0, atol=1e-7)  # its tolerance, times the root of the largest curvature


def test_newton_descends_from_any_start():
    """A full step from afar overshoots; halved steps come back. The warm start of the path relies on it."""
    differences = noisy_differences()
    near = newton(differences, 0.01, np.zeros(differences.shape[1]))
    for scale in (1, 30, 1000):
        far = scale * np.random.default_rng(scale).standard_normal(differences.shape[1])
        np.testing.assert_allclose(newton(differences, 0.01, far), near, rtol=0, atol=1e-6)


def test_the_penalty_of_the_least_validation_loss_is_kept():
    """Stopping the path early finds what trying all penalties finds."""
    pairs = testing.toy(n_prompts=20, flips=0.2).pairs
    model = BradleyTerryLinear().fit(pairs, rng=np.random.default_rng(0))
    train, validation = model._differences(pairs), model._differences(pairs.validation)
    losses = {p: loss(validation, newton(train, p, np.zeros(train.shape[1]))) for p in model.penalties}
    assert model.penalty == min(losses, key=losses.get)
    assert min(model.penalties) < model.penalty < max(model.penalties)


def test_without_validation_the_largest_penalty_is_kept():
    pairs = replace(testing.toy(n_prompts=20).pairs, validation=None)
    model = BradleyTerryLinear(penalties=(0.1, 3.0, 0.5)).fit(pairs, rng=np.random.default_rng(0))
    assert model.penalty == 3.0


# bt-mlp


def network(sizes: tuple[int, ...] = (5, 7, 4)) -> list[np.ndarray]:
    """Return layers in float64 with biases that are not zero and a head of the size of the rest."""
    rng = np.random.default_rng(1)
    return [rng.normal(0, 0.5, layer.shape) for layer in initial(list(sizes), rng)]


@pytest.mark.parametrize("sizes", [(5, 7, 4), (5, 6), (5,)], ids=["two hidden layers", "one", "none"])
def test_the_networks_gradient_is_that_of_finite_differences(sizes):
    rng, layers = np.random.default_rng(2), network(sizes)
    embeddings, slope = rng.standard_normal((9, 5)), rng.standard_normal(9)
    gradients = backward(layers, forward(layers, embeddings)[1], slope)
    assert len(gradients) == len(layers)
    for layer, gradient in zip(layers, gradients, strict=True):
        numeric = slopes(lambda: slope @ forward(layers, embeddings)[0], layer)
        np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-7)


@pytest.mark.parametrize("size", [1.0, 100.0], ids=["usual rewards", "saturated rewards"])
def test_the_slope_of_the_pair_loss_is_that_of_finite_differences(size):
    """A response in several pairs gathers their slopes; rewards have no origin, so that slopes sum to zero."""
    rewards = size * np.random.default_rng(0).standard_normal(6)
    chosen, rejected = np.array([0, 0, 1, 4, 3]), np.array([1, 2, 2, 3, 0])
    _, slope = pair_loss(rewards, chosen, rejected)
    numeric = slopes(lambda: pair_loss(rewards, chosen, rejected)[0], rewards)
    np.testing.assert_allclose(slope, numeric, rtol=0, atol=1e-7)
    assert slope[5] == 0
    assert abs(slope.sum()) < 1e-6


def test_the_pair_loss_of_equal_rewards_is_the_logarithm_of_two():
    value, slope = pair_loss(np.zeros(4), np.array([0, 2]), np.array([1, 3]))
    assert value == pytest.approx(np.log(2))
    np.testing.assert_allclose(slope, [-0.25, 0.25, -0.25, 0.25])


def test_each_distinct_response_of_a_batch_goes_forward_once(monkeypatch):
    """The speed of the method rests on it: 20 prompts have 80 responses in 60 pairs, not 120."""
    pairs, seen = replace(testing.toy(n_prompts=20).pairs, validation=None), []

    def counted(layers, embeddings):
        seen.append(embeddings)
        return forward(layers, embeddings)

    monkeypatch.setattr(bt_mlp, "forward", counted)
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
    Adam(learning_rate=0.01, decay=2.0).step([layer], [gradient])
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


def test_the_layers_of_the_best_validation_epoch_are_kept(monkeypatch):
    """Training goes on for as many epochs as patience says, and forgets them."""
    pairs, losses = testing.toy(n_prompts=40, flips=0.2).pairs, []
    measure = BradleyTerryMLP._validation_loss

    def recorded(model, validation, layers):
        losses.append(measure(model, validation, layers))
        return losses[-1]

    monkeypatch.setattr(BradleyTerryMLP, "_validation_loss", recorded)
    model = BradleyTerryMLP(learning_rate=0.003, batch=64, patience=4).fit(pairs, rng=np.random.default_rng(0))
    best = int(np.argmin(losses))
    assert best > 1
    assert len(losses) - 1 - best == model.patience
    assert measure(model, pairs.validation, model.layers) == losses[best]


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
    ],
)
def test_bt_mlp_refuses_parameters_that_are_no_sizes_counts_or_rates(wrong):
    with pytest.raises(RmsuiteError, match=f"bt-mlp, parameter {next(iter(wrong))}: expected"):
        BradleyTerryMLP(**wrong)
