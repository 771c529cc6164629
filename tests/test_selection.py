"""Rules of annotation: scores by brute force, and laws that hold for each. Whoever compares label efficiency relies."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from differences import slopes
from scipy.special import expit

from rmsuite_baselines.selection import RIDGE, SELECTORS, Pool, fisher, informativeness

N_RESPONSES, N_PAIRS, N_FEATURES = 40, 60, 5
every_rule = pytest.mark.parametrize("name", SELECTORS)


def pool(seed: int = 0, n_labelled: int = 12, n_features: int = N_FEATURES, **changes: object) -> Pool:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(N_RESPONSES, size=(2, N_PAIRS))
    features = rng.standard_normal((N_RESPONSES, n_features)) * np.linspace(0.3, 3, n_features)
    labelled = rng.permutation(N_PAIRS) < n_labelled
    made = Pool(features, first, second, labelled, 0.3 * features @ rng.standard_normal(n_features))
    return replace(made, **changes)


def chosen(name: str, of: Pool, budget: int = 10, seed: int = 0) -> list[int]:
    return SELECTORS[name].select(of, budget, np.random.default_rng(seed)).tolist()


def by_hand(of: Pool, past: bool) -> tuple[np.ndarray, np.ndarray]:
    """The candidates' p(1 - p) z' M^-1 z, by an explicit inverse and a loop."""
    z = of.features[of.first] - of.features[of.second]
    p = expit(of.rewards[of.first] - of.rewards[of.second])
    in_m = np.flatnonzero(~of.labelled | past)
    matrix = sum((p[i] * (1 - p[i]) * np.outer(z[i], z[i]) for i in in_m), RIDGE * np.eye(z.shape[1]))
    inverse = np.linalg.inv(matrix)
    return of.candidates, np.array([p[i] * (1 - p[i]) * z[i] @ inverse @ z[i] for i in of.candidates])


@pytest.mark.parametrize(("name", "past"), [("d-optimal", False), ("past-d-optimal", True)])
@pytest.mark.parametrize("n_features", [N_FEATURES, 30])
def test_d_optimal_rules_take_the_largest_scores_of_a_brute_force_computation(name, past, n_features):
    of = pool(n_features=n_features)
    candidates, scores = by_hand(of, past)
    assert set(chosen(name, of)) == set(candidates[np.argsort(-scores)[:10]].tolist())
    information = fisher(of, np.arange(N_PAIRS) if past else of.candidates)
    np.testing.assert_allclose(informativeness(of, of.candidates, information), scores, rtol=1e-5)


def test_scores_are_the_slopes_of_log_det_in_the_weights_of_the_pairs():
    of = pool()
    z, curvature = of.differences(of.candidates), of.curvature(of.candidates)
    weights = np.ones(len(z))

    def log_det() -> float:
        return np.linalg.slogdet((z * (weights * curvature)[:, None]).T @ z + RIDGE * np.eye(N_FEATURES))[1]

    scores = informativeness(of, of.candidates, fisher(of, of.candidates))
    np.testing.assert_allclose(scores, slopes(log_det, weights), atol=1e-6)


def test_without_a_past_the_past_tells_nothing():
    of = pool(labelled=np.zeros(N_PAIRS, bool))
    assert chosen("d-optimal", of) == chosen("past-d-optimal", of)
    assert chosen("d-optimal", pool()) != chosen("past-d-optimal", pool())


def test_blocks_of_pairs_add_up(monkeypatch):
    of = pool()
    whole = fisher(of, of.candidates), informativeness(of, of.candidates, np.eye(N_FEATURES))
    monkeypatch.setattr("rmsuite_baselines.selection.PAIRS", 7)
    np.testing.assert_allclose(fisher(of, of.candidates), whole[0], rtol=1e-12)
    np.testing.assert_allclose(informativeness(of, of.candidates, np.eye(N_FEATURES)), whole[1], rtol=1e-12)


def test_the_greedy_rule_takes_each_time_what_adds_most_to_log_det():
    """The oracle computes log det anew for every candidate at every step."""
    of = pool(n_labelled=20)
    z, curvature = of.differences(np.arange(N_PAIRS)), of.curvature(np.arange(N_PAIRS))
    taken = np.flatnonzero(of.labelled).tolist()
    for found in chosen("greedy-d-optimal", of):
        gains = np.full(N_PAIRS, -np.inf)
        for i in set(range(N_PAIRS)) - set(taken):
            some = [*taken, i]
            gains[i] = np.linalg.slogdet((z[some].T * curvature[some]) @ z[some] + RIDGE * np.eye(N_FEATURES))[1]
        assert found == np.argmax(gains)
        taken.append(found)


def test_one_shot_takes_copies_of_the_best_pair_and_the_greedy_rule_does_not():
    """The known weakness of the released rule."""
    of = pool(labelled=np.zeros(N_PAIRS, bool))
    features = np.vstack([of.features, 100 * np.ones(N_FEATURES)])  # unlike all others, and in two pairs
    first = np.concatenate([[N_RESPONSES, N_RESPONSES], of.first[2:]])
    second = np.concatenate([[0, 0], of.second[2:]])
    of = replace(of, features=features, first=first, second=second, rewards=np.zeros(N_RESPONSES + 1))
    assert {0, 1} <= set(chosen("d-optimal", of, 5))
    assert len({0, 1} & set(chosen("greedy-d-optimal", of, 5))) == 1


def test_entropy_takes_the_smallest_gaps_and_max_gap_the_largest():
    of = pool()
    gaps = np.abs(of.rewards[of.first] - of.rewards[of.second])
    order = of.candidates[np.argsort(gaps[of.candidates])]
    assert set(chosen("entropy", of)) == set(order[:10].tolist())
    assert set(chosen("max-gap", of)) == set(order[-10:].tolist())


def test_the_coreset_takes_each_time_the_pair_farthest_from_its_nearest_neighbour():
    of = pool()
    z = of.differences(np.arange(N_PAIRS))
    apart = np.minimum(*(np.linalg.norm(z[:, None] + sign * z, axis=2) for sign in (1, -1)))
    taken = np.flatnonzero(of.labelled).tolist()
    for found in chosen("coreset", of):
        nearest = apart[:, taken].min(axis=1)
        nearest[taken] = -1
        assert nearest[found] == pytest.approx(nearest.max(), rel=1e-5)
        taken.append(found)


def test_the_random_rule_is_uniform():
    """Each candidate is taken with the same probability; the bound is five standard errors of the rarest count."""
    of = pool()
    rng = np.random.default_rng(0)
    counts = sum(np.bincount(SELECTORS["random"].select(of, 10, rng), minlength=N_PAIRS) for _ in range(4000))
    share = 10 / len(of.candidates)
    assert not counts[of.labelled].any()
    deviation = np.abs(counts[of.candidates] - 4000 * share)
    assert deviation.max() < 5 * np.sqrt(4000 * share * (1 - share))


# Laws of every rule


def test_a_pool_has_no_field_for_a_label():
    """What a rule is not given it cannot use."""
    assert {field.name for field in fields(Pool)} == {"features", "first", "second", "labelled", "rewards"}


@every_rule
@pytest.mark.parametrize("budget", [1, 10, 48])
def test_exactly_the_budget_is_chosen_each_pair_once_and_none_that_is_labelled(name, budget):
    of = pool()
    found = chosen(name, of, budget)
    assert len(set(found)) == len(found) == budget
    assert not of.labelled[found].any()


@every_rule
def test_which_response_comes_first_and_the_sign_of_rewards_tell_nothing(name):
    """Else the order of rows, or a model of exchanged labels, could say which response is the better."""
    of = pool()
    turned = replace(of, first=of.second, second=of.first)
    assert chosen(name, turned) == chosen(name, of) == chosen(name, replace(of, rewards=-of.rewards))


@every_rule
def test_rules_that_ask_for_no_rewards_need_none(name):
    of = pool()
    without = replace(of, rewards=None)
    if SELECTORS[name].asks:
        with pytest.raises(AssertionError):
            chosen(name, without)
    else:
        assert chosen(name, without) == chosen(name, of)


def odd_pools() -> dict[str, Pool]:
    plain = pool()
    return {
        "nothing labelled": replace(plain, labelled=np.zeros(N_PAIRS, bool)),
        "all features zero": replace(plain, features=np.zeros((N_RESPONSES, N_FEATURES))),
        "all rewards equal": replace(plain, rewards=np.zeros(N_RESPONSES)),
        "rewards far apart": replace(plain, rewards=1e6 * plain.rewards),
        "pairs of a response with itself": replace(plain, second=plain.first),
        "copies of one pair": replace(plain, first=0 * plain.first, second=0 * plain.first + 1),
        "more features than pairs": pool(n_features=200),
        "features of unlike size": replace(plain, features=plain.features * np.logspace(-6, 4, N_FEATURES)),
    }


@every_rule
@pytest.mark.parametrize("case", odd_pools())
def test_odd_pools_are_chosen_from_without_warnings(name, case):
    found = chosen(name, odd_pools()[case])
    assert len(set(found)) == 10
    assert not odd_pools()[case].labelled[found].any()


@every_rule
def test_chance_decides_among_equals_not_their_order(name):
    """The first rows of a pool may be one category."""
    of = replace(pool(), features=np.zeros((N_RESPONSES, N_FEATURES)), rewards=np.zeros(N_RESPONSES))
    assert len({tuple(sorted(chosen(name, of, seed=seed))) for seed in range(5)}) > 1
