"""One number over several tasks: named, versioned rules. Ranks depend on who takes part; means do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from rmsuite.statistics.estimate import Estimate
from rmsuite.statistics.intervals import DEFAULT, expanded_normal
from rmsuite.statistics.resample import LEVEL, POPULATION


@dataclass(frozen=True)
class Rule:
    """How values on several tasks become one.

    Attributes
    ----------
    name, summary : str
        ``name`` ends with its version; a changed formula is a new version.
    combine : callable
        ``(..., n_methods, n_tasks) -> (..., n_methods)``, of gains normalised to 0 = chance and 1 = perfect.
    larger_is_better : bool
    least_tasks : int
        With fewer it is another rule by this name.
    """

    name: str
    summary: str
    combine: Callable[[np.ndarray], np.ndarray]
    larger_is_better: bool
    least_tasks: int = 2


def ranks(gains: np.ndarray) -> np.ndarray:
    """Return ranks along axis -2, 1 for the largest gain; equal gains share the mean of their ranks.

    Examples
    --------
    >>> ranks(np.array([[0.5], [0.9], [0.5]]))[:, 0].tolist()
    [2.5, 1.0, 2.5]
    """
    above = (gains[..., None, :, :] > gains[..., :, None, :]).sum(axis=-2)
    level = (gains[..., None, :, :] == gains[..., :, None, :]).sum(axis=-2)
    return np.asarray(above + (level + 1) / 2)


def _borda(gains: np.ndarray) -> np.ndarray:
    n = gains.shape[-2]
    return np.asarray((n - ranks(gains)).mean(axis=-1) / max(n - 1, 1))


def interquartile_mean(values: np.ndarray) -> np.ndarray:
    """Return the mean of the middle half along the last axis; values at its edge count in part.

    As in arXiv:2108.13264, but with fractional weights, so that it is exact for any number of values.

    Examples
    --------
    >>> float(interquartile_mean(np.array([0.0, 1.0, 2.0, 9.0])))
    1.5
    """
    n = values.shape[-1]
    edges = np.arange(n + 1) / n
    weights = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0.0, None) * 2
    return np.asarray(np.sort(values, axis=-1) @ weights)


RULES: tuple[Rule, ...] = (
    Rule(
        "macro-gain@1",
        "mean over tasks of the normalised gain: 0 at chance, 1 if perfect; every task counts alike",
        lambda gains: gains.mean(axis=-1),
        larger_is_better=True,
    ),
    Rule(
        "interquartile-mean@1",
        "mean of the middle half of the tasks' normalised gains; blind to the best and worst quarter of the tasks",
        interquartile_mean,
        larger_is_better=True,
        least_tasks=4,
    ),
    Rule(
        "mean-rank@1",
        "mean over tasks of the rank among the rows shown, 1 is best; says nothing of how far apart they are, and its "
        "interval, of resampled ranks, holds too little where rows are nearly equal",
        lambda gains: ranks(gains).mean(axis=-1),
        larger_is_better=False,
    ),
    Rule(
        "borda@1",
        "mean share of the other rows that a row beats, a tie counting half; depends on who takes part",
        _borda,
        larger_is_better=True,
    ),
)


def aggregate(
    rule: Rule, gains: np.ndarray, draws: np.ndarray, clusters: float, facts: dict[str, int]
) -> list[Estimate]:
    """Return each method's estimate by a rule.

    Parameters
    ----------
    gains : (n_methods, n_tasks)
        Normalised gains.
    draws : (n_draws, n_methods, n_tasks)
        The same of resampled clusters, each task resampled on its own.
    clusters : float
        Effective clusters of the smallest task, for the expansion of the quantiles.
    facts : dict
        ``n_items``, ``n_clusters``, ``n_repetitions`` of all tasks together.
    """
    values, resampled = rule.combine(gains), rule.combine(draws)
    z = expanded_normal(clusters, (1 - LEVEL) / 2)
    said = resampled[~np.isnan(resampled).any(axis=1)]
    lows, highs = np.quantile(said, [ndtr(-z), ndtr(z)], axis=0) if len(said) else (values, values)
    return [
        Estimate(
            value=float(value),
            low=min(float(low), float(value)),
            high=max(float(high), float(value)),
            level=LEVEL,
            method=f"cluster bootstrap, {DEFAULT}",
            population=POPULATION.replace("these;", "these on these tasks;"),
            n_draws=len(draws),
            **facts,
        )
        for value, low, high in zip(values, lows, highs, strict=True)
    ]


def rules(n_tasks: int) -> tuple[Rule, ...]:
    """Return the rules that say something of so many tasks."""
    return tuple(rule for rule in RULES if n_tasks >= rule.least_tasks)


def winners(gains: np.ndarray, among: Sequence[int]) -> dict[str, set[int]]:
    """Return, by rule, which of some methods are best; ``gains`` is ``(n_methods, n_tasks)`` of all that are ranked."""
    out = {}
    for rule in rules(gains.shape[-1]):
        values = rule.combine(gains)[list(among)] * (1 if rule.larger_is_better else -1)
        out[rule.name] = {among[int(i)] for i in np.flatnonzero(values >= values.max() - 1e-12)}
    return out
