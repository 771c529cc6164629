"""Draw training pairs: which two responses are compared, and which of them the annotator chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from rmsuite.annotators import ABSTAINED, FIRST, SECOND, TIE, ConfiguredAnnotator, Offered
from rmsuite.arrays import frozen
from rmsuite.data import Pool
from rmsuite.errors import TaskError

PAIRINGS = ("random", "similar", "diverse", "across")
FEW = 64  # responses: all pairs of so many take 32 kB


@dataclass(frozen=True, eq=False)
class Drawing:
    """How pairs are drawn.

    Attributes
    ----------
    pairs_per_prompt : int
        At most so many distinct pairs a prompt, 0 for all (but ``across``, which needs a number).
    pairing : str
        Of the responses of a prompt with unequal gold, "random": any two. "similar": those of the nearest gold first,
        by how many of the prompt's distinct gold values lie between them, the pair nearest the middle first: two
        neighbours in the middle of the ranking, then the next two. "diverse": the largest gap of gold first: best and
        worst. Both as in arXiv:2411.04991, which takes the first pair of each prompt; equals fall by chance.
        "across": two responses of unequal gold of two different prompts; in each of ``pairs_per_prompt`` rounds, all
        prompts stand in a random circle and a random response of each meets one of its neighbour's.
    budget : int
        Pairs in all, 0 for no limit, out of those that ``pairs_per_prompt`` allows. First one pair of every prompt is
        taken, then the second of each, and so on (across: round by round): a smaller budget's pairs begin a larger
        one's. It counts the pairs that are put before the annotator: those of ties and abstentions too.
    trainable : (n_responses,) bool or None
        Which responses may be in pairs; None for all.
    exact : bool
        Whether it is an error if there are fewer pairs than the budget says.
    """

    pairs_per_prompt: int
    pairing: str = "random"
    budget: int = 0
    trainable: np.ndarray | None = None
    exact: bool = True


@dataclass(frozen=True, eq=False)
class LabelledPairs:
    """Pool rows of chosen and rejected responses, and what became of the pairs that were offered.

    ``agreement`` is how often the labels agree with gold (None: no gold or pair). A method is given strict preferences
    only: pairs of a tie, ``n_ties``, and of an abstention, ``n_abstentions``, are counted and left out.
    """

    chosen: np.ndarray
    rejected: np.ndarray
    agreement: float | None
    n_ties: int = 0
    n_abstentions: int = 0


def labelled_pairs(
    pool: Pool,
    prompts: np.ndarray,
    annotator: ConfiguredAnnotator,
    drawing: Drawing,
    rngs: tuple[np.random.Generator, ...],
) -> LabelledPairs:
    """Draw and label pairs of the given prompts.

    Parameters
    ----------
    prompts : (n,) int
        Positions in the pool.
    rngs : two generators
        The first draws the pairs, the second the annotation noise, so that annotators meet on the same pairs. Pairs
        are annotated before the budget cuts them: budgets meet on the same labels.

    Raises
    ------
    TaskError
        If the pool has nothing that the annotator needs, or cannot give as many pairs as the budget says.
    """
    if annotator.judge is None:
        return _human_pairs(pool, prompts, drawing, rngs[0])
    if pool.gold is None:
        raise TaskError(
            who=f"annotator {annotator.label!r} on pool {pool.name!r}",
            expected="gold rewards to annotate from",
            got="a pool without",
            do="use the annotator 'human' if it has human pairs, or name a gold reward model on the card",
        )
    pairs = _drawn(pool, prompts, drawing, rngs[0])
    gold = pool.gold.astype(np.float64)
    margin = gold[pairs[:, 0]] - gold[pairs[:, 1]]
    scale = float(gold[np.isin(pool.prompt, prompts)].std())
    offered = Offered(margin, scale, pool.length.astype(np.float64)[pairs], pairs, pool.votes)
    answers = annotator.judge(offered, rngs[1])
    kept = _within_budget(pool, pairs, drawing, rngs[0])
    return _labelled(pairs[kept], answers[kept], margin[kept])


def _labelled(pairs: np.ndarray, answers: np.ndarray, margin: np.ndarray) -> LabelledPairs:
    said = (answers == FIRST) | (answers == SECOND)
    first = answers[said] == FIRST
    chosen, rejected = np.where(first[:, None], pairs[said], pairs[said][:, ::-1]).T
    agreement = float(np.mean(first == (margin[said] > 0))) if len(first) else None
    undecided = (int(np.count_nonzero(answers == answer)) for answer in (TIE, ABSTAINED))
    return LabelledPairs(chosen, rejected, agreement, *undecided)


def _drawn(pool: Pool, prompts: np.ndarray, drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    if drawing.pairing == "across":
        return _across(pool, prompts, drawing, rng)
    return np.concatenate([_within(pool, prompt, drawing, rng) for prompt in prompts])


def _within(pool: Pool, prompt: int, drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    assert pool.gold is not None
    rows = np.arange(pool.offsets[prompt], pool.offsets[prompt + 1])
    if drawing.trainable is not None:
        rows = rows[drawing.trainable[rows]]
    pairs = rows[(_pairs_of_few if len(rows) <= FEW else _all_pairs)(len(rows))]
    pairs = pairs[pool.gold[pairs[:, 0]] != pool.gold[pairs[:, 1]]]
    pairs = rng.permuted(pairs, axis=1)  # which side comes first says nothing
    if drawing.pairing == "random":
        return pairs[_draw(len(pairs), drawing.pairs_per_prompt, rng)]
    pairs = rng.permutation(pairs)  # equals fall by chance
    first, second = pool.gold[pairs].astype(np.float64).T
    order = np.lexsort(ORDERS[drawing.pairing](first, second, np.unique(pool.gold[rows]).astype(np.float64)))
    return pairs[order[: drawing.pairs_per_prompt or None]]


def _all_pairs(n: int) -> np.ndarray:
    """Return the pairs of n things, each once, ``(n (n - 1) / 2, 2)``; read-only."""
    return frozen(np.column_stack(np.triu_indices(n, k=1)))


_pairs_of_few = cache(_all_pairs)  # prompts have the same few numbers of responses, in every repetition


def _similar(first: np.ndarray, second: np.ndarray, distinct: np.ndarray) -> tuple[np.ndarray, ...]:
    ranks = np.stack([np.searchsorted(distinct, side) for side in (first, second)])
    off_middle = np.abs(ranks.sum(axis=0) - (len(distinct) - 1))
    return off_middle, np.abs(ranks[0] - ranks[1])


def _diverse(first: np.ndarray, second: np.ndarray, _distinct: np.ndarray) -> tuple[np.ndarray, ...]:
    return (-np.abs(first - second),)


# By pairing: the keys that order a prompt's pairs, the leading one last, from both sides' gold and its distinct values.
ORDERS: Mapping[str, Callable[..., tuple[np.ndarray, ...]]] = {"similar": _similar, "diverse": _diverse}


def _across(pool: Pool, prompts: np.ndarray, drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    assert pool.gold is not None
    may = np.isin(pool.prompt, prompts) & (True if drawing.trainable is None else drawing.trainable)
    rows = np.flatnonzero(may)
    _, starts, sizes = np.unique(pool.prompt[rows], return_index=True, return_counts=True)
    if not drawing.pairs_per_prompt or len(starts) < 2:
        raise TaskError(
            who=f"pairing 'across' on pool {pool.name!r}",
            expected="two prompts, and a number of pairs a prompt",
            got=f"{len(starts)} prompts and pairs_per_prompt = {drawing.pairs_per_prompt}",
            do="set pairs_per_prompt to at least 1, as in 'NAME[pairing=across,pairs_per_prompt=20]'",
        )
    rounds = [rows[_circle(starts, sizes, rng)] for _ in range(drawing.pairs_per_prompt)]
    pairs = np.concatenate(rounds)
    _, once = np.unique(np.sort(pairs, axis=1), axis=0, return_index=True)
    pairs = pairs[np.sort(once)]
    pairs = pairs[pool.gold[pairs[:, 0]] != pool.gold[pairs[:, 1]]]
    return rng.permuted(pairs, axis=1)


def _circle(starts: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one pair for each prompt: a response of it and one of the next in a random circle of all prompts."""
    order = rng.permutation(len(starts))
    picks = starts + (rng.random((2, len(starts))) * sizes).astype(np.int64)
    return np.column_stack([picks[0][order], picks[1][np.roll(order, -1)]])


