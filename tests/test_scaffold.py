"""The skeleton is the example plugin and works as it comes. Whoever writes a first method begins with it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rmsuite import cli, plugins, scaffold
from rmsuite.errors import PluginError

EXAMPLE = Path(__file__).parents[1] / "plugins" / "rmsuite-example"
NAMES = ["mine", "my-method-2", "3d", "x", "class"]


def committed(folder):
    """The files of a plugin's folder, without what Python and tools leave there."""
    return {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}


@pytest.fixture(autouse=True)
def bundled_plugins_are_left_out(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(plugins, "entry_points", lambda group: [])


def test_the_skeleton_named_example_is_the_example_plugin_byte_for_byte(tmp_path):
    folder = scaffold.write("example", tmp_path)
    assert folder == tmp_path / "rmsuite-example"
    assert committed(folder) == committed(EXAMPLE)
    for name in committed(EXAMPLE):
        assert (folder / name).read_bytes() == (EXAMPLE / name).read_bytes(), name


def test_no_placeholder_and_no_trace_of_the_example_is_left():
    for name, text in scaffold.render("mine").items():
        assert "@NAME@" not in text, name
        assert "@MODULE@" not in text, name
        assert "example" not in name + text


def test_the_method_of_the_skeleton_is_shorter_than_25_lines():
    tree = ast.parse(scaffold.render("mine")["rmsuite_mine.py"])
    parts = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    lines = [node.end_lineno - min([node.lineno, *(d.lineno for d in node.decorator_list)]) + 1 for node in parts]
    assert len(parts) == 2
    assert sum(lines) < 25


@pytest.mark.parametrize("name", NAMES)
def test_the_module_is_python_and_the_metadata_lead_to_it(name):
    contents = scaffold.render(name)
    module = "rmsuite_" + name.replace("-", "_")
    assert set(contents) == {"pyproject.toml", "README.md", f"{module}.py", f"test_{module}.py"}
    for file, text in contents.items():
        if file.endswith(".py"):
            compile(text, file, "exec")
    project = tomllib.loads(contents["pyproject.toml"])
    assert project["project"]["name"] == f"rmsuite-{name}"
    assert project["project"]["entry-points"][plugins.GROUP] == {name: module}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == [f"{module}.py"]


@pytest.mark.parametrize("name", NAMES)
def test_the_skeleton_is_a_plugin_that_offers_its_name(tmp_path, name):
    folder = scaffold.write(name, tmp_path)
    (module,) = folder.glob("rmsuite_*.py")
    plugin, method = plugins.load([module]).owned(name)
    assert plugin.methods == (method,)
    assert method.make().reward


def test_the_skeleton_under_another_name_passes_the_check_and_runs(tmp_path, toy_root, capsys):
    module = scaffold.write("my-method", tmp_path) / "rmsuite_my_method.py"
    assert cli.main(["check", "--plugin", str(module), "my-method"]) == 0
    assert "failed " not in capsys.readouterr().out
    tasks = tmp_path / "tasks.py"
    tasks.write_text(f"import rmsuite\n\n@rmsuite.hookimpl\ndef rmsuite_tasks():\n    return [{str(toy_root)!r}]\n")
    command = ["run", "--plugin", str(tasks), "--plugin", str(module), "-m", "my-method", "-o", str(tmp_path / "out")]
    assert cli.main([*command, "-r", "1", "-j", "1"]) == 0
    assert "my-method" in capsys.readouterr().out


def test_the_skeletons_own_test_passes(tmp_path):
    folder = scaffold.write("my-method", tmp_path)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("name", ["", "Mine", "my method", "my_method", "-mine", "mine\n", "../mine", "é", "x/y", "."])
def test_a_name_that_no_method_can_have_is_refused_and_nothing_is_written(tmp_path, name):
    with pytest.raises(PluginError, match="expected lower-case letters, digits and hyphens"):
        scaffold.write(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    mine = scaffold.write("mine", tmp_path) / "rmsuite_mine.py"
    mine.write_text("my work")
    with pytest.raises(PluginError, match="nothing is overwritten"):
        scaffold.write("mine", tmp_path)
    assert mine.read_text() == "my work"


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PluginError, match="choose another name or folder"):
        scaffold.write("mine", tmp_path / "file")
