"""What a policy chooses among, and what it is as a function of embeddings. Whoever trains one relies on it."""

from __future__ import annotations

import numpy as np
import policy_examples as examples
import pytest
from differences import slopes

from rmsuite.errors import ContractError
from rmsuite.policies import (
    Choices,
    Policy,
    Scale,
    Step,
    of_generators,
)
from rmsuite.policies.adam import Adam
from rmsuite.policies.networks import WIDTH, columns, zero
from rmsuite.policies.segments import Segments


def streams(n: int, seed: int = 0) -> list[np.random.Generator]:
    return np.random.default_rng(seed).spawn(n)


def test_what_an_optimizer_is_shown_is_read_only():
    """Otherwise what a line of its own overwrites would go into the next step without a word."""
    given = examples.make_situation()
    step = Step(given, ())
    shown = (step.log_ratio, step.probabilities, given.rewards, step.every(), step.choices.embeddings)
    for array in (*shown, step.choices.log_reference, step.choices.offsets, step.choices.prompt_embeddings):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0


@pytest.mark.parametrize("shape", [(), (3,)])
def test_segment_operations_are_those_of_a_loop(shape):
    segments = Segments(np.array([0, 3, 4, 8, 10]))
    values = np.round(np.random.default_rng(0).standard_normal((10, *shape)), 1)
    values[[1, 6]] = -np.inf
    finite = np.where(np.isfinite(values), values, 9)
    each = examples.parts(segments)
    loops = {
        segments.total: (finite, [finite[p].sum(axis=0) for p in each]),
        segments.mean: (finite, [finite[p].mean(axis=0) for p in each]),
        segments.largest: (values, [values[p].max(axis=0) for p in each]),
        segments.argmax: (values, [p.start + values[p].argmax(axis=0) for p in each]),
        segments.log_sum_exp: (values, [np.log(np.exp(values[p]).sum(axis=0)) for p in each]),
    }
    for operation, (given, expected) in loops.items():
        np.testing.assert_allclose(operation(given), expected, rtol=1e-12)
    np.testing.assert_allclose(segments.total(segments.softmax(values)), 1)
    sums = np.concatenate([np.cumsum(finite[p], axis=0) for p in each])
    np.testing.assert_array_equal(segments.cumulative(finite), sums)
    np.testing.assert_array_equal(segments.rows_of(np.array([2, 0])), [4, 5, 6, 7, 0, 1, 2])


def test_logits_of_any_size_are_no_overflow():
    segments = Segments(np.array([0, 2, 4]))
    logits = np.array([1e300, 0, -1e300, -np.inf])
    assert segments.softmax(logits).tolist() == [1, 0, 1, 0]


def test_the_first_of_equal_responses_is_the_greedy_one():
    assert Segments(np.array([0, 3, 5])).argmax(np.array([1.0, 2, 2, 0, 0])).tolist() == [1, 3]


def test_samples_come_as_often_as_they_are_probable_and_never_if_they_are_not():
    segments = Segments(np.array([0, 4, 5, 8]))
    p = np.array([[0.5, 0, 0.5, 0], [0.1, 0.2, 0.3, 0.4]]).T
    p = np.concatenate([p, [[1, 1]], [[0, 0.25], [1, 0.5], [0, 0.25]]])
    k = 20000
    rows = segments.sample(p, streams(2), k)
    assert rows.shape == (k, 3, 2)
    share = np.stack([np.bincount(rows[..., s].ravel(), minlength=8) for s in range(2)], axis=1) / k
    assert (np.abs(share - p) <= 5 * np.sqrt(p * (1 - p) / k)).all()
    assert not share[p == 0].any()


def test_a_point_on_the_beginning_falls_on_a_response_that_has_a_chance():
    """A generator may return 0."""

    class First:
        def random(self, shape):
            return np.zeros(shape)

    p = np.array([0, 1.0, 0, 0.5, 0.5])[:, None]
    assert Segments(np.array([0, 2, 5])).sample(p, [First()], 1)[0, :, 0].tolist() == [1, 3]


def test_a_point_on_the_end_falls_on_a_response_that_has_a_chance():
    """A generator may return the number next to one, and sums are rounded."""

    class Last:
        def random(self, shape):
            return np.full(shape, np.nextafter(1, 0))

    segments = Segments(np.array([0, 2, 5, 7]))
    p = np.array([0.3, 0.7, 1 / 3, 2 / 3, 0, 1, 0])[:, None]
    assert segments.sample(p, [Last()], 1)[0, :, 0].tolist() == [1, 3, 5]


def test_a_reference_by_generators_draws_the_generator_first():
    offsets = np.array([0, 3, 5])
    reference = Choices(
        offsets, np.zeros((5, 1)), of_generators(offsets, np.array([0, 0, 1, 2, 1]), [1, 3, 0])
    ).reference
    np.testing.assert_allclose(reference, [0.125, 0.125, 0.75, 0, 1])


def test_choices_that_are_taken_keep_their_reference_to_the_bit():
    choices = examples.make_choices()
    taken = choices.take(np.array([4, 0, 1]))
    rows = choices.prompts.rows_of(np.array([4, 0, 1]))
    np.testing.assert_array_equal(taken.log_reference, choices.log_reference[rows])
    np.testing.assert_array_equal(taken.embeddings, choices.embeddings[rows])
    np.testing.assert_array_equal(taken.prompts.sizes, [5, 3, 1])
    np.testing.assert_array_equal(taken.take(np.arange(3)).log_reference, taken.log_reference)


