"""``rmsuite base-models``: what is printed is what the study found, for a table of one's own too. Users rely on it."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import Toys

from rmsuite import cli
from rmsuite.choice.results import read_results
from rmsuite.choice.scores import read_scores
from rmsuite.commands.base_models import OF_RUNS
from rmsuite.render.choice import CHOICE_STYLES
from rmsuite.render.choice_figures import choice_figures
from rmsuite.render.sections import sequence
from rmsuite.reports.choice import Settings, n_fits, study

N = 14
RNG = np.random.default_rng(5)
QUALITY = RNG.normal(70, 8, size=N)
GOOD, NOISE = QUALITY + RNG.normal(0, 2, size=N), RNG.normal(size=N)


@pytest.fixture
def there(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    results = [f"org{i % 4}/model-{i},{q + 5:.3f},{q - 5:.3f},{1 + i / 2}" for i, q in enumerate(QUALITY)]
    Path("results.csv").write_text("\n".join(["model,Chat,Safety,params_b", *results]))
    scores = [f"MODEL_{i},{GOOD[i]:.4f},{NOISE[i]:.4f},1" for i in range(N)]
    Path("scores.csv").write_text("\n".join(["model,good,noise,same", *scores, "model-99,1,2,1"]))
    return Toys(tmp_path, tmp_path / "none.py", capfd)


MINE = ("base-models", "--results", "results.csv", "--scores", "scores.csv", "--draws", "50")


def lines(answer):
    assert (answer.code, answer.err) == (0, "")
    return list(csv.DictReader(io.StringIO(answer.out)))


def values(found, **wanted):
    rows = [row for row in found if all(row[name] == value for name, value in wanted.items())]
    return [float(row["value"]) for row in rows if row["value"]]


def test_the_lines_hold_what_the_study_found(there):
    printed = lines(there.bare(*MINE, "--format", "csv"))
    found = study(read_results("results.csv"), read_scores(["scores.csv"]), Settings(n_draws=50))
    (one,) = found.methods
    predictors = {p.name: p for p in one.predictors}
    for name in ("good", "noise", "parameters"):
        mine = {"section": predictors[name].kind, "name": name}
        for statistic, correlation in predictors[name].correlations.items():
            assert values(printed, **mine, statistic=statistic) == [correlation.value]
        curve = [values(printed, **mine, statistic=f"coverage at {k}") for k in range(1, N + 1)]
        assert [at[0] for at in curve] == pytest.approx(predictors[name].curve)
    assert values(printed, section="model", statistic="quality") == pytest.approx(QUALITY, abs=1e-3)
    assert values(printed, section="model", statistic="new family") == pytest.approx(one.selected.unseen)
    assert values(printed, section="component", statistic="share") == pytest.approx(found.components.shares)
    assert values(printed, section="model", statistic="parameters") == [1 + i / 2 for i in range(N)]


def test_a_good_benchmark_is_the_best_one_and_a_constant_one_is_named(there):
    answer = there.bare(*MINE)
    assert (answer.code, answer.err) == (0, "")
    assert "best single benchmark (good)" in answer.out
    assert "No correlation: same (constant)" in answer.out
    assert re.search(r"^models with scores elsewhere only +1$", answer.out, re.MULTILINE)
    assert re.search(r"^families +4$", answer.out, re.MULTILINE)


def test_the_defaults_and_sizes_are_as_given(there):
    printed = lines(there.bare(*MINE, "--default", "model_0", "--sizes", "2,100", "--format", "csv"))
    gains = [row for row in printed if row["section"] == "gain" and row["statistic"] == "points"]
    assert [row["name"] for row in gains] == ["< 2 B", "2-100 B", ">= 100 B"]
    assert float(gains[0]["value"]) == pytest.approx(QUALITY[:2].max() - QUALITY[0], abs=1e-3)
    assert [row["note"] for row in gains[1:]] == ["no default of this size", "no model of this size"]


def test_the_rule_of_ties_is_printed_and_the_seed_moves_intervals_only(there):
    assert "ties: equal ones keep the order of the table" in there.bare(*MINE, "--ties", "table-order").out
    plain, other = (lines(there.bare(*MINE, "--seed", seed, "--format", "csv")) for seed in ("0", "1"))
    kinds = ("fact", "benchmark", "merged")
    for one, two in zip(plain, other, strict=True):
        assert one["value"] == two["value"] or one["section"] not in kinds
    assert plain != other
    assert plain == lines(there.bare(*MINE, "--format", "csv"))


def test_bundled_scores_may_stand_beside_ones_own(there):
    printed = lines(there.bare(*MINE, "--scores", "bundled", "--format", "csv"))
    assert any(row["note"] == "81 benchmarks have no score of any of these models" for row in printed)
    assert values(printed, name="good", statistic="pearson")


def test_sizes_that_the_results_do_not_say_may_come_with_the_scores(there):
    text = Path("results.csv").read_text().splitlines()
    Path("results.csv").write_text("\n".join(line.rpartition(",")[0] for line in text))
    sizes = [f"model-{i},{1 + i / 2}" for i in range(N)]
    Path("sizes.csv").write_text("\n".join(["model,params_b", *sizes]))
    printed = lines(there.bare(*MINE, "--scores", "sizes.csv", "--default", "model-0", "--format", "csv"))
    assert values(printed, section="model", statistic="parameters") == [1 + i / 2 for i in range(N)]
    (gain,) = values(printed, section="gain", name="< 3 B", statistic="points")
    assert gain == pytest.approx(QUALITY[:4].max() - QUALITY[0], abs=1e-3)


@pytest.mark.parametrize("style", CHOICE_STYLES)
def test_every_format_is_printed_for_the_bundled_table(there, style):
    answer = there.bare("base-models", "--draws", "20", "--format", style)
    assert (answer.code, answer.err) == (0, "")
    for text in ("bradley-terry", "Qwen2.5-1.5B-Instruct", "pre-training tokens", "ZeroEval crux"):
        assert text in answer.out
    assert "nan" not in answer.out.split("note")[0].lower().split()


def test_few_models_give_gaps_with_reasons_and_no_warning(there):
    Path("few.csv").write_text("model,score\na,1\nb,2\nc,2\n")
    answer = there.bare("base-models", "--results", "few.csv", "--draws", "20")
    assert (answer.code, answer.err) == (0, "")
    for text in (
        "parameters (0 models)",
        "3 models: a selector needs 5",
        "no benchmark is known of enough",
    ):
        assert text in answer.out
    assert "No principal components" in answer.out


def test_what_few_models_reach_by_chance_is_said_where_there_are_few(there):
    said = "where these k leave a model out; of few models, chance reaches that too"
    assert said not in " ".join(there.bare(*MINE).out.split())
    Path("few.csv").write_text("model,score,params_b\n" + "".join(f"m{n},{n},{n % 4}\n" for n in range(7)))
    assert said in " ".join(there.bare("base-models", "--results", "few.csv", "--draws", "20").out.split())


def test_one_model_is_no_study_and_no_crash(there):
    Path("one.csv").write_text("model,score\na,1\n")
    assert there.bare("base-models", "--results", "one.csv").code == 0


WRONG = {
    "no such table": (("--results", "ahrabian2024"), "expected one of ahrabian2025, or a CSV or JSON file"),
    "no such scores": (("--scores", "absent.csv"), "scores absent.csv: expected bundled, or a CSV"),
    "an unknown default": (("--default", "gpt-9"), "default base model 'gpt-9': expected one model of the table"),
    "sizes in words": (("--sizes", "small"), "argument --sizes: 'small' is not a number"),
    "an unknown rule": (("--ties", "coin"), "invalid choice: 'coin'"),
}


@pytest.mark.parametrize(("arguments", "expected"), WRONG.values(), ids=WRONG)
def test_a_mistake_is_answered_with_exit_code_2(there, arguments, expected):
    answer = there.bare("base-models", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert expected in answer.err


def test_each_fit_is_announced_and_no_more_than_were_said(there):
    bases, seen = read_results("results.csv"), []
    study(bases, read_scores(["scores.csv"]), Settings(n_draws=20), lambda: seen.append(1))
    assert len(seen) == n_fits(bases) == 5


@pytest.mark.usefixtures("there")
def test_figures_hold_the_numbers_of_the_study_and_draw_no_row_of_gaps():
    bases = read_results("results.csv")
    other = np.column_stack([bases.quality, -bases.quality])
    two = replace(bases, methods=("plain", "turned"), quality=other, categories={})
    found = study(two, read_scores(["scores.csv"]), Settings(n_draws=20))
    heat, covered, slopes = choice_figures(found)
    (map_,) = heat.panels
    assert "same" not in map_.rows
    place = map_.rows.index("good")
    predictors = {p.name: p for p in found.methods[0].predictors}
    assert map_.values[place][0] == predictors["good"].correlations["spearman"].value == -map_.values[place][1]
    assert [panel.title for panel in covered.panels] == [f"plain ({N} base models)", f"turned ({N} base models)"]
    for line in covered.panels[0].lines:
        assert (line.x, line.y[-1]) == (tuple(range(1, N + 1)), 1)
    (slope,) = slopes.panels
    assert [one + two for one, two in zip(slope.left, slope.right, strict=True)] == [N + 1] * N
    assert slope.labels[slope.left.index(1)] == bases.models[int(np.argmax(bases.quality))]


def test_figures_are_written_for_results_of_ones_own(there):
    pytest.importorskip("matplotlib")
    answer = there.bare(*MINE, "--figures", "drawn")
    assert answer.code == 0
    names = {path.name.partition("-results")[0] for path in Path("drawn").glob("*.svg")}
    assert names == {"base-models-correlations", "base-models-coverage"}  # ranks need two methods


def test_many_names_are_cut():
    assert sequence([]) == ""
    assert sequence(list("abc"), most=3) == "a, b, c"


@pytest.mark.parametrize(
    "given",
    ["-t toy", "--metric spearman", "--suite default", "-o out", "-j 2", "-x", "--dry-run", "--executor serial"],
)
def test_what_says_how_methods_are_run_is_refused_without_methods(there, given):
    answer = there.bare(*MINE, *given.split())
    assert answer.code == 2
    assert "expected --method too" in answer.err


def test_each_option_of_runs_is_known_to_be_of_no_use_without_methods():
    """A new option of runs is used by both, or refused without methods."""
    plain = vars(cli.parser().parse_args(["base-models"]))
    used = {"command", "plugin", "tasks", "method", "seed", "scores", "default", "log_probabilities", "results"}
    used |= {"sizes", "per", "inherit", "ties", "draws", "format", "figures"}
    assert {**OF_RUNS, **{name: plain[name] for name in used}} == plain
