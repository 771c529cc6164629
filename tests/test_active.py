"""A method that buys its labels sees no other, and pays for each. Readers of label-efficiency curves rely on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rmsuite import testing
from rmsuite.data import AttributePairs, PreferencePairs, Ratings
from rmsuite.errors import NotApplicable, RmsuiteError
from rmsuite.method import Configured, Method, states_probability, states_uncertainty
from rmsuite_baselines import rmsuite_methods
from rmsuite_baselines.active import Active, make_active
from rmsuite_baselines.bt_linear import BradleyTerryLinear
from rmsuite_baselines.mean_difference import MeanDifference
from rmsuite_baselines.selection import SELECTORS

pytestmark = pytest.mark.usefixtures("one_thread")

every_rule = pytest.mark.parametrize("rule", SELECTORS)


def fitted(pairs: PreferencePairs, seed: int = 0, **parameters: object) -> Active:
    return make_active(**parameters).fit(pairs, rng=np.random.default_rng(seed))


def with_flipped(pairs: PreferencePairs, which: np.ndarray) -> PreferencePairs:
    """The same pairs, some of them with the other label."""
    chosen, rejected = pairs.chosen.copy(), pairs.rejected.copy()
    chosen[which], rejected[which] = pairs.rejected[which], pairs.chosen[which]
    return replace(pairs, chosen=chosen, rejected=rejected)


@every_rule
def test_labels_that_were_not_bought_move_nothing(rule):
    """Neither the choice nor the rewards, in any round."""
    toy = testing.toy(n_prompts=60)
    plain = fitted(toy.pairs, rule=rule, labels=40)
    rest = np.setdiff1d(np.arange(len(toy.pairs)), plain.labelled)
    other = fitted(with_flipped(toy.pairs, rest), rule=rule, labels=40)
    np.testing.assert_array_equal(other.labelled, plain.labelled)
    np.testing.assert_array_equal(other.reward(toy.embeddings), plain.reward(toy.embeddings))


@every_rule
def test_the_first_choice_depends_on_the_labels_of_the_random_share_alone(rule):
    pairs = testing.toy(n_prompts=60).pairs
    plain = fitted(pairs, rule=rule, labels=40, rounds=2)
    flipped = with_flipped(pairs, np.setdiff1d(np.arange(len(pairs)), plain.labelled[:20]))
    np.testing.assert_array_equal(fitted(flipped, rule=rule, labels=40, rounds=2).labelled, plain.labelled)


@every_rule
@pytest.mark.parametrize(("labels", "rounds"), [(40, 5), (41, 4), (3, 5), (1, 1), (179, 3)])
def test_exactly_the_budget_is_labelled_and_no_pair_twice(rule, labels, rounds):
    pairs = testing.toy(n_prompts=60).pairs
    found = fitted(pairs, rule=rule, labels=labels, rounds=rounds).labelled.tolist()
    assert len(found) == len(set(found)) == labels


def test_all_rules_start_from_the_same_random_share():
    """They meet on common random numbers."""
    pairs = testing.toy(n_prompts=60).pairs
    shares = {tuple(fitted(pairs, rule=rule, labels=40).labelled[:8].tolist()) for rule in SELECTORS}
    assert len(shares) == 1


@every_rule
@pytest.mark.parametrize("labels", [180, 10_000])
def test_more_labels_than_pairs_are_all_pairs(rule, labels):
    """The base, fitted on all pairs; the toy has a validation pair for every four."""
    toy = testing.toy(n_prompts=60)
    found = fitted(toy.pairs, rule=rule, labels=labels).reward(toy.embeddings)
    whole = BradleyTerryLinear().fit(toy.pairs, rng=np.random.default_rng(0)).reward(toy.embeddings)
    np.testing.assert_allclose(found, whole, rtol=1e-6, atol=1e-6)


@pytest.fixture
def seen(monkeypatch):
    """The pairs of every fit of the base, which is mean-difference."""
    found: list[PreferencePairs] = []

    class Spy(MeanDifference):
        def fit(self, pairs, *, rng):
            found.append(pairs)
            return super().fit(pairs, rng=rng)

    monkeypatch.setattr("rmsuite.plugins.at_hand", lambda text: Configured(Method("spy", Spy)))
    return found


def test_the_base_sees_bought_labels_only(seen):
    """No attribute and no rating either: they tell of quality too. Validation pairs are bought with the others."""
    pairs = testing.toy(n_prompts=60).pairs
    n = len(pairs)
    attribute = AttributePairs("a", pairs.chosen, pairs.rejected, pairs.prompt, pairs.category, np.ones(n, bool))
    ratings = Ratings(("a",), np.zeros((len(pairs.embeddings), 1)))
    fitted(replace(pairs, attributes=(attribute,), ratings=ratings), rule="entropy", labels=42, rounds=4)
    assert [len(one) for one in seen] == [11, 22, 32, 42]
    assert [len(one.validation) for one in seen] == [3, 6, 8, 11]
    whole = set(zip(pairs.chosen.tolist(), pairs.rejected.tolist(), strict=True))
    for one in seen:
        assert one.attributes == ()
        assert one.ratings is None
        assert set(zip(one.chosen.tolist(), one.rejected.tolist(), strict=True)) < whole
        assert set(one.prompt.tolist()) == set(range(one.prompt.max() + 1))
        np.testing.assert_array_equal(one.embeddings, pairs.embeddings)
    ends = [set(zip(one.validation.chosen, one.validation.rejected, strict=True)) for one in seen]
    assert ends[0] < ends[1] < ends[2] < ends[3]


@pytest.mark.parametrize("rule", [name for name in SELECTORS if not SELECTORS[name].asks])
def test_rules_that_ask_for_no_rewards_cost_one_fit(seen, rule):
    fitted(testing.toy(n_prompts=60).pairs, rule=rule, labels=40)
    assert len(seen) == 1


def test_where_labels_are_free_of_noise_max_gap_is_worse_than_chance_and_d_optimal_better():
    """The labels of max-gap are foreseen (arXiv:2502.04354). Means over eight toys; half the measured margins."""
    accuracy: dict[str, list[float]] = {"max-gap": [], "random": [], "d-optimal": []}
    for root in range(8):
        toy = testing.toy(root)
        for rule, found in accuracy.items():
            model = fitted(toy.pairs, seed=root, rule=rule, labels=60)
            found.append(toy.accuracy(model.reward(toy.embeddings)))
    worst, middle, best = (np.mean(found) for found in accuracy.values())
    assert worst + 0.04 < middle < best - 0.04


@pytest.mark.parametrize(
    "method", [m for m in rmsuite_methods() if m.name not in ("active", "regression")], ids=lambda m: m.name
)
def test_every_baseline_is_a_base_that_keeps_its_powers(method):
    toy = testing.toy(n_prompts=60)
    base = f"{method.name}[attributes=directions]" if method.name == "dmoerm" else method.name  # the pool shows none
    model = fitted(toy.pairs, base=base, rule="entropy", labels=60, rounds=2)
    assert np.isfinite(model.reward(toy.embeddings)).all()
    plain = method.make()
    assert states_probability(model) == states_probability(plain)
    assert states_uncertainty(model) == states_uncertainty(plain)


def test_a_base_that_lives_on_ratings_is_shown_none_and_does_not_apply():
    with pytest.raises(NotApplicable):
        fitted(testing.toy(n_prompts=20).pairs, base="regression", rule="random", labels=20)


@every_rule
@pytest.mark.parametrize("base", ["mean-difference", "clf-linear", "bt-linear"])
def test_a_rule_of_probabilities_takes_no_base_that_states_none(rule, base):
    """Before anything is fitted: a logit of a classifier is no log odds of a preference."""
    if base != "bt-linear" and "d-optimal" in rule:
        with pytest.raises(RmsuiteError, match=f"rule={rule}: expected a base that states probabilities.* base={base}"):
            make_active(base=base, rule=rule)
    else:
        assert make_active(base=base, rule=rule).base == base


def test_powers_are_those_of_the_base(monkeypatch):
    class Sure(MeanDifference):
        def uncertainty(self, embeddings):
            return np.full(len(embeddings), 0.5)

    class Both(Sure, BradleyTerryLinear):
        pass

    toy = testing.toy(n_prompts=20)
    for kind in (Sure, Both):
        monkeypatch.setattr("rmsuite.plugins.at_hand", lambda text, kind=kind: Configured(Method("spy", kind)))
        model = fitted(toy.pairs, rule="entropy", labels=20)
        np.testing.assert_array_equal(model.uncertainty(toy.embeddings), np.full(len(toy.embeddings), 0.5))
        assert states_probability(model) == (kind is Both)
    ends = np.arange(5), np.arange(5, 10)
    rewards = model.model.reward(toy.embeddings)
    expected = 1 / (1 + np.exp(rewards[ends[1]] - rewards[ends[0]]))
    np.testing.assert_allclose(model.probability(toy.embeddings, *ends), expected)


def test_parameters_of_the_base_reach_it():
    model = make_active(base="bt-mlp[hidden=7]").fit(testing.toy(n_prompts=20).pairs, rng=np.random.default_rng(0))
    assert model.model.hidden == 7


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"base": "bt-liner"}, "'bt-linear'"),
        ({"base": "bt-mlp[width=3]"}, "parameter of method 'bt-mlp', 'width'"),
        ({"base": "bt-mlp[hidden=0]"}, "parameter hidden: expected a whole number of at least 1"),
        ({"base": 3}, "parameter base: expected a text"),
        ({"rule": "best"}, "parameter rule: expected one of random, entropy"),
        ({"labels": 0}, "parameter labels: expected a whole number of at least 1"),
        ({"labels": 50.0}, "parameter labels"),
        ({"rounds": 0}, "parameter rounds"),
    ],
)
def test_a_wrong_parameter_is_named(parameters, message):
    with pytest.raises(RmsuiteError) as caught:
        make_active(**parameters)
    assert message in str(caught.value)
