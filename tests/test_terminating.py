"""A run that is ended from outside leaves no large files behind. Whoever shares a disk or a cluster relies on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest
from running import MISBEHAVING, text_within

from rmsuite import handover
from rmsuite.commands.terminating import Terminated, terminable

PATIENCE = 300  # seconds, on a machine that is busy
SCRIPT = """
    import signal, sys
    from rmsuite import arrays, cli
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    arrays.LARGE = 100
    sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """The folder of temporary files, for this process and those that it starts."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


@pytest.fixture
def started(toy_root, tmp_path, temporary):
    """Start a run of a method in a process of its own."""
    (toy_root / "suites" / "default.toml").unlink()  # the bundled one is there too
    processes = []

    def start(method: str, home: str) -> subprocess.Popen:
        options = ["-m", method, "-t", "toy-gold", "-r", "1", "-j", "1", "-o", str(tmp_path / home), "--no-stored"]
        code = [sys.executable, "-c", textwrap.dedent(SCRIPT), "run", "--plugin", str(MISBEHAVING)]
        command = [*code, "--tasks", str(toy_root), *options]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def left(folder: Path) -> list[list[str]]:
    """The files in each folder that was made for large rows."""
    return [sorted(file.name for file in path.iterdir()) for path in sorted(folder.glob(f"{handover.PREFIX}*"))]


ROWS = ["train.rows", "validation.rows"]


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "stopped")]
)
def test_a_run_that_is_told_to_end_takes_its_files_along(tmp_path, temporary, started, number, code, said):
    run = started(f"sleeping[file={tmp_path / 'note'}]", "home")
    text_within(tmp_path / "note", PATIENCE)
    assert left(temporary) == [ROWS]
    run.send_signal(number)
    _, errors = run.communicate(timeout=PATIENCE)
    assert (run.returncode, left(temporary)) == (code, [])
    *_, way, command, last = errors.splitlines()
    assert (way, last) == ("Go on with:", f"rmsuite: {said}")
    assert command.startswith(f"  rmsuite run --plugin {MISBEHAVING} ")


def test_what_a_killed_run_leaves_goes_with_the_next_and_what_a_living_one_uses_stays(tmp_path, temporary, started):
    killed = started(f"sleeping[file={tmp_path / 'killed'}]", "killed-home")
    text_within(tmp_path / "killed", PATIENCE)
    killed.kill()
    assert killed.wait(timeout=PATIENCE) == -signal.SIGKILL
    assert left(temporary) == [ROWS]
    started(f"sleeping[file={tmp_path / 'living'}]", "living-home")
    text_within(tmp_path / "living", PATIENCE)
    (kept,) = temporary.glob(f"{handover.PREFIX}*")
    assert left(temporary) == [ROWS]
    other = started("honest", "home")
    _, errors = other.communicate(timeout=PATIENCE)
    assert other.returncode == 0, errors
    assert list(temporary.glob(f"{handover.PREFIX}*")) == [kept]
    assert left(temporary) == [ROWS]


def test_only_abandoned_folders_of_ours_are_removed(tmp_path, temporary):
    """Not one that holds other files, nor an empty one, nor what a link leads to, nor one of another name."""
    (tmp_path / "elsewhere").mkdir()
    (temporary / f"{handover.PREFIX}link").symlink_to(tmp_path / "elsewhere")
    names = {"abandoned": [*ROWS], "mixed": ["train.rows", "thesis.txt"], "empty": [], "in-use": []}
    for name, files in names.items():
        (temporary / f"{handover.PREFIX}{name}").mkdir()
        for file in files:
            (temporary / f"{handover.PREFIX}{name}" / file).write_text("x")
    for path in (tmp_path / "elsewhere", temporary / "rmsuite-other"):
        path.mkdir(exist_ok=True)
        (path / "train.rows").write_text("x")
    (temporary / f"{handover.PREFIX}file").write_text("x")
    lock = handover._locked(temporary / f"{handover.PREFIX}in-use")
    (temporary / f"{handover.PREFIX}in-use" / "train.rows").write_text("x")
    before = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    handover.clear()
    gone = before - {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    os.close(lock)
    assert {path.parts[-1] for path in gone} == {f"{handover.PREFIX}abandoned", *ROWS}
    assert {path.parts[1] for path in gone} == {f"{handover.PREFIX}abandoned"}


def test_another_handler_of_the_signal_and_other_threads_are_left_alone():
    """A program that calls a command may have plans of its own."""
    seen = []

    def in_a_thread() -> None:
        with terminable():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.signal(signal.SIGTERM, lambda *_given: seen.append("mine"))
    try:
        with terminable():
            signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with pytest.raises(Terminated), terminable():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        thread = threading.Thread(target=in_a_thread)
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == ["mine", signal.SIG_DFL]