def _within_budget(pool: Pool, pairs: np.ndarray, drawing: Drawing, rng: np.random.Generator) -> np.ndarray:
    """Return the places of the pairs that the budget takes, in the order in which larger budgets take more."""
    if not drawing.budget:
        return np.arange(len(pairs))
    if drawing.exact and len(pairs) < drawing.budget:
        do = f"ask for a budget of at most {len(pairs)}, or raise pairs_per_prompt (0 for all)"
        expected = f"{drawing.budget} training pairs"
        raise TaskError(who=f"budget on pool {pool.name!r}", expected=expected, got=f"{len(pairs)}", do=do)
    if drawing.pairing == "across":
        return np.arange(min(drawing.budget, len(pairs)))
    place = rng.permutation(len(pairs)) if drawing.pairing == "random" else np.arange(len(pairs))
    prompt = pool.prompt[pairs[place, 0]]
    turn = rng.permutation(len(pool.prompt_id))  # who comes first in each round
    return place[np.lexsort((turn[prompt], _rank_within(prompt)))][: drawing.budget]


def _human_pairs(pool: Pool, prompts: np.ndarray, drawing: Drawing, rng: np.random.Generator) -> LabelledPairs:
    if pool.human_pairs is None:
        raise TaskError(
            who=f"annotator 'human' on pool {pool.name!r}",
            expected="human pairs",
            got="a pool with gold rewards only",
            do="use an annotator that judges from gold, such as 'perfect', 'bradley-terry' or 'flip'",
        )
    if drawing.pairing != "random":
        do = "leave out pairing, or choose a pool with gold rewards"
        expected = "pairing = random: human pairs are taken as they are"
        raise TaskError(who="annotator 'human'", expected=expected, got=drawing.pairing, do=do)
    of_prompt = pool.prompt[pool.human_pairs[:, 0]]
    pairs = pool.human_pairs[np.isin(of_prompt, prompts)]
    if drawing.trainable is not None:
        pairs = pairs[drawing.trainable[pairs].all(axis=1)]
    pairs = pairs[rng.permutation(len(pairs))]
    if drawing.pairs_per_prompt:
        pairs = pairs[_rank_within(pool.prompt[pairs[:, 0]]) < drawing.pairs_per_prompt]
    pairs = pairs[_within_budget(pool, pairs, drawing, rng)]
    return LabelledPairs(pairs[:, 0], pairs[:, 1], None)


def _rank_within(groups: np.ndarray) -> np.ndarray:
    order = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[order], groups[order])
    rank = np.empty(len(groups), np.int64)
    rank[order] = np.arange(len(groups)) - first
    return rank


def _draw(n: int, limit: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(n, size=min(n, limit), replace=False) if limit else np.arange(n)
