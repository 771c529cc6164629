"""Fetch listed files from a web server: taken up where they broke off, and checked before they get their name."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPMessage
from io import FileIO
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError

from rmsuite import network
from rmsuite.errors import FetchError
from rmsuite.listing import Listed
from rmsuite.version import __version__

SCHEMES = ("http", "https", "file")
BLOCK = 2**18
Advance = Callable[[int], object]  # told by how many bytes more, or fewer, are there


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise HTTPError(newurl, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@dataclass(frozen=True)
class Server:
    """Where files are fetched from.

    Parameters
    ----------
    url : str
        The address of the folder that holds the listed paths; http, https or file. A query stays behind each path.
    timeout : float
        Seconds that it may be silent.
    retries : int
        How often a file is taken up again within one call.
    backoff : float
        Seconds before the first of these; each further wait is twice as long.

    Raises
    ------
    FetchError
        If the address is of another scheme, or holds a user name.
    """

    url: str
    timeout: float = 60.0
    retries: int = 3
    backoff: float = 0.5

    def __post_init__(self) -> None:
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme not in SCHEMES or (parts.scheme != "file" and not parts.hostname):
            expected, got = "an address with http://, https:// or file://", network.shown(self.url)
            raise FetchError(who="--url", expected=expected, got=repr(got), do="give such an address")
        if "@" in parts.netloc:
            expected, got = "an address without user name and password", network.shown(self.url) + " with some"
            raise FetchError(who="--url", expected=expected, got=got, do="leave them out: they would be told to others")

    def address(self, path: str) -> str:
        """Return the address of a file."""
        parts = urllib.parse.urlsplit(self.url)
        return parts._replace(path=f"{parts.path.rstrip('/')}/{urllib.parse.quote(path)}", fragment="").geturl()


@dataclass(frozen=True)
class _Part:
    """A file that is on its way: what is there of it lies open at ``path``, for this process alone."""

    file: Listed
    server: Server
    path: Path
    opened: FileIO
    advance: Advance

    def there(self) -> int:
        """Return the number of bytes that are there."""
        return self.opened.seek(0, os.SEEK_END)

    def drop(self) -> None:
        """Throw away what is there."""
        self.advance(-self.there())
        self.opened.truncate(0)

    def add(self, block: bytes) -> None:
        """Write bytes behind what is there."""
        rest = memoryview(block)
        try:
            while rest:  # a disk that is nearly full takes a part
                rest = rest[self.opened.write(rest) :]
        except OSError as error:
            raise _unwritable(self.path, error) from None
        self.advance(len(block))

    def fail(self, expected: str, got: str, do: str) -> FetchError:
        """Return the error of a file that does not come."""
        who = f"file {network.shown(self.server.address(self.file.path))}"
        return FetchError(who=who, expected=expected, got=got, do=do)


def fetch(file: Listed, server: Server, folder: Path, advance: Advance = lambda n: None) -> None:
    """Bring one file into a folder; bytes that an earlier call received are not asked for again.

    Until its size and sha256 are right, the file lies beside its place under a hidden name that ends in ``.part``.

    Raises
    ------
    FetchError
        If the server does not give it or gives another one, the disk does not take it, or another file has its place.
    """
    target = folder / file.path
    refuse_another(file, folder)
    if target.exists():
        advance(file.size)
        return
    with _open(file, server, target, advance) as part:
        advance(part.there())
        try:
            network.persistent(lambda: _complete(part), server.retries, server.backoff)
        except network.TryAgain as failure:
            do = "see that the server runs; the same command goes on where this one stopped"
            raise part.fail("the listed file", f"{failure.reason}, {server.retries + 1} times", do) from None
        except network.Refused as refusal:
            do = "give as --url the folder that holds the listed paths, or ask who runs the server"
            raise part.fail("the listed file", refusal.reason, do) from None
        part.path.replace(target)


def refuse_another(file: Listed, folder: Path) -> None:
    """Refuse to replace what lies in a file's place and is not that file.

    Raises
    ------
    FetchError
        If something does.
    """
    target = folder / file.path
    if (target.exists() or target.is_symlink()) and not file.is_in(folder):
        do = "delete it, or give another folder with --to"
        raise FetchError(who=f"file {target}", expected="the listed file, or none", got="another one", do=do)


@contextmanager
def _open(file: Listed, server: Server, target: Path, advance: Advance) -> Iterator[_Part]:
    """Open what is there of a file, under a name of its content; two processes at once would spoil it."""
    path = target.with_name(f".{target.name}.{file.sha256[:16]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = path.open("ab+", buffering=0)
    except OSError as error:
        raise _unwritable(path, error) from None
    with opened:
        if not _alone(path, opened):
            do = "wait until it has ended"
            raise FetchError(who=f"file {target}", expected="one fetch at a time", got="another one at work", do=do)
        yield _Part(file, server, path, opened, advance)


def _alone(path: Path, opened: FileIO) -> bool:
    """Return whether nobody else holds a file, or held it until it was complete and got its name."""
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except OSError:
        return False


def _unwritable(path: Path, error: OSError) -> FetchError:
    do = "free space, or give another folder with --to; the same command goes on where this one stopped"
    return FetchError(who=f"file {path}", expected="a place to write to", got=str(error), do=do)


def _complete(part: _Part) -> None:
    """Receive what lacks, and check the whole."""
    begin = part.there()
    if begin > part.file.size:
        part.drop()
        begin = 0
    if begin < part.file.size:
        _receive(part, begin)
    if part.there() < part.file.size:
        raise network.TryAgain(f"it broke off after {part.there():,} of {part.file.size:,} bytes")
    part.opened.seek(0)
    digest = hashlib.file_digest(part.opened, "sha256").hexdigest()
    if digest == part.file.sha256:
        return
    part.drop()
    if begin:
        raise network.TryAgain("what was there did not go with the rest")
    raise _another(part, f"sha256 {part.file.sha256}", f"sha256 {digest}")


def _another(part: _Part, expected: str, got: str) -> FetchError:
    return part.fail(expected, got, "give the --url of a server with the files of this version, or tell who runs it")


def _receive(part: _Part, begin: int) -> None:
    headers = {"User-Agent": f"rmsuite/{__version__}"} | ({"Range": f"bytes={begin}-"} if begin else {})
    request = urllib.request.Request(part.server.address(part.file.path), headers=headers)
    opener = urllib.request.build_opener(_Redirects).open
    try:
        with network.answered(request, part.server.timeout, opener) as answer:
            kept = begin if _goes_on(part, answer, begin) else 0
            _check_length(part, answer, part.file.size - kept)
            if not kept:
                part.drop()
            for block in iter(lambda: answer.read1(BLOCK), b""):
                part.add(block)
                if part.there() > part.file.size:
                    part.drop()
                    raise _another(part, f"{part.file.size:,} bytes", "more")
    except network.Refused as refusal:
        if refusal.status != 416 or not begin:  # a server's file that has no such range is another one
            raise
        part.drop()
        raise network.TryAgain(refusal.reason) from None


def _goes_on(part: _Part, answer: Any, begin: int) -> bool:
    """Return whether an answer begins where it was asked to; a server may send the whole file instead."""
    if not begin or answer.status != 206:
        return False
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if not match or int(match[1]) != begin:
        part.drop()
        raise network.TryAgain("another range than was asked for")
    return True


def _check_length(part: _Part, answer: Any, expected: int) -> None:
    """Refuse an answer that says that it is of another length, before a byte of it is kept."""
    said = answer.headers.get("Content-Length", str(expected))
    if said != str(expected):
        raise _another(part, f"{expected:,} bytes", f"{said} bytes")
