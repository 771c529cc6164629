"""Correlations, coverage, components and merging, against scipy and by laws. Who picks a base model relies on them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from rmsuite.choice import correlations
from rmsuite.choice.bases import BaseModels, Step
from rmsuite.choice.columns import Scale, usable
from rmsuite.choice.components import components
from rmsuite.choice.correlations import STATISTICS, Draws, against, correlate, critical, interval, resampled
from rmsuite.choice.coverage import chance, coverage, keeps, top
from rmsuite.choice.gains import classes, gains
from rmsuite.choice.merging import merged
from rmsuite.choice.spread import agreements, spreads
from rmsuite.choice.stages import stages
from rmsuite.errors import InputError
from rmsuite.statistics import holm

DRAWS = Draws(200, 7)
SEEDS = pytest.mark.parametrize("seed", range(5))
TIES = pytest.mark.parametrize("ties", ["expected", "table-order"])
SCIPY = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}


def columns(seed, n=20, levels=None):
    """Two columns that go together, with ties where there are levels."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n)
    second = first + rng.normal(size=n)
    return tuple(np.round(one * levels) if levels else one for one in (first, second))


@SEEDS
@pytest.mark.parametrize("levels", [None, 1])
def test_resampled_correlations_are_those_of_the_resamples(seed, levels):
    first, second = columns(seed, 12, levels)
    counts = DRAWS.counts(12)[:40]
    found = resampled(first, second, counts)
    for place, count in enumerate(counts):
        rows = np.repeat(np.arange(12), count)
        if np.ptp(first[rows]) and np.ptp(second[rows]):
            for name in STATISTICS:
                assert found[name][place] == pytest.approx(SCIPY[name](first[rows], second[rows]).statistic, abs=1e-9)


def test_a_resample_in_which_a_column_is_constant_has_no_correlation():
    counts = np.array([[4, 0, 0, 0], [0, 2, 2, 0], [1, 1, 1, 1]])
    found = resampled(np.array([1.0, 2, 2, 3]), np.array([0.1, 0.5, 0.9, 0.2]), counts)
    for values in found.values():
        assert np.isnan(values).tolist() == [True, True, False]


def test_an_interval_needs_nearly_all_resamples():
    values = np.linspace(0, 1, 100)
    assert interval(values) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))
    assert interval(np.where(np.arange(100) < 5, np.nan, values))[0] > 0
    assert all(map(math.isnan, interval(np.where(np.arange(100) < 6, np.nan, values))))


@SEEDS
def test_order_of_models_unit_and_monotone_changes_move_no_correlation(seed):
    first, second = columns(seed, levels=2)
    shuffled = np.random.default_rng(seed).permutation(len(first))
    plain = correlate(first, second)
    assert {n: v for n, (v, _) in correlate(first[shuffled], second[shuffled]).items()} == pytest.approx(
        {n: v for n, (v, _) in plain.items()}
    )
    affine = correlate(3 * first - 7, 0.1 * second + 100)
    reversed_ = correlate(-first, second)
    curved = correlate(np.exp(first), second)
    for name, (value, _) in plain.items():
        assert affine[name][0] == pytest.approx(value)
        assert reversed_[name][0] == pytest.approx(-value)
        if name != "pearson":
            assert curved[name][0] == pytest.approx(value)


@SEEDS
def test_columns_with_gaps_are_compared_over_the_models_that_have_both(seed):
    first, second = columns(seed, 24)
    held = np.arange(24) % 3 > 0
    gaps = np.where(held, first, np.nan)
    alone = against(second[held], {"x": first[held]}, DRAWS)["x"]
    assert against(second, {"x": gaps}, DRAWS)["x"] == alone
    assert alone["pearson"].n_models == 16


