"""Pair metrics as a ratio to a list of all pairs: ``pytest tests/benchmarks/test_pair_metrics_speed.py``.

Nothing is asserted about time; each benchmark asserts that both give the same sums. ``RMSUITE_BENCH=full`` takes
2,000 prompts of 500 responses: 250 million pairs.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from listed_pairs import LISTED, asked

from rmsuite.metrics import metric
from rmsuite.tested import Answers, TestSet

FULL = os.environ.get("RMSUITE_BENCH") == "full"
N_PROMPTS, N_RESPONSES, N_GENERATORS = (2_000, 500, 20) if FULL else (20, 100, 20)


@pytest.fixture(scope="module")
def test_set() -> TestSet:
    rng = np.random.default_rng(0)
    n = N_PROMPTS * N_RESPONSES
    return TestSet(
        prompt_id=np.array([f"{i}".encode() for i in range(N_PROMPTS)]),
        category=np.zeros(N_PROMPTS, int),
        rows=np.arange(n),
        offsets=np.arange(N_PROMPTS + 1) * N_RESPONSES,
        length=rng.lognormal(6.5, 0.7, n).astype(np.int64),
        gold=rng.standard_normal(n),
        generator=rng.permuted(np.tile(np.arange(N_RESPONSES) % N_GENERATORS, (N_PROMPTS, 1)), axis=1).ravel(),
    )


@pytest.fixture(scope="module")
def answers(test_set) -> Answers:
    return Answers(test_set.gold + np.random.default_rng(1).standard_normal(len(test_set.gold)))


FORMS = {"as it is": lambda name: metric(name).per_prompt, "by a list": LISTED.get}
sums: dict[str, np.ndarray] = {}


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("form", FORMS)
def test_a_metric(benchmark, test_set, answers, name, form):
    benchmark.group = f"{name}, {N_PROMPTS:,} prompts of {N_RESPONSES}"
    found = benchmark.pedantic(FORMS[form](name), (test_set, answers), rounds=1, warmup_rounds=0)
    np.testing.assert_array_equal(found, sums.setdefault(name, found))


@pytest.mark.parametrize("form", FORMS)
def test_asked_pairs(benchmark, test_set, form):
    benchmark.group = f"asked pairs, {N_PROMPTS:,} prompts of {N_RESPONSES}"
    drawn = {"as it is": lambda: replace(test_set).asked, "by a list": lambda: asked(test_set)}
    found = benchmark.pedantic(drawn[form], rounds=1, warmup_rounds=0)
    listed = found if form == "by a list" else np.column_stack([found.first, found.second, found.first_chosen])
    np.testing.assert_array_equal(listed, sums.setdefault("asked", listed))
