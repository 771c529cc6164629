"""A failed cell as a page to read: what failed, where in the method's code, and what it had printed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmsuite.results import CellRecord

# Every method is called through these: their frames tell nothing of why one failed.
PASSED_THROUGH = {
    str(Path(__file__).with_name(f"{name}.py"))
    for name in ("worker", "answers", "forks", "forking", "cells", "sites", "clusters", "executors", "harness")
}
FRAME = re.compile(
    r'^  File "(?P<file>[^"\n]*)", line \d+, in .*\n(?:    .*\n)*(?:  \[Previous line .*\n)?', re.MULTILINE
)


def shortened(traceback: str) -> str:
    r"""Return a printed traceback without the frames that a method is called through; all others stay.

    Examples
    --------
    >>> print(shortened('Traceback:\n  File "mine.py", line 3, in fit\n    1 / 0\nZeroDivisionError: by zero'))
    Traceback:
      File "mine.py", line 3, in fit
        1 / 0
    ZeroDivisionError: by zero
    """
    return FRAME.sub(lambda frame: "" if frame["file"] in PASSED_THROUGH else frame[0], traceback)


def page(record: CellRecord) -> str:
    """Return what there is to read of a failed cell; any text of a stranger's can be written in UTF-8."""
    failure = record.facts.get("failure", {})
    when = f" (after {failure['seconds']:.3g} s, at {failure['at']})" if failure else ""
    head = f"{record.method} on {record.task}, repetition {record.repetition}, failed in {record.phase}{when}:\n"
    printed = f"\nThe end of what it printed:\n{record.output}" if record.output else ""
    text = head + (record.traceback or record.error).rstrip("\n") + "\n" + printed
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
