"""Variance components and aggregates over tasks. Whoever decides to add prompts, seeds or tasks relies on them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rmsuite.statistics import mean_sample, two_way
from rmsuite.statistics.aggregates import RULES, aggregate, interquartile_mean, ranks, rules, winners


def components(prompts: float, repetitions: float, both: float, n: int, r: int, seed: int):
    rng = np.random.default_rng(seed)
    cells = prompts * rng.standard_normal(n) + repetitions * rng.standard_normal((r, 1))
    cells = cells + both * rng.standard_normal((r, n))
    sample = mean_sample(cells, np.ones_like(cells), -9, 9, 1, 1)
    return two_way(sample.value, sample.influence)


def test_components_are_right_on_average():
    """Prompts 1.0 over 40, repetitions 0.3 over 6, both 2.0 over 240; the mean of 400 simulations."""
    found = [components(1.0, 0.3, np.sqrt(2.0), 40, 6, seed) for seed in range(400)]
    assert np.mean([v.prompts for v in found]) == pytest.approx(1 / 40, rel=0.05)
    assert np.mean([v.repetitions for v in found]) == pytest.approx(0.09 / 6, rel=0.1)
    assert np.mean([v.both for v in found]) == pytest.approx(2 / 240, rel=0.05)


def test_a_method_without_randomness_owes_all_uncertainty_to_prompts():
    values = np.tile(np.random.default_rng(0).random(50), (3, 1))
    sample = mean_sample(values, np.ones_like(values), 0, 1, 1, 1)
    found = two_way(sample.value, sample.influence)
    assert found.prompts == pytest.approx(values[0].var(ddof=1) / 50)
    assert found.repetitions == pytest.approx(0, abs=1e-20)
    assert found.spread == 0
    assert found.prompts_to_halve == 200
    assert found.repetitions_to_halve is None


def test_the_number_that_halves_the_error_does_and_one_less_does_not():
    found, n = components(1.0, 0.05, 1.0, 60, 5, 3), 60
    total = found.prompts + found.repetitions + found.both
    need = found.prompts_to_halve

    def with_prompts(m: int) -> float:
        return found.prompts * n / m + found.repetitions + found.both * n / m

    assert with_prompts(need) <= total / 4 + 1e-12 < with_prompts(need - 1)


def test_the_interquartile_mean_is_that_of_scipy_where_quarters_are_whole():
    values = np.random.default_rng(1).random((3, 16))
    np.testing.assert_allclose(interquartile_mean(values), stats.trim_mean(values, 0.25, axis=1))


@pytest.mark.parametrize("n", range(1, 8))
def test_the_interquartile_mean_is_that_of_repeated_values(n):
    """Each value four times over changes nothing, and then quarters are whole: the oracle for any number of tasks."""
    values = np.random.default_rng(n).random(n)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(np.repeat(values, 4), 0.25))


def test_ranks_are_those_of_scipy():
    gains = np.round(np.random.default_rng(2).random((7, 5)), 1)
    np.testing.assert_array_equal(ranks(gains), stats.rankdata(-gains, axis=0))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rules_do_not_depend_on_the_order_of_tasks_or_methods(rule):
    gains = np.random.default_rng(3).random((4, 6))
    whole = rule.combine(gains)
    np.testing.assert_allclose(rule.combine(gains[:, ::-1]), whole)
    np.testing.assert_allclose(rule.combine(gains[::-1]), whole[::-1])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_method_that_is_best_everywhere_wins_by_every_rule(rule):
    gains = np.random.default_rng(4).random((4, 6))
    gains[2] += 1
    assert winners(gains, range(len(gains)))[rule.name] == {2}


def test_rules_can_disagree():
    """One method far ahead on one task, the other a little ahead on two."""
    best = winners(np.array([[0.9, 0.1, 0.1], [0.1, 0.2, 0.2]]), (0, 1))
    assert best["macro-gain@1"] == {0}
    assert best["mean-rank@1"] == {1}


def test_who_ties_for_the_best_wins_too():
    """Of two tasks each method is first on one: by rank they tie, and no rule contradicts another."""
    best = winners(np.array([[0.40, 0.10], [0.30, 0.25]]), (0, 1))
    assert best == {"macro-gain@1": {1}, "mean-rank@1": {0, 1}, "borda@1": {0, 1}}


def test_ranks_are_those_among_all_rows_not_among_the_candidates():
    """A control between two methods counts, as in the column that is printed."""
    gains = np.array([[0.5, 0.1], [0.4, 0.2], [0.45, 0.15], [0.46, 0.16]])
    assert winners(gains, (0, 1))["mean-rank@1"] == {0, 1}
    assert winners(gains[:3], (0, 2))["mean-rank@1"] == {0, 2}
    assert winners(np.array([[0.5, 0.1], [0.4, 0.2], [0.3, 0.15]]), (0, 1))["mean-rank@1"] == {1}


def test_a_middle_half_needs_four_tasks():
    assert [rule.name for rule in rules(3)] == ["macro-gain@1", "mean-rank@1", "borda@1"]
    assert len(rules(4)) == 4


def test_an_aggregate_leaves_draws_out_that_say_nothing():
    draws = np.random.default_rng(5).random((2000, 3, 2))
    draws[::50, 1, 0] = np.nan
    facts = {"n_items": 10, "n_clusters": 40, "n_repetitions": 3}
    assert all(e.low < 0.5 < e.high for e in aggregate(RULES[0], np.full((3, 2), 0.5), draws, 20.0, facts))


def test_few_repetitions_say_little_of_what_repetitions_do():
    """The bound is that of the chi-square of their mean square, and shrinks with their number."""
    rng = np.random.default_rng(6)
    held, most = 0, {}
    for r in (3, 30):
        found = []
        for _ in range(200):
            effect = 0.3 * rng.standard_normal(r)
            cells = rng.standard_normal((r, 50)) + effect[:, None]
            one = two_way(cells.mean(axis=1), cells - cells.mean(axis=1, keepdims=True))
            found.append(one.repetitions_at_most * r)
        most[r] = np.median(found)
        held = np.mean(np.array(found) >= 0.3**2)
        assert held > 0.95
    assert most[3] > 3 * most[30]


def test_an_aggregate_holds_its_value_and_says_what_it_is_of():
    rng = np.random.default_rng(5)
    gains = rng.random((3, 2))
    draws = gains + 0.05 * rng.standard_normal((2000, 3, 2))
    facts = {"n_items": 10, "n_clusters": 40, "n_repetitions": 3}
    for rule in RULES:
        for found in aggregate(rule, gains, draws, 20.0, facts):
            assert found.low <= found.value <= found.high
            assert found.n_clusters == 40
