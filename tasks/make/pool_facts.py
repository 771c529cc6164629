"""What is measured of a pool: ``facts.toml`` beside its card, so that a new measurement changes no pool's hash.

``python tasks/make/pool_facts.py [POOL ...]`` writes the table ``statistics`` from the columns alone. ``leaks.py`` and
``signal_lines.py`` write the tables ``leaks`` and ``signal``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from rmsuite.data import Pool
from rmsuite.metrics import metric
from rmsuite.pools import load_pool, read_card
from rmsuite.splits import FRACTIONS, PARTS, part_of
from rmsuite.tested import Answers, test_set

FACTS = "facts.toml"
POOLS = Path(__file__).resolve().parents[1] / "rmsuite_tasks" / "pools"
Facts = dict[str, Any]


def read(pool: Path) -> Facts:
    """Return what is known of a pool, nothing if nothing was measured."""
    return read_card(pool / FACTS) if (pool / FACTS).is_file() else {}


def write(pool: Path, table: str, facts: Mapping[str, Any]) -> None:
    """Write one table anew and leave the others."""
    every = {**read(pool), table: dict(facts)}
    (pool / FACTS).write_text(tomli_w.dumps(dict(sorted(every.items()))), encoding="utf-8")


def parts(pool: Pool) -> np.ndarray:
    """Return the part of each prompt."""
    return part_of(pool.prompt_id if pool.split_id is None else pool.split_id, FRACTIONS)


def short(value: float) -> float:
    """Round to four decimals."""
    return round(float(value), 4) + 0.0


def statistics(pool: Pool) -> Facts:
    """Return the descriptive statistics of a pool; all prompts, all pairs within a prompt."""
    part, sizes = parts(pool), np.diff(pool.offsets)
    facts: Facts = {f"n_{name}_prompts": int(np.sum(part == name)) for name in PARTS}
    facts["responses_per_prompt"] = [int(sizes.min()), float(np.median(sizes)), int(sizes.max())]
    if pool.human_pairs is not None or (pool.gold is not None and sizes.max() > 1):
        facts |= of_pairs(pool)
    if pool.gold is not None:
        gold = pool.gold.astype(np.float64)
        facts |= {"gold_mean": short(gold.mean()), "gold_sd": short(gold.std())}
        if sizes.max() > 1:
            facts["spearman_of_length_with_gold"] = short(length_correlation(pool))
        if len(np.unique(pool.generator)) > 1:
            facts["accuracy_of_knowing_the_generator"] = short(generator_accuracy(pool))
    if pool.ratings is not None:
        facts["rated"] = dict(zip(pool.attributes, np.isfinite(pool.ratings).sum(axis=0).tolist(), strict=True))
    return facts | (of_votes(pool) if pool.votes is not None else {})


def of_pairs(pool: Pool) -> Facts:
    """Return how many pairs there are, how many have an order, and how often the longer response wins."""
    sizes = np.diff(pool.offsets)
    possible = int(np.sum(sizes * (sizes - 1) // 2))
    ordered = longer = unequal = 0
    for chosen, rejected in test_set(pool, np.arange(len(pool.prompt_id))).pairs():
        difference = pool.length[chosen].astype(np.int64) - pool.length[rejected]
        ordered += len(chosen)
        longer += int(np.sum(difference > 0))
        unequal += int(np.sum(difference != 0))
    facts: Facts = {"n_pairs": ordered, "longer_wins": short(longer / unequal)}
    return facts if pool.gold is None else {**facts, "unequal_gold": short(ordered / possible)}


def length_correlation(pool: Pool) -> float:
    """Return the median over prompts of Spearman's correlation of length with gold, where both vary."""
    assert pool.gold is not None
    each = []
    for start, stop in zip(pool.offsets[:-1], pool.offsets[1:], strict=True):
        gold, length = pool.gold[start:stop], pool.length[start:stop]
        if len(np.unique(gold)) > 1 and len(np.unique(length)) > 1:
            each.append(spearman_of(length, gold))
    return float(np.median(each))


def generator_accuracy(pool: Pool) -> float:
    """Return the pair accuracy, on test prompts, of rewarding each response by its generator alone.

    A generator's reward is its mean gold over the training prompts, each prompt's mean taken out; one that is unseen
    there has the mean 0.
    """
    assert pool.gold is not None
    part, gold = parts(pool), pool.gold.astype(np.float64)
    gold = gold - (np.bincount(pool.prompt, gold) / np.diff(pool.offsets))[pool.prompt]
    seen = (part == "train")[pool.prompt]
    n = int(pool.generator.max()) + 1
    sums, counts = (np.bincount(pool.generator[seen], w, n) for w in (gold[seen], None))
    test = test_set(pool, np.flatnonzero(part == "test"))
    answers = Answers((sums / np.maximum(counts, 1))[pool.generator[test.rows]])
    return metric("pair-accuracy").value(test, answers)


def spearman_of(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of average ranks."""
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 0; equal values share their mean rank."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[group])


def by_rater(pool: Pool) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield, for each two raters, the responses that both judged and the mean vote of each."""
    votes = pool.votes
    assert votes is not None
    means = {}
    for rater in np.unique(votes.rater).tolist():
        mine = votes.rater == rater
        rows, group = np.unique(votes.response[mine], return_inverse=True)
        means[rater] = rows, np.bincount(group, votes.value[mine].astype(np.float64)) / np.bincount(group)
    for one, other in combinations(means.values(), 2):
        rows, first, second = np.intersect1d(one[0], other[0], return_indices=True)
        if len(rows):
            yield rows, one[1][first], other[1][second]


def of_votes(pool: Pool) -> Facts:
    """Return how often two raters of one response gave it the same value, and ordered two responses alike.

    The second looks at responses of one prompt that neither rater held equal; 0.5 is chance.
    """
    assert pool.votes is not None
    same = judged = alike = orders = 0
    for rows, one, other in by_rater(pool):
        same, judged = same + int(np.sum(one == other)), judged + len(rows)
        prompt = pool.prompt[rows]
        for value in np.unique(prompt):
            first, second = np.triu_indices(int(np.sum(prompt == value)), 1)
            mine, theirs = (column[prompt == value] for column in (one, other))
            product = np.sign(mine[first] - mine[second]) * np.sign(theirs[first] - theirs[second])
            alike, orders = alike + int(np.sum(product > 0)), orders + int(np.sum(product != 0))
    facts = {"n_votes": len(pool.votes.value), "n_raters": len(np.unique(pool.votes.rater)), "judged_by_two": judged}
    shares = {"raters_equal": (same, judged), "raters_order_alike": (alike, orders)}
    return facts | {name: short(part / whole) for name, (part, whole) in shares.items() if whole}


def main(names: list[str]) -> None:
    """Write the statistics of the named pools, of all if none is named."""
    for folder in [POOLS / name for name in names] or sorted(path for path in POOLS.iterdir() if path.is_dir()):
        write(folder, "statistics", statistics(load_pool(folder)[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
