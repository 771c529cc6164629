"""What is said of a pool is so, by other ways to compute it. Whoever picks a task by its statistics relies on it."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pool_facts
import pytest
from scipy import stats

from rmsuite.data import Pool, Votes


def pool(seed: int = 0, **more: object) -> Pool:
    """A pool of prompts with few distinct golds and lengths, so that ties are common."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, 40)
    n = int(sizes.sum())
    columns = {
        "name": "toy",
        "prompt_id": np.array([f"{i:012x}" for i in range(40)], "S14"),
        "category": np.zeros(40, np.uint8),
        "categories": ("a",),
        "offsets": np.append(0, np.cumsum(sizes)),
        "response_id": np.array([f"{i:014x}" for i in range(n)], "S14"),
        "generator": np.zeros(n, np.uint8),
        "length": rng.integers(1, 6, n).astype(np.int32),
        "gold": rng.integers(0, 4, n).astype(np.float32),
    }
    return Pool(**{**columns, **more})


def pairs(one: Pool):
    """Every two responses of a prompt."""
    for start, stop in zip(one.offsets[:-1], one.offsets[1:], strict=True):
        yield from combinations(range(start, stop), 2)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_counted_one_by_one(seed):
    one = pool(seed)
    every = list(pairs(one))
    ordered = [(i, j) if one.gold[i] > one.gold[j] else (j, i) for i, j in every if one.gold[i] != one.gold[j]]
    lengths = [(one.length[i], one.length[j]) for i, j in ordered if one.length[i] != one.length[j]]
    facts = pool_facts.statistics(one)
    assert facts["n_pairs"] == len(ordered)
    assert facts["unequal_gold"] == round(len(ordered) / len(every), 4)
    assert facts["longer_wins"] == round(float(np.mean([i > j for i, j in lengths])), 4)


