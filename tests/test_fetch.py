"""What a server gives has its name only if it is what was listed. Whoever fetches data over a bad line relies on it."""

from __future__ import annotations

import errno
import hashlib
import re
import threading
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import EntryPoint
from pathlib import Path

import more_listing
import pytest
from command_line import Toys
from plugin_files import TASKS, write

from rmsuite import downloads, listing, network
from rmsuite.downloads import Server, fetch
from rmsuite.errors import FetchError, TaskError, UnknownNameError
from rmsuite.listing import LISTING, Listed

DATA = hashlib.shake_256(b"rmsuite").digest(300_000)
PATH = "pools/toy/gold.npy"
CARDS = len(list(more_listing.MORE.glob("*/*.toml")))


def listed(data: bytes = DATA, path: str = PATH) -> Listed:
    return Listed(path, len(data), hashlib.sha256(data).hexdigest())


def write_listing(root: Path) -> None:
    (root / LISTING).write_text(more_listing.listing(root))


class Web:
    """Serves files by path; the next request is answered as the next entry of ``script`` says, then well.

    An entry is a status; a number of bytes after which the connection breaks, in a list; or bytes to send instead.
    """

    def __init__(self, files, script=(), ranges=True, location=""):
        self.files, self.script, self.ranges, self.location = files, list(script), ranges, location
        self.asked, self.sent = [], 0
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_handler(), self))
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/more"

    def server(self, **options) -> Server:
        return Server(self.url, **{"backoff": 0.0, "retries": 0, "timeout": 20, **options})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def _handler():
    class Handler(BaseHTTPRequestHandler):
        def __init__(self, web, *arguments):
            self.web = web
            super().__init__(*arguments)

        def do_GET(self):
            web, asked = self.web, self.headers.get("Range", "")
            web.asked.append((self.path, asked))
            step = web.script.pop(0) if web.script else None
            if isinstance(step, int):
                return self.answer(step, b"because", {"Location": web.location} if 300 <= step < 400 else {})
            data = step if isinstance(step, bytes) else web.files.get(self.path.partition("?")[0])
            if data is None:
                return self.answer(404, b"no such file")
            begin, status, headers = 0, 200, {}
            if asked and web.ranges:
                begin = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
                if begin >= len(data):
                    return self.answer(416, b"")
                status, headers = 206, {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"}
            return self.answer(status, data[begin:], headers, step[0] if isinstance(step, list) else None)

        def answer(self, status, data, headers=None, cut=None):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.web.sent += len(data[:cut])  # before it is sent: who has read it all may look at once
            self.close_connection = True
            with suppress(ConnectionError):  # who has read too much goes away
                self.wfile.write(data[:cut])

        def log_message(self, *_):
            pass

    return Handler


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "RMSUITE_URL", "RMSUITE_TASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(network.time, "sleep", lambda seconds: None)


def web(*script, data=DATA, **options) -> Web:
    return Web({f"/more/{PATH}": data}, script, **options)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def parts(folder: Path) -> list[bytes]:
    assert not (folder / PATH).exists()
    return list(files(folder).values())


@pytest.mark.parametrize("data", [DATA, b"", b"x"])
def test_what_is_there_after_a_fetch_is_what_was_listed_and_nothing_else(tmp_path, data):
    steps = []
    with web(data=data) as server:
        fetch(listed(data), server.server(), tmp_path, steps.append)
    assert files(tmp_path) == {PATH: data}
    assert sum(steps) == len(data)


def test_a_file_that_is_there_is_not_asked_for_again(tmp_path):
    with web() as server:
        for _ in range(2):
            fetch(listed(), server.server(), tmp_path)
        assert server.asked == [(f"/more/{PATH}", "")]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_fetch_that_broke_off_is_gone_on_with_in_the_next_call(tmp_path, ranges):
    """Where the server gives ranges, only the rest is asked for and sent: no byte travels twice."""
    with web([100_000], ranges=ranges) as server:
        with pytest.raises(FetchError, match=r"broke off after 100,000 of 300,000 bytes.*goes on where"):
            fetch(listed(), server.server(), tmp_path)
        assert parts(tmp_path) == [DATA[:100_000]]
        steps = []
        fetch(listed(), server.server(), tmp_path, steps.append)
        assert [asked for _, asked in server.asked] == ["", "bytes=100000-"]
        assert server.sent == (len(DATA) if ranges else 100_000 + len(DATA))
    assert files(tmp_path) == {PATH: DATA}
    assert sum(steps) == len(DATA)


def test_a_line_that_breaks_often_gets_there_in_one_call(tmp_path):
    with web([70_000], 503, [0], [50_000]) as server:
        fetch(listed(), server.server(retries=4), tmp_path)
        assert server.sent == len(DATA) + len(b"because")
    assert files(tmp_path) == {PATH: DATA}


@pytest.mark.parametrize("failure", [429, 500, 503, [10]])
def test_a_server_that_keeps_failing_is_given_up(tmp_path, failure):
    with web(*[failure] * 9) as server:
        with pytest.raises(FetchError, match=r"3 times\. Do: see that the server runs"):
            fetch(listed(), server.server(retries=2), tmp_path)
        assert len(server.asked) == 3
    assert not (tmp_path / PATH).exists()


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_told_at_once_with_address_and_status(tmp_path, status):
    with web(status) as server:
        with pytest.raises(FetchError, match=rf"127.0.0.1:\d+/more/{PATH}.*status {status} \(because\).*--url"):
            fetch(listed(), server.server(retries=5), tmp_path)
        assert len(server.asked) == 1


def test_no_server_is_an_error(tmp_path):
    with web() as server:
        pass
    with pytest.raises(FetchError, match="no answer"):
        fetch(listed(), server.server(), tmp_path)


WRONG = {
    "other bytes": DATA[::-1],
    "one bit": bytes([DATA[0] ^ 1]) + DATA[1:],
    "more": DATA + b"x",
    "fewer": DATA[:-1],
    "none": b"",
    "a page": b"<html>log in</html>",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_bytes_never_get_the_name_and_the_right_ones_come_afterwards(tmp_path, wrong):
    with web(wrong) as server:
        with pytest.raises(FetchError, match=r"got (sha256|.* bytes)"):
            fetch(listed(), server.server(retries=3), tmp_path)
        assert parts(tmp_path) in ([], [b""])
        fetch(listed(), server.server(), tmp_path)
    assert files(tmp_path) == {PATH: DATA}


@pytest.mark.parametrize("there", [b"x" * 100, DATA[:-1] + b"x", DATA + b"x"])
def test_a_beginning_that_does_not_go_with_the_rest_is_thrown_away(tmp_path, there):
    part = tmp_path / f"pools/toy/.gold.npy.{listed().sha256[:16]}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(there)
    steps = []
    with web() as server:
        fetch(listed(), server.server(retries=1), tmp_path, steps.append)
    assert files(tmp_path) == {PATH: DATA}
    assert sum(steps) == len(DATA)


def test_a_whole_part_gets_its_name_without_a_request(tmp_path):
    """As after a kill between the last byte and the renaming."""
    part = tmp_path / f"pools/toy/.gold.npy.{listed().sha256[:16]}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA)
    fetch(listed(), Server("http://127.0.0.1:1/"), tmp_path)
    assert files(tmp_path) == {PATH: DATA}


def test_a_range_that_the_server_does_not_have_is_fetched_whole(tmp_path):
    """As from a server whose file was shorter once, and is right now."""
    with web([100_000]) as server, pytest.raises(FetchError):
        fetch(listed(), server.server(), tmp_path)
    with web(DATA[:50_000]) as server:
        fetch(listed(), server.server(retries=1), tmp_path)
        assert [asked for _, asked in server.asked] == ["bytes=100000-", ""]
    assert files(tmp_path) == {PATH: DATA}


def test_another_file_in_its_place_is_left_as_it_is(tmp_path):
    write(tmp_path / PATH, "a user's own")
    with web() as server:
        with pytest.raises(FetchError, match="expected the listed file, or none, got another one"):
            fetch(listed(), server.server(), tmp_path)
        assert server.asked == []
    assert files(tmp_path) == {PATH: b"a user's own"}


def test_two_fetches_of_one_file_do_not_meet(tmp_path):
    with downloads._open(listed(), Server("http://localhost"), tmp_path / PATH, print):
        with web() as server, pytest.raises(FetchError, match="another one at work"):
            fetch(listed(), server.server(), tmp_path)
        assert server.asked == []


def test_a_full_disk_is_an_error_that_says_so(tmp_path, monkeypatch):
    class Full(downloads.FileIO):
        def write(self, block):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda self, mode, buffering: Full(self, "ab+"))
    with web() as server, pytest.raises(FetchError, match=r"No space left on device.*free space"):
        fetch(listed(), server.server(retries=3), tmp_path)
    assert len(server.asked) == 1


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    write(tmp_path / "pools", "a file")
    with pytest.raises(FetchError, match="expected a place to write to"):
        fetch(listed(), Server("http://127.0.0.1:1/"), tmp_path)


def test_redirects_are_followed_to_http_only(tmp_path):
    with web() as there:
        with web(302, location=f"{there.url}/{PATH}") as server:
            fetch(listed(), server.server(), tmp_path / "one")
        assert files(tmp_path / "one") == {PATH: DATA}
    secret = write(tmp_path / "secret", "x").as_uri()
    for location in (secret, "ftp://127.0.0.1:1/x", "data:,x"):
        with web(302, location=location) as server, pytest.raises(FetchError, match="status 302"):
            fetch(listed(), server.server(), tmp_path / "two")
    assert set(files(tmp_path / "two").values()) == {b""}


def test_a_file_address_is_read_from_the_disk(tmp_path):
    (tmp_path / "a b" / PATH).parent.mkdir(parents=True)
    (tmp_path / "a b" / PATH).write_bytes(DATA)
    fetch(listed(), Server((tmp_path / "a b").as_uri()), tmp_path / "to")
    assert files(tmp_path / "to") == {PATH: DATA}
    with pytest.raises(FetchError, match="No such file"):
        fetch(listed(), Server((tmp_path / "none").as_uri()), tmp_path / "two")


@pytest.mark.parametrize("url", ["localhost:1", "ftp://x/", "http://", "data:,x", "", "//x", "http://me:secret@x/"])
def test_an_address_of_another_kind_is_refused_and_no_password_is_printed(url):
    with pytest.raises(FetchError, match="--url") as error:
        Server(url)
    assert "secret" not in str(error.value)


def test_a_query_of_the_address_stays_behind_the_path_and_out_of_messages(tmp_path):
    with web(data=None) as server:
        with pytest.raises(FetchError) as error:
            fetch(listed(), Server(f"{server.url}/?key=secret", retries=0), tmp_path)
        assert server.asked == [(f"/more/{PATH}?key=secret", "")]
    assert "secret" not in str(error.value)


BAD = ["../x", "/etc/x", "pools/../../x", "a//b", "", ".", "a/.", "a\\b", "C:/x", ".hidden/x", "a/\n", "a/b\n", "a b"]


@pytest.mark.parametrize("path", BAD)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, path):
    name = path.replace("\\", "\\\\").replace("\n", "\\n")
    text = f'format = 1\n[[items]]\nname = "x"\nwhat = ""\nneeds = []\nfiles = {{"{name}" = "1 {"0" * 64}"}}\n'
    (tmp_path / LISTING).write_text(text)
    with pytest.raises(TaskError, match="expected paths within the folder"):
        listing.read_all([tmp_path])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("format = 1", "format = 2"),
        ("format = 1", "form = 1"),
        ("items", "entries"),
        ('name = "cards"', "name = 3"),
        ("needs = []", 'needs = ["absent"]'),
        ("needs = []", "need = []"),
        ('toml" = "', 'toml" = "-'),
        ('toml" = "', 'toml" = "1 '),
        ("format = 1", "format ="),
    ],
)
def test_a_malformed_listing_is_refused_by_its_path(toy_root, old, new):
    write_listing(toy_root)
    text = (toy_root / LISTING).read_text()
    assert old in text
    (toy_root / LISTING).write_text(text.replace(old, new, 1))
    with pytest.raises(TaskError, match=LISTING):
        listing.read_all([toy_root])


