"""From cell records to a matrix of transfer: methods trained on each source, tested on each, and what is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite import signature
from rmsuite.metrics import Metric, metric
from rmsuite.reports import signatures
from rmsuite.reports.cells import Chosen, choose, is_whole, why_not
from rmsuite.reports.curves import lined_up, point
from rmsuite.reports.samples import Column, column
from rmsuite.results import CellRecord
from rmsuite.statistics import Difference, Estimate, holm

TRAINED = "trained"


@dataclass(frozen=True)
class Tested:
    """A test part, and the tasks that test it: their labels by the name of what they train on.

    ``home`` is the name whose training is of the same kind as the test: the in-domain one.
    """

    name: str
    home: str
    tasks: Mapping[str, str]


@dataclass(frozen=True)
class Transferred:
    """A method trained on one source and tested on one part.

    ``gap`` is its value minus that of the method trained in-domain, paired by prompt; None for that one itself.
    ``note`` says why there is no estimate.
    """

    method: str
    trained: str
    tested: str
    estimate: Estimate | None = None
    gap: Difference | None = None
    note: str = ""


@dataclass(frozen=True)
class TransferMatrix:
    """All methods by what they were trained on, of one metric; gaps are Holm-corrected over the whole matrix."""

    metric: Metric
    trained: tuple[str, ...]
    tested: tuple[str, ...]
    cells: tuple[Transferred, ...]
    signatures: Mapping[str, str]


def transfer(
    records: Sequence[CellRecord], tested: Sequence[Tested], methods: Iterable[str], metrics: Iterable[str]
) -> tuple[TransferMatrix, ...]:
    """Return a matrix for each metric.

    Raises
    ------
    ResultsError
        If the cells of a task have different signatures.
    UnknownNameError
        If there is no such metric.
    """
    with threadpool_limits(limits=1):  # the number of threads decides the last bits of sums
        chosen = {one.name: _chosen(records, one) for one in tested}
        return tuple(_matrix(chosen, tested, tuple(methods), metric(name)) for name in metrics)


def _chosen(records: Sequence[CellRecord], one: Tested) -> Chosen:
    return choose(one.name, list(lined_up(records, one.name, TRAINED, one.tasks)), (), allow_mixed=False)


def _matrix(
    chosen: Mapping[str, Chosen], tested: Sequence[Tested], methods: Sequence[str], shown: Metric
) -> TransferMatrix:
    found = [cell for one in tested for cell in _cells(chosen[one.name], one, methods, shown)]
    gaps = [cell.gap for cell in found if cell.gap is not None]
    corrected = iter(holm([gap.p for gap in gaps]))
    cells = [replace(c, gap=replace(c.gap, p_holm=next(corrected))) if c.gap else c for c in found]
    lines = {one.name: _signature(chosen[one.name], one, methods, shown) for one in tested}
    trained = tuple(dict.fromkeys(name for one in tested for name in one.tasks))
    return TransferMatrix(shown, trained, tuple(one.name for one in tested), tuple(cells), lines)


def _signature(chosen: Chosen, one: Tested, methods: Sequence[str], shown: Metric) -> str:
    """Return the signature of a column; the agreement of labels is that of each training source in turn."""
    line = signature.read(signatures.of_metric(signatures.of_table(chosen), shown))
    return signature.write({**line, "agreement": "+".join(_agreement(chosen, methods, name) for name in one.tasks)})


def _agreement(chosen: Chosen, methods: Sequence[str], trained: str) -> str:
    cells = [cell for method in methods for cell in chosen.groups.get(point(method, TRAINED, trained), ())]
    known = [a for cell in cells if (a := cell.facts["annotator_agreement"]) is not None]
    return f"{np.mean(known):.4f}" if known else "human" if cells else "-"


def _cells(chosen: Chosen, one: Tested, methods: Sequence[str], shown: Metric) -> list[Transferred]:
    whole = {name: group for name, group in chosen.groups.items() if is_whole(group)}
    found = column(one.name, whole, shown)
    return [_cell(chosen, found, one, method, trained) for method in methods for trained in one.tasks]


def _cell(chosen: Chosen, found: Column | None, one: Tested, method: str, trained: str) -> Transferred:
    here, home = point(method, TRAINED, trained), point(method, TRAINED, one.home)
    bare = Transferred(method, trained, one.name)
    if found is None or here not in found.methods:
        group = chosen.groups.get(here, ())
        undefined = "the metric is not defined for it"
        return replace(bare, note=undefined if group and is_whole(group) else why_not(group) if group else "no results")
    cell = replace(bare, estimate=found.estimates()[here])
    if trained == one.home or home not in found.methods:
        return cell
    p = found.p(here, home)
    return replace(cell, gap=Difference(found.difference(here, home), p, p))
