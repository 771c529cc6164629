"""The process that has imported what workers need and forks one for each cell.

It holds no plugin file, no data and one thread, so that its forks are alike and a fork cannot meet a lock that is held.
It keeps the end of what each worker prints, sees how many threads it has, and gives it an empty folder to work in.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import os
import selectors
import signal
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType

from rmsuite import temporary
from rmsuite.removing import remove

READY, ASKED = b"r", b"w"
NUMBER = struct.Struct("q")
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
STOPS = (signal.SIGINT, signal.SIGTERM)  # they are for the run, which ends the workers; some send them to all
FOLDERS = "rmsuite-cells-"  # temporary; a worker's working directory lies in one
KEPT_OUTPUT = 4_000  # bytes of the end of what a worker prints
LOOK, OWN_THREADS = 0.5, 2  # seconds, at most, between looks at how many threads workers have; all have these
CHUNK = 2**16  # bytes, what a pipe holds


def main(control: int, modules: Sequence[str]) -> None:
    """Serve forks until the run closes its end; then end the workers and all that they started."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    _adopt_orphans()
    _prctl(PR_SET_PDEATHSIG, signal.SIGCONT)  # a server that a method stopped sees too that the run is gone
    try:
        _import(modules)
        with socket.socket(fileno=control) as run:
            if n_threads() == 1:
                _serve(run)
    finally:
        _end_all_children()  # modules may have started some too


def _serve(run: socket.socket) -> None:
    temporary.clear()
    base = temporary.folder(FOLDERS)
    try:
        run.send(READY + str(base.path).encode())
        _Forking(run, base.path).serve()
    finally:
        _end_all_children()  # none may write there any more
        base.remove()


def _import(modules: Sequence[str]) -> None:
    from rmsuite import answers  # noqa: F401 -- what every fork needs

    for name in modules:
        with contextlib.suppress(Exception):  # the worker that needs it says what is wrong
            importlib.import_module(name)


def n_threads(process: int | str = "self") -> int:
    """Return how many threads a process has; 1 where the system does not tell."""
    try:
        return len(list(Path(f"/proc/{process}/task").iterdir()))
    except OSError:
        return 1


@dataclass
class _Child:
    """A worker, as the server sees it: where its end is told, what it prints, its working directory and its threads."""

    status: int
    printed: int
    folder: Path
    tail: bytes = b""
    threads: int = 0

    def drain(self) -> bool:
        """Keep the end of what was printed since the last time; whether more may come."""
        try:
            data = os.read(self.printed, CHUNK)  # no more at a time: other workers wait for the server
        except BlockingIOError:
            return True
        self.tail = (self.tail + data)[-KEPT_OUTPUT:]
        return bool(data)


class _Forking:
    """The state of the server: its children by process, and what it waits for."""

    def __init__(self, run: socket.socket, base: Path) -> None:
        self._run, self._base, self._n_forks = run, base, 0
        self._children: dict[int, _Child] = {}
        self._helpers = _own_children()  # of modules that were imported
        self._waker, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._selector = selectors.DefaultSelector()

    def serve(self) -> None:
        """Fork, listen and bury until the run closes its end."""
        signal.set_wakeup_fd(self._wake)
        signal.signal(signal.SIGCHLD, _nothing)
        for source in (self._run.fileno(), self._waker):
            self._selector.register(source, selectors.EVENT_READ)
        while all(self._attend(key.fd, key.data) for key, _ in self._selector.select(LOOK)):
            self._look()

    def _attend(self, source: int, child: _Child | None) -> bool:
        """Deal with one event; whether the run is still there."""
        if source == self._run.fileno():
            return self._fork()
        if source == self._waker:
            os.read(self._waker, 4096)
            self._reap()
        elif child is not None and source == child.printed and not child.drain():
            self._selector.unregister(source)
        return True

    def _look(self) -> None:
        for pid, child in self._children.items():
            child.threads = max(child.threads, n_threads(pid) - OWN_THREADS)

    def _reap(self) -> None:
        """Tell the ends of workers, and end what they leave to the server: what a method starts ends with its cell."""
        for orphan in set(_own_children()).difference(self._children, self._helpers):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(orphan, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if child := self._children.pop(ended[0], None):
                    self._bury(child, ended[1])

    def _bury(self, child: _Child, status: int) -> None:
        child.drain()
        with contextlib.suppress(KeyError):  # it may have closed its output before it ended
            self._selector.unregister(child.printed)
        _tell(child.status, NUMBER.pack(status) + NUMBER.pack(child.threads) + child.tail)
        for descriptor in (child.printed, child.status):
            os.close(descriptor)
        child.printed = -1  # what is still to be attended to of it is done
        remove(child.folder)

    def _fork(self) -> bool:
        """Fork a worker for the run; whether it is still there."""
        message, descriptors, *_ = socket.recv_fds(self._run, 1, 2)
        if not message:
            return False
        work, status = descriptors
        self._n_forks += 1
        folder = self._base / str(self._n_forks)
        folder.mkdir()
        printed, printing = os.pipe()
        os.set_blocking(printed, False)
        server = os.getpid()
        pid = os.fork()
        if not pid:
            try:
                self._leave(status, printed)
                _become_worker(work, printing, folder, server)
            except BaseException:  # noqa: BLE001 -- a worker that goes on would do what its server does
                traceback.print_exc()
            finally:
                os._exit(1)
        for descriptor in (work, printing):
            os.close(descriptor)
        child = self._children[pid] = _Child(status, printed, folder)
        self._selector.register(printed, selectors.EVENT_READ, child)
        _tell(status, NUMBER.pack(pid))
        return True

    def _leave(self, *own: int) -> None:
        """Close, in a fork, what belongs to the server and to other workers."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        others = [descriptor for child in self._children.values() for descriptor in (child.status, child.printed)]
        for descriptor in (self._run.fileno(), self._waker, self._wake, *own, *others):
            os.close(descriptor)


def _nothing(number: int, frame: FrameType | None) -> None:
    """A signal with a handler wakes the selector; one that is ignored does not."""


def _tell(pipe: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # the run has given this worker up
        os.write(pipe, data)


def _become_worker(work: int, printing: int, folder: Path, server: int) -> None:
    from rmsuite import answers, worker

    for number in (signal.SIGCHLD, *STOPS):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    _adopt_orphans()  # so that the server has none of a worker that lives
    _end_with(server)
    _print_to(printing)
    os.chdir(folder)  # what a method writes beside itself meets no other cell
    worker.serve(Connection(work), answers.packed)


def _print_to(pipe: int) -> None:
    """Send what is printed, by native code too, to the server; a crash says where it was."""
    for standard in (1, 2):
        os.dup2(pipe, standard)
    os.close(pipe)
    sys.stdout, sys.stderr = (
        open(standard, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115 -- for its whole life
        for standard in (1, 2)
    )
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]  # what the others fall back to
    faulthandler.enable(sys.stderr, all_threads=False)


def _end_with(server: int) -> None:
    """Bind this process to the server: nobody else is left to end it if the run is killed."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait_for_the_end, args=(server,), daemon=True).start()


def _wait_for_the_end(server: int) -> None:
    while os.getppid() == server:
        time.sleep(1)
    os._exit(1)


def _adopt_orphans() -> None:
    """Become the parent of processes whose parents end before them: what a worker starts cannot get away."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def _end_all_children() -> None:
    """Kill all children, and the orphans that come of it, until there are none."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    while children := _own_children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _own_children() -> list[int]:
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(pid) for pid in listed.read_text().split()] if listed.is_file() else []
