"""Which pairs are drawn: within a prompt, never a tie, and the same for every annotator. Comparisons between
annotators and between budgets rely on it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from rmsuite.annotators import FIRST, ConfiguredAnnotator, annotator
from rmsuite.data import Pool, Votes
from rmsuite.errors import TaskError
from rmsuite.pairing import PAIRINGS, Drawing, labelled_pairs

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


def draw(pool, who="perfect", budget=0, prompts=None, seed=0, noise=0, **more):
    rngs = np.random.default_rng(seed), np.random.default_rng(noise)
    more["budget"] = more.pop("total", 0)
    prompts = np.arange(len(pool.prompt_id)) if prompts is None else np.asarray(prompts)
    return labelled_pairs(pool, prompts, annotator(who), Drawing(budget, **more), rngs)


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
    always_first = ConfiguredAnnotator("first", lambda offered, rng: np.full(len(offered), FIRST))
    rngs = np.random.default_rng(0), np.random.default_rng(0)
    drawn = labelled_pairs(pool, np.arange(40), always_first, Drawing(0), rngs)
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


# Which responses of a prompt are compared


def first_pairs(pool, pairing, limit=1, **more):
    """The ranks, by gold within the prompt, of each drawn pair."""
    drawn = draw(pool, budget=limit, pairing=pairing, **more)
    ranks = np.concatenate([np.argsort(np.argsort(pool.gold[a:b])) for a, b in pairwise(pool.offsets.tolist())])
    return [tuple(pair) for pair in np.sort(np.column_stack([ranks[drawn.chosen], ranks[drawn.rejected]]), axis=1)]


def test_similar_takes_the_two_in_the_middle_and_diverse_the_best_and_the_worst():
    """Of ten responses places 4 and 5, or 0 and 9, as in the paper."""
    pool = make_pool((10,) * 6)
    assert first_pairs(pool, "similar") == [(4, 5)] * 6
    assert first_pairs(pool, "diverse") == [(0, 9)] * 6


def test_further_pairs_are_the_next_neighbours_from_the_middle_or_the_next_largest_gaps():
    assert set(first_pairs(make_pool((10,)), "similar", 3)) == {(4, 5), (3, 4), (5, 6)}
    neighbours = set(first_pairs(make_pool((10,)), "similar", 9))
    assert neighbours == {(i, i + 1) for i in range(9)}
    pool = make_pool((4,), gold=[0, 1, 5, 11])
    assert first_pairs(pool, "diverse", 3) == [(0, 3), (1, 3), (2, 3)]


def test_equal_gold_is_one_rank_and_never_a_pair():
    pool = make_pool((6,), gold=[0, 1, 1, 1, 2, 9])
    drawn = unordered(draw(pool, budget=6, pairing="similar"))
    assert {tuple(sorted(pool.gold[pair].tolist())) for pair in drawn} == {(1, 2), (0, 1)} | {(2, 9)}
    assert [tuple(sorted(pool.gold[pair].tolist())) for pair in drawn[:3]] == [(1, 2)] * 3


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_every_pairing_gives_distinct_pairs_of_unequal_gold_that_no_annotator_moves(pairing):
    pool = make_pool((8,) * 20, ties=True)
    drawn = draw(pool, budget=4, pairing=pairing)
    assert len(np.unique(unordered(drawn), axis=0)) == len(drawn.chosen) > 50
    assert (pool.gold[drawn.chosen] > pool.gold[drawn.rejected]).all()
    for who in ("flip[rate=0.5]", "crowd", "majority[k=5]", "length-biased"):
        other = draw(pool, who, budget=4, pairing=pairing, noise=9)
        np.testing.assert_array_equal(unordered(other), unordered(drawn))


def test_similar_and_diverse_take_all_pairs_where_there_is_no_limit():
    pool = make_pool()
    for pairing in ("similar", "diverse"):
        every = {tuple(pair) for pair in unordered(draw(pool, budget=0, pairing=pairing)).tolist()}
        assert every == {tuple(pair) for pair in unordered(draw(pool)).tolist()}


def test_across_compares_two_prompts_and_takes_each_prompt_alike():
    pool = make_pool((5,) * 30)
    drawn = draw(pool, budget=3, pairing="across")
    prompts = pool.prompt[unordered(drawn)]
    assert (prompts[:, 0] != prompts[:, 1]).all()
    assert len(prompts) >= 85
    assert np.bincount(prompts.ravel(), minlength=30).max() <= 6
    assert np.bincount(prompts.ravel(), minlength=30).min() >= 2


def test_across_needs_a_number_of_pairs_and_two_prompts():
    with pytest.raises(TaskError, match="pairs_per_prompt = 0"):
        draw(make_pool(), pairing="across")
    with pytest.raises(TaskError, match="got 1 prompts"):
        draw(make_pool(), budget=3, pairing="across", prompts=[3])


@pytest.mark.parametrize("pairing", ["similar", "across"])
def test_human_pairs_are_not_paired_anew(pairing):
    with pytest.raises(TaskError, match="human pairs are taken as they are"):
        draw(make_pool(human=True), "human", budget=1, pairing=pairing)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_only_trainable_responses_are_in_pairs(pairing):
    pool = make_pool((8,) * 20)
    trainable = np.arange(len(pool.response_id)) % 2 == 0
    drawn = draw(pool, budget=3, pairing=pairing, trainable=trainable)
    assert len(drawn.chosen) > 50
    assert trainable[unordered(drawn)].all()
    human = make_pool((4,) * 20, human=True)
    trainable = np.random.default_rng(0).random(80) < 0.7
    drawn = draw(human, "human", trainable=trainable)
    expected = [pair for pair in human.human_pairs.tolist() if trainable[pair].all()]
    assert sorted(unordered(drawn).tolist()) == sorted(sorted(pair) for pair in expected)


# The budget of pairs in all


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("who", ["perfect", "flip[rate=0.3]", "crowd"])
def test_the_pairs_and_labels_of_a_smaller_budget_begin_those_of_a_larger_one(pairing, who):
    pool = make_pool((8,) * 30)
    small, large = (draw(pool, who, 5, pairing=pairing, **{"total": n}) for n in (40, 100))
    np.testing.assert_array_equal(small.chosen, large.chosen[:40])
    np.testing.assert_array_equal(small.rejected, large.rejected[:40])
    assert len(large.chosen) == 100


@pytest.mark.parametrize("pairing", ["random", "similar", "diverse"])
def test_a_budget_is_spread_evenly_over_prompts_and_takes_some_of_the_pairs_without_one(pairing):
    pool = make_pool((8,) * 30)
    every = {tuple(pair) for pair in unordered(draw(pool, budget=5, pairing=pairing)).tolist()}
    drawn = draw(pool, budget=5, pairing=pairing, total=100)
    assert {tuple(pair) for pair in unordered(drawn).tolist()} <= every
    assert set(np.bincount(pool.prompt[drawn.chosen], minlength=30)) == {3, 4}


def test_the_most_similar_pair_of_every_prompt_comes_first():
    pool = make_pool((10,) * 30)
    assert first_pairs(pool, "similar", 0, total=30) == [(4, 5)] * 30


def test_a_budget_of_human_pairs_begins_a_larger_one():
    pool = make_pool((4,) * 30, human=True)
    small, large = (draw(pool, "human", total=n) for n in (10, 20))
    np.testing.assert_array_equal(small.chosen, large.chosen[:10])


def test_a_budget_that_the_pool_cannot_give_is_refused_with_what_it_can():
    pool = make_pool((8,) * 30)
    with pytest.raises(TaskError, match=r"expected 151 training pairs, got 150\. Do: ask for a budget of at most 150"):
        draw(pool, budget=5, total=151)
    assert len(draw(pool, budget=5, total=151, exact=False).chosen) == 150


# Ties and abstentions


def test_ties_and_abstentions_are_counted_and_left_out():
    pool = make_pool((8,) * 30)
    every = draw(pool, budget=5)
    tied = draw(pool, "tie-giving[within=0.5]", 5)
    silent = draw(pool, "abstaining[rate=0.5]", 5)
    assert (every.n_ties, every.n_abstentions) == (0, 0)
    assert 0 < tied.n_ties < 150
    assert tied.n_ties + len(tied.chosen) == silent.n_abstentions + len(silent.chosen) == len(every.chosen) == 150
    gap = np.abs(pool.gold[every.chosen] - pool.gold[every.rejected])
    assert tied.n_ties == np.count_nonzero(gap < 0.5 * pool.gold.astype(float).std())
    budgeted = draw(pool, "tie-giving[within=0.5]", 5, total=100)
    assert len(budgeted.chosen) + budgeted.n_ties == 100


def test_agreement_is_that_of_the_pairs_with_a_label():
    pool = make_pool((8,) * 30)
    drawn = draw(pool, "abstaining[of=flip[rate=0.4],rate=0.3]")
    assert drawn.agreement == np.mean(pool.gold[drawn.chosen] > pool.gold[drawn.rejected])
    assert draw(pool, "abstaining[rate=1]").agreement is None


def test_votes_choose_by_the_raters_of_the_pool():
    pool = make_pool((6,) * 20)
    n = len(pool.response_id)
    noise = np.random.default_rng(0).normal(size=(3, n))
    values = (pool.gold + noise).ravel()
    votes = Votes(np.tile(np.arange(n), 3), np.repeat(np.arange(3), n), values)
    drawn = draw(replace(pool, votes=votes), "votes", 10)
    assert 0.6 < drawn.agreement < 0.99
    one_of = [
        noise[:, a] + pool.gold[a] > noise[:, b] + pool.gold[b]
        for a, b in zip(drawn.chosen, drawn.rejected, strict=True)
    ]
    assert np.any(one_of, axis=1).all()
    assert draw(replace(pool, votes=votes), "votes", 10, noise=5).agreement != drawn.agreement
