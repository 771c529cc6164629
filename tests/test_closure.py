"""All source that a plugin runs is found, wherever it imports it. Whoever edits a helper relies on it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rmsuite import plugins
from rmsuite.closure import closure, closure_at, version


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A plugin file that imports a neighbour in a function, which imports a package beside it."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    write(tmp_path / "mine.py", "import numpy as np\n\ndef fit():\n    from helper_of_mine import scale\n")
    write(tmp_path / "helper_of_mine.py", "import deeper_of_mine.inner\nscale = 1\n")
    write(tmp_path / "deeper_of_mine" / "__init__.py", "")
    write(tmp_path / "deeper_of_mine" / "inner.py", "import json\n")
    write(tmp_path / "unrelated.py", "x = 1\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith(plugins.FILE_PREFIX)]:
        del sys.modules[name]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def found(folder: Path) -> dict[str, str]:
    return closure(plugins.load_file(folder / "mine.py")).sources


EVERY = {"mine.py", "helper_of_mine.py", "deeper_of_mine/__init__.py", "deeper_of_mine/inner.py"}


def test_what_is_imported_anywhere_is_in_and_nothing_else(folder):
    assert set(found(folder)) == EVERY


@pytest.mark.parametrize("name", sorted(EVERY))
def test_an_edit_of_any_of_them_changes_its_entry_only(folder, name):
    before = found(folder)
    (folder / name).write_text((folder / name).read_text() + "# edited\n")
    after = found(folder)
    assert {key for key in before if before[key] != after[key]} == {name}


def test_an_edit_elsewhere_changes_nothing(folder):
    before = found(folder)
    (folder / "unrelated.py").write_text("x = 2\n")
    assert found(folder) == before


def test_the_folder_may_move(folder, tmp_path_factory):
    before = found(folder)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for name in EVERY:
        write(elsewhere / name, (folder / name).read_text())
    assert found(elsewhere) == before


def test_installed_packages_count_by_version_and_files_and_the_standard_library_does_not(folder):
    packages = closure(plugins.load_file(folder / "mine.py")).packages
    assert packages == {"numpy": version("numpy")}
    assert version("numpy").startswith(sys.modules["numpy"].__version__ + " ")
    assert version("no-such-distribution") == "absent"


def test_packages_beside_an_installed_plugin_are_no_source_of_it(tmp_path):
    home = tmp_path / "lib" / "site-packages"
    home.mkdir(parents=True)
    write(home / "mine_installed" / "__init__.py", "import mine_installed.inner\nimport neighbour, numpy\n")
    write(home / "mine_installed" / "inner.py", "")
    write(home / "neighbour" / "__init__.py", "")
    write(home / "numpy" / "__init__.py", "")
    closed = closure_at(home / "mine_installed")
    assert set(closed.sources) == {"mine_installed/__init__.py", "mine_installed/inner.py"}
    assert set(closed.packages) == {"numpy"}


def test_a_file_that_is_no_python_is_still_a_part(folder):
    (folder / "helper_of_mine.py").write_text("def broken(:\n")
    assert set(found(folder)) == {"mine.py", "helper_of_mine.py"}


def test_a_package_is_whole():
    import rmsuite_baselines

    names = set(closure(rmsuite_baselines).sources)
    home = Path(rmsuite_baselines.__file__).parent
    assert names == {path.relative_to(home.parent).as_posix() for path in home.rglob("*.py")}
