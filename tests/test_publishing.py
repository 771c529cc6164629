"""Protocols compared, results cited, tables reproduced, methods compared. Whoever writes a paper relies on it."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from command_line import Toys
from plugin_files import source, write
from test_diff_protocol import RARER

from rmsuite import results, signature
from rmsuite.bundles import protocol
from rmsuite.citation import ENTRY
from rmsuite.render import STYLES

RUN = ("-m", "good", "-m", "better", "-t", "toy-gold", "-r", "2", "-j", "1")


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    found = Toys(tmp_path, write(tmp_path / "toys.py", source("good", "better", root=toy_root)), capfd)
    found.install(monkeypatch)
    assert found("run", *RUN).code == 0
    return found


HOME = Path("rmsuite-results")


def test_other_signatures_are_merged_only_where_asked_for_and_are_marked_in_the_table(toys):
    assert toys("run", "-m", "good[sign=-1]", *RUN[4:], "--seed", "3", "-o", "third").code == 0
    shutil.rmtree("third/toy-gold@1/random")
    for control in ("length", "embedding-norm", "shuffled-labels", "oracle"):
        shutil.rmtree(f"third/toy-gold@1/{control}")
    refused = toys.bare("merge", HOME, "third", "--into", "merged")
    assert refused.code == 2
    assert "seed: 0 against 3" in refused.err
    assert toys.bare("merge", HOME, "third", "--into", "merged", "--allow-mixed").code == 0
    assert toys("table", "-o", "merged").code == 2
    shown = toys("table", "-o", "merged", "--allow-mixed")
    assert shown.code == 0
    assert re.search(r"^good\[sign=-1\] †", shown.out, re.MULTILINE)
    assert "† good[sign=-1] has another protocol (seed: 3 against 0)" in " ".join(shown.out.split())


def test_two_tables_of_one_protocol_are_said_to_be_so(toys):
    for style in STYLES:
        Path(f"table.{style}").write_text(toys("table", "--format", style).out)
        same = toys.bare("diff-protocol", f"table.{style}", HOME)
        assert (same.code, same.out) == (0, "same protocol\n"), style


def test_a_difference_of_protocols_is_explained_part_by_part(toys):
    assert toys("run", *RUN[:-4], "-r", "1", "--seed", "3", "-o", "third").code == 0
    Path("one.txt").write_text(toys("table").out)
    Path("other.md").write_text(toys("table", "-o", "third", "--format", "markdown").out)
    answer = toys.bare("diff-protocol", "one.txt", "other.md")
    assert answer.code == 1
    for text in ("must not share a table", "seed", protocol.MEANING["seed"], protocol.MEANING["repetitions"]):
        assert text in answer.out
    assert protocol.MEANING["pool"] not in answer.out
    assert toys.bare("diff-protocol", "absent", HOME).code == 2


def test_every_part_that_a_table_writes_has_an_explanation(toys):
    lines = [row["signature"] for row in csv.DictReader(io.StringIO(toys("table", "--format", "csv").out))]
    assert toys("run", "-m", "good", "-r", "1", "-o", "both").code == 0
    lines += [
        row["signature"] for row in csv.DictReader(io.StringIO(toys("table", "-o", "both", "--format", "csv").out))
    ]
    parts = {part for line in lines for part in signature.read(line)}
    assert parts | RARER == set(protocol.MEANING)


def test_a_citation_is_of_what_was_used_and_of_nothing_else(toys):
    answer = toys("cite")
    assert answer.code == 0
    keys = [match[1] for match in ENTRY.finditer(answer.out)]
    assert len(keys) == len(set(keys))
    assert {"rmsuite", "gold-pool", "toy-base", "bootstrap", "holm", "letters", "ranks"} <= set(keys)
    assert "human-pool" not in keys
    assert "alpaca-eval" not in keys
    assert "% good: its plugin names no source" in answer.out
    assert "toy-gold@1" in answer.out
    line = next(cell.signature for cell in results.read_all(HOME))
    assert line in answer.out


def test_bibtex_entries_are_balanced_and_their_fields_escaped(toys):
    text = toys("cite").out
    for match in ENTRY.finditer(text):
        body = match[0]
        assert body.count("{") - body.count(r"\{") == body.count("}") - body.count(r"\}")
        assert not re.search(r"(?<!\\)[&%#]", body)


@pytest.mark.parametrize("style", STYLES)
def test_a_published_table_of_any_format_is_reproduced_to_the_digit(toys, style):
    Path("published").write_text(toys("table", "--format", style).out)
    answer = toys("reproduce", "published", "-j", "1")
    assert answer.code == 0, answer
    assert "rmsuite run --task toy-gold --seed 0 --repetitions 2" in answer.out
    matched, of = re.search(r"(\d+) of (\d+) values and intervals match", answer.out).groups()
    assert int(matched) == int(of) >= 12


def test_a_published_digit_that_does_not_come_out_is_named(toys):
    text = toys("table").out
    value = re.search(r"^good +([\d.]+) \[", text, re.MULTILINE)[1]
    Path("published").write_text(text.replace(f" {value} [", f" {float(value) + 0.1:.1f} [", 1))
    answer = toys("reproduce", "published")
    assert answer.code == 1
    assert answer.out.count("DIFFERS") == 1
    assert re.search(r"(good|better) +pair-accuracy .* DIFFERS", answer.out)


def test_no_table_to_reproduce_is_a_mistake_and_commands_can_be_had_alone(toys):
    Path("prose").write_text("nothing here")
    assert toys("reproduce", "prose").code == 2
    assert toys("reproduce", "absent").code == 2
    Path("published").write_text(toys("table").out)
    before = {path: path.stat().st_mtime_ns for path in HOME.rglob("*")}
    answer = toys("reproduce", "published", "--commands-only")
    assert answer.code == 0
    assert answer.out.startswith("rmsuite run --task toy-gold --seed 0")
    assert {path: path.stat().st_mtime_ns for path in HOME.rglob("*")} == before


def test_a_comparison_says_the_same_as_the_table_and_lists_every_prompt(toys):
    document = json.loads(toys("compare", "good", "better", "--format", "json", "--items", "items.csv").out)
    (task,) = document["tasks"]
    table = json.loads(toys("table", "--format", "json").out)["tables"][0]
    good = next(row for row in table["rows"] if row["method"] == "good")
    assert task["metrics"][0]["first"] == good["estimates"]["pair-accuracy"]
    items = list(csv.DictReader(io.StringIO(Path("items.csv").read_text())))
    assert len(items) == task["wins"] + task["losses"] + task["ties"]
    means = [float(item["first"]) + float(item["second"]) for item in items]
    assert means == sorted(means)
    assert {item["category"] for item in items} == set(task["by_category"]) == {"a", "b", "c"}


def test_a_comparison_the_other_way_round_is_its_mirror(toys):
    one, other = (
        json.loads(toys("compare", *pair, "--format", "json").out)["tasks"][0]
        for pair in (("good", "better"), ("better", "good"))
    )
    assert (one["wins"], one["losses"]) == (other["losses"], other["wins"])
    for a, b in zip(one["metrics"], other["metrics"], strict=True):
        assert a["difference"]["estimate"]["value"] == pytest.approx(-b["difference"]["estimate"]["value"])
        assert a["difference"]["p"] == pytest.approx(b["difference"]["p"])


def test_a_method_compared_with_itself_differs_nowhere(toys):
    answer = toys("compare", "good", "good", "--format", "json")
    task = json.loads(answer.out)["tasks"][0]
    assert (task["wins"], task["losses"]) == (0, 0)
    assert task["metrics"][0]["difference"]["p"] == 1
    assert task["metrics"][0]["p_permutation"] == 1


def test_an_unknown_method_to_compare_is_answered_with_the_nearest(toys):
    answer = toys("compare", "goood", "better")
    assert answer.code == 2
    assert "(nearest is 'good')" in answer.err


@pytest.mark.parametrize("command", [("verify",), ("score",), ("export",), ("cite", "-o")])
def test_an_empty_folder_is_a_mistake_that_says_what_to_do(toys, command):
    Path("empty").mkdir()
    answer = toys(*command, "empty")
    assert (answer.code, answer.out) == (2, "")
    assert "expected finished cells, got none. Do: " in answer.err
