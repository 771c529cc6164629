"""Cost of ensembles as a ratio to one member, in one run: ``pytest tests/benchmarks/test_ensemble_speed.py``.

Nothing is asserted about time. ``RMSUITE_BENCH=full`` takes the sizes of real tasks. The number of epochs is fixed, so
that all fits do the same passes over the data; early stopping is left to chance otherwise.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmsuite import plugins
from rmsuite.data import PreferencePairs

FULL = os.environ.get("RMSUITE_BENCH") == "full"
N_PROMPTS, EPOCHS, ROUNDS = (450, 10, 3) if FULL else (20, 2, 1)
N_RESPONSES, N_PAIRS = 25, 20  # a prompt
ONE = f"bt-mlp[epochs={EPOCHS},patience={EPOCHS}]"
METHODS = {
    "one bt-mlp": ONE,
    "ensemble of 5": f"ensemble[base='{ONE}',members=5]",
    "ensemble of 5, trained together": f"ensemble[base='{ONE}',members=5,vary=initialisation]",
    "ensemble of 5, half of the features each": f"ensemble[base='{ONE}',members=5,vary=features]",
    "ensemble of 5, four fifths of the prompts each": f"ensemble[base='{ONE}',members=5,vary=data]",
    "5 heads": ONE.replace("bt-mlp[", "bt-heads[heads=5,"),
    "mean weights of 5": ONE.replace("bt-mlp[", "warm[members=5,"),
}


def drawn(n_prompts: int, n_features: int, validation: PreferencePairs | None) -> PreferencePairs:
    """Draw pairs whose gold is linear with noise, so many responses and pairs a prompt."""
    rng = np.random.default_rng(n_prompts)
    embeddings = rng.standard_normal((n_prompts * N_RESPONSES, n_features), dtype=np.float32)
    gold = embeddings.sum(axis=1) + np.sqrt(n_features) * rng.standard_normal(len(embeddings))
    prompt = np.repeat(np.arange(n_prompts), N_PAIRS)
    picks = np.array([rng.choice(N_RESPONSES, 2, replace=False) for _ in prompt]) + N_RESPONSES * prompt[:, None]
    rejected, chosen = np.take_along_axis(picks, np.argsort(gold[picks], axis=1), axis=1).T
    return PreferencePairs(embeddings, chosen, rejected, prompt, 0 * prompt, validation)


@pytest.fixture(scope="module", params=[384, 2048] if FULL else [384])
def pairs(request) -> PreferencePairs:
    return drawn(N_PROMPTS, request.param, drawn(N_PROMPTS // 4, request.param, None))


@pytest.mark.parametrize("name", METHODS)
def test_a_fit(benchmark, pairs, name):
    """On one thread, as the harness fits; the rows of one width are compared with the first."""
    benchmark.group = f"one fit, {len(pairs):,} pairs, {pairs.n_features} features, {EPOCHS} epochs"
    configured = plugins.at_hand(METHODS[name])
    with threadpool_limits(1):
        model = benchmark.pedantic(
            lambda: configured.make().fit(pairs, rng=np.random.default_rng(0)), rounds=ROUNDS, warmup_rounds=FULL
        )
    rewards = model.reward(pairs.embeddings)
    assert np.mean(rewards[pairs.chosen] > rewards[pairs.rejected]) > 0.5
