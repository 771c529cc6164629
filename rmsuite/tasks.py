"""Task and suite cards: what is asked, on which pool, embeddings, annotator and budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rmsuite.annotators import Annotator, annotator
from rmsuite.data import Pool, TestSet, test_set
from rmsuite.errors import TaskError, unknown_name
from rmsuite.method import NAME
from rmsuite.pools import EmbeddingSet, load_embeddings, load_pool, read_card
from rmsuite.splits import FRACTIONS, PARTS, part_of

HEADLINE = "pair-accuracy"
TYPES: Mapping[str, type[Any]] = {"str": str, "int": int, "tuple[str, ...]": list, "Path": Path}  # of a card's fields


@dataclass(frozen=True)
class Task:
    """A task's card. ``root`` is the folder that holds the cards and the pools.

    ``pairs_per_prompt`` is the budget of training pairs a prompt, 0 for all. ``columns`` are the metrics that a table
    shows.
    """

    name: str
    version: int
    question: str
    pool: str
    base_model: str
    annotator: str
    pairs_per_prompt: int
    columns: tuple[str, ...]
    root: Path

    @property
    def label(self) -> str:
        """Name and version, as signatures and tables have it."""
        return f"{self.name}@{self.version}"

    @property
    def pool_folder(self) -> Path:
        """Where the pool's files lie."""
        return self.root / "pools" / self.pool

    def load(self) -> LoadedTask:
        """Read and verify the pool and the embedding set.

        Raises
        ------
        TaskError
            If a file is not what its card says.
        """
        pool, digest = load_pool(self.pool_folder)
        return LoadedTask(
            card=self,
            pool=pool,
            pool_digest=digest,
            pool_card=read_card(self.pool_folder / "pool.toml"),
            embeddings=load_embeddings(self.pool_folder, self.base_model, len(pool.response_id)),
            annotator=annotator(self.annotator),
        )


@dataclass(frozen=True, eq=False)
class LoadedTask:
    """A task with its data in memory (embeddings mapped); gold included, so only the harness holds it."""

    card: Task
    pool: Pool
    pool_digest: str
    pool_card: Mapping[str, Any]
    embeddings: EmbeddingSet
    annotator: Annotator

    @cached_property
    def parts(self) -> dict[str, np.ndarray]:
        """The prompts (positions in the pool) of each part."""
        part = part_of(self.pool.prompt_id, FRACTIONS)
        parts = {name: np.flatnonzero(part == name) for name in PARTS}
        for name, prompts in parts.items():
            if not len(prompts):
                who, expected = f"task {self.card.label}", f"prompts in its {name} part"
                raise TaskError(who=who, expected=expected, got="none", do="choose a pool with more prompts")
        return parts

    @cached_property
    def test(self) -> TestSet:
        """The test part, the same in every repetition."""
        return test_set(self.pool, self.parts["test"])

    def signature(self) -> dict[str, str]:
        """Return the parts of the signature that the task decides."""
        split = "/".join(f"{FRACTIONS[part]:g}" for part in PARTS)
        return {
            "task": self.card.label,
            "pool": f"{self.pool.name}#{self.pool_digest[:12]}",
            "embeddings": f"{self.embeddings.base_model}#{self.embeddings.digest[:12]}",
            "split": f"prompt-hash-1({split})",
            "annotator": self.annotator.label,
            "pairs": f"within-prompt({self.card.pairs_per_prompt or 'all'})",
        }


@dataclass(frozen=True)
class Suite:
    """A named list of tasks with the number of repetitions."""

    name: str
    summary: str
    tasks: tuple[str, ...]
    repetitions: int


@dataclass(frozen=True)
class TaskBook:
    """All task and suite cards at hand."""

    tasks: Mapping[str, Task]
    suites: Mapping[str, Suite]

    def task(self, name: str) -> Task:
        """Return the task of that name (or label, as tables print it), or raise ``UnknownNameError``."""
        labels = {task.label: task for task in self.tasks.values()}
        if name not in self.tasks and name not in labels:
            raise unknown_name("task", name, self.tasks, "see `rmsuite list tasks`")
        return self.tasks.get(name) or labels[name]

    def suite(self, name: str) -> Suite:
        """Return the suite of that name, or raise ``UnknownNameError``."""
        if name not in self.suites:
            raise unknown_name("suite", name, self.suites, "see `rmsuite list suites`")
        return self.suites[name]


def read_book(roots: Iterable[Path]) -> TaskBook:
    """Read the cards ``tasks/*.toml`` and ``suites/*.toml`` of each root.

    Raises
    ------
    TaskError
        If a card is malformed, or two cards have one name.
    """
    tasks: dict[str, Task] = {}
    suites: dict[str, Suite] = {}
    for root in roots:
        for path in sorted((root / "tasks").glob("*.toml")):
            _add(tasks, _record(Task, {**read_card(path), "root": root}, path), path)
        for path in sorted((root / "suites").glob("*.toml")):
            _add(suites, _record(Suite, read_card(path), path), path)
    return TaskBook(tasks, suites)


def _record(kind: type, card: dict[str, Any], path: Path) -> Any:
    expected = [f.name for f in fields(kind)]
    if set(card) != set(expected):
        got = f"without {sorted(set(expected) - set(card))}, unknown {sorted(set(card) - set(expected))}"
        raise TaskError(who=f"card {path}", expected=f"the fields {', '.join(expected)}", got=got, do="mend the card")
    for field in fields(kind):
        _check_field(field.name, card[field.name], TYPES[str(field.type)], path)
    return kind(**{key: _tuple(value) for key, value in card.items()})


def _check_field(name: str, value: Any, kind: type[Any], path: Path) -> None:
    expected = {str: "text", int: "a whole number of at least 0", list: "a list", Path: "a path"}[kind]
    right = isinstance(value, kind) and (kind is not int or value >= 0)
    if name == "name":
        expected, right = "lower-case letters, digits and hyphens", right and bool(NAME.fullmatch(str(value)))
    if not right:
        raise TaskError(who=f"card {path}", expected=f"{name} = {expected}", got=repr(value), do="mend the card")


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _add(book: dict[str, Any], item: Any, path: Path) -> None:
    if item.name in book:
        raise TaskError(who=f"card {path}", expected="a new name", got=f"{item.name!r} again", do="rename one of them")
    book[item.name] = item
