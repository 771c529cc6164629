"""The reward model of one task category: a base, an expert a capability, and what joins them, in three phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.adapters import Adapter, Aggregator, hidden_states
from rmsuite_baselines.capabilities import Directions, Embedded
from rmsuite_baselines.losses import PairLoss
from rmsuite_baselines.networks import Layers, Schedule, forward, in_blocks, initial, rewards_of, train, train_run
from rmsuite_baselines.scaling import Standardised
from rmsuite_baselines.subsets import of_attribute, split


@dataclass(frozen=True, eq=False)
class Experts:
    """Experts as plain layers, each with a head, and the network that joins them; without one, heads are averaged."""

    experts: list[Layers]
    aggregator: Aggregator | None
    origin: float = 0.0

    def rewards(self, embeddings: np.ndarray) -> np.ndarray:
        """Return rewards of standardised embeddings, ``(n, n_features) -> (n, 1)``."""
        if self.aggregator:
            return self.aggregator.rewards(hidden_states(self.experts, embeddings)) - self.origin
        return np.mean([forward(layers, embeddings)[0] for layers in self.experts], axis=0) - self.origin

    def centred(self, embeddings: Standardised, responses: np.ndarray) -> Experts:
        """Return the same experts with mean reward zero on some responses, given by their rows."""
        mean = in_blocks(lambda rows: self.rewards(embeddings[rows]), responses).mean(dtype=np.float64)
        return Experts(self.experts, self.aggregator, float(mean))


@dataclass(frozen=True, eq=False)
class Phases:
    """How the experts of a category are trained (arXiv:2403.01197); ``dmoerm.DMoERM`` has the parameters.

    Attributes
    ----------
    directions : int
        Number of capabilities to derive; 0 uses the attributes given.
    blind : int
        Number of experts that learn from overall labels; 0 has them learn capabilities.
    joined : bool
        Whether there is a third phase.
    """

    embedded: Embedded
    hidden: list[int]
    schedule: Schedule
    rank: int
    alpha: float
    share: float
    directions: int
    blind: int
    joined: bool

    def train(self, pairs: PreferencePairs, rng: np.random.Generator) -> Experts:
        """Run the phases on the pairs of one category, and set the mean reward of its responses to zero."""
        early, late = split(pairs, self.share, rng)
        base = initial([pairs.n_features, *self.hidden], rng)
        train(base, early, self.embedded, PairLoss(), self.schedule, rng)
        experts = [self._expert(base, labels, rng) for labels in self._capabilities(early, rng)] or [base]
        found = Experts(experts, self._aggregator(experts, late, rng) if self.joined else None)
        return found.centred(self.embedded(pairs), np.union1d(pairs.chosen, pairs.rejected))

    def _capabilities(self, early: PreferencePairs, rng: np.random.Generator) -> list[PreferencePairs]:
        """Return the pairs that each expert is trained on; a capability without a consistent pair has no expert."""
        if self.blind:
            return [early] * self.blind
        if self.directions:
            found = Directions.of(early, self.embedded(early), self.directions, rng)
            early = found.label(early, self.embedded)
        labelled = [of_attribute(early, name) for name in dict.fromkeys(one.name for one in early.attributes)]
        return [labels for labels in labelled if len(labels)]

    def _expert(self, base: Layers, labels: PreferencePairs, rng: np.random.Generator) -> Layers:
        adapter = Adapter.of(base, self.rank, self.alpha, rng)

        def rewards(rows: Standardised) -> np.ndarray:
            return rewards_of(adapter.merged(), rows)

        train_run(adapter.layers, adapter.run, rewards, labels, self.embedded, PairLoss(), self.schedule, rng)
        return adapter.merged()

    def _aggregator(self, experts: list[Layers], late: PreferencePairs, rng: np.random.Generator) -> Aggregator:
        width = self.hidden[-1]
        found = Aggregator.of(len(experts) * width, width, rng)

        def rewards(rows: Standardised) -> np.ndarray:
            return in_blocks(Experts(experts, found).rewards, rows)

        train_run(
            found.layers,
            lambda rows: found.run(hidden_states(experts, rows)),
            rewards,
            late,
            self.embedded,
            PairLoss(),
            self.schedule,
            rng,
        )
        return found
