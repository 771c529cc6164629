"""What all requests to servers share: which failures may pass, how long to wait, and what a message may show."""

from __future__ import annotations

import re
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from urllib.error import HTTPError
    from urllib.request import Request

AGAIN = {408, 409, 425, 429, 500, 502, 503, 504}  # answers after which the same request may succeed
LONGEST_WAIT = 60.0
CUT = 300  # characters of a server's message that are shown
T = TypeVar("T")


class TryAgain(Exception):  # noqa: N818 -- a message between two functions
    """A failure that may pass; ``wait`` is how many seconds the server asks for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.wait = reason, wait


class Refused(Exception):  # noqa: N818 -- a message between two functions
    """An answer that the same request will get again; ``status`` is HTTP's."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def shown(url: str) -> str:
    """Return an address as messages have it: without user name, password and query.

    Examples
    --------
    >>> shown("https://me:secret@example.org:8000/v1/?key=secret")
    'https://example.org:8000/v1'
    """
    parts = urllib.parse.urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


def persistent(attempt: Callable[[], T], retries: int, backoff: float) -> T:
    """Return what ``attempt`` returns, trying it again up to ``retries`` times where it raises ``TryAgain``.

    The first wait is ``backoff`` seconds, each further one twice as long, up to a minute, or what the server asks for.

    Raises
    ------
    TryAgain
        If the last try fails too.
    """
    for wait in (min(backoff * 2**i, LONGEST_WAIT) for i in range(retries)):
        try:
            return attempt()
        except TryAgain as failure:
            time.sleep(min(max(wait, failure.wait), LONGEST_WAIT))
    return attempt()


@contextmanager
def answered(request: Request, timeout: float, opener: Callable[..., Any] | None = None) -> Iterator[Any]:
    """Send a request and give its answer, whose bytes may be read within the block.

    Parameters
    ----------
    timeout : float
        Seconds that the server may be silent.
    opener : callable
        What opens the request, in place of ``urllib.request.urlopen``.

    Raises
    ------
    TryAgain
        If there is no answer, it breaks off, or it says "too busy" or "failed".
    Refused
        If it is another status of failure.
    """
    import http.client  # slow to import, and needed by few commands
    import urllib.error
    import urllib.request

    try:
        with (opener or urllib.request.urlopen)(request, timeout=timeout) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        with error:
            raise _failure(error) from None
    except (OSError, http.client.HTTPException) as error:  # no connection, a broken one, a timeout
        raise TryAgain(f"no answer ({error or type(error).__name__})") from None


def _failure(error: HTTPError) -> TryAgain | Refused:
    reason = f"status {error.code}"
    if text := _said(error):
        reason += f" ({text})"
    if error.code in AGAIN:
        asked = error.headers.get("Retry-After", "")
        return TryAgain(reason, float(asked) if re.fullmatch(r"\d+(\.\d+)?", asked) else 0.0)
    return Refused(error.code, reason)


def _said(error: HTTPError) -> str:
    if 300 <= error.code < 400:  # one that urllib or a caller's opener does not follow
        return f"a redirect to {shown(error.headers.get('Location', ''))}"
    try:
        return " ".join(error.read(CUT * 4).decode("utf-8", "replace").split())[:CUT]
    except Exception:  # noqa: BLE001 -- the status is told in any case
        return ""
