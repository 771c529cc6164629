"""A reward model for rmsuite: least squares on embedding differences."""

from dataclasses import dataclass

import numpy as np

import rmsuite


@dataclass
class RidgeDifference:
    """Every chosen minus rejected embedding should get reward 1; ``penalty`` is relative to the features' scale."""

    penalty: float = 0.1

    def fit(self, pairs, *, rng):
        differences = pairs.differences().astype(np.float64)
        gram = differences.T @ differences / len(pairs)
        ridge = self.penalty * np.trace(gram) / len(gram) + 1e-9
        self.weights = np.linalg.solve(gram + ridge * np.eye(len(gram)), differences.mean(axis=0))
        return self

    def reward(self, embeddings):
        return rmsuite.as_embeddings(embeddings, len(self.weights), who="example") @ self.weights


@rmsuite.hookimpl
def rmsuite_methods():
    return [rmsuite.Method(name="example", make=RidgeDifference, summary="least squares on embedding differences")]
