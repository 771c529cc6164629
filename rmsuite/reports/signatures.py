"""The signatures of printed numbers: that of the cells, and what the table itself decided."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from rmsuite import signature
from rmsuite.metrics import Metric
from rmsuite.reports.cells import Chosen
from rmsuite.statistics import LEVEL, N_DRAWS
from rmsuite.statistics.comparisons import FAMILY_LEVEL
from rmsuite.statistics.intervals import DEFAULT


def of_table(chosen: Chosen) -> str:
    """Return what all numbers of a table share."""
    agreements = [cell.facts["annotator_agreement"] for group in chosen.groups.values() for cell in group]
    known = [agreement for agreement in agreements if agreement is not None]
    parts = {
        **signature.read(chosen.line),
        "agreement": f"{np.mean(known):.4f}" if known else "human",
        "repetitions": ",".join(map(str, chosen.repetitions)),
        "controls": "best-on-test",
        "interval": f"prompt-bootstrap-{DEFAULT}({LEVEL:g},draws={N_DRAWS},seed=0)",
        "correction": f"holm({FAMILY_LEVEL:g})",
    }
    return signature.write(parts)


def by_gold_model(line: str) -> bool:
    """Whether numbers speak of the rewards of a gold reward model, not of what people, judges or tests said."""
    return "gold" in signature.read(line)


def of_metric(line: str, metric: Metric) -> str:
    """Return the signature of one metric's numbers in a table."""
    return signature.write({**signature.read(line), "metric": f"{metric.name}@{metric.version}", "tie": metric.tie})


def of_aggregates(lines: Sequence[str], rules: Sequence[str]) -> str:
    """Return the signature of numbers over several tables: their common parts, and a digest of them all."""
    parts = [signature.read(line) for line in lines]
    common = {key: value for key, value in parts[0].items() if all(other.get(key) == value for other in parts)}
    tasks = {"tasks": "+".join(part["task"] for part in parts)}
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
    return signature.write({**common, **tasks, "tables": digest, "aggregate": "+".join(rules)})
