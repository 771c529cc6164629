"""Tables that others wrote are read as they say, and what is not used is said. Who brings scores relies on it."""

from __future__ import annotations

import json
import math
import os
import random
from pathlib import Path

import numpy as np
import published_scores
import pytest

from rmsuite.choice import names, reading
from rmsuite.choice.bases import BaseModels, known
from rmsuite.choice.matching import match
from rmsuite.choice.published import cards, published
from rmsuite.choice.results import read_results
from rmsuite.choice.scores import read_scores
from rmsuite.errors import InputError

LONG = "model,benchmark,score\na/One,x,1\na/One,y,2\nTwo,x,3\nTwo,y,\n"
WIDE = "model,x,y\na/One,1,2\nTwo,3,-\n"


def file(folder, text, name="table.csv"):
    path = folder / name
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return path


def cells(scores):
    return {
        (model, benchmark): scores.values[row, column]
        for row, model in enumerate(scores.models)
        for column, benchmark in enumerate(scores.benchmarks)
        if not math.isnan(scores.values[row, column])
    }


def bases(*models, **more):
    n = len(models)
    given = {"parameters": np.full(n, np.nan), "families": ("",) * n, **more}
    return BaseModels("toys", "points", models, ("m",), np.arange(float(n))[:, None], **given)


def test_long_and_wide_tables_say_the_same(tmp_path):
    long, wide = (read_scores([file(tmp_path, text, name)]) for text, name in ((LONG, "l.csv"), (WIDE, "w.csv")))
    assert cells(long) == cells(wide) == {("a/One", "x"): 1, ("a/One", "y"): 2, ("Two", "x"): 3}
    objects = [{"Model": "a/One", "x": 1, "y": 2.0}, {"Model": "Two", "x": 3, "y": None}]
    assert cells(read_scores([file(tmp_path, objects, "o.json")])) == cells(wide)


def test_the_order_of_lines_and_files_moves_no_score(tmp_path):
    header, *lines = LONG.splitlines()
    for seed in range(5):
        random.Random(seed).shuffle(lines)
        halves = [
            file(tmp_path, "\n".join([header, *part]), f"{i}.csv") for i, part in enumerate((lines[:2], lines[2:]))
        ]
        assert cells(read_scores(halves)) == cells(read_scores([file(tmp_path, LONG)]))


def test_task_and_metric_belong_to_the_name_of_a_benchmark_and_other_columns_are_named(tmp_path):
    text = "model,benchmark,task,metric,score,note\nm,B,t,acc,1,first\nm,B,t,f1,2,\nm,B,,acc,3,\n"
    found = read_scores([file(tmp_path, text)])
    assert cells(found) == {("m", "B t acc"): 1, ("m", "B t f1"): 2, ("m", "B acc"): 3}
    assert found.notes == ("table.csv: columns without numbers, not read: note",)


def test_spellings_of_one_model_are_merged_and_counted(tmp_path):
    lines = (
        "Qwen/Qwen2.5-7B-Instruct,1,",
        "qwen2.5_7b_instruct,,2",
        "QWEN2.5 7B-Instruct,1,2",
        "Qwen2-7B-Instruct,5,6",
    )
    found = read_scores([file(tmp_path, "\n".join(["model,x,y", *lines]))])
    assert found.models == ("Qwen/Qwen2.5-7B-Instruct", "Qwen2-7B-Instruct")
    assert found.values.tolist() == [[1, 2], [5, 6]]
    assert any(note.startswith("2 further spellings of models: qwen2.5_7b_instruct is Qwen/") for note in found.notes)
    assert "2 scores were given more than once, alike" in found.notes


def test_two_organisations_have_two_models(tmp_path):
    found = read_scores([file(tmp_path, "model,x\na/m,1\nb/m,2\nA/M,1\nm,3\n")])
    assert cells(found) == {("a/m", "x"): 1, ("b/m", "x"): 2, ("m", "x"): 3}


