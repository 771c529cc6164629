"""What each command does; ``cli`` parses, this calls the layers below and prints."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tabulate import tabulate
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from rmsuite import checks, harness, plugins, results, scaffold, signature, tables
from rmsuite import tasks as cards
from rmsuite.annotators import ANNOTATORS
from rmsuite.controls import CONTROLS
from rmsuite.errors import PluginError, ResultsError, UnknownNameError, unknown_name
from rmsuite.executors import Local
from rmsuite.metrics import METRICS
from rmsuite.plugins import Catalogue
from rmsuite.render import render
from rmsuite.results import CellRecord
from rmsuite.tasks import LoadedTask, Task, TaskBook


def _catalogue(options: Namespace) -> Catalogue:
    return plugins.load(options.plugin)


def _book(catalogue: Catalogue) -> TaskBook:
    return cards.read_book(catalogue.folders("rmsuite_tasks"))


def run(options: Namespace) -> int:
    """Run methods on tasks, and print the tables."""
    catalogue = _catalogue(options)
    book = _book(catalogue)
    suite = book.suite(options.suite)
    entrants = _entrants(catalogue, options.method)
    tasks = [book.task(name) for name in dict.fromkeys(options.task or suite.tasks)]
    loaded = [task.load() for task in tasks]
    repetitions = options.repetitions or suite.repetitions
    _refuse_another_signature(loaded, options.seed, options.output)
    executor = _executor(catalogue, book, options)
    n_cells = len(loaded) * repetitions * (len(entrants) + len(CONTROLS))
    with threadpool_limits(limits=1):
        with _progress(n_cells, options.output) as advance:
            records = harness.run(
                loaded, entrants, repetitions, options.seed, executor, options.output, on_cell=advance
            )
        _print_tables(catalogue, options, records, {task.label for task in tasks})
    print(f"Results: {options.output}", file=sys.stderr)
    return _report_failures(options.output, records)


def _refuse_another_signature(loaded: Iterable[LoadedTask], seed: int, home: Path) -> None:
    for task in loaded:
        line = harness.signature_line(task, seed)
        for other in results.signatures(home / task.card.label) - {line}:
            parts = "; ".join(f"{k}: {a} against {b}" for k, (a, b) in signature.differences(other, line).items())
            raise ResultsError(
                who=f"results folder {home}",
                expected=f"results of {task.card.label} with the signature of this run",
                got=f"others ({parts})",
                do="give another folder with --output, or delete this one",
            )


def _entrants(catalogue: Catalogue, names: Iterable[str]) -> list[harness.Entrant]:
    entrants = {}
    for text in names:
        plugin, configured = catalogue.configured(text)
        entrants[configured.label] = harness.Entrant(configured, plugin.source)
    clash = sorted({control.name for control in CONTROLS} & set(entrants))
    if clash:
        got = f"{clash[0]!r}, which is a control of every table"
        raise UnknownNameError(who="--method", expected="a method", got=got, do="rename the method")
    return list(entrants.values())


def _executor(catalogue: Catalogue, book: TaskBook, options: Namespace) -> Local:
    loaders = tuple(partial(plugins.load_file, path) for path in catalogue.files)
    forbidden = _forbidden(catalogue, book, options.output)
    return Local(options.jobs or len(os.sched_getaffinity(0)), forbidden, loaders)


def _forbidden(catalogue: Catalogue, book: TaskBook, output: Path) -> tuple[Path, ...]:
    # What holds gold, not the folders around it: a plugin's own modules may lie beside its pools, or in the output.
    pools = {root / "pools" for root in catalogue.folders("rmsuite_tasks")}
    stored = {cells for home in (output, *catalogue.folders("rmsuite_results")) for cells in home.glob("*@*")}
    return tuple(sorted(pools | stored | {output / task.label for task in book.tasks.values()}))


@contextlib.contextmanager
def _progress(total: int, home: Path) -> Iterator[Callable[[CellRecord], None]]:
    count = 0
    with tqdm(total=total, unit="cell", leave=False, disable=not sys.stderr.isatty()) as bar:

        def advance(_record: CellRecord) -> None:
            nonlocal count
            count += 1
            bar.update()

        try:
            yield advance
        except KeyboardInterrupt:
            bar.close()
            kept = f"{count} of {total} cells are finished and kept in {home}; a new run starts over"
            print(f"rmsuite: {kept}", file=sys.stderr)
            raise


def _report_failures(home: Path, records: Sequence[CellRecord]) -> int:
    groups: dict[tuple[str, ...], list[CellRecord]] = {}
    for record in records:
        if record.status == "failed":
            groups.setdefault((record.method, record.task, record.phase, record.error), []).append(record)
    for (method, task, phase, error), group in groups.items():
        numbers = ", ".join(map(str, sorted(record.repetition for record in group)))
        where = f"{method} on {task}, repetition{'s' if len(group) > 1 else ''} {numbers}"
        print(f"rmsuite: {where} failed in {phase}: {error}", file=sys.stderr)
        print(f"  its traceback and output: {results.cell_path(home, group[0])}", file=sys.stderr)
    return 1 if groups else 0


def table(options: Namespace) -> int:
    """Print the tables of a results folder."""
    records = [*results.read_all(options.output)]
    if not records:
        do = "run `rmsuite run --method NAME` first, or give another folder with --output"
        raise ResultsError(who=f"results folder {options.output}", expected="finished cells", got="none", do=do)
    known = {record.task.partition("@")[0] for record in records}
    for name in options.task or ():
        if name not in known:
            raise unknown_name("task", name, known, f"see the folders in {str(options.output)!r}")
    asked = [record for record in records if record.task.partition("@")[0] in (options.task or known)]
    with threadpool_limits(limits=1):
        _print_tables(_catalogue(options), options, asked, {record.task for record in asked})
    return 0


def _print_tables(catalogue: Catalogue, options: Namespace, run: Sequence[CellRecord], tasks: set[str]) -> None:
    stored = [] if options.no_stored else _stored(catalogue, tasks)
    print(render(tables.tables(run, stored), options.format), flush=True)


def _stored(catalogue: Catalogue, tasks: set[str]) -> list[CellRecord]:
    folders = catalogue.folders("rmsuite_results")
    return [record for folder in folders for record in results.read_all(folder) if record.task in tasks]


def check(options: Namespace) -> int:
    """Run the executable contract on one method."""
    catalogue = _catalogue(options)
    plugin, configured = catalogue.configured(options.method)
    findings = checks.check_method(checks.Subject(configured, _listing(plugin)))
    shown = set()
    for finding in findings:
        print(f"{finding.status:8}{finding.check.name:22}{finding.check.promise}")
        if finding.status != "passed":
            text = f"{finding.evidence}" + (f". Do: {finding.remedy}" if finding.remedy else "")
            print(f"{'':8}{'as above' if text in shown else text}")
            shown.add(text)
    count = Counter(finding.status for finding in findings)
    print(f"{configured.label}: {count['passed']} passed, {count['failed']} failed, {count['skipped']} did not apply")
    return 1 if count["failed"] else 0


def _listing(plugin: plugins.Plugin) -> str:
    if plugin.origin.endswith(".py"):
        return checks.file_listing(Path(plugin.origin))
    group = f"entry_points(group={plugins.GROUP!r}, name={plugin.name!r})"
    return f"from importlib.metadata import entry_points; [e.load() for e in {group}]"


def show_list(options: Namespace) -> int:
    """List one kind of thing."""
    catalogue = _catalogue(options)
    rows = LISTS[options.kind](catalogue)
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))
    return 0


def _list_methods(catalogue: Catalogue) -> Sequence[Sequence[str]]:
    return [[name, m.summary, p.origin] for name, owners in catalogue.owners.items() for p, m in owners]


LISTS: Mapping[str, Any] = {
    "methods": _list_methods,
    "tasks": lambda catalogue: [[t.name, f"version {t.version}", t.question] for t in _book(catalogue).tasks.values()],
    "suites": lambda catalogue: [[s.name, s.summary, ", ".join(s.tasks)] for s in _book(catalogue).suites.values()],
    "metrics": lambda catalogue: [[m.name, m.direction, m.summary] for m in METRICS],
    "annotators": lambda catalogue: [[name, _first_line(make)] for name, make in ANNOTATORS.items()],
    "controls": lambda catalogue: [[control.name, control.summary] for control in CONTROLS],
}


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]


def info(options: Namespace) -> int:
    """Describe one thing by name."""
    catalogue = _catalogue(options)
    book = _book(catalogue)
    known: dict[str, Any] = {name: partial(_info_method, catalogue, name) for name in catalogue.owners}
    known |= {name: partial(_info_task, task) for name, task in book.tasks.items()}
    known |= {name: partial(_facts, suite) for name, suite in book.suites.items()}
    known |= {metric.name: partial(_facts, metric, "per_prompt") for metric in METRICS}
    known |= {name: lambda make=make: {"annotator": make.__doc__} for name, make in ANNOTATORS.items()}
    known |= {control.name: partial(_facts, control, "reward", "floor") for control in CONTROLS}
    name = re.split(r"[@\[]", options.name)[0]  # as tables print it, with version or parameters
    if name not in known:
        raise unknown_name("name", name, known, "see `rmsuite list methods` and its like")
    rows = [[key, _listed(value)] for key, value in known[name]().items()]
    print(tabulate(rows, tablefmt="plain", disable_numparse=True))
    return 0


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _info_method(catalogue: Catalogue, name: str) -> dict[str, Any]:
    plugin, method = catalogue.owned(name)
    defaults = {key: "(required)" if value is ... else repr(value) for key, value in method.defaults().items()}
    parameters = {f"parameter {key}": value for key, value in defaults.items()} or {"parameters": "none"}
    facts = {"method": name, "summary": method.summary, "reference": method.reference, "plugin": plugin.origin}
    return {**facts, **parameters}


def _info_task(task: Task) -> dict[str, Any]:
    loaded = task.load()
    shown = {k: v for k, v in loaded.pool_card.items() if k not in ("sha256", "generators", "format", "name")}
    shown["known_flaws"] = "\n".join(shown.get("known_flaws", ()))
    sizes = {f"{part} prompts": len(prompts) for part, prompts in loaded.parts.items()}
    return {**_facts(task, "root"), **shown, **sizes, "signature": signature.write(loaded.signature())}


def _facts(record: object, *hidden: str) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in hidden}


def show_plugins(options: Namespace) -> int:
    """Show every plugin, and why one is unusable."""
    for plugin in plugins.load(options.plugin, strict=False).plugins:
        offers = ", ".join([*(method.name for method in plugin.methods), *(path.name for path in plugin.tasks)])
        print(f"{plugin.name}  ({plugin.origin})  " + (f"UNUSABLE: {plugin.problem}" if plugin.problem else offers))
        if plugin.problem and options.verbose:
            print(plugin.traceback)
    return 0


def new(options: Namespace) -> int:
    """Write the skeleton of a plugin."""
    taken = {control.name for control in CONTROLS} | set(plugins.load().owners)
    if options.name in taken:
        got = f"{options.name!r}, which exists"
        raise PluginError(who="new plugin", expected="a new name", got=got, do="choose another name")
    folder = scaffold.write(options.name, options.into)
    module = next(iter(folder.glob("rmsuite_*.py")))
    print(f"Wrote {folder}. Edit {module}, then:")
    print(f"  rmsuite check --plugin {module} {options.name}")
    print(f"  rmsuite run --plugin {module} --method {options.name}")
    return 0


COMMANDS: Mapping[str, Callable[[Namespace], int]] = {
    "run": run,
    "table": table,
    "check": check,
    "list": show_list,
    "info": info,
    "plugins": show_plugins,
    "new": new,
}