def test_two_listings_with_one_name_are_refused(toy_root, tmp_path):
    write_listing(toy_root)
    assert listing.read_all([tmp_path]) == {}
    with pytest.raises(TaskError, match="once in all listings"):
        listing.read_all([toy_root, toy_root])


def test_an_item_comes_with_what_it_needs_and_cards_come_last(toy_root):
    """A card is there only when all that it speaks of is: whatever interrupts a fetch, what loads is whole."""
    write_listing(toy_root)
    items = listing.read_all([toy_root])
    assert set(items) == {"cards"} | {f"{p}-pool{e}" for p in ("gold", "human") for e in ("", "/toy-base")}
    for item in items.values():
        paths = [file.path for file in listing.files_of(item, items)]
        assert len(paths) == len(set(paths))
        cards = [path for path in paths if path.endswith(".toml")]
        assert paths[-len(cards) :] == cards
        assert cards[-3:] == ["suites/default.toml", "tasks/toy-gold.toml", "tasks/toy-human.toml"]
        for card in cards[:-3]:
            inside = [path for path in paths if path.startswith(card.rpartition("/")[0] + "/")]
            assert paths.index(card) == max(map(paths.index, inside))
    wanted = listing.chosen(items, ["gold-pool/*", "cards", "cards"])
    assert [item.name for item in wanted] == ["gold-pool/toy-base", "cards"]
    with pytest.raises(UnknownNameError, match="nearest is 'cards'"):
        listing.chosen(items, ["card"])


