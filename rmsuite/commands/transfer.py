"""``rmsuite transfer``: run methods trained here and tested there, and print what is lost on the way."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from rmsuite.commands import ending, planning, run, shared
from rmsuite.errors import RmsuiteError
from rmsuite.metrics import metric
from rmsuite.render.transfer import render_transfer
from rmsuite.reports.transfer import Tested, transfer
from rmsuite.tasks import HEADLINE, Task

HALVES = {"all": "", "split": "/first-generators", "second": "/second-generators"}  # the halves, by a hash of the name


def show_transfer(options: Namespace) -> int:
    """Run every method on every task, and print the matrix of training sources and test parts."""
    metrics = options.metric or [HEADLINE]
    for name in metrics:
        metric(name)  # a misspelt one is refused before anything is run
    catalogue = shared.catalogue(options)
    book = shared.book(catalogue)
    tested = parts(planning.asked_tasks(book, options))
    entrants = planning.entrants(catalogue, options.method)
    ran = run.run_cells(catalogue, options, entrants)
    with ending.with_what_is_there(ran):
        found = transfer(ran.records, tested, [entrant.configured.label for entrant in entrants], metrics)
        print(render_transfer(found, options.format), flush=True)
    return ending.conclude(options, ran)


def parts(tasks: Sequence[Task]) -> list[Tested]:
    """Return the test parts of some distinct tasks, each with the tasks that share it by what they train on.

    Raises
    ------
    RmsuiteError
        If a part has no task that trains in-domain, or two that train on one source.
    """
    groups: dict[tuple[str, bool], list[Task]] = {}
    for task in tasks:
        groups.setdefault((task.plain_label, task.generators != "all"), []).append(task)
    return [_part(group) for group in groups.values()]


def _part(group: Sequence[Task]) -> Tested:
    plain, half = group[0].plain_label, HALVES["all" if group[0].generators == "all" else "second"]
    home = group[0].pool + half
    labels: dict[str, str] = {}
    for task in group:
        source = (task.train_pool or task.pool) + HALVES[task.generators]
        if source in labels:
            got, do = f"{labels[source]} and {task.label}", "leave one of them out"
            raise RmsuiteError(who=f"transfer to {plain}", expected=f"one task trained on {source}", got=got, do=do)
        labels[source] = task.label
    if home not in labels:
        got, do = f"only {', '.join(labels)}", "add the task without train_pool, or with generators=second"
        raise RmsuiteError(who=f"transfer to {plain}", expected=f"a task trained on {home}", got=got, do=do)
    return Tested(plain + half, home, labels)
