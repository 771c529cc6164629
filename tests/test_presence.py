"""Log-probabilities of documents: what is read, means, and distances. Whoever compares what models saw relies on it."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rmsuite.choice.divergence import BINS, FEWEST, distance, distances
from rmsuite.choice.presence import as_scores, inherited, means, read_presence
from rmsuite.errors import InputError
from rmsuite.statistics import holm

FIELDS = ("model", "category", "document", "n_tokens", "n_bytes", "log_probability")
MODELS, CATEGORIES, N = ("org/Alpha-1", "Beta-2", "Gamma-3"), ("code", "prose"), 12
RNG = np.random.default_rng(3)
SCORES = {key: -abs(RNG.normal(2, 0.5)) for key in product(MODELS, CATEGORIES, [f"d{i:02}" for i in range(N)])}


def rows():
    return [[*key, 40 + place % 7, 200 + place % 5, repr(value)] for place, (key, value) in enumerate(SCORES.items())]


def write(path, found, fields=FIELDS):
    with Path(path).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(fields)
        writer.writerows(found)
    return path


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "p.csv", rows())


def by_name(presence):
    return {(one.model, one.category): one for one in means(presence)}


def test_means_are_those_of_the_lines_with_students_interval(table):
    found = by_name(read_presence([table]))
    assert list(found) == list(product(MODELS, CATEGORIES))
    for (model, category), one in found.items():
        values = [v for (m, c, _), v in SCORES.items() if (m, c) == (model, category)]
        reach = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (one.value, one.low, one.high) == pytest.approx((np.mean(values), reach.low, reach.high), abs=1e-12)
        assert one.n_documents == N


def test_neither_the_order_of_lines_nor_the_number_of_files_moves_a_number(table, tmp_path):
    mixed = [rows()[place] for place in RNG.permutation(len(rows()))]
    files = [write(tmp_path / "a.csv", mixed[:20]), write(tmp_path / "b.csv", mixed[20:])]
    for unit in ("token", "byte"):
        whole, apart = read_presence([table], unit), read_presence(files, unit)
        assert by_name(apart) == by_name(whole)
        assert set(distances(apart, 0)) == set(distances(whole, 0))


def test_per_byte_is_the_documents_sum_over_its_bytes(table):
    presence = read_presence([table], "byte")
    for category in presence.categories:
        for model in category.models:
            mine = [r for r in rows() if r[:2] == [model, category.name]]
            assert category.of(model) == pytest.approx([float(r[5]) * r[3] / r[4] for r in mine], abs=1e-15)
    assert not any("tokens" in note for note in presence.notes)


def test_other_numbers_of_tokens_are_noticed(table):
    (note,) = read_presence([table]).notes
    assert note.startswith("24 documents have other numbers of tokens")


def test_a_number_of_tokens_that_is_not_known_is_no_other_one(tmp_path):
    found = [[*r[:3], 40 if r[0] == "Beta-2" else "", *r[4:]] for r in rows()]
    assert read_presence([write(tmp_path / "p.csv", found)]).notes == ()


def test_what_is_certain_has_the_log_probability_0(tmp_path):
    found = [[*r[:5], "0"] for r in rows()]
    assert {one.value for one in means(read_presence([write(tmp_path / "p.csv", found)]))} == {0}


def test_documents_that_some_model_lacks_are_left_out_for_all_and_counted(tmp_path):
    kept = [r for r in rows() if not (r[0] == "Beta-2" and r[1] == "code" and r[2] in ("d03", "d07"))]
    kept = [r for r in kept if not (r[0] == "Gamma-3" and r[1] == "prose")]
    presence = read_presence([write(tmp_path / "p.csv", kept)])
    code, prose = presence.categories
    assert (len(code.documents), len(prose.documents)) == (N - 2, N)
    assert {"d03", "d07"} & set(code.documents) == set()
    assert prose.models == MODELS[:2]  # a model without any takes no document from the others
    assert "code: 2 of 12 documents, which some models lack, are left out" in presence.notes
    scores = as_scores(presence)
    assert np.isnan(scores.values).tolist() == [[False, False], [False, False], [False, True]]
    assert scores.benchmarks == ("documents: code", "documents: prose")


def test_a_gap_is_no_zero_and_is_counted(tmp_path):
    found = rows()
    found[0][5] = ""
    presence = read_presence([write(tmp_path / "p.csv", found)])
    assert len(presence.categories[0].documents) == N - 1
    assert "1 lines have no log-probability per token" in presence.notes


def test_spellings_of_one_model_are_one_and_equal_lines_count_once(tmp_path):
    found = [*rows(), ["alpha_1", *rows()[0][1:5], f"{rows()[0][5]}0"]]
    presence = read_presence([write(tmp_path / "p.csv", found)])
    assert presence.models == MODELS
    assert "1 log-probabilities were given more than once, alike" in presence.notes
    assert "further spellings of models: alpha_1" in presence.notes


@pytest.mark.parametrize(
    ("column", "cell", "unit", "says"),
    [
        (5, "0.1", "token", "at most 0"),
        (5, "high", "token", "a finite number"),
        (1, "", "token", "the name of a category"),
        (0, "", "token", "the name of a model"),
        (4, "0", "byte", "a whole number above 0"),
        (3, "12.5", "byte", "a whole number above 0"),
        (2, "d01", "token", "one line of org/Alpha-1 on code d01"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(tmp_path, column, cell, unit, says):
    found = rows()
    found[0][column] = cell
    with pytest.raises(InputError, match=r"line [23]") as error:
        read_presence([write(tmp_path / "p.csv", found)], unit)
    assert says in str(error.value)


def test_without_a_column_or_a_number_nothing_is_read(tmp_path):
    with pytest.raises(InputError, match="a column category"):
        read_presence([write(tmp_path / "p.csv", [["m", "-1"]], ("model", "log_probability"))])
    with pytest.raises(InputError, match="one or more"):
        read_presence([write(tmp_path / "p.csv", [["m", "code", ""]], ("model", "category", "log_probability"))])


def test_one_line_a_category_needs_no_documents(tmp_path):
    found = [[m, c, -i] for i, (m, c) in enumerate(product(MODELS, CATEGORIES), 1)]
    presence = read_presence([write(tmp_path / "p.csv", found, ("model", "category", "log_probability"))])
    assert [one.value for one in means(presence)] == [-1, -2, -3, -4, -5, -6]
    assert all(np.isnan([one.low, one.high]).all() for one in means(presence))
    assert all(np.isnan([one.value, one.p]).all() for one in distances(presence, 0))
    twice = write(tmp_path / "q.csv", [*found, ["Beta-2", "code", -9]], ("model", "category", "log_probability"))
    with pytest.raises(InputError, match="tell documents apart in a column document"):
        read_presence([twice])


def test_how_models_are_spelled_moves_no_distance_and_each_has_draws_of_its_own(table, tmp_path):
    spelt = [[{"org/Alpha-1": "alpha_1"}.get(r[0], r[0].upper()), *r[1:]] for r in rows()]
    again = read_presence([write(tmp_path / "q.csv", spelt)])
    for one, other in zip(distances(read_presence([table]), 0), distances(again, 0), strict=True):
        assert (one.value, one.chance, one.p) == (other.value, other.chance, other.p)
    same = replace(again, categories=tuple(replace(again.categories[0], name=name) for name in "ab"))
    first, second = (one for one in distances(same, 0) if (one.first, one.second) == ("alpha_1", "BETA-2"))
    assert first.value == second.value
    assert first.chance != second.chance


def test_differences_are_paired_by_document(table):
    found = {(one.first, one.second, one.category): one for one in distances(read_presence([table]), 0)}
    one = found["org/Alpha-1", "Gamma-3", "code"]
    columns = [
        [v for (m, c, _), v in SCORES.items() if (m, c) == (model, "code")] for model in ("org/Alpha-1", "Gamma-3")
    ]
    paired = stats.ttest_rel(*columns)
    assert one.difference == pytest.approx(np.mean(columns[0]) - np.mean(columns[1]))
    assert [one.low, one.high] == pytest.approx([*paired.confidence_interval(0.95)])


def test_tests_of_distances_are_corrected_over_all_that_there_are(tmp_path):
    few = [r for r in rows() if not (r[1] == "code" and r[2] > "d03")]  # four documents of code: no test
    found = distances(read_presence([write(tmp_path / "p.csv", few)]), 0)
    tested = [one for one in found if one.category == "prose"]
    assert [one.p_holm for one in tested] == holm([one.p for one in tested])
    assert np.isnan([one.p_holm for one in found if one.category == "code"]).all()


def rng():
    return np.random.default_rng(0)


def by_hand(first, second):
    """The distance by the ranks of the scores and the definition by entropies."""
    ranks = stats.rankdata(np.concatenate([first, second])) - 1
    bins = np.array([sum(k * len(ranks) // BINS <= rank for k in range(1, BINS)) for rank in ranks])
    shares = [np.bincount(one, minlength=BINS) / len(first) for one in np.split(bins, 2)]
    mixed = stats.entropy(np.mean(shares, axis=0), base=2)
    return np.sqrt(max(mixed - np.mean([stats.entropy(one, base=2) for one in shares]), 0))


@pytest.mark.parametrize("n", [10, 11, 30, 200])
def test_a_distance_is_that_of_the_definition(n):
    first, second = RNG.normal(size=n), RNG.normal(0.5, 2, size=n)
    assert distance(first, second, rng())[0] == pytest.approx(by_hand(first, second), abs=1e-9)


def test_distances_are_0_of_like_models_1_of_disjoint_ones_and_symmetric():
    first, second = RNG.normal(size=(2, 50))
    assert distance(first, first, rng()) == (0, 0, 1)
    value, chance, p = distance(first, first - 100, rng())
    assert (value, p) == (pytest.approx(1), 0.001)
    assert 0.1 < chance < 0.5
    assert distance(first, second, rng())[0] == pytest.approx(distance(second, first, rng())[0])


def test_the_fewest_documents_do_not_set_any_two_models_wholly_apart():
    found = [distance(*RNG.normal(size=(2, FEWEST)), rng())[0] for _ in range(20)]
    assert np.mean(found) < 0.9
    assert np.isnan(distance(*RNG.normal(size=(2, FEWEST - 1)), rng())).all()


def test_no_increasing_function_of_the_scores_moves_a_distance():
    first, second = RNG.normal(size=(2, 60))
    for function in (np.exp, np.cbrt, lambda x: 3 * x - 7):
        assert distance(function(first), function(second), rng()) == distance(first, second, rng())


def test_models_that_are_alike_by_chance_are_told_apart_as_often_as_the_level_says():
    draws, found = np.random.default_rng(17), []
    for _ in range(400):
        document = draws.normal(size=40)  # what both models find hard
        found.append(distance(*(document + 0.3 * draws.normal(size=(2, 40))), draws))
    share = np.mean([p < 0.05 for _, _, p in found])
    assert share <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)  # discrete, so it may be below the level
    values, chances = np.mean([one[:2] for one in found], axis=0)
    assert values == pytest.approx(chances, abs=4 * np.std([one[0] for one in found]) / np.sqrt(400))


def test_a_shift_that_paired_documents_show_is_found():
    draws = np.random.default_rng(18)
    document = draws.normal(size=200)
    assert distance(document, document - 1, draws)[2] == 0.001


def test_a_model_is_given_the_scores_of_the_largest_of_its_family_that_saw_as_many_tokens():
    nan = np.nan
    given = [  # family, size, tokens, means, and those that it has in the end
        ("a", 1, 2, (nan, nan), (-1, -3)),
        ("a", 7, 2, (-1, -3), (-1, -3)),
        ("a", 3, 2, (-2, nan), (-2, nan)),
        ("a", 7, 2, (nan, nan), (nan, nan)),  # none of its family is larger
        ("a", 9, 5, (-4, -4), (-4, -4)),  # saw more
        ("b", 1, 2, (nan, nan), (nan, nan)),
        ("", 1, 2, (nan, nan), (nan, nan)),  # of no family that is known
        ("", 9, 2, (-5, -5), (-5, -5)),
    ]
    families, sizes, tokens, before, after = zip(*given, strict=True)
    columns = dict(zip(("code", "prose"), np.array(before, float).T, strict=True))
    found, n = inherited(columns, families, np.array(sizes, float), np.array(tokens, float))
    assert n == 1
    np.testing.assert_array_equal(np.column_stack([found["code"], found["prose"]]), after)
