"""``rmsuite policy``: train policies against fitted reward models, and print what they gain in gold."""

from __future__ import annotations

import contextlib
from argparse import Namespace

from rmsuite import policy_cells
from rmsuite.commands import ending, executing, figures, planning, policy_plan
from rmsuite.commands.policy_plan import Asked
from rmsuite.render.claims import render_claims
from rmsuite.render.policies import render_policies
from rmsuite.render.policy_figures import policy_figures
from rmsuite.reports.claims import verdicts
from rmsuite.reports.policies import policy_tables
from rmsuite.reports.policy_paths import policy_paths


def show_policies(options: Namespace) -> int:
    """Run methods with optimizers and betas on tasks, and print the tables, and what they say of a suite's claims."""
    figures.prepare(options)
    asked = policy_plan.asked(options)
    plan, against = asked.planned(), asked.against
    if options.dry_run:
        return planning.show(plan, asked.home)
    ran = _computed(asked, plan)
    with ending.with_what_is_there(ran):
        tables = policy_tables(ran.records, options.target, against)
        print(render_policies(tables, options.format), flush=True)
        found = verdicts(ran.records, asked.claims)
        if any(one.estimate for one in found):
            print(f"\n{render_claims(found, options.format, asked.departures)}", flush=True)
        figures.write(options, lambda: policy_figures(policy_paths(ran.records, tables)))
    return ending.conclude(options, ran, asked.home)


def _computed(asked: Asked, plan: planning.Plan) -> ending.Ran:
    """Compute open cells, with a bar, and return all cells that are there then, in the order of the study."""
    options, tasks = asked.options, asked.tasks
    planning.announce(plan, tasks)
    workers = executing.executor(asked.catalogue, asked.book, options, tasks, asked.entrants, asked.improvers)
    noted = executing.noted(asked.catalogue, options, asked.home, asked.entrants, asked.improvers)
    with ending.progress(len(plan.open), options) as advance, noted:
        watch, loaded = ending.watch(options, len(plan.open), advance), plan.loaded(tasks)
        with contextlib.suppress(ending.TooManyFailures):
            for group in asked.groups:
                left_out = plan.without(watch.records).leaves_out
                policy_cells.run(loaded, group, workers, options.output, watch, left_out)
    return ending.Ran(plan.in_order([*plan.kept, *watch.records]), plan.n_cells, watch.stopped)
