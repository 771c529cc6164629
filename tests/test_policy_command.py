"""``rmsuite policy`` and its table: what is printed is what the cells hold, and finished cells stay."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import conftest
import numpy as np
import pytest
from command_line import Toys
from plugin_files import TASKS, write
from test_policy_cells import PLUGIN

from rmsuite import executors, plugins, results
from rmsuite.book import read_book
from rmsuite.cells import Workers
from rmsuite.commands import executing
from rmsuite.errors import ResultsError
from rmsuite.policy_study import FOLDER
from rmsuite.reports.policies import policy_tables

USUAL = ["-m", "good", "-t", "toy-gold", "-r", "2", "--steps", "8", "--policies", "2", "-j", "1", "-o", "out"]
OPTIMIZERS = ["--optimizer", "rloo", "--optimizer", "optimum"]


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = Toys(tmp_path, write(tmp_path / "theirs.py", PLUGIN + TASKS.format(root=str(toy_root))), capfd)
    found.install(monkeypatch)
    return found


def cells():
    return list(results.read_all(Path("out") / FOLDER))


def lines(answer):
    return list(csv.DictReader(io.StringIO(answer.out)))


def test_the_table_says_what_the_cells_hold(toys):
    answer = toys("policy", *USUAL, *OPTIMIZERS, "--beta", "0.1", "--beta", "1", "--format", "csv")
    assert answer.code == 0
    assert len(cells()) == 8
    found = lines(answer)
    assert {(row["method"], row["optimizer"], row["beta"]) for row in found} == {
        ("good", name, beta) for name in ("rloo", "optimum") for beta in ("0.1", "1.0")
    }
    for row in found:
        own = [c for c in cells() if (c.facts["optimizer"], c.facts["beta"]) == (row["optimizer"], float(row["beta"]))]
        gain = np.mean([c.arrays["gold"][-1].mean() - c.arrays["reference_gold"].mean() for c in own])
        longer = np.mean([c.arrays["length"][-1].mean() - c.arrays["reference_length"].mean() for c in own])
        assert float(row["gold_gain"]) == pytest.approx(gain)
        assert float(row["length_gain"]) == pytest.approx(longer)
        assert float(row["win_rate"]) == pytest.approx(np.mean([c.arrays["win_rate"][-1].mean() for c in own]))
        assert float(row["kl"]) == pytest.approx(np.mean([c.arrays["kl"][-1].mean() for c in own]))
        assert float(row["low"]) < float(row["gold_gain"]) < float(row["high"])
        assert int(float(row["samples"])) == own[0].arrays["samples"][-1]
        assert row["hyperparameters"] == ("1" if row["optimizer"] == "rloo" else "0")
    gains = [float(row["gold_gain"]) for row in found]
    assert gains == sorted(gains, reverse=True)


def test_finished_cells_stay_and_the_table_is_the_same(toys):
    first = toys("policy", *USUAL, *OPTIMIZERS)
    again = toys("policy", *USUAL, *OPTIMIZERS)
    assert "4 of 4 cells are there already" in again.err
    assert again.out == first.out
    more = toys("policy", *USUAL, *OPTIMIZERS, "--optimizer", "rloo[k=2]")
    assert "4 of 6 cells are there already" in more.err
    anew = toys("policy", *USUAL, *OPTIMIZERS, "--no-cache")
    assert "already" not in anew.err


def test_a_changed_plugin_is_computed_again(toys):
    toys("policy", *USUAL, "--optimizer", "reader[path=x]")
    answer = toys("policy", *USUAL, "--optimizer", "rloo")
    assert answer.code == 0
    write(toys.plugin, toys.plugin.read_text() + "\n# changed\n")
    assert "already" not in toys("policy", *USUAL, "--optimizer", "rloo").err


@pytest.mark.parametrize("other", [["--steps", "9"], ["--policies", "3"], ["--learning-rate", "0.5"], ["--seed", "1"]])
def test_another_training_does_not_share_a_folder(toys, other):
    assert toys("policy", *USUAL, "--optimizer", "best").code == 0
    answer = toys("policy", *USUAL, "--optimizer", "best", *other)
    assert answer.code == 2
    assert "expected results of toy-gold@1 with the signature of this run, got others" in answer.err


def test_what_fails_is_said_in_the_table_and_the_exit_code(toys):
    answer = toys("policy", *USUAL, "--optimizer", "broken", "--optimizer", "rloo")
    assert answer.code == 1
    assert "2 of 2 cells failed: train: ValueError: no step" in " ".join(answer.out.split())
    assert "good, broken, beta=0.05 on toy-gold@1, repetitions 0, 1 failed in train: ValueError: no step" in answer.err
    page = answer.err.split("its traceback and output: ")[1].splitlines()[0]
    assert "ValueError: no step" in Path(page).read_text()
    assert (
        "2 of 4 cells are there already" in toys("policy", *USUAL, "--optimizer", "broken", "--optimizer", "rloo").err
    )


def steps_of(answer):
    """What --explain-cache says of each cell: by its label and repetition, why it is computed."""
    found = re.findall(r"rmsuite: (.*) on toy-gold@1, repetition (\d+): (.*)", answer.err)
    return {(name, int(repetition)): why for name, repetition, why in found}


RLOO, OTHER, OPTIMUM = (f"good, {name}, beta=0.05" for name in ("rloo", "rloo[k=2]", "optimum"))
FORCED = {"rloo": {RLOO, OTHER}, "rloo[k=2]": {OTHER}, OPTIMUM: {OPTIMUM}, "good": {RLOO, OTHER, OPTIMUM, "good, best"}}


@pytest.mark.parametrize("name", FORCED)
def test_a_method_an_optimizer_or_a_row_can_be_forced(toys, name):
    given = [*USUAL, *OPTIMIZERS, "--optimizer", "best", "--optimizer", "rloo[k=2]", "-r", "1"]
    first = toys("policy", *given, "--explain-cache")
    assert steps_of(first) == {(row, 0): "there is no result" for row in FORCED["good"]}
    again = toys("policy", *given, "--explain-cache", "--force", name)
    assert steps_of(again) == {(row, 0): "--force" for row in FORCED[name]}
    refused = toys("policy", *given, "--force", "beta")
    assert refused.code == 2
    assert "--force 'beta': expected one of" in refused.err


def test_a_run_says_what_it_would_compute_and_computes_nothing(toys):
    toys("policy", *USUAL, "-r", "1", *OPTIMIZERS)
    before = cells()
    answer = toys("policy", *USUAL, *OPTIMIZERS, "--dry-run")
    assert answer.code == 0
    first, *_, last = answer.out.splitlines()
    assert first.startswith(f"{RLOO}: 1 cells, about ")
    assert last == "2 of 4 cells would be computed; nothing was"
    assert len(cells()) == len(before) == 2


@pytest.mark.parametrize("stop", [["-x"], ["--fail-on-error", "0"], ["--fail-on-error", "0.1"]], ids=" ".join)
def test_a_run_stops_where_the_options_say_and_goes_on_as_it_says(toys, stop):
    """A fit that fails counts once a cell, before another policy is trained."""
    given = ["-m", "failing", *USUAL, *OPTIMIZERS, *stop]
    answer = toys("policy", *given)
    assert answer.code == 1
    option = {"-x": "--exitfirst", "--fail-on-error": f"--fail-on-error {stop[-1]}"}[stop[0]]
    assert f"stopped by {option}: 1 of 8 cells are finished, 1 of them failed; the others are missing" in answer.err
    assert "1 of 1 cells failed: reward: ValueError: no reward" in " ".join(answer.out.split())
    way_on = shlex.split(answer.err.split("go on with:\n  ")[1].splitlines()[0])
    assert way_on[way_on.index("policy") :] == ["policy", "--plugin", str(toys.plugin), *given]
    assert toys("policy", *given[: -len(stop)]).code == 1
    assert sorted(cell.status for cell in cells()) == 4 * ["failed"] + 4 * ["ok"]


def test_only_failed_or_missing_cells(toys):
    given = [*USUAL, "-r", "1", "--optimizer", "broken", "--optimizer", "rloo"]
    answer = toys("policy", *given)
    assert answer.err.rstrip().endswith("--only failed")
    failed = toys("policy", *given, "--optimizer", "best", "--only", "failed", "--explain-cache")
    assert steps_of(failed) == {("good, broken, beta=0.05", 0): "it failed in train"}
    assert "--only failed left 1 cells out, which are not in the table: 2 of 3 cells are finished" in failed.err
    missing = toys("policy", *given, "--optimizer", "best", "--only", "missing", "--explain-cache")
    assert steps_of(missing) == {("good, best", 0): "there is no result"}
    assert {(row["optimizer"], row["note"]) for row in lines(toys("policy", *given, "--format", "csv"))} >= {
        ("rloo", "")
    }


def test_what_has_no_beta_has_one_row_for_all(toys):
    given = [*USUAL, *OPTIMIZERS, "--optimizer", "best", "--beta", "0.1", "--beta", "1"]
    answer = toys("policy", *given, "--format", "csv")
    assert [row["beta"] for row in lines(answer) if row["optimizer"] == "best"] == [""]
    assert len(lines(answer)) == 5
    assert {cell.facts["beta"] for cell in cells() if cell.method == "good, best"} == {None}
    assert re.search(r"^good +best +- +\+", toys("policy", *given).out, re.MULTILINE)


def test_methods_and_policies_share_one_start_of_workers(toys, monkeypatch):
    started = []
    monkeypatch.setattr(executors, "Workers", lambda conditions: started.append(1) or Workers(conditions))
    assert toys("policy", *USUAL, *OPTIMIZERS).code == 0
    assert toys("policy", *USUAL, *OPTIMIZERS).code == 0
    assert len(started) == 1


def test_what_the_cells_were_made_with_is_noted_beside_them(toys):
    toys("policy", *USUAL, "--optimizer", "best", "-r", "1")
    noted = json.loads((Path("out") / FOLDER / "environment.json").read_text())
    assert noted["cells"] == "here, each on one thread"
    assert noted["packages"]["numpy"] == np.__version__


# What there is nothing to learn from


def test_equal_rewards_leave_the_reference_and_are_noted(toys):
    answer = toys("policy", *USUAL, "-m", "good[sign=0]", "-r", "1", *OPTIMIZERS, "--beta", "0", "--format", "csv")
    assert answer.code == 0
    flat = [row for row in lines(answer) if row["method"] == "good[sign=0]"]
    assert len(flat) == 2
    for row in flat:
        assert row["note"] == "all rewards are equal"
        assert [abs(float(row[name])) < 1e-9 for name in ("gold_gain", "proxy_gain", "kl")] == 3 * [True]
        assert float(row["win_rate"]) == pytest.approx(0.5)


def test_kl_may_cost_nothing(toys):
    answer = toys("policy", *USUAL, "-r", "1", *OPTIMIZERS, "--beta", "0", "--format", "csv")
    assert answer.code == 0
    gains = {row["optimizer"]: float(row["proxy_gain"]) for row in lines(answer)}
    assert gains["optimum"] > gains["rloo"] > 0
    optimum = next(cell for cell in cells() if cell.facts["optimizer"] == "optimum")
    assert optimum.arrays["kl"] == pytest.approx(np.log(6)), "all on one of six responses, which the reference draws"


def test_rewards_that_are_no_numbers_cost_their_cells(toys):
    answer = toys("policy", *USUAL, "-m", "void", "-r", "1", "--optimizer", "best", "--format", "csv")
    assert answer.code == 1
    notes = {row["method"]: row["note"] for row in lines(answer)}
    assert notes["good"] == ""
    assert "1 of 1 cells failed: reward: reward of 'void': expected finite rewards" in notes["void"]


def test_prompts_with_one_response_leave_no_choice(toys, tmp_path, monkeypatch):
    monkeypatch.setattr(conftest, "N_RESPONSES", 1)
    card = conftest.TASK.format(name="one", pool="one-pool", annotator="perfect", pairs=4, columns='"pair-accuracy"')
    conftest.write_pool(tmp_path / "one", "one-pool", human=False)
    write(tmp_path / "one" / "tasks" / "one.toml", card + 'pairing = "across"\n')
    answer = toys("policy", *USUAL, "-t", "one", "--tasks", tmp_path / "one", *OPTIMIZERS)
    assert answer.code == 2
    assert (
        "policies on task one@1: expected a prompt with several responses in the training part, got one" in answer.err
    )
    assert not cells()


MISTAKES = {
    ("--optimizer", "rloo[k=1]"): "optimizer 'rloo[k=1]': hyperparameter 'k': expected a whole number of at least 2",
    ("--optimizer", "unmade"): "optimizer 'unmade': expected hyperparameters that it can be made with, got KeyError",
    ("--optimizer", "unmade[how=exit]"): "got SystemExit: 3. Do: see `rmsuite info unmade`",
    ("--optimizer", "unmade[how=none]"): "with `coefficients` or `log_probabilities`, not both, got None",
    ("--optimizer", "rloo", "--learning-rate", "1000"): "'learning_rate': expected a number from 0 to 100, got 1000",
    ("--optimizer", "rloo", "--beta", "1e301"): "hyperparameter 'beta': expected a number from 0 to 1e+300, got 1e+301",
    ("--optimizer", "rlo"): "optimizer 'rlo': expected one of",
    ("--optimizer", "rloo[j=2]"): "parameter of optimizer 'rloo', 'j': expected one of k",
    ("--optimizer", "rloo", "-t", "toy-human"): "policies on task toy-human@1: expected gold rewards",
    ("--optimizer", "rloo", "--beta", "-1"): "'-1' is not a finite number of at least 0",
    ("--optimizer", "rloo", "--beta", "x"): "argument --beta: 'x' is not a number",
    ("--optimizer", "rloo", "--learning-rate", "0"): "'0' is not a positive number",
    ("--optimizer", "rloo", "--hidden", "-1"): "expected a whole number of at least 0, got '-1'",
    ("--optimizer", "rloo", "--policies", "0"): "expected a whole number of at least 1, got '0'",
    ("--optimizer", "rloo", "--shift", "1e308"): "hyperparameter 'shift': expected a number from -1e+06 to 1e+06",
    ("--optimizer", "rloo", "--shift", "inf"): "argument --shift: 'inf' is not a finite number",
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.items())
def test_mistakes_are_refused(toys, arguments, message):
    answer = toys("policy", *USUAL, *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert not list(Path().glob("out/policies/*/*")), "nothing was fitted"


def test_an_optimizer_may_not_open_the_results_of_its_run_in_a_folder_that_is_named_from_here(toys):
    assert toys("policy", *USUAL, "--optimizer", "rloo").code == 0
    file = next(Path("out").rglob("0*.npz"))
    answer = toys("policy", *USUAL, "--optimizer", f"reader[path='{file.absolute()}']")
    assert answer.code == 1
    assert "PermissionError: a reward model may not touch" in answer.err


def test_tables_of_methods_refuse_policy_cells(toys):
    toys("policy", *USUAL, "--optimizer", "best")
    answer = toys("table", "-o", "out/policies")
    assert answer.code == 2
    assert "expected cells of methods, got policy cells" in answer.err
    run = toys("run", "-m", "good", "-t", "toy-gold", "-r", "1", "-o", "out")
    assert run.code == 0
    assert "optimum" not in run.out


def test_markdown_and_text_say_the_units(toys):
    for style in ("text", "markdown"):
        said = " ".join(toys("policy", *USUAL, *OPTIMIZERS, "--format", style).out.split())
        assert "in standard deviations within a prompt, of the training part" in said
        assert "2 policies each" in said
        assert "95% intervals: cluster bootstrap" in said


def test_workers_may_not_read_what_policies_are_worth(toys):
    catalogue = plugins.load([toys.plugin], installed=False)
    book = read_book(catalogue.paths("rmsuite_tasks"))
    local = executing.local(catalogue, book, Path("out"), 1, [])
    assert Path("out").absolute() / FOLDER in local.conditions.forbidden


# The table itself


@pytest.fixture
def records(toys):
    assert toys("policy", *USUAL, *OPTIMIZERS).code == 0
    return cells()


def test_the_order_of_cells_moves_no_number(records):
    (one,), (other,) = policy_tables(records), policy_tables(records[::-1])
    assert {row.optimizer: row for row in one.rows} == {row.optimizer: row for row in other.rows}


def test_a_policy_that_is_the_reference_gains_nothing_and_its_interval_is_finite(records):
    def at_rest(cell):
        arrays = {name: cell.arrays[name][:1] for name in ("gold", "proxy", "win_rate", "kl", "entropy", "length")}
        return replace(cell, arrays={**cell.arrays, **arrays})

    (table,) = policy_tables([at_rest(cell) for cell in records if cell.facts["optimizer"] == "rloo"])
    (row,) = table.rows
    assert row.gold.value == pytest.approx(0)
    assert row.win_rate.value == pytest.approx(0.5)
    assert -5 < row.gold.low < 0 < row.gold.high < 5


def test_a_missing_repetition_is_said(records):
    (table,) = policy_tables(records[1:])
    notes = sorted(row.note for row in table.rows)
    assert notes == ["", "1 of 2 repetitions"]
    assert sum(row.gold is None for row in table.rows) == 1


def test_cells_of_two_studies_share_no_table(records):
    with pytest.raises(ResultsError, match="policies on toy-gold@1: expected one signature"):
        policy_tables([*records[1:], replace(records[0], signature="rmsuite:2|task:other@1")])


# A suite's card


CARD = """
name = "studied"
summary = "what toys do to policies"
tasks = ["toy-gold"]
repetitions = 2

