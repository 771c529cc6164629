"""Capability labels: parts of the training pairs, the consistent ones of an attribute, and labels that are derived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.linalg import eigh

from rmsuite import AttributePairs, PreferencePairs
from rmsuite_baselines.scaling import Standardised

Embedded = Callable[[PreferencePairs], Standardised]
Record = TypeVar("Record", PreferencePairs, AttributePairs)


def _kept(record: Record, keep: np.ndarray) -> Record:
    names = ("chosen", "rejected", "prompt", "category")
    columns = {name: getattr(record, name)[keep] for name in names}
    if isinstance(record, AttributePairs):
        columns["consistent"] = record.consistent[keep]
    return replace(record, **columns)


def selected(pairs: PreferencePairs, keep: Callable[[PreferencePairs | AttributePairs], np.ndarray]) -> PreferencePairs:
    """Return the pairs, and the pairs of each attribute, for which ``keep`` is true; validation is left as it is."""
    attributes = tuple(_kept(one, keep(one)) for one in pairs.attributes)
    return replace(_kept(pairs, keep(pairs)), attributes=attributes)


def of_category(pairs: PreferencePairs, category: int) -> PreferencePairs:
    """Return the pairs of one category, for each attribute too, with responses of its own; in validation too."""
    held = pairs.validation and of_category(pairs.validation, category)
    return replace(_compact(selected(pairs, lambda part: part.category == category)), validation=held)


def _compact(pairs: PreferencePairs) -> PreferencePairs:
    """Leave out responses that are in no pair: the validation loss is taken over all rows."""
    parts: list[PreferencePairs | AttributePairs] = [pairs, *pairs.attributes]
    rows = np.unique(np.concatenate([side for part in parts for side in (part.chosen, part.rejected)]))
    attributes = tuple(_renumbered(one, rows) for one in pairs.attributes)
    return replace(_renumbered(pairs, rows), embeddings=pairs.embeddings[rows], attributes=attributes, ratings=None)


def _renumbered(record: Record, rows: np.ndarray) -> Record:
    chosen, rejected = (np.searchsorted(rows, side) for side in (record.chosen, record.rejected))
    return replace(record, chosen=chosen, rejected=rejected)


def split(pairs: PreferencePairs, share: float, rng: np.random.Generator) -> tuple[PreferencePairs, PreferencePairs]:
    """Part pairs by prompt; the first part gets a share of the prompts that have pairs.

    Attribute labels of other prompts go to the first part. One prompt cannot be parted: both parts have its pairs.
    """
    prompts = rng.permutation(np.unique(pairs.prompt))
    if len(prompts) < 2:
        return pairs, pairs
    n_first = min(max(round(share * len(prompts)), 1), len(prompts) - 1)
    later = prompts[n_first:]
    first = selected(pairs, lambda part: ~np.isin(part.prompt, later))
    second = selected(pairs, lambda part: np.isin(part.prompt, later))
    assert len(first) + len(second) == len(pairs)
    assert len(np.unique(first.prompt)) == n_first
    return first, second


def judged(pairs: PreferencePairs, attribute: str) -> PreferencePairs:
    """Return the consistent pairs of one attribute as pairs to train on, in validation too."""
    held = pairs.validation and judged(pairs.validation, attribute)
    given = [one for one in pairs.attributes if one.name == attribute]
    kept = [_kept(one, one.consistent.astype(bool)) for one in given]
    columns = {
        name: np.concatenate([getattr(one, name) for one in kept] or [np.empty(0, np.intp)])
        for name in ("chosen", "rejected", "prompt", "category")
    }
    return replace(pairs, **columns, validation=held, attributes=(), ratings=None)


@dataclass(frozen=True, eq=False)
class Directions:
    """Principal directions of chosen-minus-rejected differences, as judges of capabilities (arXiv:2502.13131).

    The directions diagonalise the differences' second moment, which does not change when chosen and rejected are
    exchanged; only the sign of a direction, such that most training pairs follow it, comes from the labels.

    A projection is exactly odd: exchanging the two responses always reverses its verdict, so the swap test, which
    catches a judge that answers at random, would catch nothing. What is at random here is the direction, an estimate
    from a sample. So the judge is asked twice, as estimated from the pairs of either half of the prompts, and a label
    is consistent where the two agree: where the difference is clear beside the error of the estimate.

    Attributes
    ----------
    joint : (n_features, k)
        The directions from all pairs, signed.
    halves : pair of (n_features, k)
        Each half's second moment times ``joint``: what that half says the direction is. They add up to a multiple of
        ``joint``, so that halves which agree agree with it too.
    """

    joint: np.ndarray
    halves: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, pairs: PreferencePairs, rows: Standardised, k: int, rng: np.random.Generator) -> Directions:
        """Estimate at most ``k`` directions; fewer if the differences span fewer."""
        differences = _differences(pairs, rows)
        prompts = rng.permutation(np.unique(pairs.prompt))
        first = np.isin(pairs.prompt, prompts[: len(prompts) // 2])
        moments = [part.T @ part for part in (differences[first], differences[~first])]
        joint = _leading(moments[0] + moments[1], k)
        signs = np.where(np.sign(differences @ joint).sum(axis=0) < 0, -1, 1).astype(np.float32)
        joint = joint * signs
        return cls(joint, (moments[0] @ joint, moments[1] @ joint))

    def label(self, pairs: PreferencePairs, embedded: Embedded) -> PreferencePairs:
        """Return the pairs with one attribute a direction in place of theirs, in validation too."""
        held = pairs.validation and self.label(pairs.validation, embedded)
        differences = _differences(pairs, embedded(pairs))
        signs = np.sign(differences @ self.joint)
        agree = np.sign(differences @ self.halves[0]) * np.sign(differences @ self.halves[1]) > 0
        attributes = [_attribute(pairs, f"direction-{i}", signs[:, i], agree[:, i]) for i in range(signs.shape[1])]
        return replace(pairs, attributes=tuple(attributes), validation=held)


def _differences(pairs: PreferencePairs, rows: Standardised) -> np.ndarray:
    return np.asarray(rows[pairs.chosen] - rows[pairs.rejected])


def _leading(moment: np.ndarray, k: int) -> np.ndarray:
    """Return the eigenvectors of the ``k`` largest eigenvalues, largest first, leaving out those of nothing."""
    n = len(moment)
    values, vectors = eigh(moment, subset_by_index=[max(n - k, 0), n - 1])
    return np.asarray(vectors[:, values > 1e-5 * values.max()][:, ::-1])


def _attribute(pairs: PreferencePairs, name: str, sign: np.ndarray, consistent: np.ndarray) -> AttributePairs:
    better, worse = np.where(sign > 0, [pairs.chosen, pairs.rejected], [pairs.rejected, pairs.chosen])
    return AttributePairs(name, better, worse, pairs.prompt, pairs.category, consistent)
