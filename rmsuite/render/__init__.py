"""From reports to text: one module a format, one home for how a number is printed, one for the footer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rmsuite.render.comma_separated import write as _csv
from rmsuite.render.json_document import write as _json
from rmsuite.render.latex import write as _latex
from rmsuite.render.markdown import write as _markdown
from rmsuite.render.text import write as _text
from rmsuite.render.web import write as _html
from rmsuite.reports.records import Report

STYLES: Mapping[str, Callable[[Report], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
    "html": _html,
}


def render(report: Report, style: str = "text") -> str:
    """Print a report in one of ``STYLES``."""
    return STYLES[style](report)
