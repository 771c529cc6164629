"""The records that hold responses, pairs and test sets; immutable columns, rows with identity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rmsuite.arrays import frozen


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
    """

    embeddings: np.ndarray
    chosen: np.ndarray
    rejected: np.ndarray
    prompt: np.ndarray
    category: np.ndarray
    validation: PreferencePairs | None = None

    def __post_init__(self) -> None:
        for name in ("embeddings", "chosen", "rejected", "prompt", "category"):
            object.__setattr__(self, name, frozen(np.asarray(getattr(self, name))))

    def __reduce__(self) -> tuple[object, ...]:
        # Unpickled arrays are writable; building the record anew makes them read-only again.
        columns = (self.embeddings, self.chosen, self.rejected, self.prompt, self.category, self.validation)
        return PreferencePairs, columns

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
class Pool:
    """Prompts with any number of responses each, as columns; no text.

    ``prompt_id``, ``category`` have one row a prompt; ``response_id``, ``generator``, ``length`` and ``gold`` one
    row a response; the responses of prompt ``i`` are the rows ``offsets[i]:offsets[i + 1]``. ``human_pairs`` is
    ``(n_pairs, 2)``, rows of the chosen and the rejected response.
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

    @cached_property
    def prompt(self) -> np.ndarray:
        """The prompt of each response, ``(n_responses,)``, numbered from 0."""
        return np.repeat(np.arange(len(self.prompt_id)), np.diff(self.offsets))


@dataclass(frozen=True, eq=False)
class TestSet:
    """What a metric compares rewards with; only the harness holds it.

    ``rows`` are pool rows in pool order; ``offsets`` delimit the prompts within them; ``gold``, ``length`` and
    the pair columns ``chosen``, ``rejected`` (positions in ``rows``) are aligned with them. Pools with gold rewards
    have ``gold`` and no pair columns: every two responses of a prompt with unequal gold are a pair.
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

    @property
    def n_prompts(self) -> int:
        """Number of test prompts, the clusters of every interval."""
        return len(self.prompt_id)

    @cached_property
    def prompt(self) -> np.ndarray:
        """The prompt of each test response, ``(n_responses,)``, numbered from 0."""
        return np.repeat(np.arange(self.n_prompts), np.diff(self.offsets))


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
    return TestSet(pool.prompt_id[prompts], pool.category[prompts], rows, offsets, pool.length[rows], **columns)


test_set.__test__ = False  # type: ignore[attr-defined]  # a name that pytest must not collect
