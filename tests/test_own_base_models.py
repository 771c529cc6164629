"""Base models of one's own sets by methods, paired by prompt. Whoever chooses a base model by it relies on it."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import set_up
from plugin_files import source, write

from rmsuite.bundles.protocol import lines as signatures_in
from rmsuite.choice.embedded import Embedded, of_card, related, scored_as
from rmsuite.errors import TaskError
from rmsuite.pool_files import write_embeddings
from rmsuite.pools import read_card
from rmsuite.reports.tables import report
from rmsuite.results import read_all
from rmsuite.sources import embedding_card
from rmsuite.statistics import holm

SETS = {  # noise in the embeddings, and what the cards say
    "toy-noisy": (2.0, {"parameters": 50_000_000, "family": "toys", "weights_sha256": "w", "layer": 3}),
    "toy-late": (0.5, {"parameters": 50_000_000, "family": "toys", "weights_sha256": "w", "layer": "last"}),
    "toy-tuned": (0.8, {"parameters": 200_000_000, "family": "others", "stage": "instruct", "after": "toy-base"}),
    "toy-small": (4.0, {"parameters": 0, "base_model_name": "org/known, 4-bit", "seconds_per_1000_responses": 2.5}),
}
TASKS = ["toy-gold", *(f"toy-gold[base_model={name}]" for name in SETS)]
SUITE = 'name = "base-models"\nsummary = "s"\nrepetitions = 2\ntasks = {}\n'
METHODS = ("-m", "good", "-m", "other[sign=-1]")
RUN = ("base-models", *METHODS, "-j", "1", "--draws", "20", "--scores", "scores.csv")
OWN = ("own", "own gain", "own size", "own pair", "own cost")


@pytest.fixture
def toys(tmp_path, toy_root, capfd, monkeypatch):
    pool, rng = toy_root / "pools" / "gold-pool", np.random.default_rng(1)
    embeddings = np.load(pool / "embeddings" / "toy-base" / "embeddings.npy").astype(np.float32)
    for name, (noise, card) in SETS.items():
        noisy = embeddings + noise * rng.standard_normal(embeddings.shape).astype(np.float32)
        write_embeddings(pool, noisy, {"base_model": name, **card})
    (toy_root / "suites" / "base-models.toml").write_text(SUITE.format(TASKS))
    text = source("good", "other", root=toy_root).replace(
        "        return self\n", "        assert self.sign != 13, 'unlucky'\n        return self\n"
    )
    found = set_up(tmp_path, text, capfd, monkeypatch)
    Path("scores.csv").write_text("model,good\ntoy-base,1\ntoy-noisy,2\norg/known,3\n")
    return found


def lines(answer):
    assert answer.code == 0, answer.err
    return list(csv.DictReader(io.StringIO(answer.out)))


def keyed(found, sections=OWN, leave=()):
    kept = [row for row in found if row["section"] in sections]
    names = ("section", "method", "name", "statistic", "of", "note")
    out = {tuple(r[n] for n in names if n not in leave): {k: v for k, v in r.items() if k not in leave} for r in kept}
    assert len(out) == len(kept) > 0
    return out


def number(found, statistic="value", **wanted):
    rows = [r for r in found if r["statistic"] == statistic and all(r[k] == v for k, v in wanted.items())]
    (row,) = rows
    return row


def test_values_are_those_of_run_and_its_cells_are_used_again(toys):
    many = [word for task in TASKS for word in ("-t", task)]
    assert toys("run", *METHODS, *many, "-r", "2", "-j", "1").code == 0
    answer = toys(*RUN, "--format", "csv")
    assert "cells are there already" in answer.err
    found = lines(answer)
    tables = {table.task: table for table in report(list(read_all(Path("rmsuite-results")))).tables}
    for base in ("toy-base", *SETS):
        table = tables["toy-gold@1" if base == "toy-base" else f"toy-gold@1[base_model={base}]"]
        for row in (row for row in table.rows if row.method in ("good", "other[sign=-1]")):
            mine = number(found, section="own", method=row.method, name=base)
            assert float(mine["value"]) == pytest.approx(row.estimates["pair-accuracy"].value, abs=1e-12)
            if base == "toy-base":  # the plain task's resamples are those of its own table
                assert float(mine["low"]) == row.estimates["pair-accuracy"].low
                assert float(mine["high"]) == row.estimates["pair-accuracy"].high
    cells = [r for r in read_all(Path("rmsuite-results")) if (r.task, r.method) == ("toy-gold@1", "good")]
    sums = np.mean([cell.arrays["pair-accuracy"] for cell in cells], axis=0).sum(axis=0)
    value = float(number(found, section="own", method="good", name="toy-base")["value"])
    assert value == pytest.approx(sums[0] / sums[1], abs=1e-12)


def test_the_default_gains_exactly_nothing_over_itself_and_others_their_difference(toys):
    found = lines(toys(*RUN, "--format", "csv"))
    for method in ("good", "other[sign=-1]"):
        own = number(found, "points", section="own gain", method=method, name="toy-base")
        assert [float(own[name]) for name in ("value", "low", "high", "p")] == [0, 0, 0, 1]
        assert float(number(found, "relative", section="own gain", method=method, name="toy-base")["value"]) == 0
        base = float(number(found, section="own", method=method, name="toy-base")["value"])
        for name in SETS:
            gap = float(number(found, section="own", method=method, name=name)["value"]) - base
            row = number(found, "points", section="own gain", method=method, name=name)
            assert float(row["value"]) == pytest.approx(gap, abs=1e-12)
            assert float(row["low"]) <= gap <= float(row["high"])
            share = number(found, "relative", section="own gain", method=method, name=name)
            assert float(share["value"]) == pytest.approx(gap / base)
        rows = [number(found, "points", section="own gain", method=method, name=name) for name in SETS]
        assert [float(row["p_holm"]) for row in rows] == holm([float(row["p"]) for row in rows])
        pairs = [r for r in found if (r["section"], r["method"], r["statistic"]) == ("own pair", method, "points")]
        for names in ({r["name"] for r in pairs if "all prompts" in r["note"]}, {"toy-noisy - toy-late"}):
            whole = len(names) > 1
            mine = [r for r in pairs if r["name"] in names and ("all prompts" in r["note"]) == whole]
            assert len(mine) == (2 if whole else 3)
            assert [float(row["p_holm"]) for row in mine] == holm([float(row["p"]) for row in mine])


def test_a_further_base_model_moves_no_other_number(toys):
    few = [word for task in TASKS[:-1] for word in ("-t", task)]
    one, all_ = lines(toys(*RUN, *few, "--format", "csv")), lines(toys(*RUN, "--format", "csv"))
    corrected = ("p_holm", "note")  # over the base models there are; letters stand in the note
    sections = ("own", "own gain", "own cost")
    before, after = (keyed(found, sections, corrected) for found in (one, all_))
    assert before == {key: after[key] for key in before}
    assert len(after) > len(before)


def test_the_order_of_options_moves_nothing(toys):
    plain = lines(toys(*RUN, "--default", "toy-base", "--default", "toy-late", "--format", "csv"))
    turned = [word for task in TASKS[::-1] for word in ("-t", task)]
    methods = ("-m", "other[sign=-1]", "-m", "good", "--default", "toy-late", "--default", "toy-base")
    more = ("-j", "1", "--draws", "20", "--scores", "scores.csv", "--format", "csv")
    other = lines(toys("base-models", *methods, *turned, *more))
    assert keyed(plain) == keyed(other)
    one, two = (number(found, "spearman", section="own order") for found in (plain, other))
    assert [one[name] for name in ("value", "low", "high")] == [two[name] for name in ("value", "low", "high")]


def test_a_method_that_reverses_all_reverses_the_base_models_and_one_that_shifts_all_none(toys):
    run = ("base-models", "-j", "1", "--draws", "20", "-m", "good", "--format", "csv")
    turned = number(lines(toys(*run, "-m", "other[sign=-1]")), "spearman", section="own order")
    same = number(lines(toys(*run, "-m", "other[offset=2]")), "spearman", section="own order")
    assert float(turned["value"]) == pytest.approx(-1)
    assert [float(same[name]) for name in ("value", "low", "high")] == pytest.approx([1, 1, 1])
    assert turned["n_models"] == same["n_models"] == "5"


def test_classes_of_size_leave_out_what_no_card_says_and_gain_over_their_own_default(toys):
    found = lines(toys(*RUN, "--default", "toy-noisy", "--format", "csv"))
    values = {r["name"]: float(r["value"]) for r in found if (r["section"], r["method"]) == ("own", "good")}
    middle = {"section": "own size", "method": "good", "name": "0.01-0.1 B"}
    pair = [values["toy-noisy"], values["toy-late"]]
    assert float(number(found, "spread", **middle)["value"]) == pytest.approx(np.std(pair, ddof=1))
    assert float(number(found, "reach", **middle)["value"]) == pytest.approx(np.ptp(pair))
    gain = number(found, "points", **middle)
    assert gain["of"] == "toy-late over toy-noisy"
    assert float(gain["value"]) == pytest.approx(values["toy-late"] - values["toy-noisy"])
    assert {r["note"] for r in found if r["name"] == ">= 0.1 B"} == {"no default of this size"}
    text = toys(*RUN).out
    assert "1 of 5 base models are in no class" in " ".join(text.split())
    assert "Not on the cards: 1 of 5 parameters, 4 of 5 seconds." in text


def test_pairs_that_differ_in_one_thing_are_compared_by_prompt_and_by_category(toys):
    found = lines(toys(*RUN, "--format", "csv"))
    values = {r["name"]: float(r["value"]) for r in found if (r["section"], r["method"]) == ("own", "good")}
    expected = {"toy-noisy - toy-late": "layer: 3, not last", "toy-tuned - toy-base": "stage: instruct"}
    for name, what in expected.items():
        first, second = name.split(" - ")
        mine = {"section": "own pair", "method": "good", "name": name}
        row = number(found, "points", **mine, note=f"{what}; all prompts")
        assert float(row["value"]) == pytest.approx(values[first] - values[second], abs=1e-12)
        parts = [number(found, "points", **mine, note=f"{what}; {category}") for category in "abc"]
        low, *_, high = sorted(float(part["value"]) for part in parts)
        assert low < float(row["value"]) < high
    rows = re.findall(r"^toy-noisy - toy-late .*?(all prompts|[abc]) \((\d+)\)", toys(*RUN).out, re.MULTILINE)
    whole, *parts = [int(n) for _, n in rows]  # how many prompts each row speaks of
    assert [name for name, _ in rows] == ["all prompts", *"abc"]
    assert whole == sum(parts)


def test_a_file_may_name_stages_and_a_wrong_one_is_refused(toys):
    Path("stages.csv").write_text("model,stage,after\ntoy-late,SFT,toy-small\n")
    assert "stage: SFT" in toys(*RUN, "--results", "stages.csv").out
    Path("stages.csv").write_text("model,stage,after\ntoy-late,SFT,absent\n")
    answer = toys(*RUN, "--results", "stages.csv")
    assert (answer.code, answer.out) == (2, "")
    assert "got toy-late and absent" in answer.err
    Path("stages.csv").write_text("model,stage\ntoy-late,SFT\n")
    assert "expected a column after" in toys(*RUN, "--results", "stages.csv").err


def test_scores_elsewhere_are_found_under_the_own_or_the_published_name(toys):
    found = lines(toys(*RUN, "--format", "csv"))
    notes = {row["note"] for row in found}
    assert "2 of 5 base models have no score" in notes
    assert any(note.startswith("2 of 5 embedding sets share their weights") for note in notes)
    assert number(found, "quality", section="model", method="good", name="toy-late")["source"] == "toy-gold@1"


def test_a_failed_method_is_a_gap_with_a_reason_and_moves_no_other(toys):
    alone = lines(toys("base-models", "-m", "good", "-j", "1", "-o", "a", "--draws", "20", "--format", "csv"))
    answer = toys("base-models", "-m", "good", "-m", "good[sign=13]", *("-j", "1", "-o", "b", "--format", "csv"))
    assert answer.code == 1
    found = list(csv.DictReader(io.StringIO(answer.out)))
    broken = [row for row in found if (row["section"], row["method"]) == ("own", "good[sign=13]")]
    assert [row["value"] for row in broken] == [""] * 5
    assert all("unlucky" in row["note"] for row in broken)
    kept = [row for row in found if row["method"] == "good"]
    sections = ("own", "own gain", "own size", "own pair")
    assert keyed(kept, sections) == keyed(alone, sections)


@pytest.mark.parametrize("style", ["text", "markdown"])
def test_the_tables_name_gains_and_default_and_figures_are_drawn(toys, style):
    pytest.importorskip("matplotlib")
    answer = toys(*RUN, "--format", style, "--figures", "drawn")
    assert answer.code == 0
    for text in ("gain over the default base model", "Default: toy-base."):
        assert text in answer.out
    Path("page").write_text(answer.out)
    assert set(signatures_in("page")) == {"toy-gold"}
    names = {path.name.partition("-toy-gold")[0] for path in Path("drawn").glob("*.png")}
    assert names == {"base-models-correlations", "base-models-coverage", "base-models-ranks"}


def test_no_cell_is_computed_where_only_the_plan_is_asked_for(toys):
    answer = toys(*RUN, "--dry-run")
    assert answer.code == 0
    assert "would be computed; nothing was" in answer.out
    assert not Path("rmsuite-results").exists()


WRONG = {
    "one base model": (("-m", "good", "-t", "toy-gold"), "base models of toy-gold@1: expected two or more"),
    "an unknown default": (("-m", "good", "--default", "gpt-9"), "default base model 'gpt-9'"),
    "a misspelt metric": (("-m", "good", "--metric", "spearmen"), "nearest is 'spearman'"),
    "a task without a method": (("-t", "toy-gold"), "--task: expected --method too"),
}


@pytest.mark.parametrize(("arguments", "expected"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_answered_with_exit_code_2_before_anything_is_run(toys, arguments, expected):
    answer = toys("base-models", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert expected in answer.err
    assert not Path("rmsuite-results").exists()


# What cards say


def test_what_a_card_does_not_say_stays_missing():
    one = of_card("a", {"parameters": "many", "n_features": True})
    assert np.isnan([one.parameters, one.n_features, one.seconds]).all()
    assert of_card("b", {"parameters": 2_000_000_000}).parameters == 2
    assert np.isnan(of_card("c", {"parameters": -1}).parameters)
    nothing = "none: nothing is learnt"
    hashed = [of_card(str(n), {"weights_sha256": nothing, "n_features": n}) for n in (8, 16)]
    assert related(hashed) == []


def test_pairs_differ_in_one_thing_only():
    def made(name, **facts):
        return Embedded(name, **{"weights": "w", "layer": "last", "pooling": "mean", "n_features": 8, **facts})

    whole = made("whole")
    assert [r.what for r in related([whole, made("b", layer="3")])] == ["layer: 3, not last"]
    assert [r.what for r in related([whole, made("b", pooling="last token")])] == ["pooling: last token, not mean"]
    assert [r.what for r in related([whole, made("b", n_features=4)])] == ["width: 4, not 8"]
    assert related([whole, made("b", layer="3", n_features=4)]) == related([whole, made("b", weights="v")]) == []
    trained, random = made("t", weights="1", family="f"), made("r", weights="2", family="f, untrained")
    assert [(r.first, r.second) for r in related([random, trained])] == [("t", "r")]
    assert related([random, made("q", weights="1", family="f", published="org/m, 8-bit")]) == []
    full, int8 = (made(n, weights=n, published=p) for n, p in (("f", "org/m"), ("i", "org/m, 8-bit")))
    assert [(r.first, r.second) for r in related([full, int8])] == [("i", "f")]
    assert related([full, made("j", weights="j", published="org/m, 4-bit", layer="3")]) == []


PROBABILITY = """
    def probability(self, embeddings, first, second):
        rewards = self.reward(embeddings) / 40
        return 1 / (1 + math.e ** (rewards[second] - rewards[first]))
