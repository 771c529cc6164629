"""Linear methods against scikit-learn and choix, their derivatives by finite differences, and rows read in blocks.

bt-linear, clf-linear and whoever else takes ``Logistic.optimum`` as exact rely on it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from differences import slopes
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from rmsuite import testing
from rmsuite.errors import RmsuiteError
from rmsuite_baselines import logistic, rows
from rmsuite_baselines.bt_linear import BradleyTerryLinear, differences
from rmsuite_baselines.clf_linear import ClassifierLinear, labels
from rmsuite_baselines.logistic import Logistic, Margins
from rmsuite_baselines.rows import Rows
from rmsuite_baselines.scaling import Scaling

N_RESPONSES, N_PAIRS, N_FEATURES = 90, 300, 7


def held(matrix: np.ndarray) -> Rows:
    return Rows(matrix, matrix.shape[1], "float64")


def optimum(rows: Rows, margins: Margins, penalty: float, start: np.ndarray | None = None) -> np.ndarray:
    return Logistic(rows, margins).optimum(penalty, np.zeros(rows.n_features) if start is None else start)


def noisy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return responses and Bradley-Terry pairs among them, some of them more than once."""
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((N_RESPONSES, N_FEATURES)) * np.linspace(0.3, 3, N_FEATURES)
    first = rng.integers(0, N_RESPONSES, N_PAIRS)
    second = (first + rng.integers(1, 5, N_PAIRS)) % N_RESPONSES
    rewards = matrix @ np.linspace(-1, 1, N_FEATURES)
    right = rng.random(N_PAIRS) < expit(rewards[first] - rewards[second])
    return matrix, np.where(right, first, second), np.where(right, second, first)


def separable() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    matrix, chosen, rejected = noisy()
    right = matrix[chosen, 0] > matrix[rejected, 0]
    return matrix, np.where(right, chosen, rejected), np.where(right, rejected, chosen)


def problem(kind: str = "pairs", given=noisy) -> tuple[Rows, Margins]:
    matrix, chosen, rejected = given()
    return held(matrix), (differences if kind == "pairs" else labels)(chosen, rejected)


every_kind = pytest.mark.parametrize("kind", ["pairs", "points"])


# Optima against oracles


