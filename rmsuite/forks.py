"""A clean process that has imported what workers need and forks one for each cell: a fresh worker in milliseconds.

The server holds no plugin file, no data and one thread, so that its forks are alike and a fork cannot meet a lock that
is held. It ends when the run that started it does, and its workers end with it, however busy they are.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType

START = "import sys; from rmsuite import forks; forks.main(int(sys.argv[1]), sys.argv[2:])"
READY, ASKED = b"r", b"w"
NUMBER = struct.Struct("q")
PR_SET_PDEATHSIG = 1
PATIENCE = 60  # seconds without a byte in the middle of a message, or without a sign of a fork
LIMIT = struct.pack("ll", PATIENCE, 0)


class GoneError(Exception):
    """The process that forks workers has ended, or does not answer."""


class Worker:
    """A forked worker, as its run sees it: what is sent to it and what it answers, and how it ended."""

    def __init__(self, connection: Connection, status: int) -> None:
        self.connection, self._status = connection, status
        try:
            self.pid = self._number(PATIENCE)
        except BaseException:
            self._close()
            raise

    def _number(self, seconds: float) -> int:
        data = os.read(self._status, NUMBER.size) if wait([self._status], seconds) else b""
        if len(data) < NUMBER.size:
            raise GoneError
        return int(NUMBER.unpack(data)[0])

    def _close(self) -> None:
        self.connection.close()
        os.close(self._status)

    def answers(self, seconds: float) -> bool:
        """Wait for an answer, or the end, for so many seconds at most; whether there is one of them."""
        return bool(wait([self.connection, self._status], seconds))

    def answered(self) -> bool:
        """Whether an answer is there, or the connection is closed: a child of an ended worker may hold it open."""
        return self.connection.poll(0)

    def end(self) -> str:
        """Return what became of the worker: ``died (EXIT(7))``, the name of a signal, or that it runs on.

        Raises
        ------
        GoneError
            If it ended with the process that forked it.
        """
        if not wait([self._status], 5):
            return "runs on, but its connection is closed or silent"
        code = os.waitstatus_to_exitcode(self._number(0))
        return f"died ({f'EXIT({code})' if code >= 0 else signal.Signals(-code).name})"

    def kill(self) -> None:
        """End the worker, and what it started in its process group."""
        for kill in (os.killpg, os.kill):  # it may not have made its group yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)
        self._close()


class Server:
    """The forking process, as its run sees it."""

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._control, its = socket.socketpair()
        command = [sys.executable, "-c", START, str(its.fileno()), *modules]
        with its:
            self._process = subprocess.Popen(
                command, env={**os.environ, **environment}, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL
            )
        self.ready = self._control.recv(1) == READY

    def worker(self) -> Worker:
        """Fork a worker.

        Raises
        ------
        GoneError
            If the server is gone.
        """
        mine, its = socket.socketpair()
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # half a message must not hold up the run
            mine.setsockopt(socket.SOL_SOCKET, option, LIMIT)
        status, its_status = os.pipe()
        try:
            with self._lock:
                socket.send_fds(self._control, [ASKED], [its.fileno(), its_status])
        except OSError as error:
            mine.close()
            os.close(status)
            raise GoneError from error
        finally:
            its.close()
            os.close(its_status)
        return Worker(Connection(mine.detach()), status)

    def close(self) -> None:
        """End the server, and with it its workers."""
        self._control.close()
        self._process.kill()
        self._process.wait()


def main(control: int, modules: Sequence[str]) -> None:
    """Serve forks until the run closes its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends the workers
    _import(modules)
    with socket.socket(fileno=control) as run:
        if n_threads() == 1:
            run.send(READY)
            _serve(run)


def _import(modules: Sequence[str]) -> None:
    from rmsuite import answers  # noqa: F401 -- what every fork needs

    for name in modules:
        with contextlib.suppress(Exception):  # the worker that needs it says what is wrong
            importlib.import_module(name)


def n_threads() -> int:
    """Return how many threads this process has; 1 where the system does not tell."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else 1


def _serve(run: socket.socket) -> None:
    waker, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, _nothing)
    children: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        for source in (run.fileno(), waker):
            selector.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == waker:
                    os.read(waker, 4096)
                    _reap(children)
                elif not _fork(run, children):
                    return


def _nothing(number: int, frame: FrameType | None) -> None:
    """A signal with a handler wakes the selector; one that is ignored does not."""


def _reap(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        pipe = children.pop(pid)
        _tell(pipe, status)
        os.close(pipe)


def _tell(pipe: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # the run has given this worker up
        os.write(pipe, NUMBER.pack(number))


def _fork(run: socket.socket, children: dict[int, int]) -> bool:
    """Fork a worker for the run; whether it is still there."""
    message, fds, *_ = socket.recv_fds(run, 1, 2)
    if not message:
        return False
    work, status = fds
    server = os.getpid()
    pid = os.fork()
    if not pid:
        for other in (run.fileno(), status, *children.values()):
            os.close(other)
        _become_worker(work, server)
    os.close(work)
    children[pid] = status
    _tell(status, pid)
    return True


def _become_worker(work: int, server: int) -> None:
    from rmsuite import answers, worker

    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setsid()
    _end_with(server)
    worker.serve(Connection(work), answers.packed)
    os._exit(0)


def _end_with(server: int) -> None:
    """Bind this process to the server: nobody else is left to end it if the run is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait_for_the_end, args=(server,), daemon=True).start()


def _wait_for_the_end(server: int) -> None:
    while os.getppid() == server:
        time.sleep(1)
    os._exit(1)