"""


def test_of_a_metric_that_is_better_when_smaller_the_smallest_is_the_best(toys):
    text = toys.plugin.read_text().replace("    def reward(", f"{PROBABILITY}\n    def reward(")
    toys.plugin.write_text(f"import math\n{text}")
    given = ("--metric", "brier", "--default", "toy-noisy", "--sizes", "0.01,0.1", "--draws", "20")
    answer = toys("base-models", *METHODS, "-j", "1", "--scores", "scores.csv", *given, "--format", "csv")
    found = lines(answer)
    values = {
        method: {base: float(number(found, section="own", method=method, name=base)["value"]) for base in SETS}
        for method in ("good", "other[sign=-1]")
    }
    for method, by_base in values.items():
        best = min(("toy-noisy", "toy-late"), key=by_base.get)
        reach = number(found, "points", section="own size", method=method, name="0.01-0.1 B")
        assert reach["of"] == f"{best} over toy-noisy"
        gain = number(found, "points", section="own gain", method=method, name="toy-late")
        assert float(gain["value"]) == pytest.approx(by_base["toy-late"] - by_base["toy-noisy"])
        turned = number(found, "quality", section="model", method=method, name="toy-late")
        assert float(turned["value"]) == pytest.approx(-by_base["toy-late"])
    assert len({round(value, 9) for by_base in values.values() for value in by_base.values()}) > 4
    text = toys("base-models", *METHODS, "-j", "1", "--scores", "scores.csv", *given).out.split("\n\n")[0]
    shown = [line.split()[0] for line in text.splitlines()[3:]]
    means = {base: np.mean([by_base[base] for by_base in values.values()]) for base in SETS}
    assert [base for base in shown if base in SETS] == sorted(SETS, key=means.get)


def test_two_sets_never_take_the_same_scores():
    sets = [Embedded(n, p) for n, p in (("a", "m, 4-bit"), ("b", "m, 8-bit"), ("c", "n, 4-bit"), ("d", ""))]
    assert scored_as(sets) == {"c": "n"}
    assert scored_as([Embedded("a", "m, 4-bit"), Embedded("b", "m")]) == {"b": "m"}


def test_nothing_but_the_cost_is_read_beside_a_card(toys, toy_root):
    place = toy_root / "pools" / "gold-pool" / "embeddings" / "toy-late"
    (place / "cost.toml").write_text(
        "base_model_name = 'org/known'\nafter = 'toy-base'\nseconds_per_1000_responses = 3\n"
    )
    card = embedding_card(toy_root, "gold-pool", "toy-late")
    assert card["seconds_per_1000_responses"] == 3
    assert not {"base_model_name", "after"} & set(card)


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x = " + "9" * 5000, "x =", "\x00"])
def test_a_card_that_cannot_be_read_is_named(tmp_path, text):
    path = write(tmp_path / "card.toml", text)
    with pytest.raises(TaskError, match=r"card\.toml: expected a TOML file"):
        read_card(path)


@pytest.mark.parametrize("value", [10**400, -1, float("inf"), float("nan"), "many", True, [1]])
def test_a_size_that_is_none_is_missing(value):
    assert np.isnan(of_card("x", {"parameters": value}).parameters)


def test_no_base_model_is_a_stage_of_itself(toys):
    Path("stages.csv").write_text("model,after,stage\ntoy-late,toy-late,sft\n")
    answer = toys(*RUN, "--results", "stages.csv", "--dry-run")
    assert answer.code == 2
    assert "got toy-late and toy-late" in answer.err
