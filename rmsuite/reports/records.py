"""What a report is made of: rows, tables of one task, the table over all tasks. Values only; ``render`` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rmsuite.metrics import Metric
from rmsuite.statistics import Difference, Estimate, Variance

Verification = Literal["unverified", "self-verified", "re-run verified"]
UNVERIFIED: Verification = "unverified"
SELF: Verification = "self-verified"
RERUN: Verification = "re-run verified"


@dataclass(frozen=True)
class Standing:
    """Where a row stands among the rows of its table, in one metric.

    Attributes
    ----------
    letters : str
        Tie groups: two rows that share a letter are not separable.
    rank : (int, int)
        The ranks that are not excluded, 1 is best; simultaneous over all rows.
    best : bool
        Whether the row is not separable from the best.
    """

    letters: str
    rank: tuple[int, int]
    best: bool


@dataclass(frozen=True)
class Row:
    """One method or control on one task.

    A metric without an estimate is a gap, and ``note`` says why.

    Attributes
    ----------
    estimates, standings, gains : mapping
        By metric name. ``gains``: minus the best control of the table, paired by prompt; ``p`` is that of being better
        than every control, Holm-corrected over the methods. The oracle has no standing, and rows with a ``mark`` have
        neither standing nor gain.
    spread : Variance or None
        Of the first metric: how much of the uncertainty is prompts, how much is repetitions. None for a single
        repetition.
    fit_seconds : float or None
        Mean seconds a fit.
    stored : bool
        From stored results, not from the run.
    mark : str
        In which parts the row's signature differs from the table's ("" for none); only where mixing was asked for.
    verification : str
        How far its cells have been verified; re-run verified if at least one of them was run a second time.
    """

    method: str
    kind: Literal["method", "control"]
    origin: str
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    standings: Mapping[str, Standing] = field(default_factory=dict)
    gains: Mapping[str, Difference] = field(default_factory=dict)
    spread: Variance | None = None
    fit_seconds: float | None = None
    note: str = ""
    stored: bool = False
    mark: str = ""
    verification: Verification = UNVERIFIED


@dataclass(frozen=True)
class Table:
    """The rows of one task, and what the footer says.

    Attributes
    ----------
    signature : str
        Of every number of the table, but for the metric.
    signatures : mapping
        The whole signature of each metric's numbers, by metric name.
    best_control : str
        The control that gains are over: the best in the first metric but the oracle; "" if there is none.
    detectable : mapping
        Minimum detectable effect by metric name: the difference that 80 % of such test parts would show, the median
        over pairs of methods; of a single method, its difference from the best control.
    facts : mapping
        Counts of the task, from its cells.
    omitted : tuple of str
        What is not in the table, and why.
    """

    task: str
    signature: str
    signatures: Mapping[str, str]
    columns: tuple[Metric, ...]
    rows: tuple[Row, ...]
    best_control: str
    repetitions: tuple[int, ...]
    detectable: Mapping[str, float]
    facts: Mapping[str, Any]
    omitted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Aggregated:
    """One method over all tasks: an estimate for each rule, by the rule's name; ``note`` says why there is none."""

    method: str
    kind: Literal["method", "control"]
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Overall:
    """All tasks together.

    Attributes
    ----------
    rules : mapping
        What each rule computes, in words, by its name and version, for instance ``macro-gain@1``.
    larger : mapping
        Whether larger is better, by rule.
    warnings : tuple of str
        For instance that the winner depends on the rule.
    """

    tasks: tuple[str, ...]
    signature: str
    rules: Mapping[str, str]
    larger: Mapping[str, bool]
    rows: tuple[Aggregated, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything that ``rmsuite table`` shows; ``overall`` is None for a single task."""

    tables: tuple[Table, ...]
    overall: Overall | None = None
