"""Controls: rewards that any table needs to be read, made by the harness because some need what methods may not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rmsuite.data import PreferencePairs, TestSet


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a control may look at: everything, gold included."""

    test: TestSet
    embeddings: np.ndarray
    pairs: PreferencePairs
    rng: np.random.Generator


@dataclass(frozen=True)
class Control:
    """A control's name, what it shows, and its rewards; ``floor``: whether a method should rise above it."""

    name: str
    summary: str
    reward: Callable[[Evidence], np.ndarray]
    floor: bool = True


def _oracle(evidence: Evidence) -> np.ndarray:
    if evidence.test.gold is not None:
        return evidence.test.gold
    # Human pairs have no gold reward: the share of its comparisons that a response won orders them.
    assert evidence.test.chosen is not None
    assert evidence.test.rejected is not None
    n = len(evidence.test.rows)
    won = np.bincount(evidence.test.chosen, minlength=n)
    met = won + np.bincount(evidence.test.rejected, minlength=n)
    return np.asarray(won / np.maximum(met, 1))


def _shuffled_labels(evidence: Evidence) -> np.ndarray:
    signs = evidence.rng.choice([-1.0, 1.0], len(evidence.pairs))
    return np.asarray(evidence.embeddings @ (signs @ evidence.pairs.differences() / max(len(signs), 1)))


CONTROLS: tuple[Control, ...] = (
    Control("random", "independent random rewards", lambda e: e.rng.random(len(e.test.rows))),
    Control("length", "the longer response is better", lambda e: e.test.length.astype(np.float64)),
    Control("embedding-norm", "the longer embedding vector is better", lambda e: np.linalg.norm(e.embeddings, axis=1)),
    Control("shuffled-labels", "mean difference direction of training pairs with coin-flip labels", _shuffled_labels),
    Control("oracle", "the test labels themselves: the ceiling", _oracle, floor=False),
)
