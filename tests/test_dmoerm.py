"""DMoERM: gradients by finite differences, what each phase may see, what each layer is good for, what ablations change.

Whoever compares with the paper's method, or takes it apart, relies on it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from differences import slopes
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from rmsuite import testing
from rmsuite.data import AttributePairs, PreferencePairs
from rmsuite.errors import NotApplicable, RmsuiteError
from rmsuite_baselines import experts
from rmsuite_baselines.adapters import Adapter, Aggregator, hidden_states
from rmsuite_baselines.capabilities import Directions
from rmsuite_baselines.dmoerm import DMoERM
from rmsuite_baselines.networks import forward, initial
from rmsuite_baselines.router import Groups, Labelled, Responses, Router, cross_entropy
from rmsuite_baselines.scaling import Scaling, Standardised
from rmsuite_baselines.subsets import of_attribute, of_category, split

SMALL = {"hidden": 32, "epochs": 8}  # for tests of what is done, not of how well
ROUTED = {"hidden": 32, "learning_rate": 3e-3, "capability_phase": False}  # enough for a router to learn


def fitted(pairs: PreferencePairs, seed: int = 0, **parameters) -> DMoERM:
    return DMoERM(**parameters).fit(pairs, rng=np.random.default_rng(seed))


def small_toy(n_prompts: int = 60) -> testing.Toy:
    return testing.toy(n_prompts=n_prompts)


def with_attributes(pairs: PreferencePairs, change) -> PreferencePairs:
    """Return the pairs with each attribute changed, in validation too."""
    validation = pairs.validation and with_attributes(pairs.validation, change)
    return replace(pairs, attributes=tuple(change(one) for one in pairs.attributes), validation=validation)


def conflict(n_prompts: int = 400, seed: int = 0) -> tuple[testing.Toy, np.ndarray]:
    """Return a toy of two categories whose gold directions are opposite, and the test responses' categories.

    Two features, far apart, tell the category, and none of the forty others tells gold without it.
    """
    rng = np.random.default_rng(seed)
    direction = np.linspace(1, 2, 40) * np.resize([1, -1], 40)

    def responses(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        category = np.arange(n) // 4 % 2
        embeddings = rng.standard_normal((n, 40))
        gold = embeddings @ direction * np.where(category, 1, -1)
        place = np.where(category[:, None], [8, 0], [0, 8]) + rng.standard_normal((n, 2))
        return np.column_stack([embeddings, place]).astype(np.float32), gold, category

    def pairs(n: int, validation: PreferencePairs | None) -> PreferencePairs:
        embeddings, gold, category = responses(4 * n)
        first = np.repeat(np.arange(n) * 4, 3)
        second = first + np.tile([1, 2, 3], n)
        right = gold[first] > gold[second]
        chosen, rejected = np.where(right, [first, second], [second, first])
        return PreferencePairs(embeddings, chosen, rejected, first // 4, category[first], validation)

    embeddings, gold, category = responses(400)
    return testing.Toy(pairs(n_prompts, pairs(n_prompts // 4, None)), embeddings, gold), category


def accuracy_within(toy: testing.Toy, category: np.ndarray, rewards: np.ndarray) -> float:
    """Pair accuracy over pairs of one category, as pairs of one prompt are."""
    parts = [replace(toy, gold=toy.gold[category == c]).accuracy(rewards[category == c]) for c in (0, 1)]
    return float(np.mean(parts))


# Adapters


def float64_base(sizes: tuple[int, ...] = (5, 7, 4)) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(0, 0.5, layer.shape) for layer in initial(list(sizes), rng)]


def test_a_fresh_adapter_is_the_base():
    """B is zero and the head a copy: an expert starts where the first phase ended, to the bit."""
    base = initial([5, 7, 4], np.random.default_rng(0))
    adapter = Adapter.of(base, 3, 6.0, np.random.default_rng(1))
    embeddings = np.random.default_rng(2).standard_normal((9, 5)).astype(np.float32)
    np.testing.assert_array_equal(adapter.run(embeddings)[0], forward(base, embeddings)[0])
    assert all(layer.any() for layer in adapter.layers[:-1:2])
    assert not any(layer.any() for layer in adapter.layers[1::2])
    assert adapter.layers[-1] is not base[-1]


def test_an_adapter_adds_the_scaled_product_and_leaves_the_base_as_it_is():
    base = float64_base()
    kept = [layer.copy() for layer in base]
    adapter = Adapter.of(base, 3, 6.0, np.random.default_rng(1))
    for layer in adapter.layers:
        layer += 0.5
    merged = adapter.merged()
    down, up = adapter.layers[2:4]
    np.testing.assert_allclose(merged[2], base[2] + 6.0 / 3 * down @ up)
    assert [layer.shape for layer in adapter.layers] == [(5, 3), (3, 7), (7, 3), (3, 4), (4, 1)]
    for biases in (1, 3):
        np.testing.assert_array_equal(merged[biases], base[biases])
    for layer, before in zip(base, kept, strict=True):
        np.testing.assert_array_equal(layer, before)


def test_the_gradient_of_an_adapter_is_that_of_finite_differences():
    rng = np.random.default_rng(2)
    started = Adapter.of(float64_base(), 3, 6.0, rng)
    adapter = replace(started, layers=[rng.normal(0, 0.5, layer.shape) for layer in started.layers])
    embeddings, slope = rng.standard_normal((9, 5)), rng.standard_normal((9, 1))
    gradients = adapter.run(embeddings)[1](slope)
    assert len(gradients) == len(adapter.layers)
    for layer, gradient in zip(adapter.layers, gradients, strict=True):
        numeric = slopes(lambda: np.sum(slope * adapter.run(embeddings)[0]), layer)
        np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-6)


# The aggregator


def float64_aggregator(rng: np.random.Generator) -> Aggregator:
    started = Aggregator.of(6, 4, rng)
    return Aggregator([rng.normal(0, 0.7, layer.shape) for layer in started.layers])


def test_the_gradient_of_the_aggregator_is_that_of_finite_differences():
    rng = np.random.default_rng(2)
    aggregator = float64_aggregator(rng)
    hidden, slope = rng.standard_normal((9, 6)), rng.standard_normal((9, 1))
    gradients = aggregator.run(hidden)[1](slope)
    for layer, gradient in zip(aggregator.layers, gradients, strict=True):
        assert gradient.shape == layer.shape
        numeric = slopes(lambda: np.sum(slope * aggregator.rewards(hidden)), layer)
        np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-6)


def test_the_aggregator_is_linear_prelu_linear():
    """One unit, by hand: a fresh slope is a quarter, and what is learnt adds to it."""
    one = np.ones((1, 1))
    hidden = np.array([[3.0], [-1.0]])
    fresh = Aggregator([one, np.array([-1.0]), np.zeros(1), 2 * one])
    np.testing.assert_allclose(fresh.rewards(hidden)[:, 0], [2 * 2, 2 * -2 * 0.25])
    learnt = Aggregator([one, np.array([-1.0]), np.array([0.5]), 2 * one])
    np.testing.assert_allclose(learnt.rewards(hidden)[:, 0], [2 * 2, 2 * -2 * 0.75])


def test_hidden_states_of_the_experts_stand_side_by_side():
    layers = [float64_base(), [layer * 2 for layer in float64_base()]]
    embeddings = np.random.default_rng(2).standard_normal((9, 5))
    hidden = hidden_states(layers, embeddings)
    assert hidden.shape == (9, 8)
    for expert, own in zip(layers, np.split(hidden, 2, axis=1), strict=True):
        np.testing.assert_array_equal(own @ expert[-1], forward(expert, embeddings)[0])


# The router


def test_the_cross_entropy_is_scikit_learns_and_its_slope_that_of_finite_differences():
    """The softmax is taken once: twice would flatten the slopes."""
    logits, group = 5 * np.random.default_rng(0).standard_normal((6, 3)), np.array([0, 1, 2, 2, 1, 0])
    value, slope = cross_entropy(logits, group)
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert value == pytest.approx(log_loss(group, probability, labels=[0, 1, 2]))
    numeric = slopes(lambda: cross_entropy(logits, group)[0], logits)
    np.testing.assert_allclose(slope, numeric, rtol=0, atol=1e-7)
    assert np.isfinite(cross_entropy(1e4 * logits.astype(np.float32), group)[0])


def test_categories_that_are_far_apart_are_routed_without_fault(capsys):
    toy, category = conflict()
    model = fitted(toy.pairs, **ROUTED)
    assert model.router_accuracy == 1
    assert capsys.readouterr().out == "router accuracy on validation prompts: 1.00 (majority 0.50)\n"
    np.testing.assert_array_equal(model.router(model.scaling(toy.embeddings, "test")), category)


def test_a_response_gets_the_reward_of_the_experts_that_it_is_routed_to():
    """Top-1: no other expert has a say. Of a category nobody trained on, the router decides."""
    toy, category = conflict(n_prompts=240)
    model = fitted(toy.pairs, **ROUTED)
    rewards, rows = model.reward(toy.embeddings), model.scaling(toy.embeddings, "test")
    for group in (0, 1):
        mine = category == group
        own = model.experts[group].rewards(rows[mine])[:, 0]
        np.testing.assert_allclose(rewards[mine], own, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.rewards_by(category, toy.embeddings), rewards, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.rewards_by(np.full(400, 7), toy.embeddings), rewards, rtol=0, atol=1e-5)
    other = model.rewards_by(1 - category, toy.embeddings)
    assert np.corrcoef(other, rewards)[0, 1] < 0


def test_accuracy_counts_every_prompt_alike():
    """Four responses of one prompt are routed right, the one of another wrong."""
    rows = Standardised(np.eye(2, dtype=np.float32)[[0, 0, 0, 0, 1]], Scaling(np.zeros(2), np.ones(2)))
    held = Labelled(rows, np.arange(5), np.zeros(5, int), np.array([3, 3, 3, 3, 7]))
    assert Router([np.eye(2)]).accuracy(held) == (0.5, 1.0)
    mixed = replace(held, group=np.array([0, 0, 0, 0, 1]))
    assert Router([np.eye(2)]).accuracy(mixed) == (1.0, 0.5)


def test_small_categories_share_experts_that_learn_from_all_pairs():
    pairs = testing.toy(n_prompts=50).pairs  # 50 prompts: 51, 51 and 48 pairs
    groups = Groups.of(pairs, 50)
    assert groups.own.tolist() == [0, 1]
    assert len(groups) == 3
    assert groups(np.array([0, 1, 2, 9])).tolist() == [0, 1, 2, 2]
    assert [len(groups.pairs(pairs, group)) for group in range(3)] == [51, 51, 150]
    assert groups.pairs(pairs, 1).category.tolist() == [1] * 51
    complete = Groups.of(pairs, 48)
    assert len(complete) == 3
    assert complete(np.array([2, 9])).tolist() == [2, -1]


def test_validation_categories_that_were_not_trained_on_are_left_out_of_the_routers_account():
    pairs = testing.toy(n_prompts=50).pairs
    held = replace(pairs.validation, category=pairs.validation.category + 5)
    model = fitted(replace(pairs, validation=held), least=1, **SMALL)
    assert model.router_accuracy is None
    assert np.isfinite(model.reward(pairs.embeddings)).all()


# What the phases see


def test_pairs_are_parted_by_prompt_and_nothing_is_lost():
    pairs = small_toy(50).pairs
    early, late = split(pairs, 0.6, np.random.default_rng(0))
    assert (len(np.unique(early.prompt)), len(np.unique(late.prompt))) == (30, 20)
    assert (len(early), len(late)) == (90, 60)
    assert not set(early.prompt) & set(late.prompt)
    for first, second in zip(early.attributes, late.attributes, strict=True):
        assert (len(first), len(second)) == (90, 60)
        assert set(first.prompt) == set(early.prompt)
        assert set(second.prompt) == set(late.prompt)


@pytest.mark.parametrize("share", [0.05, 0.95])
def test_both_parts_have_a_prompt_however_few_there_are(share):
    columns = np.array([0, 2]), np.array([1, 3]), np.array([4, 8]), np.zeros(2, int)
    parts = split(PreferencePairs(np.zeros((4, 2), np.float32), *columns), share, np.random.default_rng(0))
    assert [len(part) for part in parts] == [1, 1]


def test_the_last_phase_sees_prompts_that_the_others_have_not_seen(monkeypatch):
    """Else experts would look better there than they are, by overall labels or by those of an attribute."""
    seen = {"base": [], "expert": [], "aggregator": []}
    train, train_run = experts.train, experts.train_run

    def base(layers, pairs, *rest):
        seen["base"].append(pairs)
        train(layers, pairs, *rest)

    def later(layers, run, rewards, pairs, *rest):
        seen["expert" if len(layers) % 2 else "aggregator"].append(pairs)  # one hidden layer: A, B, head
        train_run(layers, run, rewards, pairs, *rest)

    monkeypatch.setattr(experts, "train", base)
    monkeypatch.setattr(experts, "train_run", later)
    pairs = small_toy().pairs
    fitted(pairs, least=50, **SMALL)
    assert {name: len(given) for name, given in seen.items()} == {"base": 3, "expert": 6, "aggregator": 3}
    for category, (first, last) in enumerate(zip(seen["base"], seen["aggregator"], strict=True)):
        assert len(np.unique(first.prompt)) == 12
        assert len(np.unique(last.prompt)) == 8
        labelled = seen["expert"][2 * category : 2 * category + 2]
        for part in (first, *labelled):
            assert not set(part.prompt) & set(last.prompt)
            assert set(part.category) == set(part.validation.category) == {category}


def test_pairs_of_a_category_keep_their_vectors():
    """Validation loses the responses of other categories, and the pairs still point at their own."""
    pairs = small_toy().pairs
    part = of_category(pairs, 1)
    assert len(part.embeddings) == 4 * 20
    np.testing.assert_array_equal(part.differences(), pairs.differences()[pairs.category == 1])
    one, whole = part.attributes[1], pairs.attributes[1]
    keep = whole.category == 1
    np.testing.assert_array_equal(part.embeddings[one.chosen], pairs.embeddings[whole.chosen[keep]])
    np.testing.assert_array_equal(one.consistent, whole.consistent[keep])
    assert set(part.validation.category) == {1}


def test_inconsistent_attribute_pairs_are_not_looked_at():
    """The swap test's failures are poisoned, in training and validation, and no bit of a reward moves."""

    def poisoned(one: AttributePairs) -> AttributePairs:
        chosen = np.where(one.consistent, one.chosen, one.rejected)
        return replace(one, chosen=chosen, rejected=np.where(one.consistent, one.rejected, 0))

    toy = small_toy()
    assert not all(one.consistent.all() for one in toy.pairs.attributes)
    plain, other = (fitted(pairs, **SMALL) for pairs in (toy.pairs, with_attributes(toy.pairs, poisoned)))
    np.testing.assert_array_equal(other.reward(toy.embeddings), plain.reward(toy.embeddings))
    assert len(of_attribute(toy.pairs, "early-features")) == toy.pairs.attributes[0].consistent.sum()


