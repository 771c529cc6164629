"""The fields of cards, what they may be, and tasks with changed fields: ``name[field=value,...]``.

A variant asks the same question of the same test prompts, and is trained on other pairs, labels or embeddings, or is
attacked. All its random streams are those of the plain task: variants meet on common random numbers, and a change of
the annotator, say, moves no pair, no method's seed and no order of test embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rmsuite.annotators import AnnotatorBook
from rmsuite.errors import TaskError, unknown_name
from rmsuite.method import NAME, spell
from rmsuite.pairing import PAIRINGS

if TYPE_CHECKING:
    from rmsuite.tasks import Task

CHANGEABLE = (
    "annotator",
    "base_model",
    "budget",
    "generators",
    "gives",
    "pairing",
    "pairs_per_prompt",
    "probe",
    "train_pool",
)
GIFTS = ("attributes", "ratings")
CHOICES: Mapping[str, tuple[str, ...]] = {"pairing": PAIRINGS, "generators": ("all", "split", "second"), "gives": GIFTS}
WORDS = {str: "text", int: "a whole number of at least 0", list: "a list of texts", dict: "a table"}
FILLED = ("columns", "tasks")  # lists that may not be empty
COUNTED = ("repetitions",)  # whole numbers that may not be 0


def check_field(who: str, name: str, value: Any, kind: type[Any]) -> None:
    """Refuse a value that a field of a card may not have.

    Raises
    ------
    TaskError
        If it is of another kind, or not among the field's choices.
    """
    expected = WORDS[kind]
    right = isinstance(value, kind) and (kind is not int or (type(value) is int and value >= 0))
    right = right and (kind is not list or all(isinstance(one, str) for one in value))
    if name == "name":
        expected, right = "lower-case letters, digits and hyphens", right and bool(NAME.fullmatch(str(value)))
    if name in CHOICES:
        expected = f"{'some' if kind is list else 'one'} of {', '.join(CHOICES[name])}"
        right = right and set(value if kind is list else [value]) <= set(CHOICES[name])
    if name in FILLED + COUNTED:
        expected = "a list of at least one text" if name in FILLED else "a whole number of at least 1"
        right = right and bool(value)
    if not right:
        do = "mend the card" if who.startswith("card") else "mend the brackets"
        raise TaskError(who=who, expected=f"{name} = {expected}", got=repr(value), do=do)


def variant(task: Task, given: Mapping[str, Any]) -> Task:
    """Return a task with changed fields; those that change nothing are left out, so that one variant has one label.

    Raises
    ------
    UnknownNameError
        If there is no such field, or it cannot be changed.
    TaskError
        If a value is none that the field may have.
    """
    for name in given:
        if name not in CHANGEABLE:
            do = f"see `rmsuite info {task.name}`; what else a task is cannot be changed"
            raise unknown_name(f"changed field of task {task.name!r},", name, CHANGEABLE, do)
    who = f"task {task.name!r}"
    values = {name: _read(who, task, name, value) for name, value in given.items()}
    changed = {name: value for name, value in values.items() if value != _read(who, task, name, getattr(task, name))}
    spelled = {name: "+".join(v) or "none" if isinstance(v, tuple) else v for name, v in changed.items()}
    return replace(task, **changed, changes=spell("", spelled, nested=True))


def _read(who: str, task: Task, name: str, value: Any) -> Any:
    """Return a field's value in its one spelling."""
    if name == "gives" and not isinstance(value, tuple):
        value = () if value == "none" else tuple(str(value).split("+"))
    kind = int if name in ("budget", "pairs_per_prompt") else list if name == "gives" else str
    check_field(who, name, list(value) if kind is list else value, kind)
    return SPELLINGS[name](value, task.annotators) if name in SPELLINGS else value


def _label(text: str, annotators: AnnotatorBook) -> str:
    return annotators.annotator(text).label


def _sorted(gifts: Sequence[str], _annotators: AnnotatorBook) -> tuple[str, ...]:
    return tuple(sorted(set(gifts)))


SPELLINGS: Mapping[str, Callable[[Any, AnnotatorBook], Any]] = {"annotator": _label, "gives": _sorted}