FAULTS = {
    "two scores": ("model,x\nm,1\nM,2\n", "expected one score, got 1 and 2"),
    "two scores, long": ("model,benchmark,score\nm,x,1\nm,x,2\n", "line 3, m on x: expected one score"),
    "a percentage": ("model,x\nm,1\nn,71%\n", "line 3, x: expected a finite number, got '71%'"),
    "percentages only": ("model,x,y\nm,1,71%\nn,2,60 %\n", "line 2, y: expected a finite number, got '71%'"),
    "decimal commas": ('model,x,y\nm,1,"71,5"\n', "line 2, y: expected a finite number, got '71,5'"),
    "semicolons": ("Model;x;y\nm;1;2\n", "got Model;x;y. Do: set commas between the cells"),
    "tabulators": ("model\tx\nm\t1\n", "got model x. Do: set commas between the cells"),
    "an infinite score": ("model,x\nm,1\nn,inf\n", "expected a finite number, got 'inf'"),
    "no model": ("name,x\nm,1\n", "expected a column model, got name, x"),
    "a model without a name": ("model,x\n ,1\n", "line 2: expected the name of a model"),
    "no numbers": ("model,licence\nm,MIT\n", "expected a column of numbers a benchmark"),
    "a benchmark without a name": ("model,benchmark,score\nm,,1\n", "expected the name of a benchmark"),
    "a column twice": ("model,x,x\nm,1,1\n", "expected columns of different names, got 'x' twice"),
    "too few cells": ("model,x,y\nm,1\n", "line 2: expected 3 cells, as many as the first line, got 2"),
    "nothing": ("", "expected a column model, got no columns"),
    "only a header": ("model,x\n", "expected a line a model, got none"),
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_with_its_place(tmp_path, text, expected):
    with pytest.raises(InputError) as raised:
        read_scores([file(tmp_path, text)])
    assert expected in str(raised.value)
    assert "table.csv" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("absent.csv", None, "expected bundled, or a CSV or JSON file, got no such file"),
        (".", None, "expected bundled, or a CSV or JSON file, got a folder"),
        ("bytes.csv", b"model,x\nm,\xff\n", "text in UTF-8"),
        ("half.json", b'[{"model": "m"', "expected JSON"),
        ("list.json", b"[1]", "object 1: expected an object, got int"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, expected):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="Do: ") as raised:
        read_scores([tmp_path / name])
    assert expected in str(raised.value)


def test_a_byte_order_mark_and_quoted_commas_are_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffMODEL,"x, y"\nm,1\n'.encode())
    assert cells(read_scores([path])) == {("m", "x, y"): 1}


@pytest.mark.parametrize("one", ["meta-llama/Llama-3.1-8B", "llama_3.1 8b", "LLAMA-3-1-8B"])
def test_spellings_have_one_key_and_other_models_another(one):
    assert names.key(one) == names.key("Llama-3.1-8B")
    assert names.key(one) not in {
        names.key(other) for other in ("Llama-3-8B", "Llama-3.1-80B", "Llama-3.1-8B-Instruct")
    }


def test_results_take_the_mean_of_the_categories(tmp_path):
    text = "model,Chat,Chat Hard,params_b,publisher\nm,80,60,7,Org\nOther/n,50,,0.5,\n"
    found = read_results(file(tmp_path, text))
    assert found.models == ("m", "Other/n")
    assert found.quality[0, 0] == 70
    assert math.isnan(found.quality[1, 0])  # a mean of fewer categories is another measure
    assert found.parameters.tolist() == [7, 0.5]
    assert found.families == ("Org", "other")
    assert list(found.categories) == ["Chat", "Chat Hard"]
    assert "1 of 2 results (model and method) are missing" in found.notes


def test_results_take_a_score_where_there_is_one_and_say_where_it_is_no_mean(tmp_path):
    found = read_results(file(tmp_path, "model,method,a,b,score\nm,one,80,60,70.05\nm,two,80,60,75\n"))
    assert found.quality.tolist() == [[70.05, 75]]
    assert found.methods == ("one", "two")
    assert "1 scores are not the mean of their categories; the scores are taken" in found.notes


def test_results_may_be_json(tmp_path):
    rows = [{"model": "m", "Chat": 90, "Safety": 70, "ref_model": False, "extra": {"x": 1}}]
    assert read_results(file(tmp_path, rows, "r.json")).quality.tolist() == [[80]]
    assert read_results(file(tmp_path, rows[0], "r.json")).quality.tolist() == [[80]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model,a\nm,1\nM,2\n", "expected one result of M with reward model, got another"),
        ("model,method,a,params_b\nm,x,1,7\nm,y,1,8\n", "params_b: expected one of a model, got 7 and 8"),
        ("model,licence\nm,MIT\n", "expected categories or scores, got licence"),
        ("model,a,b\nm,1,71%\n", "line 2, b: expected a finite number, got '71%'"),
        ("model,score\nm,71%\n", "line 2, score: expected a finite number, got '71%'"),
        ("model,benchmark,score\nm,a,1\nm,b,2\n", "categories are columns"),
    ],
)
def test_results_that_contradict_themselves_are_refused(tmp_path, text, expected):
    with pytest.raises(InputError) as raised:
        read_results(file(tmp_path, text))
    assert expected in str(raised.value)


def test_an_absent_file_of_results_names_the_bundled_tables(tmp_path):
    with pytest.raises(InputError, match="expected one of ahrabian2025, or a CSV or JSON file, got no such file"):
        read_results(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="got a folder"):
        read_results(tmp_path)


