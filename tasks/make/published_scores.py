"""The published benchmark scores that are bundled: ``python tasks/make/published_scores.py DATA``.

Scores under CC0 or Apache-2.0 only, of small embedding models and of open models of up to about 15 billion parameters.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

PUBLISHED = Path(__file__).resolve().parents[2] / "rmsuite" / "choice" / "published"
BILLION = 1e9
# What one table calls a model, and what its publisher does; a host's name is no part of a model's.
OPEN = {
    "Hermes-2-Theta-Llama-3-8B": "Hermes-2-Theta-Llama-3-8B",
    "Llama-2-7b-chat-hf": "Llama-2-7b-chat-hf",
    "Llama-3-Instruct-8B-SimPO-v0.2": "Llama-3-Instruct-8B-SimPO-v0.2",
    "Llama-3.2-3B-Instruct@together": "Llama-3.2-3B-Instruct",
    "Meta-Llama-3-8B-Instruct": "Meta-Llama-3-8B-Instruct",
    "Meta-Llama-3.1-8B-Instruct": "Llama-3.1-8B-Instruct",
    "Mistral-7B-Instruct-v0.2": "Mistral-7B-Instruct-v0.2",
    "Mistral-Nemo-Instruct-2407": "Mistral-Nemo-Instruct-2407",
    "Phi-3-mini-4k-instruct": "Phi-3-mini-4k-instruct",
    "Phi-3.5-mini-instruct": "Phi-3.5-mini-instruct",
    "Qwen1.5-7B-Chat@together": "Qwen1.5-7B-Chat",
    "Qwen2-1.5B-Instruct": "Qwen2-1.5B-Instruct",
    "Qwen2-7B-Instruct": "Qwen2-7B-Instruct",
    "Qwen2.5-3B-Instruct": "Qwen2.5-3B-Instruct",
    "Qwen2.5-7B-Instruct": "Qwen2.5-7B-Instruct",
    "Starling-LM-7B-beta": "Starling-LM-7B-beta",
    "Yi-1.5-6B-Chat": "Yi-1.5-6B-Chat",
    "Yi-1.5-9B-Chat": "Yi-1.5-9B-Chat",
    "gemma-2-2b-it": "gemma-2-2b-it",
    "gemma-2-9b-it": "gemma-2-9b-it",
    "gemma-2-9b-it-DPO": "gemma-2-9b-it-DPO",
    "gemma-2-9b-it-SimPO": "gemma-2-9b-it-SimPO",
    "gemma-2b-it": "gemma-2b-it",
    "gemma-7b-it": "gemma-7b-it",
    "glm-4-9b-chat": "glm-4-9b-chat",
    "mathstral-7B-v0.1": "mathstral-7B-v0.1",
}
Row = dict[str, str]


def embedding(rows: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    """Yield model, column and score of embedding models: tasks, whole means, and the number of parameters."""
    for row in rows:
        if row["kind"] != "embedding":
            continue
        if row["benchmark"] == "model_meta":
            if row["task"] == "n_parameters":
                yield row["model"], "params_b", f"{float(row['score']) / BILLION:.6g}"
        elif row["benchmark"] == "MTEB(eng)":
            yield row["model"], f"MTEB {row['task']}", row["score"]
        elif "INCOMPLETE" not in row["note"]:  # a mean of fewer tasks is no mean of the benchmark
            yield row["model"], f"{row['benchmark']} mean", row["score"]


def language(rows: Iterable[Row]) -> Iterator[tuple[str, str, str]]:
    """Yield model, column and score of open language models."""
    for row in rows:
        name = OPEN.get(row["model"], "")
        if name and row["benchmark"].startswith("ZeroEval") and "Acc" in row["metric"]:
            part = "" if row["metric"] == "Acc" else f" {row['metric'].removesuffix(' Acc').lower()}"
            yield name, row["benchmark"] + part, row["score"]
        elif name and (row["benchmark"], row["task"]) == ("WildBench v2", "WB_score"):
            yield name, "WildBench v2", f"{float(row['score']):.2f}"


def write(path: Path, cells: Iterable[tuple[str, str, str]]) -> None:
    """Write a wide table: a line a model, a column a benchmark, nothing where there is no score."""
    found: dict[str, Row] = {}
    for model, column, score in cells:
        if column in found.setdefault(model, {}):
            raise ValueError(f"{model}, {column}: two scores")
        found[model][column] = score
    columns = sorted({column for row in found.values() for column in row})
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["model", *columns], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({"model": model, **found[model]} for model in sorted(found))


def main(data: Path) -> None:
    """Write both tables."""
    with (data / "model_scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    write(PUBLISHED / "mteb.csv", embedding(rows))
    write(PUBLISHED / "zeroeval-wildbench.csv", language(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
