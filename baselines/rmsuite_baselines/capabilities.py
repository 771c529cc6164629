"""Capability labels that are derived from the preference pairs: directions as judges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh

from rmsuite import AttributePairs, PreferencePairs
from rmsuite_baselines.networks import in_blocks
from rmsuite_baselines.rows import PAIRS, blocks
from rmsuite_baselines.scaling import Standardised
from rmsuite_baselines.subsets import taken

Embedded = Callable[[PreferencePairs], Standardised]


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
        prompts = rng.permutation(np.unique(pairs.prompt))
        first = np.isin(pairs.prompt, prompts[: len(prompts) // 2])
        moments = [_moment(rows, part.chosen, part.rejected) for part in (taken(pairs, first), taken(pairs, ~first))]
        joint = _leading(moments[0] + moments[1], k)
        signs = np.where(np.sign(_projected(pairs, rows, joint)).sum(axis=0) < 0, -1, 1).astype(np.float32)
        joint = joint * signs
        return cls(joint, (moments[0] @ joint, moments[1] @ joint))

    def label(self, pairs: PreferencePairs, embedded: Embedded) -> PreferencePairs:
        """Return the pairs with one attribute a direction in place of theirs, in validation too."""
        held = pairs.validation and self.label(pairs.validation, embedded)
        rows = embedded(pairs)
        signs, *halves = (np.sign(_projected(pairs, rows, judge)) for judge in (self.joint, *self.halves))
        agree = halves[0] * halves[1] > 0
        attributes = [_attribute(pairs, f"direction-{i}", signs[:, i], agree[:, i]) for i in range(signs.shape[1])]
        return replace(pairs, attributes=tuple(attributes), validation=held)


def _moment(rows: Standardised, chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """Return the sum of d d' over the differences d of pairs, ``(n_features, n_features)`` float32."""
    total = np.zeros((rows.embeddings.shape[1],) * 2, np.float32)
    for block in blocks(len(chosen), PAIRS):
        part = rows[chosen[block]] - rows[rejected[block]]
        total += part.T @ part
    return total


def _projected(pairs: PreferencePairs, rows: Standardised, judge: np.ndarray) -> np.ndarray:
    """Return the differences along each direction, ``(n_pairs, k)``; exactly odd in the two responses."""
    along = in_blocks(lambda some: some @ judge, rows)
    return np.asarray(along[pairs.chosen] - along[pairs.rejected])


def _leading(moment: np.ndarray, k: int) -> np.ndarray:
    """Return the eigenvectors of the ``k`` largest eigenvalues, largest first, leaving out those of nothing."""
    n = len(moment)
    values, vectors = eigh(moment, subset_by_index=[max(n - k, 0), n - 1])
    return np.asarray(vectors[:, values > 1e-5 * values.max()][:, ::-1])


def _attribute(pairs: PreferencePairs, name: str, sign: np.ndarray, consistent: np.ndarray) -> AttributePairs:
    better, worse = np.where(sign > 0, [pairs.chosen, pairs.rejected], [pairs.rejected, pairs.chosen])
    return AttributePairs(name, better, worse, pairs.prompt, pairs.category, consistent)
