"""Tables of base models that are made to break or to deceive are refused, or said for what they are."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from command_line import Toys

from rmsuite.choice import names, reading
from rmsuite.choice.bases import PARAMETERS, Step
from rmsuite.choice.columns import usable
from rmsuite.choice.correlations import why_none
from rmsuite.choice.presence import PREFIX
from rmsuite.choice.results import FACTS, read_results
from rmsuite.choice.scores import TAKEN, TAKEN_PREFIX, read_scores
from rmsuite.choice.stages import stages
from rmsuite.errors import InputError
from rmsuite.reports.choice import MERGED

N = 6


@pytest.fixture
def there(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Toys(tmp_path, tmp_path / "none.py", capfd)


def table(name, header, *lines):
    Path(name).write_text("\n".join([header, *lines]) + "\n", encoding="utf-8", newline="")
    return Path(name)


def studied(there, *more):
    return there.bare("base-models", "--results", "r.csv", "--scores", "s.csv", "--draws", "20", *more)


LOOK_ALIKE = [("é", "e\u0301"), ("m1", "m1\u200b"), ("m1", "\u202em1"), ("ｍ１", "m1"), ("a/m", "b\ufeff/M")]


@pytest.mark.parametrize(("one", "other"), LOOK_ALIKE)
def test_names_that_look_alike_are_one_model(one, other):
    assert names.key(one) == names.key(other)


@pytest.mark.parametrize("cell", ["1e308", "-1e200", "1e-320", "1e61"])
def test_numbers_whose_squares_no_computer_holds_are_refused(there, cell):
    table("r.csv", "model,a", *(f"m{i},{i}" for i in range(N)), f"n,{cell}")
    with pytest.raises(InputError, match="line 8, a: expected 0, or a size from 1e-60 to 1e"):
        read_results("r.csv")


def test_numbers_at_the_bounds_are_studied_without_a_warning(there):
    table("r.csv", "model,a,params_b", *(f"m{i},{(i * 5 % 7) * 1e59},{i + 1}e-60" for i in range(N)))
    table("s.csv", "model,x", *(f"m{i},{(-1) ** i * (i + 1)}e59" for i in range(N)))
    assert studied(there).code == 0


@pytest.mark.parametrize("name", [*TAKEN, "documents: code"])
def test_a_benchmark_never_passes_for_another_row_of_the_tables(there, name):
    table("s.csv", f"model,{name}", "m,1")
    with pytest.raises(InputError, match="a benchmark whose name no other row has"):
        read_scores(["s.csv"])


def test_the_names_of_other_rows_are_those_that_are_taken():
    assert {PARAMETERS, MERGED, *FACTS.values()} <= set(TAKEN)
    assert TAKEN_PREFIX == PREFIX


@pytest.mark.parametrize(
    ("header", "line", "expected"),
    [
        ("model,a,params_b", "m,1,-7", "params_b: expected 0 or more, got -7"),
        ("model,quality,a", "m,1,2", "categories of other names"),
        (",model,a", "0,m,1", "a name for every column"),
        ("model,a", "-,1", "the name of a model, got '-'"),
        ("model,a", f"{'x' * 200_000},1", "expected cells of CSV"),
    ],
)
def test_results_that_would_deceive_are_refused(there, header, line, expected):
    with pytest.raises(InputError) as raised:
        read_results(table("r.csv", header, line))
    assert expected in str(raised.value)


def test_scores_with_a_negative_size_are_refused(there):
    with pytest.raises(InputError, match="params_b: expected 0 or more, got -1"):
        read_scores([table("s.csv", "model,x,params_b", "m,1,-1")])


def test_a_cell_in_quotes_keeps_its_ends_of_lines(there):
    found = reading.read_lines(table("r.csv", "model,a", '"two\nlines",1', "one\u2028m,2", "after,3"))
    assert [line["model"] for line in found] == ["two\nlines", "one\u2028m", "after"]
    assert [line.place[-1] for line in found] == ["3", "4", "5"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[" * 100_000, "expected JSON"),
        ('[{"model": "m", "x": 1, "x": 2}]', "'x' twice in one object"),
        ('[{"model": "m", "x": 1}, {"model": "n", "x": {"y": 2}}]', "object 2, x: expected a finite number"),
        ('[{"model": ["m"], "x": 1}]', "object 1, model: expected text or a number, got list"),
        ('[{"model": "m", "category": {"x": 1}, "x": 1}]', "object 1, category: expected text or a number, got dict"),
    ],
)
def test_json_that_would_lose_something_is_refused(there, text, expected):
    Path("r.json").write_text(text)
    with pytest.raises(InputError) as raised:
        read_results("r.json")
    assert expected in str(raised.value)


def test_what_is_nested_is_named_as_not_read(there):
    Path("r.json").write_text(json.dumps([{"model": "m", "x": 1, "extra": {"y": 2}, "open": True}]))
    assert "columns without numbers, not read: extra, open" in read_results("r.json").notes


def test_columns_that_differ_by_rounding_only_are_constant(there):
    nearly = read_scores([table("s.csv", "model,x", *(f"m{i},{1e16 + 2 * (i % 3)!r}" for i in range(N)))]).values[:, 0]
    assert why_none(nearly, nearly) == "constant"
    assert usable({"x": nearly}).left_out == {"x": "constant"}


def test_a_chain_that_goes_round_has_no_beginning_and_no_model_comes_from_itself():
    steps = [Step("a", "x", "s", "b", (1.0,)), Step("b", "x", "s", "a", (2.0,)), Step("c", "x", "s", "C", (3.0,))]
    found = stages(steps)
    assert all(math.isnan(one.start[0]) for one in found)
    assert math.isnan(found[2].before[0])


def test_a_stage_is_held_against_the_model_that_it_names_whether_that_has_a_stage_or_not(there):
    found = stages(read_results(table("r.csv", "model,a,stage,after", "base,50,,", "tuned,60,,base", "x,1,,")).steps)
    assert [(one.model, one.before.tolist()) for one in found if one.after] == [("tuned", [10, 10])]
    assert "x" not in {one.model for one in found}


def test_what_is_made_of_quality_is_named(there):
    table("r.csv", "model,a", *(f"m{i},{i * 7 % 5 + i / 9}" for i in range(N)))
    table("s.csv", "model,leak,x", *(f"m{i},{10 - 2 * (i * 7 % 5 + i / 9)},{i}" for i in range(N)))
    answer = studied(there)
    assert "Exactly as quality goes, so that it may be made of it: leak." in answer.out


@pytest.mark.parametrize("style", ["text", "markdown", "csv"])
def test_no_name_moves_the_terminal(there, style):
    table("r.csv", "model,a\x1b[31m,family", *(f"m{i}\x1b[2J,{i * 7 % 5},\u202ef{i}" for i in range(N)))
    table("s.csv", "model,\x1b]0;x\x07", *(f"m{i}\x1b[2J,{i}" for i in range(N)))
    answer = studied(there, "--format", style)
    assert answer.code == 0
    assert all(one.isprintable() for one in answer.out.replace("\n", ""))


def test_no_error_moves_the_terminal(there):
    answer = there.bare("base-models", "--results", table("r.csv", "mo\x1b[31mdel,a", "m,1"))
    assert answer.code == 2
    assert "\x1b" not in answer.err
    assert "mo\\x1b[31mdel" in answer.err
