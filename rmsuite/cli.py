"""The command line: parse, call, print.

Exit codes: 0 fine; 1 a cell failed, a check did not pass, or what was compared or verified differs; 2 what was asked
for cannot be done; 130 stopped; 143 terminated.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

import rmsuite
from rmsuite.commands import command
from rmsuite.commands.terminating import Terminated, terminable
from rmsuite.errors import RmsuiteError
from rmsuite.options import add_commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        with terminable():
            return _carry_out(arguments)
    except RmsuiteError as error:
        print(f"rmsuite: {_shown(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:
        print(f"rmsuite: {str(stopped) or 'stopped'}", file=sys.stderr)
        return 143 if isinstance(stopped, Terminated) else 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _shown(text: str) -> str:
    """Return text without codes that move a terminal: names of strangers stand in errors."""
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)


def _carry_out(arguments: Sequence[str] | None) -> int:
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal without arrows gets question marks
        given = sys.argv[1:] if arguments is None else [*arguments]
        options = parser().parse_args(given, argparse.Namespace(arguments=given))
        return command(options.command)(options)
    finally:
        sys.stdout.flush()  # not at the end of Python, where a closed pipe could not be met


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="rmsuite", description="A benchmark for reward models on embeddings: fixed tasks, honest intervals."
    )
    top.add_argument("--version", action="version", version=f"rmsuite {rmsuite.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_commands(commands)
    return top
