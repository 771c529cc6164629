"""A run that fails or is stopped keeps what is finished and says how to go on. Whoever runs for hours relies on it."""

from __future__ import annotations

import csv
import io
import shlex
import subprocess
import sys
from argparse import Namespace
from decimal import Decimal
from pathlib import Path

import pytest
from command_line import set_up
from plugin_files import METHOD
from running import text_within
from test_executors import assert_ends

from rmsuite import cli, harness, results
from rmsuite.commands import ending, resume, shared
from rmsuite.errors import ResultsError

# Methods that fail as long as a file is there, refuse, sleep for two minutes, and fail when another one sleeps.
PLUGIN = (
    METHOD
    + """

import os
import time
from pathlib import Path


class Fails(Mean):
    def fit(self, pairs, *, rng):
        if Path({flag!r}).exists():
            raise ValueError("not today")
        return super().fit(pairs, rng=rng)


class Refuses(Mean):
    def fit(self, pairs, *, rng):
        raise rmsuite.NotApplicable("not for me")


class Sleeps(Mean):
    def fit(self, pairs, *, rng):
        Path({note!r}).write_text(str(os.getpid()))
        time.sleep(120)
        return super().fit(pairs, rng=rng)


class FailsMeanwhile(Mean):
    def fit(self, pairs, *, rng):
        while not (Path({note!r}).exists() and Path({note!r}).read_text()):
            time.sleep(0.05)
        raise ValueError("meanwhile")


@rmsuite.hookimpl
def rmsuite_methods():
    made = dict(good=Mean, other=Mean, fails=Fails, refuses=Refuses, sleeps=Sleeps, meanwhile=FailsMeanwhile)
    return [rmsuite.Method(name=name, make=make) for name, make in made.items()]
"""
)
N_CONTROLS = 5
ONE = ("-t", "toy-gold", "-r", "1", "-j", "1")
THREE = ("-t", "toy-gold", "-r", "3", "-j", "1")
WAYS_ON = ("Go on with:", "Once what failed is mended, go on", "Run the failed cells again with:", "Go on (without")


@pytest.fixture
def toys(toy_root, tmp_path, capfd, monkeypatch):
    """The command line with a method that fails as long as the file ``flag`` is there, and toy tasks."""
    monkeypatch.setenv("RMSUITE_TASKS", str(toy_root))
    (tmp_path / "flag").touch()
    text = PLUGIN.format(flag=str(tmp_path / "flag"), note=str(tmp_path / "note"))
    return set_up(tmp_path, text, capfd, monkeypatch)


def mend() -> None:
    Path("flag").unlink()


def ways_on(errors: str) -> list[list[str]]:
    """The commands that a run printed to go on, as a shell splits them."""
    lines = errors.splitlines()
    return [shlex.split(lines[i + 1]) for i, line in enumerate(lines) if line.startswith(WAYS_ON)]


def way_on(answer) -> list[str]:
    ((program, *arguments),) = ways_on(answer.err)
    assert program == "rmsuite"
    return arguments


def there(home: str = "rmsuite-results") -> dict[tuple[str, int], str]:
    """The status of each cell in a folder, by method and repetition; controls apart."""
    cells = [cell for cell in results.read_all(Path(home)) if cell.kind == "method"]
    return {(cell.method, cell.repetition): cell.status for cell in cells}


def values(text: str) -> dict[str, dict[str, str]]:
    """The values of a table in CSV, by method and metric."""
    rows: dict[str, dict[str, str]] = {}
    for line in csv.DictReader(io.StringIO(text)):
        rows.setdefault(line["method"], {})[line["metric"]] = line["value"]
    return rows


