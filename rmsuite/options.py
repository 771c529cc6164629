"""The options of every command, with their help."""

from __future__ import annotations

import argparse
from pathlib import Path

from rmsuite.option_groups import (
    add_base_models,
    add_dry_run,
    add_figures,
    add_formats,
    add_jobs,
    add_log_probabilities,
    add_policies,
    add_reuse,
    add_seed,
    add_workers,
)
from rmsuite.option_values import count, positive, words

DEFAULT_HOME, DEFAULT_TASKS = Path("rmsuite-results"), Path("rmsuite-tasks")
FORMATS = ("text", "markdown", "latex", "csv", "json", "html")
KINDS = ("methods", "tasks", "suites", "metrics", "annotators", "controls", "embedders", "optimizers")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of all commands, in the order of the help."""
    _add_run(commands)
    _add_table(commands)
    _add_curve(commands)
    _add_transfer(commands)
    _add_policy(commands)
    _add_base_models(commands)
    _add_check(commands)
    _add_info(commands)
    command = _add(commands, "plugins", "show the plugins that are found, and why one is unusable")
    command.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an unusable plugin")
    _add_new(commands)
    _add_compare(commands)
    _add_inspect(commands)
    _add_verify(commands)
    _add_reproduce(commands)
    _add_cite(commands)
    _add_folders(commands)
    _add_coverage(commands)
    _add_embed(commands)
    add_log_probabilities(_add(commands, "log-probabilities", "ask language models how probable documents are"))
    _add_import(commands)
    _add_fetch(commands)
    _add_housekeeping(commands)


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help: str
) -> argparse.ArgumentParser:
    command = _add_bare(commands, name, help)
    command.add_argument(
        "--plugin", type=Path, action="append", default=[], metavar="FILE", help="a plugin file (repeatable)"
    )
    command.add_argument(
        "--tasks",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a folder of tasks, as `embed` writes it (repeatable; also RMSUITE_TASKS)",
    )
    return command


def _add_bare(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help: str
) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "run", "run methods and print the table beside stored baselines and controls")
    _add_cells(command)
    add_dry_run(command)
    command.add_argument("--in-process", action="store_true", help="run methods in this process, and keep no result")
    command.add_argument("--pdb", action="store_true", help="the same, with a debugger where a method fails")
    _add_format(command)
    _add_output(command)


def _add_curve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "curve", "run methods over values of a parameter and compare the areas under the curves")
    command.add_argument(
        "--over",
        metavar="NAME=A,B,...",
        help="a numeric parameter of every method, of the annotator (annotator.NAME) or of the task (task.NAME); "
        "default: the suite's",
    )
    _add_cells(command)
    _add_readable(command, "show this metric, not the task's (repeatable)")
    add_figures(command)


def _add_transfer(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "transfer", "run methods trained here and tested there, and print what is lost")
    _add_cells(command, suite="shift")
    _add_readable(command, "show this metric, not pair-accuracy (repeatable)")


def _add_policy(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "policy", "train policies against methods and print what they gain in gold reward")
    add_policies(command)
    add_reuse(command, "this method or optimizer, or this row of both")
    add_workers(command)
    add_dry_run(command)
    add_formats(command)
    add_figures(command)
    _add_folder(command)


def _add_base_models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "base-models", "study which base model to choose, and what tells before")
    _add_cells(command, suite="base-models", required=False)
    add_base_models(command)
    add_dry_run(command)
    _add_readable(command, "show this metric, not the task's first one (repeatable)")
    add_figures(command)


def _add_readable(command: argparse.ArgumentParser, metric: str) -> None:
    command.add_argument("--metric", action="append", default=[], metavar="NAME", help=metric)
    add_formats(command)
    _add_folder(command)


def _add_cells(command: argparse.ArgumentParser, suite: str = "default", required: bool = True) -> None:
    command.add_argument(
        "-m",
        "--method",
        action="append",
        required=required,
        metavar="NAME",
        help="a method, with parameters as in 'mine[penalty=1.0]' (repeatable)",
    )
    command.add_argument("-t", "--task", action="append", metavar="NAME", help="a task of the suite (repeatable)")
    command.add_argument("--suite", default=suite, metavar="NAME", help=f"which tasks (default: {suite})")
    command.add_argument(
        "-r", "--repetitions", type=positive, metavar="N", help="repetitions of each cell (default: the suite's)"
    )
    add_seed(command)
    add_reuse(command, "this method or control")
    add_workers(command)


def _add_table(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "table", "print the tables of a results folder")
    command.add_argument("-t", "--task", action="append", metavar="NAME", help="only this task (repeatable)")
    command.add_argument(
        "--metric", action="append", default=[], metavar="NAME", help="show this metric, not the task's (repeatable)"
    )
    command.add_argument(
        "--allow-mixed", action="store_true", help="show results with another signature too, marked, not compared"
    )
    _add_format(command)
    _add_output(command)


def _add_output(command: argparse.ArgumentParser) -> None:
    _add_folder(command)
    command.add_argument("--no-stored", action="store_true", help="leave the stored baseline results out")


def _add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=DEFAULT_HOME,
        metavar="DIR",
        help=f"results folder (default: {DEFAULT_HOME})",
    )


def _add_format(command: argparse.ArgumentParser) -> None:
    command.add_argument("--format", choices=FORMATS, default="text", help="of the table (default: text)")


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "compare", "compare two methods prompt by prompt, with stored results too")
    command.add_argument("first", metavar="A", help="a method or control, as tables print it")
    command.add_argument("second", metavar="B", help="another")
    command.add_argument("-t", "--task", action="append", metavar="NAME", help="only this task (repeatable)")
    command.add_argument("--items", type=Path, metavar="FILE", help="write every prompt as CSV, hardest first")
    command.add_argument("--format", choices=("text", "json"), default="text", help="of the output (default: text)")
    _add_output(command)


def _add_inspect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "inspect", "show a method's best-of-n curve and the reliability of its probabilities")
    command.add_argument("method", metavar="NAME", help="a method or control, as tables print it")
    command.add_argument("-t", "--task", action="append", metavar="NAME", help="only this task (repeatable)")
    command.add_argument("--format", choices=("text", "json"), default="text", help="of the output (default: text)")
    _add_output(command)


def _add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "verify", "recompute a results folder from its rewards, hashes and signatures")
    _add_home(command)
    command.add_argument("--rerun", type=count, metavar="N", help="also run N random cells again, or 'all' of them")
    command.add_argument("--seed", type=int, default=0, help="of the choice of cells (default: 0)")
    command.add_argument("--rounding", action="store_true", help="let last bits differ, as other processors' do")
    command.add_argument("--no-record", action="store_true", help="do not note the outcome beside the cells")
    add_jobs(command)


def _add_reproduce(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "reproduce", "run the commands behind a published table and compare every value")
    command.add_argument("table", type=Path, metavar="FILE", help="a file that holds a table, in any format of ours")
    command.add_argument("--commands-only", action="store_true", help="print the commands and run nothing")
    add_jobs(command)


def _add_cite(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "cite", "print BibTeX of what a results folder used, and a methods paragraph")
    command.add_argument("-t", "--task", action="append", metavar="NAME", help="only this task (repeatable)")
    command.add_argument("-m", "--method", action="append", metavar="NAME", help="only this method (repeatable)")
    command.add_argument("--format", choices=("bibtex", "text"), default="bibtex", help="of the list (default: bibtex)")
    _add_output(command)


def _add_folders(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "score", "recompute metrics from stored rewards, without fitting anything")
    _add_home(command)
    command = _add(commands, "export", "write results as one long table, a row for each cell and metric")
    _add_home(command)
    command.add_argument("--format", choices=("csv", "json"), default="csv", help="of the table (default: csv)")
    command.add_argument("--items", action="store_true", help="a row for each prompt instead")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to (default: standard output)")
    command = _add_bare(commands, "merge", "copy several results folders into a new one")
    command.add_argument("homes", type=Path, nargs="+", metavar="DIR", help="results folders")
    command.add_argument("--into", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    command.add_argument("--allow-mixed", action="store_true", help="also cells of one task with other signatures")
    command = _add_bare(commands, "diff-protocol", "say why two tables must not be merged")
    for name in ("first", "second"):
        command.add_argument(name, help="a signature, a results folder, or a file with a printed table")


def _add_home(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "home", type=Path, nargs="?", default=DEFAULT_HOME, metavar="DIR", help=f"results (default: {DEFAULT_HOME})"
    )


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "check", "run the executable contract on a method")
    command.add_argument("method", metavar="NAME", help="a method, with parameters as in 'mine[penalty=1.0]'")


def _add_info(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "list", "list what there is")
    command.add_argument("kind", choices=KINDS)
    command = _add(
        commands, "info", "describe a method, task, suite, metric, annotator, control, embedder or optimizer"
    )
    command.add_argument("name", metavar="NAME")


def _add_new(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add_bare(commands, "new", "write the skeleton of a plugin")
    command.add_argument("what", choices=["plugin"])
    command.add_argument("name", metavar="NAME", help="the method's name")
    command.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="parent folder (default: here)")


def _add_housekeeping(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add_bare(commands, "clean", "list what a results folder holds beside finished cells, and delete it")
    _add_home(command)
    command.add_argument("--all", action="store_true", help="finished cells too")
    command.add_argument("-y", "--yes", action="store_true", help="delete what is listed")
    _add(commands, "sys-info", "print what numbers and seconds rest on here: versions, processor, BLAS")


def _add_coverage(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add_bare(commands, "coverage", "simulate how often the intervals hold the truth")
    command.add_argument("--simulations", type=positive, default=4000, metavar="N", help="a case (default: 4000)")
    command.add_argument("--draws", type=positive, default=2000, metavar="N", help="resamples (default: 2000)")
    command.add_argument("--seed", type=int, default=0, help="of the simulations (default: 0)")
    command.add_argument("--hard", action="store_true", help="few prompts, accuracies near 1, unequal prompts")


def _add_embed(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "embed", "embed texts of your own and write them as a task")
    command.add_argument("texts", type=Path, metavar="TEXTS", help="JSON lines, Parquet, or a saved data set's folder")
    command.add_argument(
        "-e",
        "--embedder",
        default="hashed",
        metavar="NAME",
        help="an embedder, with parameters as in 'hashed[features=64]' (default: hashed)",
    )
    _add_own(command)


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add_bare(commands, "import", "make a task of embeddings and rewards that are there as arrays")
    command.add_argument("source", type=Path, metavar="DIR", help="a folder of .npy or .safetensors files")
    command.add_argument(
        "--axes",
        choices=("auto", "prompts", "responses"),
        default="auto",
        help="what the first axis counts (default: auto)",
    )
    command.add_argument("--base-model", default="unknown", metavar="NAME", help="what embedded (default: unknown)")
    command.add_argument("--copy", action="store_true", help="copy the files instead of linking to them")
    _add_own(command)


def _add_fetch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "fetch", "list what is too large for the package, or download it from a server")
    command.add_argument("names", nargs="*", metavar="NAME", help="what to download, patterns too; none: list all")
    command.add_argument("--url", metavar="URL", help="of the folder that has the files (also RMSUITE_URL); no default")
    command.add_argument(
        "--to",
        type=Path,
        default=DEFAULT_TASKS,
        metavar="DIR",
        help=f"folder of tasks to write to (default: {DEFAULT_TASKS})",
    )


def _add_own(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=DEFAULT_TASKS,
        metavar="DIR",
        help=f"folder of your tasks (default: {DEFAULT_TASKS})",
    )
    command.add_argument("--name", metavar="NAME", help="of the task (default: the file's)")
    command.add_argument("--question", type=words, metavar="TEXT", help="what the task asks, for lists")
    command.add_argument("--licence", type=words, metavar="TEXT", help="of the data, for tables")
