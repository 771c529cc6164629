"""Which pairs are drawn: within a prompt, never a tie, and the same for every annotator. Comparisons between
annotators and between budgets rely on it.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from rmsuite.annotators import annotator
from rmsuite.data import Pool
from rmsuite.errors import TaskError
from rmsuite.pairing import labelled_pairs

SIZES = (1, 2, 3, 7, 12, 5, 2, 9)


def make_pool(sizes=SIZES, seed=0, ties=False, human=False, gold=None):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    n = int(offsets[-1])
    rewards = rng.standard_normal(n).astype(np.float32) if gold is None else np.asarray(gold, np.float32)
    if ties:
        rewards = np.round(rewards)
    pairs = None
    if human:
        many = [(start, stop) for start, stop in pairwise(offsets.tolist()) if stop > start + 1]
        pairs = np.array([rng.choice(np.arange(*ends), 2, replace=False) for ends in many] + [[3, 4], [4, 5], [3, 5]])
    return Pool(
        name="toy",
        prompt_id=np.array([b"%04d" % i for i in range(len(sizes))]),
        category=np.zeros(len(sizes), int),
        categories=("a",),
        offsets=offsets,
        response_id=np.array([b"%06d" % i for i in range(n)]),
        generator=np.zeros(n, int),
        length=np.ones(n, int),
        gold=None if human else rewards,
        human_pairs=pairs,
    )


def draw(pool, who="perfect", budget=0, prompts=None, seed=0, noise=0):
    rngs = np.random.default_rng(seed), np.random.default_rng(noise)
    prompts = np.arange(len(pool.prompt_id)) if prompts is None else np.asarray(prompts)
    return labelled_pairs(pool, prompts, annotator(who), budget, rngs)


def unordered(drawn):
    return np.sort(np.column_stack([drawn.chosen, drawn.rejected]), axis=1)


@pytest.mark.parametrize("budget", [0, 1, 4, 1000])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("who", ["perfect", "flip[rate=0.3]", "bradley-terry"])
def test_pairs_are_within_a_prompt_distinct_and_no_ties(budget, ties, who):
    pool = make_pool(ties=ties)
    drawn = draw(pool, who, budget)
    np.testing.assert_array_equal(pool.prompt[drawn.chosen], pool.prompt[drawn.rejected])
    assert (pool.gold[drawn.chosen] != pool.gold[drawn.rejected]).all()
    assert len(np.unique(unordered(drawn), axis=0)) == len(drawn.chosen)


@pytest.mark.parametrize("budget", [1, 2, 4, 20, 1000])
def test_the_budget_is_kept_in_every_prompt_and_used_where_it_can_be(budget):
    pool = make_pool(ties=True)
    every = np.bincount(pool.prompt[draw(pool, budget=0).chosen], minlength=len(SIZES))
    drawn = np.bincount(pool.prompt[draw(pool, budget=budget).chosen], minlength=len(SIZES))
    np.testing.assert_array_equal(drawn, np.minimum(every, budget))


def test_a_budget_of_zero_takes_all_pairs():
    pool = make_pool()
    drawn = draw(pool)
    assert len(drawn.chosen) == sum(n * (n - 1) // 2 for n in SIZES)


def test_only_the_given_prompts_are_used():
    pool = make_pool()
    drawn = draw(pool, prompts=[4, 1])
    assert set(pool.prompt[drawn.chosen]) == {1, 4}


def test_a_prompt_of_equal_gold_gives_no_pair():
    pool = make_pool((3, 2), gold=[1, 1, 1, 1, 2])
    assert unordered(draw(pool)).tolist() == [[3, 4]]
    empty = draw(make_pool((3,), gold=[1, 1, 1]))
    assert (len(empty.chosen), empty.agreement) == (0, None)


def test_the_draw_takes_every_pair_alike():
    """Over many draws, each of the 66 pairs of a prompt is as frequent as a fair draw makes it."""
    pool, counts = make_pool((12,)), np.zeros((12, 12), int)
    for seed in range(2000):
        low, high = unordered(draw(pool, budget=5, seed=seed)).T
        counts[low, high] += 1
    bounds = binom.interval(1 - 1e-7, 2000, 5 / 66)
    drawn = counts[np.triu_indices(12, 1)]
    assert drawn.sum() == 10_000
    assert ((bounds[0] <= drawn) & (drawn <= bounds[1])).all()


def test_which_side_comes_first_says_nothing():
    """A coin decides it: an annotator that always takes the first side agrees with gold half of the time."""
    pool = make_pool((40,) * 40)
    always_first = annotator("flip[rate=0]")
    always_first = type(always_first)("first", lambda margin, scale, rng: np.ones(len(margin), bool))
    rngs = np.random.default_rng(0), np.random.default_rng(0)
    drawn = labelled_pairs(pool, np.arange(40), always_first, 0, rngs)
    right = np.count_nonzero(pool.gold[drawn.chosen] > pool.gold[drawn.rejected])
    earlier = np.count_nonzero(drawn.chosen < drawn.rejected)
    low, high = binom.interval(1 - 1e-6, len(drawn.chosen), 0.5)
    assert low <= right <= high
    assert low <= earlier <= high
    assert drawn.agreement == right / len(drawn.chosen)


@pytest.mark.parametrize("budget", [0, 3])
def test_annotators_meet_on_the_same_pairs(budget):
    pool = make_pool()
    expected = unordered(draw(pool, "perfect", budget, noise=0))
    for who, noise in (("flip[rate=0.5]", 1), ("bradley-terry[quality=0.1]", 2), ("flip[rate=1.0]", 0)):
        np.testing.assert_array_equal(unordered(draw(pool, who, budget, noise=noise)), expected)


def test_annotation_noise_is_drawn_from_its_own_stream():
    pool = make_pool((12,) * 20)
    one, other = (draw(pool, "flip[rate=0.4]", 5, noise=noise) for noise in (1, 2))
    np.testing.assert_array_equal(unordered(one), unordered(other))
    assert not np.array_equal(one.chosen, other.chosen)


def test_another_stream_draws_other_pairs():
    pool = make_pool((12,) * 20)
    assert not np.array_equal(unordered(draw(pool, budget=5, seed=1)), unordered(draw(pool, budget=5, seed=2)))


@pytest.mark.parametrize("who", ["perfect", "flip[rate=0.3]", "bradley-terry[quality=2.0]", "flip[rate=1.0]"])
def test_the_realised_agreement_is_the_share_of_right_labels(who):
    pool = make_pool((12,) * 20)
    drawn = draw(pool, who)
    assert drawn.agreement == np.mean(pool.gold[drawn.chosen] > pool.gold[drawn.rejected])
    assert (drawn.agreement == 1) == (who == "perfect")


def test_the_scale_of_bradley_terry_is_the_spread_of_gold_in_the_given_prompts():
    """Gold of other prompts, however wild, moves no label."""
    pool = make_pool((12,) * 20)
    wild = make_pool((12,) * 20, gold=np.where(pool.prompt < 10, pool.gold, 1000 * pool.gold))
    first, second = (draw(p, "bradley-terry", prompts=np.arange(10)) for p in (pool, wild))
    np.testing.assert_array_equal(first.chosen, second.chosen)


def test_another_unit_of_gold_changes_no_label():
    pool = make_pool((12,) * 20)
    larger = make_pool((12,) * 20, gold=pool.gold * 1024)
    first, second = (draw(p, "bradley-terry[quality=0.7]") for p in (pool, larger))
    np.testing.assert_array_equal(first.chosen, second.chosen)


def test_human_pairs_are_taken_as_they_are():
    pool = make_pool(human=True)
    drawn = draw(pool, "human")
    pairs = np.column_stack([drawn.chosen, drawn.rejected])
    assert sorted(map(tuple, pairs.tolist())) == sorted(map(tuple, pool.human_pairs.tolist()))
    assert drawn.agreement is None


def test_human_pairs_keep_their_direction_and_their_prompts():
    pool = make_pool(human=True)
    drawn = draw(pool, "human", prompts=[1, 2, 3])
    assert set(pool.prompt[drawn.chosen]) == {1, 2, 3}
    assert set(zip(drawn.chosen.tolist(), drawn.rejected.tolist(), strict=True)) <= set(
        map(tuple, pool.human_pairs.tolist())
    )


@pytest.mark.parametrize("budget", [1, 2, 3])
def test_a_budget_limits_human_pairs_of_each_prompt(budget):
    pool = make_pool(human=True)
    every = np.bincount(pool.prompt[pool.human_pairs[:, 0]], minlength=len(SIZES))
    drawn = np.bincount(pool.prompt[draw(pool, "human", budget).chosen], minlength=len(SIZES))
    np.testing.assert_array_equal(drawn, np.minimum(every, budget))


def test_a_budget_draws_other_human_pairs_from_another_stream():
    pool = make_pool(human=True)
    drawn = {tuple(unordered(draw(pool, "human", 1, seed=seed)).ravel()) for seed in range(20)}
    assert len(drawn) > 1


def test_the_human_annotator_needs_human_pairs():
    with pytest.raises(TaskError, match="annotator 'human' on pool 'toy': expected human pairs") as error:
        draw(make_pool(), "human")
    assert error.value.do


@pytest.mark.parametrize("who", ["perfect", "flip", "bradley-terry"])
def test_the_other_annotators_need_gold(who):
    with pytest.raises(TaskError, match="expected gold rewards to annotate from") as error:
        draw(make_pool(human=True), who)
    assert "use the annotator 'human'" in error.value.do
