"""The time of 100 steps of each optimizer on all prompts of a pool, linear policy, for one seed and for eight at once.

``pytest tests/benchmarks/test_policies_speed.py`` prints the table for 25 prompts of 58 responses, 384 features, in
one thread; ``RMSUITE_BENCH=full`` makes it 500 prompts. Nothing is asserted about time.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from rmsuite.policies import GRPO, PPO, RLOO, Choices, OptimalBaseline, ReMax, Training, train, uniform

N_PROMPTS = 500 if os.environ.get("RMSUITE_BENCH") == "full" else 25
N_RESPONSES, N_FEATURES, STEPS = 58, 384, 100
OPTIMIZERS = (ReMax(), RLOO(4), GRPO(4), OptimalBaseline(), PPO())

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]  # as in a cell


@pytest.fixture(scope="module")
def choices() -> Choices:
    offsets = np.arange(N_PROMPTS + 1) * N_RESPONSES
    rows = np.random.default_rng(0).standard_normal((offsets[-1], N_FEATURES), dtype=np.float32)
    return Choices(offsets, rows, uniform(offsets))


@pytest.mark.parametrize("seeds", [1, 8])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_steps(benchmark, choices, optimizer, seeds):
    benchmark.group = f"{STEPS} steps on {N_PROMPTS:,} prompts of {N_RESPONSES}, {N_FEATURES} features, {seeds} seeds"
    rewards, training = choices.embeddings[:, 0], Training(steps=STEPS, beta=0.1)
    path = benchmark.pedantic(train, (choices, rewards, optimizer, training), {"seeds": range(seeds)}, rounds=1)
    pi = np.exp(path[-1].policy.log_probabilities(choices))
    assert (choices.prompts.total(pi * rewards[:, None]).mean(axis=0) > 0.5).all()
