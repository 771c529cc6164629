"""Correlations over few base models claim no more than few can show. Whoever reads a star or an interval relies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rmsuite.choice.correlations import (
    EXACT,
    FEW,
    STATISTICS,
    Draws,
    against,
    by_fisher,
    correlate,
    interval,
    resampled,
)

OF = {
    "pearson": lambda x, y: stats.pearsonr(x, y).statistic,
    "spearman": lambda x, y: stats.spearmanr(x, y).statistic,
    "kendall": lambda x, y: stats.kendalltau(x, y).statistic,
}
DRAWS = Draws(300, 1)


@pytest.mark.parametrize(("n", "ties"), [(4, False), (5, True), (6, False), (6, True)])
def test_p_values_of_few_models_are_those_of_all_permutations(n, ties):
    columns = np.random.default_rng(n).normal(size=(2, n))
    first, second = columns.round(0) + np.arange(n) // 4 if ties else columns
    for name, (value, p) in correlate(first, second).items():
        other = stats.permutation_test(
            (first,), lambda x, name=name: OF[name](x, second), permutation_type="pairings", n_resamples=np.inf
        )
        assert value == pytest.approx(other.statistic)
        assert p == pytest.approx(np.mean(np.abs(other.null_distribution) >= abs(value) - 1e-9))


@pytest.mark.parametrize("n", range(4, EXACT + 1))
def test_no_order_of_few_models_is_rarer_than_one_of_its_permutations(n):
    found = correlate(np.arange(n), np.exp(np.arange(n)))
    assert found["spearman"] == (pytest.approx(1), pytest.approx(2 / math.factorial(n)))
    assert found["kendall"][1] == pytest.approx(stats.kendalltau(range(n), range(n), method="exact").pvalue)
    assert found["pearson"][1] >= 1 / math.factorial(n)


@pytest.mark.parametrize("n", [EXACT, EXACT + 1])
def test_where_all_permutations_end_the_usual_tests_say_nearly_the_same(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        first = rng.normal(size=n)
        second = 0.5 * first + rng.normal(size=n)
        usual = stats.pearsonr(first, second).pvalue, stats.spearmanr(first, second).pvalue
        found = correlate(first, second)
        assert [found["pearson"][1], found["spearman"][1]] == pytest.approx(usual, abs=0.1)


def test_a_perfect_order_of_few_models_has_a_wide_interval():
    columns = {n: np.arange(float(n)) for n in (4, 5, 6, 9)}
    found = {n: against(column, {"same": column**3}, DRAWS)["same"] for n, column in columns.items()}
    for name in ("spearman", "kendall"):
        low = [found[n][name].low for n in columns]
        assert low == sorted(low)
        assert low[0] < 0 < low[-1] < 0.95
        assert [found[n][name].high for n in columns] == pytest.approx([1] * 4)


def test_many_models_keep_the_interval_of_the_bootstrap():
    first, second = np.random.default_rng(0).normal(size=(2, FEW))
    found = against(first, {"second": second}, DRAWS)["second"]
    counts = DRAWS.counts(FEW)
    for name in STATISTICS:
        again = [OF[name](np.repeat(first, c), np.repeat(second, c)) for c in counts]
        assert [found[name].low, found[name].high] == pytest.approx(np.nanquantile(again, [0.025, 0.975]))


@pytest.mark.parametrize("n", [6, 9, 12])
def test_intervals_of_few_models_hold_the_truth_as_often_as_they_say(n):
    rho, rng = 0.6, np.random.default_rng(n)
    truth = {"pearson": rho, "spearman": 6 / math.pi * math.asin(rho / 2), "kendall": 2 / math.pi * math.asin(rho)}
    runs, held = 400, dict.fromkeys(STATISTICS, 0)
    for _ in range(runs):
        first, noise = rng.normal(size=(2, n))
        found = against(first, {"": rho * first + math.sqrt(1 - rho**2) * noise}, DRAWS)[""]
        for name in STATISTICS:
            held[name] += found[name].low <= truth[name] <= found[name].high
    for name in STATISTICS:
        assert held[name] / runs >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_fishers_interval_holds_its_value_narrows_with_models_and_turns_with_the_sign(statistic):
    for value in (-1, -0.4, 0, 0.7, 1):
        widths = []
        for n in (4, 6, 9, 30):
            low, high = by_fisher(value, statistic, n)
            assert -1 <= low <= value <= high <= 1
            assert by_fisher(-value, statistic, n) == pytest.approx((-high, -low))
            widths.append(high - low)
        assert widths == sorted(widths, reverse=True)


FEWER = {"pearson": 3, "spearman": 3, "kendall": 4}  # models that the standard error does not count


def textbook(r, statistic, n):
    variance = {"pearson": 1, "spearman": 1 + r**2 / 2, "kendall": 0.437}[statistic] / (n - FEWER[statistic])
    return pytest.approx(np.tanh(np.arctanh(r) + np.array([-1, 1]) * 1.959964 * math.sqrt(variance)), abs=1e-6)


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("more", [1, 6, 40])
def test_fishers_interval_is_the_textbooks(statistic, more):
    assert by_fisher(0.5, statistic, FEWER[statistic] + more) == textbook(0.5, statistic, FEWER[statistic] + more)
    assert by_fisher(0.5, statistic, FEWER[statistic]) == (-1, 1)


@pytest.mark.parametrize("statistic", ["spearman", "kendall"])
@pytest.mark.parametrize("n", [5, 6, 9])
def test_ranks_that_agree_wholly_are_as_sure_as_if_two_neighbours_had_changed_places(statistic, n):
    turned = OF[statistic](range(n), [1, 0, *range(2, n)])
    low, high = by_fisher(turned, statistic, n)
    assert (low, high) == textbook(turned, statistic, n)
    assert by_fisher(1, statistic, n) == (pytest.approx(low), 1)


@pytest.mark.parametrize("n", [5, FEW - 1, FEW, FEW + 2])
def test_intervals_of_few_models_hold_both_and_of_many_are_those_of_the_bootstrap(n):
    for seed in range(20):
        first, second = np.random.default_rng(seed).normal(size=(2, n))
        found = against(second, {"": first}, DRAWS)[""]
        again = resampled(first, second, DRAWS.counts(n))
        for name in STATISTICS:
            both = [interval(again[name]), by_fisher(found[name].value, name, n)]
            low, high = zip(*both[: 2 if n < FEW else 1], strict=True)
            assert (found[name].low, found[name].high) == (min(low), max(high))


def test_where_resamples_say_nothing_or_all_agree_the_interval_is_fishers():
    for first, second in (([0, 0, 0, 1], [3, 1, 2, 4]), (range(FEW), range(FEW))):
        for name, one in against(np.array(second, float), {"": np.array(first, float)}, DRAWS)[""].items():
            assert (one.low, one.high) == pytest.approx(by_fisher(one.value, name, len(second)))
