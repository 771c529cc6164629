"""Draw training pairs: which two responses are compared, and which of them the annotator chooses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmsuite.annotators import Annotator
from rmsuite.data import Pool
from rmsuite.errors import TaskError


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """Pool rows of chosen and rejected responses, and how often the labels agree with gold (None: no gold or pair)."""

    chosen: np.ndarray
    rejected: np.ndarray
    agreement: float | None


def labelled_pairs(
    pool: Pool, prompts: np.ndarray, annotator: Annotator, pairs_per_prompt: int, rngs: tuple[np.random.Generator, ...]
) -> LabelledPairs:
    """Draw and label pairs of the given prompts.

    Parameters
    ----------
    prompts : (n,) int
        Positions in the pool.
    pairs_per_prompt : int
        At most so many distinct pairs a prompt, drawn without replacement among those with unequal gold; 0 takes all.
    rngs : two generators
        The first draws the pairs, the second the annotation noise, so that annotators meet on the same pairs.
    """
    if annotator.prefers_first is None:
        return _human_pairs(pool, prompts, pairs_per_prompt, rngs[0])
    if pool.gold is None:
        raise TaskError(
            who=f"annotator {annotator.label!r} on pool {pool.name!r}",
            expected="gold rewards to annotate from",
            got="a pool with human pairs only",
            do="use the annotator 'human'",
        )
    pairs = np.concatenate([_within(pool, prompt, pairs_per_prompt, rngs[0]) for prompt in prompts])
    gold = pool.gold.astype(np.float64)
    margin = gold[pairs[:, 0]] - gold[pairs[:, 1]]
    scale = float(gold[np.isin(pool.prompt, prompts)].std())
    first = annotator.prefers_first(margin, scale, rngs[1])
    chosen, rejected = np.where(first[:, None], pairs, pairs[:, ::-1]).T
    agreement = float(np.mean(first == (margin > 0))) if len(first) else None
    return LabelledPairs(chosen, rejected, agreement)


def _within(pool: Pool, prompt: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    assert pool.gold is not None
    start, stop = pool.offsets[prompt], pool.offsets[prompt + 1]
    pairs = np.column_stack(np.triu_indices(stop - start, k=1)) + start
    pairs = pairs[pool.gold[pairs[:, 0]] != pool.gold[pairs[:, 1]]]
    pairs = rng.permuted(pairs, axis=1)  # which side comes first says nothing
    return pairs[_draw(len(pairs), limit, rng)]


def _human_pairs(pool: Pool, prompts: np.ndarray, limit: int, rng: np.random.Generator) -> LabelledPairs:
    if pool.human_pairs is None:
        raise TaskError(
            who=f"annotator 'human' on pool {pool.name!r}",
            expected="human pairs",
            got="a pool with gold rewards only",
            do="use the annotator 'perfect', 'bradley-terry' or 'flip'",
        )
    of_prompt = pool.prompt[pool.human_pairs[:, 0]]
    pairs = pool.human_pairs[np.isin(of_prompt, prompts)]
    pairs = pairs[rng.permutation(len(pairs))]
    if limit:
        pairs = pairs[_rank_within(pool.prompt[pairs[:, 0]]) < limit]
    return LabelledPairs(pairs[:, 0], pairs[:, 1], None)


def _rank_within(groups: np.ndarray) -> np.ndarray:
    order = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[order], groups[order])
    rank = np.empty(len(groups), np.int64)
    rank[order] = np.arange(len(groups)) - first
    return rank


def _draw(n: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(n, size=min(n, limit), replace=False) if limit else np.arange(n)
