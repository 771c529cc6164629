"""From records to tables and text: gaps stay gaps, signatures do not mix. Whoever cites a table relies on it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from rmsuite.errors import ResultsError
from rmsuite.metrics import METRICS
from rmsuite.render import STYLES, render
from rmsuite.render.cells import cell as cell_text
from rmsuite.render.cells import number
from rmsuite.reports.records import Report, Table
from rmsuite.reports.tables import report
from rmsuite.results import CellRecord
from rmsuite.signature import read, write

SIGNATURE = "rmsuite:2|task:toy@1|annotator:perfect|seed:0"
N_PROMPTS = 40


def record(method: str, repetition: int = 0, kind: str = "method", lift: float = 0.0, **changes: object) -> CellRecord:
    rng = np.random.default_rng([repetition, len(method)])
    accuracy = np.clip(rng.random(N_PROMPTS) * 0.5 + 0.3 + lift, 0, 1)
    facts = {
        "columns": ["pair-accuracy"],
        "n_test_prompts": N_PROMPTS,
        "n_test_responses": 200,
        "n_train_pairs": 10,
        "n_train_prompts": 5,
        "annotator_agreement": 1.0,
        "licence": "CC0",
        "fit_seconds": 0.5,
    }
    weight = np.arange(1.0, N_PROMPTS + 1)
    arrays = {"pair-accuracy": np.stack([accuracy * weight, weight], axis=1)}
    cell = CellRecord("toy@1", method, kind, repetition, "ok", SIGNATURE, "here", facts=facts, arrays=arrays)
    return replace(cell, **changes)


def grid(*methods: str, repetitions: int = 2) -> list[CellRecord]:
    cells = [record(method, r) for method in methods for r in range(repetitions)]
    controls = [record(name, r, "control", -0.2) for name in ("random", "length") for r in range(repetitions)]
    return [*controls, record("oracle", 0, "control", 1.0), record("oracle", 1, "control", 1.0), *cells]


def one(run: list[CellRecord], stored: list[CellRecord] = []) -> Table:  # noqa: B006 -- never changed
    (table,) = report(run, stored).tables
    return table


def rows(table: Table) -> dict:
    return {row.method: row for row in table.rows}


def test_a_value_is_the_weighted_mean_over_prompts_and_repetitions():
    cells = grid("mine")
    mine = [c for c in cells if c.method == "mine"]
    values = [c.arrays["pair-accuracy"][:, 0].sum() / c.arrays["pair-accuracy"][:, 1].sum() for c in mine]
    by_hand = np.mean(values)
    row = rows(one(cells))["mine"]
    assert row.estimates["pair-accuracy"].value == pytest.approx(by_hand)
    assert row.spread.spread == pytest.approx(np.std(values, ddof=1))
    assert row.estimates["pair-accuracy"].n_repetitions == 2


def test_the_gain_is_over_the_best_control_but_the_oracle():
    table = one(grid("mine"))
    found = rows(table)
    floors = {m: found[m].estimates["pair-accuracy"].value for m in ("random", "length")}
    assert table.best_control == max(floors, key=floors.get)
    difference = found["mine"].estimates["pair-accuracy"].value - max(floors.values())
    assert found["mine"].gains["pair-accuracy"].estimate.value == pytest.approx(difference)
    assert not found[table.best_control].gains


def own_numbers(row) -> tuple:
    """What a row says of itself; ranks, letters and corrections depend on who else is there."""
    gains = {name: (gain.estimate, gain.p) for name, gain in row.gains.items()}
    return row.estimates, gains, row.spread, row.fit_seconds, row.note


def test_other_methods_and_their_order_move_no_number():
    alone = own_numbers(rows(one(grid("mine")))["mine"])
    crowd = grid("other", "mine", "third")
    assert own_numbers(rows(one(crowd))["mine"]) == alone
    assert own_numbers(rows(one(crowd[::-1]))["mine"]) == alone


def test_methods_come_before_controls_the_best_first():
    order = [row.kind for row in one(grid("mine", "second")).rows]
    assert order == ["method"] * 2 + ["control"] * 3
    values = [row.estimates["pair-accuracy"].value for row in one(grid("mine", "second")).rows[:2]]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_method_with_a_failed_repetition_is_a_gap_with_a_reason_and_moves_no_other_row(status):
    cells = grid("mine", "broken")
    whole = own_numbers(rows(one(cells))["mine"])
    broken = [
        replace(c, status=status, phase="fit", error="boom", arrays={})
        if (c.method, c.repetition) == ("broken", 1)
        else c
        for c in cells
    ]
    table = one(broken)
    assert own_numbers(rows(table)["mine"]) == whole
    gap = rows(table)["broken"]
    assert not gap.estimates
    assert gap.note == f"{status} in 1 of 2 repetitions: fit: boom"
    text = render(Report((table,)))
    assert "boom" in text
    assert not any("broken" in line and "0.0" in line for line in text.splitlines())


def test_a_table_of_failures_only_invents_no_number():
    cells = [record("mine", status="failed", phase="fit", error="boom", arrays={})]
    table = one(cells)
    assert table.best_control == ""
    for style in STYLES:
        assert "boom" in render(Report((table,)), style)


def test_one_method_without_controls_has_no_gain():
    row = rows(one([record("mine")]))["mine"]
    assert not row.gains
    assert row.spread is None
    assert row.estimates["pair-accuracy"].n_clusters == N_PROMPTS


def test_results_with_two_signatures_share_no_table_and_the_message_says_what_differs():
    other = replace(record("second"), signature=SIGNATURE.replace("seed:0", "seed:1"))
    with pytest.raises(ResultsError, match="seed: 0 against 1"):
        report([record("mine"), other])


def test_stored_results_with_another_signature_are_left_out_with_a_note():
    stored = [replace(record("base"), signature=SIGNATURE.replace("toy@1", "toy@2"))]
    table = one([record("mine")], stored)
    assert set(rows(table)) == {"mine"}
    assert table.omitted == ("stored results of base are left out: they differ in task",)


def test_a_method_of_the_run_replaces_its_stored_result():
    mine, stored = record("base", lift=0.1), record("base")
    table = one([mine], [stored, record("other")])
    assert own_numbers(rows(table)["base"]) == own_numbers(rows(one([mine]))["base"])
    assert not rows(table)["base"].stored
    assert rows(table)["other"].stored
    assert "Stored results, their seconds measured elsewhere: other." in render(Report((table,)))


def test_only_repetitions_that_every_row_of_the_run_has_are_compared_and_the_rest_is_named():
    run = [*(record("mine", r) for r in range(4)), *(record("other", r) for r in range(2))]
    table = one(run)
    assert table.repetitions == (0, 1)
    assert table.omitted == ("repetition(s) 2, 3 are left out: other has none",)
    assert "repetitions:0,1|" in table.signature


def test_stored_rows_never_shorten_a_run_but_give_what_it_asks_for():
    stored = [record("base", r) for r in range(2)]
    longer = one([record("mine", r) for r in range(4)], stored)
    assert longer.repetitions == (0, 1, 2, 3)
    assert set(rows(longer)) == {"mine"}
    assert "fewer repetitions" in longer.omitted[0]
    shorter = one([record("mine", 0)], stored)
    assert shorter.repetitions == (0,)
    assert set(rows(shorter)) == {"mine", "base"}
    assert shorter.omitted == ()


def test_repetitions_of_different_code_are_a_gap_and_other_code_on_another_task_is_named():
    mixed = one([record("mine", 0), record("mine", 1, origin="edited"), *(record("good", r) for r in range(2))])
    assert not rows(mixed)["mine"].estimates
    assert "repetitions of different code" in rows(mixed)["mine"].note
    assert rows(mixed)["good"].estimates
    first, second = report([record("mine"), record("mine", task="zoo@1", origin="edited"), record("only")]).tables
    assert first.omitted == ("mine is of other code here (here) than on zoo@1 (edited)",)
    assert second.omitted == ("only has no results here", "mine is of other code here (edited) than on toy@1 (here)")


def test_no_common_repetition_is_an_error_that_says_who_has_which():
    with pytest.raises(ResultsError, match=r"base: \[1\], mine: \[0\]"):
        report([record("mine", 0), record("base", 1)])


def test_a_task_that_is_not_in_the_run_is_not_shown():
    found = report([record("mine")], [replace(record("base"), task="other@1")])
    assert [table.task for table in found.tables] == ["toy@1"]
    assert report([]).tables == ()


def test_a_cell_reads_value_and_interval():
    table = one(grid("mine"))
    estimate = replace(rows(table)["mine"].estimates["pair-accuracy"], value=0.8241, low=0.8108, high=0.8361)
    assert cell_text(estimate, table.columns[0]) == "82.4 [81.1, 83.6]"
    assert cell_text(None, table.columns[0]) == "-"
    assert number(-0.0112, table.columns[0], sign=True) == "-1.1"


def test_every_format_says_the_same_and_carries_the_signature():
    table = one(grid("mine"))
    value = rows(table)["mine"].estimates["pair-accuracy"].value
    document = json.loads(render(Report((table,)), "json"))["tables"][0]
    assert {row["method"] for row in document["rows"]} == set(rows(table))
    assert next(r for r in document["rows"] if r["method"] == "mine")["estimates"]["pair-accuracy"]["value"] == value
    lines = list(csv.DictReader(io.StringIO(render(Report((table,)), "csv"))))
    assert float(next(line for line in lines if line["method"] == "mine")["value"]) == value
    for style in ("text", "markdown"):
        text = render(Report((table,)), style)
        assert cell_text(rows(table)["mine"].estimates["pair-accuracy"], table.columns[0]) in text
        assert table.signature in text
        assert "Ties: pair-accuracy: equal rewards count one half." in text


def test_a_duplicated_method_shares_letters_and_ranks_with_its_twin():
    cells = grid("mine", "other", "third")
    twin = [replace(cell, method="twin") for cell in cells if cell.method == "mine"]
    found = rows(one([*cells, *twin]))
    assert found["mine"].standings == found["twin"].standings
    assert found["mine"].gains == found["twin"].gains


def test_the_oracle_takes_no_part_in_ranks_and_the_best_row_is_in_the_best_group():
    table = one(grid("mine", "other"))
    found = rows(table)
    assert not found["oracle"].standings
    first = max((r for r in table.rows if r.standings), key=lambda r: r.estimates["pair-accuracy"].value)
    standing = first.standings["pair-accuracy"]
    assert standing.best
    assert "a" in standing.letters
    assert standing.rank[0] == 1


def test_a_gain_is_starred_only_if_it_is_over_every_control():
    """The p value of a method above the best control is the largest over all of them."""
    cells = [*grid("weak"), *(record("strong", r, lift=0.2) for r in range(2))]
    found = rows(one(cells))
    assert found["strong"].gains["pair-accuracy"].p_holm < 0.05
    best = one(cells).best_control
    without = [cell for cell in cells if cell.method in ("strong", best, "oracle")]
    assert found["strong"].gains["pair-accuracy"].p >= rows(one(without))["strong"].gains["pair-accuracy"].p


def test_mixed_signatures_are_marked_and_not_compared_where_mixing_is_asked_for():
    other = [replace(record("second", r), signature=SIGNATURE.replace("seed:0", "seed:1")) for r in range(2)]
    (table,) = report([*grid("mine"), *other], allow_mixed=True).tables
    found = rows(table)
    assert own_numbers(found["mine"]) == own_numbers(rows(one(grid("mine")))["mine"])
    assert found["second"].mark == "seed: 1 against 0"
    assert found["second"].estimates
    assert not found["second"].gains
    assert not found["second"].standings
    for style in ("text", "markdown", "html"):
        assert "second has another protocol (seed: 1 against 0); not compared." in render(Report((table,)), style)


def test_every_number_has_a_signature_of_its_own_that_names_metric_and_tie_rule():
    table = one(grid("mine"))
    parts = read(table.signatures["pair-accuracy"])
    assert parts["metric"] == "pair-accuracy@1"
    assert parts["tie"] == "half"
    assert parts["agreement"] == "1.0000"
    assert parts["repetitions"] == "0,1"
    assert {k: v for k, v in parts.items() if k not in ("metric", "tie")} == read(table.signature)


def test_metrics_can_be_chosen_and_an_undefined_one_is_a_gap_with_a_reason():
    (table,) = report(grid("mine"), metrics=["pair-accuracy", "brier"]).tables
    assert [column.name for column in table.columns] == ["pair-accuracy", "brier"]
    row = rows(table)["mine"]
    assert "brier" not in row.estimates
    assert "brier is not defined for it" in row.note
    assert "probability" in row.note


def test_rows_say_how_far_they_are_verified():
    level = {"mine": "self-verified", "length": "re-run verified"}
    cells = grid("mine")
    (table,) = report(cells, level=lambda cell: level.get(cell.method, "unverified")).tables
    assert {row.method: row.verification for row in table.rows} == {
        "mine": "self-verified",
        "length": "re-run verified",
        "random": "unverified",
        "oracle": "unverified",
    }
    half = lambda cell: "re-run verified" if cell.repetition else "self-verified"  # noqa: E731
    assert {row.verification for row in report(cells, level=half).tables[0].rows} == {"re-run verified"}


def two_tasks(*methods: str) -> list[CellRecord]:
    cells = grid(*methods)
    line = SIGNATURE.replace("toy@1", "zoo@1")
    return [*cells, *(replace(cell, task="zoo@1", signature=line) for cell in cells)]


def test_all_tasks_together_have_a_row_for_each_method_and_a_rule_in_each_column():
    found = report(two_tasks("mine", "other")).overall
    assert {row.method for row in found.rows} == {"mine", "other", "random", "length"}
    by_method = {row.method: row for row in found.rows}
    single = rows(one(grid("mine", "other")))["mine"].estimates["pair-accuracy"]
    gain = by_method["mine"].estimates["macro-gain@1"]
    assert gain.value == pytest.approx((single.value - 0.5) / 0.5)
    assert gain.high - gain.low < 2 * (single.high - single.low)  # the mean of two tasks is surer than one
    assert report(grid("mine")).overall is None


def test_a_method_without_a_value_on_some_task_has_no_aggregate_and_moves_no_other():
    cells = two_tasks("mine", "other")
    fewer = [cell for cell in cells if (cell.method, cell.task) != ("other", "zoo@1")]
    found = {row.method: row for row in report(fewer).overall.rows}
    assert found["other"].note == "no value on zoo@1"
    assert not found["other"].estimates
    whole = {row.method: row for row in report(cells).overall.rows}
    assert found["mine"].estimates["macro-gain@1"] == whole["mine"].estimates["macro-gain@1"]


def test_a_winner_that_depends_on_the_rule_is_warned_of():
    cells = []
    for task, lift in (("a@1", 0.3), ("b@1", -0.05), ("c@1", -0.05)):
        line = SIGNATURE.replace("toy@1", task)
        base = [record("random", 0, "control"), record("mean", 0), replace(record("mine", 0, lift=lift), repetition=0)]
        same = replace(base[2], method="mean", arrays=record("mine", 0).arrays)
        cells += [replace(cell, task=task, signature=line) for cell in (base[0], same, base[2])]
    found = report(cells).overall
    assert any("depends on the rule" in text for text in found.warnings)
    assert not report(two_tasks("mine")).overall.warnings


def test_a_metric_that_is_best_near_zero_ranks_nobody_and_a_flat_one_makes_no_aggregate():
    rng = np.random.default_rng(1)
    cells = [
        replace(c, arrays={**c.arrays, "generator-bias": rng.random((N_PROMPTS, 4)) + 1}) for c in two_tasks("mine")
    ]
    found = report(cells, metrics=["generator-bias"])
    assert found.overall is None
    for row in found.tables[0].rows:
        assert row.estimates
        assert not row.standings
        assert not row.gains
    assert "generator-bias →0" in render(found)
    values = [abs(row.estimates["generator-bias"].value) for row in found.tables[0].rows if row.kind == "control"]
    assert values == sorted(values)
    flat = [replace(c, arrays={**c.arrays, "over-optimisation": rng.random((N_PROMPTS, 6)) + 1}) for c in cells]
    assert report(flat, metrics=["over-optimisation"]).overall is None


def test_every_metric_can_be_a_column():
    """Nothing in a table is written for one metric: all of them, with sums of any width, print in every format."""
    rng = np.random.default_rng(0)
    cells = []
    for name, kind in (("mine", "method"), ("other", "method"), ("random", "control")):
        arrays = {}
        for metric in METRICS:
            k = 2 if metric.mean else {"worst-category": 6, "generator-bias": 4, "length-matched": 20}.get(metric.name)
            k = k or {"length-adjusted": 42, "over-optimisation": 24, "peak-position": 11}.get(metric.name)
            k = k or {"calibration-error": 30}.get(metric.name, 40)
            sums = rng.random((N_PROMPTS, k))
            sums[:, 1::2] += 1.0
            arrays[metric.name] = sums
        cells.append(replace(record(name, kind=kind), arrays=arrays))
    found = report(cells, metrics=[metric.name for metric in METRICS])
    for style in STYLES:
        assert "mine" in render(found, style)
    assert set(found.tables[0].rows[0].estimates) == {metric.name for metric in METRICS}


def test_a_single_prompt_has_the_widest_intervals_and_separates_nobody():
    cells = []
    for cell in grid("mine", "other"):
        arrays = {name: array[:1] for name, array in cell.arrays.items()}
        cells.append(replace(cell, arrays=arrays, facts={**cell.facts, "n_test_prompts": 1}))
    (table,) = report(cells).tables
    for row in table.rows:
        found = row.estimates["pair-accuracy"]
        assert found.n_clusters == 1
        assert found.high - found.low > 0.9
        assert row.spread is None
    assert {s.letters for row in table.rows for s in row.standings.values()} == {"a"}
    assert {gain.p for row in table.rows for gain in row.gains.values()} == {1.0}
    for style in STYLES:
        text = render(Report((table,)), style)
        assert "nan" not in text.lower()
        assert "only 1 test prompt(s)" in " ".join(text.split()) or style == "csv"


def test_a_signature_changes_with_every_ingredient_that_a_table_decides(monkeypatch):
    def line(cells: list[CellRecord]) -> str:
        return one(cells).signatures["pair-accuracy"]

    cells = grid("mine")
    plain, seen = line(cells), set()
    seen.add(line(grid("mine", repetitions=1)))
    seen.add(line([replace(cell, facts={**cell.facts, "annotator_agreement": 0.75}) for cell in cells]))
    seen.add(line([replace(cell, signature=SIGNATURE.replace("perfect", "human")) for cell in cells]))
    metric = METRICS[0]
    for changed in (replace(metric, version=2), replace(metric, tie="wrong")):
        monkeypatch.setattr("rmsuite.reports.tables.metric", lambda name, changed=changed: changed)
        seen.add(line(cells))
    monkeypatch.undo()
    for name, value in (("LEVEL", 0.9), ("N_DRAWS", 100), ("DEFAULT", "bca"), ("FAMILY_LEVEL", 0.1)):
        monkeypatch.setattr(f"rmsuite.reports.signatures.{name}", value)
        seen.add(line(cells))
        monkeypatch.undo()
    assert len(seen) == 9
    assert plain not in seen
    assert all(write(read(text)) == text for text in seen)
