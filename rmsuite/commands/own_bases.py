"""``rmsuite base-models --method NAME``: methods on variants of a task that differ in the base model only."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from rmsuite.book import TaskBook
from rmsuite.choice import reading
from rmsuite.choice.embedded import Embedded, Related, of_card, related
from rmsuite.commands import planning
from rmsuite.errors import InputError, RmsuiteError, unknown_name
from rmsuite.method import parse, spell
from rmsuite.reports.base_models import PARAMETER
from rmsuite.reports.base_records import BaseStudy
from rmsuite.reports.comparison import prompts
from rmsuite.sources import embedding_card
from rmsuite.tasks import Task
from rmsuite.variants import CHANGEABLE


def studies(book: TaskBook, options: Namespace) -> list[BaseStudy]:
    """Return the studies among the tasks that the options name, or those of the suite.

    Raises
    ------
    RmsuiteError
        If a task stands alone, with one base model.
    UnknownNameError
        If a default is not among the base models.
    InputError
        If a file of stages cannot be read, or names what is not there.
    """
    groups: dict[tuple[object, ...], list[Task]] = {}
    for task in planning.asked_tasks(book, options):
        same = tuple(getattr(task, name) for name in CHANGEABLE if name != PARAMETER)
        groups.setdefault((task.plain_label, *same), []).append(task)
    found = [_study(book, group, options) for group in groups.values()]
    known = {base for one in found for base in one.tasks}
    for step in _stages(options.results):  # a misspelt one is refused before anything is run
        if not {step.first, step.second} <= known or step.first == step.second:
            expected = f"two of {', '.join(sorted(known))}"
            got = f"{step.first} and {step.second}"
            raise InputError(who=f"stages {options.results}", expected=expected, got=got, do="check the names")
    return found


def _study(book: TaskBook, group: Sequence[Task], options: Namespace) -> BaseStudy:
    plain = _plain(book, group[0])
    if len(group) < 2:
        do = f"add variants, as in '{plain.name}[{PARAMETER}=NAME]', or give a --suite that has some"
        raise RmsuiteError(who=f"base models of {plain.label}", expected="two or more", got=group[0].base_model, do=do)
    ordered = sorted(group, key=lambda task: task.base_model)
    sets = {task.base_model: _embedded(task) for task in ordered}
    loaded = group[0].load()
    return BaseStudy(
        plain.label,
        {task.base_model: task.label for task in ordered},
        _defaults(plain, sets, options.default),
        sets,
        tuple(dict.fromkeys([*related(list(sets.values())), *_stages(options.results)])),
        prompts(loaded.test, loaded.pool.categories),
    )


def _plain(book: TaskBook, task: Task) -> Task:
    name, given = parse(task.label)
    return book.task(spell(name, {key: value for key, value in given.items() if key != PARAMETER}, nested=True))


def _embedded(task: Task) -> Embedded:
    return of_card(task.base_model, embedding_card(task.root, task.pool, task.base_model))


def _defaults(plain: Task, sets: dict[str, Embedded], asked: Sequence[str] | None) -> tuple[str, ...]:
    """Return the defaults that are asked for, else the base model of the card, if it is one of the study."""
    for name in asked or ():
        if name not in sets:
            raise unknown_name("default base model", name, sets, f"name a base model of the study of {plain.label}")
    return tuple(asked) if asked is not None else tuple(name for name in [plain.base_model] if name in sets)


def _stages(path: str | None) -> list[Related]:
    """Return the pairs that a file names: columns model, after (what it was trained from), and stage."""
    if path is None:
        return []
    lines = [line for line in reading.read_lines(Path(path)) if line["after"]]
    if not lines:
        do = "say in a column after which base model each one was trained from"
        raise InputError(who=f"stages {path}", expected="a column after", got="none, or no text in it", do=do)
    return [Related(one["model"], one["after"], f"stage: {one['stage'] or 'trained further'}") for one in lines]
