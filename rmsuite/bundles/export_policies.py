"""What policy cells say in a long table: each value after each step, of each policy or of each prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rmsuite.policy_study import COLUMNS
from rmsuite.results import CellRecord

LARGER_IS_BETTER = {"gold": True, "win_rate": True, "proxy": True, "samples": False, "reward_calls": False}
REFERENCE = ("gold", "proxy", "length", "entropy")


def cell(record: CellRecord) -> Iterator[dict[str, Any]]:
    """Yield the means over prompts: of the reference, of each policy after each step, and what each had cost then."""
    arrays = record.arrays
    if record.status != "ok":
        return
    for name in REFERENCE:
        yield _row(None, None, f"reference_{name}", float(arrays[f"reference_{name}"].mean()))
    for place, step in enumerate(arrays["steps"].tolist()):
        for name in COLUMNS:
            for policy, value in enumerate(arrays[name][place].mean(axis=0).tolist()):
                yield _row(policy, step, name, value)
        for name in ("samples", "reward_calls"):
            yield _row(None, step, name, int(arrays[name][place]))


def _row(policy: int | None, step: int | None, name: str, value: float) -> dict[str, Any]:
    where = {"policy": policy, "step": step, "metric": name, "metric_version": None}
    return {**where, "larger_is_better": LARGER_IS_BETTER.get(name), "value": value}


def prompts(record: CellRecord) -> Iterator[tuple[int | None, str, np.ndarray]]:
    """Yield step, name and sums, ``(n_prompts, 2)``: the value that policies have together, and their number."""
    arrays = record.arrays
    if record.status != "ok":
        return
    for name in REFERENCE:
        values = arrays[f"reference_{name}"]
        yield None, f"reference_{name}", np.stack([values, np.ones_like(values)], axis=1)
    for place, step in enumerate(arrays["steps"].tolist()):
        for name in COLUMNS:
            values = arrays[name][place]
            counts = np.full(len(values), values.shape[1])
            yield step, name, np.stack([values.sum(axis=1), counts], axis=1)
