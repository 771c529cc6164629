"""Says what of a task's secrets is in what a spying method found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rmsuite.setting import Setting

WINDOW = 8  # consecutive row numbers that no innocent array shares with a secret one


@dataclass(frozen=True, eq=False)
class Secrets:
    """What no method may reach in one repetition of one task."""

    setting: Setting

    @cached_property
    def gold(self) -> np.ndarray:
        """All gold rewards of the pool, those of training responses included."""
        gold = self.setting.task.pool.gold
        return np.empty(0) if gold is None else gold.astype(np.float64)

    @cached_property
    def ids(self) -> list[bytes]:
        pool = self.setting.task.pool
        return [*pool.prompt_id.tolist(), *pool.response_id.tolist()]

    @cached_property
    def rows(self) -> set[bytes]:
        """Windows of the row numbers that say where test responses and pairs stand, and of the shuffled order."""
        test, pool, order = self.setting.task.test, self.setting.task.pool, self.setting.test_order
        sequences = [test.rows, test.rows[order], order, np.argsort(order)]
        if test.chosen is not None:
            human = pool.human_pairs[np.isin(pool.human_pairs[:, 0], test.rows)]
            sequences += [test.chosen, test.rejected, np.column_stack([test.chosen, test.rejected]).ravel()]
            sequences += [*human.T, human.ravel()]
        return {window.tobytes() for sequence in sequences for window in _windows(sequence)}

    @cached_property
    def asked(self) -> set[bytes]:
        """Windows of the pairs that probabilities are asked for: they tell which responses share a prompt."""
        first, second = self.setting.asked_pairs
        sequences = (first, second, np.column_stack([first, second]))
        return {window.tobytes() for sequence in sequences for window in _windows(sequence)}

    @cached_property
    def embeddings(self) -> np.ndarray:
        """Test embeddings in pool order."""
        task = self.setting.task
        return task.embeddings.matrix[task.test.rows].astype(np.float32)


def _windows(sequence: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the windows of a sequence of row numbers, without those that any range has."""
    flat = np.asarray(sequence).ravel()
    if len(flat) >= WINDOW:
        windows = np.lib.stride_tricks.sliding_window_view(flat.astype(np.int64), WINDOW)
        steps = np.diff(windows)
        yield from windows[(steps != steps[:, :1]).any(axis=1)]


def find(found: dict[str, Any], secrets: Secrets) -> set[str]:
    """Return the kinds of secrets that are in what a spy found: nothing, if all is well."""
    checks = {
        "gold": _has_gold(found, secrets),
        "ids": _has_ids(found["block"], secrets.ids),
        "root seed": str(secrets.setting.root_seed).encode() in found["block"],
        "rows": _has_rows(found["arrays"], secrets.rows),
        "asked pairs": found["phase"] != "probability" and _has_rows(found["arrays"], secrets.asked),
        "test embeddings": found["phase"] == "fit" and _has_embeddings(found, secrets.embeddings),
        "pool order": found["phase"] != "fit" and _in_pool_order(found["arrays"], secrets.embeddings),
        "files": any(outcome != "refused" for outcome in found["attempts"].values()),
    }
    return {name for name, leaked in checks.items() if leaked}


def _has_gold(found: dict[str, Any], secrets: Secrets) -> bool:
    """Whether a single number is a gold reward, or bytes hold five neighbours of them."""
    gold = secrets.gold
    if not len(gold):
        return False
    numbers = (found["floats"], *found["arrays"])
    if any(np.isin(array.astype(np.float64), gold).any() for array in numbers):
        return True
    test = secrets.setting.task.test.gold
    orders = (gold, test, test[secrets.setting.test_order])
    neighbours = (order[i : i + 2].astype(kind) for order in orders for kind in "fd" for i in range(0, len(order), 4))
    return _in_block((pair.tobytes() for pair in neighbours), found["block"])


def _in_block(needles: Iterable[bytes], block: bytes) -> bool:
    return any(needle in block for needle in needles)


def _has_ids(block: bytes, ids: list[bytes]) -> bool:
    digits = b" ".join(re.findall(rb"[0-9a-f]{12,}", block))
    return _in_block(ids, digits)


def _has_rows(arrays: list[np.ndarray], secret: set[bytes]) -> bool:
    whole = (array.astype(np.float64) for array in arrays)
    whole = (array for array in whole if (np.abs(array) < 2**53).all() and (array == np.round(array)).all())
    return any(window.tobytes() in secret for array in whole for window in _windows(array))


def _places(array: np.ndarray, rows: np.ndarray) -> list[int]:
    """Return which of the rows stand in an array, in the order in which they stand there."""
    width = rows.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        flat = array.astype(np.float32).ravel()
    starts = np.flatnonzero(np.isin(flat[: len(flat) - width + 1], rows[:, 0]))
    place = {row.tobytes(): i for i, row in enumerate(rows)}
    found = (place.get(flat[start : start + width].tobytes()) for start in starts)
    return [i for i in found if i is not None]


def _has_embeddings(found: dict[str, Any], rows: np.ndarray) -> bool:
    needles = (row.astype(kind).tobytes() for row in rows for kind in ("float16", "float32", "float64"))
    return any(_places(array, rows) for array in found["arrays"]) or _in_block(needles, found["block"])


def _in_pool_order(arrays: list[np.ndarray], rows: np.ndarray) -> bool:
    places = (_places(array, rows) for array in arrays)
    return any(len(order) > 2 and order == sorted(order) for order in places)
