"""The outer layer of DMoERM: groups of task categories, and a router that tells a response's group by its embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite import PreferencePairs
from rmsuite_baselines.capabilities import Embedded
from rmsuite_baselines.networks import Layers, Schedule, backward, descend, forward, in_blocks
from rmsuite_baselines.scaling import Standardised
from rmsuite_baselines.subsets import of_category


@dataclass(frozen=True, eq=False)
class Responses:
    """The distinct responses of some pairs: their rows, ``(n,)``, and the prompt and the category of each."""

    rows: np.ndarray
    prompt: np.ndarray
    category: np.ndarray

    @classmethod
    def of(cls, pairs: PreferencePairs) -> Responses:
        """Gather the responses that are in a pair."""
        rows, first = np.unique(np.concatenate([pairs.chosen, pairs.rejected]), return_index=True)
        return cls(rows, np.tile(pairs.prompt, 2)[first], np.tile(pairs.category, 2)[first])


@dataclass(frozen=True, eq=False)
class Groups:
    """Which categories have experts of their own, ``own``, ascending; the others, if any, share the last group."""

    own: np.ndarray
    rest: bool

    @classmethod
    def of(cls, pairs: PreferencePairs, least: int) -> Groups:
        """Give a group to each category of at least so many pairs."""
        categories, counts = np.unique(pairs.category, return_counts=True)
        return cls(categories[counts >= least], bool((counts < least).any()))

    @classmethod
    def one(cls) -> Groups:
        """Return one group for all categories."""
        return cls(np.empty(0, np.intp), True)

    def __len__(self) -> int:
        return len(self.own) + self.rest

    def __call__(self, category: np.ndarray) -> np.ndarray:
        """Return the group of each category, ``(n,) -> (n,)``; -1 for one that has none."""
        place = np.searchsorted(self.own, category)
        return np.where(np.isin(category, self.own), place, len(self) - 1 if self.rest else -1)

    def pairs(self, pairs: PreferencePairs, group: int) -> PreferencePairs:
        """Return the pairs that the experts of a group learn from: the last group's are those of all categories."""
        return of_category(pairs, self.own[group]) if group < len(self.own) else pairs


@dataclass(frozen=True, eq=False)
class Labelled:
    """Responses of known group: their ``rows`` of ``embeddings``, and the group and the prompt of each, ``(n,)``."""

    embeddings: Standardised
    rows: np.ndarray
    group: np.ndarray
    prompt: np.ndarray

    @classmethod
    def of(cls, pairs: PreferencePairs | None, embedded: Embedded, groups: Groups) -> Labelled | None:
        """Label the responses by their categories; None if there is no response whose category has a group."""
        if not pairs:
            return None
        responses = Responses.of(pairs)
        group = groups(responses.category)
        known = group >= 0
        labelled = cls(embedded(pairs), responses.rows[known], group[known], responses.prompt[known])
        return labelled if known.any() else None

    def logits(self, layers: Layers) -> np.ndarray:
        """Return the logits of all responses, ``(n, n_groups)``."""
        return in_blocks(lambda rows: forward(layers, self.embeddings[rows])[0], self.rows)

    def over_prompts(self, values: np.ndarray) -> float:
        """Average values, ``(n,)``, within each prompt, then over prompts."""
        _, position, counts = np.unique(self.prompt, return_inverse=True, return_counts=True)
        return float((np.bincount(position, values) / counts).mean())


def cross_entropy(logits: np.ndarray, group: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean of -log softmax(logits)[group], and its slope with respect to each logit.

    ``logits`` are ``(n, n_groups)``, ``group`` is ``(n,)``. The softmax is taken once, here.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    each = np.arange(len(group))
    slope = np.exp(shifted - log_total)
    slope[each, group] -= 1
    return float((log_total[:, 0] - shifted[each, group]).mean()), slope / np.float32(len(group))


@dataclass(frozen=True, eq=False)
class Router:
    """A trunk like that of a reward network, with one logit a group; the largest logit wins."""

    layers: Layers

    @classmethod
    def trained(
        cls, layers: Layers, train: Labelled | None, held: Labelled | None, schedule: Schedule, rng: np.random.Generator
    ) -> Router:
        """Learn the groups of the training responses; stop when the cross-entropy of those held out does not fall."""
        if not train or layers[-1].shape[1] == 1:
            return cls(layers)

        def gradients(batch: np.ndarray) -> Layers:
            logits, inputs = forward(layers, train.embeddings[train.rows[batch]])
            return backward(layers, inputs, cross_entropy(logits, train.group[batch])[1])

        loss = (lambda: cross_entropy(held.logits(layers), held.group)[0]) if held else None
        descend(layers, schedule, train.prompt, gradients, loss, rng)
        return cls(layers)

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the group of each row of standardised embeddings, ``(n, n_features) -> (n,)``: top-1."""
        return np.asarray(forward(self.layers, embeddings)[0].argmax(axis=1))

    def accuracy(self, held: Labelled) -> tuple[float, float]:
        """Return the share of responses that are routed right, and that of the group most frequent among them.

        Both are means over prompts, so that a prompt with many responses counts no more than others.
        """
        right = held.logits(self.layers).argmax(axis=1) == held.group
        majority = max(held.over_prompts(held.group == group) for group in np.unique(held.group))
        return held.over_prompts(right), majority