def test_scores_are_joined_by_name_and_what_is_left_over_is_counted(tmp_path):
    scores = read_scores([file(tmp_path, "model,x,y,params_b\norg/One,1,,2\nthree,,5,\nfour,,6,\n")])
    found = match(bases("one", "two", "Three", parameters=np.array([np.nan, 9.0, np.nan])), scores)
    np.testing.assert_array_equal(found.benchmarks["x"], [1, np.nan, np.nan])
    np.testing.assert_array_equal(found.benchmarks["y"], [np.nan, np.nan, 5])
    np.testing.assert_array_equal(found.parameters, [2, 9, np.nan])
    assert (found.n_with_scores, found.n_others) == (2, 1)
    assert found.notes == ("1 of 3 base models have no score",)


def test_what_is_not_clear_gets_no_score_and_is_named(tmp_path):
    scores = read_scores([file(tmp_path, "model,x\na/m,1\nb/m,2\nn,3\nz,4\n")])
    found = match(bases("m", "a/n", "b/n", "z"), scores)
    np.testing.assert_array_equal(found.benchmarks["x"], [np.nan] * 3 + [4])
    assert [note.split(" gets")[0] for note in found.notes[1:]] == ["m", "a/n", "b/n"]


def test_benchmarks_without_a_score_of_these_models_are_counted(tmp_path):
    found = match(bases("m"), read_scores([file(tmp_path, "model,x\nn,1\n")]))
    assert found.benchmarks == {}
    assert found.notes == ("1 of 1 base models have no score", "1 benchmarks have no score of any of these models")


WRONG = {
    "quality": ({"quality": np.zeros((1, 1))}, "another shape of quality"),
    "parameters": ({"parameters": np.zeros(3)}, "another shape of parameters"),
    "a category": ({"categories": {"c": np.zeros(2)}}, "another shape of c"),
    "families": ({"families": ("",)}, "another shape of families"),
    "a model twice": ({"models": ("m", "org/M")}, "each model once, got org/M again"),
    "a method twice": ({"methods": ("x", "x"), "quality": np.zeros((2, 2))}, "each method once"),
}


@pytest.mark.parametrize(("change", "expected"), WRONG.values(), ids=WRONG)
def test_a_table_of_base_models_is_whole(change, expected):
    right = {"models": ("m", "n"), "methods": ("x",), "quality": np.zeros((2, 1)), "parameters": np.zeros(2)}
    assert BaseModels("toys", "points", **right, families=("", "")).methods == ("x",)
    with pytest.raises(InputError) as raised:
        BaseModels(**{"source": "toys", "metric": "points", **right, "families": ("", ""), **change})
    assert expected in str(raised.value)


def test_a_model_is_found_in_any_spelling_and_an_unknown_one_is_refused():
    assert known(("a/M-1", "n"), ["m_1"], "default") == [0]
    with pytest.raises(InputError, match="default 'k': expected one model of the table, got none of that name"):
        known(("m",), ["k"], "default")
    with pytest.raises(InputError, match=r"got none of that name \(nearest is 'model-1'\)"):
        known(("m", "model-1"), ["modle-1"], "default")


def test_the_bundled_tables_name_source_and_licence_and_can_be_read():
    said = [*cards()["results"].values(), *cards()["scores"]]
    assert all(card["source"] and card["licence"] for card in said)
    found = read_scores(["bundled"])
    assert len(found.models) == len(set(map(names.key, found.models)))
    assert not any("spellings" in note or "more than once" in note for note in found.notes)
    assert {card["licence"] for card in cards()["scores"]} == {"CC0 1.0", "Apache-2.0"}


@pytest.mark.skipif("RMSUITE_DATA" not in os.environ, reason="the source data is not at hand: RMSUITE_DATA is not set")
def test_the_bundled_scores_are_what_the_recipe_makes(tmp_path, monkeypatch):
    monkeypatch.setattr(published_scores, "PUBLISHED", tmp_path)
    published_scores.main(Path(os.environ["RMSUITE_DATA"]))
    for card in cards()["scores"]:
        assert (tmp_path / card["file"]).read_bytes() == published(card["file"]).read_bytes()


def test_the_bundled_tables_are_small():
    files = [card["file"] for card in cards()["scores"]]
    files += [name for card in cards()["results"].values() for name in (*card["files"], *card["further"])]
    assert sum(len(published(name).read_bytes()) for name in files) < 50_000
    assert {line[reading.MODEL] for name in files for line in reading.read_lines(published(name))}


def test_a_model_with_an_organisation_gets_the_scores_of_that_one(tmp_path):
    scores = read_scores([file(tmp_path, "model,x\na/m,1\nb/m,2\nn,3\n")])
    found = match(bases("B/M", "c/n"), scores)
    assert found.benchmarks["x"].tolist() == [2, 3]
    assert match(bases("c/m", "n"), scores).n_with_scores == 1  # another organisation's m is another model
