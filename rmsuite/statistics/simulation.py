"""Do 95 % intervals hold the truth in 95 % of simulations? Clustered right-or-wrong outcomes whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import expit

from rmsuite.statistics import intervals
from rmsuite.statistics.bootstrap import mean_sample
from rmsuite.statistics.resample import resample

BLOCK = 20  # simulations that are resampled together


@dataclass(frozen=True)
class Case:
    """A simulated test part.

    Attributes
    ----------
    n_prompts, n_pairs : int
        Prompts, and mean pairs a prompt.
    spread : float
        Standard deviation of the prompts' accuracies, on the logit scale.
    centre : float
        Their mean on that scale; 0.5 is an accuracy of about 60 %.
    skew : float
        Standard deviation of the logarithm of a prompt's number of pairs; 0: all prompts have equally many.
    """

    n_prompts: int
    n_pairs: int
    spread: float
    centre: float = 0.5
    skew: float = 0.0

    @property
    def truth(self) -> float:
        """The accuracy of all prompts like these, by Gauss-Hermite quadrature."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        return float((expit(self.centre + self.spread * nodes) * weights).sum() / weights.sum())

    def draw(self, rng: np.random.Generator, n_simulations: int) -> tuple[np.ndarray, np.ndarray]:
        """Return shares of right pairs and numbers of pairs, both ``(n_simulations, n_prompts)``."""
        shape = n_simulations, self.n_prompts
        chance = expit(self.centre + self.spread * rng.standard_normal(shape))
        pairs = self.n_pairs * np.exp(self.skew * rng.standard_normal(shape) - self.skew**2 / 2)
        pairs = np.maximum(np.round(pairs), 1.0)
        return rng.binomial(pairs.astype(int), chance) / pairs, pairs


GRID: tuple[Case, ...] = tuple(Case(*sizes) for sizes in product((50, 100, 300), (1, 10, 45), (0.5, 1.0, 2.0)))
HARD: tuple[Case, ...] = (
    *(Case(n, 10, 1.0) for n in (2, 3, 5, 10, 20)),
    *(Case(n, m, 1.0, centre) for centre, n, m in product((2.5, 5.5), (50, 200), (1, 20))),
    *(Case(n, 10, 1.0, 0.5, skew) for skew, n in product((1.0, 1.5), (50, 200))),
)


@dataclass(frozen=True)
class Coverage:
    """How often the intervals of one method held the truth, and how often they lay wholly above or below it."""

    case: Case
    method: str
    n_simulations: int
    held: float
    above: float
    below: float


def coverage(case: Case, seed: int, n_simulations: int = 4000, n_draws: int = 2000) -> list[Coverage]:
    """Return the coverage of each method of ``intervals.METHODS`` in a case, all on the same simulations."""
    tallies = {method: np.zeros(3, int) for method in intervals.METHODS}
    rng = np.random.Generator(np.random.PCG64(seed))
    for start in range(0, n_simulations, BLOCK):
        values, pairs = case.draw(rng, min(BLOCK, n_simulations - start))
        sample = mean_sample(values, pairs, 0.0, 1.0, n_items=int(pairs[0].sum()), n_repetitions=1)
        found = resample(sample, rng, n_draws)
        for method, where in _verdicts(case.truth, [found.evidence(i) for i in range(len(values))]):
            tallies[method][where] += 1
    shares = {method: (tally / n_simulations).tolist() for method, tally in tallies.items()}
    return [Coverage(case, method, n_simulations, *share) for method, share in shares.items()]


def _verdicts(truth: float, found: list[intervals.Evidence]) -> Iterator[tuple[str, int]]:
    for method, e in product(intervals.METHODS, found):
        low, high = intervals.interval(e, method)
        yield method, 1 if low > truth else 2 if high < truth else 0
