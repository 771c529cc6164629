"""Reward models that are gradient-boosted trees, by LightGBM: a classifier of single responses, and Bradley-Terry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

import rmsuite

ROWS = 8192  # of one prediction, to bound the memory
# One thread and one way to build histograms: the order of a sum, and so its last bit, depends on both.
FIXED = {"num_threads": 1, "deterministic": True, "force_row_wise": True, "verbosity": -1}


@dataclass
class Boosted:
    """What both share. The points that the trees are grown on are held in memory, in float32.

    Parameters
    ----------
    trees : int
        How many are grown.
    learning_rate : float
        What each tree's values are multiplied with.
    leaves : int
        At most so many a tree.
    """

    trees: int = 100
    learning_rate: float = 0.1
    leaves: int = 31

    def __post_init__(self) -> None:
        ranges = {"trees": (1, 100_000), "learning_rate": (1e-6, 1), "leaves": (2, 100_000)}
        for name, (least, most) in ranges.items():
            value, whole = getattr(self, name), name != "learning_rate"
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise _wrong(name, f"a {'whole ' if whole else ''}number", value)
            if not least <= value <= most:
                raise _wrong(name, f"a number from {least:g} to {most:g}", value)

    def _grow(self, points: np.ndarray, label: np.ndarray, objective: Any, rng: np.random.Generator) -> None:
        import lightgbm

        given = {"learning_rate": self.learning_rate, "num_leaves": self.leaves, "objective": objective}
        settings = {**FIXED, **given, "seed": int(rng.integers(2**31))}
        data = lightgbm.Dataset(np.asarray(points, dtype=np.float32), label, params=FIXED).construct()
        self.n_features, self.model = points.shape[1], None
        if all(data.feature_num_bin(feature) <= 1 for feature in range(self.n_features)):
            return  # too few or too equal to split: LightGBM refuses an objective of one's own there
        grown = lightgbm.train(settings, data, self.trees)
        # The trees alone: a booster also holds the training data and the objective, which need not be picklable.
        self.model = lightgbm.Booster(model_str=grown.model_to_string())

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the sum of the trees; ``(n, n_features) -> (n,)``."""
        rewards = np.zeros(len(embeddings))
        for start in range(0, max(len(rewards), 1), ROWS):
            rows = rmsuite.as_embeddings(embeddings[start : start + ROWS], self.n_features, who=self.who)
            if self.model is not None and len(rows):
                rewards[start : start + ROWS] = self.model.predict(rows, raw_score=True, num_threads=1)
        return rewards


@dataclass
class ClassifierLightGBM(Boosted):
    """Chosen responses are class 1, rejected ones class 0; the reward is the log-odds (arXiv:2411.04991).

    The defaults are the library's. A response is a point in each of its pairs.
    """

    who = "clf-lightgbm"

    def fit(self, pairs: rmsuite.PreferencePairs, *, rng: np.random.Generator) -> ClassifierLightGBM:
        """Grow all trees; validation pairs are not used."""
        points = pairs.embeddings[np.concatenate([pairs.chosen, pairs.rejected])]
        self._grow(points, np.repeat([1.0, 0.0], len(pairs)), "binary", rng)
        return self


@dataclass
class BradleyTerryLightGBM(Boosted):
    """Bradley-Terry by boosting: P(chosen over rejected) = sigmoid(reward of chosen - reward of rejected).

    By default trees have two leaves, so that the reward is a sum of functions of one feature each. See ``objective``
    for how LightGBM is given the pairs.
    """

    trees: int = 500
    learning_rate: float = 0.4
    leaves: int = 2

    who = "bt-lightgbm"

    def fit(self, pairs: rmsuite.PreferencePairs, *, rng: np.random.Generator) -> BradleyTerryLightGBM:
        """Grow all trees on the distinct responses; validation pairs are not used."""
        rows, position = np.unique([pairs.chosen, pairs.rejected], return_inverse=True)
        chosen, rejected = position.reshape(2, -1)
        self._grow(pairs.embeddings[rows], np.zeros(len(rows)), objective(chosen, rejected), rng)
        return self

    def probability(self, embeddings: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return P(first preferred) for pairs of rows of ``embeddings``, ``(n_pairs,)``."""
        rewards = self.reward(embeddings)
        return np.asarray(expit(rewards[first] - rewards[second]))


def objective(chosen: np.ndarray, rejected: np.ndarray) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Return LightGBM's custom objective for the sum over pairs of -log sigmoid(difference of rewards).

    Its Hessian is the Laplacian of the graph whose nodes are the responses and whose edges are the pairs, with weight
    p (1 - p). LightGBM takes a diagonal only, and gets twice the Laplacian's, which bounds it: opponents in two leaves
    both move, and with the diagonal itself each would move as if the other stayed, up to twice too far together. At a
    learning rate near 1 that overshoots further with each tree. Pairs within a leaf count as curvature though they
    bend nothing, so that steps are short where opponents share leaves; the optimum is the same. ``learning_rate=0.4``
    makes the steps that the diagonal itself would make at 0.2.
    """

    def slopes(rewards: np.ndarray, _: Any = None) -> tuple[np.ndarray, np.ndarray]:
        wrong = expit(rewards[rejected] - rewards[chosen])
        return (
            np.bincount(rejected, wrong, len(rewards)) - np.bincount(chosen, wrong, len(rewards)),
            sum(np.bincount(side, 2 * wrong * (1 - wrong), len(rewards)) for side in (chosen, rejected)),
        )

    return slopes


def _wrong(name: str, expected: str, got: Any) -> rmsuite.RmsuiteError:
    return rmsuite.RmsuiteError(who=f"parameter {name}", expected=expected, got=repr(got), do=f"change {name}")


@rmsuite.hookimpl
def rmsuite_methods() -> list[rmsuite.Method]:
    return [
        rmsuite.Method(
            name="clf-lightgbm",
            make=ClassifierLightGBM,
            summary="LightGBM on single responses with the library's defaults; the log-odds are the reward",
            reference="arXiv:2411.04991",
        ),
        rmsuite.Method(
            name="bt-lightgbm",
            make=BradleyTerryLightGBM,
            summary="Bradley-Terry by LightGBM, with twice the diagonal of its Hessian, which bounds it",
            reference="Bradley and Terry 1952",
        ),
    ]
