"""Compare the embedding sets of the pool ``alpaca-eval-common`` by what two plain methods make of them.

Run by hand: ``python tasks/make/compare_base_models.py CACHE`` prints a Markdown table: base model, features, pair
accuracy with a 95 % interval over prompts and its difference to ``minilm-l6``, Spearman, best of 4, and the CPU seconds
for 1,000 responses where CACHE holds the shards of ``base_models.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shards
from base_model_list import BASE_MODELS

from rmsuite import plugins, seeds
from rmsuite.book import read_book
from rmsuite.harness import measured
from rmsuite.setting import Setting
from rmsuite.statistics.bootstrap import Sample, resampled
from rmsuite.tasks import LoadedTask, Task
from rmsuite.tested import Answers

MORE = Path(__file__).resolve().parents[1] / "more"
METHODS, REPETITIONS, DRAWS, REFERENCE = ("bt-linear", "bt-mlp"), 3, 4000, "minilm-l6"
METRICS = ("pair-accuracy", "spearman", "best-of-4")
COLUMNS = ("base model", "features", "pair accuracy", f"minus {REFERENCE}", "Spearman", "best of 4", "CPU s per 1,000")


def sets(card: Task) -> list[str]:
    """Return the names of all embedding sets of the pool."""
    return sorted(path.name for path in (card.pool_folder / "embeddings").iterdir())


def prompt_sums(task: LoadedTask, method: str) -> dict[str, np.ndarray]:
    """Return what each test prompt adds to each metric, ``(n_prompts, 2)``, as a mean over repetitions."""
    runs = [_one(Setting(task, 0, repetition), method) for repetition in range(REPETITIONS)]
    return {name: np.mean([run[name] for run in runs], axis=0) for name in METRICS}


def _one(setting: Setting, method: str) -> dict[str, np.ndarray]:
    _, configured = plugins.load().configured(method)
    rng = seeds.generator(0, "method", method=method, repetition=setting.repetition)
    model = configured.make().fit(setting.pairs, rng=rng)
    test = setting.task.test
    rewards = model.reward(setting.task.embeddings.matrix[test.rows].astype(np.float32))
    return measured(test, Answers(np.asarray(rewards, np.float64)))


def table(card: Task, method: str, seconds: dict[str, float]) -> str:
    """Return the table of one method, best pair accuracy first."""
    names = sets(card)
    loaded = {name: replace(card, base_model=name).load() for name in names}
    sums = [prompt_sums(loaded[name], method) for name in names]
    draws = {metric: _values(sums, metric) for metric in METRICS}
    accuracy, drawn = draws["pair-accuracy"]
    reference = names.index(REFERENCE)
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for i in np.argsort(-accuracy, kind="stable"):
        n_features = str(loaded[names[i]].embeddings.matrix.shape[1])
        apart = _shown(accuracy[i] - accuracy[reference], drawn[i] - drawn[reference], "+") if i != reference else ""
        others = [f"{draws[metric][0][i]:.3f}" for metric in METRICS[1:]]
        cost = f"{seconds[names[i]]:.3g}" if names[i] in seconds else ""
        lines.append((names[i], n_features, _shown(accuracy[i], drawn[i]), apart, *others, cost))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _values(sums: Sequence[dict[str, np.ndarray]], metric: str) -> tuple[np.ndarray, np.ndarray]:
    sample = Sample(np.stack([one[metric] for one in sums]), -1, 1, 0, REPETITIONS)
    return sample.value, resampled(sample, DRAWS, seeds.generator(0, "bootstrap"))


def _shown(value: float, draws: np.ndarray, sign: str = "") -> str:
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"


def cost(cache: Path, n_responses: int) -> dict[str, float]:
    """Return the CPU seconds for 1,000 responses of each set; variants of one model share one pass."""
    done = [base for base in BASE_MODELS if shards.complete(cache / "shards" / base.name)]
    each = {base: 1000 * shards.gather(cache / "shards" / base.name, n_responses)[1] / n_responses for base in done}
    return {base.set_name(variant): seconds for base, seconds in each.items() for variant in base.variants}


def main(cache: Path) -> None:
    """Print a table for each method."""
    card = read_book([MORE]).task("alpaca-eval-common")
    n_responses = len(replace(card, base_model=REFERENCE).load().pool.response_id)
    for method in METHODS:
        print(f"\n{method}\n\n{table(card, method, cost(cache, n_responses))}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
