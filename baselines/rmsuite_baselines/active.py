"""Active reward modelling: a method that buys its labels, pair by pair, by a rule that sees none of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Self

import numpy as np

from rmsuite import PreferencePairs, RmsuiteError, plugins
from rmsuite.method import RewardModel, states_probability, states_uncertainty
from rmsuite_baselines.parameters import choice, text, whole
from rmsuite_baselines.scaling import Scaling, Standardised, of_width
from rmsuite_baselines.selection import SELECTORS, Pool
from rmsuite_baselines.subsets import taken

VALIDATION_SHARE = 4  # so many training labels for one of validation


@dataclass
class Active:
    """Annotate some of the training pairs, chosen in rounds, and fit a base on these (arXiv:2502.04354).

    The training pairs are a pool whose labels are hidden. A first share is drawn at random; then, round by round, the
    base is fitted on what is labelled, a rule (see ``selection``) chooses among the rest, and their labels are shown.
    The base sees the embeddings of the whole pool, the labels of the chosen pairs alone, and for every four of those
    the label of one random validation pair: what stops or tunes the base is bought too, on top of ``labels``. It sees
    no attributes and no ratings. Its released code draws 500 prompts a round for candidates; here all the pool is.

    The D-optimal rules ask for probabilities: differences of rewards are to be log odds, as those of Bradley-Terry
    bases are, and a base that states no probabilities is refused. No rule need be better than chance where some
    responses are unlike all others, which they like to choose: compare with ``random``.

    Parameters
    ----------
    base : str
        A method of this or any plugin, with its parameters.
    rule : str
        One of ``selection.SELECTORS``.
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
            With the parameter's name, or with the rule's if the base cannot give it what it asks for.
        """
        choice("rule", self.rule, tuple(SELECTORS))
        whole("labels", self.labels)
        whole("rounds", self.rounds)
        self._configured = plugins.at_hand(text("base", self.base))
        if SELECTORS[self.rule].odds and not states_probability(self.made()):
            expected = "a base that states probabilities, so that its rewards are log odds (bt-linear, bt-mlp)"
            do = "choose such a base, or a rule that asks for no probabilities: entropy, max-gap, coreset, random"
            raise RmsuiteError(who=f"rule={self.rule}", expected=expected, got=f"base={self.base}", do=do)

    def made(self) -> RewardModel:
        """Return a fresh base."""
        return self._configured.make()

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Annotate, then fit the base on all that is labelled."""
        held = pairs.validation
        self._held = np.empty(0, int) if held is None else rng.permutation(len(held))
        self.n_features = pairs.n_features
        self.labelled = self._annotated(pairs, rng)
        self.model = self._fitted(pairs, self.labelled, rng)
        return self

    def _annotated(self, pairs: PreferencePairs, rng: np.random.Generator) -> np.ndarray:
        labelled, rule = rng.permutation(len(pairs)), SELECTORS[self.rule]
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
        asks = SELECTORS[self.rule].asks
        rewards = self._fitted(pairs, labelled, rng).reward(pairs.embeddings) if asks else None
        return Pool(features, ends[0], ends[1], mask, rewards)

    def _fitted(self, pairs: PreferencePairs, labelled: np.ndarray, rng: np.random.Generator) -> RewardModel:
        held = pairs.validation
        if held is not None:
            held = _part(held, self._held[: -(-len(labelled) // VALIDATION_SHARE)], None)
        return self.made().fit(_part(pairs, labelled, held), rng=rng)

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the rewards of the base; ``(n, n_features) -> (n,)``."""
        return self.model.reward(of_width(embeddings, self.n_features, self.who))


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


@wraps(Active, updated=())
def make_active(*given: Any, **parameters: Any) -> Active:
    """Return an active method that offers what its base does."""
    base = Active(*given, **parameters).made()
    kinds = {(False, False): Active, (True, False): _Probable, (False, True): _Uncertain, (True, True): _Both}
    return kinds[states_probability(base), states_uncertainty(base)](*given, **parameters)


def _shares(total: int, rounds: int) -> list[int]:
    """Divide a number into parts that differ by at most one, the larger first; none is 0 but perhaps the only one."""
    parts = max(min(rounds, total), 1)
    return [total // parts + (i < total % parts) for i in range(parts)]


def _part(pairs: PreferencePairs, which: np.ndarray, validation: PreferencePairs | None) -> PreferencePairs:
    """Return some of the pairs, in their own order, with all embeddings, and without what else tells of quality."""
    part = taken(pairs, np.sort(which))
    prompt = np.unique(part.prompt, return_inverse=True)[1]
    return replace(part, prompt=prompt, validation=validation, attributes=(), ratings=None)
