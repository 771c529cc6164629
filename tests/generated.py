"""The generated parts of the READMEs. ``python tests/generated.py`` rewrites them; a test fails when they are stale."""

from __future__ import annotations

import io
import re
import shutil
from contextlib import redirect_stdout
from pathlib import Path

from rmsuite import cli, plugins, results
from rmsuite.book import read_book
from rmsuite.commands import shared
from rmsuite.render import render
from rmsuite.reports.tables import report
from rmsuite.tasks import Task

ROOT = Path(__file__).resolve().parents[1]
STORED = ROOT / "baselines" / "rmsuite_baselines" / "results"
BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
PAGES = ("README.md", "baselines/README.md", "tasks/README.md")


def leaderboard() -> str:
    """The stored results as tables."""
    return render(report(results.read_all(STORED), level=shared.level(STORED)), "markdown")


def commands() -> str:
    """The help of the command line."""
    return "```\n" + re.sub(r"\x1b\[[0-9;]*m", "", cli.parser().format_help()).strip() + "\n```"


def methods() -> str:
    """The baselines, by their own records."""
    rows = [["method", "what it is", "source"], ["---"] * 3]
    rows += [[m.name, m.summary, m.reference] for m in _baselines().methods]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def optimizers() -> str:
    """The optimizers among the baselines, with what has to be tuned."""
    rows = [["optimizer", "what it is", "hyperparameters", "source"], ["---"] * 4]
    rows += [
        [o.name, o.summary, ", ".join(o.hyperparameters()) or "none", o.reference] for o in _baselines().optimizers
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _baselines() -> plugins.Plugin:
    return next(plugin for plugin in plugins.load().plugins if plugin.name == "rmsuite-baselines")


def task_index() -> str:
    """The tasks, by their cards."""
    book = read_book([ROOT / "tasks" / "rmsuite_tasks"])
    header = ["task", "question", "prompts (train / validation / test)", "responses", "labels", "licence"]
    rows = [header, ["---"] * len(header)]
    for task in book.tasks.values():
        loaded = task.load()
        sizes = " / ".join(str(len(prompts)) for prompts in loaded.parts.values())
        responses = f"{len(loaded.pool.response_id):,}"
        card = loaded.pool_card
        labels = f"gold reward model {task.gold}" if task.gold else card["label_source"]
        rows.append([task.label, task.question, sizes, responses, labels, card["licence"]])
    flaws = [
        f"\n**{task.name}**: known flaws\n\n" + "\n".join(f"- {flaw}" for flaw in flaws_of(task))
        for task in book.tasks.values()
        if not task.gold
    ]
    return "\n".join([*(f"| {' | '.join(row)} |" for row in rows), *flaws])


def flaws_of(task: Task) -> list[str]:
    """What is known to be wrong with a task: by its pool's card, and by the leaks that were measured."""
    leaks = task.facts()["leaks"]
    near = leaks["test_prompts_near_training"]
    dialogues = leaks["test_dialogues_that_begin_or_continue_training"]
    measured = [f"Test prompts that are nearly a training or validation prompt: {near}."] * bool(near)
    measured += [f"Test prompts that begin or continue a training or validation dialogue: {dialogues}."] * bool(
        dialogues
    )
    for other, facts in leaks.get("shared_with", {}).items():
        near, equal = facts["near_duplicates"], facts["equal_prompts"]
        measured.append(f"Pairs of near-duplicates with prompts of {other}: {near}; equal prompts: {equal}.")
    return [*task.load().pool_card["known_flaws"], *measured]


STATED = (
    ("n_pairs", "{:,}"),
    ("longer_wins", "{:.1%}"),
    ("spearman_of_length_with_gold", "{:+.2f}"),
    ("accuracy_of_knowing_the_generator", "{:.1%}"),
    ("raters_order_alike", "{:.1%}"),
)


def pool_facts() -> str:
    """What was measured of each task's pool, and how far a plain method rises above the controls."""
    book = read_book([ROOT / "tasks" / "rmsuite_tasks"])
    header = ["task", "pairs", "longer wins", "length and gold", "knowing the generator", "raters order alike"]
    header += ["method", "pair accuracy", "best control", "gain", "gain / its standard error"]
    rows = [header, ["---"] * len(header)]
    for task in book.tasks.values():
        facts = task.facts()
        statistics, signal = facts["statistics"], facts["signal"][task.label]
        # What is said of a pool's own labels says nothing of a gold reward model's.
        own = dict.fromkeys(statistics, "") if task.gold else statistics
        row = [task.label, *(shown.format(own[name]) if own.get(name, "") != "" else "" for name, shown in STATED)]
        row += [signal["method"], interval(signal["pair_accuracy"], ""), signal["best_control"]]
        rows.append([*row, interval(signal["gain"], "+"), f"{signal['gain_in_standard_errors']:.1f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def interval(numbers: list[float], sign: str) -> str:
    """A value with its interval, in percent."""
    value, low, high = (f"{100 * number:{sign}.1f}" for number in numbers)
    return f"{value} [{low}, {high}]"


GENERATORS = {
    "leaderboard": leaderboard,
    "commands": commands,
    "methods": methods,
    "optimizers": optimizers,
    "tasks": task_index,
    "facts": pool_facts,
}


def fresh(page: str) -> str:
    """Return a page with its generated blocks made anew."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return BLOCK.sub(lambda match: f"{match[1]}{GENERATORS[match[2]]()}\n{match[3]}", text)


# The default suite has neither attribute labels nor ratings: what needs them is told what to do, or left out.
TOLD = {"dmoerm": ["dmoerm[attributes=directions]"], "regression": []}
FURTHER = [
    "active[rule=random]",
    "ensemble[rule=uwo]",
    "ensemble[rule=wco]",
    "dmoerm[attributes=directions,routing=none]",
]


def reference_methods() -> list[str]:
    """The methods whose results are stored, as one types them."""
    names = [name for method in _baselines().methods for name in TOLD.get(method.name, [method.name])]
    return [*names, *FURTHER]


def make_results() -> None:
    """Run the baselines on the default suite into the stored results, and verify them by a second run."""
    shutil.rmtree(STORED)
    arguments = [argument for name in reference_methods() for argument in ("--method", name)]
    with redirect_stdout(io.StringIO()):
        cli.main(["run", *arguments, "--no-stored", "--output", str(STORED)])
        (STORED / "environment.json").unlink()  # of this machine, not of the results
        cli.main(["verify", str(STORED), "--rerun", "all"])


def main() -> None:
    """Rewrite stored results and pages."""
    make_results()
    for page in PAGES:
        (ROOT / page).write_text(fresh(page), encoding="utf-8")


if __name__ == "__main__":
    main()
