"""What several test files share: a small pool on disk, with its cards, made afresh for each test."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 -- its threads are counted from here on
from threadpoolctl import threadpool_limits

from rmsuite.pool_files import write_embeddings, write_folder

N_PROMPTS, N_RESPONSES, N_FEATURES = 60, 6, 8

TASK = """
name = "{name}"
version = 1
question = "toy?"
pool = "{pool}"
base_model = "toy-base"
annotator = "{annotator}"
pairs_per_prompt = {pairs}
columns = [{columns}]
"""
SUITE = """
name = "default"
summary = "toys"
tasks = ["toy-gold", "toy-human"]
repetitions = 2
"""


def write_pool(
    root: Path, name: str, human: bool, n_prompts: int = N_PROMPTS, generators: tuple[str, ...] = ("toy",)
) -> Path:
    """Write a pool whose gold is linear in the embedding, with noise; with human pairs instead of gold if asked."""
    rng = np.random.default_rng(7)
    n = n_prompts * N_RESPONSES
    embeddings = rng.standard_normal((n, N_FEATURES)).astype(np.float32)
    gold = (embeddings @ np.arange(1, N_FEATURES + 1) + rng.standard_normal(n)).astype(np.float32)
    prompt_id = np.array([hashlib.sha256(b"toy %d" % i).hexdigest()[:12] for i in range(n_prompts)], "S14")
    columns = {
        "prompt_id": prompt_id,
        "category": (np.arange(n_prompts) % 3).astype(np.uint8),
        "offsets": np.arange(0, n + 1, N_RESPONSES),
        "response_id": np.array([hashlib.sha256(b"toy response %d" % i).hexdigest()[:14] for i in range(n)], "S14"),
        "generator": (np.arange(n) % N_RESPONSES % len(generators)).astype(np.uint8),
        "length": rng.integers(10, 500, n).astype(np.int32),
    }
    pairs = np.arange(n).reshape(-1, 2)
    order = np.where(gold[pairs[:, :1]] > gold[pairs[:, 1:]], pairs, pairs[:, ::-1])
    columns |= {"human_pairs": order.astype(np.int32)} if human else {"gold": gold}
    card = {
        "name": name,
        "format": 1,
        "licence": "CC0",
        "categories": ["a", "b", "c"],
        "generators": [*generators],
        "n_prompts": n_prompts,
        "n_responses": n,
        "known_flaws": [],
    }
    folder = root / "pools" / name
    write_folder(folder, "pool.toml", card, columns)
    write_embeddings(folder, embeddings, {"base_model": "toy-base"})
    return folder


def write_root(root: Path) -> Path:
    """Write cards and pools of two toy tasks, ``toy-gold`` and ``toy-human``, and the suite ``default``."""
    write_pool(root, "gold-pool", human=False)
    write_pool(root, "human-pool", human=True)
    for folder in ("tasks", "suites"):
        (root / folder).mkdir()
    gold = TASK.format(
        name="toy-gold", pool="gold-pool", annotator="perfect", pairs=4, columns='"pair-accuracy", "spearman"'
    )
    human = TASK.format(name="toy-human", pool="human-pool", annotator="human", pairs=0, columns='"pair-accuracy"')
    (root / "tasks" / "toy-gold.toml").write_text(gold)
    (root / "tasks" / "toy-human.toml").write_text(human)
    (root / "suites" / "default.toml").write_text(SUITE)
    return root


@pytest.fixture
def toy_root(tmp_path: Path) -> Path:
    """A folder of cards and pools, as the hook ``rmsuite_tasks`` returns it."""
    return write_root(tmp_path / "toy-tasks")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small matrix products in one thread, for files with many: as in a cell, and in a third of the time.

    Two processes of the suite with two threads each wait for one another's turns on two cores.
    """
    with threadpool_limits(limits=1):
        yield
