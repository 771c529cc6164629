"""The records of the test part: what rewards are compared with, which pairs are asked for, what a method answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from rmsuite import seeds
from rmsuite.data import Pool
from rmsuite.errors import TaskError

PAIR_BLOCK = 500_000  # pairs at a time, to bound the memory
ASKED_PAIRS = 50  # a prompt, at most


@dataclass(frozen=True, eq=False)
class Planted:
    """Attacks among the responses to test prompts: texts written to be rewarded, worse than any real response.

    ``rows`` of the pool that holds them, ``prompt`` (positions in the test set's prompts) and ``length`` are
    ``(n_planted,)``.
    """

    rows: np.ndarray
    prompt: np.ndarray
    length: np.ndarray


@dataclass(frozen=True, eq=False)
class TestSet:
    """What a metric compares rewards with; only the harness holds it.

    ``rows`` are pool rows in pool order; ``offsets`` delimit the prompts within them; ``gold``, ``length`` and
    the pair columns ``chosen``, ``rejected`` (positions in ``rows``) are aligned with them. Pools with gold rewards
    have ``gold`` and no pair columns: every two responses of a prompt with unequal gold are a pair. ``generator`` is
    None where the pool does not tell who wrote what. ``planted`` responses are rewarded too, but no other metric than
    those of attacks looks at them.
    """

    __test__ = False  # a name that pytest must not collect

    prompt_id: np.ndarray
    category: np.ndarray
    rows: np.ndarray
    offsets: np.ndarray
    length: np.ndarray
    gold: np.ndarray | None = None
    chosen: np.ndarray | None = None
    rejected: np.ndarray | None = None
    generator: np.ndarray | None = None
    planted: Planted | None = None

    @property
    def n_prompts(self) -> int:
        """Number of test prompts, the clusters of every interval."""
        return len(self.prompt_id)

    @cached_property
    def prompt(self) -> np.ndarray:
        """The prompt of each test response, ``(n_responses,)``, numbered from 0."""
        return np.repeat(np.arange(self.n_prompts), np.diff(self.offsets))

    @cached_property
    def oracle(self) -> Answers:
        """What a method would answer that knows the gold rewards."""
        assert self.gold is not None
        return Answers(self.gold)

    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield all pairs in blocks of bounded size, as positions (chosen, rejected)."""
        if self.gold is None:
            assert self.chosen is not None
            assert self.rejected is not None
            yield self.chosen, self.rejected
            return
        sizes = np.diff(self.offsets)
        for size in np.unique(sizes[sizes > 1]).tolist():
            first, second = np.triu_indices(size, 1)
            starts = self.offsets[:-1][sizes == size]
            for part in np.array_split(starts, np.ceil(len(starts) * len(first) / PAIR_BLOCK)):
                yield self._oriented((part[:, None] + first).ravel(), (part[:, None] + second).ravel())

    def _oriented(self, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert self.gold is not None
        margin = self.gold[first] - self.gold[second]
        first, second, margin = first[margin != 0], second[margin != 0], margin[margin != 0]
        return np.where(margin > 0, first, second), np.where(margin > 0, second, first)

    @cached_property
    def asked(self) -> AskedPairs:
        """The pairs that probabilities are asked for: at most ``ASKED_PAIRS`` a prompt, drawn without replacement.

        The draw and the orientation depend on the prompt's id only: other prompts move none.
        """
        lists = self._lists_of_human_pairs() if self.gold is None else self._lists_of_gold_pairs()
        drawn = [np.zeros((3, 0), np.int64), *(self._drawn(i, *pairs) for i, pairs in enumerate(lists))]
        chosen, rejected, turned = np.concatenate(drawn, axis=1)
        flipped = turned == 1
        return AskedPairs(np.where(flipped, rejected, chosen), np.where(flipped, chosen, rejected), ~flipped)

    def _drawn(self, prompt: int, n_pairs: int, at: PairsAt) -> np.ndarray:
        """Return ``(3, n)``: chosen, rejected, and whether turned, of some of a prompt's pairs."""
        rng = seeds.generator(0, "test-pairs", prompt=str(self.prompt_id[prompt]))
        few = n_pairs <= ASKED_PAIRS
        places = np.arange(n_pairs) if few else np.sort(rng.choice(n_pairs, ASKED_PAIRS, replace=False))
        return np.stack([*at(places), rng.random(len(places)) < 0.5])

    def _lists_of_human_pairs(self) -> Iterator[tuple[int, PairsAt]]:
        """Yield, for each prompt, the number of its pairs, and what returns those at given places of their list."""
        pairs = np.stack([self.chosen, self.rejected])  # type: ignore[list-item]
        prompt = self.prompt[pairs[0]]
        order = np.argsort(prompt, kind="stable")
        for own in np.split(order, np.searchsorted(prompt[order], np.arange(1, self.n_prompts))):
            yield len(own), partial(np.take, pairs[:, own], axis=1)

    def _lists_of_gold_pairs(self) -> Iterator[tuple[int, PairsAt]]:
        """The same for gold rewards, without a list: how often each response comes first tells what stands where."""
        assert self.gold is not None
        for start, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            gold = self.gold[start:stop]
            firsts = _unequal_after(gold)
            yield int(firsts.sum()), partial(_pairs_at, start, gold, np.cumsum(firsts))


PairsAt = Callable[[np.ndarray], np.ndarray]  # (n,) places in a list of pairs -> (2, n) chosen, rejected


def _unequal_after(gold: np.ndarray) -> np.ndarray:
    """Return, for each response, how many of those that come after it have another gold reward."""
    order = np.argsort(gold, kind="stable")
    count = np.arange(len(gold))
    equal = np.searchsorted(gold[order], gold[order], "right") - 1 - count
    out = count[::-1].copy()
    out[order] -= equal
    return out


def _pairs_at(start: int, gold: np.ndarray, ends: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the pairs at these places of the list of a prompt's pairs of unequal gold, by first, then by second.

    ``ends`` says where in the list each first response's pairs end; ``start`` is the position of the prompt.
    """
    first = np.searchsorted(ends, places, "right")
    rank = places - np.append(0, ends)[first]
    seconds = (gold != gold[first][:, None]) & (np.arange(len(gold)) > first[:, None])
    second = (np.cumsum(seconds, axis=1) > rank[:, None]).argmax(axis=1)
    better = gold[first] > gold[second]
    return start + np.where(better, (first, second), (second, first))


@dataclass(frozen=True, eq=False)
class AskedPairs:
    """Pairs in random orientation: positions ``first``, ``second`` in a test set, and whether the first is chosen."""

    first: np.ndarray
    second: np.ndarray
    first_chosen: np.ndarray


@dataclass(frozen=True, eq=False)
class Answers:
    """What a method said of a test set, in its order.

    Attributes
    ----------
    rewards : (n_responses,) float64
    uncertainty : (n_responses,) float64 or None
        Standard deviation of each reward, from a method that gives it.
    probability : (n_asked,) float64 or None
        P(first preferred) for ``TestSet.asked``, from a method that gives it.
    planted : (n_planted,) float64 or None
        Rewards of ``TestSet.planted``, where there are some.
    """

    rewards: np.ndarray
    uncertainty: np.ndarray | None = None
    probability: np.ndarray | None = None
    planted: np.ndarray | None = None


def test_set(pool: Pool, prompts: np.ndarray) -> TestSet:
    """Return the test set of the given prompts (positions in the pool)."""
    lengths = np.diff(pool.offsets)[prompts]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    starts = np.repeat(pool.offsets[prompts] - offsets[:-1], lengths)
    rows = starts + np.arange(offsets[-1])
    columns = {"gold": None if pool.gold is None else pool.gold[rows].astype(np.float64)}
    if pool.gold is None and pool.human_pairs is not None:
        position = np.full(len(pool.response_id), -1)
        position[rows] = np.arange(len(rows))
        pairs = position[pool.human_pairs]
        columns["chosen"], columns["rejected"] = pairs[(pairs >= 0).all(axis=1)].T
    several = len(np.unique(pool.generator)) > 1
    columns["generator"] = pool.generator[rows].astype(np.int64) if several else None
    return TestSet(pool.prompt_id[prompts], pool.category[prompts], rows, offsets, pool.length[rows], **columns)


test_set.__test__ = False  # type: ignore[attr-defined]  # a name that pytest must not collect


def planted(test: TestSet, attacks: Pool) -> TestSet:
    """Return a test set with the attacks of a pool on its prompts.

    Raises
    ------
    TaskError
        If the pool attacks none of them.
    """
    order = np.argsort(test.prompt_id)
    place = order[np.searchsorted(test.prompt_id, attacks.prompt_id, sorter=order) % test.n_prompts]
    prompt = np.where(test.prompt_id[place] == attacks.prompt_id, place, -1)[attacks.prompt]
    rows = np.flatnonzero(prompt >= 0)
    if not len(rows):
        who, expected = f"pool {attacks.name!r} as a probe", "responses to the test prompts of the task"
        raise TaskError(who=who, expected=expected, got="none", do="choose a probe of the same prompts")
    return replace(test, planted=Planted(rows, prompt[rows], attacks.length[rows]))


def restricted(test: TestSet, keep: np.ndarray) -> TestSet:
    """Return a test set with some of its responses only, ``(n_responses,) bool``; prompts without a pair are dropped.

    A prompt without a pair is one of fewer than two kept responses, or none of whose human pairs has both.
    """
    human = test.chosen is not None and test.rejected is not None
    pairs = np.column_stack([test.chosen, test.rejected]) if human else np.zeros((0, 2), int)  # type: ignore[list-item]
    pairs = pairs[keep[pairs].all(axis=1)]
    if test.gold is None:
        there = np.bincount(test.prompt[pairs[:, 0]], minlength=test.n_prompts) > 0
    else:
        there = np.bincount(test.prompt[keep], minlength=test.n_prompts) > 1
    keep = keep & there[test.prompt]
    sizes = np.bincount(test.prompt[keep], minlength=test.n_prompts)[there]
    place = np.cumsum(keep) - 1
    columns = {name: getattr(test, name) for name in ("gold", "generator")}
    columns = {name: None if column is None else column[keep] for name, column in columns.items()}
    if test.gold is None:
        columns["chosen"], columns["rejected"] = place[pairs].T
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return TestSet(test.prompt_id[there], test.category[there], test.rows[keep], offsets, test.length[keep], **columns)
