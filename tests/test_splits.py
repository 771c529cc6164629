"""A prompt is in one part of the whole benchmark, for good. Whoever adds prompts or pools relies on it."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from rmsuite.splits import FRACTIONS, PARTS, part_of

IDS = [hashlib.sha256(b"prompt %d" % i).hexdigest()[:14].encode() for i in range(20_000)]
KNOWN = (["train", "test", "validation", "test", "test"], "f72a333462720d5a")


def test_adding_or_leaving_out_prompts_moves_none():
    whole = part_of(IDS, FRACTIONS)
    np.testing.assert_array_equal(part_of(IDS[:500], FRACTIONS), whole[:500])
    np.testing.assert_array_equal(part_of(IDS[7000::3], FRACTIONS), whole[7000::3])


def test_the_order_of_prompts_does_not_matter():
    order = np.random.default_rng(0).permutation(len(IDS))
    np.testing.assert_array_equal(part_of([IDS[i] for i in order], FRACTIONS), part_of(IDS, FRACTIONS)[order])


def test_a_prompt_that_is_there_twice_is_in_one_part():
    np.testing.assert_array_equal(part_of(IDS[:300] * 2, FRACTIONS)[:300], part_of(IDS[:300], FRACTIONS))


def test_the_type_that_holds_an_id_does_not_matter():
    """Ids of other lengths beside it pad an array's items, and padding is no part of an id."""
    plain = part_of(IDS[:300], FRACTIONS)
    for kind in ("S14", "S20", "S64"):
        np.testing.assert_array_equal(part_of(np.array(IDS[:300], kind), FRACTIONS), plain)


def test_every_prompt_is_in_a_part_and_fractions_are_near_the_cards():
    part = part_of(IDS, FRACTIONS)
    assert set(part) == set(PARTS)
    for name, fraction in FRACTIONS.items():
        assert abs(np.mean(part == name) - fraction) < 4 * math.sqrt(fraction * (1 - fraction) / len(IDS))


def test_the_fractions_are_fixed():
    """A changed fraction changes every number: it would be another protocol."""
    assert dict(FRACTIONS) == {"train": 0.6, "validation": 0.15, "test": 0.25}
    assert PARTS == ("train", "validation", "test")
    assert sum(FRACTIONS.values()) == pytest.approx(1)
    with pytest.raises(TypeError):
        FRACTIONS["train"] = 0.5


def test_the_parts_of_known_ids_are_fixed():
    """The split is a promise to those who published numbers: these were computed when it was made."""
    known = part_of([b"0a1b2c3d4e5f", b"aa", b"", b"prompt", b"ffffffffffff"], FRACTIONS)
    digests = hashlib.sha256("".join(part_of(IDS[:1000], FRACTIONS)).encode()).hexdigest()
    assert (known.tolist(), digests[:16]) == KNOWN


def test_a_larger_part_keeps_what_it_had():
    """Edges move, prompts do not jump over them: training only grows when its fraction does."""
    small = part_of(IDS, {"train": 0.5, "validation": 0.25, "test": 0.25}) == "train"
    large = part_of(IDS, {"train": 0.7, "validation": 0.05, "test": 0.25}) == "train"
    assert (large >= small).all()
    assert large.sum() > small.sum()


@pytest.mark.parametrize("part", PARTS)
def test_a_part_with_the_whole_fraction_has_all_prompts(part):
    fractions = {name: float(name == part) for name in PARTS}
    assert set(part_of(IDS[:500], fractions)) == {part}


def test_no_prompts_have_no_parts():
    assert part_of([], FRACTIONS).tolist() == []
