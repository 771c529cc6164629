"""Methods that each break one promise of the contract and keep all others, with the check that has to notice.

Each is ``Good`` with one mistake that people make. ``test_checks`` says that each fails its check and no other.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

import rmsuite
from rmsuite import testing


class Good:
    """The mean of chosen minus rejected embeddings: keeps every promise."""

    def fit(self, pairs, *, rng):
        self.weights = pairs.differences().mean(axis=0, dtype=np.float64)
        return self

    def reward(self, embeddings):
        return rmsuite.as_embeddings(embeddings, len(self.weights)) @ self.weights


SHARED = Good()


def always_the_same_object():
    return SHARED


class KeepsStateInTheClass(Good):
    def fit(self, pairs, *, rng):
        type(self).weights = pairs.differences().mean(axis=0, dtype=np.float64)
        return self


class ReturnsNothing(Good):
    def fit(self, pairs, *, rng):
        super().fit(pairs, rng=rng)


class ReturnsAColumn(Good):
    def reward(self, embeddings):
        return super().reward(embeddings)[:, None]


class Squeezes(Good):
    def reward(self, embeddings):
        return np.squeeze(super().reward(embeddings))


class DividesByTheDeviation(Good):
    def fit(self, pairs, *, rng):
        super().fit(pairs, rng=rng)
        self.weights /= pairs.embeddings.std(axis=0)
        return self


class FavoursOddRows(Good):
    """Adds one hundredth of the rewards' spread to every other row: too little for the accuracy to notice."""

    def fit(self, pairs, *, rng):
        super().fit(pairs, rng=rng)
        self.spread = super().reward(pairs.embeddings).std()
        return self

    def reward(self, embeddings):
        return super().reward(embeddings) + 1e-2 * self.spread * (np.arange(len(embeddings)) % 2)


class CentresByTheBatch(Good):
    def reward(self, embeddings):
        rewards = super().reward(embeddings)
        return rewards - rewards.mean()


class CentresItsTrainingDataInPlace(Good):
    def fit(self, pairs, *, rng):
        np.subtract(pairs.embeddings, pairs.embeddings.mean(axis=0), out=pairs.embeddings)
        return super().fit(pairs, rng=rng)


class ScalesTestDataInPlace(Good):
    def reward(self, embeddings):
        embeddings *= 2
        return super().reward(embeddings)


class SeedsNumpyWithAConstant(Good):
    """Leaves one and the same state behind each fit, which a look from that state does not see."""

    def fit(self, pairs, *, rng):
        np.random.seed(0)  # noqa: NPY002 -- the mistake
        super().fit(pairs, rng=rng)
        self.weights *= 1 + 1e-3 * np.random.standard_normal(pairs.n_features)  # noqa: NPY002 -- the mistake
        return self


class ShufflesByThePythonGenerator(Good):
    def fit(self, pairs, *, rng):
        order = list(range(len(pairs)))
        random.shuffle(order)
        return super().fit(pairs, rng=rng)


class DrawsFromItsOwnGenerator(Good):
    def fit(self, pairs, *, rng):
        super().fit(pairs, rng=rng)
        self.weights *= 1 + 1e-6 * np.random.default_rng().standard_normal(pairs.n_features)
        return self


class StartsFromItsOldWeights(Good):
    weights = 0.0

    def fit(self, pairs, *, rng):
        before = self.weights
        super().fit(pairs, rng=rng)
        self.weights = self.weights + before
        return self


class UsesOneFeature(Good):
    def fit(self, pairs, *, rng):
        super().fit(pairs, rng=rng)
        self.weights[1:] = 0
        return self


class FixesItsSign(Good):
    """Takes the first weight to be positive, as one does with principal components; here the truth agrees."""

    def fit(self, pairs, *, rng):
        super().fit(pairs, rng=rng)
        self.weights *= np.sign(self.weights[0])
        return self


class KnowsTheAnswer(Good):
    """Believes labels that agree with each other, and where they do not, what it knows beforehand."""

    def fit(self, pairs, *, rng):
        super().fit(pairs, rng=rng)
        if np.mean(pairs.differences() @ self.weights > 0) < 0.8:
            self.weights = testing.direction()
        return self


class TrustsTheWidth(Good):
    def reward(self, embeddings):
        return embeddings @ self.weights


class CutsToTheWidth(Good):
    def reward(self, embeddings):
        width = min(len(self.weights), embeddings.shape[1])
        return embeddings[:, :width] @ self.weights[:width]


class HoldsALock(Good):
    def __init__(self):
        self.lock = threading.Lock()


class PicklesInHalfPrecision(Good):
    def __getstate__(self):
        return {"weights": self.weights.astype(np.float16)}


