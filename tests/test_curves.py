"""Curves over a parameter and their areas, from records to the command. Who reads learning curves relies on it."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import set_up
from plugin_files import source
from scipy.special import ndtr, stdtrit

from rmsuite.metrics import metric
from rmsuite.render.curves import CURVE_STYLES, render_curves
from rmsuite.reports.curves import Curve, CurveTable, Sweep, curves
from rmsuite.reports.tables import report
from rmsuite.results import CellRecord, read_all
from rmsuite.statistics import holm

VALUES = (100, 200, 800)
N_PROMPTS, PAIRS = 60, 10
COLUMNS = {"pair-accuracy": 2, "worst-category": 4, "generator-bias": 4}  # sums a prompt


def sweep(*methods: str, values: tuple[float, ...] = VALUES) -> Sweep:
    return Sweep("labels", values, {name: tuple(f"{name}[labels={at}]" for at in values) for name in methods})


def cell(method: str, at: float, repetition: int = 0, lift: float = 0.0, **changes: object) -> CellRecord:
    """A cell whose accuracy rises with the logarithm of the parameter, on prompts that are easy or hard for all."""
    rng = np.random.default_rng([repetition, len(method), int(at)])
    ease = np.random.default_rng(5).random((N_PROMPTS, 2)) * 0.4
    arrays = {}
    for name, k in COLUMNS.items():
        share = np.clip(ease + 0.1 * rng.random((N_PROMPTS, 2)) + 0.1 * np.log10(at) + lift, 0, 1)
        arrays[name] = np.stack([share * PAIRS, np.full((N_PROMPTS, 2), PAIRS)], axis=-1).reshape(N_PROMPTS, 4)[:, :k]
    facts = {
        "columns": ["pair-accuracy"],
        "n_test_prompts": N_PROMPTS,
        "n_test_responses": 300,
        "annotator_agreement": 1.0,
    }
    line = "rmsuite:2|task:toy@1|annotator:perfect|seed:0"
    name = f"{method}[labels={at}]"
    made = CellRecord("toy@1", name, "method", repetition, "ok", line, "here", facts=facts, arrays=arrays)
    return replace(made, **changes)


def cells(*methods: str, values: tuple[float, ...] = VALUES, lifts: tuple[float, ...] = ()) -> list[CellRecord]:
    pairs = zip(methods, lifts or np.zeros(len(methods)), strict=True)
    return [cell(method, at, r, lift) for method, lift in pairs for at in values for r in range(2)]


def table(records: list[CellRecord], of: Sweep, name: str = "pair-accuracy") -> CurveTable:
    (found,) = curves(records, of, [name])
    return found


def by_name(found: CurveTable) -> dict[str, Curve]:
    return {curve.method: curve for curve in found.curves}


# Areas


@pytest.mark.parametrize("values", [(1, 10, 1000), (0, 0.5, 3, 4), (-2, 5), (1e-6, 1e6)])
def test_the_area_of_a_constant_is_the_constant_and_of_any_curve_that_of_trapezoids(values):
    of = sweep("mine", values=values)
    assert of.weights.sum() == pytest.approx(1)
    x = np.log(values) if min(values) > 0 else np.array(values, float)
    assert of.logarithmic == (min(values) > 0)
    y = np.random.default_rng(0).random(len(values))
    trapezoids = sum((y[i] + y[i + 1]) / 2 * (x[i + 1] - x[i]) for i in range(len(x) - 1)) / (x[-1] - x[0])
    assert of.weights @ y == pytest.approx(trapezoids)


@pytest.mark.parametrize("name", COLUMNS)
def test_points_are_those_of_the_table_and_the_area_is_their_mean(name):
    """For a weighted mean over prompts, and for any other function of sums."""
    records = cells("mine")
    curve = by_name(table(records, sweep("mine"), name))["mine"]
    rows = {row.method: row.estimates[name] for row in report(records, metrics=[name]).tables[0].rows}
    assert curve.points == tuple(rows[label] for label in sweep("mine").methods["mine"])
    assert curve.area.value == pytest.approx(sweep("mine").weights @ [point.value for point in curve.points])
    assert (curve.area.n_clusters, curve.area.n_repetitions) == (N_PROMPTS, 2)


def test_the_area_of_equal_points_has_their_value_and_interval():
    records = [replace(cell("mine", 100, r), method=f"mine[labels={at}]") for at in VALUES for r in range(2)]
    for name in COLUMNS:
        curve = by_name(table(records, sweep("mine"), name))["mine"]
        for part in ("value", "low", "high"):
            assert getattr(curve.area, part) == pytest.approx(getattr(curve.points[0], part), abs=1e-12)


@pytest.mark.parametrize("name", ["pair-accuracy", "worst-category"])
def test_the_interval_is_that_of_a_bootstrap_written_anew(name):
    """It draws prompts, computes each point of each draw, and then the area: with other draws, so not to the bit."""
    records = cells("mine")
    arrays = np.array([[records[2 * i + r].arrays[name] for r in range(2)] for i in range(len(VALUES))])
    rng, areas = np.random.default_rng(1), []
    for _ in range(4000):
        sums = arrays[:, :, rng.integers(N_PROMPTS, size=N_PROMPTS)].sum(axis=2)
        points = metric(name).reduce(sums).mean(axis=1)
        areas.append((points[0] * np.log(2) + points[1] * np.log(8) + points[2] * np.log(4)) / (2 * np.log(8)))
    tail = ndtr(np.sqrt(N_PROMPTS / (N_PROMPTS - 1)) * stdtrit(N_PROMPTS - 1, 0.025))
    low, high = np.quantile(areas, [tail, 1 - tail])
    area = by_name(table(records, sweep("mine"), name))["mine"].area
    np.testing.assert_allclose([area.low, area.high], [low, high], rtol=0, atol=0.08 * (high - low))


# Comparisons


def test_letters_and_p_values_are_those_of_a_table_where_all_points_are_equal():
    names, lifts = ("one", "three", "fifteen"), (0.0, 0.004, 0.1)
    made = [(cell(name, 100, r, lift), name) for name, lift in zip(names, lifts, strict=True) for r in range(2)]
    records = [replace(one, method=f"{name}[labels={at}]") for one, name in made for at in VALUES]
    found = table(records, sweep(*names))
    plain = report([replace(one, method=name) for one, name in made]).tables[0]
    standings = {row.method: row.standings["pair-accuracy"] for row in plain.rows}
    assert {curve.method: curve.standing for curve in found.curves} == standings
    assert len({standing.letters for standing in standings.values()}) > 1


def test_differences_are_paired_and_corrected_over_all_pairs():
    names = ("one", "three", "fifteen")
    found = table(cells(*names, lifts=(0.0, 0.01, 0.03)), sweep(*names))
    assert [(one.first, one.second) for one in found.differences] == [names[:2], names[::2], names[1:]]
    p = [one.difference.p for one in found.differences]
    assert [one.difference.p_holm for one in found.differences] == holm(p)
    area = {curve.method: curve.area for curve in found.curves}
    for one in found.differences:
        estimate = one.difference.estimate
        assert estimate.value == pytest.approx(area[one.first].value - area[one.second].value)
        assert estimate.high - estimate.low < (area[one.first].high - area[one.first].low) / 2


def test_a_twin_is_not_separable_and_its_difference_is_nothing():
    twin = [replace(one, method=one.method.replace("mine", "twin")) for one in cells("mine")]
    found = table([*cells("mine"), *twin], sweep("mine", "twin"))
    (one,) = found.differences
    assert (one.difference.estimate.value, one.difference.p) == (0, 1)
    assert {curve.standing.letters for curve in found.curves} == {"a"}


def test_other_methods_and_the_order_of_cells_move_no_number():
    alone = by_name(table(cells("mine"), sweep("mine")))["mine"]
    crowd = table(cells("other", "mine")[::-1], sweep("other", "mine"))
    beside = by_name(crowd)["mine"]
    assert (beside.points, beside.area) == (alone.points, alone.area)
    assert [curve.method for curve in crowd.curves] == ["other", "mine"]


def test_a_metric_that_is_read_and_not_ranked_has_areas_without_letters():
    found = table(cells("mine", "other"), sweep("mine", "other"), "generator-bias")
    assert found.differences == ()
    assert all(curve.area and curve.standing is None for curve in found.curves)


# Gaps


@pytest.mark.parametrize("style", CURVE_STYLES)
def test_a_failed_cell_is_a_gap_with_a_reason_without_an_area_and_moves_no_other_curve(style):
    records, of = cells("mine", "broken", "other"), sweep("mine", "broken", "other")
    whole = by_name(table(cells("mine", "other"), sweep("mine", "other")))
    place = next(i for i, one in enumerate(records) if one.method == "broken[labels=200]")
    records[place] = replace(records[place], status="failed", phase="fit", error="boom", arrays={})
    found = table(records, of)
    broken = by_name(found)["broken"]
    assert [point is None for point in broken.points] == [False, True, False]
    assert (broken.area, broken.standing) == (None, None)
    assert broken.note == "labels=200: failed in 1 of 2 repetitions: fit: boom; no area"
    assert [(one.first, one.second) for one in found.differences] == [("mine", "other")]
    assert by_name(found)["mine"] == whole["mine"]
    assert "labels=200: failed in 1 of 2 repetitions: fit: boom" in render_curves([found], style)


def test_cells_without_numbers_make_a_table_without_numbers():
    records = [replace(one, status="failed", error="boom", arrays={}) for one in cells("mine")]
    found = table(records, sweep("mine"))
    assert found.curves[0].points == (None, None, None)
    for style in CURVE_STYLES:
        assert "boom" in render_curves([found], style)
    assert "No method has a number." in render_curves([found], "text")


def test_a_metric_that_a_method_does_not_have_and_cells_that_are_not_there_are_named():
    assert by_name(table(cells("mine"), sweep("mine"), "brier"))["mine"].note.startswith(
        "labels=100: brier is not defined for it; labels=200"
    )
    some = [one for one in cells("mine") if "200" not in one.method]
    assert by_name(table(some, sweep("mine")))["mine"].note == "labels=200: no results; no area"


# In print


def test_text_and_markdown_print_the_same_cells_and_csv_all_digits():
    found = table(cells("mine", "other", lifts=(0.0, 0.1)), sweep("mine", "other"))
    area = by_name(found)["mine"].area
    printed = f"{100 * area.value:.1f} [{100 * area.low:.1f}, {100 * area.high:.1f}]"
    text, markdown = (render_curves([found], style) for style in ("text", "markdown"))
    assert f"{printed} b" in text
    assert f"{printed} b" in markdown
    assert "| **" in markdown
    assert "over log labels from 100 to 800" in text
    assert "labels=100" in text
    assert text.splitlines()[-1] == f"Signature: {found.signature}"
    assert found.signature.endswith("|area:trapezoid-log(labels=100,200,800)")
    lines = list(csv.DictReader(io.StringIO(render_curves([found], "csv"))))
    assert [(line["method"], line["minus"], line["at"]) for line in lines[3:]] == [
        ("mine", "", "area"),
        *(("other", "", at) for at in ("100", "200", "800", "area")),
        ("mine", "other", "area"),
    ]
    assert (float(lines[3]["value"]), float(lines[3]["low"]), lines[3]["letters"]) == (area.value, area.low, "b")
    assert float(lines[-1]["p_holm"]) == found.differences[0].difference.p_holm


# The command

RUN = ("-t", "toy-gold", "-r", "1", "-j", "1")


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    """Methods whose rewards are a mixture of the right direction and another, by ``sign`` from 0 to 1."""
    text = source("good", "other", root=toy_root).replace(
        "self.weights = self.sign * pairs.differences().mean(axis=0)",
        "self.weights = self.sign * pairs.differences().mean(axis=0) + [0, 3, 0, 0, 0, 0, 0, 0]\n"
        "        assert self.sign != 13, 'unlucky'",
    )
    return set_up(tmp_path, text, capfd, monkeypatch)


def test_the_command_prints_what_run_would_have_at_each_value(toys):
    answer = toys("curve", "-m", "good", "-m", "other", "-m", "good", "--over", "sign=4,0,1,1", *RUN, "--format", "csv")
    assert (answer.code, answer.err) == (0, "Results: rmsuite-results\n")
    lines = list(csv.DictReader(io.StringIO(answer.out)))
    points = {
        (one["method"], one["at"]): float(one["value"])
        for one in lines
        if (one["metric"], one["minus"]) == ("pair-accuracy", "")
    }
    assert {at for method, at in points if method == "good"} == {"0", "1", "4", "area"}
    assert points["good", "0"] < points["good", "1"] < points["good", "4"]
    assert points["good", "area"] == pytest.approx(
        (points["good", "0"] + 4 * points["good", "1"] + 3 * points["good", "4"]) / 8
    )
    assert {record.method for record in read_all(Path("rmsuite-results")) if record.kind == "method"} == {
        *("good", "good[sign=0]", "good[sign=4]"),
        *("other", "other[sign=0]", "other[sign=4]"),
    }
    ran = toys("run", "-m", "good[sign=4]", *RUN, "-o", "again", "--format", "csv").out
    (row,) = [
        one
        for one in csv.DictReader(io.StringIO(ran))
        if (one["method"], one["metric"]) == ("good[sign=4]", "pair-accuracy")
    ]
    assert float(row["value"]) == points["good", "4"]


def test_the_tables_name_the_values_the_areas_and_who_is_separable(toys):
    out = toys("curve", "-m", "good", "-m", "other[offset=2]", "--over", "sign=1,4", "--metric", "spearman", *RUN).out
    assert out.startswith("toy-gold@1: spearman over sign\n")
    assert re.search(r"^method +sign=1 +sign=4 +area ↑$", out, re.MULTILINE)
    assert re.search(r"^good +0\.\d+ \[.*\] +0\.\d+ \[.*\] +0\.\d+ \[.*\] a$", out, re.MULTILINE)
    assert re.search(r"^good +other\[offset=2.0\] +\+0\.000 \[.*\] +1\.000 +1\.000$", out, re.MULTILINE)


def test_a_failing_cell_is_a_gap_and_exit_code_one(toys):
    answer = toys("curve", "-m", "good", "--over", "sign=1,13", *RUN)
    assert answer.code == 1
    assert "Note: good: sign=13: failed in 1 of 1 repetitions: fit: AssertionError: unlucky; no area." in answer.out
    assert "rmsuite: good[sign=13] on toy-gold@1, repetition 0 failed in fit" in answer.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "good", "--over", "sing=1,2"), "expected one of offset, sign, got 'sing' (nearest is 'sign')"),
        (("-m", "good", "--over", "sign=1,two"), "expected a parameter and at least two unequal numbers"),
        (("-m", "good", "--over", "sign=1,True"), "got 'sign=1,True'. Do: write it as in --over labels=100,200,400"),
        (("-m", "good", "--over", "sign=1,inf"), "at least two unequal numbers"),
        (("-m", "good", "--over", "sign=1,1e999"), "at least two unequal numbers"),
        (("-m", "good", "--over", "sign=1"), "at least two unequal numbers"),
        (("-m", "good", "--over", "sign=1,1.0"), "at least two unequal numbers"),
        (("-m", "good", "--over", "sign"), "at least two unequal numbers"),
        (("-m", "good", "--over", "=1,2"), "at least two unequal numbers"),
        (("-m", "good[sign=3]", "--over", "sign=1,2"), "expected sign in --over only, got sign in 'good[sign=3]' too"),
        (("-m", "god", "--over", "sign=1,2"), "nearest is 'good'"),
        (("-m", "good", "--over", "sign=1,2", "--metric", "spearmen"), "nearest is 'spearman'"),
        (("-m", "good", "--over", "sign=1,2", "-t", "toy-glod"), "nearest is 'toy-gold'"),
    ],
)
def test_a_mistake_is_answered_in_one_line_before_anything_is_run(toys, arguments, message):
    answer = toys("curve", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not Path("rmsuite-results").exists()
