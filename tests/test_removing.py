"""A method's folder goes, whatever it left there, and nothing else does. Whoever shares a disk relies on it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rmsuite.removing import remove


def nest(folder: Path, levels: int) -> None:
    """Make folders in each other, with a file in each: their whole path may be longer than the system allows."""
    here = Path.cwd()
    folder.mkdir()
    os.chdir(folder)
    for _ in range(levels):
        Path("file").write_text("x")
        Path("nest").mkdir()
        os.chdir("nest")
    os.chdir(here)


def test_folders_that_are_nested_deeper_than_functions_may_be_are_removed(tmp_path):
    nest(tmp_path / "deep", 2 * sys.getrecursionlimit())
    nest(tmp_path / "deep" / "beside", 3)
    remove(tmp_path / "deep")
    assert not list(tmp_path.iterdir())


def test_folders_that_may_not_be_written_are_removed(tmp_path):
    """Package caches are like that; to the super-user they are like any other."""
    (tmp_path / "mine" / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "mine" / "outer" / "inner" / "file").write_text("x")
    for folder, mode in (("outer/inner", 0o500), ("outer", 0o000), (".", 0o500)):
        (tmp_path / "mine" / folder).chmod(mode)
    remove(tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_what_links_lead_to_stays(tmp_path):
    nest(tmp_path / "kept", 1)
    nest(tmp_path / "deep", 2 * sys.getrecursionlimit())
    (tmp_path / "deep" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "deep" / "nest" / "link").symlink_to(tmp_path / "kept")
    remove(tmp_path / "deep")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "file").read_text() == "x"


def test_a_folder_that_is_gone_is_no_error(tmp_path):
    remove(tmp_path / "absent")
