"""The baselines against oracles, by laws, and on degenerate inputs. Every table compares a new method with them.

The contract of ``rmsuite check`` is run on them in ``test_checks``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rmsuite import testing
from rmsuite.data import PreferencePairs, Ratings
from rmsuite.errors import ContractError, NotApplicable, RmsuiteError
from rmsuite_baselines import rmsuite_methods
from rmsuite_baselines.bt_linear import BradleyTerryLinear
from rmsuite_baselines.clf_linear import ClassifierLinear
from rmsuite_baselines.dmoerm import DMoERM
from rmsuite_baselines.gaussian_process import GaussianProcess
from rmsuite_baselines.mean_difference import MeanDifference
from rmsuite_baselines.scaling import Scaling

pytestmark = pytest.mark.usefixtures("one_thread")

METHODS = {method.name: method for method in rmsuite_methods()}
# With its 256 frequencies a fit takes a second: that is done where the stored results are reproduced.
METHODS["bt-gp"] = replace(METHODS["bt-gp"], make=partial(GaussianProcess, n_frequencies=64))
# A parameter that makes another method of it; those that need attribute pairs learn from any pairs with it.
VARIANTS = {
    "dmoerm[attributes=directions]": replace(METHODS["dmoerm"], make=partial(DMoERM, attributes="directions")),
}
every_baseline = pytest.mark.parametrize("method", [*METHODS.values(), *VARIANTS.values()], ids=[*METHODS, *VARIANTS])
linear_baselines = pytest.mark.parametrize("make", [MeanDifference, BradleyTerryLinear, ClassifierLinear])


def rewards_of(make, pairs: PreferencePairs, embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    return make().fit(pairs, rng=np.random.default_rng(seed)).reward(embeddings)


def rewards_or_skip(method, pairs: PreferencePairs, embeddings: np.ndarray) -> np.ndarray:
    """Return rewards; a method that needs more than these pairs have says so, and its test is skipped."""
    try:
        return rewards_of(method.make, pairs, embeddings)
    except NotApplicable as reason:
        pytest.skip(str(reason))


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
    ratings = Ratings(("a", "b"), np.arange(2 * len(embeddings)).reshape(-1, 2) % 5)
    return PreferencePairs(
        embeddings.astype(np.float32),
        np.array(chosen, int),
        np.array(rejected, int),
        numbers,
        0 * numbers,
        ratings=ratings,
    )


def degenerate() -> dict[str, PreferencePairs]:
    normal = np.random.default_rng(5).standard_normal
    half_constant = normal((8, 6))
    half_constant[:, ::2] = [0.1, 0.0, -3e5]
    toy = replace(testing.toy(n_prompts=10).pairs, validation=None)
    largest = np.abs(toy.embeddings).max()
    return {
        "one pair": embedded(normal((2, 6)), [0], [1]),
        "all features constant": embedded(np.full((8, 6), 0.1), [0, 1, 2, 3], [4, 5, 6, 7]),
        "half of the features constant": embedded(half_constant, [0, 1, 2, 3], [4, 5, 6, 7]),
        "duplicated responses": embedded(np.repeat(normal((4, 6)), 2, axis=0), [0, 2, 4, 6], [1, 5, 3, 0]),
        "contradicting pairs": embedded(normal((4, 6)), [0, 1, 2, 3], [1, 0, 3, 2]),
        "more features than pairs": embedded(normal((8, 60)), [0, 1, 2, 3], [4, 5, 6, 7]),
        "float16 near its end": replace(toy, embeddings=(toy.embeddings * (60_000 / largest)).astype(np.float16)),
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
    rewards = rewards_or_skip(method, given, embeddings)
    assert rewards.shape == (30,)
    assert np.isfinite(rewards).all()


LEARNT = {"clf-trees": 0.8}  # steps along axes are far from a line in 16 features


@every_baseline
@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_training_responses_that_are_not_finite_are_refused_by_an_error_that_names_the_row(method, number):
    """An overflow of float16 is found where it is, not as a reward that is not finite."""
    pairs = testing.toy(n_prompts=20).pairs
    embeddings = pairs.embeddings.copy()
    embeddings[[7, 9], [1, 2]] = [number, np.inf]
    with pytest.raises(RmsuiteError, match=r"training responses: expected finite.*2 of 80 rows \(the first is row 7\)"):
        method.make().fit(replace(pairs, embeddings=embeddings), rng=np.random.default_rng(0))


@every_baseline
def test_separable_pairs_are_learnt_without_validation(method):
    """Validation pairs help to stop and to choose; a method that is given none still has to learn."""
    toy = testing.toy()
    rewards = rewards_of(method.make, replace(toy.pairs, validation=None), toy.embeddings)
    assert toy.accuracy(rewards) > LEARNT.get(method.name, 0.9)


@every_baseline
def test_training_responses_that_are_all_alike_give_equal_rewards(method):
    embeddings = np.random.default_rng(6).standard_normal((30, 6)).astype(np.float32)
    rewards = rewards_or_skip(method, degenerate()["all features constant"], embeddings)
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
