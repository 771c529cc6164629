"""Test sets and answers with random numbers."""

from __future__ import annotations

import numpy as np

from rmsuite.tested import Answers, TestSet


def many(sizes: tuple[int, ...], seed: int = 0, **columns: object) -> TestSet:
    rng = np.random.default_rng(seed)
    offsets, n = np.concatenate([[0], np.cumsum(sizes)]), len(sizes)
    ids = np.array([f"{i}".encode() for i in range(n)])
    total = offsets[-1]
    plain = {"length": rng.integers(1, 400, total), "gold": rng.standard_normal(total)} | columns
    return TestSet(ids, np.arange(n) % 3, np.arange(total), offsets, **plain)


def with_probability(seed: int = 0) -> tuple[TestSet, Answers]:
    test = many((8,) * 30)
    p = np.random.default_rng(seed).random(len(test.asked.first))
    return test, Answers(test.gold, None, p)