def test_the_listing_of_the_bundled_tasks_is_that_of_their_folder():
    assert more_listing.LISTING.read_text() == more_listing.listing(more_listing.MORE), "run tasks/make/more_listing.py"
    items = listing.read_all([more_listing.LISTING.parent])
    assert {file.path for item in items.values() for file in item.files} == set(files(more_listing.MORE))


@pytest.fixture
def bundled(tmp_path, capfd, monkeypatch):
    """The commands as the wheel has them: the bundled tasks and baselines, without the folder of a checkout."""
    monkeypatch.chdir(tmp_path)
    plugin = write(tmp_path / "wheel.py", "import rmsuite\n" + TASKS.format(root=str(more_listing.LISTING.parent)))
    found = Toys(tmp_path, plugin, capfd)
    found.install(monkeypatch, EntryPoint("rmsuite-baselines", "rmsuite_baselines", "rmsuite"))
    return found


def test_a_fetched_task_loads_and_runs(bundled, monkeypatch):
    shown = bundled("fetch")
    assert shown.code == 0
    assert re.search(r"^alpaca-eval-common/minilm-l6 .* 2\.03 +-$", shown.out, re.MULTILINE)
    monkeypatch.setenv("RMSUITE_TASKS", "there")
    served = {f"/more/{path}": data for path, data in files(more_listing.MORE).items()}
    with Web(served) as server:
        done = bundled("fetch", "alpaca-eval-common/minilm-l6", "--url", server.url, "--to", "there")
        assert (done.code, done.err) == (0, "")
        assert done.out.splitlines()[-1] == "Next: rmsuite list tasks --tasks there (or set RMSUITE_TASKS=there)"
        assert len(server.asked) == len(files(Path("there"))) == CARDS + 8 + 3
        assert {f"/more/{path}": data for path, data in files(Path("there")).items()}.items() <= served.items()
    again = bundled("fetch", "alpaca-eval-common/minilm-l6", "--to", "there")
    assert "here already, in there\n" in again.out
    assert again.code == 0
    assert re.search(r"^alpaca-eval-common/minilm-l6 .* 2\.03 +there$", bundled("fetch", "--to", "there").out, re.M)
    monkeypatch.delenv("RMSUITE_TASKS")
    run = ("run", "--tasks", "there", "--task", "alpaca-eval-common", "-m", "mean-difference", "-r", "1", "--no-stored")
    ran = bundled(*run)
    assert (ran.code, ran.out.splitlines()[0]) == (0, "alpaca-eval-common@1")


