"""What a suite's card says of policies: which are trained, and what claims of papers they are held against.

The card's table ``study`` has ``runs``, each with ``methods``, ``optimizers`` and ``betas``. It may have how all are
trained (``TRAINING``), and ``claims``, as ``Claim`` has them. A term of these is ``[weight, method, curve, task]``:
``study.curves`` has the curve by its name (``optimizers``, and ``beta`` if it is not 0), ``study.tasks`` the task by
its name in claims::

    [study]
    runs = [{ methods = ["bt-mlp"], optimizers = ["ppo"], betas = [0.0] }]
    tasks = { clean = "alpaca-eval-gold" }
    curves = { ppo = { optimizers = ["ppo"] } }

    [[study.claims]]
    id = "R1"
    source = "arXiv:2310.02743"
    says = "gold falls before the end of PPO"
    of = "drop"
    terms = [[1.0, "bt-mlp", "ppo", "clean"]]
    above = 0.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rmsuite.book import Suite, TaskBook
from rmsuite.errors import TaskError, on_behalf_of, unknown_name

TRAINING = {"steps": int, "prompts": int, "learning_rate": float, "hidden": int, "policies": int}
OF = ("gain", "drop", "correlation")
BOUNDS = ("above", "below", "within")


@dataclass(frozen=True)
class Runs:
    """Labels of methods and optimizers, and betas, that are crossed with each other and with the suite's tasks."""

    methods: tuple[str, ...]
    optimizers: tuple[str, ...]
    betas: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """Ever more optimisation: closed forms in their order, or the path of one optimizer, trained with ``beta``."""

    optimizers: tuple[str, ...]
    beta: float


@dataclass(frozen=True)
class Term:
    """One curve of one method on one task, and what it counts in a claim."""

    weight: float
    method: str
    curve: Curve
    task: str


@dataclass(frozen=True)
class Claim:
    """A statement about a sum of terms that results can support or not.

    Attributes
    ----------
    id, says, source : str
        As others name it; in words; the paper, for instance ``arXiv:2310.02743``.
    of : "gain", "drop" or "correlation"
        What is taken of each term's curve: gold gain over the reference at its end; by how much its best earlier point
        is above its end; the rank correlation, over repetitions, of the reward model's pair accuracy with that drop.
    terms : tuple of Term
        Their sum, weighted; of correlations, their mean.
    bound : "above", "below" or "within"
        Where it lies if the claim holds: above ``limit``, below it, or nearer to 0 than it.
    limit : float
    """

    id: str
    says: str
    source: str
    of: str
    terms: tuple[Term, ...]
    bound: str
    limit: float


@dataclass(frozen=True)
class PolicySuite:
    """What a suite says of policies; names are as cells have them, and ``training`` has some keys of ``TRAINING``."""

    runs: tuple[Runs, ...]
    training: Mapping[str, int | float]
    claims: tuple[Claim, ...]


Named = Callable[[str], str]


def policy_suite(suite: Suite, book: TaskBook, method: Named, optimizer: Named) -> PolicySuite:
    """Read the table ``study`` of a suite's card.

    Parameters
    ----------
    method, optimizer : callable
        Return the label of a method, of an optimizer, from how the card has it.

    Raises
    ------
    TaskError
        If the card has no such table, or it is malformed.
    UnknownNameError
        If it names what there is not.
    """
    who = f"suite {suite.name!r}"
    if not suite.study:
        expected, do = "a table [study] on its card", "name --method, --optimizer and --task, or another suite"
        raise TaskError(who=who, expected=expected, got="none", do=do)
    with on_behalf_of(who):
        return _Reader(suite.study, book, method, optimizer).read()


@dataclass(frozen=True)
class _Reader:
    card: Mapping[str, Any]
    book: TaskBook
    method: Named
    optimizer: Named

    def read(self) -> PolicySuite:
        _fields("study", self.card, {"runs": list}, {"tasks": dict, "curves": dict, "claims": list, **TRAINING})
        training = {name: self.card[name] for name in TRAINING if name in self.card}
        runs = tuple(self._runs(f"study.runs[{i}]", one) for i, one in enumerate(self.card["runs"]))
        claims = tuple(self._claim(f"study.claims[{i}]", one) for i, one in enumerate(self.card.get("claims", [])))
        return PolicySuite(runs, training, claims)

    def _runs(self, where: str, given: Mapping[str, Any]) -> Runs:
        _fields(where, given, {"methods": list, "optimizers": list, "betas": list})
        betas = tuple(float(beta) for beta in given["betas"])
        return Runs(self._all(self.method, given["methods"]), self._all(self.optimizer, given["optimizers"]), betas)

    def _all(self, named: Named, texts: list[str]) -> tuple[str, ...]:
        return tuple(map(named, texts))

    def _curve(self, name: str) -> Curve:
        curves = self.card.get("curves", {})
        if name not in curves:
            raise unknown_name("curve", name, curves, "add it to the card's [study.curves]")
        given = curves[name]
        _fields(f"study.curves.{name}", given, {"optimizers": list}, {"beta": float})
        return Curve(self._all(self.optimizer, given["optimizers"]), float(given.get("beta", 0.0)))

    def _claim(self, where: str, given: Mapping[str, Any]) -> Claim:
        bounds = dict.fromkeys(BOUNDS, float)
        _fields(where, given, {"id": str, "says": str, "source": str, "of": str, "terms": list}, bounds)
        named = [bound for bound in BOUNDS if bound in given]
        if given["of"] not in OF or len(named) != 1:
            expected = f"of = one of {', '.join(OF)}, and one of {', '.join(BOUNDS)}"
            got = f"of = {given['of']!r}, and {' and '.join(named) or 'none'}"
            raise TaskError(who=where, expected=expected, got=got, do="mend the card")
        terms = tuple(self._term(where, term) for term in given["terms"])
        bound = named[0]
        told = (given["id"], given["says"], given["source"], given["of"])
        return Claim(*told, terms, bound, float(given[bound]))

    def _term(self, where: str, given: list[Any]) -> Term:
        if [type(one) for one in given] not in ([float, str, str, str], [int, str, str, str]):
            expected = "[weight, method, name of a curve, name of a task]"
            raise TaskError(who=where, expected=expected, got=str(given), do="mend the card")
        weight, method, curve, task = given
        names = self.card.get("tasks", {})
        if task not in names:
            raise unknown_name("task of a claim", task, names, "add it to the card's [study.tasks]")
        return Term(float(weight), self.method(method), self._curve(curve), self.book.task(names[task]).label)


def _fields(where: str, given: Any, needed: Mapping[str, type], optional: Mapping[str, type] | None = None) -> None:
    """Refuse a table without what it needs, or with what it may not have."""
    known = {**needed, **(optional or {})}
    if not isinstance(given, Mapping) or not set(needed) <= set(given) <= set(known):
        got = f"{sorted(given)}" if isinstance(given, Mapping) else repr(given)
        expected = f"{', '.join(needed)}" + (f"; perhaps {', '.join(optional)}" if optional else "")
        raise TaskError(who=where, expected=expected, got=got, do="mend the card")
    for name, value in given.items():
        kinds = (int, float) if known[name] is float else (known[name],)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TaskError(who=f"{where}.{name}", expected=known[name].__name__, got=repr(value), do="mend the card")
