"""What the values of options may be; what may not is refused by the parser, in its own words."""

from __future__ import annotations

import argparse
import contextlib
import math
from decimal import Decimal, InvalidOperation


def positive(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)


def whole(text: str) -> int:
    """Return a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text!r}")
    return int(text)


def price(text: str) -> float:
    """Return a finite number of at least 0."""
    if not 0 <= (number := _float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number of at least 0")
    return abs(number)  # -0.0 is another text than 0.0


def quantity(text: str) -> float:
    """Return a positive number."""
    number = _float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


def finite(text: str) -> float:
    """Return a finite number."""
    if not math.isfinite(number := _float(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return number


def bounds(text: str) -> tuple[float, ...]:
    """Return distinct positive numbers that commas separate, in rising order."""
    return tuple(sorted({quantity(part) for part in text.split(",")}))


def _float(text: str) -> float:
    """Return a number; the parser's own words for what is none would name the function that it asks."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def words(text: str) -> str:
    """Return text that a card can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8 come as lone surrogates, which no card can hold
        raise argparse.ArgumentTypeError(f"expected text in UTF-8, got {text!r}") from None
    return text


def count(text: str) -> int | str:
    """Return a whole number of at least 1, or ``all``."""
    return text if text == "all" else positive(text)


def failures(text: str) -> int | Decimal:
    """Return how many cells may fail: a whole number of them, or a share between 0 and 1 of those to compute."""
    if text.isdecimal():
        return int(text)
    with contextlib.suppress(InvalidOperation):
        if 0 < (share := Decimal(text)) < 1:
            return share
    raise argparse.ArgumentTypeError(f"expected a whole number, or a fraction between 0 and 1, got {text!r}")
