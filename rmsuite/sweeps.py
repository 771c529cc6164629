"""Studies over the values of one parameter of a task: ``task.budget=1000,2000`` or ``annotator.rate=0,0.2,0.4``."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rmsuite.book import Suite, TaskBook
from rmsuite.errors import RmsuiteError, TaskError, on_behalf_of
from rmsuite.method import parse, spell
from rmsuite.tasks import Task

OF_TASK, OF_ANNOTATOR = "task.", "annotator."


@dataclass(frozen=True)
class Study:
    """A task at each value of one of its parameters, or of its annotator's; a single task has no parameter.

    Attributes
    ----------
    name : str
        Of all variants together: their label, with ``*`` for the value.
    tasks : mapping
        The task at each value, rising.
    """

    name: str
    parameter: str
    tasks: Mapping[float, Task]


def is_of_task(over: str) -> bool:
    """Whether the parameter that ``NAME=A,B,...`` names is one of tasks, not of methods."""
    return over.strip().startswith((OF_TASK, OF_ANNOTATOR))


def read_over(text: str, who: str = "--over") -> tuple[str, tuple[float, ...]]:
    """Return the name and the values, rising, that ``NAME=A,B,...`` lists.

    Raises
    ------
    RmsuiteError
        If there are fewer than two finite numbers.
    """
    name, _, listed = (part.strip() for part in text.partition("="))
    values = tuple(sorted({_number(one.strip()) for one in listed.split(",")} if listed else ()))
    if not name or len(values) < 2 or not all(map(math.isfinite, values)):
        raise RmsuiteError(
            who=f"{who} {text}",
            expected="a parameter and at least two unequal numbers",
            got=repr(text),
            do="write it as in --over labels=100,200,400",
        )
    return name, values


def _number(text: str) -> float:
    """Return a number as it is written, whole or not; NaN for anything else."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return math.nan
    return value if type(value) in (int, float) else math.nan


def study(book: TaskBook, text: str, over: str) -> Study:
    """Return the variants of a task over ``task.NAME=A,B,...`` or ``annotator.NAME=A,B,...``.

    Raises
    ------
    RmsuiteError
        If there are fewer than two numbers, or the task's brackets give the field too.
    UnknownNameError
        If there is no such task or field.
    TaskError
        If the annotator has no such parameter, or a value is none that it may have.
    """
    parameter, values = read_over(over)
    task, (name, given) = book.task(text), parse(text)
    field, _, inner = parameter.removeprefix(OF_TASK).partition(".")
    annotator, parameters = parse(task.annotator)

    def changed(at: float | str) -> dict[str, Any]:
        value = spell(annotator, {**parameters, inner: at}, nested=True) if inner else at
        return {**given, field: value}

    if field in given and not inner:
        got, do = f"{field} in {text!r} too", "leave it out of the brackets"
        raise RmsuiteError(who=f"--over {over}", expected=f"{field} in --over only", got=got, do=do)
    tasks = {at: book.task(spell(name, changed(at), nested=True)) for at in values}
    canonical = {key: getattr(tasks[values[0]], key) for key in given if key not in (field, "gives")}
    return Study(spell(task.plain_label, {**changed("*"), **canonical}, nested=True), parameter, tasks)


def studies(book: TaskBook, suite: Suite) -> list[Study]:
    """Return what a suite is of: each of its tasks alone, or over the values that the card gives for it.

    Raises
    ------
    TaskError
        If the card does not say for each task, or for none, over what it goes.
    """
    if suite.over and len(suite.over) != len(suite.tasks):
        expected, got = f"over = {len(suite.tasks)} texts, one a task ('' for none)", str(len(suite.over))
        raise TaskError(who=f"suite {suite.name!r}", expected=expected, got=got, do="mend the card")
    pairs = zip(suite.tasks, suite.over or [""] * len(suite.tasks), strict=True)
    with on_behalf_of(f"suite {suite.name!r}"):
        return [study(book, text, over) if over else _alone(book.task(text)) for text, over in pairs]


def _alone(task: Task) -> Study:
    return Study(task.label, "", {0: task})


def tasks_of(found: Sequence[Study]) -> list[Task]:
    """Return the tasks of some studies, each once."""
    return list({task.label: task for one in found for task in one.tasks.values()}.values())
