"""What is lost when a method is trained elsewhere. Whoever writes that a reward model transfers relies on it."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import set_up
from plugin_files import source
from test_variants import NAMES, add_columns

from rmsuite import signature
from rmsuite.book import read_book
from rmsuite.bundles.protocol import lines as signatures_in
from rmsuite.commands.transfer import parts
from rmsuite.errors import RmsuiteError
from rmsuite.reports.tables import report
from rmsuite.results import read_all

HERE, ELSEWHERE = "toy-gold", "toy-gold[annotator=human,train_pool=human-pool]"
BACK = "toy-human[annotator=perfect,pairs_per_prompt=4,train_pool=gold-pool]"
SUITE = 'name = "shift"\nsummary = "s"\nrepetitions = 2\ntasks = {}\n'


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    (toy_root / "suites" / "shift.toml").write_text(SUITE.format([HERE, ELSEWHERE, "toy-human", BACK]))
    text = source("good", "other", root=toy_root).replace(
        "        return self\n", "        assert self.sign != 13, 'unlucky'\n        return self\n"
    )
    return set_up(tmp_path, text, capfd, monkeypatch)


def cells(out):
    return {(line["method"], line["trained"], line["tested"]): line for line in csv.DictReader(io.StringIO(out))}


RUN = ("-m", "good", "-m", "other[sign=-1]", "-j", "1")


def test_values_are_those_of_the_tables_and_gaps_their_differences(toys):
    answer = toys("transfer", *RUN, "--format", "csv")
    assert (answer.code, answer.err) == (0, "Results: rmsuite-results\n")
    found = cells(answer.out)
    assert len(found) == 8
    tables = {table.task: table for table in report(list(read_all(Path("rmsuite-results")))).tables}
    names = {
        ("gold-pool", "toy-gold@1"): "toy-gold@1",
        ("human-pool", "toy-gold@1"): "toy-gold@1[annotator=human,train_pool=human-pool]",
        ("human-pool", "toy-human@1"): "toy-human@1",
        ("gold-pool", "toy-human@1"): "toy-human@1[annotator=perfect,pairs_per_prompt=4,train_pool=gold-pool]",
    }
    home = {"toy-gold@1": "gold-pool", "toy-human@1": "human-pool"}
    for (method, trained, tested), line in found.items():
        row = next(row for row in tables[names[trained, tested]].rows if row.method == method)
        assert float(line["value"]) == row.estimates["pair-accuracy"].value
        if trained == home[tested]:
            assert line["gap"] == line["p"] == ""
            continue
        there = float(found[method, home[tested], tested]["value"])
        assert float(line["gap"]) == pytest.approx(float(line["value"]) - there, abs=1e-12)
        assert float(line["gap_low"]) <= float(line["gap"]) <= float(line["gap_high"])
        assert float(line["p_holm"]) >= float(line["p"])


def test_a_copy_of_the_pool_loses_nothing(toys, toy_root):
    shutil.copytree(toy_root / "pools" / "gold-pool", toy_root / "pools" / "copy")
    run = ("-t", "toy-gold", "-t", "toy-gold[train_pool=copy]", "-r", "2", "--format", "csv")
    line = cells(toys("transfer", *RUN, *run).out)["good", "copy", "toy-gold@1"]
    assert (float(line["gap"]), float(line["p"])) == (0, 1)


def test_text_and_markdown_print_the_matrix_with_a_signature_for_each_test_part(toys):
    text, markdown = (toys("transfer", *RUN, "--format", style).out for style in ("text", "markdown"))
    for out in (text, markdown):
        assert "transfer: pair-accuracy" in out
        assert "tested on toy-gold@1" in out
        assert ", gap " in out
    Path("page").write_text(markdown)
    assert set(signatures_in("page")) == {"toy-gold", "toy-human"}
    (line,) = [line for line in text.splitlines() if line.startswith("Signature: rmsuite:2|task:toy-gold@1|")]
    parts = signature.read(line.removeprefix("Signature: "))
    assert parts["annotator"] == "perfect+human"
    assert parts["agreement"] == "1.0000+human"
    assert parts["train-pool"].startswith("-+human-pool#")


def test_generators_are_compared_with_the_half_that_is_tested(toys, toy_root):
    rng = np.random.default_rng(0)
    generator = rng.integers(0, 4, 360).astype(np.uint8)
    add_columns(toy_root / "pools" / "gold-pool", {"generators": NAMES}, generator=generator)
    run = ("-t", "toy-gold[generators=split]", "-t", "toy-gold[generators=second]", "-r", "1", "--format", "csv")
    found = cells(toys("transfer", "-m", "good", "-j", "1", *run).out)
    home, away = (
        found["good", f"gold-pool/{h}-generators", "toy-gold@1/second-generators"] for h in ("second", "first")
    )
    assert home["gap"] == ""
    assert float(away["gap"]) == pytest.approx(float(away["value"]) - float(home["value"]), abs=1e-12)


def test_a_failed_method_is_a_gap_in_the_matrix_with_a_reason_and_moves_no_other(toys):
    alone = cells(toys("transfer", "-m", "good", "-j", "1", "-o", "a", "--format", "csv").out)
    answer = toys("transfer", "-m", "good", "-m", "good[sign=13]", "-j", "1", "-o", "b", "--format", "csv")
    assert answer.code == 1
    found = cells(answer.out)
    broken = [line for key, line in found.items() if key[0] == "good[sign=13]"]
    assert all(line["value"] == line["gap"] == "" for line in broken)
    assert all("unlucky" in line["note"] for line in broken)
    assert {key: {**found[key], "p_holm": ""} for key in alone} == {
        key: {**line, "p_holm": ""} for key, line in alone.items()
    }
    assert "No method has a number." in toys("transfer", "-m", "good[sign=13]", "-j", "1", "-o", "c").out


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([ELSEWHERE], "expected a task trained on gold-pool, got only human-pool"),
        (["toy-gold", "toy-gold[budget=9]"], "expected one task trained on gold-pool, got toy-gold@1 and"),
    ],
)
def test_tasks_that_make_no_matrix_are_refused(toy_root, texts, message):
    book = read_book([toy_root])
    with pytest.raises(RmsuiteError, match=message):
        parts([book.task(text) for text in texts])


def test_a_misspelt_metric_is_refused_before_anything_is_run(toys):
    answer = toys("transfer", *RUN, "--metric", "spearmen")
    assert (answer.code, answer.out) == (2, "")
    assert "nearest is 'spearman'" in answer.err
    assert not Path("rmsuite-results").exists()
