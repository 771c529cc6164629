"""Whatever ends a run, finished cells stay, and the same command goes on to the same bits: deadlines rely on it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from conftest import write_root
from running import marked, same_arrays

from rmsuite import results
from rmsuite.results import CellRecord

PLUGIN = """
import time
import numpy as np
import rmsuite

class Toy:
    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
    def fit(self, pairs, *, rng):
        time.sleep(0.02)
        self.weights = pairs.differences().mean(axis=0) * self.scale + rng.standard_normal(pairs.n_features)
        return self
    def reward(self, embeddings):
        return embeddings @ self.weights

@rmsuite.hookimpl
def rmsuite_methods():
    return [rmsuite.Method(name=name, make=Toy) for name in ("one", "two", "three")]
"""
REPETITIONS = 6
CELLS = REPETITIONS * (3 + 5)
KILLS = 50
# A run for each line that is read: a fork of a process that has imported what it needs. What is killed is the run, not
# its imports. Another line is answered with how the run ended.
FORK_RUNS = """
import os, sys
from rmsuite import cli, executors, worker
from rmsuite.commands import command
command("run")
told, nothing = os.dup(1), os.open(os.devnull, os.O_RDWR)
os.dup2(nothing, 1)
while sys.stdin.readline():
    run = os.fork()
    if run == 0:
        os.dup2(nothing, 0)
        sys.exit(cli.main(sys.argv[1:]))
    os.write(told, b"%d\\n" % run)
    sys.stdin.readline()
    os.write(told, b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(run, 0)[1]))
"""
RUN = ("run", "--plugin", "plugin.py", "--tasks", "toys", "-t", "toy-gold", "--no-stored", "-r", str(REPETITIONS))
RUN += ("-m", "one", "-m", "two", "-m", "three")
MARK = "RMSUITE_FAULT_TEST"


@dataclass(frozen=True)
class Toys:
    """A folder with toy tasks and a plugin of three methods; each run is a process of its own."""

    folder: Path

    def start(self, *more: str, jobs: int = 2, **given: object) -> subprocess.Popen:
        """Start a run of all methods into the folder ``out``."""
        command = [sys.executable, "-m", "rmsuite", *RUN, "-j", str(jobs)]
        environment = {**os.environ, MARK: str(self.folder)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*command, "-o", "out", *more], cwd=self.folder, env=environment, **pipes, **given)

    @contextlib.contextmanager
    def forks(self) -> Iterator[Callable[[], int]]:
        """Start a process that forks runs of all methods into ``out``; each call returns the next number it says."""
        command = [sys.executable, "-c", FORK_RUNS, *RUN, "-j", "2", "-o", "out"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        environment = {**os.environ, MARK: str(self.folder)}

        def ask() -> int:
            process.stdin.write("\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        with subprocess.Popen(command, cwd=self.folder, env=environment, **pipes) as process:
            yield ask

    def finish(self, *more: str, **given: object) -> str:
        """Run to the end, and return what was said."""
        with self.start(*more, **given) as run:
            out, err = run.communicate(timeout=120)
        assert run.returncode == 0, out + err
        return out + err

    def cells(self, home: str = "out") -> dict[tuple[str, int], CellRecord]:
        """Return all cells of a results folder; each must be whole."""
        return {(cell.method, cell.repetition): cell for cell in results.read_all(self.folder / home)}

    def living(self) -> list[int]:
        """Return the processes of its runs that are there, a second after at most."""
        deadline = time.monotonic() + 20
        while (found := marked(f"{MARK}={self.folder}")) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The toys after a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("faults")
    write_root(folder / "toys")
    shutil.rmtree(folder / "toys" / "suites")
    (folder / "plugin.py").write_text(PLUGIN)
    toys = Toys(folder)
    toys.finish()
    assert len(toys.cells()) == CELLS
    return toys


@pytest.fixture
def toys(undisturbed, tmp_path):
    """The same toys before any run."""
    shutil.copytree(undisturbed.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("out"))
    return Toys(tmp_path / "copy")


def assert_same(toys: Toys, undisturbed: Toys) -> None:
    mine, theirs = toys.cells(), undisturbed.cells()
    assert mine.keys() == theirs.keys()
    assert all(same_arrays(mine[key].arrays, theirs[key].arrays) for key in mine)


def test_a_run_that_is_killed_fifty_times_ends_with_the_bits_of_one_that_was_not(toys, undisturbed):
    rng, kept = np.random.default_rng(0), 0
    with toys.forks() as ask:
        ask()
        begun = time.monotonic()
        assert ask() == 0
        seconds = time.monotonic() - begun
        for _ in range(KILLS):
            if len(toys.cells()) == CELLS:  # begin anew, so that there is always something to disturb
                shutil.rmtree(toys.folder / "out")
            run = ask()
            time.sleep(rng.uniform(0.1, 1.0) * seconds)
            os.kill(run, signal.SIGKILL)  # one that has ended is there until it is asked how
            assert ask() in (0, -signal.SIGKILL)
            kept += len(toys.cells())  # every record that is there is whole
    assert kept > 0
    assert toys.living() == []
    toys.finish()
    assert_same(toys, undisturbed)
    assert f"{CELLS} of {CELLS} cells are there already" in toys.finish()


def test_killed_workers_cost_their_cells_and_the_next_run_computes_just_these(toys, undisturbed):
    with toys.start() as run:
        killed = 0
        while run.poll() is None and killed < 5:
            for pid in marked(f"{MARK}={toys.folder}"):
                command = Path(f"/proc/{pid}/cmdline").read_bytes() if Path(f"/proc/{pid}").exists() else b""
                if pid != run.pid and b"forking" in command:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed += 1
            time.sleep(0.05)
        run.communicate(timeout=120)
    assert killed
    toys.finish()
    assert_same(toys, undisturbed)


def test_two_runs_into_one_folder_at_once_leave_it_whole(toys, undisturbed):
    runs = [toys.start(jobs=1) for _ in range(2)]
    for run in runs:
        out, err = run.communicate(timeout=240)
        assert run.returncode == 0, out + err
    assert_same(toys, undisturbed)
    assert len(list((toys.folder / "out").rglob("*.npz"))) == CELLS
    assert not [path for path in (toys.folder / "out").rglob(".*") if path.is_file()]


def test_a_full_disk_is_said_and_loses_no_finished_cell(toys, undisturbed):
    """A limit on the size of files stands in for the disk: some cells' arrays fit, others do not."""
    sizes = sorted(path.stat().st_size for path in (undisturbed.folder / "out").rglob("*.npz"))
    limit = sizes[len(sizes) // 2]

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    with toys.start(preexec_fn=small) as run:
        out, err = run.communicate(timeout=120)
    assert run.returncode == 2
    assert "Traceback" not in out + err
    assert "expected a writable folder" in err
    assert "finished cells are kept" in err
    toys.cells()
    toys.finish()
    assert_same(toys, undisturbed)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(toys):
    (toys.folder / "out").mkdir(mode=0o500)
    with toys.start() as run:
        _, err = run.communicate(timeout=120)
    assert (run.returncode, "expected a writable folder" in err) == (2, True)
