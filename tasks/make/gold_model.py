"""Train the gold reward models and write their rewards beside the pools: golden annotators of many responses.

Each is an ensemble of networks over the embeddings of several base models side by side, taught by labelled pairs of
several pools, test prompts left out; no method of the benchmark gets so many base models. ``gold-1`` learns from those
whose labels mean what its pools' do, answers to instructions that a GPT-4 judged: taught by all pools it orders two
points fewer of the held-out pairs of alpaca-eval right. ``gold-2`` learns from all pairs of people and of judges at
hand. Run by hand, after ``gold_features.py``: ``python tasks/make/gold_model.py CACHE``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import base_models
import gold_features
import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite import PreferencePairs, plugins, seeds
from rmsuite.annotators import annotator
from rmsuite.data import Pool
from rmsuite.metrics import metric
from rmsuite.pairing import Drawing, LabelledPairs, labelled_pairs
from rmsuite.pool_files import write_embeddings, write_folder
from rmsuite.pools import load_pool
from rmsuite.splits import part_of
from rmsuite.statistics import Sample, resample
from rmsuite.tested import Answers, test_set

METHOD = "ensemble[base=bt-mlp[hidden=512],members=10]"
PAIRS_PER_PROMPT = 20


@dataclass(frozen=True)
class Gold:
    """A gold reward model: the pools whose labels teach it, and those that it rewards."""

    name: str
    taught: tuple[str, ...]
    rewarded: tuple[str, ...]


GOLDS = (
    Gold("gold-1", ("alpaca-eval", "mt-bench"), ("alpaca-eval", "alpaca-eval-large")),
    Gold("gold-2", gold_features.TAUGHT, ("hh-rlhf",)),
)


@dataclass(frozen=True, eq=False)
class Taught:
    """A pool, and what the gold reward model sees of it."""

    name: str
    cache: Path

    @cached_property
    def pool(self) -> Pool:
        """The pool."""
        return load_pool(gold_features.folder(self.name))[0]

    @cached_property
    def features(self) -> np.ndarray:
        """Embeddings of all base models side by side, ``(n_responses, n_features)`` float32."""
        parts = [gold_features.features(self.name, base, self.cache) for base in gold_features.BASES]
        return np.concatenate(parts, axis=1)

    @cached_property
    def part(self) -> np.ndarray:
        """The part of each prompt."""
        return part_of(self.pool.prompt_id if self.pool.split_id is None else self.pool.split_id)

    def pairs(self, part: str) -> LabelledPairs:
        """Return labelled pairs of one part."""
        rngs = tuple(seeds.generator(0, purpose, task=self.name, part=part) for purpose in ("pairs", "annotation"))
        judge = annotator("human" if self.pool.gold is None else "perfect")
        return labelled_pairs(self.pool, np.flatnonzero(self.part == part), judge, Drawing(PAIRS_PER_PROMPT), rngs)


def joined(pools: list[Taught], part: str, validation: PreferencePairs | None) -> PreferencePairs:
    """Return the pairs of one part of all pools; a pool is a category."""
    embeddings, chosen, rejected, prompt, category = [], [], [], [], []
    n_rows = n_prompts = 0
    for number, taught in enumerate(pools):
        drawn = taught.pairs(part)
        rows, place = np.unique(np.concatenate([drawn.chosen, drawn.rejected]), return_inverse=True)
        better, worse = np.split(place + n_rows, 2)
        embeddings.append(taught.features[rows])
        chosen.append(better)
        rejected.append(worse)
        prompt.append(taught.pool.prompt[drawn.chosen] + n_prompts)
        category.append(np.full(len(better), number))
        n_rows, n_prompts = n_rows + len(rows), n_prompts + len(taught.pool.prompt_id)
    columns = (np.concatenate(parts) for parts in (embeddings, chosen, rejected, prompt, category))
    return PreferencePairs(*columns, validation)


def agreement(taught: Taught, rewards: np.ndarray) -> dict[str, Any]:
    """Return the share of the labelled pairs of held-out prompts that rewards order right, with a 95 % interval."""
    test = test_set(taught.pool, np.flatnonzero(taught.part == "test"))
    sums = metric("pair-accuracy").per_prompt(test, Answers(rewards[test.rows].astype(np.float64)))
    n_pairs = int(sums[:, 1].sum())
    found = resample(Sample(sums[None], 0, 1, n_pairs, 1), seeds.generator(0, "bootstrap", task=taught.name))
    e = found.estimate(0)
    return {
        "pair_accuracy": [round(x, 4) for x in (e.value, e.low, e.high)],
        "n_prompts": test.n_prompts,
        "n_pairs": n_pairs,
    }


def card(gold: Gold, name: str, n_pairs: int, held_out: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said beside the rewards of one pool."""
    own = gold_features.WITHIN.get(name, name)
    value, low, high = (100 * x for x in held_out[own]["pair_accuracy"])
    return {
        "model": gold.name,
        "method": METHOD,
        "made_with": f"rmsuite {version('rmsuite')}, numpy {version('numpy')}",
        "base_models": list(gold_features.BASES),
        "taught_by": list(gold.taught),
        "n_train_pairs": n_pairs,
        "agreement": f"which orders {value:.1f} % [{low:.1f}, {high:.1f}] of the labelled pairs of held-out prompts of "
        f"{own} right",
        "held_out": dict(held_out),
    }


def write_base_model(cache: Path, name: str, base: str) -> None:
    """Write the embedding set of a pool that was embedded for its gold rewards, and that methods get too."""
    if (gold_features.folder(name) / "embeddings" / base).is_dir():
        return  # what is read back from it is rounded already
    model = base_models.named(base)
    made = {package: version(package) for package in model.made_with}
    found = gold_features.features(name, base, cache)
    write_embeddings(gold_features.folder(name), found, {**model.card("last-mean"), **made})


def train(gold: Gold, pools: Mapping[str, Taught]) -> None:
    """Train one, print its agreement with held-out labels, and write its rewards."""
    taught = [pools[name] for name in gold.taught]
    pairs = joined(taught, "train", joined(taught, "validation", None))
    _, configured = plugins.load().configured(METHOD)
    with threadpool_limits(limits=1):
        model = configured.make().fit(pairs, rng=seeds.generator(0, "method", task=gold.name))
        names = dict.fromkeys((*gold.taught, *gold.rewarded))
        rewards = {name: np.asarray(model.reward(pools[name].features), np.float32) for name in names}
    held_out = {name: agreement(pools[name], rewards[name]) for name in gold.taught}
    print(f"{gold.name}: {len(pairs):,} pairs, {pairs.n_features} features", held_out, sep="\n", flush=True)
    for name in gold.rewarded:
        folder = gold_features.folder(name) / "golds" / gold.name
        write_folder(folder, "gold.toml", card(gold, name, len(pairs), held_out), {"reward": rewards[name]})


def main(cache: Path) -> None:
    """Train all, and write the embedding sets that methods get of the pools that have none."""
    for name in gold_features.WITHIN:
        write_base_model(cache, name, "minilm-l6")
    pools = {name: Taught(name, cache) for name in gold_features.POOLS}
    for gold in GOLDS:
        train(gold, pools)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