@pytest.mark.parametrize("spelling", [["-x"], ["--exitfirst"], ["--fail-on-error", "0"]], ids=" ".join)
def test_a_run_that_stops_at_the_first_failure_keeps_what_is_finished_and_shows_just_that(toys, spelling):
    methods = ("-m", "good", "-m", "fails", "-m", "other")
    answer = toys("run", *ONE, *methods, *spelling, "--format", "csv", "--no-stored")
    assert answer.code == 1
    assert there() == {("good", 0): "ok", ("fails", 0): "failed"}
    option = spelling[0].replace("-x", "--exitfirst") + " 0" * (len(spelling) == 2)
    said = f"rmsuite: stopped by {option}: 7 of 8 cells are finished, 1 of them failed; the others are missing"
    assert answer.err.splitlines().count(said) == 1
    mend()
    whole = toys("run", *ONE, *methods, "--format", "csv", "--no-stored", "-o", "whole")
    shown, right = values(answer.out), values(whole.out)
    assert set(right) - set(shown) == {"other"}
    assert set(shown.pop("fails").values()) == {""}
    assert shown == {name: right[name] for name in shown}


def test_the_table_of_a_stopped_run_says_what_is_missing_and_shows_no_stored_row_for_it(toys, monkeypatch):
    mend()
    toys("run", *ONE, "-m", "good", "-m", "other", "-o", "stored")
    monkeypatch.setattr(shared, "stored", lambda *_given: list(results.read_all(Path("stored"))))
    Path("flag").touch()
    stopped = toys("run", *ONE, "-m", "fails", "-m", "other", "-x")
    assert "\nother " not in stopped.out
    assert "\ngood " in stopped.out  # stored, and not asked for: it stands beside the run
    assert "Note: other has no results here." in stopped.out
    assert "has no results here" not in toys("run", *ONE, "-m", "good", "-m", "fails").out


def test_a_stopped_run_with_too_little_for_a_table_still_says_what_failed_and_how_to_go_on(toys):
    """One method has repetition 1 only, the other 0 only: there is nothing to compare."""
    toys("run", *THREE, "-r", "2", "-m", "good")
    Path("rmsuite-results/toy-gold@1/good/0.json").unlink()
    answer = toys("run", *THREE, "-r", "2", "-m", "fails", "-m", "good", "-x")
    assert there() == {("fails", 0): "failed", ("good", 1): "ok"}
    assert (answer.code, answer.out) == (1, "")
    assert "rmsuite: no table yet: table of toy-gold@1: expected a repetition that all methods have" in answer.err
    assert "rmsuite: fails on toy-gold@1, repetition 0 failed in fit: ValueError: not today" in answer.err
    mend()
    assert toys.bare(*way_on(answer)).code == 0
    assert set(there().values()) == {"ok"}


def test_what_is_wrong_with_the_table_of_a_whole_run_is_an_error_though_cells_failed(toys, monkeypatch):
    def damaged(*_given):
        raise ResultsError(who="stored results", expected="whole cells", got="damage", do="install anew")

    monkeypatch.setattr(shared, "stored", damaged)
    answer = toys("run", *ONE, "-m", "fails")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "rmsuite: stored results: expected whole cells, got damage. Do: install anew.\n"


def test_a_table_of_nothing_is_refused_in_words(toys):
    answer = toys("transfer", *ONE, "--suite", "default", "-m", "good", "--only", "failed")
    assert (answer.code, answer.out) == (2, "")
    assert "table of toy-gold@1: expected finished cells, got none. Do: run the cells that are missing." in answer.err


@pytest.mark.parametrize(
    ("limit", "n_failed"), [("0", 1), ("1", 2), ("2", 3), ("9", 3), ("0.01", 1), ("0.06", 2), ("0.12", 3), ("0.9", 3)]
)
def test_a_run_goes_on_until_more_than_so_many_cells_have_failed(toys, limit, n_failed):
    """Of 3 x (5 controls, a method that fails, a good one) = 21 cells: 0.06 is 1.26 of them, 0.12 is 2.52."""
    answer = toys("run", *THREE, "-m", "fails", "-m", "good", "--fail-on-error", limit)
    assert answer.code == 1
    assert list(there().values()).count("failed") == n_failed
    stopped = f"stopped by --fail-on-error {limit}: " in answer.err
    assert stopped == (limit not in ("9", "0.9"))
    assert (list(there().values()).count("ok") < 3) == stopped