class StartsThreads(Good):
    def fit(self, pairs, *, rng):
        threads = [threading.Thread(target=pairs.differences) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return super().fit(pairs, rng=rng)


class WidensNativePools(Good):
    def fit(self, pairs, *, rng):
        threadpool_limits(limits=2)
        return super().fit(pairs, rng=rng)


class Peeks(Good):
    """Looks through its callers for a variable named ``gold``, and repeats it where its length fits."""

    def fit(self, pairs, *, rng):
        self.found, frame = np.empty(0), sys._getframe()
        while frame := frame.f_back:
            self.found = frame.f_locals.get("gold", self.found)
        return super().fit(pairs, rng=rng)

    def reward(self, embeddings):
        rewards = super().reward(embeddings)
        return self.found if len(self.found) == len(rewards) else rewards


class Versed(Good):
    """Good, and keeps the promises of those that state probabilities, uncertainties and rewards of members."""

    def probability(self, embeddings, first, second):
        rewards = self.reward(embeddings)
        return 0.5 + 0.5 * np.tanh((rewards[first] - rewards[second]) / 2)

    def uncertainty(self, embeddings):
        return np.linalg.norm(embeddings, axis=1)

    def member_rewards(self, embeddings):
        return np.outer([0.5, 1.0, 1.5], self.reward(embeddings))


class StatesAColumn(Versed):
    def probability(self, embeddings, first, second):
        return super().probability(embeddings, first, second)[:, None]


class IsMoreThanCertain(Versed):
    def probability(self, embeddings, first, second):
        return 2 * super().probability(embeddings, first, second) - 0.5


class FavoursTheFirst(Versed):
    def probability(self, embeddings, first, second):
        return super().probability(embeddings, first, second) ** 1.01


class ComparesPlaces(Versed):
    def probability(self, embeddings, first, second):
        stated = super().probability(embeddings, first, second)
        return 0.5 + (1 - 0.1 * np.minimum(first, second) / len(embeddings)) * (stated - 0.5)


class WearsDownWithThePairs(Versed):
    def probability(self, embeddings, first, second):
        worn = np.linspace(1.0, 0.9, len(first))
        return 0.5 + worn * (super().probability(embeddings, first, second) - 0.5)


class ReturnsLogarithmsOfVariances(Versed):
    def uncertainty(self, embeddings):
        return np.log(super().uncertainty(embeddings) / 4)


class IsUnsureInAColumn(Versed):
    def uncertainty(self, embeddings):
        return super().uncertainty(embeddings)[:, None]


class IsSurerOfEvenRows(Versed):
    def uncertainty(self, embeddings):
        return super().uncertainty(embeddings) + np.arange(len(embeddings)) % 2


class HasAMemberAColumn(Versed):
    def member_rewards(self, embeddings):
        return super().member_rewards(embeddings).T


class HasAMemberWithoutRewards(Versed):
    def member_rewards(self, embeddings):
        rewards = super().member_rewards(embeddings)
        rewards[1] = np.nan
        return rewards


class HasAMemberForSeveralRowsOnly(Versed):
    def member_rewards(self, embeddings):
        return super().member_rewards(embeddings)[: len(embeddings)]


class HasAMemberThatFavoursOddRows(Versed):
    def member_rewards(self, embeddings):
        rewards = super().member_rewards(embeddings)
        rewards[1, 1::2] += 0.1 * np.abs(self.weights).sum()
        return rewards


class CentresItsMembersByTheBatch(Versed):
    def member_rewards(self, embeddings):
        rewards = super().member_rewards(embeddings)
        return rewards - rewards.mean(axis=1, keepdims=True)


@dataclass(frozen=True)
class Villain:
    """A method, the one check that it fails, and the source of its plugin file where that is what is wrong."""

    check: str
    make: Callable[[], object]
    source: str = ""


VILLAINS = [
    Villain("fresh-objects", always_the_same_object),
    Villain("fresh-objects", KeepsStateInTheClass),
    Villain("fit-returns-self", ReturnsNothing),
    Villain("reward-shape", ReturnsAColumn),
    Villain("reward-shape", Squeezes),
    Villain("finite-rewards", DividesByTheDeviation),
    Villain("row-order", FavoursOddRows),
    Villain("batch-invariance", CentresByTheBatch),
    Villain("inputs-unmodified", CentresItsTrainingDataInPlace),
    Villain("inputs-unmodified", ScalesTestDataInPlace),
    Villain("global-random-state", SeedsNumpyWithAConstant),
    Villain("global-random-state", ShufflesByThePythonGenerator),
    Villain("same-seed-same-bits", DrawsFromItsOwnGenerator),
    Villain("refit-forgets", StartsFromItsOldWeights),
    Villain("learns-separable", UsesOneFeature),
    Villain("swapped-labels", FixesItsSign),
    Villain("shuffled-labels", KnowsTheAnswer),
    Villain("wrong-width", TrustsTheWidth),
    Villain("wrong-width", CutsToTheWidth),
    Villain("picklable", HoldsALock),
    Villain("picklable", PicklesInHalfPrecision),
    Villain("light-listing", Good, "import torch"),
    Villain("light-listing", Good, "import a_module_that_nobody_has"),
    Villain("thread-limit", StartsThreads),
    Villain("thread-limit", WidensNativePools),
    Villain("no-peeking", Peeks),
    Villain("probability-range", StatesAColumn),
    Villain("probability-range", IsMoreThanCertain),
    Villain("probability-symmetry", FavoursTheFirst),
    Villain("probability-row-order", ComparesPlaces),
    Villain("probability-row-order", WearsDownWithThePairs),
    Villain("uncertainty-range", ReturnsLogarithmsOfVariances),
    Villain("uncertainty-range", IsUnsureInAColumn),
    Villain("uncertainty-row-order", IsSurerOfEvenRows),
    Villain("members-shape", HasAMemberAColumn),
    Villain("members-shape", HasAMemberWithoutRewards),
    Villain("members-shape", HasAMemberForSeveralRowsOnly),
    Villain("members-row-order", HasAMemberThatFavoursOddRows),
    Villain("members-row-order", CentresItsMembersByTheBatch),
]
