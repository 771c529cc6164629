"""Read the cards of tasks and suites, and find them by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from rmsuite.annotators import BUILT_IN, AnnotatorBook
from rmsuite.errors import TaskError, unknown_name
from rmsuite.method import parse
from rmsuite.pools import read_card
from rmsuite.tasks import Task
from rmsuite.variants import check_field, variant

TYPES: Mapping[str, type[Any]] = {  # of a card's fields
    "str": str,
    "int": int,
    "tuple[str, ...]": list,
    "Mapping[str, Any]": dict,
}


@dataclass(frozen=True)
class Suite:
    """A named list of tasks, variants among them, with the number of repetitions.

    ``over`` has for each task, or for none, the parameter and the values of a study (``sweeps.study``), "" for none;
    ``study`` what the suite says of policies (``policy_suites``).
    """

    name: str
    summary: str
    tasks: tuple[str, ...]
    repetitions: int
    over: tuple[str, ...] = ()
    study: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class TaskBook:
    """All task and suite cards at hand."""

    tasks: Mapping[str, Task]
    suites: Mapping[str, Suite]

    def task(self, text: str) -> Task:
        """Return the task of that name (or label, as tables print it), with fields changed as its brackets say.

        Raises
        ------
        UnknownNameError
            If there is no such task, or it has no such field that can be changed.
        TaskError
            If a field cannot have such a value.
        """
        name, changes = parse(text)
        labels = {task.label: task for task in self.tasks.values()}
        if name not in self.tasks and name not in labels:
            raise unknown_name("task", name, self.tasks, "see `rmsuite list tasks`")
        return variant(self.tasks.get(name) or labels[name], changes)

    def suite(self, name: str) -> Suite:
        """Return the suite of that name, or raise ``UnknownNameError``."""
        if name not in self.suites:
            raise unknown_name("suite", name, self.suites, "see `rmsuite list suites`")
        return self.suites[name]


def read_book(roots: Iterable[Path], annotators: AnnotatorBook = BUILT_IN) -> TaskBook:
    """Read the cards ``tasks/*.toml`` and ``suites/*.toml`` of each root; ``annotators`` are those that they may name.

    Raises
    ------
    TaskError
        If a card is malformed, or two cards have one name.
    """
    tasks: dict[str, Task] = {}
    suites: dict[str, Suite] = {}
    for root in roots:
        for path in sorted((root / "tasks").glob("*.toml")):
            _add(tasks, _record(Task, read_card(path), path, root=root, annotators=annotators), path)
        for path in sorted((root / "suites").glob("*.toml")):
            _add(suites, _record(Suite, read_card(path), path), path)
    _successors_exist(tasks)
    return TaskBook(tasks, suites)


def _successors_exist(tasks: Mapping[str, Task]) -> None:
    labels = {task.label for task in tasks.values()}
    for task in tasks.values():
        if task.superseded_by not in {"", *labels} - {task.label}:
            who, expected = f"task {task.label}", "superseded_by = the label of another task that exists"
            raise TaskError(who=who, expected=expected, got=repr(task.superseded_by), do="mend the card")


def _record(kind: type, card: dict[str, Any], path: Path, **given: Any) -> Any:
    known = [field for field in fields(kind) if field.name not in ("changes", *given)]
    needed = {field.name for field in known if field.default is MISSING and field.default_factory is MISSING}
    if not needed <= set(card) <= {field.name for field in known}:
        expected = f"the fields {', '.join(field.name for field in known if field.name in needed)}"
        got = f"without {sorted(needed - set(card))}, unknown {sorted(set(card) - {field.name for field in known})}"
        raise TaskError(who=f"card {path}", expected=expected, got=got, do="mend the card")
    for field in known:
        if field.name in card:
            check_field(f"card {path}", field.name, card[field.name], TYPES[str(field.type)])
    return kind(**{key: _tuple(value) for key, value in card.items()}, **given)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _add(book: dict[str, Any], item: Any, path: Path) -> None:
    if item.name in book:
        raise TaskError(who=f"card {path}", expected="a new name", got=f"{item.name!r} again", do="rename one of them")
    book[item.name] = item
