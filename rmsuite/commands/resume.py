"""The command that goes on where a run ended, to be pasted into a shell."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import rmsuite

PACKAGE = Path(rmsuite.__file__).parent


def command(arguments: Sequence[str], only_failed: bool = False) -> str:
    """Return the command of these arguments without what computes finished cells again, quoted for a shell.

    Parameters
    ----------
    arguments : sequence of str
        Of ``run``, ``curve`` or ``transfer``, as they were given.
    only_failed : bool
        Whether it is to compute the failed cells only, whatever cells the arguments asked for.
    """
    given, others = _parted(arguments)
    only = "failed" if only_failed else given.only
    return shlex.join([*_program(), *others, *(["--only", only] if only else [])])


def left_out(arguments: Sequence[str]) -> str:
    """Return the options among the arguments that ``command`` leaves out, but for ``--only``; nothing if none."""
    given, _ = _parted(arguments)
    return " and ".join(["--force"] * bool(given.force) + ["--no-cache"] * given.no_cache)


def _parted(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Return the options that say which cells are computed, apart from all other arguments.

    The parser of the commands has accepted the arguments, so that a shortened option is one of these or none.
    """
    few = argparse.ArgumentParser(add_help=False)
    few.add_argument("--force", action="append")
    few.add_argument("--no-cache", action="store_true")
    few.add_argument("--only")
    return few.parse_known_args(arguments)


def _program() -> list[str]:
    """Return how rmsuite was called; by its name where it is on the path, or where another program called it."""
    called = Path(sys.argv[0])
    if called == PACKAGE / "__main__.py":
        return [sys.executable, "-m", "rmsuite"]
    known = shutil.which("rmsuite")
    is_known = known is not None and called.exists() and called.samefile(known)
    return [sys.argv[0]] if called.stem == "rmsuite" and called.is_file() and not is_known else ["rmsuite"]