def test_each_category_has_its_own_rewards_origin():
    """Two responses of one prompt that are routed apart can be compared."""
    toy, _ = conflict(n_prompts=240)
    model = fitted(toy.pairs, capability_phase=False, **SMALL)
    responses = Responses.of(toy.pairs)
    rewards = model.rewards_by(responses.category, toy.pairs.embeddings[responses.rows])
    means = [rewards[responses.category == group].mean() for group in (0, 1)]
    np.testing.assert_allclose(means, 0, atol=1e-5)
    assert max(abs(group.origin) for group in model.experts) > 1e-4


# What the layers are good for


@pytest.mark.parametrize("attributes", ["given", "directions"])
def test_where_categories_conflict_a_router_is_worth_it(attributes):
    """What one pooled group learns of one category, the other takes back: it would have to learn forty products.

    The router's gain was above 0.3 for other seeds and for learning rates up to ten times as large.
    """
    toy, category = conflict()
    parameters = {"attributes": attributes, "capability_phase": attributes != "given"}
    with threadpool_limits(limits=1):
        routed, pooled = (
            accuracy_within(toy, category, fitted(toy.pairs, routing=routing, **parameters).reward(toy.embeddings))
            for routing in ("learned", "none")
        )
    assert routed > 0.8
    assert pooled < 0.65


