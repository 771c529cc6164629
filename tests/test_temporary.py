"""Temporary folders go with their processes, whatever ends these. Who shares a machine with others relies on it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from rmsuite import temporary

OLD = time.time() - 2 * temporary.YOUNG
MAKE = "from rmsuite import temporary; print(temporary.folder({!r}).path, flush=True); import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def _place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.mark.parametrize("prefix", temporary.PREFIXES)
def test_the_folder_of_a_killed_process_is_cleared_and_that_of_a_living_one_stays(prefix):
    command = [sys.executable, "-c", MAKE.format(prefix)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        path = Path(process.stdout.readline().strip())
        (path / "file").touch()
        os.utime(path, (OLD, OLD))
        temporary.clear()
        assert path.is_dir()
        process.kill()
        process.wait()
    temporary.clear()
    assert not path.exists()


def test_a_young_folder_stays_for_it_may_be_about_to_be_locked(tmp_path):
    path = tmp_path / f"{temporary.PREFIXES[0]}young"
    path.mkdir()
    temporary.clear()
    assert path.is_dir()
    os.utime(path, (OLD, OLD))
    temporary.clear()
    assert not path.exists()


def test_nothing_else_is_cleared(tmp_path):
    (tmp_path / "mine").mkdir()
    link = tmp_path / f"{temporary.PREFIXES[0]}link"
    link.symlink_to(tmp_path / "mine")
    os.utime(tmp_path / "mine", (OLD, OLD))
    os.utime(link, (OLD, OLD), follow_symlinks=False)
    temporary.clear()
    assert link.is_symlink()
    assert (tmp_path / "mine").is_dir()


def test_a_folder_goes_when_it_is_told_to_and_its_lock_with_it():
    made = temporary.folder(temporary.PREFIXES[0])
    (made.path / "file").touch()
    made.remove()
    assert not made.path.exists()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(made.lock)