@pytest.mark.parametrize("penalty", [1.0, 0.03, 1e-4])
def test_the_optimum_of_pairs_is_that_of_scikit_learn_on_differences(penalty):
    """Pairs and their mirror images are two classes; its C weighs a sum over both copies."""
    matrix, chosen, rejected = noisy()
    given = matrix[chosen] - matrix[rejected]
    oracle = LogisticRegression(C=1 / (2 * N_PAIRS * penalty), fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    oracle.fit(np.vstack([given, -given]), np.repeat([1, 0], N_PAIRS))
    found = optimum(held(matrix), differences(chosen, rejected), penalty)
    np.testing.assert_allclose(found, oracle.coef_[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("penalty", [1.0, 0.03, 1e-4])
def test_the_optimum_of_points_is_that_of_scikit_learn_on_all_points_one_by_one(penalty):
    """Counting a response as often as it is chosen and rejected is the same as repeating it."""
    matrix, chosen, rejected = noisy()
    oracle = LogisticRegression(C=1 / (2 * N_PAIRS * penalty), fit_intercept=False, solver="newton-cholesky", tol=1e-12)
    oracle.fit(np.vstack([matrix[chosen], matrix[rejected]]), np.repeat([1, 0], N_PAIRS))
    found = optimum(held(matrix), labels(chosen, rejected), penalty)
    np.testing.assert_allclose(found, oracle.coef_[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_one_feature_an_item_is_bradley_terry_on_items(alpha):
    """choix minimises the sum of the losses plus alpha times the squared parameters."""
    choix = pytest.importorskip("choix")
    _, chosen, rejected = noisy()
    winners_first = list(zip(chosen.tolist(), rejected.tolist(), strict=True))
    oracle = choix.opt_pairwise(N_RESPONSES, winners_first, alpha=alpha, method="Newton-CG", tol=1e-10)
    found = optimum(held(np.eye(N_RESPONSES)), differences(chosen, rejected), 2 * alpha / N_PAIRS)
    np.testing.assert_allclose(found, oracle, rtol=0, atol=1e-5)


def test_two_items_have_the_log_odds_of_their_wins():
    """By hand: of four comparisons one item wins three; without a penalty the rewards differ by log 3."""
    found = optimum(held(np.eye(2)), differences(np.array([0, 0, 0, 1]), np.array([1, 1, 1, 0])), 1e-10)
    np.testing.assert_allclose(found, [np.log(3) / 2, -np.log(3) / 2], rtol=0, atol=1e-6)


# The search


@every_kind
@pytest.mark.parametrize("penalty", [1.0, 1e-3])
@pytest.mark.parametrize("given", [noisy, separable])
def test_the_objective_is_flat_where_the_search_stops(kind, penalty, given):
    """By finite differences: on separable pairs too."""
    x, margins = problem(kind, given)
    weights = optimum(x, margins, penalty)
    whole = Logistic(x, margins)
    flat = slopes(lambda: whole.value(weights, x.times(weights), penalty), weights, step=1e-5)
    np.testing.assert_allclose(flat, 0, atol=1e-7)


@every_kind
def test_the_gradient_is_that_of_finite_differences(kind):
    x, margins = problem(kind)
    whole, weights = Logistic(x, margins), np.random.default_rng(1).standard_normal(N_FEATURES)
    numeric = slopes(lambda: whole.value(weights, x.times(weights), 0.3), weights)
    np.testing.assert_allclose(whole.gradient(weights, x.times(weights), 0.3), numeric, rtol=0, atol=1e-8)


@every_kind
def test_the_curvature_of_all_margins_times_a_vector_is_the_change_of_the_gradient(kind, monkeypatch):
    monkeypatch.setattr(logistic, "SAMPLE", 1000)
    x, margins = problem(kind)
    whole, vector = Logistic(x, margins), np.random.default_rng(1).standard_normal(N_FEATURES)
    ahead, behind = (whole.gradient(w, x.times(w), 0.0) for w in (1e-5 * vector, -1e-5 * vector))
    np.testing.assert_allclose(whole.curvature @ vector, (ahead - behind) / 2e-5, rtol=0, atol=1e-8)


@pytest.mark.parametrize("sample", [1, 4, 1000])
def test_the_optimum_does_not_depend_on_how_much_of_the_curvature_is_sampled(sample, monkeypatch):
    expected = optimum(*problem(), 0.01)
    monkeypatch.setattr(logistic, "SAMPLE", sample)
    np.testing.assert_allclose(optimum(*problem(), 0.01), expected, rtol=0, atol=1e-8)


@every_kind
def test_the_search_descends_from_any_start(kind):
    """From afar all margins are saturated, and a full step overshoots. The warm start of the path relies on it."""
    x, margins = problem(kind)
    near = optimum(x, margins, 0.01)
    for scale in (1, 30, 1000):
        far = scale * np.random.default_rng(scale).standard_normal(N_FEATURES)
        np.testing.assert_allclose(optimum(x, margins, 0.01, far), near, rtol=0, atol=1e-6)


def test_few_products_with_the_rows_are_enough(monkeypatch):
    """The speed rests on it: the curvature of a sample leaves little to do."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((4000, 60)) * np.arange(1, 61) ** -1.0
    first, second = rng.integers(0, 2000, 8000), rng.integers(2000, 4000, 8000)
    right = matrix[first, 0] + 0.3 * rng.standard_normal(8000) > matrix[second, 0]
    pairs = differences(np.where(right, first, second), np.where(right, second, first))
    calls, gather = [], Rows.gather
    monkeypatch.setattr(Rows, "gather", lambda self, slopes: calls.append(1) or gather(self, slopes))
    optimum(held(matrix), pairs, 1e-3)
    assert len(calls) < 50


# Rows that are too large to be kept


@pytest.fixture
def large(monkeypatch) -> None:
    monkeypatch.setattr(rows, "EXACT", 0)
    monkeypatch.setattr(rows, "KEPT", 0)
    monkeypatch.setattr(rows, "BLOCK", 64)


def test_products_in_blocks_are_products_of_the_standardised_matrix(large):
    """Float16 files that do not fit into memory rely on it."""
    rng = np.random.default_rng(0)
    embeddings = (rng.standard_normal((1000, 5)) * 300 + 900).astype(np.float16)
    scaling = Scaling.of(embeddings)
    lazy, whole = Rows.kept(scaling.lazily(embeddings, "test")), scaling(embeddings, "test").astype(np.float64)
    assert not isinstance(lazy.matrix, np.ndarray)
    weights, slope = rng.standard_normal(5), rng.standard_normal(1000)
    np.testing.assert_allclose(lazy.times(weights), whole @ weights, rtol=0, atol=1e-5)
    np.testing.assert_allclose(lazy.gather(slope), slope @ whole, rtol=0, atol=1e-3)


@pytest.mark.parametrize("make", [BradleyTerryLinear, ClassifierLinear])
def test_a_file_of_float16_gives_the_rewards_of_an_array_in_memory(make, tmp_path, request):
    toy = testing.toy(n_prompts=40, flips=0.1)
    np.save(tmp_path / "embeddings.npy", toy.pairs.embeddings.astype(np.float16))
    mapped = replace(toy.pairs, embeddings=np.load(tmp_path / "embeddings.npy", mmap_mode="r"))
    memory = replace(toy.pairs, embeddings=mapped.embeddings.astype(np.float32))
    expected = make().fit(memory, rng=np.random.default_rng(0)).reward(toy.embeddings)
    request.getfixturevalue("large")
    found = make().fit(mapped, rng=np.random.default_rng(0)).reward(toy.embeddings)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3 * expected.std())


def test_features_measured_in_blocks_are_those_measured_at_once(monkeypatch):
    embeddings = np.random.default_rng(0).standard_normal((1001, 3)).astype(np.float32) * [1e-3, 1, 1e3] + [1, 2, 3]
    whole = Scaling.of(embeddings)
    monkeypatch.setattr("rmsuite_baselines.scaling.NUMBERS", 100)
    parts = Scaling.of(embeddings)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-6)
    np.testing.assert_allclose(parts.factor, whole.factor, rtol=1e-6)


@pytest.mark.parametrize("make", [BradleyTerryLinear, ClassifierLinear])
def test_the_largest_float16_numbers_give_finite_rewards(make):
    toy = testing.toy(n_prompts=20)
    scaled = (toy.pairs.embeddings / np.abs(toy.pairs.embeddings).max() * 65504).astype(np.float16)
    rewards = make().fit(replace(toy.pairs, embeddings=scaled), rng=np.random.default_rng(0)).reward(scaled)
    assert np.isfinite(rewards).all()


# The path


def test_the_penalty_of_the_least_validation_loss_is_kept():
    """Stopping the path early finds what trying all penalties finds."""
    pairs = testing.toy(n_prompts=20, flips=0.2).pairs
    model = BradleyTerryLinear().fit(pairs, rng=np.random.default_rng(0))
    scaled = [held(model.scaling(p.embeddings, "test").astype(float)) for p in (pairs, pairs.validation)]
    margins = [differences(p.chosen, p.rejected) for p in (pairs, pairs.validation)]
    losses = {p: margins[1].loss(scaled[1].times(optimum(scaled[0], margins[0], p))) for p in model.penalties}
    assert model.penalty == min(losses, key=losses.get)
    assert min(model.penalties) < model.penalty < max(model.penalties)


def test_without_validation_the_largest_penalty_is_kept():
    pairs = replace(testing.toy(n_prompts=20).pairs, validation=None)
    model = BradleyTerryLinear(penalties=(0.1, 3.0, 0.5)).fit(pairs, rng=np.random.default_rng(0))
    assert model.penalty == 3.0


def test_one_penalty_may_be_given_as_a_number():
    pairs = testing.toy(n_prompts=20).pairs
    assert BradleyTerryLinear(penalties=0.2).fit(pairs, rng=np.random.default_rng(0)).penalty == 0.2


@pytest.mark.parametrize("penalties", [(), (0.1, 0.0), -1.0, "0.1", (0.1, float("nan"))])
@pytest.mark.parametrize("make", [BradleyTerryLinear, ClassifierLinear])
def test_penalties_that_have_no_optimum_are_refused(make, penalties):
    with pytest.raises(RmsuiteError, match="penalties"):
        make(penalties=penalties)


def test_the_rewards_of_a_classifier_are_logits():
    """Where the labels are drawn from logits that are linear, the rewards are those logits, but for noise."""
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((40_000, 2)).astype(np.float32)
    positive = rng.random(len(embeddings)) < expit(embeddings @ [1.0, -2.0])
    found = optimum(held(embeddings.astype(float)), labels(np.flatnonzero(positive), np.flatnonzero(~positive)), 1e-8)
    np.testing.assert_allclose(found, [1.0, -2.0], rtol=0, atol=0.1)