@pytest.mark.parametrize("aggregator", ["mlp", "mean"])
def test_capability_labels_help_where_overall_labels_are_few(aggregator):
    """Twenty prompts are judged overall, 400 by attribute. Gold is the sum of the attributes, which twelve or so
    prompts do not show and the experts know.
    """
    gains = []
    for root in range(3):
        toy = testing.toy(root, n_prompts=400)
        few = toy.pairs.prompt < 20
        columns = {name: getattr(toy.pairs, name)[few] for name in ("chosen", "rejected", "prompt", "category")}
        informed, blind = (
            fitted(
                replace(toy.pairs, **columns),
                capability_phase=phase,
                aggregator=aggregator,
                hidden=8,
                learning_rate=0.01,
                batch=64,
            )
            for phase in (True, False)
        )
        gains.append(toy.accuracy(informed.reward(toy.embeddings)) - toy.accuracy(blind.reward(toy.embeddings)))
    assert np.mean(gains) > 0.05


# Ablations


def test_without_routing_there_is_one_group_and_no_router():
    model = fitted(small_toy().pairs, routing="none", least=1, **SMALL)
    assert (len(model.experts), model.router, model.router_accuracy) == (1, None, None)
    assert len(fitted(small_toy().pairs, least=1, **SMALL).experts) == 3


