"""The records that hold responses and training pairs; immutable columns, rows with identity."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from rmsuite.arrays import frozen


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
        The distinct responses; no vector is stored twice. More than 256 MiB of them come as they are stored, which
        may be float16, and are mapped from disk: convert the rows that you gather, not the whole.
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
        chosen, rejected = (np.asarray(self.embeddings[rows], np.float32) for rows in (self.chosen, self.rejected))
        return chosen - rejected


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
    does. What decides a prompt's part: its own id, or, one row a prompt, ``split_id``, which prompts of nearly the same
    text share, or ``part``, numbers in ``splits.PARTS``, in a pool that states its split.
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
    split_id: np.ndarray | None = None
    part: np.ndarray | None = None

    @cached_property
    def prompt(self) -> np.ndarray:
        """The prompt of each response, ``(n_responses,)``, numbered from 0."""
        return np.repeat(np.arange(len(self.prompt_id)), np.diff(self.offsets))
