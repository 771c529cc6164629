"""Laws that every metric obeys. Whoever compares two tables relies on them.

A metric that is in no list of laws fails: a new metric has to say where it belongs.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from rmsuite.metrics import METRICS, Metric, applicable, pairs
from rmsuite.statistics import bootstrap
from rmsuite.tested import Answers, Planted, TestSet

# What each metric looks at: the order of rewards within a prompt, probabilities, or rewards with their uncertainty.
PROBABILITY = {"brier", "log-loss", "calibration-error"}
UNCERTAINTY = {"selective-accuracy", "risk-coverage-area"}
# Of those of order: negated rewards give the value on the other side of chance, or they do not.
MIRRORED = {
    "pair-accuracy",
    "length-adjusted",
    "length-matched",
    "generator-bias",
    "spearman",
    "kendall",
    "best-of-2",
}
NOT_MIRRORED = {  # a maximum, a minimum or a peak is no mean
    "worst-category",
    "best-of-4",
    "best-of-8",
    "best-of-16",
    "best-of-32",
    "over-optimisation",
    "peak-position",
}
ORDER = MIRRORED | NOT_MIRRORED
ATTACKS = {"attack-win-rate"}  # more of its laws are in test_attacks.py
UNBOUNDED = {"over-optimisation"}  # its stated range is the usual one
SIZES = (33, 40, 36) * 4 + (2, 1)


def make_test(seed: int = 0, sizes: tuple[int, ...] = SIZES, ties: bool = False) -> TestSet:
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    n, total = len(sizes), offsets[-1]
    gold = rng.standard_normal(total)
    return TestSet(
        prompt_id=np.array([f"prompt {i}".encode() for i in range(n)]),
        category=np.arange(n) % 2,
        rows=np.arange(total),
        offsets=offsets,
        length=rng.integers(10, 500, total),
        gold=np.round(gold) if ties else gold,
        generator=np.concatenate([rng.permutation(np.arange(size) % 7) for size in sizes]),
        planted=Planted(np.arange(n), np.arange(n), np.ones(n)),
    )


def answers_for(test: TestSet, seed: int = 1, ties: bool = False) -> Answers:
    rng = np.random.default_rng(seed)
    rewards = test.gold + rng.standard_normal(len(test.rows))
    uncertainty = rng.random(len(test.rows))
    probability = rng.random(len(test.asked.first))
    planted = rng.standard_normal(len(test.planted.rows))
    if ties:
        rewards, uncertainty, planted = np.round(rewards), np.round(uncertainty, 1), np.round(planted)
    return Answers(rewards, uncertainty, probability, planted)


def just(rewards: np.ndarray) -> Answers:
    return Answers(np.asarray(rewards, float), planted=np.full(len(SIZES), -9.0))


def sure(test: TestSet, probability: float) -> Answers:
    """Answers that give the chosen response of each asked pair this probability."""
    first = np.where(test.asked.first_chosen, probability, 1 - probability)
    return Answers(test.gold, np.ones(len(test.rows)), first, np.full(len(test.planted.rows), test.gold.min() - 1))


def named(names: set[str]):
    return pytest.mark.parametrize("metric", [m for m in METRICS if m.name in names], ids=lambda metric: metric.name)


every_metric = named({metric.name for metric in METRICS})


def test_every_metric_is_in_one_law_list():
    lists = (MIRRORED, NOT_MIRRORED, PROBABILITY, UNCERTAINTY, ATTACKS)
    assert {metric.name for metric in METRICS} == set().union(*lists)
    assert sum(map(len, lists)) == len(METRICS)


@every_metric
def test_metrics_say_what_they_cannot_tell_and_have_a_tie_rule_for_signatures(metric):
    words = ("blind", "cannot", "says nothing", "does not tell", "rests on", "leaves", "weighs", "mixes", "so compare")
    words += ("a few sure errors", "knowing nothing", "so read")
    assert any(word in metric.summary for word in words), metric.summary
    assert metric.tie_rule
    assert not set(metric.tie) & set(":|,")


@named(ORDER | UNCERTAINTY)
@pytest.mark.parametrize("ties", [False, True])
def test_the_order_of_responses_within_a_prompt_is_irrelevant(metric, ties):
    test = as_pairs(make_test(ties=ties)) if metric.name in UNCERTAINTY else make_test(ties=ties)
    answers, rng = answers_for(make_test(ties=ties), ties=ties), np.random.default_rng(2)
    order = np.concatenate([rng.permutation(np.arange(a, b)) for a, b in pairwise(test.offsets)])
    place = np.argsort(order)
    moved = replace(
        test,
        length=test.length[order],
        gold=None if test.gold is None else test.gold[order],
        generator=test.generator[order],
        chosen=None if test.chosen is None else place[test.chosen],
        rejected=None if test.rejected is None else place[test.rejected],
    )
    there = Answers(answers.rewards[order], answers.uncertainty[order])
    np.testing.assert_allclose(metric.per_prompt(moved, there), metric.per_prompt(test, answers), rtol=1e-9, atol=1e-9)


def as_pairs(test: TestSet) -> TestSet:
    """The same labels as explicit pairs, every tenth of them, as human labels come."""
    chosen, rejected = (np.concatenate(side)[::10] for side in zip(*test.pairs(), strict=True))
    return replace(test, gold=None, chosen=chosen, rejected=rejected)


@every_metric
def test_the_order_of_prompts_is_irrelevant(metric):
    test = make_test(ties=True)
    answers = answers_for(test, ties=True)
    order = np.random.default_rng(3).permutation(test.n_prompts)
    rows = np.concatenate([np.arange(test.offsets[i], test.offsets[i + 1]) for i in order])
    moved = replace(
        test,
        prompt_id=test.prompt_id[order],
        category=test.category[order],
        offsets=np.concatenate([[0], np.cumsum(np.diff(test.offsets)[order])]),
        length=test.length[rows],
        gold=test.gold[rows],
        generator=test.generator[rows],
        planted=replace(test.planted, prompt=np.argsort(order)[test.planted.prompt]),
    )
    said = _moved_probability(test, moved, rows, answers)
    there = Answers(answers.rewards[rows], answers.uncertainty[rows], said, answers.planted)
    assert metric.value(moved, there) == pytest.approx(metric.value(test, answers), abs=1e-9)


def _moved_probability(test: TestSet, moved: TestSet, rows: np.ndarray, answers: Answers) -> np.ndarray:
    said = dict(zip(zip(test.asked.first, test.asked.second, strict=True), answers.probability, strict=True))
    return np.array([said[rows[a], rows[b]] for a, b in zip(moved.asked.first, moved.asked.second, strict=True)])


@named(ORDER)
def test_monotone_transforms_of_the_rewards_change_nothing(metric):
    test = make_test()
    rewards = answers_for(test).rewards
    np.testing.assert_array_equal(
        metric.per_prompt(test, just(np.exp(rewards / 3) - 7)), metric.per_prompt(test, just(rewards)), strict=True
    )


@named(UNCERTAINTY)
def test_rewards_and_uncertainty_on_another_scale_change_nothing(metric):
    test = make_test()
    answers = answers_for(test)
    scaled = Answers(4 * answers.rewards + 8, 4 * answers.uncertainty)
    np.testing.assert_allclose(metric.per_prompt(test, scaled), metric.per_prompt(test, answers))


@named(ORDER | UNCERTAINTY)
def test_a_reward_shift_by_prompt_changes_nothing(metric):
    """Only the order within a prompt counts: a constant of the prompt is no information."""
    test = make_test(ties=True)
    answers = answers_for(test, ties=True)
    shifted = replace(answers, rewards=answers.rewards + 128 * test.prompt)
    np.testing.assert_allclose(metric.per_prompt(test, shifted), metric.per_prompt(test, answers), atol=1e-9)


@every_metric
def test_a_prompt_says_the_same_or_nothing_whatever_the_rewards(metric):
    """Weights do not depend on answers: resampled prompts carry all methods alike."""
    test = make_test(ties=True, sizes=(*SIZES, 1, 1))
    said = [
        metric.per_prompt(test, answers).any(axis=1) | (np.diff(test.offsets) > 1)
        for answers in (answers_for(test, 3), answers_for(test, 4, ties=True))
    ]
    np.testing.assert_array_equal(*said)
    if metric.mean:
        weights = [metric.per_prompt(test, answers_for(test, seed))[:, 1] for seed in (3, 4)]
        np.testing.assert_array_equal(*weights)
        assert weights[0].sum() > 0


@named(ORDER | UNCERTAINTY)
def test_constant_rewards_give_chance(metric):
    test = make_test()
    constant = Answers(np.full(len(test.rows), 3.5), np.ones(len(test.rows)))
    assert metric.value(test, constant) == pytest.approx(metric.chance, abs=1e-12)


@named(PROBABILITY)
def test_even_odds_give_chance(metric):
    test = make_test()
    assert metric.value(test, sure(test, 0.5)) == pytest.approx(metric.chance, abs=1e-12)


@every_metric
def test_the_gold_itself_is_perfect(metric):
    test = make_test(ties=True)
    assert metric.value(test, sure(test, 1.0)) == pytest.approx(metric.perfect, abs=1e-5)


@named(ORDER | UNCERTAINTY)
def test_reversed_rewards_are_on_the_wrong_side_of_chance(metric):
    test = make_test()
    found = metric.value(test, Answers(-test.gold, np.ones(len(test.rows))))
    better = found < metric.chance if metric.direction == "larger is better" else found > metric.chance
    if metric.name in {
        "peak-position",
        "generator-bias",
    }:  # the worst peak is chance's, and wrong everywhere is no bias
        assert found == pytest.approx(0, abs=1e-12)
    else:
        assert better
    if metric.name in MIRRORED - {"generator-bias"}:
        assert found == pytest.approx(metric.low, abs=1e-12)


@named(PROBABILITY)
def test_sure_of_the_wrong_response_is_the_worst(metric):
    test = make_test()
    assert metric.value(test, sure(test, 0.0)) == pytest.approx(metric.high, rel=1e-6)


@named(ORDER)
def test_negated_rewards_mirror_the_metrics_that_say_so(metric):
    test = make_test(ties=True)
    rewards = answers_for(test, ties=True).rewards
    mirrored = 2 * metric.chance - metric.value(test, just(-rewards))
    same = metric.value(test, just(rewards)) == pytest.approx(mirrored, abs=1e-9)
    assert same == (metric.name in MIRRORED)


@named(PROBABILITY)
def test_the_orientation_of_asked_pairs_is_irrelevant(metric):
    test = make_test()
    answers, asked = answers_for(test), test.asked
    turned = replace(test)
    turned.__dict__["asked"] = replace(asked, first=asked.second, second=asked.first, first_chosen=~asked.first_chosen)
    there = replace(answers, probability=1 - answers.probability)
    assert metric.value(turned, there) == pytest.approx(metric.value(test, answers))


@every_metric
@pytest.mark.parametrize("seed", range(5))
def test_values_lie_in_the_stated_range_and_are_finite(metric, seed):
    test = make_test(seed, ties=bool(seed % 2))
    answers = answers_for(test, seed + 10)
    assert np.isfinite(metric.per_prompt(test, answers)).all()
    value = metric.value(test, answers)
    assert np.isfinite(value)
    if metric.name not in UNBOUNDED:
        assert metric.low - 1e-12 <= value <= metric.high + 1e-12


@every_metric
def test_reductions_take_any_number_of_leading_axes_and_give_nan_for_nothing(metric):
    """The bootstrap reduces ten thousand draws at once; some may hold no prompt that says anything."""
    test = make_test()
    sums = metric.per_prompt(test, answers_for(test))
    rng = np.random.default_rng(4)
    counts = np.stack([bootstrap.counts(test.n_prompts, 3, rng), np.zeros((3, test.n_prompts))])
    found = metric.reduce(counts @ sums)
    assert found.shape == (2, 3)
    assert np.isnan(found[1]).all()
    one_by_one = [float(metric.reduce(draw @ sums)) for draw in counts[0]]
    np.testing.assert_allclose(found[0], one_by_one, rtol=1e-9)


@named({metric.name for metric in METRICS} - ATTACKS)
def test_a_prompt_on_which_nothing_can_be_told_adds_nothing(metric):
    """One response, or responses of equal gold: undefined whatever the rewards, so left out and not counted as 0."""
    test = make_test(sizes=(1, *SIZES))
    assert not metric.per_prompt(test, answers_for(test))[0].any()
    flat = replace(make_test(sizes=(40, *SIZES)), gold=np.concatenate([np.ones(40), make_test().gold]))
    assert not metric.per_prompt(flat, answers_for(flat))[0].any()


@named({metric.name for metric in METRICS} - ATTACKS)
def test_where_no_prompt_has_a_choice_nothing_is_told(metric):
    test = make_test(sizes=(1,) * 20)
    sums = metric.per_prompt(test, answers_for(test))
    assert not sums.any()
    assert np.isnan(metric.reduce(sums.sum(axis=0)))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("form", [lambda test: test, as_pairs], ids=["gold", "pairs"])
def test_pairs_are_counted_as_in_their_list(ties, form):
    test = make_test(ties=ties)
    rewards, test = answers_for(test, ties=ties).rewards, form(test)
    expected = np.zeros((test.n_prompts, 3))
    for chosen, rejected in test.pairs():
        gap = rewards[chosen] - rewards[rejected]
        for column, mark in enumerate((gap > 0, gap < 0, gap == gap)):
            expected[:, column] += np.bincount(test.prompt[chosen], mark, test.n_prompts)
    np.testing.assert_array_equal(pairs.counts(test, rewards), expected)


def needs(metric: Metric) -> set[str]:
    return set(metric.needs)


def test_only_metrics_whose_needs_are_met_apply():
    test = make_test()
    bare = replace(as_pairs(test), generator=None, planted=None, category=np.zeros(test.n_prompts, int))
    assert [m.name for m in applicable(bare, just(test.gold))] == ["pair-accuracy", "length-adjusted", "length-matched"]
    alike = replace(bare, length=np.full_like(bare.length, 7))
    assert [m.name for m in applicable(alike, just(test.gold))] == ["pair-accuracy"]
    assert {m.name for m in applicable(test, just(test.gold))} == ORDER | ATTACKS
    assert set(applicable(test, answers_for(test))) == set(METRICS)
