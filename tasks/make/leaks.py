"""Write which prompts of a pool are in other pools or nearly in other parts: table ``leaks`` of its ``facts.toml``.

Training means the parts train and validation: a method is given pairs of both.

Run by hand, after all recipes: ``python tasks/make/leaks.py DATA``, with the normalised Parquet files in DATA.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import near_duplicates
import normalised
import pool_facts
import recipes

from rmsuite.pools import load_pool

PROBE = "alpaca-eval-probe"  # the prompts of alpaca-eval by design


def prompts(name: str, data: Path) -> dict[str, str]:
    """Return the text of each prompt of a pool, by its short id."""
    frame = recipes.rows(name, data).frame.drop_duplicates("prompt_id")
    ids = [value.decode() for value in normalised.short_ids(frame["prompt_id"]).tolist()]
    return dict(zip(ids, frame["prompt"], strict=True))


def part_of_each(name: str) -> dict[str, str]:
    """Return the part of each prompt of a pool."""
    pool = load_pool(pool_facts.POOLS / name)[0]
    ids = [value.decode() for value in pool.prompt_id.tolist()]
    return dict(zip(ids, pool_facts.parts(pool).tolist(), strict=True))


def reached(pairs: Iterable[tuple[str, str]], part: Mapping[str, str]) -> int:
    """Return how many test prompts are in a pair with a training prompt."""
    both = [pair for one, other in pairs for pair in ((one, other), (other, one))]
    return len({test for test, train in both if part[test] == "test" and part[train] != "test"})


def within(texts: Mapping[str, str], pairs: set[tuple[str, str]], part: Mapping[str, str]) -> dict[str, int]:
    """Return what is nearly the same within one pool."""
    dialogues = list(near_duplicates.beginnings(texts))
    return {
        "near_duplicate_pairs": len(pairs),
        "near_duplicate_pairs_across_parts": sum(part[one] != part[other] for one, other in pairs),
        "test_prompts_near_training": reached(pairs, part),
        "test_dialogues_that_begin_or_continue_training": reached(dialogues, part),
    }


def between(
    equal: int, pairs: list[tuple[str, str]], one: Mapping[str, str], other: Mapping[str, str]
) -> dict[str, int]:
    """Return what two pools share; ``pairs`` of near-duplicates have the prompt of the first pool first."""
    test = {a for a, b in pairs if one[a] == "test" and other[b] != "test"}
    return {"equal_prompts": equal, "near_duplicates": len(pairs), "test_prompts_near_its_training": len(test)}


def leaks(data: Path) -> dict[str, dict[str, Any]]:
    """Return the table of each pool."""
    names = sorted(path.name for path in pool_facts.POOLS.iterdir() if path.is_dir() and path.name != PROBE)
    texts = {name: prompts(name, data) for name in names}
    part = {name: part_of_each(name) for name in names}
    sets = {f"{name} {key}": one for name in names for key, one in near_duplicates.questions(texts[name]).items()}
    found = [(*one.split(), *other.split()) for one, other in sorted(near_duplicates.similar_pairs(sets))]
    every: dict[str, dict[str, Any]] = {}
    for name in names:
        own = {(a, b) for p, a, q, b in found if p == q == name}
        every[name] = {"method": near_duplicates.METHOD, **within(texts[name], own, part[name])}
        for other in names:
            pairs = [(a, b) for p, a, q, b in found if (p, q) == (name, other)]
            pairs += [(b, a) for p, a, q, b in found if (p, q) == (other, name)]
            equal = len(texts[name].keys() & texts[other].keys())
            if other != name and (pairs or equal):
                every[name].setdefault("shared_with", {})[other] = between(equal, pairs, part[name], part[other])
    return every


def main(data: Path) -> None:
    """Write the tables of all pools."""
    for name, facts in leaks(data).items():
        pool_facts.write(pool_facts.POOLS / name, "leaks", facts)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
