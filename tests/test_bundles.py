"""Scoring anew, exporting and merging lose and invent nothing. Whoever works on with stored results relies on it."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from bundled_results import CONTROLS, METHODS, Bundle, make, run, seal
from command_line import Toys
from running import same_arrays

from rmsuite import harness, results
from rmsuite.book import TaskBook
from rmsuite.bundles import export, levels
from rmsuite.bundles.merge import merge
from rmsuite.bundles.score import score
from rmsuite.errors import ResultsError, UnknownNameError
from rmsuite.metrics import METRICS
from rmsuite.results import CellRecord

NUMBERED = {"noisy", "careful[scale=2.0]", "constant", *CONTROLS}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def bundle(made, tmp_path):
    for name in ("results", "toy-tasks"):
        shutil.copytree(made.folder / name, tmp_path / name)
    text = made.plugin.read_text(encoding="utf-8").replace(str(made.root), str(tmp_path / "toy-tasks"))
    (tmp_path / "toys.py").write_text(text, encoding="utf-8")
    return Bundle(tmp_path)


@pytest.fixture
def toys(bundle, capfd, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = Toys(bundle.folder, bundle.plugin, capfd)
    found.install(monkeypatch)
    return found


def tree(home: Path) -> dict[str, bytes]:
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


def test_scoring_what_is_as_it_should_be_writes_nothing(toys, bundle):
    before = {path: path.stat().st_mtime_ns for path in bundle.home.rglob("*")}
    answer = toys("score", bundle.home)
    assert (answer.code, answer.out) == (0, "Nothing changed.\n")
    assert before == {path: path.stat().st_mtime_ns for path in bundle.home.rglob("*")}


def test_scoring_restores_metrics_and_leaves_all_else_as_it_was(toys, bundle):
    whole = bundle.cell()
    arrays = {k: v for k, v in whole.arrays.items() if k != "spearman"}
    arrays |= {"old-metric": np.zeros((3, 2)), "pair-accuracy": whole.arrays["pair-accuracy"] + 1}
    bundle.forge(bundle.path(), arrays=arrays)
    answer = toys("score", bundle.home)
    assert answer.code == 0
    for line in ("pair-accuracy  changed  1", "spearman       added    1", "old-metric     dropped  1"):
        assert " ".join(line.split()) in " ".join(answer.out.split())
    assert "1 cells rewritten; they are unverified now." in answer.out
    again = bundle.cell()
    assert same_arrays(again.arrays, whole.arrays)
    assert {k: v for k, v in vars(again).items() if k != "arrays"} == {
        k: v for k, v in vars(whole).items() if k != "arrays"
    }


def test_a_folder_that_is_refused_stays_as_it_was(bundle):
    for path in (bundle.path(), bundle.path(repetition=1)):
        bundle.forge(path, arrays={**results.read(path).arrays, "surplus": np.zeros(1)})
    last = bundle.path("toy-human@1", "random", 1)
    bundle.forge(last, signature=results.read(last).signature.replace("human-pool#", "human-pool#0"))
    before = tree(bundle.home)
    with pytest.raises(ResultsError, match="pool: human-pool#0"):
        list(score(bundle.home, bundle.book))
    assert tree(bundle.home) == before


def test_scoring_needs_the_task_a_seed_and_whole_answers(bundle):
    with pytest.raises(UnknownNameError):
        list(score(bundle.home, TaskBook({}, {})))
    record = bundle.cell()
    bundle.forge(bundle.path(), signature=record.signature.replace("seed:0", "seed:"))
    with pytest.raises(ResultsError, match="expected a seed"):
        list(score(bundle.home, bundle.book))
    bundle.forge(bundle.path(), signature=record.signature, arrays={"rewards": np.zeros(3)})
    with pytest.raises(Exception, match="expected shape"):
        list(score(bundle.home, bundle.book))


def test_a_write_that_fails_leaves_the_cell_whole(bundle, monkeypatch):
    bundle.forge(bundle.path(), arrays={**bundle.cell().arrays, "surplus": np.zeros(1)})
    before = tree(bundle.home)
    monkeypatch.setattr(results, "write_text", lambda *given: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(ResultsError, match="full"):
        list(score(bundle.home, bundle.book))
    assert {k: v for k, v in tree(bundle.home).items() if k in before} == before


def exported(toys, *arguments):
    answer = toys("export", *arguments)
    assert (answer.code, answer.err) == (0, "")
    return answer.out


def test_the_long_table_has_every_cell_and_every_number_in_full(toys, bundle):
    rows = list(csv.DictReader(io.StringIO(exported(toys, bundle.home))))
    by_key = {(r["task"], r["method"], r["repetition"], r["metric"]): r for r in rows}
    assert len(by_key) == len(rows)
    for record in results.read_all(bundle.home):
        here = [r for r in rows if (r["task"], r["repetition"]) == (record.task, str(record.repetition))]
        here = [r for r in here if r["method"] == record.method]
        if record.status == "ok":
            assert {r["metric"] for r in here} == {m.name for m in METRICS if m.name in record.arrays}
            for metric in METRICS:
                if metric.name in record.arrays:
                    row = by_key[record.task, record.method, str(record.repetition), metric.name]
                    value = float(metric.reduce(record.arrays[metric.name].sum(axis=0)))
                    assert row["value"] == (repr(value) if np.isfinite(value) else ""), "to the bit"
                    larger = str(metric.direction == "larger is better") if metric.ordered else ""
                    assert row["larger_is_better"] == larger
        else:
            ((row),) = here
            assert (row["status"], row["metric"], row["value"]) == (record.status, "", "")
            assert row["phase"]
    one = by_key["toy-gold@1", "noisy", "0", "pair-accuracy"]
    record = bundle.cell()
    assert float(one["fit_seconds"]) == record.facts["fit_seconds"]
    assert int(one["n_test_prompts"]) == record.facts["n_test_prompts"]
    assert (one["seed"], one["code"], one["kind"]) == ("0", record.origin, "method")
    assert (one["signature"], one["verification"]) == (record.signature, "unverified")


def test_text_that_begins_like_a_formula_does_not_run_as_one(toys, bundle):
    seal(bundle.path(method="failing"), {"error": "=cmd|' /C calc'!A0", "phase": "-2"})
    for row in csv.DictReader(io.StringIO(exported(toys, bundle.home))):
        assert not [v for k, v in row.items() if v.startswith(("=", "+", "-", "@")) and k not in ("value",)]
    assert "'=cmd|' /C calc'!A0" in exported(toys, bundle.home)
    assert "'=cmd" not in exported(toys, bundle.home, "--format", "json")


def test_json_holds_the_rows_of_csv_with_null_for_what_is_missing(toys, bundle):
    rows = json.loads(exported(toys, bundle.home, "--format", "json"))
    lines = list(csv.DictReader(io.StringIO(exported(toys, bundle.home))))
    assert len(rows) == len(lines)
    assert list(rows[0]) == list(lines[0])
    failed = [row for row in rows if row["status"] == "failed"]
    assert {(row["value"], row["metric"], row["fit_seconds"]) for row in failed} == {(None, None, None)}


def test_the_items_of_a_mean_give_it_back(toys, bundle):
    rows = json.loads(exported(toys, bundle.home, "--items", "--format", "json"))
    means = {metric.name: metric for metric in METRICS if metric.mean}
    assert {row["metric"] for row in rows} <= set(means)
    record, task = bundle.cell(), bundle.book.task("toy-gold").load()
    for name in ("pair-accuracy", "spearman"):
        mine = [r for r in rows if (r["task"], r["method"], r["repetition"]) == ("toy-gold@1", "noisy", 0)]
        mine = [r for r in mine if r["metric"] == name]
        weights = np.array([r["weight"] for r in mine])
        mean = np.average([r["value"] for r in mine], weights=weights)
        assert mean == pytest.approx(float(means[name].reduce(record.arrays[name].sum(axis=0))))
        assert {r["prompt"] for r in mine} <= {prompt.decode() for prompt in task.test.prompt_id}
        assert {r["category"] for r in mine} <= {"a", "b", "c"}
    assert {row["method"] for row in rows} == NUMBERED


def test_items_of_another_pool_are_refused(toys, bundle):
    card = bundle.root / "pools" / "gold-pool" / "pool.toml"
    card.write_text(card.read_text().replace("CC0", "CC1"))
    answer = toys("export", bundle.home, "--items")
    assert answer.code == 2
    assert "expected pool gold-pool#" in answer.err
    assert toys("export", bundle.home).code == 0


def test_an_export_goes_to_a_file_or_says_why_not(toys, bundle, tmp_path):
    toys("export", bundle.home, "-o", tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8") == exported(toys, bundle.home)
    answer = toys("export", bundle.home, "-o", tmp_path / "no" / "rows.csv")
    assert answer.code == 2
    assert "expected a writable file" in answer.err


def test_a_cell_without_any_known_metric_keeps_its_row():
    record = CellRecord("a@1", "m", "method", 0, "ok", "rmsuite:2|seed:0", "x", arrays={"rewards": np.zeros(2)})
    assert [row["metric"] for row in export.cells([record], lambda cell: "unverified")] == [None]


def split_by_method(bundle: Bundle, into: Path) -> list[Path]:
    """Several folders that hold the cells of some methods each."""
    homes = []
    for number, methods in enumerate((METHODS[:2], METHODS[2:])):
        home = into / f"part{number}"
        for path in bundle.home.glob("*/*/*.json"):
            if results.read(path).method in {*methods, *CONTROLS}:
                (home / path.relative_to(bundle.home)).parent.mkdir(parents=True, exist_ok=True)
                for file in results.files(path):
                    shutil.copyfile(file, home / file.relative_to(bundle.home))
        homes.append(home)
    return homes


def test_parts_merge_to_the_whole_byte_for_byte(toys, bundle, tmp_path):
    parts = split_by_method(bundle, tmp_path)
    answer = toys.bare("merge", *parts, "--into", tmp_path / "whole")
    assert (answer.code, answer.out) == (0, f"{2 * 2 * (len(METHODS) + len(CONTROLS))} cells in {tmp_path / 'whole'}\n")
    merged = tree(tmp_path / "whole")
    del merged[levels.FILE]
    assert merged == tree(bundle.home)


def test_leftovers_of_a_killed_write_are_not_merged(bundle, tmp_path):
    (bundle.path().parent / "0-0123456789abcdef.npz").write_bytes(b"old")
    merge([bundle.home], tmp_path / "whole")
    assert not list((tmp_path / "whole").rglob("0-0123456789abcdef.npz"))


def test_levels_go_along_where_the_record_is_the_same_and_the_higher_one_counts(bundle, tmp_path):
    one, two = split_by_method(bundle, tmp_path)
    name, other = "toy-gold@1/random/0.json", "toy-gold@1/noisy/0.json"
    levels.write(
        one,
        {
            name: {"seal": results.read(one / name).seal, "level": "re-run verified"},
            other: {"seal": 64 * "0", "level": "re-run verified"},
        },
    )
    levels.write(two, {name: {"seal": results.read(two / name).seal, "level": "self-verified"}})
    merge([one, two], tmp_path / "whole")
    known = levels.read(tmp_path / "whole")
    assert {key: entry["level"] for key, entry in known.items()} == {name: "re-run verified"}


def assert_refused(into: Path, homes: list[Path], *words: str, **options: bool) -> None:
    """A merge that is refused says why and leaves nothing."""
    beside = set(into.parent.iterdir())
    with pytest.raises(ResultsError) as error:
        merge(homes, into, **options)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert set(into.parent.iterdir()) == beside


def test_other_signatures_are_refused_unless_asked_for(bundle, tmp_path):
    home = tmp_path / "seed1"
    run(bundle, home, seed=1, methods=("noisy",))
    for path in [*home.glob("*/*/0.json")]:  # of controls and of this method there is one cell each
        if results.read(path).method != "noisy":
            shutil.rmtree(path.parent, ignore_errors=True)
    for task in ("toy-gold@1", "toy-human@1"):
        shutil.rmtree(bundle.home / task / "noisy")
    assert_refused(tmp_path / "mixed", [bundle.home, home], "seed: 0 against 1")
    merge([bundle.home, home], tmp_path / "mixed", allow_mixed=True)
    assert {record.signature[-6:] for record in results.read_all(tmp_path / "mixed")} == {"seed:0", "seed:1"}


def test_two_records_of_one_cell_are_refused_always_and_equal_ones_are_one(bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle.home, copy)
    assert merge([bundle.home, copy, copy], tmp_path / "same") == 40
    seal(copy / "toy-gold@1" / "noisy" / "0.json", {"output": "another"})
    for options in ({}, {"allow_mixed": True}):
        assert_refused(tmp_path / "two", [bundle.home, copy], "expected one record of a cell", **options)


def test_damage_misplaced_cells_and_folders_without_cells_are_refused(bundle, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(bundle.home, copy)
    (copy / "toy-gold@1" / "noisy").rename(copy / "toy-gold@1" / "mine")
    assert_refused(tmp_path / "new", [copy], "expected this record at")
    bundle.path().write_text("{")
    assert_refused(tmp_path / "new", [bundle.home], "expected a whole cell")
    assert_refused(tmp_path / "new", [tmp_path / "nowhere"], "expected finished cells")


def test_nothing_is_ever_overwritten(bundle, tmp_path):
    for name, content in (("file", None), ("folder", "notes.txt")):
        into = tmp_path / name
        if content:
            into.mkdir()
        (into / content if content else into).write_text("kept")
        assert_refused(into, [bundle.home], "expected a new or empty folder")
    (tmp_path / "empty").mkdir()
    assert merge([bundle.home], tmp_path / "empty") == 40


def test_a_merge_that_fails_half_way_leaves_nothing(bundle, tmp_path, monkeypatch):
    copy, count = shutil.copyfile, iter(range(99))

    def full(source, target):
        if next(count) == 5:
            raise OSError(28, "No space left on device")
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", full)
    assert_refused(tmp_path / "new", [bundle.home], "No space left on device")


def test_a_merge_into_a_folder_that_is_not_there_yet_makes_it(bundle, tmp_path):
    assert merge([bundle.home], tmp_path / "a" / "b" / "c") == 40


def test_measured_arrays_are_what_scoring_gives(bundle):
    task = bundle.book.task("toy-gold").load()
    record = bundle.cell()
    rewards = harness.Answers(record.arrays["rewards"])
    assert same_arrays(harness.measured(task.test, rewards), record.arrays)


def test_a_half_character_is_exported_as_a_question_mark(toys, bundle, tmp_path):
    bundle.forge(bundle.path(), error="half \ud800")
    assert toys("export", bundle.home, "-o", tmp_path / "out.csv").code == 0
    assert "half ?" in (tmp_path / "out.csv").read_text()


def test_the_folder_of_the_shell_can_be_merged_into(bundle, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert merge([bundle.home], Path()) == len(list(tmp_path.glob("here/*/*/*.json")))
