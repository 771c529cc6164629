"""Gradient-boosted trees on single responses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite import PreferencePairs
from rmsuite_baselines.networks import in_blocks
from rmsuite_baselines.parameters import number, whole
from rmsuite_baselines.scaling import Scaling, of_width


@dataclass
class ClassifierTrees:
    """Chosen responses are class 1, rejected ones class 0; the reward is the log-odds (arXiv:2411.04991).

    By what is reported of the paper, its trees are LightGBM's; these are of the same kind, by scikit-learn's histogram
    boosting. A response is a point in each of its pairs; trees are grown on all points at once, which are held in
    memory, in float32. Trees know order only, so that nothing is standardised.

    Parameters
    ----------
    learning_rate : float
        What each tree's values are multiplied with.
    trees : int
        At most so many.
    leaves : int
        At most so many a tree.
    least : int
        Points in a leaf, at least; a quarter of the number of pairs, where that is less, so that few can be parted.
    patience : int
        Trees without a better validation loss before no more are grown; without validation pairs all are.
    """

    learning_rate: float = 0.05
    trees: int = 300
    leaves: int = 8
    least: int = 100
    patience: int = 10

    who: ClassVar[str] = "clf-trees"

    def __post_init__(self) -> None:
        number("learning_rate", self.learning_rate, 1e-6, 1)
        for name, floor in (("trees", 1), ("leaves", 2), ("least", 1), ("patience", 1)):
            whole(name, getattr(self, name), floor)

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Grow trees until the validation loss has stopped falling."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        Scaling.of(pairs.embeddings)  # trees need no scale; it refuses what is not finite
        self.n_features = pairs.n_features
        self.model = HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=self.trees,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=min(self.least, max(len(pairs) // 4, 1)),
            early_stopping=bool(pairs.validation),
            n_iter_no_change=self.patience,
            random_state=int(rng.integers(2**31)),
        )
        held = dict(zip(("X_val", "y_val"), labelled(pairs.validation), strict=True)) if pairs.validation else {}
        with threadpool_limits(1, user_api="openmp"):  # sums of several threads have no order
            self.model.fit(*labelled(pairs), **held)
        return self

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the log-odds; ``(n, n_features) -> (n,)``."""
        with threadpool_limits(1, user_api="openmp"):
            return in_blocks(self._log_odds, of_width(embeddings, self.n_features, self.who))

    def _log_odds(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.decision_function(rows.astype(np.float32))) if len(rows) else np.zeros(0)


def labelled(pairs: PreferencePairs) -> tuple[np.ndarray, np.ndarray]:
    """Return the two points of each pair: embeddings ``(2 * n_pairs, n_features)``, and labels 1 or 0."""
    points = np.asarray(pairs.embeddings[np.concatenate([pairs.chosen, pairs.rejected])], dtype=np.float32)
    return points, np.repeat([1, 0], len(pairs))
