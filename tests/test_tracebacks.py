"""A failed cell leaves a page that says where the method's own code failed. Whoever mends a method reads it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from conftest import write_root
from running import MISBEHAVING, run

from rmsuite import harness, results
from rmsuite.bundles.merge import merge
from rmsuite.tracebacks import PASSED_THROUGH, page, shortened
from rmsuite.worker import Outcome

OURS = sorted(PASSED_THROUGH)[0]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Results of methods that fail in several ways, and of one that works."""
    folder = tmp_path_factory.mktemp("tracebacks")
    root = write_root(folder / "toy-tasks")
    methods = ["fails-in-fit", "wrong-shape", "dies", "refuses", "honest", "recurses"]
    run(root, folder / "home", methods)
    return folder / "home"


def path_of(home, method):
    return results.path_of(home, "toy-gold@1", method, 0)


def text_of(home, method):
    return results.traceback_path(path_of(home, method)).read_text(encoding="utf-8")


def test_each_failed_cell_and_no_other_has_a_page_of_what_its_record_says(home):
    pages = {path.parent.name for path in home.glob("*/*/0.traceback.txt")}
    assert pages == {"fails-in-fit", "wrong-shape", "dies", "recurses"}
    for method in pages:
        record = results.read(path_of(home, method))
        text = text_of(home, method)
        assert text == page(record)
        assert text.startswith(f"{method} on toy-gold@1, repetition 0, failed in {record.phase} (after ")
        assert record.error in text
        assert record.traceback in text


def test_only_the_frames_that_tell_something_are_kept(home):
    files = re.findall(r'^  File "(.*)", line', text_of(home, "fails-in-fit"), re.MULTILINE)
    assert files == [str(MISBEHAVING)] * 2
    files = re.findall(r'^  File ".*/(.*)", line', text_of(home, "wrong-shape"), re.MULTILINE)
    assert files == ["arrays.py"] * 2  # what refuses a shape says why; who calls it is no matter
    assert "Previous line repeated" in text_of(home, "recurses")


MINE = '  File "a.py", line 2, in g\n    y\n'
CALLED = f'  File "{OURS}", line 1, in f\n    x\n'


@pytest.mark.parametrize(
    ("frames", "kept"),
    [
        (CALLED, ""),
        (MINE, MINE),
        (CALLED + "    ^^^^\n" + MINE, MINE),
        (MINE + f'  File "{OURS}", line 1, in f\n', MINE),  # without its source line
        (CALLED + "  [Previous line repeated 7 more times]\n" + MINE, MINE),
        (MINE.replace("a.py", "worker.py"), MINE.replace("a.py", "worker.py")),
        (CALLED.replace(", in f", ""), CALLED.replace(", in f", "")),  # what a syntax error says is no frame
    ],
)
def test_frames_of_others_and_the_words_of_errors_stay(frames, kept):
    start, end = "Traceback (most recent call last):\n", "ValueError: no\n  File of mine\n"
    assert shortened(start + frames + end) == start + kept + end


def test_a_failure_has_its_time_and_the_seconds_until_it(toy_root, tmp_path):
    before = datetime.now(UTC)
    cells = run(toy_root, tmp_path / "home", [f"sleeping[file={tmp_path / 'note'}]", "fails-in-fit"], timeout=0.5)
    for (_, method, _), cell in cells.items():
        assert ("failure" in cell.facts) == (cell.status == "failed") == (cell.kind == "method")
        if cell.kind == "method":
            at = datetime.fromisoformat(cell.facts["failure"]["at"])
            assert at.utcoffset() == timedelta(0)
            assert before - timedelta(seconds=1) <= at <= datetime.now(UTC)
            slept = method.startswith("sleeping")
            assert cell.facts["failure"]["seconds"] >= (0.5 if slept else 0)
            assert ("There is no" in page(cell), "ran for more than 0.5 s" in page(cell)) == (False, slept)


@pytest.mark.parametrize(
    ("seconds", "told"), [({}, 9.0), ({"fit": 2.0}, 9.0), ({"fit": 2.0, "reward": 0.25}, 2.25)], ids=str
)
def test_the_phases_tell_the_seconds_if_the_one_that_failed_does(seconds, told):
    """Otherwise the clock does, since the cell was begun."""
    assert harness.failure(Outcome(phase="reward", seconds=seconds), 9.0)["seconds"] == told


def test_a_page_goes_when_the_cell_succeeds_or_refuses_and_comes_with_a_failure(home, tmp_path):
    fine, failed, refused = (results.read(path_of(home, name)) for name in ("honest", "fails-in-fit", "refuses"))
    here = tmp_path / "home"
    for better in (fine, refused):
        path = results.write(here, replace(failed, method="one"))
        assert results.traceback_path(path).exists()
        results.write(here, replace(better, method="one"))
        assert not results.traceback_path(path).exists()
        assert not list(path.parent.glob(".*"))


def test_a_kill_between_the_files_of_a_cell_leaves_no_failed_record_without_its_page(home, tmp_path, monkeypatch):
    failed, write = results.read(path_of(home, "fails-in-fit")), results.write_text
    written = []

    def stop(path, text):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        write(path, text)

    monkeypatch.setattr(results, "write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        results.write(tmp_path, failed)
    assert written == [results.traceback_path(results.cell_path(tmp_path, failed))]
    assert results.found(tmp_path) == []


def test_a_page_can_be_written_whatever_a_method_says(home, tmp_path):
    odd = "\ud800\x00 ünïcode\r\n"
    failed = replace(results.read(path_of(home, "fails-in-fit")), error=odd, traceback=odd, output=odd)
    path = results.write(tmp_path, failed)
    text = results.traceback_path(path).read_bytes().decode("utf-8")
    assert text.count("\\ud800\x00 ünïcode\r\n") == 2
    assert results.read(path).output == odd


def test_merged_results_keep_their_pages(home, tmp_path):
    merge([home], tmp_path / "merged")
    for path in home.glob("*/*/*.traceback.txt"):
        assert (tmp_path / "merged" / path.relative_to(home)).read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "merged").glob("*/*/*.txt"))) == 4
