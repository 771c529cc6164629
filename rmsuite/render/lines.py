"""Numbers as CSV: one line a number, in full precision, for figures and for other programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable

from rmsuite.render.cells import plain
from rmsuite.render.comma_separated import guarded

FIELDS = (
    *("section", "method", "name", "of", "statistic", "value", "low", "high", "p", "p_holm", "n_models", "note"),
    "source",
)
Line = dict[str, object]


def line(section: str, method: str, name: str, statistic: str, value: float, **more: object) -> Line:
    """Return one number."""
    return {"section": section, "method": method, "name": name, "statistic": statistic, "value": float(value), **more}


def written(found: Iterable[Line]) -> str:
    """Return lines as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(_printed, found))
    return out.getvalue().rstrip("\n").encode("utf-8", "replace").decode()  # half characters cannot be stored


def _printed(line: Line) -> Line:
    whole = {name: value for name, value in line.items() if not (isinstance(value, float) and not math.isfinite(value))}
    return {name: guarded(plain(value)) if isinstance(value, str) else value for name, value in whole.items()}