def test_a_scale_gives_features_mean_zero_and_variance_one():
    choices = examples.make_choices()
    shifted = Choices(choices.offsets, np.column_stack([choices.embeddings * 7 + 3, np.full(15, 0.1)]), np.zeros(15))
    scaled = Scale.of(shifted)(shifted).embeddings
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), [1] * 6 + [0])


WRONG = {
    "no response": (lambda: Segments(np.array([0, 2, 2])), "leave empty prompts out"),
    "no prompt": (lambda: Segments(np.array([0])), "for one prompt or more"),
    "offsets not from 0": (lambda: Segments(np.array([1, 2])), "whole numbers from 0"),
    "a missing row": (lambda: Choices(np.array([0, 2]), np.zeros((1, 3)), np.zeros(2)), r"shape \(2, n_features\)"),
    "a NaN embedding": (lambda: Choices(np.array([0, 2]), np.array([[1.0], [np.nan]]), np.zeros(2)), "NaN in row 1"),
    "a long reference": (lambda: Choices(np.array([0, 2]), np.zeros((2, 3)), np.zeros(3)), r"got shape \(3,\)"),
    "a NaN reference": (lambda: Choices(np.array([0, 1]), np.zeros((1, 3)), np.array([np.nan])), "got nan in row 0"),
    "no chance": (lambda: Choices(np.array([0, 1]), np.zeros((1, 3)), np.array([-np.inf])), "none of prompt 0"),
    "a negative weight": (lambda: of_generators(np.array([0, 1]), np.array([0]), np.array([-1.0])), "one weight"),
    "a missing weight": (lambda: of_generators(np.array([0, 1]), np.array([1]), np.array([1.0])), "2 finite weights"),
}


@pytest.mark.parametrize(("make", "message"), WRONG.values(), ids=WRONG)
def test_choices_that_are_none_are_refused(make, message):
    with pytest.raises(ContractError, match=message):
        make()


def test_a_policy_of_zeros_is_the_reference():
    choices = examples.make_choices()
    for hidden in (0, 4):
        policy = Policy(zero(6, hidden, streams(2), np.float64))
        np.testing.assert_allclose(policy.log_ratio(choices), 0, atol=1e-15)
        np.testing.assert_allclose(np.exp(policy.log_probabilities(choices)), choices.reference[:, None].repeat(2, 1))


def random_policy(hidden: int, n_seeds: int = 2) -> Policy:
    network, rng = zero(6, hidden, streams(n_seeds), np.float64), np.random.default_rng(9)
    for layer in network.layers:
        layer += 0.5 * rng.standard_normal(layer.shape)
    return Policy(network)


@pytest.mark.parametrize("hidden", [0, 4])
def test_the_slope_of_a_policy_is_that_of_finite_differences(hidden):
    choices, policy = examples.make_choices(), random_policy(hidden)
    coefficients = np.random.default_rng(1).standard_normal((15, 2))
    found = policy.backward(choices, coefficients)
    for layer, gradient in zip(policy.network.layers, found, strict=True):
        numeric = slopes(lambda: (coefficients * policy.logits(choices)).sum(), layer)
        np.testing.assert_allclose(gradient, numeric, atol=1e-7)
        assert gradient.shape == layer.shape


@pytest.mark.parametrize("hidden", [0, 4])
def test_a_policy_is_a_distribution_over_each_prompt_and_its_ratio_that_to_the_reference(hidden):
    choices, policy = examples.make_choices(), random_policy(hidden)
    expected = choices.prompts.log_softmax(policy.logits(choices))
    np.testing.assert_allclose(policy.log_probabilities(choices), expected, atol=1e-12)
    np.testing.assert_allclose(policy.log_ratio(choices), expected - choices.log_reference[:, None], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(7, 3), (100, 16), (777, 129), (5000, 64)])
def test_a_column_of_a_product_does_not_depend_on_the_others(shape, dtype):
    rng = np.random.default_rng(0)
    matrix, vectors = rng.standard_normal(shape).astype(dtype), rng.standard_normal((shape[1], WIDTH + 3)).astype(dtype)
    found = columns(matrix, vectors)
    np.testing.assert_allclose(found, matrix @ vectors, rtol=1e-4, atol=1e-4)
    for s in range(vectors.shape[1]):
        np.testing.assert_array_equal(found[:, s], columns(matrix, vectors[:, s : s + 1])[:, 0])


def test_adam_goes_up_by_the_learning_rate_at_first_and_decays():
    layer = np.array([1.0, -2, 3])
    Adam(0.1, weight_decay=0.5).ascend([layer], [np.array([1e-3, -50, 0])])
    np.testing.assert_allclose(layer, np.array([1.0, -2, 3]) * 0.95 + [0.1, -0.1, 0], rtol=1e-4)


def test_adam_goes_by_weighted_means_of_the_gradients_and_of_their_squares():
    """The formula of the paper, with its corrections written out."""
    gradients, layer, adam = [0.5, -3.0, 2.0], np.zeros(1), Adam(0.1)
    for n, gradient in enumerate(gradients, start=1):
        before = layer.copy()
        adam.ascend([layer], [np.array([gradient])])
        ages = np.arange(n)[::-1]
        first = (0.1 * 0.9**ages) @ gradients[:n] / (1 - 0.9**n)
        second = (0.001 * 0.999**ages) @ np.square(gradients[:n]) / (1 - 0.999**n)
        np.testing.assert_allclose(layer - before, 0.1 * first / np.sqrt(second), rtol=1e-5)
