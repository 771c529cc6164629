"""A Dask scheduler and workers on this machine, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

QUIET = {"DASK_LOGGING__DISTRIBUTED": "error"}


@dataclass
class Cluster:
    """A scheduler, its address, and its workers' processes (nannies)."""

    address: str
    file: Path
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen] = field(default_factory=list)

    def grow(self, folder: Path, **environment: str) -> None:
        """Start a worker of one thread in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        given = ["worker", "--scheduler-file", str(self.file), "--nthreads", "1", "--no-dashboard"]
        given += ["--local-directory", str(folder / "dask"), "--death-timeout", "60"]
        self.workers.append(_dask(given, folder, environment))

    def kill(self, which: int) -> None:
        """End a worker and its nanny without a word."""
        os.killpg(self.workers[which].pid, signal.SIGKILL)

    def kill_scheduler(self) -> None:
        """End the scheduler without a word."""
        os.killpg(self.scheduler.pid, signal.SIGKILL)


def _dask(given: list[str], folder: Path, environment: dict[str, str]) -> subprocess.Popen:
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *given],
            cwd=folder,
            env={**os.environ, **QUIET, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _address(file: Path) -> str:
    """Return what a scheduler wrote of itself; empty until all of it is there."""
    try:
        return json.loads(file.read_text())["address"]
    except (FileNotFoundError, json.JSONDecodeError):
        return ""


@contextlib.contextmanager
def cluster(folder: Path, n_workers: int = 2) -> Iterator[Cluster]:
    """Start a scheduler and workers, and end them."""
    file = folder / "scheduler.json"
    (folder / "scheduler").mkdir(parents=True)
    given = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    scheduler = _dask(given, folder / "scheduler", {})
    found = Cluster("", file, scheduler)
    try:
        wait_for(lambda: bool(_address(file)))
        found.address = _address(file)
        for number in range(n_workers):
            found.grow(folder / f"worker-{number}")
        yield found
    finally:
        for process in (*found.workers, scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