def test_without_the_capability_phase_attribute_labels_are_not_looked_at():
    """The experts differ in their random start, are as many as the attributes, and learn from overall labels."""
    toy = small_toy()
    turned = with_attributes(toy.pairs, lambda one: replace(one, chosen=one.rejected, rejected=one.chosen))
    plain, other, informed = (
        fitted(pairs, capability_phase=phase, **SMALL)
        for pairs, phase in ((toy.pairs, False), (turned, False), (turned, True))
    )
    np.testing.assert_array_equal(other.reward(toy.embeddings), plain.reward(toy.embeddings))
    assert not np.array_equal(informed.reward(toy.embeddings), plain.reward(toy.embeddings))
    assert len(plain.experts[0].experts) == 2
    assert not np.array_equal(*(layers[0] for layers in plain.experts[0].experts))
    bare = fitted(replace(toy.pairs, attributes=()), capability_phase=False, capabilities=3, **SMALL)
    assert len(bare.experts[0].experts) == 3


def test_the_mean_aggregator_is_the_mean_of_the_experts_rewards():
    toy = small_toy()
    model = fitted(toy.pairs, aggregator="mean", **SMALL)
    (group,) = model.experts
    assert group.aggregator is None
    heads = [forward(layers, model.scaling(toy.embeddings, "test"))[0][:, 0] for layers in group.experts]
    np.testing.assert_allclose(model.reward(toy.embeddings), np.mean(heads, axis=0) - group.origin, atol=1e-6)


