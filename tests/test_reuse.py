"""A cell is computed again exactly if something that its numbers rest on has changed. Whoever resumes relies on it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from conftest import write_root
from running import run, same_arrays

from rmsuite import results
from rmsuite.closure import Closure
from rmsuite.pool_files import sha256
from rmsuite.pools import read_card
from rmsuite.reuse import Wanted, kept, of_code

PLUGIN = """import numpy as np
import rmsuite
from helper_of_toys import scale

class Toy:
    def __init__(self, penalty: float = 1.0) -> None:
        self.penalty = penalty
    def fit(self, pairs, *, rng):
        self.weights = scale * pairs.differences().mean(axis=0) / self.penalty
        return self
    def reward(self, embeddings):
        return embeddings @ self.weights

@rmsuite.hookimpl
def rmsuite_methods():
    return [rmsuite.Method(name=name, make=Toy) for name in ("one", "other")]
"""
CELLS = 2 * (2 + 5)  # repetitions x (methods and controls)
WHY = re.compile(r"rmsuite: (\S+) on (\S+), repetition (\d+): (.*)")


@dataclass(frozen=True)
class Run:
    """What a run said: why each cell was computed, by method and repetition; its exit code, and all its words."""

    why: dict[tuple[str, int], str]
    code: int
    words: str


@dataclass(frozen=True)
class Toys:
    """A folder with toy tasks and a plugin of two methods, which has a helper; each run is a process of its own."""

    folder: Path

    def run(self, *more: str, methods: tuple[str, ...] = ("one", "other"), **environment: str) -> Run:
        """Run the methods on one toy task, and say which cells were computed."""
        command = [sys.executable, "-m", "rmsuite", "run", "--plugin", "plugin.py", "--tasks", "toys", "-t", "toy-gold"]
        command += [word for name in methods for word in ("-m", name)]
        command += ["-r", "2", "--no-stored", "--explain-cache", "-o", "out", "--seed", "0", *more]
        done = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        said = [WHY.fullmatch(line) for line in done.stderr.splitlines()]
        why = {(m[1], int(m[3])): m[4] for m in said if m}
        return Run(why, done.returncode, done.stdout + done.stderr)

    def edit(self, name: str, before: str, after: str) -> None:
        """Change a text in a file."""
        path = self.folder / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The toys after a whole run, which no test changes."""
    folder = tmp_path_factory.mktemp("reuse")
    shutil.rmtree(write_root(folder / "toys") / "suites")
    (folder / "helper_of_toys.py").write_text("scale = 1.0\n")
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "unrelated.py").write_text("")
    done = Toys(folder).run()
    assert done.code == 0, done.words
    assert len(done.why) == CELLS
    assert set(done.why.values()) == {"there is no result"}
    return folder


@pytest.fixture
def done(first, tmp_path):
    """A copy of the toys after a whole run: results lie beside what they are made of, wherever that is."""
    return Toys(Path(shutil.copytree(first, tmp_path / "copy")))


def test_a_finished_run_computes_nothing_and_shows_the_same_table(done):
    again = done.run()
    assert (again.code, again.why) == (0, {})
    assert f"{CELLS} of {CELLS} cells are there already" in again.words
    table = again.words[again.words.index("toy-gold@1") :]
    fresh = done.run("--no-cache")
    assert len(fresh.why) == CELLS

    def rows(text: str) -> list[str]:
        return [line.rsplit(maxsplit=1)[0] for line in text.splitlines() if line.startswith(("one", "other", "("))]

    assert rows(table) == rows(fresh.words)  # all but the seconds


def test_an_edited_helper_recomputes_its_methods_and_no_control(done):
    before = {p: results.read(p) for p in results.found(done.folder / "out")}
    done.edit("helper_of_toys.py", "1.0", "2.0")
    why = done.run().why
    assert set(why) == {(name, r) for name in ("one", "other") for r in (0, 1)}
    assert all(reason.startswith("changed: code (") for reason in why.values())
    for path, cell in before.items():
        now = results.read(path)
        assert now.seal == cell.seal if cell.kind == "control" else not same_arrays(now.arrays, cell.arrays)


def test_an_unrelated_file_recomputes_nothing(done):
    done.edit("unrelated.py", "", "x = 1")
    assert done.run().why == {}


def test_another_parameter_is_another_cell_and_another_default_a_change(done):
    why = done.run(methods=("one[penalty=3.0]", "other")).why
    assert set(why) == {("one[penalty=3.0]", 0), ("one[penalty=3.0]", 1)}
    assert set(why.values()) == {"there is no result"}
    assert done.run().why == {}


