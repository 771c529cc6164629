"""An elastic net over polynomials of benchmarks, its hyperparameters by cross-validation, as in arXiv:2505.10775."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path
from sklearn.model_selection import KFold
from sklearn.preprocessing import PolynomialFeatures

from rmsuite.choice.columns import Scale

DEGREES = (1, 2, 3)
ALPHAS = (0.1, 0.01, 0.001, 0.0001)
L1_RATIOS = (0.0, 0.25, 0.5, 0.75, 1.0)
FOLDS = 10
MOST_TERMS = 200  # of a polynomial: a degree that makes more is left out
SEARCH_STEPS, FIT_STEPS = 1_000, 100_000  # of coordinate descent: scikit-learn's default, and enough


@dataclass(frozen=True)
class Net:
    """A fitted elastic net.

    ``degree``, ``alpha``, ``l1_ratio`` are the chosen hyperparameters; ``error`` is the mean squared error that chose
    them, in variances of quality; ``converged`` says whether the last fit did.
    """

    degree: int
    alpha: float
    l1_ratio: float
    error: float
    converged: bool
    coefficients: np.ndarray
    powers: np.ndarray
    base: Scale
    terms: Scale
    mean: float
    deviation: float

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Return the predicted quality of models by their features, (n_models, n_features) -> (n_models,)."""
        terms = _terms(self.base.standardised(matrix), self.powers)
        return self.mean + self.deviation * (self.terms.standardised(terms) @ self.coefficients)

    def used(self) -> np.ndarray:
        """Return which features have a coefficient that is not zero in some term, (n_features,)."""
        return (self.powers[self.coefficients != 0] > 0).any(axis=0)


def degrees(n_features: int) -> tuple[int, ...]:
    """Return the degrees that are tried with so many features; the first one always is."""
    return tuple(d for d in DEGREES if d == 1 or math.comb(n_features + d, d) - 1 <= MOST_TERMS)


def fit(matrix: np.ndarray, quality: np.ndarray, rng: np.random.Generator) -> Net:
    """Choose the hyperparameters by cross-validation, and fit on all models.

    Features and terms are standardised, gaps are means, over the training models alone; quality too, so that the grid
    of penalties means the same in every unit. Of equal errors the first of the grid is taken: the lower degree, then
    the larger penalty, then the smaller share of L1.

    Parameters
    ----------
    matrix : ndarray (n_models, n_features)
        May have gaps, NaN.
    quality : ndarray (n_models,)
        Finite, not constant.
    rng : numpy.random.Generator
        Deals models to folds.
    """
    folds = _folds(len(quality), rng)
    grid = list(product(degrees(matrix.shape[1]), ALPHAS, L1_RATIOS))
    errors = np.mean([_errors(matrix, quality, *fold) for fold in folds], axis=0) / quality.var()
    place = int(np.argmin(np.round(errors, 12)))
    return _fit(matrix, quality, *grid[place], float(errors[place]))


def _folds(n: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    order = rng.permutation(n)
    return [(order[train], order[test]) for train, test in KFold(min(FOLDS, n)).split(order)]


def _errors(matrix: np.ndarray, quality: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return the mean squared error on a fold for each point of the grid."""
    scale = Scale.of(matrix[train])
    base, mean, deviation = scale.standardised(matrix), quality[train].mean(), quality[train].std() or 1.0
    found = []
    for degree in degrees(matrix.shape[1]):
        terms = _terms(base, _powers(matrix.shape[1], degree))
        terms = Scale.of(terms[train]).standardised(terms)
        paths = _paths(terms[train], (quality[train] - mean) / deviation)
        predicted = mean + deviation * np.stack([terms[test] @ path for path in paths], axis=-1)
        found.append(((predicted - quality[test][:, None, None]) ** 2).mean(axis=0).ravel())
    return np.concatenate(found)


def _paths(terms: np.ndarray, quality: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the coefficients for every penalty, (n_terms, n_penalties), for each share of L1."""
    for l1_ratio in L1_RATIOS:
        yield _descended(terms, quality, ALPHAS, l1_ratio, SEARCH_STEPS)[0]


def _descended(
    terms: np.ndarray, quality: np.ndarray, alphas: Sequence[float], l1_ratio: float, steps: int
) -> tuple[np.ndarray, bool]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ConvergenceWarning)
        _, found, _ = enet_path(terms, quality, l1_ratio=l1_ratio, alphas=np.array(alphas), max_iter=steps)
    return found, not said


def _powers(n_features: int, degree: int) -> np.ndarray:
    """Return the power of each feature in each term, (n_terms, n_features)."""
    made = PolynomialFeatures(degree, include_bias=False).fit(np.zeros((1, n_features)))
    return np.asarray(made.powers_)


def _terms(base: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Return the terms of each model, (n_models, n_terms)."""
    return np.prod(base[:, None, :] ** powers, axis=2)


def _fit(matrix: np.ndarray, quality: np.ndarray, degree: int, alpha: float, l1_ratio: float, error: float) -> Net:
    base, powers = Scale.of(matrix), _powers(matrix.shape[1], degree)
    terms = _terms(base.standardised(matrix), powers)
    scale, mean, deviation = Scale.of(terms), float(quality.mean()), float(quality.std())
    target = (quality - mean) / deviation
    path, converged = _descended(scale.standardised(terms), target, [alpha], l1_ratio, FIT_STEPS)
    return Net(degree, alpha, l1_ratio, error, converged, path[:, 0], powers, base, scale, mean, deviation)
