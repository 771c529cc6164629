"""The records that hold responses, pairs and test sets; immutable columns, rows with identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from rmsuite import seeds
from rmsuite.arrays import frozen

PAIR_BLOCK = 500_000  # pairs at a time, to bound the memory
ASKED_PAIRS = 50  # a prompt, at most


@dataclass(frozen=True, eq=False)
class AttributePairs:
    """Pairs that were judged by one attribute (a capability point), not by overall preference.

    Attributes
    ----------
    name : str
        The attribute.
    chosen, rejected, prompt, category : (n_pairs,) int
        As in the ``PreferencePairs`` that hold them, into whose ``embeddings`` the rows point.
    consistent : (n_pairs,) bool
        Whether the same judge chose the same response when the two were shown in the other order.
    """

    name: str
    chosen: np.ndarray
    rejected: np.ndarray
    prompt: np.ndarray
    category: np.ndarray
    consistent: np.ndarray

    def __post_init__(self) -> None:
        for name in ("chosen", "rejected", "prompt", "category", "consistent"):
            object.__setattr__(self, name, frozen(np.asarray(getattr(self, name))))

    def __reduce__(self) -> tuple[object, ...]:
        return AttributePairs, tuple(getattr(self, column.name) for column in fields(self))

    def __len__(self) -> int:
        return len(self.chosen)


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings of training responses: ``values`` is ``(n_responses, n_attributes)``, larger is better, NaN is missing.

    Its rows are those of the ``embeddings`` of the ``PreferencePairs`` that hold it; ``names`` has one attribute a
    column.
    """

    names: tuple[str, ...]
    values: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", frozen(np.asarray(self.values, dtype=np.float32)))

    def __reduce__(self) -> tuple[object, ...]:
        return Ratings, (self.names, self.values)


@dataclass(frozen=True, eq=False)
class PreferencePairs:
    """What a method is trained on. There is no field for gold rewards, ids or test data.

    Attributes
    ----------
    embeddings : (n_responses, n_features) float32, read-only
        The distinct responses; no vector is stored twice.
    chosen, rejected : (n_pairs,) int
        Rows of ``embeddings``: the better and the worse response of each pair.
    prompt : (n_pairs,) int
        Which prompt a pair belongs to, numbered from 0.
    category : (n_pairs,) int
        The prompt's task group, numbered from 0.
    validation : PreferencePairs or None
        Pairs of the same kind, of other prompts, for early stopping and the choice of hyperparameters.
    attributes : tuple of AttributePairs
        Pairs judged by one attribute each; none where the task has none.
    ratings : Ratings or None
        Ratings of the responses, where the task has them.
    """

    embeddings: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray
    prompt: np.ndarray
    category: np.ndarray
    validation: PreferencePairs | None = None
    attributes: tuple[AttributePairs, ...] = ()
    ratings: Ratings | None = None

    def __post_init__(self) -> None:
        for name in ("embeddings", "chosen", "rejected", "prompt", "category"):
            object.__setattr__(self, name, frozen(np.asarray(getattr(self, name))))

    def __reduce__(self) -> tuple[object, ...]:
        # Unpickled arrays are writable; building the record anew makes them read-only again.
        return PreferencePairs, tuple(getattr(self, column.name) for column in fields(self))

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def n_features(self) -> int:
        """Width of the embeddings."""
        return int(self.embeddings.shape[1])

    def differences(self) -> np.ndarray:
        """Return chosen minus rejected embeddings, ``(n_pairs, n_features)``."""
        return np.asarray(self.embeddings[self.chosen] - self.embeddings[self.rejected])


@dataclass(frozen=True, eq=False)
class Votes:
    """Single ratings of responses by single raters, before any mean is taken; larger is better.

    ``response`` (rows of the pool), ``rater`` and ``value`` are ``(n_votes,)``; raters are numbered from 0.
    """

    response: np.ndarray
    rater: np.ndarray
    value: np.ndarray


@dataclass(frozen=True, eq=False)
class Pool:
    """Prompts with any number of responses each, as columns; no text.

    ``prompt_id``, ``category`` have one row a prompt; ``response_id``, ``generator``, ``length`` and ``gold`` one
    row a response; the responses of prompt ``i`` are the rows ``offsets[i]:offsets[i + 1]``. ``human_pairs`` is
    ``(n_pairs, 2)``, rows of the chosen and the rejected response. ``ratings`` is ``(n_responses, n_attributes)``,
    larger is better, NaN is missing; ``attributes`` names its columns. ``votes`` keeps raters apart, where the source
    does.
    """

    name: str
    prompt_id: np.ndarray
    category: np.ndarray
    categories: tuple[str, ...]
    offsets: np.ndarray
    response_id: np.ndarray
    generator: np.ndarray
    length: np.ndarray
    gold: np.ndarray | None = None
    human_pairs: np.ndarray | None = None
    attributes: tuple[str, ...] = ()
    ratings: np.ndarray | None = None
    votes: Votes | None = None

    @cached_property
    def prompt(self) -> np.ndarray:
        """The prompt of each response, ``(n_responses,)``, numbered from 0."""
        return np.repeat(np.arange(len(self.prompt_id)), np.diff(self.offsets))


@dataclass(frozen=True, eq=False)
class TestSet:
    """What a metric compares rewards with; only the harness holds it.

    ``rows`` are pool rows in pool order; ``offsets`` delimit the prompts within them; ``gold``, ``length`` and
    the pair columns ``chosen``, ``rejected`` (positions in ``rows``) are aligned with them. Pools with gold rewards
    have ``gold`` and no pair columns: every two responses of a prompt with unequal gold are a pair. ``generator`` is
    None where the pool does not tell who wrote what.
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

    @property
    def n_prompts(self) -> int:
        """Number of test prompts, the clusters of every interval."""
        return len(self.prompt_id)

    @cached_property
    def prompt(self) -> np.ndarray:
        """The prompt of each test response, ``(n_responses,)``, numbered from 0."""
        return np.repeat(np.arange(self.n_prompts), np.diff(self.offsets))

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
        chosen, rejected = (np.concatenate(side) for side in zip(*self.pairs(), strict=True))
        order = np.argsort(self.prompt[chosen], kind="stable")
        ends = np.searchsorted(self.prompt[chosen], np.arange(self.n_prompts + 1), sorter=order)
        drawn = [self._ask(i, order[ends[i] : ends[i + 1]]) for i in range(self.n_prompts)]
        picks, flipped = (np.concatenate(side) for side in zip(*drawn, strict=True))
        chosen, rejected = chosen[picks], rejected[picks]
        return AskedPairs(np.where(flipped, rejected, chosen), np.where(flipped, chosen, rejected), ~flipped)

    def _ask(self, prompt: int, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng = seeds.generator(0, "test-pairs", prompt=str(self.prompt_id[prompt]))
        picks = pairs if len(pairs) <= ASKED_PAIRS else np.sort(rng.choice(pairs, ASKED_PAIRS, replace=False))
        return picks, rng.random(len(picks)) < 0.5


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
    """

    rewards: np.ndarray
    uncertainty: np.ndarray | None = None
    probability: np.ndarray | None = None


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
