"""Search for the weights that merge attributes into one reward: the grid point of the highest pair accuracy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ENTRIES = 2**15  # of a matrix of grid points by pairs at a time, so that it stays in the cache


def best_levels(margins: np.ndarray, steps: int, together: int) -> np.ndarray:
    """Return whole numbers from 0 to ``steps``, one an attribute, by which weighed margins are most often positive.

    Up to ``together`` attributes, all (steps + 1)^n_attributes points are tried. Of more, windows of so many
    attributes in turn, all points of a window with the others held fixed, until no window changes: then no change of
    neighbouring attributes, so many at a time, is any better. Ties count one half. Of equally good points the first
    is taken, from ``steps`` down.

    Parameters
    ----------
    margins : (n_pairs, n_attributes)
        Attributes of the chosen less those of the rejected response, negated where less is better.
    steps, together : int
        At least 1.
    """
    n_attributes = margins.shape[1]
    starts = range(max(n_attributes - together, 0) + 1)
    levels, before = np.full(n_attributes, steps), None
    while before is None or (len(starts) > 1 and not np.array_equal(levels, before)):
        before = levels.copy()
        for start in starts:
            window = np.arange(start, min(start + together, n_attributes))
            others = np.delete(np.arange(n_attributes), window)
            levels[window] = _improved(margins[:, others] @ levels[others], margins[:, window], steps, levels[window])
    return levels


def _improved(rest: np.ndarray, margins: np.ndarray, steps: int, now: np.ndarray) -> np.ndarray:
    """Return the best of all levels of some attributes; the present ones if none is better."""
    most, best = _worth_of(rest + margins @ now), now
    for points, worth in _grid(rest, margins, steps):
        place = int(worth.argmax())
        row, column = divmod(place, steps + 1)
        if worth.flat[place] > most:
            most, best = int(worth.flat[place]), np.append(points[row], steps - column)
    return best


def _worth_of(margins: np.ndarray) -> int:
    """Return two for each positive margin and one for each that is zero."""
    return int((margins > 0).sum() + (margins >= 0).sum())


def _grid(rest: np.ndarray, margins: np.ndarray, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield points of all attributes but the last, and their worth by level of the last, from ``steps`` down."""
    sizes = (steps + 1,) * (margins.shape[1] - 1)
    n_points, block = int(np.prod(sizes)), max(ENTRIES // max(len(margins), 1), 1)
    for start in range(0, n_points, block):
        places = np.arange(start, min(start + block, n_points))
        points = steps - np.stack(np.unravel_index(places, sizes), axis=-1) if sizes else np.zeros((1, 0), int)
        yield points, _sweep(rest, margins[:, :-1], margins[:, -1], points, steps)[:, ::-1]


def _sweep(rest: np.ndarray, others: np.ndarray, last: np.ndarray, points: np.ndarray, steps: int) -> np.ndarray:
    """Return the worth of each point at each level of the last attribute, ``(n_points, steps + 1)``.

    A margin is linear in the level: it changes its sign once, at a threshold. So pairs are counted by threshold, once
    for all levels.
    """
    flat = np.abs(last) <= 1e-12 * np.abs(last).max(initial=0)
    fixed = rest[flat] + points @ others[flat].T
    worth = np.repeat((fixed > 0).sum(axis=1) + (fixed >= 0).sum(axis=1), steps + 1).reshape(-1, steps + 1)
    for sign in (1, -1):
        moving = ~flat & (np.sign(last) == sign)
        scale = -1 / last[moving]
        thresholds = points @ (others[moving] * scale[:, None]).T
        thresholds += rest[moving] * scale
        worth += (0 if sign > 0 else 2 * int(moving.sum())) + sign * _reached(thresholds, steps)
    return worth


def _reached(thresholds: np.ndarray, steps: int) -> np.ndarray:
    """Return, for each row, two for each threshold below a level and one for each that is equal to it."""
    first = np.clip(np.ceil(thresholds), 0, steps + 1)
    tied = first == thresholds
    places = first.astype(np.intp)
    places += np.arange(len(first))[:, None] * (steps + 2)
    counts = 2 * np.bincount(places.ravel(), minlength=len(first) * (steps + 2)).reshape(-1, steps + 2)
    reached = np.cumsum(counts, axis=1)
    if tied.any():
        np.subtract.at(reached.reshape(-1), places[tied], 1)
    return np.asarray(reached[:, :-1])
