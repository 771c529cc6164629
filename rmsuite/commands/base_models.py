"""``rmsuite base-models``: which base model to choose, and what would have told before training."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence

from tqdm import tqdm

from rmsuite.choice.bases import BaseModels
from rmsuite.choice.gains import SIZES
from rmsuite.choice.presence import TOKEN, Presence, read_presence
from rmsuite.choice.results import read_results
from rmsuite.choice.scores import BUNDLED, Scores, read_scores
from rmsuite.commands import ending, figures, own_bases, planning, run, shared
from rmsuite.errors import RmsuiteError
from rmsuite.metrics import metric
from rmsuite.options import DEFAULT_HOME
from rmsuite.render.base_models import render_own
from rmsuite.render.choice import render_choice
from rmsuite.render.choice_figures import choice_figures
from rmsuite.reports import base_models
from rmsuite.reports.base_models import as_bases, base_tables
from rmsuite.reports.base_records import BaseStudy, BaseTable
from rmsuite.reports.choice import Choice, Settings, n_fits, study

PAPER = "ahrabian2025"
# What says how cells are run, and what it is where it is not given.
OF_RUNS = dict.fromkeys(
    ("task", "repetitions", "force", "only", "timeout", "memory", "address", "jobs", "fail_on_error")
)
OF_RUNS |= dict.fromkeys(("explain_cache", "no_cache", "dry_run", "exitfirst", "in_process", "pdb"), False)
OF_RUNS |= {"metric": [], "suite": "base-models", "output": DEFAULT_HOME, "executor": "processes"}


def show_choice(options: Namespace) -> int:
    """Read results or make them with methods, join them with scores, analyse both, and print the tables."""
    figures.prepare(options)
    if options.method:
        return _show_own(options)
    _refuse_what_has_no_effect(options)
    if options.plugin:
        shared.catalogue(options)  # a broken one is a mistake, needed or not
    bases, scores = read_results(options.results or PAPER), read_scores(options.scores or [BUNDLED])
    found = _studied(bases, scores, _presence(options), options, SIZES)
    print(render_choice(found, options.format), flush=True)
    figures.write(options, lambda: choice_figures(found))
    return 0


def _refuse_what_has_no_effect(options: Namespace) -> None:
    for name, absent in OF_RUNS.items():
        if getattr(options, name) != absent:
            option = f"--{name.replace('_', '-')}"
            expected, do = "--method too: there is nothing to run else", f"add --method, or leave out {option}"
            raise RmsuiteError(who=option, expected=expected, got="none", do=do)


def _presence(options: Namespace) -> Presence | None:
    if options.log_probabilities:
        return read_presence(options.log_probabilities, options.per or TOKEN)
    for option, given in (("--per", options.per), ("--inherit", options.inherit)):
        if given:
            do = f"add --log-probabilities FILE, or leave out {option}"
            raise RmsuiteError(who=option, expected="--log-probabilities too", got="none", do=do)
    return None


def _studied(
    bases: BaseModels, scores: Scores, presence: Presence | None, options: Namespace, sizes: Sequence[float]
) -> Choice:
    settings = Settings(
        ties=options.ties,
        n_draws=options.draws,
        seed=options.seed,
        sizes=options.sizes or tuple(sizes),
        defaults=None if options.default is None else tuple(options.default),
        inherit=options.inherit,
    )
    n = n_fits(bases, presence is not None)
    with tqdm(total=n, unit="fit", leave=False, disable=not sys.stderr.isatty()) as bar:
        return study(bases, scores, settings, bar.update, presence)


def _show_own(options: Namespace) -> int:
    """Run methods on the variants of tasks, and print the tables of each study, then what scores tell of it."""
    for name in options.metric:
        metric(name)  # a misspelt one is refused before anything is run
    catalogue = shared.catalogue(options)
    found, scores = own_bases.studies(shared.book(catalogue), options), read_scores(options.scores or [BUNDLED])
    presence = _presence(options)
    entrants = planning.entrants(catalogue, options.method)
    options = Namespace(**{**vars(options), "task": [label for one in found for label in one.tasks.values()]})
    if options.dry_run:
        return run.run(options)
    ran = run.run_cells(catalogue, options, entrants)
    methods = [entrant.configured.label for entrant in entrants]
    with ending.with_what_is_there(ran):
        _print(found, ran, methods, (scores, presence), options)
    return ending.conclude(options, ran)


def _print(
    found: Sequence[BaseStudy],
    ran: ending.Ran,
    methods: Sequence[str],
    known: tuple[Scores, Presence | None],
    options: Namespace,
) -> None:
    sizes = options.sizes or base_models.SIZES
    shown: list[tuple[BaseTable, Choice | None]] = []
    for one in found:
        for table in base_tables(ran.records, one, methods, options.metric, sizes):
            ordered = table.metric.ordered
            shown.append((table, _studied(as_bases(table), *known, options, sizes) if ordered else None))
    print(render_own(shown, options.format), flush=True)
    figures.write(options, lambda: [one for _, choice in shown if choice for one in choice_figures(choice)])
