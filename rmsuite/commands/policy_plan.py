"""What ``rmsuite policy`` is asked for, by options and by a suite's card, and which cells that makes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rmsuite import policy_cells
from rmsuite.book import TaskBook
from rmsuite.commands import planning, shared
from rmsuite.errors import RmsuiteError, unknown_name
from rmsuite.harness import Entrant
from rmsuite.method import Configured
from rmsuite.optimizers import ConfiguredOptimizer
from rmsuite.option_groups import BETA, REPETITIONS, TRAINING
from rmsuite.plugins import Catalogue, Plugin
from rmsuite.policies import Training
from rmsuite.policy_cells import Crossed
from rmsuite.policy_reference import UNIFORM
from rmsuite.policy_study import FOLDER, Improver, Study, improver, milestones
from rmsuite.policy_suites import Claim, PolicySuite, Runs, policy_suite
from rmsuite.tasks import Task


@dataclass(frozen=True)
class Asked:
    """What is asked for: tasks, each crossed with each group, and the claims that the suite makes of them.

    ``departures`` are what options say otherwise than the suite's card.
    """

    options: Namespace
    catalogue: Catalogue
    book: TaskBook
    tasks: Sequence[Task]
    groups: Sequence[Crossed]
    claims: Sequence[Claim]
    departures: Sequence[str] = ()

    @property
    def home(self) -> Path:
        """Where the cells lie."""
        return Path(self.options.output / FOLDER)

    @property
    def entrants(self) -> list[Entrant]:
        """The methods of all groups, each once."""
        return list({one.configured.label: one for group in self.groups for one in group.entrants}.values())

    @property
    def improvers(self) -> list[Improver]:
        """The optimizers of all groups, each once."""
        return list({one.configured.label: one for group in self.groups for one in group.study.improvers}.values())

    @property
    def against(self) -> str:
        """The label of the optimizer that samples are compared with, "" for none; unknown ones are refused."""
        if self.options.against is None:
            return ""
        label = self.catalogue.optimizer(self.options.against)[1].label
        known = [one.configured.label for one in self.improvers]
        if label not in known:
            raise unknown_name("--against", label, known, "name it with --optimizer too")
        return label

    def planned(self) -> planning.Plan:
        """Decide which cells are computed; --force may name a method, an optimizer or a row."""
        names: dict[str, set[str]] = {}
        for group in self.groups:
            for entrant in group.entrants:
                for name, (one, _) in group.rows(entrant):
                    labels = entrant.configured.label, one.configured.label
                    names[name] = {name}.union(*map(planning.names, labels))
        cells = (cell for group in self.groups for cell in policy_cells.wanted(self.tasks, group))
        once = {(cell.task, cell.method, cell.repetition): cell for cell in cells}
        return planning.planned(once.values(), self.options, self.home, names.__getitem__)


def asked(options: Namespace) -> Asked:
    """Return what the options ask for; a suite says what they leave open.

    Raises
    ------
    RmsuiteError
        If methods, optimizers or tasks are named neither by the options nor by a suite's card.
    """
    catalogue = shared.catalogue(options)
    book = shared.book(catalogue)
    card = _card(options, catalogue, book)
    given = {**TRAINING, **card.training}
    given |= {name: value for name in TRAINING if (value := getattr(options, name)) is not None}
    repetitions = options.repetitions or (book.suite(options.suite).repetitions if options.suite else REPETITIONS)
    groups = [
        Crossed(
            planning.entrants(catalogue, options.method or runs.methods),
            replace(
                _study(catalogue, options.optimizer or runs.optimizers, options.beta or runs.betas, given),
                shift=float(options.shift),
                reference=options.reference,
            ),
            repetitions,
            options.seed,
        )
        for runs in card.runs
    ]
    return Asked(
        options, catalogue, book, planning.asked_tasks(book, options), groups, card.claims, _departures(options, card)
    )


def _departures(options: Namespace, card: PolicySuite) -> list[str]:
    said = {**TRAINING, **card.training, "shift": 0, "reference": UNIFORM, "seed": 0}
    given = {name: getattr(options, name) for name in said}
    found = [f"{name} {given[name]} ({one})" for name, one in said.items() if given[name] not in (None, one)]
    return [*found, *(f"--{name} given" for name in ("method", "optimizer", "beta", "task") if getattr(options, name))]


def _card(options: Namespace, catalogue: Catalogue, book: TaskBook) -> PolicySuite:
    """Return what the suite's card says, or nothing where the options say it all."""
    suite = book.suite(options.suite) if options.suite else None
    needed = ("method", "optimizer") if suite else ("method", "optimizer", "task")
    missing = [name for name in needed if not getattr(options, name)]
    if suite and (missing or suite.study):
        return policy_suite(suite, book, partial(_label, catalogue.configured), partial(_label, catalogue.optimizer))
    if missing:
        do = f"give --{missing[0]} NAME, or a --suite that says it"
        raise RmsuiteError(who=f"--{missing[0]}", expected="one or more", got="none", do=do)
    return PolicySuite((Runs((), (), (BETA,)),), {}, ())


def _label(found: Callable[[str], tuple[Plugin, Configured | ConfiguredOptimizer]], text: str) -> str:
    return found(text)[1].label


def _study(
    catalogue: Catalogue, optimizers: Iterable[str], betas: Iterable[float], given: Mapping[str, float]
) -> Study:
    training = {name: value for name, value in given.items() if name != "policies"}
    betas = tuple(dict.fromkeys(betas))
    improvers = _improvers(catalogue, optimizers, betas)
    watched = Training(**training, watch=milestones(int(given["steps"])))  # type: ignore[arg-type]  # options are checked
    return Study(improvers, betas, watched, int(given["policies"]))


def _improvers(catalogue: Catalogue, texts: Iterable[str], betas: Sequence[float]) -> list[Improver]:
    """Return the optimizers that names with hyperparameters stand for, each once and tried."""
    found = {}
    for text in texts:
        plugin, configured = catalogue.optimizer(text)
        code = catalogue.code_of_optimizer(configured)
        found[configured.label] = improver(configured, plugin.source, code, betas)
    return list(found.values())
