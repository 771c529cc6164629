"""What rmsuite raises, and the one shape of its messages: who, expected, got, do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class RmsuiteError(Exception):
    """A mistake that the user can mend; the command line shows it without a traceback.

    Parameters
    ----------
    who : str
        The thing that the message is about, named so that the reader can find it.
    expected, got, do : str
        What should have been there, what was, and how to mend it.

    Examples
    --------
    >>> print(RmsuiteError(who="reward of 'mine'", expected="shape (3,)", got="shape (3, 1)", do="return (3,)"))
    reward of 'mine': expected shape (3,), got shape (3, 1). Do: return (3,).
    """

    def __init__(self, *, who: str, expected: str, got: str, do: str) -> None:
        super().__init__(who, expected, got, do)
        self.who, self.expected, self.got, self.do = who, expected, got, do

    def __str__(self) -> str:
        return f"{self.who}: expected {self.expected}, got {self.got}. Do: {self.do}."

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.who, self.expected, self.got, self.do)


def _rebuild(kind: type[RmsuiteError], who: str, expected: str, got: str, do: str) -> RmsuiteError:
    return kind(who=who, expected=expected, got=got, do=do)


class UnknownNameError(RmsuiteError):
    """A method, task, suite, metric or parameter that does not exist."""


class PluginError(RmsuiteError):
    """A plugin that cannot be loaded, or two that claim one name."""


class ContractError(RmsuiteError):
    """A method or annotator that broke a promise of the plugin contract."""


class TaskError(RmsuiteError):
    """A pool, an embedding set or a card that is not what it says."""


class EmbedderError(RmsuiteError):
    """An embedder that cannot be made, or embeddings that are not what they should be."""


class InputError(RmsuiteError):
    """Texts or arrays of a user's own that cannot become a pool."""


class FetchError(RmsuiteError):
    """A file that a server does not give, or another one than was listed."""


class ResultsError(RmsuiteError):
    """A result file that cannot be read, or results that do not belong in one table."""


class ClusterError(RmsuiteError):
    """A cluster that cannot be reached, or whose workers would give other numbers."""


class NotApplicable(Exception):  # noqa: N818 -- a refusal, not an error: "not for me"
    """A method raises this to say that it cannot do a task; the cell is recorded as skipped, with the reason."""


def describe(error: BaseException) -> str:
    """Return one line for an exception of a stranger's code, whose own wording may fail too.

    Examples
    --------
    >>> describe(ValueError("no"))
    'ValueError: no'
    """
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 -- an exception whose message raises is still to be reported
        text = "its message cannot be made"
    known = isinstance(error, RmsuiteError | NotApplicable)
    return text or "no reason given" if known else f"{type(error).__name__}: {text}"


def shown(value: object, most: int = 120) -> str:
    """Return the beginning of how a stranger's value prints, which may fail too.

    Examples
    --------
    >>> shown([1, 2]), shown(10**5000)
    ('[1, 2]', 'int that cannot be printed')
    """
    try:
        return repr(value)[:most]
    except Exception:  # noqa: BLE001 -- a value that cannot be printed is still to be reported
        return f"{type(value).__name__} that cannot be printed"


def unknown_name(kind: str, name: str, known: Iterable[str], do: str) -> UnknownNameError:
    """Word the error for a name that does not exist: the nearest and the known names.

    Examples
    --------
    >>> print(unknown_name("method", "bradly-terry", ["bradley-terry", "random"], "see `rmsuite list methods`"))
    method 'bradly-terry': expected one of bradley-terry, random, got 'bradly-terry' (nearest is 'bradley-terry').
    Do: see `rmsuite list methods`.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" (nearest is {near[0]!r})" if near else ""
    return UnknownNameError(
        who=f"{kind} {name!r}", expected=f"one of {', '.join(names) or '(none)'}", got=f"{name!r}{hint}", do=do
    )


def clash(kind: str, name: str, owners: Iterable[tuple[str, str]]) -> PluginError:
    """Word the error for a name that several plugins, given by name and origin, offer.

    Examples
    --------
    >>> print(clash("method", "mine", [("a", "a.py"), ("b", "b 1.0")]))
    method 'mine': expected one plugin that offers it, got plugin 'a' (a.py) and plugin 'b' (b 1.0).
    Do: rename the method in one of them, or uninstall one.
    """
    return PluginError(
        who=f"{kind} {name!r}",
        expected="one plugin that offers it",
        got=" and ".join(f"plugin {plugin!r} ({origin})" for plugin, origin in owners),
        do=f"rename the {kind} in one of them, or uninstall one",
    )


@contextmanager
def on_behalf_of(who: str) -> Iterator[None]:
    """Name in the errors of the block what it is done for, before what they are about.

    Examples
    --------
    >>> with on_behalf_of("task mine@1"):
    ...     raise TaskError(who="pool 'x'", expected="a folder", got="none", do="check the name")
    Traceback (most recent call last):
    rmsuite.errors.TaskError: task mine@1: pool 'x': expected a folder, got none. Do: check the name.
    """
    try:
        yield
    except RmsuiteError as error:
        raise type(error)(who=f"{who}: {error.who}", expected=error.expected, got=error.got, do=error.do) from error
