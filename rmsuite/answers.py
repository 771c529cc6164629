"""How a worker's answer travels to the run: numbers and text only, so that reading one runs no code of the worker's.

A stranger's code may write anything into the connection. Whatever is not an answer to what was asked raises
``ValueError``, which costs that cell only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import numpy as np

from rmsuite.arrays import as_log_probabilities, as_probability, as_rewards, as_uncertainty
from rmsuite.worker import KEPT_ERROR, Outcome, Phase

COLUMNS: dict[str, Callable[..., np.ndarray]] = {
    "rewards": as_rewards,
    "uncertainty": as_uncertainty,
    "probability": as_probability,
    "log_probabilities": as_log_probabilities,
}
TEXTS = ("phase", "error", "traceback")
FLAGS = ("states_probability", "skipped")
KEPT_TRACEBACK = 20_000  # characters of its end
NO_ANSWER = "the worker process sent what is no answer"
MOST_COUNTED = 2**53  # of what a count says: exact as a float too
MOST_TEXT = 1_000_000  # bytes of all but the columns; what is kept of the texts is less


def most_bytes(n: int) -> int:
    """Return the largest size of an answer to a step about ``n`` rows or pairs."""
    return MOST_TEXT + len(COLUMNS) * 8 * n


def packed(outcome: Outcome) -> bytes:
    """Return an outcome as a line of JSON and the float64 values of its columns."""
    columns = {name: getattr(outcome, name) for name in COLUMNS if getattr(outcome, name) is not None}
    head = {name: getattr(outcome, name) for name in (*FLAGS, "phase", "seconds", "counts")}
    head |= {"error": outcome.error[:KEPT_ERROR], "traceback": outcome.traceback[-KEPT_TRACEBACK:]}
    head |= {"columns": list(columns)}
    values = (np.ascontiguousarray(column, dtype=np.float64).tobytes() for column in columns.values())
    return b"\n".join([json.dumps(head).encode(), b"".join(values)])


def unpacked(data: bytes, n: int, asked: str = "") -> Outcome:
    """Return the outcome of a step about ``n`` rows or pairs, which asked for a column, or for none.

    Raises
    ------
    ValueError
        If the data are no such outcome: values that are missing, of another number or out of their range included.
    """
    line, _, values = data.partition(b"\n")
    try:
        head = json.loads(line)
        columns = _columns(head.pop("columns"), values, n)
        outcome = replace(Outcome(**_checked(head)), **columns)  # type: ignore[arg-type]  # the names are checked
    except Exception:  # noqa: BLE001 -- a stranger wrote it; whatever it breaks costs his own cell
        raise ValueError(NO_ANSWER) from None
    if asked and not outcome.phase and asked not in columns:
        raise ValueError(NO_ANSWER)
    return outcome


def _columns(names: list[str], values: bytes, n: int) -> dict[str, np.ndarray]:
    if len(set(names)) < len(names):
        raise ValueError(names)
    table = np.frombuffer(bytearray(values)).reshape(len(names), n) if names else ()
    return {name: COLUMNS[name](column, n, who="worker") for name, column in zip(names, table, strict=True)}


def _checked(head: dict[str, Any]) -> dict[str, Any]:
    right = all(isinstance(head[name], str) for name in TEXTS)
    right &= all(isinstance(head[name], bool) for name in FLAGS)
    right &= head["phase"] in ("", *get_args(Phase)) and head.keys() == {*TEXTS, *FLAGS, "seconds", "counts"}
    right &= all(isinstance(v, float) and math.isfinite(v) and v >= 0 for v in head["seconds"].values())
    if not right or not all(type(value) is int and 0 <= value < MOST_COUNTED for value in head["counts"].values()):
        raise ValueError("no outcome")
    return head