def failing(n_cells: int, limit: int | Decimal) -> int:
    """How many of a run's cells are computed if each of them fails."""
    watch = ending.watch(Namespace(exitfirst=False, fail_on_error=limit), n_cells, lambda record: None)
    for count in range(1, n_cells + 1):
        try:
            watch(Namespace(status="failed"))
        except ending.TooManyFailures:
            return count
    return n_cells


def test_as_many_as_allowed_is_not_more_whatever_binary_fractions_say():
    assert 0.29 * 100 < 29
    assert [failing(100, Decimal("0.29")), failing(100, 29)] == [30, 30]
    assert failing(100, Decimal("0.999")) == failing(100, 100) == 100
    assert failing(3, Decimal("1e-999999")) == 1


@pytest.mark.parametrize("value", ["-1", "1.0", "0.0", "1.5", "nan", "-0.5", "1e999999999", "few", "", "0.5.5"])
def test_what_is_no_limit_is_refused_before_anything_is_run(toys, value):
    answer = toys("run", *ONE, "-m", "good", f"--fail-on-error={value}")
    assert (answer.code, answer.out) == (2, "")
    assert "a whole number, or a fraction between 0 and 1" in answer.err
    assert not Path("rmsuite-results").exists()


def test_two_limits_are_refused(toys):
    assert toys("run", *ONE, "-m", "good", "-x", "--fail-on-error", "3").code == 2


def test_a_refusal_is_no_failure_and_a_failure_of_the_last_cell_stops_nothing(toys):
    refused = toys("run", *ONE, "-m", "refuses", "-m", "good", "-x")
    assert (refused.code, there()) == (0, {("refuses", 0): "skipped", ("good", 0): "ok"})
    last = toys("run", *ONE, "-m", "good", "-m", "fails", "-x")
    assert (last.code, "stopped" in last.err) == (1, False)
    assert way_on(last)[-2:] == ["--only", "failed"]


def test_a_failure_counts_in_the_run_in_which_it_happens(toys):
    toys("run", *THREE, "-m", "fails")
    answer = toys("run", *THREE, "-m", "fails", "-m", "good", "--only", "missing", "-x")
    assert (answer.code, "stopped" in answer.err) == (0, False)
    assert (
        "rmsuite: --only missing left 3 cells out, which are not in the table: 18 of 21 cells are finished"
        in answer.err
    )


def test_a_stopped_run_ends_its_workers_and_forgets_the_cells_that_they_were_at(toys):
    answer = toys("run", "-t", "toy-gold", "-r", "1", "-j", "2", "-m", "sleeps", "-m", "meanwhile", "-m", "good", "-x")
    assert answer.code == 1
    assert_ends(int(text_within(Path("note"))))
    assert there() == {("meanwhile", 0): "failed"}


@pytest.mark.parametrize("command", ["curve", "transfer"])
def test_the_other_commands_that_run_cells_stop_and_go_on_too(toys, command):
    more = {"curve": ["--over", "sign=1,2"], "transfer": []}[command]
    stopped = toys(command, *ONE, "--suite", "default", "-m", "fails", "-m", "good", *more, "-x")
    assert stopped.code == 1
    assert set(there().values()) == {"failed"}
    assert "no results" in stopped.out
    assert "rmsuite: stopped by --exitfirst: " in stopped.err
    mend()
    whole = toys.bare(*way_on(stopped))
    assert (whole.code, "no results" in whole.out) == (0, False)
    assert set(there().values()) == {"ok"}


def test_what_goes_on_after_failures_computes_these_and_nothing_else_wherever_it_is_pasted(toys):
    home = 'it\'s $HOME; and "more" *'
    failed = toys("run", *THREE, "-m", "good", "-m", "fails", "-o", home, "--force", "good", "--explain")
    assert failed.code == 1
    again = way_on(failed)
    assert again[-2:] == ["--only", "failed"]
    before = {path: path.read_bytes() for path in results.found(Path(home))}
    mend()
    mended = toys.bare(*again)
    assert (mended.code, ways_on(mended.err)) == (0, [])
    computed = [line for line in mended.err.splitlines() if "it failed in fit" in line]
    assert len(computed) == 3
    changed = {path.parent.name for path, data in before.items() if path.read_bytes() != data}
    assert changed == {"fails"}