[study]
steps = 6
policies = 2

[[study.runs]]
methods = ["good"]
optimizers = ["best", "rloo"]
betas = [0.1]

[[study.runs]]
methods = ["good"]
optimizers = ["rloo", "optimum"]
betas = [0.1, 1]

[study.tasks]
here = "toy-gold"

[study.curves]
climb = { optimizers = ["rloo"], beta = 0.1 }

[[study.claims]]
id = "T1"
source = "a test"
says = "policies gain"
of = "gain"
terms = [[1, "good", "climb", "here"]]
above = -100
"""


def test_a_suite_says_what_is_run_and_what_is_claimed(toys, toy_root):
    write(toy_root / "suites" / "studied.toml", CARD)
    answer = toys("policy", "--suite", "studied", "-j", "1", "-o", "out")
    assert answer.code == 0, answer.err
    rows = {(c.facts["optimizer"], c.facts["beta"], c.repetition) for c in cells()}
    points = {("best", None), ("rloo", 0.1), ("rloo", 1.0), ("optimum", 0.1), ("optimum", 1.0)}
    assert rows == {(*point, repetition) for point in points for repetition in (0, 1)}, (
        "what two groups name is run once"
    )
    assert {len(c.arrays["gold"][0, 0]) for c in cells()} == {2}
    assert "training:steps=6," in answer.out
    assert " reproduced" in answer.out.split("claims\n")[1]
    again = toys("policy", "--suite", "studied", "-j", "1", "-o", "out")
    assert "10 of 10 cells are there already" in again.err
    assert again.out == answer.out


def test_what_is_not_as_the_suite_says_is_noted_beside_its_claims(toys, toy_root):
    write(toy_root / "suites" / "studied.toml", CARD)
    as_said = toys("policy", "--suite", "studied", "-j", "1", "-o", "out")
    assert "not as the suite says" not in as_said.out
    given = ["--steps", "3", "--optimizer", "rloo", "--shift", "1"]
    otherwise = " ".join(toys("policy", "--suite", "studied", *given, "-j", "1", "-o", "other").out.split())
    assert "Note: not as the suite says: steps 3 (6); shift 1.0 (0); --optimizer given." in otherwise


def test_the_policies_of_a_closed_form_are_one_in_the_spread(toys):
    rows = lines(toys("policy", *USUAL, *OPTIMIZERS, "-r", "1", "--format", "csv"))
    assert {row["optimizer"]: bool(row["sd"]) for row in rows} == {"rloo": True, "optimum": False}


def test_options_take_the_place_of_what_a_suite_says(toys, toy_root):
    write(toy_root / "suites" / "studied.toml", CARD)
    given = ["--optimizer", "best", "--steps", "3", "-r", "1", "--policies", "1", "-j", "1", "-o", "out"]
    answer = toys("policy", "--suite", "studied", *given)
    assert answer.code == 0, answer.err
    assert [(c.facts["optimizer"], c.repetition) for c in cells()] == [("best", 0)]
    assert "claims" not in answer.out, "none of its claims can be judged"
    assert toys("policy", "--suite", "studied", *given, "--format", "csv").out.startswith("task,")


@pytest.mark.parametrize("missing", ["--method", "--optimizer", "--task"])
def test_what_neither_options_nor_a_suite_say_is_asked_for(toys, missing):
    given = {"--method": "good", "--optimizer": "best", "--task": "toy-gold"}
    answer = toys("policy", *(part for name, text in given.items() if name != missing for part in (name, text)))
    assert answer.code == 2
    assert (
        f"{missing}: expected one or more, got none. Do: give {missing} NAME, or a --suite that says it" in answer.err
    )
