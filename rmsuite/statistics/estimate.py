"""Numbers with their uncertainty; none can be built without it."""

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


@dataclass(frozen=True)
class Difference:
    """A paired difference: its estimate, and how surprising it would be if there were none.

    Attributes
    ----------
    estimate : Estimate
        Of the first minus the second.
    p : float
        Two-sided p value of the single comparison.
    p_holm : float
        Corrected for all comparisons that were made together (Holm 1979).
    """

    estimate: Estimate
    p: float
    p_holm: float


@dataclass(frozen=True)
class Variance:
    """Variance components of a mean over prompts and repetitions (two crossed random factors).

    Attributes
    ----------
    prompts, repetitions, both : float
        What each contributes to the variance of the printed mean: prompts (shared by all repetitions), repetitions
        (shared by all prompts), and their interaction with all that is left.
    repetitions_at_most : float
        Upper 97.5 % bound of ``repetitions``, by the chi-square of their mean square: few say little.
    spread : float
        Standard deviation (n - 1) of the value over repetitions.
    prompts_to_halve, repetitions_to_halve : int or None
        How many prompts, at this number of repetitions, would halve the standard error of the mean, and the other
        way round; None if no number would.
    """

    prompts: float
    repetitions: float
    both: float
    repetitions_at_most: float
    spread: float
    prompts_to_halve: int | None
    repetitions_to_halve: int | None
