"""From records to tables and text: gaps stay gaps, signatures do not mix. Whoever cites a table relies on it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from rmsuite.errors import ResultsError
from rmsuite.render import cell as cell_text
from rmsuite.render import number, render
from rmsuite.results import CellRecord
from rmsuite.tables import Table, tables

SIGNATURE = "rmsuite:1|task:toy@1|seed:0"
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
    arrays = {"pair-accuracy": accuracy, "pair-accuracy/weight": np.arange(1.0, N_PROMPTS + 1)}
    cell = CellRecord("toy@1", method, kind, repetition, "ok", SIGNATURE, "here", facts=facts, arrays=arrays)
    return replace(cell, **changes)


def grid(*methods: str, repetitions: int = 2) -> list[CellRecord]:
    cells = [record(method, r) for method in methods for r in range(repetitions)]
    controls = [record(name, r, "control", -0.2) for name in ("random", "length") for r in range(repetitions)]
    return [*controls, record("oracle", 0, "control", 1.0), record("oracle", 1, "control", 1.0), *cells]


def one(run: list[CellRecord], stored: list[CellRecord] = []) -> Table:  # noqa: B006 -- never changed
    (table,) = tables(run, stored)
    return table


def rows(table: Table) -> dict:
    return {row.method: row for row in table.rows}


def test_a_value_is_the_weighted_mean_over_prompts_and_repetitions():
    cells = grid("mine")
    mine = [c for c in cells if c.method == "mine"]
    weights = mine[0].arrays["pair-accuracy/weight"]
    by_hand = np.mean([np.average(c.arrays["pair-accuracy"], weights=weights) for c in mine])
    row = rows(one(cells))["mine"]
    assert row.estimates["pair-accuracy"].value == pytest.approx(by_hand)
    spread = np.std([np.average(c.arrays["pair-accuracy"], weights=weights) for c in mine], ddof=1)
    assert row.spread == pytest.approx(spread)
    assert row.estimates["pair-accuracy"].n_repetitions == 2


def test_the_gain_is_over_the_best_control_but_the_oracle():
    table = one(grid("mine"))
    found = rows(table)
    floors = {m: found[m].estimates["pair-accuracy"].value for m in ("random", "length")}
    assert table.best_control == max(floors, key=floors.get)
    difference = found["mine"].estimates["pair-accuracy"].value - max(floors.values())
    assert found["mine"].gains["pair-accuracy"].value == pytest.approx(difference)
    assert not found[table.best_control].gains


def test_other_methods_and_their_order_move_no_number():
    alone = rows(one(grid("mine")))["mine"]
    crowd = grid("other", "mine", "third")
    assert rows(one(crowd))["mine"] == alone
    assert rows(one(crowd[::-1]))["mine"] == alone


def test_methods_come_before_controls_the_best_first():
    order = [row.kind for row in one(grid("mine", "second")).rows]
    assert order == ["method"] * 2 + ["control"] * 3
    values = [row.estimates["pair-accuracy"].value for row in one(grid("mine", "second")).rows[:2]]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_method_with_a_failed_repetition_is_a_gap_with_a_reason_and_moves_no_other_row(status):
    cells = grid("mine", "broken")
    whole = rows(one(cells))["mine"]
    broken = [
        replace(c, status=status, phase="fit", error="boom", arrays={})
        if (c.method, c.repetition) == ("broken", 1)
        else c
        for c in cells
    ]
    table = one(broken)
    assert rows(table)["mine"] == whole
    gap = rows(table)["broken"]
    assert not gap.estimates
    assert gap.note == f"{status} in 1 of 2 repetitions: fit: boom"
    text = render([table])
    assert "boom" in text
    assert not any("broken" in line and "0.0" in line for line in text.splitlines())


def test_a_table_of_failures_only_invents_no_number():
    cells = [record("mine", status="failed", phase="fit", error="boom", arrays={})]
    table = one(cells)
    assert table.best_control == ""
    for style in ("text", "markdown", "csv", "json"):
        assert "boom" in render([table], style)


def test_one_method_without_controls_has_no_gain():
    row = rows(one([record("mine")]))["mine"]
    assert not row.gains
    assert row.spread is None
    assert row.estimates["pair-accuracy"].n_clusters == N_PROMPTS


def test_results_with_two_signatures_share_no_table_and_the_message_says_what_differs():
    other = replace(record("second"), signature=SIGNATURE.replace("seed:0", "seed:1"))
    with pytest.raises(ResultsError, match="seed: 0 against 1"):
        tables([record("mine"), other])


def test_stored_results_with_another_signature_are_left_out_with_a_note():
    stored = [replace(record("base"), signature=SIGNATURE.replace("toy@1", "toy@2"))]
    table = one([record("mine")], stored)
    assert set(rows(table)) == {"mine"}
    assert table.omitted == ("stored results of base are left out: they differ in task",)


def test_a_method_of_the_run_replaces_its_stored_result():
    mine, stored = record("base", lift=0.1), record("base")
    table = one([mine], [stored, record("other")])
    assert rows(table)["base"] == rows(one([mine]))["base"]
    assert not rows(table)["base"].stored
    assert rows(table)["other"].stored
    assert "Stored results, their seconds measured elsewhere: other (here)." in render([table])


def test_only_repetitions_that_every_row_of_the_run_has_are_compared_and_the_rest_is_named():
    run = [*(record("mine", r) for r in range(4)), *(record("other", r) for r in range(2))]
    table = one(run)
    assert table.repetitions == (0, 1)
    assert table.omitted == ("repetition(s) 2, 3 are left out: other have none",)
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
    first, second = tables([record("mine"), record("mine", task="zoo@1", origin="edited"), record("only")])
    assert first.omitted == ("mine is of other code here (here) than on zoo@1 (edited)",)
    assert second.omitted == ("only has no results here", "mine is of other code here (edited) than on toy@1 (here)")


def test_no_common_repetition_is_an_error_that_says_who_has_which():
    with pytest.raises(ResultsError, match=r"base: \[1\], mine: \[0\]"):
        tables([record("mine", 0), record("base", 1)])


def test_a_task_that_is_not_in_the_run_is_not_shown():
    assert [t.task for t in tables([record("mine")], [replace(record("base"), task="other@1")])] == ["toy@1"]
    assert tables([]) == []


def test_a_cell_reads_value_and_interval():
    table = one(grid("mine"))
    estimate = replace(rows(table)["mine"].estimates["pair-accuracy"], value=0.8241, low=0.8108, high=0.8361)
    assert cell_text(estimate, table.columns[0]) == "82.4 [81.1, 83.6]"
    assert cell_text(None, table.columns[0]) == "-"
    assert number(-0.0112, table.columns[0], sign=True) == "-1.1"


def test_every_format_says_the_same_and_carries_the_signature():
    table = one(grid("mine"))
    value = rows(table)["mine"].estimates["pair-accuracy"].value
    document = json.loads(render([table], "json"))[0]
    assert {row["method"] for row in document["rows"]} == set(rows(table))
    assert next(r for r in document["rows"] if r["method"] == "mine")["estimates"]["pair-accuracy"]["value"] == value
    lines = list(csv.DictReader(io.StringIO(render([table], "csv"))))
    assert float(next(line for line in lines if line["method"] == "mine")["value"]) == value
    for style in ("text", "markdown"):
        text = render([table], style)
        assert cell_text(rows(table)["mine"].estimates["pair-accuracy"], table.columns[0]) in text
        assert f"Signature: {table.signature}" in text
        assert "Ties: pair-accuracy: equal rewards count one half." in text
