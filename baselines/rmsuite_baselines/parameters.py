"""Parameters of the baselines are checked when a model is made: a typing error is not to look like a bad method.

So every ``__post_init__`` of a baseline raises ``RmsuiteError``, with the parameter's name, where one is out of range.
"""

from __future__ import annotations

from typing import Any

from rmsuite import RmsuiteError


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least ``least``; raise ``RmsuiteError`` for anything else."""
    if type(value) is not int or value < least:
        raise _wrong(name, f"a whole number of at least {least}", value)
    return value


def number(name: str, value: Any, least: float, most: float) -> float:
    """Return a number of the closed interval; raise ``RmsuiteError`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _wrong(name, f"a number from {least:g} to {most:g}", value)
    return float(value)


def choice(name: str, value: Any, known: tuple[str, ...]) -> str:
    """Return one of the known words; raise ``RmsuiteError`` for anything else."""
    if value not in known:
        raise _wrong(name, "one of " + ", ".join(known), value)
    return str(value)


def text(name: str, value: Any) -> str:
    """Return a string; raise ``RmsuiteError`` for anything else."""
    if not isinstance(value, str):
        raise _wrong(name, "a text", value)
    return value


def flag(name: str, value: Any) -> bool:
    """Return True or False; raise ``RmsuiteError`` for anything else."""
    if not isinstance(value, bool):
        raise _wrong(name, "True or False", value)
    return value


def numbers(name: str, value: Any, least: float, most: float) -> tuple[float, ...]:
    """Return numbers of the closed interval, given as one or as several."""
    several = value if isinstance(value, tuple | list) else [value]
    if not several:
        raise _wrong(name, "a number or several", value)
    return tuple(number(name, one, least, most) for one in several)


def widths(name: str, value: Any) -> list[int]:
    """Return layer widths, given as one whole number or as several."""
    return [whole(name, width) for width in (value if isinstance(value, tuple | list) else [value])]


def _wrong(name: str, expected: str, got: Any) -> RmsuiteError:
    return RmsuiteError(who=f"parameter {name}", expected=expected, got=repr(got), do=f"change {name}")
