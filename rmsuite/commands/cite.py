"""``rmsuite cite``: BibTeX of exactly what a results folder used, and a paragraph for the paper."""

from __future__ import annotations

import textwrap
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

import rmsuite
from rmsuite.citation import Citation, as_text, bibliography, cite, misc
from rmsuite.commands import shared
from rmsuite.errors import UnknownNameError, unknown_name
from rmsuite.plugins import Catalogue
from rmsuite.pools import POOL_CARD, read_card
from rmsuite.reports.records import Report
from rmsuite.reports.tables import report
from rmsuite.results import CellRecord


def show_citation(options: Namespace) -> int:
    """Print what the tables of a results folder have to cite."""
    catalogue = shared.catalogue(options)
    run = shared.records(options.output, options.task)
    stored = [] if options.no_stored else shared.stored(catalogue, {record.task for record in run})
    found = report(*_chosen(run, stored, options.method))
    methods = {row.method.partition("[")[0] for table in found.tables for row in table.rows if row.kind == "method"}
    references = {name: _source(catalogue, name) for name in methods}
    annotators = {one.annotator.name: one.annotator.reference for one in catalogue.annotators.plugged}
    citation = cite(found, references, _known(catalogue, found), annotators)
    print(_as_text(citation) if options.format == "text" else _as_bibtex(citation))
    return 0


def _chosen(
    run: list[CellRecord], stored: list[CellRecord], names: Iterable[str] | None
) -> tuple[list[CellRecord], list[CellRecord]]:
    """Return the cells of these methods (names, with or without parameters) and of the controls."""
    if not names:
        return run, stored
    known = {record.method for record in [*run, *stored] if record.kind == "method"}
    known |= {label.partition("[")[0] for label in known}
    for name in names:
        if name not in known:
            raise unknown_name("method", name, known, "name a method of the table")
    wanted = set(names)
    kept = [
        [r for r in some if r.kind == "control" or {r.method, r.method.partition("[")[0]} & wanted]
        for some in (run, stored)
    ]
    return kept[0], kept[1]


def _known(catalogue: Catalogue, found: Report) -> dict[str, str]:
    """Return all bibliographies at hand; of a pool that is in none, what its card says."""
    core = Path(rmsuite.__file__).with_name("references.bib")
    known = bibliography([core, *catalogue.paths("rmsuite_references")])
    tasks = shared.book(catalogue).tasks.values()
    labels = {table.task for table in found.tables}
    for task in tasks:
        if task.label in labels and task.pool not in known:
            card = read_card(task.pool_folder / POOL_CARD)
            said = {field: str(card[key]) for field, key in CARD.items() if key in card}
            known[task.pool] = misc(task.pool, title=task.pool, **said)
    return known


CARD = {"howpublished": "source", "note": "citation"}  # fields of an entry, from those of a pool's card


def _source(catalogue: Catalogue, name: str) -> str:
    try:
        return catalogue.owned(name)[1].reference
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
