"""``rmsuite verify``, ``score``, ``export``, ``merge``, ``diff-protocol``: folders of results as wholes."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from rmsuite import results, signature
from rmsuite.bundles import export, folders, levels, protocol
from rmsuite.bundles.findings import Verification
from rmsuite.bundles.merge import merge
from rmsuite.bundles.rerun import rerun
from rmsuite.bundles.score import Rescored, score
from rmsuite.bundles.verify import verify
from rmsuite.commands import shared
from rmsuite.commands.executing import local
from rmsuite.errors import ResultsError, RmsuiteError
from rmsuite.method import Configured
from rmsuite.plugins import Catalogue
from rmsuite.reports.comparison import prompts
from rmsuite.reports.records import RERUN, SELF, UNVERIFIED


def show_verification(options: Namespace) -> int:
    """Recompute a results folder, run a sample again if asked, and print what is wrong."""
    catalogue = shared.catalogue(options)
    book = shared.book(catalogue)
    found = verify(options.home, book, rounding=options.rounding, progress=_bar)
    if options.rerun is not None:
        workers = local(catalogue, book, options.home, options.jobs, _methods(options.home, catalogue))
        sample = None if options.rerun == "all" else options.rerun
        found = rerun(options.home, found, book, catalogue, sample, options.seed, workers, progress=_bar)
        print(f"Run again: {_rerun(found)}, chosen with seed {options.seed}.")
    for finding in found.findings:
        print(finding)
    for name in found.without_numbers:
        print(f"{name}: no numbers to verify")
    print(_summary(found))
    if not options.no_record:
        levels.note(options.home, found.cells, found.seals)
    return 1 if found.findings else 0


def _rerun(found: Verification) -> str:
    of_policies = sum(found.kinds[name] == "policy" for name in found.rerun)
    said = f"{len(found.rerun) - of_policies} of the verified cells of methods"
    return f"{said} and {of_policies} of those of policies" if "policy" in found.kinds.values() else said


def _methods(home: Path, catalogue: Catalogue) -> Iterator[Configured]:
    """Yield the methods of a folder's cells that are at hand, without the parameters that their folders' names hide."""
    for name in sorted({path.parent.name.partition("_")[0] for path in folders.found(home)}):
        with contextlib.suppress(RmsuiteError):
            yield catalogue.configured(name)[1]


def _bar(items: Iterable[Any], total: int) -> Iterable[Any]:
    return tqdm(items, total=total, unit="cell", leave=False, disable=not sys.stderr.isatty())


def _summary(found: Verification) -> str:
    rows: dict[tuple[str, str], Counter[str]] = {}
    for name, level in found.cells.items():
        task, method, _ = name.rsplit("/", 2)
        rows.setdefault((task, method), Counter())[level] += 1
    columns = [UNVERIFIED, SELF, RERUN]
    lines = [[task, method, *(count[level] or "-" for level in columns)] for (task, method), count in rows.items()]
    table = tabulate(lines, ["task", "method", *columns], tablefmt="simple", disable_numparse=True)
    return f"{table}\n\n{_counted(found)}, {len(found.findings)} findings."


def _counted(found: Verification) -> str:
    of_policies = sum(kind == "policy" for kind in found.kinds.values())
    others = len(found.cells) - of_policies
    said = [f"{others} cells"] if others or not of_policies else []
    return " and ".join([*said, f"{of_policies} cells of policies"] if of_policies else said)


def show_scores(options: Namespace) -> int:
    """Recompute metrics from stored rewards, and say what changed."""
    found = [*score(options.home, shared.book(shared.catalogue(options)), progress=_bar)]
    if not found:
        print("Nothing changed.")
        return 0
    print(tabulate(_changes(found), ["task", "metric", "", "cells"], tablefmt="simple", disable_numparse=True))
    print(f"\n{len(found)} cells rewritten; they are unverified now.")
    return 0


def _changes(found: Iterable[Rescored]) -> list[tuple[str, str, str, int]]:
    count = Counter(
        (one.cell.task, name, verb)
        for one in found
        for verb, names in (("changed", one.changed), ("added", one.added), ("dropped", one.dropped))
        for name in names
    )
    return [(*key, number) for key, number in sorted(count.items())]


def show_export(options: Namespace) -> int:
    """Write results as one long table."""
    catalogue = shared.catalogue(options)
    methods, policies = shared.all_records(options.home)
    found = [*methods, *policies]
    rows = _items(catalogue, found) if options.items else export.cells(found, shared.level(options.home))
    text = export.as_csv(rows) if options.format == "csv" else export.as_json(rows)
    if options.output is None:
        sys.stdout.write(text)
        return 0
    try:
        options.output.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        do = "give another file with --output"
        raise ResultsError(who=f"export {options.output}", expected="a writable file", got=str(error), do=do) from None
    return 0


def _items(catalogue: Catalogue, found: Sequence[results.CellRecord]) -> Iterable[dict[str, Any]]:
    known: dict[str, list[tuple[str, str]]] = {}

    def ids(task: str) -> list[tuple[str, str]]:
        if task not in known:
            loaded = shared.book(catalogue).task(task).load()
            _refuse_other_pool(task, {one.signature for one in found if one.task == task}, loaded.signature()["pool"])
            here = prompts(loaded.test, loaded.pool.categories)
            known[task] = list(zip(here.ids, here.categories, strict=True))
        return known[task]

    return export.items(found, ids)


def _refuse_other_pool(task: str, lines: set[str], here: str) -> None:
    for line in sorted(lines):
        pool = signature.read(line).get("pool")
        if pool != here:
            do = "install the tasks that the results are of, or export without --items"
            raise ResultsError(who=f"prompts of {task}", expected=f"pool {pool}", got=here, do=do)


def show_merge(options: Namespace) -> int:
    """Copy several results folders into one."""
    count = merge(options.homes, options.into, options.allow_mixed)
    print(f"{count} cells in {options.into}")
    return 0


def show_protocol_difference(options: Namespace) -> int:
    """Print the parts in which two protocols differ, and what each difference means."""
    first, second = protocol.lines(options.first), protocol.lines(options.second)
    if len(first) == len(second) == 1:  # two signatures are compared whatever their tasks
        first, second = {"": next(iter(first.values()))}, {"": next(iter(second.values()))}
    differ = False
    for task in _compared(first, second):
        if task not in first or task not in second:
            print(f"{task}: only in the {'first' if task in first else 'second'}")
            differ = True
            continue
        parts = protocol.compare(first[task], second[task])
        differ |= bool(parts)
        rows = [[part.name, part.first, part.second, part.meaning] for part in parts]
        title = f"{task}: " if task else ""
        print(f"{title}{'same protocol' if not rows else 'must not share a table'}")
        if rows:
            print(tabulate(rows, ["part", "first", "second", "a difference means"], disable_numparse=True))
    return 1 if differ else 0


def _compared(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """Return the tasks of either; aggregates only if both have them, as a folder and a single table have none."""
    return [task for task in {**first, **second} if task != protocol.ALL or (task in first and task in second)]
