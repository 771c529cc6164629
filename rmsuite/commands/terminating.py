"""What a command does when it is told to terminate: what it does when it is stopped by hand."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


class Terminated(KeyboardInterrupt):
    """Raised where the command is when SIGTERM arrives, so that workers end and temporary files go."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise ``Terminated`` on SIGTERM, unless the caller decided otherwise; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(*_given: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise Terminated("terminated")
