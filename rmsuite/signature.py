"""The signature: one parseable line that says what made a number. Different signatures share no table."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rmsuite.errors import ResultsError

PROTOCOL = "2"


def write(parts: Mapping[str, str]) -> str:
    """Return the line of ``key:value`` parts, joined by ``|``, in the order given.

    Raises
    ------
    ResultsError
        If a key or a value holds one of the separators, or a character that cannot be printed.

    Examples
    --------
    >>> write({"rmsuite": "1", "task": "toy@1"})
    'rmsuite:1|task:toy@1'
    """
    for key, value in parts.items():
        if "|" in key + value or ":" in key or not (key + value).isprintable():
            raise ResultsError(
                who=f"signature part {key!r}",
                expected="printable text without '|', and no ':' in the key",
                got=repr(value),
                do="rename it",
            )
    return "|".join(f"{key}:{value}" for key, value in parts.items())


def read(line: str) -> dict[str, str]:
    """Return the parts of a signature; the inverse of ``write``.

    Raises
    ------
    ResultsError
        If the line is no signature: a part twice would leave open which of them counts.
    """
    parts = [part.partition(":") for part in line.split("|")]
    found = {key: value for key, _, value in parts}
    if not line.isprintable() or not all(key and colon for key, colon, _ in parts) or len(found) < len(parts):
        expected = "printable key:value parts joined by '|', each key once"
        raise ResultsError(who="signature", expected=expected, got=repr(line), do="copy it whole")
    return found


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


def worded(first: str, second: str) -> str:
    """Return in words how two signatures differ.

    Examples
    --------
    >>> worded("task:a@1|pairs:20", "task:a@2|pairs:20")
    'task: a@1 against a@2'
    """
    return "; ".join(f"{key}: {one} against {two}" for key, (one, two) in differences(first, second).items())


def unversioned(task: str) -> str:
    """Return the name of a task as commands take it, from its label.

    Examples
    --------
    >>> unversioned("toy@2[annotator=flip[rate=0.1]]")
    'toy[annotator=flip[rate=0.1]]'
    """
    return re.sub(r"@\d+", "", task, count=1)
