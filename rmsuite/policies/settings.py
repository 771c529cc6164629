"""Hyperparameters are checked when they are given: a typing error is not to look like a bad optimizer."""

from __future__ import annotations

from typing import Any

from rmsuite.errors import RmsuiteError


def whole(name: str, value: Any, least: int) -> None:
    """Raise ``RmsuiteError`` unless a value is a whole number of at least ``least``."""
    if type(value) is not int or value < least:
        raise _wrong(name, f"a whole number of at least {least}", value)


def number(name: str, value: Any, least: float, most: float) -> None:
    """Raise ``RmsuiteError`` unless a value is a number of the closed interval."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _wrong(name, f"a number from {least:g} to {most:g}", value)


def flag(name: str, value: Any) -> None:
    """Raise ``RmsuiteError`` unless a value is true or false; a text would count as true."""
    if type(value) is not bool:
        raise _wrong(name, "true or false", value)


def _wrong(name: str, expected: str, value: Any) -> RmsuiteError:
    return RmsuiteError(who=f"hyperparameter {name!r}", expected=expected, got=repr(value), do="change it")
