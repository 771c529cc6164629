"""``rmsuite cite``: BibTeX of exactly what a results folder used, and a paragraph for the paper."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

import rmsuite
from rmsuite.citation import Citation, as_text, bibliography, cite, misc
from rmsuite.commands import shared
from rmsuite.errors import UnknownNameError, unknown_name
from rmsuite.plugins import Catalogue, Plugin
from rmsuite.pools import POOL_CARD, read_card
from rmsuite.reports.policies import policy_tables
from rmsuite.reports.records import Report
from rmsuite.reports.tables import report
from rmsuite.results import CellRecord


def show_citation(options: Namespace) -> int:
    """Print what the tables of a results folder have to cite."""
    catalogue = shared.catalogue(options)
    run, cells = shared.all_records(options.output, options.task)
    stored = [] if options.no_stored else shared.stored(catalogue, {record.task for record in run})
    run, stored, cells = _chosen(options.method, run, stored, cells)
    found, policies = report(run, stored) if run else Report(()), policy_tables(cells)
    trained = [row for table in policies for row in table.rows]
    methods = {row.method for table in found.tables for row in table.rows if row.kind == "method"}
    references = {name: _source(catalogue.owned, name) for name in _names({*methods, *(row.method for row in trained)})}
    optimizers = {name: _source(catalogue.owned_optimizer, name) for name in _names(row.optimizer for row in trained)}
    annotators = {one.annotator.name: one.annotator.reference for one in catalogue.annotators.plugged}
    known = _known(catalogue, {record.task for record in [*run, *cells]})
    citation = cite(found, references, known, annotators, policies, optimizers)
    print(_as_text(citation) if options.format == "text" else _as_bibtex(citation))
    return 0


def _names(labels: Iterable[str]) -> set[str]:
    return {label.partition("[")[0] for label in labels}


def _chosen(names: Iterable[str] | None, *groups: list[CellRecord]) -> list[list[CellRecord]]:
    """Return of each group the cells of these methods (names, with or without parameters) and the controls."""
    if not names:
        return [*groups]
    known = {_method(record) for group in groups for record in group if record.kind != "control"}
    known |= {label.partition("[")[0] for label in known}
    for name in names:
        if name not in known:
            raise unknown_name("method", name, known, "name a method of the table")
    wanted = set(names)
    return [
        [r for r in group if r.kind == "control" or {_method(r), _method(r).partition("[")[0]} & wanted]
        for group in groups
    ]


def _method(record: CellRecord) -> str:
    return record.facts["reward_model"] if record.kind == "policy" else record.method


def _known(catalogue: Catalogue, labels: Collection[str]) -> dict[str, str]:
    """Return all bibliographies at hand; of a pool that is in none, what its card says."""
    core = Path(rmsuite.__file__).with_name("references.bib")
    known = bibliography([core, *catalogue.paths("rmsuite_references")])
    tasks = shared.book(catalogue).tasks.values()
    for task in tasks:
        if task.label in labels and task.pool not in known:
            card = read_card(task.pool_folder / POOL_CARD)
            said = {field: str(card[key]) for field, key in CARD.items() if key in card}
            known[task.pool] = misc(task.pool, title=task.pool, **said)
    return known


CARD = {"howpublished": "source", "note": "citation"}  # fields of an entry, from those of a pool's card


def _source(owned: Callable[[str], tuple[Plugin, Any]], name: str) -> str:
    try:
        return str(owned(name)[1].reference)
    except UnknownNameError:  # a result whose plugin is not at hand
        return ""


def _as_bibtex(citation: Citation) -> str:
    silent = [f"% {name}: its plugin names no source" for name in citation.without_source]
    return "\n\n".join([*citation.entries.values(), *silent, textwrap.indent(_filled(citation.paragraph), "% ")])


def _as_text(citation: Citation) -> str:
    lines = [f"- {as_text(entry)}" for entry in citation.entries.values()]
    lines += [f"- {name}: its plugin names no source" for name in citation.without_source]
    return "\n".join([_filled(citation.paragraph), "", *lines])


def _filled(text: str) -> str:
    return textwrap.fill(text, 110, break_long_words=False, break_on_hyphens=False)
