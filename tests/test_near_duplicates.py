"""Prompts that are nearly the same are found, all of them. Whoever trusts a test prompt to be new relies on it."""

from __future__ import annotations

from itertools import combinations

import near_duplicates as near
import numpy as np
import pytest

WORDS = [f"w{i}" for i in range(12)]


def texts(n: int, seed: int) -> dict[str, str]:
    """Short texts of few words, among them many that are alike."""
    rng = np.random.default_rng(seed)
    return {f"{i:04d}": " ".join(rng.choice(WORDS[: 3 + i % 9], rng.integers(1, 9))) for i in range(n)}


@pytest.mark.parametrize("threshold", [0.1, 1 / 3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_join_finds_what_comparing_all_pairs_finds(seed, threshold):
    sets = {name: near.shingles(text) for name, text in texts(150, seed).items()}
    every = {
        (a, b) for a, b in combinations(sorted(sets), 2) if len(sets[a] & sets[b]) >= threshold * len(sets[a] | sets[b])
    }
    assert every
    assert near.similar_pairs(sets, threshold) == every


def test_the_order_of_prompts_does_not_matter():
    some = texts(100, 5)
    turned = dict(reversed(some.items()))
    assert near.similar_pairs(near.questions(some)) == near.similar_pairs(near.questions(turned))


def test_equal_texts_are_similar_whatever_their_case_and_signs():
    one = near.shingles("What is 7 + 8, and why?")
    assert one == near.shingles("what IS 7 8 -- and *why*")
    assert near.jaccard(one, one) == 1
    assert near.shingles("") == near.shingles("?!")


def test_one_other_word_at_the_end_is_near_and_another_question_is_not():
    texts = {
        "a": "Which books are still banned in all of Canada?",
        "b": "Which books are still banned in all of France?",
        "c": "Which birds are never seen in any part of France?",
    }
    assert near.similar_pairs(near.questions(texts)) == {("a", "b")}


def test_chinese_is_compared_by_characters():
    one, other = near.shingles("你好吗朋友们"), near.shingles("你好吗朋友")
    assert near.jaccard(one, other) == 3 / 4


def test_a_template_makes_no_two_questions_alike():
    wrap = "please answer the following question in as few words as you can: {} thank you very much in advance"
    texts = {f"{i:03d}": wrap.format(f"x{i} y{i} z{i}") for i in range(200)}
    assert len(near.similar_pairs({name: near.shingles(text) for name, text in texts.items()})) == 200 * 199 / 2
    assert near.similar_pairs(near.questions(texts)) == set()
    assert near.similar_pairs(near.questions({**texts, "new": wrap.format("x7 y7 z7")})) == {("007", "new")}


def test_a_prompt_that_is_nothing_but_template_keeps_its_words():
    texts = {f"{i:03d}": "what is this?" for i in range(30)}
    assert all(near.questions(texts).values())


def test_dialogues_that_begin_others_are_those_that_are_their_prefix():
    turns = [f"\n\nHuman: {a}\n\nAssistant:" for a in "abc"]
    some = {f"{i}": turn for i, turn in enumerate(turns)}
    rng = np.random.default_rng(0)
    for i in range(3, 60):
        some[f"{i}"] = some[str(rng.integers(i))] + f" {rng.integers(3)}\n\nHuman: {rng.integers(3)}\n\nAssistant:"
    expected = {(a, b) for a in some for b in some if a != b and some[b].startswith(some[a]) and some[a] != some[b]}
    found = {(a, b) for a, b in near.beginnings(some) if some[a] != some[b]}
    assert found == expected
    assert len(expected) > 50


def test_a_single_turn_begins_the_dialogue_that_goes_on_from_it():
    some = {"one": "hi", "two": "\n\nHuman: hi\n\nAssistant: yes?\n\nHuman: bye\n\nAssistant:", "three": "hi there"}
    assert list(near.beginnings(some)) == [("one", "two")]


def test_groups_are_what_chains_of_pairs_join():
    rng = np.random.default_rng(1)
    names = [f"{i:03d}" for i in range(80)]
    pairs = {tuple(sorted(rng.choice(names, 2, replace=False).tolist())) for _ in range(50)}
    groups = near.groups(names, pairs)
    reach = np.eye(80, dtype=bool)
    for a, b in pairs:
        reach[int(a), int(b)] = reach[int(b), int(a)] = True
    for _ in range(80):
        reach = reach @ reach
    assert groups == {name: names[int(np.flatnonzero(reach[int(name)])[0])] for name in names}
    assert near.groups(names[::-1], pairs) == groups


def test_without_pairs_each_is_its_own_group():
    assert near.groups(["b", "a"], set()) == {"a": "a", "b": "b"}
