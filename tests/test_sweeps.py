"""Curves over a parameter of the task: what is learnt from worse labels, or from fewer. Whoever studies noise or
budgets relies on it.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from command_line import set_up
from plugin_files import source
from running import run as run_toys

from rmsuite import signature
from rmsuite.book import Suite, read_book
from rmsuite.errors import RmsuiteError, TaskError
from rmsuite.reports.curves import curves, lined_up, sweep_of_task
from rmsuite.reports.tables import report
from rmsuite.results import read_all
from rmsuite.sweeps import is_of_task, read_over, studies, study, tasks_of

RATES = (0.0, 0.2, 0.5)
OVER = "annotator.rate=0.5,0,0.2"


@pytest.fixture
def book(toy_root):
    return read_book([toy_root])


def labels(found):
    return {at: task.label for at, task in found.tasks.items()}


@pytest.mark.parametrize(
    ("text", "over", "name", "variants"),
    [
        ("toy-gold[annotator=flip]", OVER, "toy-gold@1[annotator=flip[rate=*]]", "toy-gold@1[annotator=flip[rate={}]]"),
        ("toy-gold@1", "task.budget=20,0,40", "toy-gold@1[budget=*]", "toy-gold@1[budget={}]"),
        (
            "toy-gold[budget=40,annotator='majority[of=flip]']",
            "annotator.k=1,3,5",
            "toy-gold@1[annotator=majority[k=*,of=flip[rate=0.25]],budget=40]",
            "toy-gold@1[annotator=majority[k={},of=flip[rate=0.25]],budget=40]",
        ),
    ],
)
def test_a_study_is_the_task_at_each_value(book, text, over, name, variants):
    found = study(book, text, over)
    assert found.name == name
    values = read_over(over)[1]
    expected = {at: variants.format(at) for at in values}
    expected |= {0: "toy-gold@1"} if "budget=20" in over else {}
    expected = {at: label.replace("rate=0]", "rate=0.0]") for at, label in expected.items()}
    assert labels(found) == expected
    assert list(found.tasks) == sorted(found.tasks)


@pytest.mark.parametrize(
    ("text", "over", "message"),
    [
        ("toy-gold[budget=3]", "task.budget=1,2", "expected budget in --over only"),
        ("toy-gold", "task.budget=1", "at least two unequal numbers"),
        ("toy-gold", "task.budget=1,nan", "at least two unequal numbers"),
        ("toy-gold", "task.bugdet=1,2", "nearest is 'budget'"),
        ("toy-gold", "task.budget=1.5,2", "expected budget = a whole number"),
        ("toy-gold", "annotator.rate=0,0.1", "annotator 'perfect"),
        ("toy-gold[annotator=flip]", "annotator.rate=0,2", "expected rate = a number in"),
        ("toy-glod", OVER, "nearest is 'toy-gold'"),
    ],
)
def test_a_mistake_is_refused_in_words(book, text, over, message):
    with pytest.raises(RmsuiteError, match=message):
        study(book, text, over)


def test_only_parameters_of_tasks_and_annotators_are_of_tasks():
    assert is_of_task(OVER)
    assert is_of_task(" task.budget=1,2")
    assert not is_of_task("hidden=1,2")


def test_a_suite_is_its_tasks_or_their_studies(book):
    plain = Suite("s", "", ("toy-gold", "toy-human"), 1)
    assert [labels(one) for one in studies(book, plain)] == [{0: "toy-gold@1"}, {0: "toy-human@1"}]
    over = Suite("s", "", ("toy-gold", "toy-gold"), 1, ("", "task.budget=0,20"))
    assert [task.label for task in tasks_of(studies(book, over))] == ["toy-gold@1", "toy-gold@1[budget=20]"]
    with pytest.raises(TaskError, match="one a task"):
        studies(book, Suite("s", "", ("toy-gold", "toy-human"), 1, ("task.budget=1,2",)))


@pytest.mark.parametrize("over", ["task.budget=1", "task.bugdet=1,2", "annotator.rate=0,0.1"])
def test_what_is_wrong_in_a_suite_is_refused_with_the_name_of_the_suite(book, over):
    """Nobody typed it: the message has to lead to the card."""
    with pytest.raises(RmsuiteError, match="suite 'mine': "):
        studies(book, Suite("mine", "", ("toy-gold",), 1, (over,)))


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    return set_up(tmp_path, source("good", "other", root=toy_root), capfd, monkeypatch)


RUN = ("-m", "good", "-m", "other[offset=2]", "-r", "2", "-j", "1")


def test_points_are_those_of_the_variants_tables_and_areas_their_means(toys, book):
    answer = toys("curve", *RUN, "-t", "toy-gold[annotator=flip]", "--over", OVER, "--format", "csv")
    assert (answer.code, answer.err) == (0, "Results: rmsuite-results\n")
    lines = [line for line in csv.DictReader(io.StringIO(answer.out)) if line["metric"] == "pair-accuracy"]
    points = {line["at"]: float(line["value"]) for line in lines if (line["method"], line["minus"]) == ("good", "")}
    records = list(read_all(Path("rmsuite-results")))
    tables = {table.task: table for table in report(records).tables}
    for rate in RATES:
        rows = {row.method: row for row in tables[f"toy-gold@1[annotator=flip[rate={rate}]]"].rows}
        assert points[str(rate) if rate else "0"] == rows["good"].estimates["pair-accuracy"].value
    ends = (points["0"] + points["0.2"]) * 0.2 / 2 + (points["0.2"] + points["0.5"]) * 0.3 / 2
    assert points["area"] == pytest.approx(ends / 0.5)
    assert points["0"] > points["0.5"]


def test_the_page_tells_the_labels_at_each_value_and_signs_them_all(toys):
    answer = toys("curve", *RUN, "-t", "toy-gold[annotator=flip]", "--over", OVER, "--metric", "pair-accuracy")
    assert answer.out.startswith("toy-gold@1[annotator=flip[rate=*]]: pair-accuracy over annotator.rate\n")
    facts = {}
    for record in read_all(Path("rmsuite-results")):
        facts.setdefault(record.task, {})[record.repetition] = record.facts["annotator_agreement"]
    shares = [np.mean(list(facts[f"toy-gold@1[annotator=flip[rate={rate}]]"].values())) for rate in RATES]
    flat = " ".join(answer.out.split())
    n_pairs = next(read_all(Path("rmsuite-results"))).facts["n_train_pairs"]
    assert f"Training pairs by annotator.rate: {n_pairs} (100.0% agree with gold) at 0," in flat
    for share in shares:
        assert f"({share:.1%} agree with gold)" in flat
    line = signature.read(answer.out.splitlines()[-1].removeprefix("Signature: "))
    assert line["annotator"] == "flip[rate=0.0]+flip[rate=0.2]+flip[rate=0.5]"
    assert line["agreement"] == "+".join(f"{share:.4f}" for share in shares)
    assert line["area"] == "trapezoid-linear(annotator.rate=0,0.2,0.5)"


def test_the_suites_own_values_are_taken_and_run_runs_every_variant(toys, toy_root):
    card = 'name = "noise"\nsummary = "s"\nrepetitions = 2\n'
    card += 'tasks = ["toy-gold[annotator=flip]", "toy-human"]\nover = ["annotator.rate=0,0.5", ""]\n'
    (toy_root / "suites" / "noise.toml").write_text(card)
    answer = toys("curve", "-m", "good", "-j", "1", "--suite", "noise", "--metric", "pair-accuracy", "-o", "a")
    assert answer.code == 0
    assert answer.out.count("Signature: ") == 1
    ran = toys("run", "-m", "good", "-j", "1", "--suite", "noise", "-o", "b", "--no-stored")
    assert {record.task for record in read_all(Path("b"))} == {
        "toy-gold@1[annotator=flip[rate=0.0]]",
        "toy-gold@1[annotator=flip[rate=0.5]]",
        "toy-human@1",
    }
    assert ran.code == 0


def test_a_suite_without_values_asks_for_some(toys):
    answer = toys("curve", "-m", "good")
    assert (answer.code, answer.out) == (2, "")
    assert "Do: give --over, or a --suite whose card has values" in answer.err


def test_a_failed_variant_is_a_gap_with_a_reason(toy_root, tmp_path):
    texts = ["toy-gold[annotator=flip[rate=0.1]]", "toy-gold[annotator=flip[rate=0.3]]"]
    cells = run_toys(toy_root, tmp_path / "home", ["honest"], names=tuple(texts))
    variants = {0.1: "toy-gold@1[annotator=flip[rate=0.1]]", 0.3: "toy-gold@1[annotator=flip[rate=0.3]]"}
    swept = sweep_of_task("annotator.rate", (0.1, 0.3), ["honest"])
    kept = [cell for cell in cells.values() if not (cell.method == "honest" and "0.3" in cell.task)]
    (found,) = curves(lined_up(kept, "all", "annotator.rate", variants), swept, ["pair-accuracy"])
    assert found.curves[0].note == "annotator.rate=0.3: no results; no area"
    assert list(lined_up([], "all", "annotator.rate", variants)) == []
