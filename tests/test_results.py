"""A finished cell is whole or absent, whatever kills the run. Whoever reads a results folder relies on it."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import write_root
from running import marked, run, same_arrays

from rmsuite import results
from rmsuite.array_files import arrays_path
from rmsuite.errors import ResultsError
from rmsuite.results import CellRecord, cell_path

HERE = Path(__file__).parent


def make_cell(method="mine", repetition=0, seed=0, **changes):
    rng = np.random.default_rng(seed)
    record = CellRecord(
        task="toy@1",
        method=method,
        kind="method",
        repetition=repetition,
        status="ok",
        signature="rmsuite:1|task:toy@1",
        origin="mine 1.0 — “quoted”",
        parameters={"hidden": 128, "rate": 0.1, "name": "ü"},
        facts={"columns": ["pair-accuracy"], "n_train_pairs": 7, "annotator_agreement": None, "fit_seconds": 0.1 + 0.2},
        output="line\nline \ud800\x00\n",
        notes=("all rewards are equal", "two"),
        arrays={
            "rewards": np.concatenate([rng.standard_normal(30), [5e-324, -0.0, 1.7e308]]),
            "best-of-4": rng.random(5),
            "best-of-4/weight": np.zeros(5),
            "empty": np.empty((0,)),
        },
    )
    return dataclasses.replace(record, **changes)


def assert_four_parts(error, who):
    assert who in error.value.who
    assert all((error.value.expected, error.value.got, error.value.do))


@pytest.mark.parametrize(
    "cell",
    [
        make_cell(),
        make_cell("mine[hidden=128,rule='a/b']", 12),
        make_cell(status="failed", phase="fit", error="ValueError: no", traceback="Traceback\n ...", arrays={}),
        make_cell(status="skipped", phase="make", error="needs attributes", arrays={}, notes=()),
        make_cell("random", kind="control", parameters={}),
    ],
    ids=["plain", "with parameters", "failed", "skipped", "control"],
)
def test_what_is_written_is_read_back(tmp_path, cell):
    path = results.write(tmp_path, cell)
    assert path == cell_path(tmp_path, cell)
    for read in (results.read(path), *results.read_all(tmp_path)):
        for field in dataclasses.fields(CellRecord):
            if field.name not in results.UNWRITTEN:
                assert getattr(read, field.name) == getattr(cell, field.name), field.name
        assert same_arrays(read.arrays, cell.arrays)


def test_a_value_that_json_does_not_know_is_written_as_text(tmp_path):
    read = results.read(results.write(tmp_path, make_cell(parameters={"kind": np.float32, "sizes": (2, 3)})))
    assert read.parameters == {"kind": "<class 'numpy.float32'>", "sizes": [2, 3]}


def test_cells_are_read_in_a_fixed_order(tmp_path):
    for task in ("b@1", "a@1"):
        for repetition in (1, 0):
            results.write(tmp_path, make_cell(repetition=repetition, task=task))
    read = [(cell.task, cell.repetition) for cell in results.read_all(tmp_path)]
    assert read == [("a@1", 0), ("a@1", 1), ("b@1", 0), ("b@1", 1)]


def test_there_are_no_cells_in_a_folder_that_does_not_exist(tmp_path):
    assert list(results.read_all(tmp_path / "nowhere")) == []


def test_no_two_methods_share_a_file(tmp_path):
    long = "mine[" + "a" * 200
    labels = ["mine", "mine[x=a]", "mine[x=A]", "mine[x=a/b]", "mine[x=a_b]", "mine[x=a b]", "mine[x=a.b]", "mine-x=a"]
    labels += [
        "m" * 300,
        "m" * 301,
        f"{long}=1]",
        f"{long}=2]",
        f"{long}b=1]",
        "mine[x='../../a']",
        "mine[x=ä]",
        "mine[x=ö]",
        "mine[x=..]",
    ]
    paths = [results.write(tmp_path, make_cell(label, seed=i)) for i, label in enumerate(labels)]
    assert len({str(path).lower() for path in paths}) == len(labels), "distinct where case does not count, too"
    assert all(path.resolve().is_relative_to(tmp_path.resolve()) for path in paths)
    assert all(len(path.parent.name) < 100 for path in paths)
    for i, label in enumerate(labels):
        assert same_arrays(results.read(paths[i]).arrays, make_cell(label, seed=i).arrays)


def test_repetitions_that_begin_alike_do_not_remove_each_others_arrays(tmp_path):
    for repetition in (1, 10, 11, 1, 11):
        results.write(tmp_path, make_cell(repetition=repetition, seed=repetition))
    read = {cell.repetition: cell for cell in results.read_all(tmp_path)}
    assert set(read) == {1, 10, 11}
    assert all(same_arrays(cell.arrays, make_cell(seed=r).arrays) for r, cell in read.items())


def test_a_cell_that_is_written_again_leaves_no_old_arrays(tmp_path):
    for seed in range(3):
        path = results.write(tmp_path, make_cell(seed=seed))
    assert len(list(path.parent.iterdir())) == 2
    assert same_arrays(results.read(path).arrays, make_cell(seed=2).arrays)


def test_a_damaged_cell_that_is_written_again_leaves_no_old_arrays(tmp_path):
    others = results.write(tmp_path, make_cell(repetition=1, seed=2))
    path = results.write(tmp_path, make_cell(seed=0))
    path.write_bytes(path.read_bytes()[:-40])
    results.write(tmp_path, make_cell(seed=1))
    assert len(list(path.parent.iterdir())) == 4
    assert same_arrays(results.read(path).arrays, make_cell(seed=1).arrays)
    assert same_arrays(results.read(others).arrays, make_cell(seed=2).arrays)


def test_equal_cells_are_equal_bytes(tmp_path):
    one, other = (results.write(tmp_path / name, make_cell()) for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()
    assert next(one.parent.glob("*.npz")).read_bytes() == next(other.parent.glob("*.npz")).read_bytes()


@pytest.mark.parametrize("step", ["_write_arrays", "write_text", "arrays_path", "_digest"])
def test_until_a_new_cell_is_complete_the_old_one_stays(tmp_path, monkeypatch, step):
    """Whichever step of the second write fails, as on a full disk."""
    path = results.write(tmp_path, make_cell(seed=0))

    def full(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(results, step, full)
        with pytest.raises(ResultsError, match="No space left on device") as error:
            results.write(tmp_path, make_cell(seed=1))
    assert_four_parts(error, str(path))
    assert same_arrays(results.read(path).arrays, make_cell(seed=0).arrays)
    results.write(tmp_path, make_cell(seed=1))
    assert same_arrays(results.read(path).arrays, make_cell(seed=1).arrays)


@pytest.mark.parametrize("first", [True, False], ids=["first write", "second write"])
@pytest.mark.parametrize("file", ["record", "arrays"])
def test_a_write_that_stops_in_the_middle_of_a_file_leaves_what_was_there(tmp_path, monkeypatch, file, first):
    if not first:
        results.write(tmp_path, make_cell(seed=0))

    def half_of_the_record(path, text, **options):
        path.write_bytes(text[: len(text) // 2].encode())
        raise KeyboardInterrupt

    def half_of_the_arrays(opened, **members):
        opened.write(b"PK half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if file == "record":
            patch.setattr(Path, "write_text", half_of_the_record)
        else:
            patch.setattr(np, "savez_compressed", half_of_the_arrays)
        with pytest.raises(KeyboardInterrupt):
            results.write(tmp_path, make_cell(seed=1))
    seen = list(results.read_all(tmp_path))
    assert len(seen) == (0 if first else 1)
    assert all(same_arrays(cell.arrays, make_cell(seed=0).arrays) for cell in seen)


def test_leftovers_of_a_killed_write_are_ignored(tmp_path):
    path = results.write(tmp_path, make_cell())
    for name in (".0.json.77", ".0.npz.77", ".1.json.78", "1-0123456789abcdef.npz", ".1.npz.78"):
        (path.parent / name).write_bytes(b"{half")
    (tmp_path / "toy@1" / "begun").mkdir()
    (tmp_path / "notes.json").write_text("not a cell")
    (read,) = results.read_all(tmp_path)
    assert same_arrays(read.arrays, make_cell().arrays)


def test_every_altered_byte_of_the_record_is_refused(tmp_path):
    path = results.write(tmp_path, make_cell())
    whole = path.read_bytes()
    for position in range(len(whole) - 1):  # but for the line break that ends it
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(ResultsError) as error:
            results.read(path)
        assert_four_parts(error, str(path))
        assert "delete the cell" in error.value.do


def test_every_altered_byte_of_the_arrays_is_refused(tmp_path):
    path = results.write(tmp_path, make_cell())
    arrays = next(path.parent.glob("*.npz"))
    whole = arrays.read_bytes()
    for position in range(0, len(whole), 7):
        arrays.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(ResultsError, match="another sha256") as error:
            list(results.read_all(tmp_path))
        assert_four_parts(error, str(path))


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'"text"', b"{}", b"null", b"3", b'{"format": 1}', b"\xff\xfe", b"{"], ids=repr
)
def test_a_record_that_is_none_is_refused(tmp_path, content):
    path = results.write(tmp_path, make_cell())
    path.write_bytes(content)
    with pytest.raises(ResultsError) as error:
        results.read(path)
    assert_four_parts(error, str(path))


def test_a_record_of_another_format_is_refused(tmp_path):
    path = results.write(tmp_path, make_cell())
    document = json.loads(path.read_text())
    del document["sha256"]
    path.write_text(results._sealed({**document, "format": 3}))
    with pytest.raises(ResultsError, match="format 3"):
        results.read(path)


@pytest.mark.parametrize(
    "cell", [make_cell(), make_cell(status="failed", phase="fit", arrays={})], ids=["ok", "failed"]
)
@pytest.mark.parametrize("door", ["written", "glanced at"])
def test_arrays_that_are_read_late_are_those_of_the_cell(tmp_path, cell, door):
    found = results.stored(tmp_path, cell)
    if door == "glanced at":
        found = results.glance(cell_path(tmp_path, cell))
        assert dataclasses.replace(found, arrays={}).seal == results.read(cell_path(tmp_path, cell)).seal
    assert list(found.arrays) == sorted(cell.arrays)
    assert len(found.arrays) == len(cell.arrays)
    assert same_arrays(found.arrays, cell.arrays)
    assert "other" not in found.arrays
    with pytest.raises(KeyError):
        found.arrays["other"]


def test_a_glance_reads_no_array_and_finds_every_altered_byte(tmp_path, monkeypatch):
    path = results.write(tmp_path, make_cell())
    arrays = next(path.parent.glob("*.npz"))
    whole = arrays.read_bytes()
    with monkeypatch.context() as patch:
        patch.delattr(np, "load")
        results.glance(path)
    for position in range(0, len(whole), 7):
        arrays.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(ResultsError, match="another sha256") as error:
            results.glance(path)
        assert_four_parts(error, str(path))


@pytest.mark.parametrize("change", ["gone", "altered"])
def test_arrays_that_change_before_they_are_asked_for_are_refused_then(tmp_path, change):
    path = results.write(tmp_path, make_cell())
    one, other = results.glance(path), results.stored(tmp_path, make_cell())
    arrays = next(path.parent.glob("*.npz"))
    arrays.write_bytes(arrays.read_bytes()[:-1]) if change == "altered" else arrays.unlink()
    for found in (one, other):
        for ask in (lambda a: a["rewards"], list, lambda a: "rewards" in a):
            with pytest.raises(ResultsError) as error:
                ask(found.arrays)
            assert_four_parts(error, str(path))


def test_what_is_no_array_file_is_refused_though_its_sha256_is_right(tmp_path):
    path = results.write(tmp_path, make_cell())
    digest = hashlib.sha256(b"PK none").hexdigest()
    arrays_path(path, digest).write_bytes(b"PK none")
    document = {**json.loads(path.read_text()), "arrays_sha256": digest}
    del document["sha256"]
    path.write_text(results._sealed(document))
    for late in (lambda: results.read(path), lambda: results.glance(path).arrays["rewards"]):
        with pytest.raises(ResultsError) as error:
            late()
        assert_four_parts(error, str(path))


def test_missing_and_exchanged_arrays_are_refused(tmp_path):
    path = results.write(tmp_path, make_cell(seed=0))
    other = results.write(tmp_path, make_cell(repetition=1, seed=1))
    arrays = next(path.parent.glob("0-*.npz"))
    next(other.parent.glob("1-*.npz")).replace(arrays)
    with pytest.raises(ResultsError, match="another sha256"):
        results.read(path)
    arrays.unlink()
    with pytest.raises(ResultsError, match="No such file"):
        results.read(path)


@pytest.mark.parametrize("blocked", ["home", "home/toy@1", "home/toy@1/mine"])
def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path, blocked):
    (tmp_path / blocked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / blocked).write_text("a file")
    with pytest.raises(ResultsError, match="expected a writable folder") as error:
        results.write(tmp_path / "home", make_cell())
    assert_four_parts(error, "home")
    assert (tmp_path / blocked).read_text() == "a file"


ENDLESS = """
    import sys
    sys.path.insert(0, {here!r})
    from pathlib import Path
    from running import run
    while True:
        run(Path({root!r}), Path({home!r}), ["honest", "first-feature"], names=("toy-gold", "toy-human"))