def test_an_interval_holds_its_value_and_repeats():
    first, second = columns(0, 30)
    found = against(second, {"x": first}, Draws(2000, 1))["x"]
    assert all(one.low < one.value < one.high for one in found.values())
    assert found == against(second, {"x": first}, Draws(2000, 1))["x"]
    assert found != against(second, {"x": first}, Draws(2000, 2))["x"]


def test_p_values_are_corrected_over_the_columns_that_have_one():
    quality, first = columns(3, 15)
    many = {"a": first, "b": columns(4, 15)[0], "constant": np.ones(15), "few": np.r_[1, 2, 3, np.full(12, np.nan)]}
    found = against(quality, many, DRAWS)
    assert found["constant"]["pearson"].note == "constant"
    assert found["few"]["kendall"].note == "3 models"
    assert math.isnan(found["few"]["kendall"].value)
    for name in STATISTICS:
        pair = [found["a"][name], found["b"][name]]
        assert [one.p for one in pair] == [SCIPY[name](many[n], quality).pvalue for n in "ab"]
        assert [one.p_holm for one in pair] == holm([one.p for one in pair])


@pytest.mark.parametrize("n", [5, 40, 200])
def test_the_critical_correlation_is_where_the_test_turns(n):
    r = critical(n)
    t = r * math.sqrt((n - 2) / (1 - r * r))
    assert 2 * stats.t.sf(t, n - 2) == pytest.approx(0.05)


def test_the_best_column_is_the_one_of_the_largest_correlation():
    quality, first = columns(3, 15)
    found = against(quality, {"a": -quality, "b": first, "c": quality, "d": np.ones(15), "e": quality}, DRAWS)
    assert correlations.best(found, ["a", "b", "c", "d", "e"], "pearson") == "c"
    assert correlations.best(found, ["a", "d"], "pearson") == "a"
    assert correlations.best(found, ["d"], "pearson") == ""


@SEEDS
@TIES
def test_coverage_is_one_for_the_same_order_and_at_the_end(seed, ties):
    first, second = columns(seed)
    assert coverage(first, np.exp(first), ties).tolist() == [1] * 20
    curve = coverage(first, second, ties)
    assert curve[-1] == 1
    assert ((curve >= 0) & (curve <= 1)).all()
    np.testing.assert_allclose(curve, coverage(second, first, ties))


@SEEDS
@TIES
def test_coverage_without_ties_counts_shared_models(seed, ties):
    first, second = columns(seed, 9)
    for k, value in enumerate(coverage(first, second, ties), 1):
        shared = set(np.argsort(-first)[:k]) & set(np.argsort(-second)[:k])
        assert value == pytest.approx(len(shared) / k)


