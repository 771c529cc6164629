"""Call the command line in this process, with toy tasks in place of the bundled ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from plugin_files import write

from rmsuite import cli, plugins


@dataclass(frozen=True)
class Answer:
    """What a command gives back."""

    code: int | str | None
    out: str
    err: str


@dataclass(frozen=True)
class Toys:
    """The command line, with a plugin file that offers toy methods and tasks given to each command."""

    folder: Path
    plugin: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, command: str, *arguments: Any) -> Answer:
        return self.bare(command, "--plugin", self.plugin, *arguments)

    def bare(self, *arguments: Any) -> Answer:
        """Call without the toys' plugin; no command may ever show a traceback."""
        try:
            code: int | str | None = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        answer = Answer(code, *self.capture.readouterr())
        assert "Traceback" not in answer.out + answer.err, answer
        return answer

    def install(self, monkeypatch: pytest.MonkeyPatch, *entries: Any) -> None:
        """Let these entry points be the installed ones."""
        monkeypatch.setattr(plugins, "entry_points", lambda group: list(entries))


def walk() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the name and the parser of each command."""
    for action in cli.parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def options(parser: argparse.ArgumentParser) -> set[str]:
    """Return the long names of a command's options, but for --help."""
    return {name for action in parser._actions for name in action.option_strings[-1:]} - {"--help"}


def set_up(folder: Path, text: str, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Toys:
    """Go into a folder, write the plugin file ``toys.py`` of this text there, and let no other plugin be installed."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])  # loading a plugin file adds its folder
    found = Toys(folder, write(folder / "toys.py", text), capture)
    found.install(monkeypatch)
    return found
