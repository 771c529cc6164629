"""Active reward modelling: a method that buys its labels, pair by pair, by a rule that sees none of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

import rmsuite
from rmsuite import PreferencePairs, plugins
from rmsuite.method import RewardModel, states_probability, states_uncertainty
from rmsuite_baselines.parameters import choice, text, whole
from rmsuite_baselines.scaling import Scaling, Standardised
from rmsuite_baselines.selection import RULES, Pool

VALIDATION_SHARE = 4  # so many training labels for one of validation


@dataclass
class Active:
    """Annotate some of the training pairs, chosen in rounds, and fit a base on these (arXiv:2502.04354, Algorithm 1).

    The training pairs are a pool whose labels are hidden. A first share is drawn at random; then, round by round, the
    base is fitted on what is labelled, a rule (see ``selection``) chooses among the rest, and their labels are shown.
    The base sees the embeddings of the whole pool, the labels of the chosen pairs alone, and for every four of those
    the label of one random validation pair: what stops or tunes the base is bought too, on top of ``labels``. It sees
    no attributes and no ratings. The paper draws new candidate prompts each round; here all the pool is candidate.

    Rules of probabilities mean rewards whose differences are log odds, as those of Bradley-Terry bases are. No rule
    need be better than chance where some responses are unlike all others, which they like to choose: compare with
    ``random``.

    Parameters
    ----------
    base : str
        A method of this or any plugin, with its parameters.
    rule : str
        One of ``selection.RULES``.
    labels : int
        Pairs to annotate; all, where there are fewer.
    rounds : int
        Into how many parts, as equal as can be, the labels are divided; 1 is a random choice of all, by any rule.

    Attributes
    ----------
    labelled : (n_labels,) int
        The annotated pairs by position, in the order of annotation.
    """

    base: str = "bt-linear"
    rule: str = "d-optimal"
    labels: int = 500
    rounds: int = 5

    who = "active"

    def __post_init__(self) -> None:
        """Refuse parameters out of range.

        Raises
        ------
        RmsuiteError
            With the parameter's name.
        """
        choice("rule", self.rule, tuple(RULES))
        whole("labels", self.labels)
        whole("rounds", self.rounds)
        self._configured = plugins.at_hand(text("base", self.base))

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Annotate, then fit the base on all that is labelled."""
        held = pairs.validation
        self._held = np.empty(0, int) if held is None else rng.permutation(len(held))
        self.n_features = pairs.n_features
        self.labelled = self._annotated(pairs, rng)
        self.model = self._fitted(pairs, self.labelled, rng)
        return self

    def _annotated(self, pairs: PreferencePairs, rng: np.random.Generator) -> np.ndarray:
        labelled, rule = rng.permutation(len(pairs)), RULES[self.rule]
        first, *further = _shares(min(self.labels, len(pairs)), self.rounds)
        if first + sum(further) == len(pairs):
            return labelled
        labelled = labelled[:first]
        features = Scaling.of(pairs.embeddings).lazily(pairs.embeddings, self.who)
        for share in further if rule.asks else [sum(further)]:
            pool = self._pool(pairs, labelled, features, rng)
            labelled = np.concatenate([labelled, rule.select(pool, share, rng)])
        return labelled

    def _pool(
        self, pairs: PreferencePairs, labelled: np.ndarray, features: Standardised, rng: np.random.Generator
    ) -> Pool:
        """Return what a rule may see: of each pair, the smaller row comes first."""
        ends = np.sort([pairs.chosen, pairs.rejected], axis=0)
        mask = np.zeros(len(pairs), dtype=bool)
        mask[labelled] = True
        asks = RULES[self.rule].asks
        rewards = self._fitted(pairs, labelled, rng).reward(pairs.embeddings) if asks else None
        return Pool(features, ends[0], ends[1], mask, rewards)

    def _fitted(self, pairs: PreferencePairs, labelled: np.ndarray, rng: np.random.Generator) -> RewardModel:
        held = pairs.validation
        if held is not None:
            held = _part(held, self._held[: -(-len(labelled) // VALIDATION_SHARE)], None)
        return self._configured.make().fit(_part(pairs, labelled, held), rng=rng)

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the rewards of the base; ``(n, n_features) -> (n,)``."""
        return self.model.reward(rmsuite.as_embeddings(embeddings, self.n_features, who=self.who))


class _Probable(Active):
    """With a base that states probabilities."""

    def probability(self, embeddings: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the base's P(first preferred), ``(n_pairs,)``."""
        assert states_probability(self.model)
        return self.model.probability(embeddings, first, second)


class _Uncertain(Active):
    """With a base that states uncertainties."""

    def uncertainty(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the base's standard deviation of each reward, ``(n,)``."""
        assert states_uncertainty(self.model)
        return self.model.uncertainty(embeddings)


class _Both(_Probable, _Uncertain):
    """With a base that states both."""


def make_active(
    base: str = Active.base, rule: str = Active.rule, labels: int = Active.labels, rounds: int = Active.rounds
) -> Active:
    """Return an active method that offers what its base does."""
    made = Active(base, rule, labels, rounds)
    model = made._configured.make()
    kinds = {(False, False): Active, (True, False): _Probable, (False, True): _Uncertain, (True, True): _Both}
    return kinds[states_probability(model), states_uncertainty(model)](base, rule, labels, rounds)


def _shares(total: int, rounds: int) -> list[int]:
    """Divide a number into parts that differ by at most one, the larger first; none is 0 but perhaps the only one."""
    parts = max(min(rounds, total), 1)
    return [total // parts + (i < total % parts) for i in range(parts)]


def _part(pairs: PreferencePairs, which: np.ndarray, validation: PreferencePairs | None) -> PreferencePairs:
    """Return some of the pairs, in their own order, with all embeddings, and without what else tells of quality."""
    which = np.sort(which)
    columns = {name: getattr(pairs, name)[which] for name in ("chosen", "rejected", "category")}
    prompt = np.unique(pairs.prompt[which], return_inverse=True)[1]
    return replace(pairs, **columns, prompt=prompt, validation=validation, attributes=(), ratings=None)
