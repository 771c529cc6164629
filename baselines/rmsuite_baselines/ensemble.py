"""Ensembles of any method: several members of one kind, and a rule that combines their rewards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Self

import numpy as np

from rmsuite import PreferencePairs, RewardModel, RmsuiteError, plugins
from rmsuite.arrays import as_probability, as_rewards
from rmsuite.method import states_probability
from rmsuite_baselines.members import Members, Rule
from rmsuite_baselines.mlp import RewardMLP, fit_together
from rmsuite_baselines.parameters import choice, text, whole
from rmsuite_baselines.scaling import of_width
from rmsuite_baselines.subsets import of_features, of_prompts, records


@dataclass(frozen=True, eq=False)
class Member:
    """A fitted model, the features that it is shown (None: all), and the origin and the unit of its rewards."""

    model: RewardModel
    features: np.ndarray | None
    origin: float
    unit: float

    def shown(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the features that the model was trained on."""
        return embeddings if self.features is None else np.take(embeddings, self.features, axis=1)

    def reward(self, embeddings: np.ndarray, who: str) -> np.ndarray:
        """Return rewards from the common origin, in the common unit; ``(n, n_features) -> (n,)``."""
        rewards = as_rewards(self.model.reward(self.shown(embeddings)), len(embeddings), who=who)
        return (rewards - self.origin) / self.unit


@dataclass
class Ensemble(Members):
    """Members of one method that differ by chance, and a rule that combines their rewards (arXiv:2310.02743).

    Rewards of members are made commensurable first. What is learnt from pairs has no origin: each member's rewards are
    moved to mean 0 over the training responses, without which the worst case and the variance would be about the
    origins. Members whose base states probabilities keep their unit, for probabilities fix it (the logit, for
    Bradley-Terry); any other unit is arbitrary, and becomes the standard deviation over the training responses. The
    penalties of ``uwo`` and ``lcb`` have a meaning in such units only.

    Members are fitted one after the other; only networks with ``vary=initialisation`` are trained together, on the same
    batches and for the same epochs, which saves gathering them once a member. ``vary=features`` halves the width of the
    largest products of matrices, and ``bt-heads`` shares them, which saves more.

    Parameters
    ----------
    base : str
        The method, with or without parameters, of this or any plugin: ``bt-mlp[hidden=64]``.
    members : int
        How many.
    rule, weight
        See ``members.Rule``.
    vary : {"seed", "initialisation", "data", "features"}
        Each member has random numbers of its own. With ``seed`` it has the same data, as in the paper, and differs in
        initialisation and order: a method that draws nothing then gives equal members. With ``initialisation`` networks
        share the order too. With ``data`` it learns from a random four fifths of the prompts, as in the code that the
        group of arXiv:2502.04357 released; it is stopped by the validation pairs of the task, and only where there are
        none, by the other fifth, as it always is there. With ``features`` it sees a random half of the features.
    """

    base: str = "bt-mlp"
    members: int = 5
    rule: str = "mean"
    weight: float = 0.5
    vary: str = "seed"

    def __post_init__(self) -> None:
        text("base", self.base)
        whole("members", self.members)
        Rule(self.rule, self.weight)
        choice("vary", self.vary, ("seed", "initialisation", "data", "features"))

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Fit the members, each with a generator of its own."""
        configured = plugins.at_hand(self.base)
        models, rngs = [configured.make() for _ in range(self.members)], rng.spawn(self.members)
        networks = [model for model in models if isinstance(model, RewardMLP) and type(model).fit is RewardMLP.fit]
        self.n_features = pairs.n_features
        if self.vary == "initialisation":
            if len(networks) < len(models):
                expected, do = "a base that is a network: bt-mlp or clf-mlp", "choose vary=seed"
                raise RmsuiteError(who="vary=initialisation", expected=expected, got=self.base, do=do)
            fit_together(networks, pairs, rngs)
            self.fitted = [self._member(model, pairs, None) for model in models]
        else:
            self.fitted = [self._fit(model, pairs, own) for model, own in zip(models, rngs, strict=True)]
        return self

    def _fit(self, model: RewardModel, pairs: PreferencePairs, rng: np.random.Generator) -> Member:
        features = _half(pairs.n_features, rng) if self.vary == "features" else None
        given = pairs if features is None else of_features(pairs, features)
        model.fit(_four_fifths(given, rng) if self.vary == "data" else given, rng=rng)
        return self._member(model, given, features)

    def _member(self, model: RewardModel, given: PreferencePairs, features: np.ndarray | None) -> Member:
        rewards = as_rewards(model.reward(given.embeddings), len(given.embeddings), who=repr(self.base))
        return Member(model, features, float(rewards.mean()), 1.0 if states_probability(model) else _spread(rewards))

    def member_rewards(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the rewards of each member, on one scale with one origin; ``(n, n_features) -> (n_members, n)``."""
        embeddings = of_width(embeddings, self.n_features, "ensemble")
        return np.stack([member.reward(embeddings, repr(self.base)) for member in self.fitted])


class StatingEnsemble(Ensemble):
    """An ensemble over a base that states probabilities: it states their mean, whatever the rule for rewards."""

    def probability(self, embeddings: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return P(first preferred) for pairs of rows of ``embeddings``, ``(n_pairs,)``."""
        embeddings, stated = of_width(embeddings, self.n_features, "ensemble"), []
        for member in self.fitted:
            assert states_probability(member.model)
            given = member.model.probability(member.shown(embeddings), first, second)
            stated.append(as_probability(given, len(first), who=repr(self.base)))
        return np.asarray(np.mean(stated, axis=0))


@wraps(Ensemble, updated=())
def ensemble(*given: Any, **parameters: Any) -> Ensemble:
    """Return an ensemble that states probabilities exactly if its base does; see ``Ensemble`` for the parameters."""
    made = Ensemble(*given, **parameters)
    states = states_probability(plugins.at_hand(made.base).make())
    return StatingEnsemble(*given, **parameters) if states else made


def _half(n_features: int, rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.choice(n_features, (n_features + 1) // 2, replace=False))


def _four_fifths(pairs: PreferencePairs, rng: np.random.Generator) -> PreferencePairs:
    prompts = rng.permutation(np.unique(pairs.prompt))
    n_prompts = max(int(part.prompt.max(initial=-1)) for part in records(pairs)) + 1
    rest = np.isin(np.arange(n_prompts), prompts[: len(prompts) // 5])
    learnt = of_prompts(pairs, np.logical_not(rest))
    return replace(learnt, validation=pairs.validation or of_prompts(pairs, rest) or None)


def _spread(rewards: np.ndarray) -> float:
    # Rounding leaves equal rewards a deviation of the order of their last bit.
    spread = float(rewards.std())
    return spread if spread > 1e-6 * np.abs(rewards).max() else 1.0
