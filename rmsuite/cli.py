"""The command line: parse, call, print.

Exit codes: 0 fine, 1 a cell failed or a check did not pass, 2 usage, 130 stopped.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import rmsuite
from rmsuite.errors import RmsuiteError

DEFAULT_HOME = Path("rmsuite-results")
KINDS = ("methods", "tasks", "suites", "metrics", "annotators", "controls")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        return _carry_out(arguments)
    except RmsuiteError as error:
        print(f"rmsuite: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("rmsuite: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _carry_out(arguments: Sequence[str] | None) -> int:
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without arrows gets question marks
        options = parser().parse_args(arguments)
        from rmsuite.commands import COMMANDS  # here, so that help needs neither scipy nor a plugin

        return COMMANDS[options.command](options)
    finally:
        sys.stdout.flush()  # not at the end of Python, where a closed pipe could not be met


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="rmsuite", description="A benchmark for reward models on embeddings: fixed tasks, honest intervals."
    )
    top.add_argument("--version", action="version", version=f"rmsuite {rmsuite.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_table(commands)
    _add_check(commands)
    _add_info(commands)
    command = _add(commands, "plugins", "show the plugins that are found, and why one is unusable")
    command.add_argument("-v", "--verbose", action="store_true", help="show the traceback of an unusable plugin")
    _add_new(commands)
    return top


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    command.add_argument(
        "--plugin", type=Path, action="append", default=[], metavar="FILE", help="a plugin file (repeatable)"
    )
    return command


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "run", "run methods and print the table beside stored baselines and controls")
    command.add_argument(
        "-m",
        "--method",
        action="append",
        required=True,
        metavar="NAME",
        help="a method, with parameters as in 'mine[penalty=1.0]' (repeatable)",
    )
    command.add_argument("-t", "--task", action="append", metavar="NAME", help="a task of the suite (repeatable)")
    command.add_argument("--suite", default="default", metavar="NAME", help="which tasks (default: default)")
    command.add_argument(
        "-r", "--repetitions", type=_positive, metavar="N", help="repetitions of each cell (default: the suite's)"
    )
    command.add_argument("--seed", type=int, default=0, help="root of all random streams (default: 0)")
    command.add_argument("-j", "--jobs", type=_positive, metavar="N", help="cells at a time (default: one a core)")
    _add_output(command)


def _add_table(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "table", "print the table of a results folder")
    command.add_argument("-t", "--task", action="append", metavar="NAME", help="only this task (repeatable)")
    _add_output(command)


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=DEFAULT_HOME,
        metavar="DIR",
        help=f"results folder (default: {DEFAULT_HOME})",
    )
    formats = ("text", "markdown", "csv", "json")
    command.add_argument("--format", choices=formats, default="text", help="of the table (default: text)")
    command.add_argument("--no-stored", action="store_true", help="leave the stored baseline results out")


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "check", "run the executable contract on a method")
    command.add_argument("method", metavar="NAME", help="a method, with parameters as in 'mine[penalty=1.0]'")


def _add_info(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = _add(commands, "list", "list what there is")
    command.add_argument("kind", choices=KINDS)
    command = _add(commands, "info", "describe a method, task, suite, metric, annotator or control")
    command.add_argument("name", metavar="NAME")


def _add_new(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("new", help="write the skeleton of a plugin", description="Write a skeleton.")
    command.add_argument("what", choices=["plugin"])
    command.add_argument("name", metavar="NAME", help="the method's name")
    command.add_argument("--into", type=Path, default=Path(), metavar="DIR", help="parent folder (default: here)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return int(text)
