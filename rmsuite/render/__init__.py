"""From reports to text: one module a format, one home for how a number is printed, one for the footer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rmsuite.render.comma_separated import write as _csv
from rmsuite.render.json_document import write as _json
from rmsuite.render.latex import write as _latex
from rmsuite.render.markdown import write as _markdown
from rmsuite.render.policies import blocks, documents, render_policies
from rmsuite.render.text import write as _text
from rmsuite.render.web import write as _html
from rmsuite.reports.policies import PolicyTable
from rmsuite.reports.records import Report

STYLES: Mapping[str, Callable[..., str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
    "html": _html,
}


def render(report: Report, style: str = "text", policies: Sequence[PolicyTable] = ()) -> str:
    """Print a report in one of ``STYLES``, and after it tables of policies.

    In CSV these have a header line of their own after an empty line, in JSON they are the document's ``policies``.
    """
    if style == "csv" and policies:
        return "\n\n".join([*([_csv(report)] if report.tables else []), render_policies(policies, style)])
    if not policies:
        return STYLES[style](report)
    return STYLES[style](report, documents(policies) if style == "json" else blocks(policies, bold=style != "text"))
