"""All tasks together: normalised gains of the first metric of each, combined by every rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rmsuite.metrics import Metric
from rmsuite.reports import signatures
from rmsuite.reports.records import Aggregated, Overall, Row, Table
from rmsuite.reports.samples import Column
from rmsuite.statistics import Estimate
from rmsuite.statistics.aggregates import RULES, aggregate, rules, winners

Built = Sequence[tuple[Table, Column | None]]


def overall(built: Built) -> Overall | None:
    """Return the aggregates of several tables; None for fewer than two, or where nothing lies above chance.

    Where some tables have labels of their own, those whose gold is a model's are left out: the two kinds are never
    averaged together.
    """
    modelled = [table.task for table, _ in built if signatures.by_gold_model(table.signature)]
    if 0 < len(modelled) < len(built):
        rest = overall([one for one in built if one[0].task not in modelled])
        said = f"not averaged with the others, for their gold is that of a reward model: {', '.join(modelled)}"
        return replace(rest, warnings=(*rest.warnings, said)) if rest else None
    return _aggregates(built)


def _aggregates(built: Built) -> Overall | None:
    if len(built) < 2 or not all(rises(table.columns[0]) for table, _ in built):
        return None
    tables, shown = [table for table, _ in built], rules(len(built))
    rows = {row.method: row for table in tables for row in table.rows if _takes_part(row, tables)}
    reasons = {method: _missing(method, built) for method in rows}
    whole = [method for method, reason in reasons.items() if not reason]
    found = _estimates(whole, built) if whole else {}
    aggregated = [Aggregated(m, row.kind, found.get(m, {}), reasons[m]) for m, row in rows.items()]
    lead = RULES[0].name
    aggregated.sort(key=lambda a: (a.kind == "control", -a.estimates[lead].value if a.estimates else np.inf, a.method))
    return Overall(
        tasks=tuple(table.task for table in tables),
        signature=signatures.of_aggregates(
            [table.signatures[table.columns[0].name] for table in tables], [rule.name for rule in shown]
        ),
        rules={rule.name: rule.summary for rule in shown},
        larger={rule.name: rule.larger_is_better for rule in shown},
        rows=tuple(aggregated),
        warnings=_warnings(whole, rows, built),
    )


def rises(metric: Metric) -> bool:
    """Whether a metric has a scale from chance to perfect, so that gains on several tasks can be combined."""
    return metric.perfect != metric.chance


def _takes_part(row: Row, tables: Sequence[Table]) -> bool:
    # The oracle is a ceiling: it would be first everywhere, and shift every rank.
    return any(row.method in {r.method for r in table.rows if r.standings} for table in tables) or not row.estimates


def _missing(method: str, built: Built) -> str:
    lacking = [table.task for table, column in built if column is None or method not in column.methods]
    return f"no value on {', '.join(lacking)}" if lacking else ""


def _gains(values: np.ndarray, metric: Metric) -> np.ndarray:
    return np.asarray((values - metric.chance) / (metric.perfect - metric.chance))


def _matrix(methods: Sequence[str], built: Built) -> tuple[np.ndarray, np.ndarray]:
    """Return normalised gains ``(n_methods, n_tasks)`` and those of the draws ``(n_draws, n_methods, n_tasks)``."""
    gains, draws = [], []
    for _, column in built:
        assert column is not None
        where = [column.index(method) for method in methods]
        gains.append(_gains(column.resampled.sample.value[where], column.metric))
        draws.append(_gains(column.resampled.draws[where].T, column.metric))
    return np.stack(gains, axis=-1), np.stack(draws, axis=-1)


def _estimates(methods: Sequence[str], built: Built) -> dict[str, dict[str, Estimate]]:
    gains, draws = _matrix(methods, built)
    samples = [column.resampled.sample for _, column in built if column is not None]
    facts = {
        "n_items": sum(sample.n_items for sample in samples),
        "n_clusters": sum(int(sample.active[0].sum()) for sample in samples),
        "n_repetitions": min(sample.n_repetitions for sample in samples),
    }
    clusters = min(float(sample.effective_clusters.min()) for sample in samples)
    by_rule = {rule.name: aggregate(rule, gains, draws, clusters, facts) for rule in rules(len(built))}
    return {method: {name: found[i] for name, found in by_rule.items()} for i, method in enumerate(methods)}


def _warnings(whole: Sequence[str], rows: dict[str, Row], built: Built) -> tuple[str, ...]:
    methods = [i for i, method in enumerate(whole) if rows[method].kind == "method"]
    if len(methods) < 2:
        return ()
    best = winners(_matrix(whole, built)[0], methods)
    if set.intersection(*best.values()):
        return ()
    named = {rule: " and ".join(whole[i] for i in sorted(found)) for rule, found in best.items()}
    return ("the best method depends on the rule: " + "; ".join(f"{rule}: {m}" for rule, m in named.items()),)
