"""Through the command line too, a method that fails costs its own row only. Whoever runs several relies on it."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import pytest
from command_line import Toys
from conftest import write_root
from plugin_files import METHOD, source, write

RUN = ("run", "-t", "toy-gold", "-r", "2", "-j", "1")
CLASS = """

class {kind}(Mean):
    def {phase}:
        {body}
"""
FIT, REWARD = "fit(self, pairs, *, rng)", "reward(self, embeddings)"
# What a method does, where, and what its row says. A refusal and a constant are no failures: exit code 0.
FAILURES = {
    "not-a-number": (REWARD, "return embeddings[:, 0] * float('nan')", "reward: .*expected finite rewards"),
    "wrong-shape": (REWARD, "return embeddings[:, :1]", r"reward: .*expected shape \(\d+,\)"),
    "too-short": (REWARD, "return embeddings[1:, 0]", r"reward: .*expected shape \(\d+,\)"),
    "writes-pairs": (FIT, "pairs.embeddings[0] = 0", "fit: ValueError: assignment destination is read-only"),
    "writes-test": (REWARD, "embeddings[0] = 0", "reward: ValueError: .*read-only"),
    "raises": (FIT, "raise KeyError('no such column')", "fit: KeyError: 'no such column'"),
    "steers-the-terminal": (FIT, r"raise ValueError('\x1b[2Jgone')", r"fit: ValueError: .\[2Jgone"),
    "raises-at-reward": (REWARD, "raise RuntimeError('no reward')", "reward: RuntimeError: no reward"),
    "takes-nothing": ("__init__(self, needed)", "pass", "make: TypeError: .*'needed'"),
    "exits": (FIT, "raise SystemExit(0)", "fit: SystemExit: 0"),
    "dies": (FIT, "import os; os._exit(0)", r"worker: the worker process died .*EXIT\(0\)"),
    "lacks-a-package": (FIT, "import not_installed_here", "fit: ModuleNotFoundError: No module named 'not_inst"),
    "no-fit": ("fit(self)", "pass", "fit: TypeError"),
}
NO_FAILURES = {
    "constant": (REWARD, "return embeddings[:, 0] * 0", "^all rewards are equal$"),
    "refuses": (FIT, "raise rmsuite.NotApplicable('needs attributes')", "^skipped in 2 of 2 repetitions: fit: needs"),
}
ALL = {**FAILURES, **NO_FAILURES}


def plugin_text():
    names = {name: name.title().replace("-", "") for name in ALL}
    classes = [CLASS.format(kind=names[name], phase=phase, body=body) for name, (phase, body, _) in ALL.items()]
    offers = ", ".join(f"rmsuite.Method(name={name!r}, make={kind})" for name, kind in names.items())
    return METHOD + "".join(classes) + f"\n\n@rmsuite.hookimpl\ndef rmsuite_methods():\n    return [{offers}]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Toy tasks with two good methods, and the failing ones."""
    folder = tmp_path_factory.mktemp("failures")
    write(folder / "toys.py", source("good", "other", root=write_root(folder / "toy-tasks")))
    write(folder / "failing.py", plugin_text())
    return folder


@pytest.fixture
def toys(folder, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = Toys(tmp_path, folder / "toys.py", capfd)
    found.install(monkeypatch)
    return found


def rows(text):
    """The rows of a JSON table, without what the clock decides and what depends on who else is there."""
    (document,) = json.loads(text)["tables"]
    assert "NaN" not in text
    own = ("method", "origin", "estimates", "variance", "note")
    return {row["method"]: {key: row[key] for key in own} for row in document["rows"]}


@pytest.fixture
def sound(toys):
    """The rows of the good methods when they run among themselves."""
    return rows(toys(*RUN, "-m", "good", "-m", "other", "--format", "json", "-o", "sound").out)


def run_beside(toys, folder, name, *arguments):
    """Run a failing method between two good ones."""
    return toys(*RUN, "--plugin", folder / "failing.py", "-m", "good", "-m", name, "-m", "other", *arguments)


@pytest.mark.parametrize("name", ALL)
def test_a_failing_method_is_a_row_with_its_reason_and_the_others_keep_their_numbers(toys, folder, sound, name):
    answer = run_beside(toys, folder, name, "--format", "json")
    assert answer.code == (1 if name in FAILURES else 0)
    found = rows(answer.out)
    assert re.search(ALL[name][2], found.pop(name)["note"], re.DOTALL)
    assert found == sound
    assert_told(name, [line for line in answer.err.splitlines() if line.startswith("rmsuite: ")])
    assert "\x1b" not in answer.out + answer.err
    text = toys("table").out
    assert text.count(f"\n{name} ") == text.count(f"\nNote: {name}: ") == 1


def assert_told(name, lines):
    """Each failure is told once, with its repetitions, phase and reason; nothing else is."""
    assert len(lines) == (1 if name in FAILURES else 0)
    for line in lines:
        assert line.startswith(f"rmsuite: {name} on toy-gold@1, repetitions 0, 1 failed in ")
        assert re.search(ALL[name][2], line)


def test_a_constant_has_numbers_and_a_failure_and_a_refusal_have_none(toys, folder):
    methods = [word for name in ("constant", "refuses", "raises") for word in ("-m", name)]
    found = rows(toys(*RUN, "--plugin", folder / "failing.py", *methods, "--format", "json").out)
    assert found["constant"]["estimates"]["pair-accuracy"]["value"] == 0.5
    assert found["constant"]["estimates"]["spearman"]["value"] == 0.0
    assert found["refuses"]["estimates"] == found["raises"]["estimates"] == {"pair-accuracy": None, "spearman": None}


def test_a_table_of_failures_only_is_still_a_table_in_every_format(toys, folder):
    failing = ("--plugin", folder / "failing.py", "-m", "raises", "-m", "dies")
    text = toys(*RUN, *failing)
    assert text.code == 1
    assert re.search(r"^raises +- +-", text.out, re.MULTILINE)
    document = toys("table", "--format", "json").out
    assert {"raises", "dies"} <= set(rows(document))
    assert not {"made_of", "failure"} & set(json.loads(document)["tables"][0]["facts"])  # those are of one cell
    lines = list(csv.DictReader(io.StringIO(toys("table", "--format", "csv").out)))
    assert {line["value"] for line in lines if line["method"] == "dies"} == {""}
    assert all(line["note"].startswith("failed in 2 of 2") for line in lines if line["method"] == "raises")
    assert "| raises " in toys("table", "--format", "markdown").out


def test_the_recorded_failure_keeps_the_traceback_that_the_user_is_spared(toys, folder):
    answer = run_beside(toys, folder, "raises")
    (record, _) = sorted(toys.folder.glob("rmsuite-results/toy-gold@1/raises/*.json"))
    assert "KeyError: 'no such column'" in json.loads(record.read_text())["traceback"]
    told = [line.partition(": ")[2] for line in answer.err.splitlines() if line.startswith("  its traceback")]
    assert "KeyError: 'no such column'" in Path(*told).read_text()


def test_a_mended_method_replaces_its_failure(toys, folder):
    mine = write(toys.folder / "mine.py", source("mine").replace("return self\n", "raise ValueError\n", 1))
    assert toys(*RUN, "--plugin", mine, "-m", "mine").code == 1
    mended = write(toys.folder / "mended" / "mine.py", source("mine"))
    assert toys(*RUN, "--plugin", mended, "-m", "mine").code == 0
    assert rows(toys("table", "--format", "json").out)["mine"]["note"] == ""
    assert not list(toys.folder.glob("rmsuite-results/*/*/*.traceback.txt"))
