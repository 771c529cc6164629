"""The signature: one parseable line that says what made a number. Different signatures share no table."""

from __future__ import annotations

from collections.abc import Mapping

from rmsuite.errors import ResultsError

PROTOCOL = "2"


def write(parts: Mapping[str, str]) -> str:
    """Return the line of ``key:value`` parts, joined by ``|``, in the order given.

    Raises
    ------
    ResultsError
        If a key or a value holds one of the separators.

    Examples
    --------
    >>> write({"rmsuite": "1", "task": "toy@1"})
    'rmsuite:1|task:toy@1'
    """
    for key, value in parts.items():
        if "|" in key + value or ":" in key or "\n" in key + value:
            raise ResultsError(
                who=f"signature part {key!r}",
                expected="no '|' or line break, and no ':' in the key",
                got=repr(value),
                do="rename it",
            )
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def read(line: str) -> dict[str, str]:
    """Return the parts of a signature; the inverse of ``write``.

    Raises
    ------
    ResultsError
        If the line is no signature.
    """
    parts = [part.partition(":") for part in line.split("|")]
    if not all(key and colon for key, colon, _ in parts):
        raise ResultsError(
            who="signature", expected="key:value parts joined by '|'", got=repr(line), do="copy it whole"
        )
    return {key: value for key, _, value in parts}


def differences(first: str, second: str) -> dict[str, tuple[str, str]]:
    """Return the parts in which two signatures differ; an absent part is shown as ``-``.

    Examples
    --------
    >>> differences("task:a@1|pairs:20", "task:a@2|pairs:20")
    {'task': ('a@1', 'a@2')}
    """
    one, two = read(first), read(second)
    keys = list(dict.fromkeys([*one, *two]))
    return {key: (one.get(key, "-"), two.get(key, "-")) for key in keys if one.get(key) != two.get(key)}
