"""What log-probabilities of documents add to the choice of base models. Whoever pays for reading documents relies."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import Toys

from rmsuite import seeds
from rmsuite.choice.bases import BaseModels
from rmsuite.choice.correlations import Draws
from rmsuite.choice.presence import Category, Presence
from rmsuite.choice.scores import read_scores
from rmsuite.choice.selector import select
from rmsuite.reports.choice import Settings, n_fits, study
from rmsuite.reports.presence import TOKENS, _interval, documents_of

N, N_DOCUMENTS, FAMILIES = 18, 10, 5
N_IN_TABLE = 9  # of the command: fewer, and of no family, so that less is learnt
RNG = np.random.default_rng(11)
SEEN = RNG.normal(size=N)  # how much of the code each model saw
SIZES = RNG.uniform(1, 9, size=N)
QUALITY = 60 + 2 * np.log(SIZES) + 5 * SEEN + RNG.normal(0, 0.5, size=N)
NAMES = tuple(f"model-{place}" for place in range(N))
SETTINGS = Settings(n_draws=200)


def bases(quality=QUALITY, families=FAMILIES):
    return BaseModels(
        "mine",
        "points",
        NAMES,
        ("bt",),
        quality[:, None],
        SIZES,
        tuple(f"family-{place % families}" for place in range(N)),
    )


def presence(seen=SEEN, models=NAMES):
    documents = tuple(f"d{place}" for place in range(N_DOCUMENTS))
    hard = np.random.default_rng(12).normal(size=(2, N_DOCUMENTS))
    noise = np.random.default_rng(13).normal(0, 0.1, size=(2, len(models), N_DOCUMENTS))
    values = -4 + 0.5 * hard[:, None] + noise + np.array([seen, 0 * seen])[:, :, None] * 0.5
    return Presence(
        models, tuple(Category(n, models, documents, v) for n, v in zip(("a", "b"), values, strict=True)), "token"
    )


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    path.write_text("\n".join(["model,noise", *(f"{name},{RNG.normal():.3f}" for name in NAMES)]))
    return read_scores([path])


@pytest.fixture(scope="module")
def fits():
    return []


@pytest.fixture(scope="module")
def found(scores, fits):
    return study(bases(), scores, SETTINGS, lambda: fits.append(1), presence())


def test_documents_that_tell_what_was_seen_lower_the_error_on_new_families(found):
    by_kind = {one.kind: one for one in found.documents.errors}
    new = by_kind["new family"]
    assert (new.n_models, new.note) == (N, "")
    assert new.with_ < new.without / 2
    assert new.low < new.difference < new.high < 0
    assert by_kind["in sample"].with_ < by_kind["in sample"].without


def test_in_sample_there_is_no_interval_as_documents_that_say_nothing_lower_that_error(found):
    for one in found.documents.errors:
        assert np.isnan([one.low, one.high]).all() == (one.kind == "in sample")


def test_documents_that_tell_nothing_do_not(scores):
    nothing = study(bases(), scores, SETTINGS, presence=presence(np.random.default_rng(14).normal(size=N)))
    new = nothing.documents.errors[1]
    assert new.high > 0


def test_the_errors_are_those_of_two_selectors_over_these_models(found, scores):
    means = {c.name: c.scores.mean(axis=1) for c in presence().categories}
    order, families = bases().order, bases().families
    facts = {"parameters": SIZES[order]}
    noise = {"noise": found.matched.benchmarks["noise"][order]}
    more = {f"documents: {name}": column[order] for name, column in means.items()}

    def rng(family):
        return seeds.generator(0, "permutation", study="base-models", family=family)

    args = noise, QUALITY[order], [families[row] for row in order], rng
    both = [select({**facts, **extra}, *args) for extra in ({}, more)]
    for error, kind in zip(found.documents.errors, ("in_sample", "unseen"), strict=True):
        mine = [np.abs(getattr(one, kind) - QUALITY[order]).mean() for one in both]
        assert [error.without, error.with_] == pytest.approx(mine, abs=1e-9)


def test_the_selector_without_documents_and_all_else_is_as_without_them(found, scores):
    plain = study(bases(), scores, SETTINGS)
    assert plain.documents is None
    for mine, other in zip(plain.methods[0].candidates, found.methods[0].candidates, strict=True):
        np.testing.assert_array_equal(mine.curve, other.curve)
    assert {p.name for p in found.methods[0].predictors} - {p.name for p in plain.methods[0].predictors} == {
        "documents: a",
        "documents: b",
    }


def test_the_tables_order_moves_no_number(found, scores):
    order = RNG.permutation(N)
    whole = bases()
    mixed = replace(
        whole,
        models=tuple(NAMES[row] for row in order),
        quality=whole.quality[order],
        parameters=SIZES[order],
        families=tuple(whole.families[row] for row in order),
    )
    categories = tuple(
        replace(c, models=tuple(c.models[row] for row in order), scores=c.scores[order]) for c in presence().categories
    )
    again = study(mixed, scores, SETTINGS, presence=replace(presence(), models=mixed.models, categories=categories))
    for mine, other in zip(again.documents.errors, found.documents.errors, strict=True):
        assert [mine.without, mine.with_] == pytest.approx([other.without, other.with_], abs=1e-9)
        assert [mine.low, mine.high] == pytest.approx([other.low, other.high], abs=1e-9, nan_ok=True)
    assert set(again.documents.distances) == set(found.documents.distances)


def test_the_interval_is_a_bootstrap_of_whole_families():
    families = ["a", "a", "b", "c", "", "", "d", "d", "d"]
    values, draws = RNG.normal(size=len(families)), Draws(4000, 5)
    whole = [[0, 1], [2], [3], [4], [5], [6, 7, 8]]  # models of no known family stand for themselves
    rng = np.random.default_rng(6)
    again = [values[[row for n in rng.integers(6, size=6) for row in whole[n]]].mean() for _ in range(4000)]
    spread = np.std(again) / np.sqrt(len(again))
    # A quantile at 2.5 % of 4,000 draws has about 2.7 times the standard error of their mean.
    assert _interval(values, families, draws) == pytest.approx(np.quantile(again, [0.025, 0.975]), abs=4 * 2.7 * spread)
    assert np.isnan(_interval(values[:4], families[:4], draws)).all()  # of three families none


def test_models_without_documents_are_counted_and_left_out_of_both(scores):
    there = NAMES[:-6]
    part = study(bases(), scores, SETTINGS, presence=presence(SEEN[:-6], there)).documents
    assert {one.n_models for one in part.errors} == {N - 6}
    assert "6 of 18 base models have no log-probabilities" in part.notes


def test_models_that_lack_a_category_are_counted_and_left_out_of_both(scores):
    whole = presence()
    short = replace(whole.categories[1], models=NAMES[2:], scores=whole.categories[1].scores[2:])
    part = study(bases(), scores, SETTINGS, presence=replace(whole, categories=(whole.categories[0], short))).documents
    assert {one.n_models for one in part.errors} == {N - 2}
    assert "2 base models lack some category, and are not among those of the selectors" in part.notes


def test_a_base_model_that_may_be_several_of_the_documents_models_is_named():
    there = (*NAMES[1:], "one/model-0", "other/model-0")
    columns, notes = documents_of(bases(), presence(np.ones(len(there)), there), inherit=False)
    assert np.isnan([column[0] for column in columns.values()]).all()
    assert notes == (
        "model-0 gets no log-probabilities: it is not clear which model is one/model-0 or other/model-0",
        "1 of 18 base models have no log-probabilities",
    )


def test_base_models_are_given_log_probabilities_of_their_family_only_where_that_is_asked_for():
    there = tuple(name for name, size in zip(NAMES, SIZES, strict=True) if size != SIZES.min())
    table = replace(bases(), facts={TOKENS: np.ones(N)})
    for inherit, note in (
        (False, "1 of 18 base models have no log-probabilities"),
        (True, "1 base models are given those of the largest model of their family that saw as many tokens"),
    ):
        columns, notes = documents_of(table, presence(np.ones(N - 1), there), inherit)
        assert notes == (note,)
        assert sum(np.isnan(column).sum() for column in columns.values()) == 2 * (not inherit)


def test_without_a_base_model_of_the_table_the_tables_of_documents_are_there(scores):
    strange = study(bases(), scores, SETTINGS, presence=presence(models=tuple(f"x{i}" for i in range(N)))).documents
    assert len(strange.means) == 2 * N
    assert all(one.note and np.isnan(one.without) for one in strange.errors)
    assert "18 of 18 base models have no log-probabilities" in strange.notes


def test_fits_are_counted_before(found, fits):
    assert len(fits) == n_fits(bases(), documents=True) == 3 * (1 + FAMILIES)


@pytest.fixture
def there(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [f"{name},{size:.4f},{q:.4f}" for name, size, q in zip(NAMES, SIZES, QUALITY, strict=True)]
    Path("results.csv").write_text("\n".join(["model,params_b,Chat", *lines[:N_IN_TABLE]]))
    with Path("seen.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "category", "document", "n_tokens", "n_bytes", "log_probability"])
        for category in presence().categories:
            for model, row in zip(NAMES, category.scores, strict=True):
                writer.writerows(
                    [model, category.name, d, 40, 160, v] for d, v in zip(category.documents, row, strict=True)
                )
    return Toys(tmp_path, tmp_path / "none.py", capfd)


MINE = ("base-models", "--results", "results.csv", "--scores", "bundled", "--draws", "50")


def test_the_command_prints_what_the_study_found(there):
    answer = there.bare(*MINE, "--log-probabilities", "seen.csv", "--format", "csv")
    assert (answer.code, answer.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    mean = {r["of"]: float(r["value"]) for r in rows if r["name"] == "model-3" and r["statistic"] == "mean per token"}
    assert mean == pytest.approx({c.name: c.of("model-3").mean() for c in presence().categories})
    apart = [r for r in rows if r["section"] == "distance" and r["statistic"] == "Jensen-Shannon"]
    assert len(apart) == 2 * N * (N - 1) / 2
    assert {r["n_models"] for r in rows if r["statistic"] == "error with"} == {str(N_IN_TABLE)}
    assert {r["statistic"] for r in rows if r["section"] == "documents"} == {
        "error without",
        "error with",
        "difference",
    } | {
        *(s for s in ("pearson", "spearman", "kendall", "kept")),
        *(f"coverage at {k}" for k in range(1, N_IN_TABLE + 1)),
    }


def test_the_command_prints_tables_and_per_byte_is_a_quarter_of_per_token(there):
    answer = there.bare(*MINE, "--log-probabilities", "seen.csv", "--per", "byte", "--inherit")
    assert (answer.code, answer.err) == (0, "")
    mean = presence().categories[0].of("model-3").mean() / 4
    assert "log-probabilities of documents: mean per byte, by category (documents)" in answer.out
    (line,) = [
        line for line in answer.out.splitlines() if line.startswith("model-3 ") and "[" in line and "-0." in line
    ]
    assert f"{mean:.3f}" in line
    said = " ".join(answer.out.split())
    assert "do the documents help to choose" in answer.out
    assert "No test: 306 are too many to correct for" in said
    assert "123 closer pairs are in --format csv." in said
    assert "new family: the families of some models are not known." in said


@pytest.mark.parametrize("option", [("--per", "byte"), ("--inherit",)])
def test_options_that_would_have_no_effect_are_refused(there, option):
    answer = there.bare(*MINE, *option)
    assert answer.code == 2
    assert "--log-probabilities too" in answer.err
