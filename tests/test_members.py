"""The rules that combine the rewards of members. Who compares conservative ensembles relies on them."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from rmsuite.errors import RmsuiteError
from rmsuite_baselines.members import RULES, Members, Rule


def drawn(n_members: int = 5, n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n_members, n)) * 3


@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_each_rule_is_what_one_computes_by_hand(weight):
    """The oracle is Python's statistics, one response at a time; the variance has the divisor k."""
    members = drawn()
    oracles = {
        "mean": statistics.fmean,
        "median": statistics.median,
        "wco": min,
        "uwo": lambda r: statistics.fmean(r) - weight * statistics.pvariance(r),
        "lcb": lambda r: statistics.fmean(r) - weight * statistics.pstdev(r),
    }
    assert set(oracles) == set(RULES)
    for rule, oracle in oracles.items():
        expected = [oracle(column) for column in members.T.tolist()]
        np.testing.assert_allclose(Rule(rule, weight)(members), expected, rtol=1e-12, atol=1e-12)


def test_the_example_of_three_members():
    """By hand: rewards 1, 2, 6 have mean 3, variance (4 + 1 + 9) / 3 and median 2."""
    members = np.array([[1.0], [2.0], [6.0]])
    found = {rule: float(Rule(rule, 0.3)(members)[0]) for rule in RULES}
    by_hand = {"mean": 3.0, "median": 2.0, "wco": 1.0, "uwo": 3 - 0.3 * 14 / 3, "lcb": 3 - 0.3 * (14 / 3) ** 0.5}
    assert found == pytest.approx(by_hand)


@pytest.mark.parametrize("rule", ["uwo", "lcb"])
def test_without_weight_a_penalty_is_none(rule):
    np.testing.assert_array_equal(Rule(rule, 0)(drawn()), Rule("mean")(drawn()))


@pytest.mark.parametrize("rule", ["uwo", "lcb", "wco"])
def test_a_conservative_reward_is_at_most_the_mean(rule):
    assert (Rule(rule)(drawn()) < Rule("mean")(drawn())).all()


@pytest.mark.parametrize("rule", RULES)
def test_the_order_of_the_members_is_irrelevant(rule):
    members = drawn()
    for seed in range(5):
        moved = np.random.default_rng(seed).permutation(members)
        np.testing.assert_allclose(Rule(rule)(moved), Rule(rule)(members), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_members_that_agree_are_one_member(rule):
    """Disagreement is all that is penalised."""
    one = drawn(1)
    np.testing.assert_allclose(Rule(rule)(np.repeat(one, 5, axis=0)), one[0], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(Rule(rule)(one), one[0])


@pytest.mark.parametrize("rule", RULES)
def test_moving_all_rewards_moves_the_combination(rule):
    """Rewards have no origin; the rules know none."""
    np.testing.assert_allclose(Rule(rule)(drawn() + 7), Rule(rule)(drawn()) + 7, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", ["mean", "median", "wco", "lcb"])
def test_all_rules_but_the_variance_keep_the_unit(rule):
    np.testing.assert_allclose(Rule(rule)(drawn() * 100), Rule(rule)(drawn()) * 100, rtol=0, atol=1e-9)


def test_one_wild_member_of_five_does_not_move_the_median_beyond_the_others():
    members = drawn()
    members[2] = 1e6
    others = np.delete(members, 2, axis=0)
    assert (Rule("median")(members) <= others.max(axis=0)).all()


def test_the_uncertainty_is_the_deviation_over_members():
    class Fixed(Members):
        rule, weight = "wco", 0.5

        def member_rewards(self, embeddings):
            return embeddings.T

    model, embeddings = Fixed(), drawn().T
    expected = [statistics.pstdev(row) for row in embeddings.tolist()]
    np.testing.assert_allclose(model.uncertainty(embeddings), expected)
    np.testing.assert_allclose(model.uncertainty(np.repeat(embeddings[:, :1], 5, axis=1)), 0, atol=1e-12)
    np.testing.assert_array_equal(model.reward(embeddings), embeddings.min(axis=1))


@pytest.mark.parametrize(
    ("rule", "weight", "named"), [("max", 0.5, "rule"), ("uwo", -1, "weight"), (None, 0.5, "rule")]
)
def test_rules_out_of_range_are_refused(rule, weight, named):
    with pytest.raises(RmsuiteError, match=f"parameter {named}: expected"):
        Rule(rule, weight)
