"""Metrics that make no list of pairs give what a list gives, to the bit. Results that are stored rely on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from listed_pairs import LISTED, asked

from rmsuite.errors import TaskError
from rmsuite.metrics import length, metric, pairs
from rmsuite.tested import Answers, TestSet


def ragged(seed: int) -> TestSet:
    """Prompts of 1 to 40 responses in any order of size, gold and lengths with few distinct values or with many."""
    rng = np.random.default_rng(seed)
    sizes = rng.permutation([1, 1, 2, 2, 3, *rng.integers(1, 41, 25)])
    offsets, n = np.concatenate([[0], np.cumsum(sizes)]), int(sizes.sum())
    return TestSet(
        prompt_id=np.array([f"{seed} {i}".encode() for i in range(len(sizes))]),
        category=rng.integers(0, 3, len(sizes)),
        rows=np.arange(n),
        offsets=offsets,
        length=rng.integers(0, rng.choice([4, 30, 5000]), n),
        gold=np.round(rng.standard_normal(n), rng.choice([0, 1, 9])),
        generator=rng.integers(0, rng.choice([2, 9]), n),
    )


def human(test: TestSet, seed: int) -> TestSet:
    """Every fifth pair, some twice and some both ways round, in any order."""
    rng = np.random.default_rng(seed)
    listed = np.concatenate([np.stack(block, axis=1) for block in test.pairs()])
    some = listed[rng.integers(0, len(listed), len(listed) // 5)]
    chosen, rejected = rng.permuted(some, axis=1).T
    return replace(test, gold=None, chosen=chosen, rejected=rejected)


def rewards_of(test: TestSet, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.round(rng.standard_normal(len(test.rows)), rng.choice([0, 1, 9]))


FORMS = {"gold": lambda test, _seed: test, "pairs": human}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
every_seed = pytest.mark.parametrize("seed", range(8))


@every_form
@every_seed
@pytest.mark.parametrize("name", LISTED)
def test_per_prompt_sums_are_those_of_the_list_to_the_bit(name, seed, form):
    test = form(ragged(seed), seed)
    answers = Answers(rewards_of(test, seed))
    np.testing.assert_array_equal(metric(name).per_prompt(test, answers), LISTED[name](test, answers))


@pytest.mark.parametrize("name", LISTED)
def test_blocks_that_cut_prompts_give_the_same_sums(name, monkeypatch):
    test = ragged(8)
    answers = Answers(rewards_of(test, 8))
    expected = metric(name).per_prompt(test, answers)
    monkeypatch.setattr(pairs, "BLOCK", 50)
    np.testing.assert_array_equal(metric(name).per_prompt(test, answers), expected)


@every_form
@every_seed
def test_asked_pairs_are_those_drawn_out_of_the_list(seed, form):
    test = form(ragged(seed), seed)
    found = np.column_stack([test.asked.first, test.asked.second, test.asked.first_chosen])
    np.testing.assert_array_equal(found, asked(test))
    assert len(found) > 200


@pytest.mark.parametrize("block", [1, 50, pairs.BLOCK])
def test_blocks_are_bounded_and_hold_every_pair_once(block, monkeypatch):
    """A prompt larger than a block is cut; one response is compared with all others of its prompt at the least."""
    test = ragged(3)
    monkeypatch.setattr(pairs, "BLOCK", block)
    found = []
    for part in pairs.blocks(test):
        assert part.is_pair.size <= max(2 * block, 40)
        chosen, rejected = (np.broadcast_to(side, part.is_pair.shape) for side in (part.chosen, part.rejected))
        np.testing.assert_array_equal(test.prompt[chosen], np.broadcast_to(part.prompts[part.place], chosen.shape))
        found += zip(chosen[part.is_pair].tolist(), rejected[part.is_pair].tolist(), strict=True)
    listed = [pair for listing in test.pairs() for pair in zip(*(side.tolist() for side in listing), strict=True)]
    assert sorted(found) == sorted(listed)


def test_sums_of_squared_differences_are_exact_where_floats_would_round():
    """Two prompts of two: 10^16 + 1 is no float, and a sum of floats would lose the 1."""
    prompt = np.array([0, 0, 1, 1])
    assert length._of_all_pairs(np.array([0, 10**8, 7, 8]), (prompt,)) == (10**16 + 1, 2)
    far = np.full(40_000, 10**7)
    far[0] = 0
    assert length._of_all_pairs(far, (np.zeros(len(far)),)) == (39_999 * 10**14, 40_000 * 39_999 // 2)


def test_lengths_that_are_no_whole_numbers_are_refused():
    test = ragged(1)
    test = replace(test, length=test.length + np.where(test.rows == 7, 0.25, 0.0))
    with pytest.raises(TaskError, match="whole numbers"):
        length.adjusted(test, Answers(rewards_of(test, 0)))
