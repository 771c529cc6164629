"""Methods in the process of the run, with a debugger where they fail. Whoever looks for a mistake relies on it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import write_root
from running import MISBEHAVING


def ran(tmp_path, *more, typed=""):
    root = tmp_path / "toy-tasks"
    if not root.exists():
        write_root(root)
        (root / "suites" / "default.toml").unlink()  # the installed suite has that name
    given = ["--tasks", root, "--plugin", MISBEHAVING, "--task", "toy-gold", "-r", "1", "--no-stored"]
    command = [sys.executable, "-m", "rmsuite", "run", *given, "-o", tmp_path / "out", *more]
    return subprocess.run(list(map(str, command)), input=typed, capture_output=True, text=True, check=False)


def values(text, method):
    """The numbers of a method's row, of the first table that has it."""
    return next(line for line in text.splitlines() if line.startswith(f"{method} "))


def test_numbers_are_those_of_workers_and_no_result_is_kept(tmp_path):
    done = ran(tmp_path, "-m", "honest", "--in-process")
    assert (done.returncode, (tmp_path / "out").exists()) == (0, False), done.stderr
    assert "no result was kept" in done.stderr
    isolated = ran(tmp_path, "-m", "honest")
    assert values(done.stdout, "honest") == values(isolated.stdout, "honest")


@pytest.mark.parametrize("jobs", [(), ("-j", "2")])
def test_what_a_method_prints_is_seen_as_it_prints(tmp_path, jobs):
    done = ran(tmp_path, "-m", "printing", "--in-process", *jobs)
    assert "beginning of fit" in done.stdout
    assert "to standard error" in done.stderr


def test_the_debugger_opens_where_a_method_fails_and_the_run_goes_on(tmp_path):
    done = ran(tmp_path, "-m", "fails-in-fit", "-m", "refuses", "-m", "honest", "--pdb", typed="p kind.__name__\nq\n")
    assert done.stdout.count("(Pdb)") == 2  # of the failure; a refusal is none
    assert "'ValueError'" in done.stdout
    assert done.returncode == 1
    said = "rmsuite: fails-in-fit on toy-gold@1, repetition 0 failed in fit: ValueError: cannot fit\nTraceback"
    assert said in done.stderr
    assert values(done.stdout, "honest")


def test_a_failure_without_a_debugger_is_a_row_like_any_other(tmp_path):
    done = ran(tmp_path, "-m", "fails-in-fit", "-m", "honest", "--in-process")
    assert done.returncode == 1
    assert "ValueError: cannot fit" in done.stdout + done.stderr
    assert "(Pdb)" not in done.stdout


@pytest.mark.parametrize("how", ["--in-process", "--pdb"])
@pytest.mark.parametrize("option", [("--only", "failed"), ("--timeout", "3"), ("--memory", "900")])
def test_what_has_no_effect_without_workers_and_results_is_refused(how, option, tmp_path):
    done = ran(tmp_path, "-m", "honest", how, *option)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{option[0]}: expected a run in worker processes that keeps results, got {how}" in done.stderr


def test_ctrl_c_in_a_method_stops_the_run(tmp_path):
    done = ran(tmp_path, "-m", "interrupts", "-m", "honest", "--in-process")
    assert done.returncode == 130
    assert "honest" not in done.stdout