"""


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_moment_leaves_whole_cells_only(tmp_path):
    """The same folder is killed over and again: each time, what is there is what an undisturbed run gives.

    No worker outlives its run for long, whether it was busy, idle or just starting.
    """
    root, home = write_root(tmp_path / "toy-tasks"), tmp_path / "home"
    names = ("toy-gold", "toy-human")
    undisturbed = run(root, tmp_path / "undisturbed", ["honest", "first-feature"], names=names)
    script = textwrap.dedent(ENDLESS.format(here=str(HERE), root=str(root), home=str(home)))
    for delay in np.linspace(0.35, 1.6, 12):
        environment = {**os.environ, "KILLED_RUN": str(tmp_path)}
        with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL, env=environment) as process:
            time.sleep(delay)
            process.kill()
        for cell in results.read_all(home):
            assert same_arrays(cell.arrays, undisturbed[cell.task, cell.method, cell.repetition].arrays)
    deadline = time.monotonic() + 60
    while marked(str(tmp_path)):
        assert time.monotonic() < deadline, "workers of killed runs run on"
        time.sleep(0.1)
    run(root, home, ["honest", "first-feature"], names=names)
    assert len(list(results.read_all(home))) == len(undisturbed)
    assert len(list(home.glob("*/*/*.npz"))) == len(undisturbed)


@pytest.mark.parametrize(
    "changes",
    [
        {"task": "/etc/toy@1"},
        {"task": "../toy@1"},
        {"task": "toy"},
        {"kind": "=1"},
        {"status": "fine"},
        {"repetition": -1},
        {"repetition": 10**12},
        {"repetition": "0"},
        {"method": ""},
        {"facts": {}},
        {"facts": {"columns": [1]}},
        {"signature": "rmsuite:2|seed:1|seed:2"},
        {"signature": "none"},
        {"parameters": []},
    ],
)
def test_a_sealed_record_of_another_form_is_refused_where_it_is_read(tmp_path, changes):
    """A seal says that nobody changed it since, not that a run wrote it; every command reads here."""
    path = results.write(tmp_path / "home", make_cell())
    document = json.loads(path.read_text())
    del document["sha256"]
    path.write_text(results._sealed({**document, **changes}))
    with pytest.raises(ResultsError) as error:
        results.read(path)
    assert_four_parts(error, str(path))


def test_a_text_that_cannot_be_written_leaves_nothing_half_written(tmp_path, monkeypatch):
    """As on a full disk, which keeps a part of it."""
    (tmp_path / "environment.json").write_text("earlier")
    whole = Path.write_text

    def part(path, text, **how):
        whole(path, text[:1], **how)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", part)
        with pytest.raises(OSError, match="No space"):
            results.write_text(tmp_path / "environment.json", "later")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"environment.json": "earlier"}