def test_a_category_without_capability_labels_has_the_base_as_its_expert():
    def of_first(one: AttributePairs) -> AttributePairs:
        return replace(one, consistent=one.consistent & (one.category == 0))

    pairs = with_attributes(small_toy().pairs, of_first)
    assert [len(group.experts) for group in fitted(pairs, least=1, **SMALL).experts] == [2, 1, 1]


@pytest.mark.parametrize("case", ["none", "inconsistent"])
def test_pairs_without_usable_attributes_are_refused_with_a_way_out(case):
    pairs = small_toy().pairs
    inconsistent = with_attributes(pairs, lambda one: replace(one, consistent=np.zeros(len(one), bool)))
    given = replace(pairs, attributes=()) if case == "none" else inconsistent
    with pytest.raises(NotApplicable, match=r"dmoerm\[attributes=directions\]"):
        fitted(given)
    assert np.isfinite(fitted(given, attributes="directions", **SMALL).reward(pairs.embeddings)).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"attributes": "none"},
        {"capabilities": 0},
        {"routing": "oracle"},
        {"capability_phase": 1},
        {"aggregator": "max"},
        {"least": -1},
        {"share": 1.0},
        {"rank": 0},
        {"alpha": -1},
        {"hidden": ()},
        {"batch": 0},
    ],
)
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(RmsuiteError, match=f"parameter {next(iter(wrong))}: expected"):
        DMoERM(**wrong)