@SEEDS
def test_expected_coverage_is_the_mean_over_all_orders_of_ties(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(3, size=(2, 5)).astype(float)
    orders = [np.array(order) for order in itertools.permutations(range(5))]
    found = [  # the same tables in other orders, both rankings broken independently
        coverage(first + 1e-6 * one, second + 1e-6 * two, "table-order") for one in orders for two in orders
    ]
    np.testing.assert_allclose(coverage(first, second), np.mean(found, axis=0))


@SEEDS
def test_only_the_rule_of_the_table_depends_on_its_order(seed):
    first, second = columns(seed, levels=1)
    shuffled = np.random.default_rng(seed).permutation(20)
    np.testing.assert_allclose(coverage(first, second), coverage(first[shuffled], second[shuffled]))
    np.testing.assert_allclose(coverage(np.ones(20), second), chance(20))
    assert coverage(np.ones(20), -np.arange(20.0), "table-order").tolist() == [1] * 20


def test_a_curve_is_summed_up_over_the_k_that_leave_models_out():
    assert top(np.arange(1, 41) / 100) == pytest.approx(np.mean([5, 6, 7, 8, 9, 10]) / 100)
    assert top(np.arange(1, 8) / 100) == pytest.approx(0.055)
    assert math.isnan(top(np.ones(5)))
    assert math.isnan(top(np.empty(0)))
    assert coverage(np.empty(0), np.empty(0)).tolist() == []


@pytest.mark.parametrize(("at5", "at10", "kept"), [(0.4, 0.7, True), (0.39, 1.0, False), (1.0, 0.6, False)])
def test_a_benchmark_is_kept_that_reaches_both_floors(at5, at10, kept):
    curve = np.zeros(20)
    curve[[4, 9]] = at5, at10
    assert keeps(curve) is kept
    assert keeps(curve[:10]) is (at5 >= 0.4)


def test_usable_columns_are_known_of_four_fifths_and_not_constant():
    whole = np.arange(10.0)
    gaps = {n: np.where(np.arange(10) < n, np.nan, whole) for n in (2, 3)}
    found = usable({"whole": whole, "two": gaps[2], "three": gaps[3], "constant": np.ones(10), "none": whole * np.nan})
    assert found.names == ("whole", "two")
    assert found.n_gaps == 2
    assert found.left_out == {
        "three": "known of 7 of 10 models",
        "constant": "constant",
        "none": "known of 0 of 10 models",
    }


def test_a_scale_is_that_of_what_is_known_and_a_gap_is_the_mean():
    matrix = np.array([[1.0, 5, np.nan], [3, 5, np.nan], [np.nan, 5, np.nan]])
    scale = Scale.of(matrix)
    assert scale.mean.tolist() == [2, 5, 0]
    assert scale.deviation.tolist() == [1, 1, 1]
    assert scale.standardised(matrix).tolist() == [[-1, 0, 0], [1, 0, 0], [0, 0, 0]]


@SEEDS
def test_components_are_the_eigenvalues_of_the_correlations(seed):
    matrix = np.random.default_rng(seed).normal(size=(12, 4)) @ np.random.default_rng(9).normal(size=(4, 4))
    found = components(dict(zip("abcd", matrix.T, strict=True)))
    eigen = np.linalg.eigvalsh(np.corrcoef(matrix.T))[::-1]
    np.testing.assert_allclose(found.shares, eigen / eigen.sum())
    np.testing.assert_allclose(found.loadings @ found.loadings.T, np.eye(4), atol=1e-9)
    assert (found.loadings.sum(axis=1) > 0).all()
    other = components(dict(zip("abcd", (matrix[::-1] * [1, 10, 2, 5] + 3).T, strict=True)))
    np.testing.assert_allclose(other.shares, found.shares)
    np.testing.assert_allclose(np.abs(other.loadings), np.abs(found.loadings), atol=1e-9)


def test_two_directions_are_two_components_and_fewer_columns_none():
    first, second = columns(0)
    found = components({"a": first, "b": 2 * first + 1, "c": second, "d": second * 3})
    assert found.shares[:2].sum() == pytest.approx(1)
    assert components({"a": first, "b": np.ones(20)}) is None
    assert components({}) is None


def test_more_columns_than_models_give_as_many_components_as_there_are_directions():
    matrix = np.random.default_rng(0).normal(size=(4, 9))
    found = components({str(place): column for place, column in enumerate(matrix.T)})
    assert found.shares.shape == (3,)
    assert found.shares.sum() == pytest.approx(1)


def test_merged_benchmarks_are_the_mean_of_what_a_model_has_and_know_no_unit():
    first, second = columns(0)
    gaps = second.copy()
    gaps[[3, 8]] = np.nan
    mean, used = merged({"a": first, "b": gaps, "c": np.ones(20)})
    assert used.names == ("a", "b")
    standard = [stats.zscore(one, nan_policy="omit") for one in (first, gaps)]
    np.testing.assert_allclose(mean, np.nanmean(standard, axis=0))
    np.testing.assert_allclose(merged({"a": 5 * first - 2, "b": gaps / 7})[0], mean)
    assert merged({"c": np.ones(20)})[0] is None


def test_a_model_without_any_of_the_columns_has_no_merged_score():
    gap = np.r_[np.nan, np.arange(9.0)]
    assert np.isnan(merged({"a": gap, "b": gap**2})[0]).tolist() == [True] + [False] * 9


def table(quality, parameters=None, models=None, **more):
    n = len(quality)
    models = models or tuple(f"m{i}" for i in range(n))
    methods = tuple("xyz"[: quality.shape[1]])
    sizes = np.ones(n) if parameters is None else np.array(parameters)
    return BaseModels("toys", "points", models, methods, quality, sizes, ("",) * n, **more)


def test_gains_are_over_the_best_default_of_the_same_size():
    quality = np.array([[50.0], [40], [60], [70], [90], [np.nan]])
    bases = table(quality, [1, 1, 2.9, 3, 8, 8])
    found = {gain.size: gain for gain in gains(bases, ["M0", "m1", "m3"])}
    assert (found["< 3 B"].default, found["< 3 B"].best, found["< 3 B"].points) == ("m0", "m2", 10)
    assert found["< 3 B"].relative == pytest.approx(0.2)
    assert (found["3-6 B"].best, found["3-6 B"].points) == ("m3", 0)
    assert (found[">= 6 B"].note, found[">= 6 B"].n_models) == ("no default of this size", 1)
    below = gains(table(quality - 55), ["m0"], ())[0]
    assert (below.points, math.isnan(below.relative)) == (40, True)
    assert gains(bases, [], (100,))[1].note == "no model of this size"
    with pytest.raises(InputError, match="default base model 'm9': expected one model of the table"):
        gains(bases, ["m9"])


def test_classes_of_size_part_all_sizes():
    assert [(low, high) for _, low, high in classes((6, 3))] == [(0, 3), (3, 6), (6, math.inf)]


def test_spread_and_agreement_leave_gaps_out():
    quality = np.array([[1.0, 2], [2, 5], [3, 1], [4, 3], [5, np.nan]])
    bases = table(quality, categories={"c": quality * 2})
    found = {(one.method, one.of): (one.deviation, one.n_models) for one in spreads(bases)}
    assert found["x", "quality"] == (pytest.approx(np.std([1, 2, 3, 4, 5], ddof=1)), 5)
    assert found["y", "c"] == (pytest.approx(np.std([4, 10, 2, 6], ddof=1)), 4)
    (one,) = agreements(bases, "expected", Draws(300, 0))
    assert (one.first, one.second, one.n_models) == ("x", "y", 4)
    assert one.difference == pytest.approx(-0.25)
    assert one.ahead == ("m0", "m1")
    assert one.correlations["spearman"].value == pytest.approx(stats.spearmanr(*quality[:4].T).statistic)
    assert math.isnan(agreements(table(quality[3:]), "expected", Draws(20, 0))[0].correlations["pearson"].value)


def test_stages_are_compared_with_the_one_before_and_with_the_start():
    steps = [
        Step("Base", "x", "pre-trained", "", (10.0, 40.0)),
        Step("org/Second", "x", "DPO", "first", (30.0, 0.0)),
        Step("First", "x", "SFT", "base", (20.0, 50.0)),
        Step("First", "y", "SFT", "base", (20.0, math.nan)),
    ]
    found = {(one.method, one.model): one for one in stages(steps)}
    second = found["x", "org/Second"]
    assert (second.before.tolist(), second.start.tolist()) == ([10, -50], [20, -40])
    assert (second.before_relative.tolist(), second.start_relative.tolist()) == ([0.5, -1], [2, -1])
    assert np.isnan(found["x", "Base"].start).all()
    assert np.isnan(found["y", "First"].before).all()
    assert found["y", "First"].root == "base"


def test_a_circle_of_stages_ends():
    steps = [Step("a", "x", "s", "b", (1.0,)), Step("b", "x", "s", "a", (2.0,))]
    assert [one.before.tolist() for one in stages(steps)] == [[-1], [1]]
