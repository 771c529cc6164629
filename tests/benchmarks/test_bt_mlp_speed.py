"""Speed of ``bt-mlp`` at 2,048 features against a plain PyTorch loop and against its matrix products alone.

``RMSUITE_BENCH=full pytest tests/benchmarks/test_bt_mlp_speed.py`` prints the ratios; the default is a small size.
Nothing is asserted about time. The rival is the loop that one writes: chosen and rejected rows of each random batch of
pairs go forward, with ``torch.optim.AdamW``; it needs torch. ``bt-mlp`` trains until its training loss is no larger.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from rmsuite import PreferencePairs
from rmsuite_baselines.bt_mlp import BradleyTerryMLP
from rmsuite_baselines.losses import PairLoss

FULL = os.environ.get("RMSUITE_BENCH") == "full"
N_FEATURES, HIDDEN, N_PROMPTS = (2048, 256, 1000) if FULL else (128, 32, 40)
EPOCHS, BATCH, RATE, N_RESPONSES = 3, 512, 3e-4, 10
# By pairs a prompt, the epochs that bring bt-mlp to the rival's training loss: batches of whole prompts need more.
EPOCHS_OF_MINE = {20: 5, 5: 4, 1: 3} if FULL else {20: 3, 5: 3, 1: 3}
N_PAIRS = N_PROMPTS * 20  # at each setting: with fewer pairs a prompt there are more prompts


def made(per_prompt: int) -> PreferencePairs:
    """Pairs of responses whose gold is linear in features of a falling spectrum, as those of base models are."""
    rng, n_prompts = np.random.default_rng(0), N_PAIRS // per_prompt
    per = min(N_RESPONSES, 2 * per_prompt)
    embeddings = rng.standard_normal((n_prompts * per, N_FEATURES), dtype=np.float32)
    embeddings *= (1 + np.arange(N_FEATURES, dtype=np.float32)) ** -0.5
    gold = embeddings @ rng.standard_normal(N_FEATURES).astype(np.float32)
    prompt = np.repeat(np.arange(n_prompts), per_prompt)
    first = rng.integers(per, size=len(prompt))
    second = (first + rng.integers(1, per, size=len(prompt))) % per
    first, second = first + prompt * per, second + prompt * per
    right = gold[first] > gold[second]
    chosen, rejected = np.where(right, first, second), np.where(right, second, first)
    return PreferencePairs(embeddings, chosen, rejected, prompt, 0 * prompt)


def model(pairs: PreferencePairs) -> BradleyTerryMLP:
    epochs = EPOCHS_OF_MINE[np.bincount(pairs.prompt).max()]
    return BradleyTerryMLP(hidden=HIDDEN, epochs=epochs, batch=BATCH, learning_rate=RATE, weight_decay=0.0)


def final_loss(rewards: np.ndarray, pairs: PreferencePairs) -> float:
    return PairLoss()(rewards, pairs.chosen, pairs.rejected)[0]


def by_torch(torch, pairs: PreferencePairs) -> float:
    torch.manual_seed(0)
    mean, deviation = pairs.embeddings.mean(axis=0), pairs.embeddings.std(axis=0)
    rows = torch.from_numpy((pairs.embeddings - mean) / deviation)
    chosen, rejected = (torch.from_numpy(np.array(side)) for side in (pairs.chosen, pairs.rejected))
    net = torch.nn.Sequential(
        torch.nn.Linear(N_FEATURES, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1, bias=False)
    )
    torch.nn.init.kaiming_normal_(net[0].weight)
    torch.nn.init.zeros_(net[0].bias)
    torch.nn.init.normal_(net[2].weight, std=0.01 / HIDDEN**0.5)
    adam = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.0)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(chosen)).split(BATCH):
            loss = -torch.nn.functional.logsigmoid(net(rows[chosen[batch]]) - net(rows[rejected[batch]])).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
    with torch.no_grad():
        return final_loss(net(rows)[:, 0].numpy(), pairs)


def products(pairs: PreferencePairs) -> int:
    """Do the matrix products of all steps, and nothing else, on matrices of the right shapes."""
    order = np.argsort(pairs.prompt, kind="stable")
    weights, done = np.ones((N_FEATURES, HIDDEN), np.float32), 0
    rows = np.ones((2 * BATCH, N_FEATURES), np.float32)
    for _ in range(model(pairs).epochs):
        for start in range(0, len(pairs), BATCH):
            batch = order[start : start + BATCH]
            n = len(np.unique([pairs.chosen[batch], pairs.rejected[batch]]))
            hidden = rows[:n] @ weights
            done += (rows[:n].T @ hidden).size
    return done


@pytest.fixture(params=EPOCHS_OF_MINE)
def pairs(request, benchmark) -> PreferencePairs:
    benchmark.group = f"bt-mlp, {N_PAIRS:,} pairs, {request.param} a prompt, {N_FEATURES:,} features"
    return made(request.param)


@pytest.fixture(params=[1, 2])
def threads(request, benchmark):
    benchmark.group += f", {request.param} thread(s)"
    with threadpool_limits(request.param):
        yield request.param


def test_bt_mlp(benchmark, pairs, threads):
    fitted = benchmark.pedantic(
        lambda: model(pairs).fit(pairs, rng=np.random.default_rng(0)), rounds=3 if FULL else 1, warmup_rounds=1
    )
    assert final_loss(fitted.reward(pairs.embeddings), pairs) < np.log(2)


def test_its_matrix_products_alone(benchmark, pairs, threads):
    assert benchmark.pedantic(lambda: products(pairs), rounds=3 if FULL else 1, warmup_rounds=1) > 0


def test_a_plain_torch_loop(benchmark, pairs, threads):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(threads)
    theirs = benchmark.pedantic(lambda: by_torch(torch, pairs), rounds=3 if FULL else 1, warmup_rounds=1)
    mine = final_loss(model(pairs).fit(pairs, rng=np.random.default_rng(0)).reward(pairs.embeddings), pairs)
    assert mine < 1.05 * theirs
