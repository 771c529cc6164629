"""Results as one long table, for any other tool: one row a cell and metric, or one a prompt.

Of policies, the method is the reward model, and what they are worth after each step stands where metrics do, with the
reference's as ``reference_...``; columns that say which policy are empty for methods.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from rmsuite import signature
from rmsuite.bundles import export_policies
from rmsuite.metrics import METRICS, Metric
from rmsuite.render.comma_separated import guarded
from rmsuite.results import CellRecord

Level = Callable[[CellRecord], str]


def cells(records: Iterable[CellRecord], level: Level) -> Iterator[dict[str, Any]]:
    """Yield a row for each cell and metric; one without a metric for a cell without numbers."""
    for record in records:
        shared = {**_identity(record), **_circumstances(record), "verification": level(record)}
        rows = [*(export_policies.cell(record) if record.kind == "policy" else _of_metrics(record))]
        yield from ({**shared, **row} for row in rows or [dict.fromkeys(MEASURED)])


MEASURED = ("policy", "step", "metric", "metric_version", "larger_is_better", "value")


def _of_metrics(record: CellRecord) -> Iterator[dict[str, Any]]:
    for metric in METRICS:
        if metric.name in record.arrays:
            measured = {**_metric(metric), "value": _value(metric, record.arrays[metric.name])}
            yield {"policy": None, "step": None, **measured}


def items(records: Iterable[CellRecord], ids: Callable[[str], list[tuple[str, str]]]) -> Iterator[dict[str, Any]]:
    """Yield a row for each cell, metric that is a mean, and prompt that says something; of policies, their mean.

    Parameters
    ----------
    ids : callable
        ``task label -> (prompt id, category)`` of each test prompt.
    """
    for record in records:
        identity = _identity(record)
        found = export_policies.prompts(record) if record.kind == "policy" else _sums(record)
        for step, name, sums in found:
            for (prompt, category), (value, weight) in zip(ids(record.task), sums.tolist(), strict=True):
                if weight:
                    where = {"step": step, "metric": name, "prompt": prompt, "category": category}
                    yield {**identity, **where, "value": value / weight, "weight": weight}


def _sums(record: CellRecord) -> Iterator[tuple[None, str, np.ndarray]]:
    for metric in METRICS:
        if metric.mean and metric.name in record.arrays:
            yield None, metric.name, record.arrays[metric.name]


def _identity(record: CellRecord) -> dict[str, Any]:
    return {
        "task": record.task,
        "method": record.method if record.kind != "policy" else record.facts["reward_model"],
        "kind": record.kind,
        "optimizer": record.facts.get("optimizer"),
        "beta": record.facts.get("beta"),
        "repetition": record.repetition,
        "seed": signature.read(record.signature).get("seed"),
    }


def _circumstances(record: CellRecord) -> dict[str, Any]:
    facts = record.facts
    return {
        "status": record.status,
        "phase": record.phase,
        "error": record.error,
        "n_test_prompts": facts.get("n_test_prompts"),
        "fit_seconds": facts.get("fit_seconds"),
        "reward_seconds": facts.get("reward_seconds"),
        "train_seconds": facts.get("train_seconds"),
        "code": record.origin,
        "signature": record.signature,
    }


def _metric(metric: Metric) -> dict[str, Any]:
    larger = metric.direction == "larger is better" if metric.ordered else None
    return {"metric": metric.name, "metric_version": metric.version, "larger_is_better": larger}


def _value(metric: Metric, sums: np.ndarray) -> float | None:
    value = float(metric.reduce(sums.sum(axis=0)))
    return value if np.isfinite(value) else None


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as CSV; a missing number is an empty cell, and no text runs as a formula in a spreadsheet."""
    out, writer = io.StringIO(), None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(out, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({key: guarded(value) if isinstance(value, str) else value for key, value in row.items()})
    return out.getvalue().encode("utf-8", "replace").decode()  # half characters cannot be stored


def as_json(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as a JSON list; a missing number is null."""
    return json.dumps(list(rows), indent=1, allow_nan=False) + "\n"
