"""Workers that a clean process forks, one for each cell: a fresh worker in milliseconds. What the run sees of them.

That process (``forking``) ends when the run that started it does; its workers, and all that they started, end with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path

from rmsuite.forking import ASKED, CHUNK, NUMBER, READY
from rmsuite.removing import remove

START = "import sys; from rmsuite import forking; forking.main(int(sys.argv[1]), sys.argv[2:])"
GRACE = 5  # seconds for a killed process to end
PATIENCE = 60  # seconds without a byte in the middle of a message, or without a sign of a fork
LIMIT = struct.pack("ll", PATIENCE, 0)


class GoneError(Exception):
    """The process that forks workers has ended, or does not answer."""


class Worker:
    """A forked worker, as its run sees it: what is sent to it and what it answers, and how it ended."""

    def __init__(self, connection: Connection, status: int) -> None:
        self.connection, self._status, self._ended = connection, status, False
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
        if not wait([self._status], GRACE):
            return "runs on, but its connection is closed or silent"
        code = os.waitstatus_to_exitcode(self._number(0))
        self._ended = True
        return f"died ({f'EXIT({code})' if code >= 0 else _signal(-code)})"

    def kill(self) -> tuple[str, int]:
        """End the worker, and what it started in its process group.

        Returns
        -------
        str, int
            The end of what they printed, and with how many threads of its own the worker was seen.
        """
        for kill in (os.killpg, os.kill):  # it may not have made its group yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(GoneError):
            if not self._ended:
                self.end()
        told = os.read(self._status, CHUNK) if self._ended else b""
        self._close()
        threads = int(NUMBER.unpack(told[: NUMBER.size])[0]) if told else 0
        return told[NUMBER.size :].decode("utf-8", "replace"), threads


def _socketpair() -> tuple[socket.socket, socket.socket]:
    """Return connected sockets that wait for as long as it takes: a plugin may have set another timeout for all."""
    pair = socket.socketpair()
    for one in pair:
        one.setblocking(True)
    return pair


def _signal(number: int) -> str:
    """Return the name of a signal; most of the real-time signals have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Server:
    """The forking process, as its run sees it."""

    def __init__(self, environment: Mapping[str, str], modules: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._control, its = _socketpair()
        command = [sys.executable, "-c", START, str(its.fileno()), *modules]
        with its:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # whoever kills the run's process group leaves it to clean up
            )
        said = self._control.recv(CHUNK)
        self.ready, self._folder = said[:1] == READY, said[1:].decode()

    def worker(self) -> Worker:
        """Fork a worker.

        Raises
        ------
        GoneError
            If the server is gone.
        """
        mine, its = _socketpair()
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):  # half a message must not hold up the run
            mine.setsockopt(socket.SOL_SOCKET, option, LIMIT)
        status, its_status = os.pipe()
        self._wake()
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
        """End the server, and with it its workers and the folders in which they worked."""
        self._control.close()
        self._wake()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._folder:  # the server removes it, unless it was killed
            remove(Path(self._folder))

    def _wake(self) -> None:
        """Have the server go on: a method may have stopped it."""
        self._process.send_signal(signal.SIGCONT)