def test_the_way_on_works_in_a_shell(toys, toy_root):
    """Pasted into a shell, also where rmsuite is no command on the path."""
    (toy_root / "suites" / "default.toml").unlink()  # the bundled one is there too
    start = [sys.executable, "-m", "rmsuite", "run", "--plugin", "toys.py", *ONE, "-m", "fails", "-o", "a b'c"]
    failed = subprocess.run(start, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    (line,) = [line for line in failed.stderr.splitlines() if line.endswith("--only failed")]
    mend()
    done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert there("a b'c") == {("fails", 0): "ok"}


def stopping_at(n_cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupt the run at its n-th cell of a method."""
    seen, finish = [], harness.method_cell

    def stop(*given):
        seen.append(given)
        if len(seen) >= n_cells:
            raise KeyboardInterrupt
        return finish(*given)

    monkeypatch.setattr(harness, "method_cell", stop)


@pytest.mark.parametrize("anew", ["--no-cache", "--no-ca", "--force=good", ""])
def test_an_interrupted_run_goes_on_with_the_rest_though_all_was_to_be_computed_anew(toys, monkeypatch, anew):
    run = ("run", *THREE, "-m", "good", "-m", "other", "--explain-cache", *anew.split())
    with monkeypatch.context() as patch:
        stopping_at(4, patch)
        answer = toys(*run)
    assert answer.code == 130
    assert "rmsuite: 18 of 21 cells are finished and kept in rmsuite-results\n" in answer.err
    assert ("finished cells stay" in answer.err) == bool(anew)
    assert answer.err.endswith("\nrmsuite: stopped\n")
    rest = toys.bare(*way_on(answer))
    assert rest.code == 0
    assert len([line for line in rest.err.splitlines() if ", repetition " in line]) == 3
    assert len(there()) == 6


SPELLINGS = [
    "run -m good",
    "run --force good -m good --force other --no-cache",
    "run --forc=good -m good --no-c",
    "run --only failed -m good -x",
    "run --onl=missing -m good --no-stored --output only -t failed",
    "run -m good --seed -1 -j2 -r3 -xt toy-gold",
    "curve --over sign=1,2 -m good -ofolder --no --fail-on-error 0.5",
    "transfer -m good --only missing --force 'a b' --format csv --memory 5 --plugin no-cache.py",
    "policy -m good --optimizer rloo -t toy-gold --force 'good, rloo, beta=0.1' --no -x -o only",
    "policy -m good --optimizer 'rloo[k=2]' -t toy-gold --onl failed --beta 0.1 --fail-on-error 2",
]


@pytest.mark.parametrize("line", SPELLINGS)
@pytest.mark.parametrize("only_failed", [False, True])
def test_the_way_on_is_the_same_command_but_for_which_cells_are_computed(line, only_failed):
    given = shlex.split(line)
    before = vars(cli.parser().parse_args(given))
    after = vars(cli.parser().parse_args(shlex.split(resume.command(given, only_failed))[1:]))
    which = {"force": None, "no_cache": False, "only": "failed" if only_failed else before["only"]}
    assert after == before | which
    dropped = resume.left_out(given)
    assert (("--force" in dropped), ("--no-cache" in dropped)) == (bool(before["force"]), before["no_cache"])


def test_a_program_that_is_called_by_its_file_is_called_so_again(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "rmsuite"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    def first_word(called: str, path: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", [called])
        monkeypatch.setenv("PATH", path)
        return shlex.split(resume.command(["run"]))[:-1]

    elsewhere, folder = str(tmp_path), str(program.parent)
    assert first_word(str(program), elsewhere) == [str(program)]
    assert first_word(str(program), folder) == ["rmsuite"]
    assert first_word("/usr/bin/pytest", elsewhere) == ["rmsuite"]
    assert first_word(str(resume.PACKAGE / "__main__.py"), folder) == [sys.executable, "-m", "rmsuite"]
