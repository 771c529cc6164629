"""A number with its uncertainty; it cannot be built without it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A value with an interval, and what the interval is about.

    Attributes
    ----------
    value, low, high : float
        ``low <= value <= high``.
    level : float
        Nominal coverage, for instance 0.95.
    method : str
        How the interval was made.
    population : str
        What the interval generalises to.
    n_items, n_clusters, n_repetitions, n_draws : int
        Items (pairs, responses), clusters (prompts) that carry weight, repetitions averaged, bootstrap draws.
    """

    value: float
    low: float
    high: float
    level: float
    method: str
    population: str
    n_items: int
    n_clusters: int
    n_repetitions: int
    n_draws: int

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"interval [{self.low}, {self.high}] does not hold its value {self.value}")
