"""``rmsuite policy``: train policies against fitted reward models, and print what they gain in gold."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rmsuite import policy_cells, results, reuse, signature
from rmsuite.book import TaskBook
from rmsuite.commands import ending, executing, run, shared
from rmsuite.errors import ResultsError, unknown_name
from rmsuite.executors import Local
from rmsuite.harness import Entrant
from rmsuite.plugins import Catalogue
from rmsuite.policies import Training
from rmsuite.policy_study import FOLDER, Improver, Study, milestones
from rmsuite.render.policies import render_policies
from rmsuite.reports.policies import policy_tables
from rmsuite.results import CellRecord
from rmsuite.tasks import Task

DEFAULT_BETA = 0.05  # what the authors of ReMax trained with


def show_policies(options: Namespace) -> int:
    """Run every method with every optimizer and beta on every task, and print the tables."""
    catalogue = shared.catalogue(options)
    book = shared.book(catalogue)
    entrants, study = run.entrants(catalogue, options.method), _study(catalogue, options)
    tasks, against = run.asked(book, options), _against(catalogue, study, options)
    _refuse_another_signature(tasks, study, options)
    cells = list(policy_cells.wanted(tasks, entrants, study, options.repetitions, options.seed))
    kept, todo = _planned(cells, options)
    if kept:
        print(f"rmsuite: {len(kept)} of {len(cells)} cells are there already", file=sys.stderr)
    records = [*kept, *_computed(catalogue, book, options, tasks, entrants, study, todo)]
    order = {(cell.task, cell.method, cell.repetition): place for place, cell in enumerate(cells)}
    records.sort(key=lambda record: order[record.task, record.method, record.repetition])
    print(render_policies(policy_tables(records, options.target, against), options.format), flush=True)
    return _conclude(options, records)


def _study(catalogue: Catalogue, options: Namespace) -> Study:
    improvers = {}
    for text in options.optimizer:
        plugin, configured = catalogue.optimizer(text)
        improvers[configured.label] = Improver(configured, plugin.source, catalogue.code_of_optimizer(configured))
    training = Training(
        steps=options.steps,
        prompts=options.prompts,
        learning_rate=options.learning_rate,
        hidden=options.hidden,
        watch=milestones(options.steps),
    )
    betas = tuple(dict.fromkeys(options.beta or [DEFAULT_BETA]))
    return Study(list(improvers.values()), betas, training, options.policies, float(options.shift))


def _against(catalogue: Catalogue, study: Study, options: Namespace) -> str:
    """Return the label of the optimizer that samples are compared with, "" for none."""
    if options.against is None:
        return ""
    label, known = catalogue.optimizer(options.against)[1].label, [one.configured.label for one in study.improvers]
    if label not in known:
        raise unknown_name("--against", label, known, "name it with --optimizer too")
    return label


def _planned(cells: Iterable[reuse.Wanted], options: Namespace) -> tuple[list[CellRecord], list[reuse.Wanted]]:
    """Return results that are there and stay, and cells to compute."""
    home = options.output / FOLDER
    found = [(cell, None if options.no_cache else reuse.kept(home, cell).record) for cell in cells]
    return [record for _, record in found if record], [cell for cell, record in found if not record]


def _computed(
    catalogue: Catalogue,
    book: TaskBook,
    options: Namespace,
    tasks: Sequence[Task],
    entrants: Sequence[Entrant],
    study: Study,
    todo: Sequence[reuse.Wanted],
) -> list[CellRecord]:
    open_ = {(cell.task, cell.method, cell.repetition) for cell in todo}
    loaded = [task.load() for task in tasks if any(cell.task == task.label for cell in todo)]
    workers = _workers(catalogue, book, options, tasks, entrants, study)
    with ending.progress(len(todo), options) as advance:
        return policy_cells.run(
            loaded,
            entrants,
            study,
            options.repetitions,
            options.seed,
            workers,
            options.output,
            advance,
            lambda *cell: cell not in open_,
        )


def _workers(
    catalogue: Catalogue,
    book: TaskBook,
    options: Namespace,
    tasks: Sequence[Task],
    entrants: Sequence[Entrant],
    study: Study,
) -> Local:
    """Return local workers, whose common process has imported what optimizers need too."""
    methods = [entrant.configured for entrant in entrants]
    local = executing.local(catalogue, book, options.output, options.jobs, methods, tasks)
    made = {catalogue.module_of(one.configured.optimizer.make) for one in study.improvers}
    names = {module.__name__ for module in made if module} - set(local.conditions.files)
    modules = tuple(sorted({*local.conditions.modules, *names, "rmsuite.policy_worker"}))
    memory = options.memory and int(options.memory * 2**20)
    return replace(local, conditions=replace(local.conditions, modules=modules, timeout=options.timeout, memory=memory))


def _refuse_another_signature(tasks: Iterable[Task], study: Study, options: Namespace) -> None:
    for task in tasks:
        line = policy_cells.signature_line(task, study, options.seed)
        for other in results.signatures(results.task_folder(options.output / FOLDER, task.label)) - {line}:
            raise ResultsError(
                who=f"results folder {options.output}",
                expected=f"policies on {task.label} with the signature of this run",
                got=f"others ({signature.worded(other, line)})",
                do="give another folder with --output, or delete this one",
            )


def _conclude(options: Namespace, records: Sequence[CellRecord]) -> int:
    home = options.output / FOLDER
    print(f"Results: {home}", file=sys.stderr)
    failed = [record for record in records if record.status == "failed"]
    ending.report_failures(home, failed)
    return 1 if failed else 0
