"""The contract of a reward-model method, and the record by which a plugin offers one."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeGuard, runtime_checkable

import numpy as np

from rmsuite.data import PreferencePairs
from rmsuite.errors import PluginError, RmsuiteError, UnknownNameError, unknown_name

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")

_being_made: ContextVar[tuple[str, ...]] = ContextVar("labels of the methods that are being made", default=())


@runtime_checkable
class RewardModel(Protocol):
    """A reward model on embeddings. A fresh object is made for every fit."""

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Learn from ``pairs``; draw all randomness from ``rng``; return ``self``."""
        ...

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the rewards of ``(n, n_features)`` embeddings: ``(n,)``, finite, larger is better, row by row."""
        ...


@runtime_checkable
class PreferenceProbability(Protocol):
    """What a reward model may offer beside rewards: how probable it is that one response is preferred to another.

    It is asked when it has returned all rewards; ``first`` and ``second`` are rows of ``embeddings``.
    """

    def probability(self, embeddings: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return P(first is preferred), ``(n_pairs,)`` in [0, 1]; exchanging the two gives 1 minus it."""
        ...


@runtime_checkable
class RewardUncertainty(Protocol):
    """What a reward model may offer beside rewards: how sure it is of each."""

    def uncertainty(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the standard deviation of each reward, ``(n,)``, at least 0, on the scale of the rewards."""
        ...


@runtime_checkable
class MemberRewards(Protocol):
    """What a reward model that combines several may offer beside rewards: what each of them gives."""

    def member_rewards(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the rewards of each member, ``(n_members, n)``, on one scale with one origin."""
        ...


def states_probability(model: object) -> TypeGuard[PreferenceProbability]:
    """Whether a model offers probabilities: by a method, not by an attribute that has that name."""
    return isinstance(model, PreferenceProbability) and callable(model.probability)


def states_uncertainty(model: object) -> TypeGuard[RewardUncertainty]:
    """Whether a model offers uncertainties: by a method, not by an attribute that has that name."""
    return isinstance(model, RewardUncertainty) and callable(model.uncertainty)


def states_members(model: object) -> TypeGuard[MemberRewards]:
    """Whether a model offers rewards of members: by a method, not by an attribute that has that name."""
    return isinstance(model, MemberRewards) and callable(model.member_rewards)


@dataclass(frozen=True)
class Method:
    """A reward-model method as a plugin offers it.

    Attributes
    ----------
    name : str
        Lower-case letters, digits and hyphens; unique among all plugins.
    make : callable
        Returns a fresh, unfitted ``RewardModel``; its keyword arguments are the method's parameters.
    summary : str
        One line for lists.
    reference : str
        Where it comes from, for instance ``arXiv:2502.04357``.
    """

    name: str
    make: Callable[..., RewardModel]
    summary: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        who = f"Method(name={self.name!r})"
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            expected = "lower-case letters, digits and hyphens"
            raise PluginError(who=who, expected=expected, got=repr(self.name), do="rename the method")
        if not callable(self.make):
            do = "give the class itself, or a function that returns a fresh model"
            raise PluginError(who=who, expected="a callable `make`", got=repr(self.make), do=do)

    def defaults(self) -> dict[str, Any]:
        """Return the parameters with their defaults; a parameter without one is given as ``...``."""
        return parameters_of(self.make)


def parameters_of(make: Callable[..., object]) -> dict[str, Any]:
    """Return the parameters of a callable with their defaults; a parameter without one is given as ``...``."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:  # a builtin without a signature: nobody knows its parameters
        return {}
    named = [p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    return {p.name: ... if p.default is p.empty else p.default for p in named}


@dataclass(frozen=True)
class Configured:
    """A method with the parameters that a run gives it; what a table's row stands for."""

    method: Method
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name with the parameters that differ from the defaults, in one canonical spelling."""
        return spell(self.method.name, self.parameters)

    def settings(self) -> dict[str, Any]:
        """Return every parameter with the value that a run gives it."""
        return {**self.method.defaults(), **self.parameters}

    def make(self) -> RewardModel:
        """Return a fresh, unfitted model.

        Raises
        ------
        PluginError
            If making it asks, directly or by way of other methods, for itself to be made first.
        """
        outer = _being_made.get()
        if self.label in outer:
            got = " over ".join([*outer[outer.index(self.label) :], self.label])
            do = "give it another method to be built over"
            raise PluginError(who=f"method {self.label!r}", expected="a base other than itself", got=got, do=do)
        token = _being_made.set((*outer, self.label))
        try:
            return self.method.make(**self.parameters)
        finally:
            _being_made.reset(token)


def spell(name: str, parameters: Mapping[str, Any], *, nested: bool = False) -> str:
    """Write a name and parameters the way that ``parse`` reads them.

    With ``nested``, a value that is itself a specification goes without quotes, as tasks and annotators have it; names
    of methods keep the quotes, for theirs are in results.

    Examples
    --------
    >>> spell("bt-mlp", {"hidden": 128, "epochs": 5})
    'bt-mlp[epochs=5,hidden=128]'
    >>> spell("majority", {"of": "flip[rate=0.3]", "k": 5}, nested=True)
    'majority[k=5,of=flip[rate=0.3]]'
    """
    bare = {key for key, value in parameters.items() if nested and _is_specification(value)}
    spelled = {key: value if key in bare else _spelled(value) for key, value in parameters.items()}
    inside = ",".join(f"{key}={spelled[key]}" for key in sorted(parameters))
    return f"{name}[{inside}]" if inside else name


def _is_specification(value: Any) -> bool:
    """Whether a text is a specification with parameters, in the one spelling that it reads back as."""
    if not isinstance(value, str) or not value.endswith("]") or _literal(value) != value:
        return False
    try:
        return spell(*parse(value), nested=True) == value
    except UnknownNameError:
        return False


def _spelled(value: Any) -> str:
    # A string goes without quotes where it reads back as itself.
    plain = not isinstance(value, str) or (re.fullmatch(r"[^\s,='\"()\[\]{}]+", value) and _literal(value) == value)
    return str(value) if plain else repr(value)


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Read ``name[key=value,...]``; a value is a Python literal, or else a string.

    Raises
    ------
    UnknownNameError
        If the brackets do not close, an entry has no ``=``, or a key is there twice.

    Examples
    --------
    >>> parse("bt-mlp[hidden=128,sizes=(2, 3),rule=uwo]")
    ('bt-mlp', {'hidden': 128, 'sizes': (2, 3), 'rule': 'uwo'})
    """
    match = re.fullmatch(r"\s*([^\[\]\s]+)\s*(?:\[(.*)\])?\s*", text)
    entries = [entry.partition("=") for entry in _top_level(match[2] or "")] if match else []
    keys = {key.strip() for key, equals, _ in entries if equals}
    if not match or "" in keys or len(keys) < len(entries):
        raise UnknownNameError(
            who=f"specification {text!r}",
            expected="name or name[key=value,...], each key once",
            got=repr(text),
            do="quote it for the shell and close the brackets, as in 'mine[hidden=128]'",
        )
    return match[1], {key.strip(): _literal(value.strip()) for key, _, value in entries}


def _top_level(inside: str) -> list[str]:
    # Commas within quotes, brackets or parentheses belong to a value: sizes=(2, 3).
    entries, depth = [""], 0
    for piece in re.findall(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|.", inside):
        depth += (piece in "([{") - (piece in ")]}")
        if depth < 0:
            break
        if piece == "," and depth == 0:
            entries.append("")
        else:
            entries[-1] += piece
    return [entry for entry in entries if entry.strip()] if depth == 0 else [""]  # an entry that is none


def _literal(value: str) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError):
        return float(value) if value in ("inf", "-inf", "nan") else value


def configure(method: Method, parameters: Mapping[str, Any]) -> Configured:
    """Bind parameters to a method; those equal to their default are left out, so that one setting has one label.

    Raises
    ------
    UnknownNameError
        If the method has no such parameter.
    """
    do = f"see `rmsuite info {method.name}`"
    return Configured(method, chosen_parameters(f"method {method.name!r}", do, method.defaults(), parameters))


def chosen_parameters(
    owner: str, do: str, defaults: Mapping[str, Any], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters that differ from their defaults, or raise ``UnknownNameError`` for one that is none."""
    for name in parameters:
        if name not in defaults:
            raise unknown_name(f"parameter of {owner},", name, defaults, do)
    given = {name: _like(defaults[name], value) for name, value in parameters.items()}
    return {k: v for k, v in given.items() if not (type(defaults[k]) is type(v) and defaults[k] == v)}


def all_parameters(
    kind: str, name: str, defaults: Mapping[str, Any], parameters: Mapping[str, Any], error: type[RmsuiteError]
) -> dict[str, Any]:
    """Return the parameters that differ from their defaults, as ``chosen_parameters``; raise for a required one."""
    changed = chosen_parameters(f"{kind} {name!r}", f"see `rmsuite info {name}`", defaults, parameters)
    missing = [key for key, value in defaults.items() if value is ... and key not in changed]
    if missing:
        do = f"write '{name}[{','.join(f'{key}=...' for key in missing)}]'"
        raise error(who=f"{kind} {name!r}", expected=f"the parameter {missing[0]}", got="none", do=do)
    return changed


def _like(default: Any, value: Any) -> Any:
    # 1 for a default of 0.5 is 1.0, and true for one of False is True: one setting, one label.
    if type(default) is bool and value in ("true", "false"):
        return value == "true"
    return float(value) if type(default) is float and type(value) is int else value