def test_without_an_address_the_error_says_how_to_give_one_and_the_variable_does(bundled, monkeypatch):
    answer = bundled("fetch", "cards")
    assert (answer.code, answer.out) == (2, "")
    for part in ("expected the address of a server", "--url", "RMSUITE_URL", "checkout"):
        assert part in answer.err
    monkeypatch.setenv("RMSUITE_URL", more_listing.MORE.as_uri())
    assert bundled("fetch", "cards").code == 0
    fetched = set(files(Path("rmsuite-tasks")))
    assert len(fetched) == CARDS
    assert {"suites/base-models.toml", "tasks/alpaca-eval-common.toml"} <= fetched


def test_a_file_in_the_way_stops_a_fetch_before_it_begins(bundled):
    write(Path("rmsuite-tasks/tasks/alpaca-eval-common.toml"), "mine")
    with web() as server:
        answer = bundled("fetch", "*", "--url", server.url)
        assert server.asked == []
    assert (answer.code, answer.out) == (2, "")
    assert "delete it, or give another folder with --to" in answer.err


def test_in_a_checkout_everything_is_here(toys_of_a_checkout):
    shown = toys_of_a_checkout.bare("fetch", "*")
    assert shown.code == 0
    assert shown.out.count("here already, in") == len(listing.read_all([more_listing.LISTING.parent]))
    assert not Path("rmsuite-tasks").exists()


@pytest.fixture
def toys_of_a_checkout(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = Toys(tmp_path, tmp_path, capfd)
    found.install(monkeypatch, EntryPoint("rmsuite-tasks", "rmsuite_tasks", "rmsuite"))
    return found


def test_without_any_listing_there_is_nothing_to_fetch(tmp_path, capfd, monkeypatch):
    found = Toys(tmp_path, tmp_path, capfd)
    found.install(monkeypatch)
    assert found.bare("fetch").out == "Nothing to fetch: no plugin lists more than its package holds.\n"
    assert found.bare("fetch", "x").code == 2
