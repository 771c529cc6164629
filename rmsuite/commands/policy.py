"""``rmsuite policy``: train policies against fitted reward models, and print what they gain in gold."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rmsuite import policy_cells
from rmsuite.book import TaskBook
from rmsuite.commands import ending, executing, figures, planning, shared
from rmsuite.errors import unknown_name
from rmsuite.plugins import Catalogue
from rmsuite.policies import Training
from rmsuite.policy_cells import Crossed
from rmsuite.policy_study import FOLDER, Improver, Study, improver, milestones
from rmsuite.render.policies import render_policies
from rmsuite.render.policy_figures import policy_figures
from rmsuite.reports.policies import policy_tables
from rmsuite.reports.policy_paths import policy_paths
from rmsuite.tasks import Task

DEFAULT_BETA = 0.05  # what the authors of ReMax trained with


@dataclass(frozen=True)
class _Asked:
    """What the options ask for."""

    options: Namespace
    catalogue: Catalogue
    book: TaskBook
    tasks: Sequence[Task]
    crossed: Crossed

    @property
    def home(self) -> Path:
        """Where the cells lie."""
        return Path(self.options.output / FOLDER)


def show_policies(options: Namespace) -> int:
    """Run every method with every optimizer and beta on every task, and print the tables."""
    figures.prepare(options)
    asked = _asked(options)
    plan, against = _planned(asked), _against(asked)
    if options.dry_run:
        return planning.show(plan, asked.home)
    ran = _computed(asked, plan)
    with ending.with_what_is_there(ran):
        tables = policy_tables(ran.records, options.target, against)
        print(render_policies(tables, options.format), flush=True)
        figures.write(options, lambda: policy_figures(policy_paths(ran.records, tables)))
    return ending.conclude(options, ran, asked.home)


def _asked(options: Namespace) -> _Asked:
    catalogue = shared.catalogue(options)
    book = shared.book(catalogue)
    entrants, study = planning.entrants(catalogue, options.method), _study(catalogue, options)
    crossed = Crossed(entrants, study, options.repetitions, options.seed)
    return _Asked(options, catalogue, book, planning.asked(book, options), crossed)


def _study(catalogue: Catalogue, options: Namespace) -> Study:
    training = Training(
        steps=options.steps,
        prompts=options.prompts,
        learning_rate=options.learning_rate,
        hidden=options.hidden,
        watch=milestones(options.steps),
    )
    betas = tuple(dict.fromkeys(options.beta or [DEFAULT_BETA]))
    improvers = _improvers(catalogue, options.optimizer, betas)
    return Study(improvers, betas, training, options.policies, float(options.shift))


def _against(asked: _Asked) -> str:
    """Return the label of the optimizer that samples are compared with, "" for none."""
    name = asked.options.against
    if name is None:
        return ""
    label = asked.catalogue.optimizer(name)[1].label
    known = [one.configured.label for one in asked.crossed.study.improvers]
    if label not in known:
        raise unknown_name("--against", label, known, "name it with --optimizer too")
    return label


def _improvers(catalogue: Catalogue, texts: Iterable[str], betas: Sequence[float]) -> list[Improver]:
    """Return the optimizers that names with hyperparameters stand for, each once and tried."""
    found = {}
    for text in texts:
        plugin, configured = catalogue.optimizer(text)
        code = catalogue.code_of_optimizer(configured)
        found[configured.label] = improver(configured, plugin.source, code, betas)
    return list(found.values())


def _planned(asked: _Asked) -> planning.Plan:
    """Decide which cells are computed; --force may name a method, an optimizer or a row."""
    names: dict[str, set[str]] = {}
    for entrant in asked.crossed.entrants:
        for name, (one, _) in asked.crossed.rows(entrant):
            labels = entrant.configured.label, one.configured.label
            names[name] = {name}.union(*map(planning.names, labels))
    cells = policy_cells.wanted(asked.tasks, asked.crossed)
    return planning.planned(cells, asked.options, asked.home, names.__getitem__)


def _computed(asked: _Asked, plan: planning.Plan) -> ending.Ran:
    """Compute open cells, with a bar, and return all cells that are there then, in the order of the study."""
    options, crossed, tasks = asked.options, asked.crossed, asked.tasks
    planning.announce(plan, tasks)
    improvers = crossed.study.improvers
    workers = executing.asked(asked.catalogue, asked.book, options, tasks, crossed.entrants, improvers)
    noted = executing.noted(asked.catalogue, options, asked.home, crossed.entrants, improvers)
    with ending.progress(len(plan.open), options) as advance, noted:
        watch, loaded = ending.watch(options, len(plan.open), advance), plan.loaded(tasks)
        with contextlib.suppress(ending.TooManyFailures):
            policy_cells.run(loaded, crossed, workers, options.output, watch, plan.leaves_out)
    return ending.Ran(plan.in_order([*plan.kept, *watch.records]), plan.n_cells, watch.stopped)
