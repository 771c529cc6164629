"""Samples to a level: interpolation, pairing and the two-way bootstrap. Who reads ratios of samples relies on it."""

from __future__ import annotations

import numpy as np
import pytest

from rmsuite.statistics import Draws, reached
from rmsuite.statistics.crossing import first_reached

AT = np.array([0.0, 10.0, 20.0, 40.0])


def values(seed, n_strata=2, n_runs=3, n_clusters=30, slope=1.0, noise=0.2):
    """Curves that rise to 1 in proportion to where they are taken, from 0."""
    rng = np.random.default_rng(seed)
    spread = noise * rng.standard_normal((len(AT), n_strata, n_runs, n_clusters))
    spread[0] = 0
    return (slope * AT / AT[-1])[:, None, None, None] + spread


def draws(found, seed=0, n_draws=400):
    _, n_strata, n_runs, n_clusters = found.shape
    return Draws.of(n_clusters, n_strata, n_runs, np.random.default_rng(seed), n_draws)


def at_level(found, level=0.5, **given):
    return reached(found, AT, level, draws(found, **given), "clusters")


def test_the_first_crossing_counts_between_points_by_a_straight_line():
    curves = np.array([[0.0, 1.0, 0.2, 3.0], [0.0, 0.0, 0.0, 0.49], [0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0]])
    assert first_reached(curves, AT, 0.5).tolist() == [5.0, np.inf, 0.0, 20.0]


def test_it_is_where_an_interpolated_curve_has_the_level():
    curve = np.sort(np.random.default_rng(1).random(4)) - 0.01
    found = first_reached(curve[None], AT, 0.9 * curve[-1])[0]
    assert np.interp(found, AT, curve) == pytest.approx(0.9 * curve[-1])


def test_without_noise_the_interval_is_the_value():
    one = at_level(values(0, noise=0)).estimate()
    assert (one.low, one.value, one.high) == pytest.approx((20.0, 20.0, 20.0))


def test_a_level_that_is_never_reached_is_infinite_and_has_no_ratio():
    never, there = at_level(values(0, slope=0.1, noise=0)), at_level(values(0))
    assert never.estimate().value == np.inf
    assert never.over(there) is None
    assert there.over(never) is None


def test_a_level_that_some_draws_never_reach_has_an_open_interval():
    both = np.concatenate([values(0, n_clusters=1, slope=slope, noise=0) for slope in (1.0, 0.2)], axis=-1)
    found = at_level(both)  # their mean gets to 0.6, the second cluster alone, which a quarter of draws has, to 0.2
    assert found.value == pytest.approx(20 + 20 * 0.2 / 0.3)
    assert 0.15 < np.isinf(found.draws).mean() < 0.35
    assert found.estimate().high == np.inf


def test_a_curve_over_itself_is_exactly_one_and_over_half_its_pace_is_two():
    found = values(3)
    one, shared = at_level(found), draws(found)
    same = one.over(one)
    assert (same.low, same.value, same.high) == (1.0, 1.0, 1.0)
    slow = reached(found, 2 * AT, 0.5, shared, "clusters")
    twice = slow.over(reached(found, AT, 0.5, shared, "clusters"))
    assert (twice.low, twice.value, twice.high) == pytest.approx((2.0, 2.0, 2.0))


def test_the_mean_curve_of_a_draw_is_that_of_copied_runs_and_clusters():
    found = values(4, n_strata=2, n_runs=3, n_clusters=5)
    some = draws(found, n_draws=7)
    means = some.curves(found)
    for d in range(7):
        clusters = np.repeat(np.arange(5), some.clusters[d].astype(int))
        copied = [found[:, s][:, np.repeat(np.arange(3), some.runs[d, s].astype(int))][..., clusters] for s in (0, 1)]
        assert means[d] == pytest.approx(np.mean([part.mean(axis=(1, 2)) for part in copied], axis=0))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Where runs and clusters each have a part of the noise; 200 worlds, so that the share has an error of 0.015."""
    rng = np.random.default_rng(5)
    held = 0
    for world in range(200):
        runs, clusters = 0.3 * rng.standard_normal((1, 2, 8, 1)), 1.0 * rng.standard_normal((1, 1, 1, 40))
        slopes = 1 + np.broadcast_to(runs, (1, 2, 8, 1)) + clusters
        found = (AT / AT[-1])[:, None, None, None] * slopes
        one = reached(found, AT, 0.5, draws(found, seed=world, n_draws=300), "clusters").estimate()
        held += one.low <= 20.0 <= one.high
    assert 0.90 <= held / 200 <= 0.99