def test_changed_data_recomputes_everything_in_another_folder_and_is_refused_in_the_same(done):
    folder = done.folder / "toys" / "pools" / "gold-pool"
    gold = np.load(folder / "gold.npy")
    gold[0] += 1
    np.save(folder / "gold.npy", gold)
    refused = done.run("--force", "one")  # what is there needs no data, and a damaged file stops what needs it
    assert (refused.code, "sha256" in refused.words) == (2, True)
    card = read_card(folder / "pool.toml")
    card["sha256"]["gold.npy"] = sha256(folder / "gold.npy")
    (folder / "pool.toml").write_text(tomli_w.dumps(card))
    refused = done.run()
    assert refused.code == 2
    assert "with the signature of this run" in refused.words
    assert len(done.run("-o", "elsewhere").why) == CELLS


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ("rmsuite.closure.version = lambda name: '9.9 abc' if name == 'numpy' else version(name)", "numpy ("),
        ("rmsuite.version.__version__ = '99'", "rmsuite ("),
    ],
    ids=["numpy", "rmsuite"],
)
def test_another_version_recomputes_everything(done, edit, said):
    """The version is changed at start-up: a sitecustomize file stands in for an installation."""
    text = "import rmsuite, rmsuite.closure\nversion = rmsuite.closure.version\n"
    (done.folder / "sitecustomize.py").write_text(text + edit + "\n")
    paths = os.pathsep.join([str(done.folder), os.environ.get("PYTHONPATH", "")])
    why = done.run(PYTHONPATH=paths).why
    assert len(why) == CELLS
    assert all(said in reason for reason in why.values())


def test_another_protocol_is_refused_beside_this_one(done):
    (done.folder / "sitecustomize.py").write_text("import rmsuite.signature\nrmsuite.signature.PROTOCOL = '99'\n")
    paths = os.pathsep.join([str(done.folder), os.environ.get("PYTHONPATH", "")])
    refused = done.run(PYTHONPATH=paths)
    assert (refused.code, "rmsuite: 2 against 99" in refused.words) == (2, True)
    assert len(done.run("-o", "elsewhere", PYTHONPATH=paths).why) == CELLS


def test_a_forced_method_is_computed_and_no_other(done):
    assert set(done.run("--force", "one").why.items()) == {(("one", r), "--force") for r in (0, 1)}
    assert set(done.run("--force", "length").why) == {("length", 0), ("length", 1)}


def test_a_forced_method_that_the_run_does_not_have_is_refused(done):
    refused = done.run("--force", "lenght")
    assert refused.code == 2
    assert "nearest is 'length'" in refused.words


def test_a_failed_or_damaged_cell_is_computed_again_and_only_what_is_asked_for(done):
    done.edit("helper_of_toys.py", "1.0", "'no number'")
    failed = done.run(methods=("one",))
    assert failed.code == 1
    done.edit("helper_of_toys.py", "'no number'", "1.0")
    path = done.folder / "out" / "toy-gold@1" / "other" / "0.json"
    path.unlink()
    assert done.run("--only", "missing").why == {("other", 0): "there is no result"}
    assert done.run("--only", "failed").why == {("one", r): "it failed in fit" for r in (0, 1)}
    path.write_text(path.read_text()[:-40])
    (reason,) = done.run().why.values()
    assert reason.startswith("its result is damaged")
    (arrays,) = path.parent.glob("0-*.npz")
    arrays.write_bytes(arrays.read_bytes()[:-1])
    (reason,) = done.run().why.values()
    assert reason.startswith("its result is damaged")
    assert done.run().why == {}


def test_the_state_of_a_cell_is_no_matter_of_words(toy_root, tmp_path):
    """One for each state; the words of an error, a phase or a change cannot be taken for another."""
    cells = run(toy_root, tmp_path / "home", ["honest", "fails-in-fit"])
    wanted = {key: Wanted(*key, cell.facts["made_of"]) for key, cell in cells.items()}
    fine, failed = wanted["toy-gold@1", "honest", 0], wanted["toy-gold@1", "fails-in-fit", 0]

    def state(one: Wanted) -> tuple[str, bool]:
        found = kept(tmp_path / "home", one)
        return found.state, found.record is not None

    assert (state(fine), kept(tmp_path / "home", fine).why) == (("kept", True), "")
    assert state(failed) == ("failed", False)
    assert state(replace(fine, repetition=1)) == ("missing", False)
    assert state(replace(fine, made_of={"it failed": "there is no result"})) == ("changed", False)
    path = results.path_of(tmp_path / "home", fine.task, fine.method, 0)
    path.write_text('{"sha256": "it failed"}')
    assert state(fine) == ("damaged", False)


def test_what_a_cell_is_made_of_is_stored_with_it(done):
    record = json.loads((done.folder / "out" / "toy-gold@1" / "one" / "0.json").read_text())
    made_of = record["facts"]["made_of"]
    assert {"signature", "columns", "rmsuite", "python", "machine", "numpy", "parameters", "code"} <= set(made_of)
    assert made_of["signature"] == record["signature"]


def test_files_of_one_name_and_packages_of_any_name_hide_nothing():
    """Two plugins of one method may both be ``mine.py``; a package may be called as a part of a cell is."""
    one, two, edited = ({"mine.py": digest} for digest in ("1", "2", "3"))
    codes = [of_code([Closure(first, {}), Closure(two, {})])["code"] for first in (one, edited)]
    assert codes[0] != codes[1]
    said = of_code([Closure(one, {"signature": "1.0", "code": "2.0"})])
    assert said == {"code": of_code([Closure(one, {})])["code"], "package code": "2.0", "package signature": "1.0"}
