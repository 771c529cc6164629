"""Controls: rewards that any table needs to be read, made by the harness because some need what methods may not see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rmsuite.arrays import Gathered, row_slices
from rmsuite.data import PreferencePairs
from rmsuite.tested import TestSet


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a control may look at: everything, gold included.

    ``lengths`` and ``embeddings`` are those of the test responses and, after them, of what is planted among them.
    """

    test: TestSet
    lengths: np.ndarray
    embeddings: np.ndarray | Gathered
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
    labels = _labels(evidence)
    worst = np.full(len(evidence.lengths) - len(labels), labels.min() - 1)  # an attack is worse than any response
    return np.concatenate([labels, worst])


def _labels(evidence: Evidence) -> np.ndarray:
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
    pairs = evidence.pairs
    signs = evidence.rng.choice([-1.0, 1.0], len(pairs))
    sums = [
        signs[part] @ replace(pairs, chosen=pairs.chosen[part], rejected=pairs.rejected[part]).differences()
        for part in row_slices(len(pairs), pairs.n_features)
    ]
    direction = sum(sums[1:], start=sums[0]) / max(len(signs), 1)
    return _by_rows(evidence.embeddings, lambda rows: rows @ direction)


def _by_rows(embeddings: np.ndarray | Gathered, reward: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return what a function of rows gives, ``(n,)``, without ever holding large embeddings whole."""
    return np.concatenate([reward(embeddings[part]) for part in row_slices(*embeddings.shape)])


def _norm(evidence: Evidence) -> np.ndarray:
    return _by_rows(evidence.embeddings, lambda rows: np.linalg.norm(rows, axis=1))


CONTROLS: tuple[Control, ...] = (
    Control("random", "independent random rewards", lambda e: e.rng.random(len(e.lengths))),
    Control("length", "the longer response is better", lambda e: e.lengths.astype(np.float64)),
    Control("embedding-norm", "the longer embedding vector is better", _norm),
    Control("shuffled-labels", "mean difference direction of training pairs with coin-flip labels", _shuffled_labels),
    Control("oracle", "the test labels themselves: the ceiling", _oracle, floor=False),
)