# Derived capabilities


def directions(pairs: PreferencePairs, k: int = 4) -> tuple[Directions, np.ndarray]:
    rows = Scaling.of(pairs.embeddings).lazily(pairs.embeddings, "test")
    return Directions.of(pairs, rows, k, np.random.default_rng(0)), rows[pairs.chosen] - rows[pairs.rejected]


def test_directions_are_the_leading_right_singular_vectors_of_the_differences():
    found, differences = directions(small_toy().pairs)
    oracle = np.linalg.svd(differences)[2][:4]
    np.testing.assert_allclose(np.abs(np.sum(oracle * found.joint.T, axis=1)), 1, atol=1e-3)
    assert ((differences @ found.joint > 0).mean(axis=0) >= 0.5).all()


def test_exchanging_chosen_and_rejected_turns_the_directions_round():
    """Labels give them their signs and nothing else."""
    pairs = small_toy().pairs
    plain, turned = (directions(given)[0].joint for given in (pairs, testing.swapped(pairs)))
    np.testing.assert_allclose(turned, -plain, atol=1e-4)


def test_the_two_halves_add_up_to_a_multiple_of_the_direction():
    found, _ = directions(small_toy().pairs)
    total = found.halves[0] + found.halves[1]
    np.testing.assert_allclose(total / np.linalg.norm(total, axis=0), found.joint, atol=1e-4)


def test_a_derived_label_is_consistent_where_both_halves_give_it():
    pairs = small_toy().pairs
    scaling = Scaling.of(pairs.embeddings)
    found, _ = directions(pairs)
    labelled = found.label(pairs, lambda part: scaling.lazily(part.embeddings, "test"))
    assert [one.name for one in labelled.attributes] == [f"direction-{i}" for i in range(4)]
    for part in (labelled, labelled.validation):
        scaled = scaling(part.embeddings, "test")
        for i, one in enumerate(part.attributes):
            verdicts = [(scaled[one.chosen] - scaled[one.rejected]) @ half[:, i] > 0 for half in found.halves]
            assert ((scaled[one.chosen] - scaled[one.rejected]) @ found.joint[:, i] > 0).all()
            np.testing.assert_array_equal(one.consistent, verdicts[0] & verdicts[1])
            assert 0.5 < one.consistent.mean() < 1


def test_equal_responses_have_no_directions():
    columns = np.array([0, 2]), np.array([1, 3]), np.arange(2), np.zeros(2, int)
    found, _ = directions(PreferencePairs(np.ones((4, 3), np.float32), *columns))
    assert found.joint.shape == (3, 0)
