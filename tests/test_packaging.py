"""The wheel works alone: in any directory, writing nothing beside itself. Whoever installs with pip relies on it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import generated
import pytest
from packaging.requirements import Requirement

RUN = "import sys; from rmsuite.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*command, str(generated.ROOT)], check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def rmsuite(installed: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", RUN, *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_wheel_runs_the_default_suite_in_an_empty_folder_and_writes_nothing_beside_itself(installed, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    done = rmsuite(installed, tmp_path, "run", "--method", "mean-difference", "-j", "1")
    assert done.returncode == 0, done.stderr
    for text in ("alpaca-eval@1", "hh-rlhf@1", "bt-mlp", "(length)", "(oracle)", "Signature: rmsuite:2|"):
        assert text in done.stdout
    assert "Results: rmsuite-results" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in installed.rglob("*")} == before
    assert [path.name for path in tmp_path.iterdir()] == ["rmsuite-results"]


@pytest.mark.slow
def test_the_wheel_is_what_is_imported(installed, tmp_path):
    done = rmsuite(installed, tmp_path, "plugins")
    assert "rmsuite-baselines  (rmsuite" in done.stdout
    code = "import rmsuite, rmsuite_baselines, rmsuite_tasks as t; print(rmsuite.__file__, t.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    shown = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert shown.stdout.count(str(installed)) == 2


@pytest.mark.slow
def test_the_wheel_holds_code_cards_and_numbers_only_and_is_small(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    kinds = {Path(name).suffix for name in names}
    assert kinds <= {".py", ".npy", ".npz", ".toml", ".json", ".txt", ".typed", ".bib", ".csv"}, kinds
    assert {name.partition("/")[0] for name in names} == {"rmsuite", "rmsuite_baselines", "rmsuite_tasks"}
    assert wheel.stat().st_size < 90 * 2**20


def closure(name: str, seen: set[str]) -> set[str]:
    """Return the distributions that installing ``name`` brings, itself included."""
    key = name.lower().replace("_", "-")
    if key in seen:
        return seen
    seen.add(key)
    try:
        requires = distribution(name).requires or []
    except PackageNotFoundError:
        return seen
    for text in requires:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            closure(requirement.name, seen)
    return seen


def test_a_plain_install_brings_at_most_twenty_packages_and_no_torch():
    packages = closure("rmsuite", set())
    assert {"numpy", "pluggy", "scipy"} <= packages
    assert len(packages) <= 20, sorted(packages)
    assert not packages & {"torch", "pandas", "transformers"}
