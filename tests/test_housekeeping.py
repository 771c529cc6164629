"""What is deleted is only what was listed, and what is said of a machine is so. Whoever shares a disk relies on it."""

from __future__ import annotations

import json
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from command_line import set_up
from misbehaving import __file__ as MISBEHAVING  # noqa: N812

from rmsuite import plugins, results
from rmsuite.closure import closure
from rmsuite.commands.shared import environment_of
from rmsuite.environment import commit, environment
from rmsuite.harness import Entrant
from rmsuite.method import Method, configure
from rmsuite.reuse import of_code

RUN = ("run", "-m", "honest", "-t", "toy-gold", "-r", "2", "--no-stored", "-o", "out")


@pytest.fixture
def toys(toy_root, tmp_path, capsys, monkeypatch):
    """The command line with the toy tasks, after a run of a method that works and of one that fails."""
    monkeypatch.setenv("RMSUITE_TASKS", str(toy_root))
    found = set_up(tmp_path, Path(MISBEHAVING).read_text(), capsys, monkeypatch)
    assert found(*RUN, "-m", "fails-in-fit").code == 1
    return found


def files(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}


def test_clean_lists_what_is_no_finished_cell_and_deletes_it_only_if_told_so(toys):
    home = Path("out")
    before = files(home)
    (home / "toy-gold@1" / "honest" / ".0.json.4711").write_text("half")
    (home / "toy-gold@1" / "honest" / ".0.traceback.txt.4711").write_text("half")
    (home / "toy-gold@1" / "honest" / "0.traceback.txt").write_text("of a cell that has succeeded")
    (home / "toy-gold@1" / "honest" / "0-0123456789abcdef.npz").write_bytes(b"of nobody")
    damaged = home / "toy-gold@1" / "honest" / "1.json"
    damaged.write_text(damaged.read_text()[:-10])
    (home / "toy-gold@1" / "notes.txt").write_text("mine")
    (home / "mine.json").write_text("{}")
    there = files(home)
    listed = toys.bare("clean", "out")
    assert (listed.code, files(home)) == (0, there)
    named = {Path(line).relative_to("out").as_posix() for line in listed.out.splitlines()[:-1]}
    assert listed.out.splitlines()[-1] == f"{len(named)} files would be deleted: say -y"
    gone = toys.bare("clean", "out", "-y")
    assert gone.out.splitlines()[:-1] == listed.out.splitlines()[:-1]
    assert files(home) == there - named
    assert {"toy-gold@1/notes.txt", "mine.json"} <= files(home)
    failed = {name for name in before if "fails-in-fit" in name}
    assert {Path(name).name for name in failed} == {"0.json", "1.json", "0.traceback.txt", "1.traceback.txt"}
    assert {"toy-gold@1/honest/0.traceback.txt", "toy-gold@1/honest/.0.traceback.txt.4711"} < named
    assert failed < named
    assert {path.parent.name for path in results.found(home)} == {p.split("/")[1] for p in before - failed if "/" in p}
    assert toys.bare("clean", "out").out == "0 files would be deleted: say -y\n"


def test_clean_all_leaves_what_is_not_of_cells(toys):
    (Path("out") / "toy-gold@1" / "honest" / "thesis.tex").write_text("mine")
    Path("out/src/deep").mkdir(parents=True)
    Path("out/src/deep/0.json").write_text("{}")
    assert toys.bare("clean", "out", "--all", "-y").code == 0
    assert files(Path("out")) == {"toy-gold@1/honest/thesis.tex", "src/deep/0.json", "environment.json"}


def test_clean_of_nothing_is_no_error(toys):
    assert toys.bare("clean", "absent", "--all", "-y").out == "0 files deleted\n"


def test_a_dry_run_says_what_a_run_then_computes_and_touches_nothing(toys):
    before = files(Path("out"))
    plan = toys(*RUN, "-m", "fails-in-fit", "-m", "first-feature", "--dry-run")
    assert (plan.code, plan.err) == (0, "")
    assert plan.out.splitlines() == [
        "fails-in-fit: 2 cells",
        "first-feature: 2 cells",
        "4 of 16 cells would be computed; nothing was",
    ]
    assert files(Path("out")) == before
    again = toys(*RUN, "--no-cache", "--dry-run")
    assert "honest: 2 cells, about 0.0 s of one core (by the seconds of earlier results of 2 of them)" in again.out


def test_what_is_said_of_the_machine_is_so(toys):
    said = json.loads(toys.bare("sys-info").out)
    assert said["python"] == platform.python_version()
    assert said["packages"]["numpy"] == np.__version__
    assert said["blas"]
    noted = json.loads(Path("out/environment.json").read_text())
    assert noted.pop("cells") == "here, each on one thread"
    assert said == noted | {"plugins": said["plugins"]}


def test_the_versions_of_what_a_plugin_imports_are_noted(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("import rmsuite\n@rmsuite.hookimpl\ndef rmsuite_methods():\n    import choix\n    return []\n")
    code = of_code([closure(plugins.load_file(path))])
    entrant = Entrant(configure(Method("mine", make=object), {}), "mine.py", code)
    assert entrant.packages == ["choix"]
    assert environment_of((), entrant.packages)["packages"]["choix"] == version("choix")


def test_the_commit_of_a_plugins_folder_and_its_edits_are_told(tmp_path):
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e@e"]
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    assert commit(tmp_path) == ""
    git("init")
    (tmp_path / "mine.py").write_text("x = 1\n")
    git("add", "mine.py")
    git("commit", "-m", "first")
    assert len(commit(tmp_path)) == 12
    (tmp_path / "mine.py").write_text("x = 2\n")
    assert commit(tmp_path).endswith(" with edits")
    assert environment([tmp_path])["plugins"] == {str(tmp_path): commit(tmp_path)}
