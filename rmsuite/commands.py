"""What each command does; ``cli`` parses, this calls the layers below and prints."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from rmsuite.errors import ResultsError, UnknownNameError, unknown_name
from rmsuite.executors import Local
from rmsuite.metrics import METRICS
from rmsuite.plugins import Catalogue
from rmsuite.render import render
from rmsuite.results import CellRecord
from rmsuite.tasks import Task, TaskBook


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
    executor = _executor(catalogue, book, options)
    n_cells = len(loaded) * repetitions * (len(entrants) + len(CONTROLS))
    with threadpool_limits(limits=1), _progress(n_cells) as bar:
        records = harness.run(
            loaded, entrants, repetitions, options.seed, executor, options.output, on_cell=lambda record: bar.update()
        )
        _print_tables(catalogue, options, records, {task.label for task in tasks})
    print(f"Results: {options.output}", file=sys.stderr)
    return _report_failures(records)


def _entrants(catalogue: Catalogue, names: Iterable[str]) -> list[harness.Entrant]:
    entrants = {}
    for text in names:
        plugin, configured = catalogue.configured(text)
        entrants[configured.label] = harness.Entrant(configured, plugin.origin)
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


def _progress(total: int) -> Any:
    return tqdm(total=total, unit="cell", leave=False, disable=not sys.stderr.isatty())


def _report_failures(records: Sequence[CellRecord]) -> int:
    failed = [record for record in records if record.status == "failed"]
    for record in failed:
        where = f"{record.method} on {record.task}, repetition {record.repetition}"
        print(f"rmsuite: {where} failed in {record.phase}: {record.error}", file=sys.stderr)
    return 1 if failed else 0


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
    for finding in findings:
        print(f"{finding.status:8}{finding.check.name:22}{finding.check.promise}")
        if finding.status != "passed":
            print(f"{'':8}{finding.evidence}" + (f". Do: {finding.remedy}" if finding.remedy else ""))
    failed = [finding for finding in findings if finding.status == "failed"]
    print(f"{configured.label}: {len(findings) - len(failed)} of {len(findings)} checks passed or did not apply")
    return 1 if failed else 0


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
    if options.name not in known:
        raise unknown_name("name", options.name, known, "see `rmsuite list methods` and its like")
    rows = [[key, _listed(value)] for key, value in known[options.name]().items()]
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
    for plugin in _catalogue(options).plugins:
        offers = ", ".join([*(method.name for method in plugin.methods), *(path.name for path in plugin.tasks)])
        print(f"{plugin.name}  ({plugin.origin})  " + (f"UNUSABLE: {plugin.problem}" if plugin.problem else offers))
        if plugin.problem and options.verbose:
            print(plugin.traceback)
    return 0


def new(options: Namespace) -> int:
    """Write the skeleton of a plugin."""
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
