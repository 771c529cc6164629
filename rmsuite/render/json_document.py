"""Tables as JSON, as ``table.schema.json`` beside this file describes them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rmsuite.render.cells import finite, reason
from rmsuite.render.footer import footer, overall_footer
from rmsuite.reports.records import Overall, Report, Row, Table
from rmsuite.statistics import Difference, Estimate, Variance
from rmsuite.version import __version__

FORMAT = 1
OF_ONE_CELL = ("made_of", "failure")  # facts that a table does not share


def write(report: Report, policies: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the document; a gap is null, and its row has a note. Tables of policies are written as they are given."""
    document = {
        "format": FORMAT,
        "rmsuite": __version__,
        "tables": [_table(table) for table in report.tables],
        "overall": _overall(report.overall) if report.overall else None,
        **({"policies": list(policies)} if policies else {}),
    }
    text = json.dumps(_finite(document), indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode()  # JSON's own spelling of half characters


def _finite(value: Any) -> Any:
    """Return a document with null for NaN and infinity, which JSON has no words for."""
    if isinstance(value, Mapping):
        return {key: _finite(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inside) for inside in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(table: Table) -> dict[str, Any]:
    return {
        "task": table.task,
        "signature": table.signature,
        "metrics": [
            {
                "name": column.name,
                "version": column.version,
                "larger_is_better": column.direction == "larger is better" if column.ordered else None,
                "signature": table.signatures[column.name],
                "minimum_detectable_difference": table.detectable.get(column.name),
            }
            for column in table.columns
        ],
        "best_control": table.best_control or None,
        "repetitions": list(table.repetitions),
        "facts": {
            key: fact for key, fact in table.facts.items() if not key.endswith("_seconds") and key not in OF_ONE_CELL
        },
        "footer": footer(table),
        "rows": [_row(row, table) for row in table.rows],
    }


def _row(row: Row, table: Table) -> dict[str, Any]:
    names = [column.name for column in table.columns]
    return {
        "method": row.method,
        "kind": row.kind,
        "origin": row.origin,
        "estimates": _estimates(names, row.estimates),
        "standings": {name: asdict(row.standings[name]) if name in row.standings else None for name in names},
        "gains": {name: _gain(row.gains.get(name)) for name in names},
        "variance": _variance(row.spread),
        "fit_seconds": row.fit_seconds,
        "note": reason(row, names),
        "stored": row.stored,
        "mark": row.mark,
        "verification": row.verification,
    }


def _estimates(names: Sequence[str], found: Mapping[str, Estimate]) -> dict[str, Any]:
    shown = {name: finite(found.get(name)) for name in names}
    return {name: asdict(estimate) if estimate else None for name, estimate in shown.items()}


def _gain(gain: Difference | None) -> dict[str, Any] | None:
    return asdict(gain) if gain and finite(gain.estimate) else None


def _variance(found: Variance | None) -> dict[str, Any] | None:
    return asdict(found) if found and math.isfinite(found.prompts + found.repetitions_at_most + found.both) else None


def _overall(overall: Overall) -> dict[str, Any]:
    rules = [
        {"name": name, "summary": summary, "larger_is_better": overall.larger[name]}
        for name, summary in overall.rules.items()
    ]
    rows = [
        {
            "method": row.method,
            "kind": row.kind,
            "estimates": _estimates(list(overall.rules), row.estimates),
            "note": reason(row, list(overall.rules)),
        }
        for row in overall.rows
    ]
    return {
        "tasks": list(overall.tasks),
        "signature": overall.signature,
        "rules": rules,
        "rows": rows,
        "warnings": list(overall.warnings),
        "footer": overall_footer(overall),
    }