@pytest.mark.parametrize("seed", range(5))
def test_ranks_and_their_correlation_are_scipys(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.integers(0, 6, 50), rng.integers(0, 6, 50)
    np.testing.assert_allclose(pool_facts.ranks(one), stats.rankdata(one) - 1)
    assert pool_facts.spearman_of(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)


def test_the_correlation_with_length_is_the_median_over_prompts_where_both_vary():
    one = pool(3)
    each = []
    for start, stop in zip(one.offsets[:-1], one.offsets[1:], strict=True):
        gold, length = one.gold[start:stop], one.length[start:stop]
        if np.ptp(gold) and np.ptp(length):
            each.append(stats.spearmanr(gold, length).statistic)
    assert pool_facts.statistics(one)["spearman_of_length_with_gold"] == round(float(np.median(each)), 4)


def test_longer_wins_always_where_gold_is_length():
    one = pool(1)
    facts = pool_facts.statistics(pool(1, gold=one.length.astype(np.float32)))
    assert facts["longer_wins"] == facts["spearman_of_length_with_gold"] == 1
    facts = pool_facts.statistics(pool(1, gold=-one.length.astype(np.float32)))
    assert facts["longer_wins"] == 0


def test_human_pairs_stand_where_there_is_no_gold():
    one = pool(2)
    human = np.array(list(pairs(one)))
    facts = pool_facts.statistics(pool(2, gold=None, human_pairs=human))
    assert facts["n_pairs"] == len(human)
    assert not {"unequal_gold", "gold_mean"} & set(facts)


def test_parts_are_counted_by_the_id_that_decides():
    one = pool()
    alone = pool_facts.statistics(pool(split_id=np.full(40, one.prompt_id[0])))
    assert sorted(alone[f"n_{part}_prompts"] for part in ("train", "validation", "test")) == [0, 0, 40]


def test_missing_ratings_are_not_counted():
    ratings = np.zeros((len(pool().response_id), 2), np.float32)
    ratings[:7, 1] = np.nan
    facts = pool_facts.statistics(pool(ratings=ratings, attributes=("a", "b")))
    assert facts["rated"] == {"a": len(ratings), "b": len(ratings) - 7}


@pytest.mark.parametrize("seed", range(4))
def test_raters_are_compared_two_by_two(seed):
    rng = np.random.default_rng(seed)
    one = pool(seed)
    n = len(one.response_id)
    cast = [(row, rater, float(rng.integers(0, 3))) for row in range(n) for rater in range(4) if rng.random() < 0.6]
    response, rater, value = (np.array(column) for column in zip(*cast, strict=True))
    facts = pool_facts.statistics(pool(seed, votes=Votes(response, rater, value)))
    said = {(row, who): what for row, who, what in cast}
    both = [
        (said[row, a], said[row, b])
        for row in range(n)
        for a, b in combinations(range(4), 2)
        if {(row, a), (row, b)} <= said.keys()
    ]
    assert facts["judged_by_two"] == len(both)
    assert facts["raters_equal"] == round(float(np.mean([a == b for a, b in both])), 4)
    signs = [
        (said[i, a] - said[j, a]) * (said[i, b] - said[j, b])
        for i, j in pairs(one)
        for a, b in combinations(range(4), 2)
        if {(i, a), (j, a), (i, b), (j, b)} <= said.keys()
    ]
    assert facts["raters_order_alike"] == round(float(np.mean([s > 0 for s in signs if s])), 4)


def test_two_votes_of_one_rater_count_as_their_mean():
    votes = Votes(np.array([0, 0, 0]), np.array([0, 0, 1]), np.array([1.0, 3.0, 2.0]))
    ((rows, one, other),) = pool_facts.by_rater(pool(votes=votes))
    assert (rows.tolist(), one.tolist(), other.tolist()) == ([0], [2.0], [2.0])


def test_raters_that_never_meet_are_not_compared():
    one = pool(votes=Votes(np.array([0, 1]), np.array([0, 1]), np.array([1.0, 3.0])))
    facts = pool_facts.statistics(one)
    assert (facts["n_raters"], facts["judged_by_two"]) == (2, 0)
    assert not {"raters_equal", "raters_order_alike"} & set(facts)


def test_a_table_is_written_beside_the_others(tmp_path):
    pool_facts.write(tmp_path, "statistics", {"n": 1})
    pool_facts.write(tmp_path, "leaks", {"n": 2})
    pool_facts.write(tmp_path, "statistics", {"m": 3})
    assert pool_facts.read(tmp_path) == {"leaks": {"n": 2}, "statistics": {"m": 3}}
    assert pool_facts.read(tmp_path / "none") == {}


@pytest.mark.parametrize("seed", range(3))
def test_knowing_the_generator_is_worth_what_its_mean_gold_in_training_orders_right(seed):
    rng = np.random.default_rng(seed)
    one = pool(seed)
    generator = rng.integers(0, 4, len(one.gold)).astype(np.uint8)
    one = pool(seed, generator=generator)
    part = pool_facts.parts(one)
    centred = {i: one.gold[i] - np.mean(one.gold[one.prompt == one.prompt[i]]) for i in range(len(one.gold))}
    trained = [i for i in centred if part[one.prompt[i]] == "train"]
    known = {g: [centred[i] for i in trained if generator[i] == g] for g in range(4)}
    reward = [float(np.mean(known[g])) if known[g] else 0.0 for g in generator.tolist()]
    tested = [(i, j) for i, j in pairs(one) if part[one.prompt[i]] == "test" and one.gold[i] != one.gold[j]]
    credit = [0.5 + 0.5 * np.sign((reward[i] - reward[j]) * (one.gold[i] - one.gold[j])) for i, j in tested]
    assert pool_facts.generator_accuracy(one) == pytest.approx(np.mean(credit), abs=1e-6)
    assert "accuracy_of_knowing_the_generator" not in pool_facts.statistics(pool(seed))
