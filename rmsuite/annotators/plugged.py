"""Annotators that plugins offer: the record, and what keeps a stranger's code from moving anything but its answers."""

from __future__ import annotations

import contextlib
import random
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from rmsuite.annotators.base import ABSTAINED, FIRST, SECOND, TIE, ConfiguredAnnotator, Judge, Offered
from rmsuite.data import Votes
from rmsuite.errors import ContractError, PluginError, RmsuiteError, TaskError, UnknownNameError, describe
from rmsuite.method import NAME, all_parameters, parameters_of, parse, spell


@dataclass(frozen=True)
class Annotator:
    """An annotator as a plugin offers it.

    Attributes
    ----------
    name : str
        Lower-case letters, digits and hyphens; unique among all plugins, and none of a built-in annotator.
    make : callable
        Returns a ``Judge``: a callable ``(offered, rng) -> (n_pairs,) int8`` of ``FIRST``, ``SECOND``, ``TIE`` and
        ``ABSTAINED``. Its keyword arguments are the annotator's parameters: texts, numbers and what else a
        specification can say. A fresh judge is made for every set of pairs.
    summary : str
        One line for lists.
    reference : str
        Where it comes from, for instance ``arXiv:2502.04357``.
    decisive : bool
        Whether it never answers ``TIE`` or ``ABSTAINED``; then such an answer is an error.
    """

    name: str
    make: Callable[..., Judge]
    summary: str = ""
    reference: str = ""
    decisive: bool = False

    def __post_init__(self) -> None:
        who = f"Annotator(name={self.name!r})"
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            expected = "lower-case letters, digits and hyphens"
            raise PluginError(who=who, expected=expected, got=repr(self.name), do="rename the annotator")
        if not callable(self.make):
            do = "give a class whose objects can be called, or a function that returns a judge"
            raise PluginError(who=who, expected="a callable `make`", got=repr(self.make), do=do)

    def defaults(self) -> dict[str, Any]:
        """Return the parameters with their defaults; a parameter without one is given as ``...``."""
        return parameters_of(self.make)


@dataclass(frozen=True)
class Plugged:
    """An annotator together with its plugin: name, origin, what results say of its source, and its code's sha256."""

    annotator: Annotator
    plugin: str
    origin: str
    source: str
    code: str

    def configured(self, parameters: Mapping[str, Any]) -> ConfiguredAnnotator:
        """Return the annotator with its parameters.

        Raises
        ------
        UnknownNameError
            If it has no such parameter.
        TaskError
            If one that it requires is not given, or it refuses one.
        ContractError
            If what it makes cannot be called.
        """
        values = self._values(parameters)
        label = spell(self.annotator.name, values, nested=True)
        who = f"annotator {label!r} of plugin {self.plugin!r} ({self.origin})"
        _speakable(who, label, values)
        judging = _Judging(who, self.annotator, values)
        judging.made()  # refuses parameters now, not in the midst of a run
        return ConfiguredAnnotator(label, judging, self.annotator.decisive, self.source, self.code)

    def _values(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        name, defaults = self.annotator.name, self.annotator.defaults()
        return {**defaults, **all_parameters("annotator", name, defaults, parameters, TaskError)}


def _speakable(who: str, label: str, values: Mapping[str, Any]) -> None:
    """Refuse parameters that a label cannot say: it stands for the annotator in signatures and is read back."""
    try:
        said = parse(label)[1]
    except UnknownNameError:
        said = {}
    if said != values or "|" in label or not label.isprintable():
        do = "give such values, also as defaults"
        expected, got = "parameters that can be written: texts without '|', numbers, truth values", repr(dict(values))
        raise TaskError(who=who, expected=expected, got=got, do=do)


@dataclass(frozen=True)
class _Judging:
    """Asks a fresh judge, on copies of what is offered, and checks what it answers."""

    who: str
    annotator: Annotator
    values: Mapping[str, Any]

    def __call__(self, offered: Offered, rng: np.random.Generator) -> np.ndarray:
        judge = self.made()
        answers = self._undisturbed(lambda: judge(_copied(offered), rng))
        return self._checked(answers, len(offered))

    def made(self) -> Judge:
        """Return a fresh judge."""
        judge = self._undisturbed(lambda: self.annotator.make(**self.values))
        if not callable(judge):
            expected, do = "a callable (offered, rng) -> answers", "return a function, or an object with __call__"
            raise ContractError(who=f"make of {self.who}", expected=expected, got=repr(judge), do=do)
        return judge

    def _undisturbed(self, call: Callable[[], Any]) -> Any:
        """Call a stranger's code; its failure is an error that names it, and global random states stay as they are.

        What it prints goes to standard error: standard output is for tables, which programs read.
        """
        before = _global_states()
        try:
            with contextlib.redirect_stdout(sys.stderr):
                returned = call()
        except RmsuiteError:
            raise
        except (Exception, SystemExit) as error:
            do = "mend the plugin, or change the annotator's parameters"
            got = f"{describe(error)} ({_place(error)})"
            raise ContractError(who=self.who, expected="answers", got=got, do=do) from error
        finally:
            moved = _restore(before)
        if moved:
            expected, got = "draws from the rng that it is handed", "draws from a global random state"
            do = "use rng only: nobody could draw the same labels again"
            raise ContractError(who=self.who, expected=expected, got=got, do=do)
        return returned

    def _checked(self, answers: Any, n: int) -> np.ndarray:
        known = (FIRST, SECOND) if self.annotator.decisive else (FIRST, SECOND, TIE, ABSTAINED)
        tests = {
            "a numpy array": (type(answers), isinstance(answers, np.ndarray)),
            f"shape ({n},)": (getattr(answers, "shape", None), getattr(answers, "shape", None) == (n,)),
            "int8": (getattr(answers, "dtype", None), getattr(answers, "dtype", None) == np.int8),
            f"answers of {known}": (_others(answers, known), not _others(answers, known)),
        }
        for expected, (got, right) in tests.items():
            if not right:
                do = "return one of FIRST, SECOND, TIE, ABSTAINED a pair (the first two if decisive), as int8"
                raise ContractError(who=self.who, expected=expected, got=str(got), do=do)
        return np.array(answers)


def _others(answers: Any, known: tuple[int, ...]) -> list[Any]:
    values = np.unique(answers) if isinstance(answers, np.ndarray) and answers.dtype == np.int8 else np.array([])
    return [value.item() for value in values if value not in known]


def _copied(offered: Offered) -> Offered:
    """Return pairs in read-only arrays of their own; even who makes one writeable changes nobody else's."""
    margin, length, response = map(_read_only, (offered.margin, offered.length, offered.response))
    votes = offered.votes and Votes(*(_read_only(getattr(offered.votes, one.name)) for one in fields(Votes)))
    return Offered(margin, offered.scale, length, response, votes)


def _read_only(array: np.ndarray) -> np.ndarray:
    copy = np.array(array)
    copy.flags.writeable = False
    return copy


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}"


def _global_states() -> tuple[Any, dict[str, Any]]:
    return random.getstate(), dict(np.random.get_state(legacy=False))  # noqa: NPY002 -- it is what is guarded


def _restore(before: tuple[Any, dict[str, Any]]) -> bool:
    """Set the global random states back; return whether they had moved."""
    after = _global_states()
    random.setstate(before[0])
    np.random.set_state(before[1])  # noqa: NPY002
    return before[0] != after[0] or not _same(before[1], after[1])


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return all(_same(one[key], other[key]) for key in one)
    return bool(np.all(one == other))
