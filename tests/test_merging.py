"""The search for merge weights against trying every point; the method regression relies on it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rmsuite_baselines import merging
from rmsuite_baselines.merging import best_levels


def worth(margins: np.ndarray, levels) -> float:
    return float((0.5 + 0.5 * np.sign(margins @ np.array(levels))).sum())


def exhaustive(margins: np.ndarray, steps: int) -> tuple[int, ...]:
    """Return the best point, the first of equally good ones from the largest levels down."""
    points = product(range(steps, -1, -1), repeat=margins.shape[1])
    return max(points, key=lambda levels: worth(margins, levels))


def cases() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    few = rng.integers(-2, 3, (40, 3)).astype(float)  # most points tie, and many margins are zero
    return {
        "normal": rng.standard_normal((60, 3)),
        "correlated": rng.standard_normal((60, 3)) @ np.array([[1, 0.9, 0], [0, 1, -0.9], [0, 0, 1]]) + 0.2,
        "whole numbers": few,
        "an attribute without effect": few * [1, 0, 1],
        "the last attribute without effect": few * [1, 1, 0],
        "no effect at all": few * 0,
        "one pair": few[:1],
        "one attribute": few[:, :1],
        "opposites": np.vstack([few, -few]),
        "of unequal size": rng.standard_normal((60, 3)) * [1e-6, 1, 1e6],
    }


@pytest.mark.parametrize("steps", [1, 4, 7])
@pytest.mark.parametrize("case", cases())
def test_the_best_of_all_points_is_found(case, steps):
    margins = cases()[case]
    levels = best_levels(margins, steps, together=5)
    assert tuple(levels) == exhaustive(margins, steps)


def test_the_result_does_not_depend_on_how_many_points_are_tried_at_a_time(monkeypatch):
    margins = cases()["normal"]
    whole = best_levels(margins, 6, 5)
    monkeypatch.setattr(merging, "ENTRIES", 500)
    np.testing.assert_array_equal(best_levels(margins, 6, 5), whole)


@pytest.mark.parametrize("together", [1, 2, 3])
def test_of_many_attributes_no_change_of_neighbours_is_better(together):
    """That is what is promised where the whole grid is too large."""
    margins = np.random.default_rng(1).standard_normal((50, 5)) + np.linspace(-0.3, 0.5, 5)
    found = best_levels(margins, 3, together)
    for start in range(5 - together + 1):
        for changed in product(range(4), repeat=together):
            other = found.copy()
            other[start : start + together] = changed
            assert worth(margins, other) <= worth(margins, found)
    assert worth(margins, found) > worth(margins, np.full(5, 3))


def test_without_information_weights_stay_equal():
    np.testing.assert_array_equal(best_levels(np.empty((0, 4)), 20, 2), [20, 20, 20, 20])
    np.testing.assert_array_equal(best_levels(np.ones((9, 4)), 20, 2), [20, 20, 20, 20])


def test_the_papers_grid_finds_the_attribute_that_decides():
    """The other four, which the chosen responses are worse in, get none of the weight that could turn a pair."""
    rng = np.random.default_rng(2)
    margins = np.column_stack([-1 - rng.random((30, 2)), 1 + rng.random(30), -1 - rng.random((30, 2))])
    levels = best_levels(margins, 20, 5)
    assert worth(margins, levels) == 30
    assert levels[2] > levels[[0, 1, 3, 4]].sum()
