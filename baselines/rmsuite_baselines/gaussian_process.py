"""Preference Gaussian process by random Fourier features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.spatial.distance import pdist

from rmsuite import PreferencePairs
from rmsuite_baselines.parameters import numbers, whole
from rmsuite_baselines.posterior import LaplaceReward, Posterior, most_probable
from rmsuite_baselines.scaling import Scaling, Standardised

SAMPLE = 1000  # training responses whose median distance is taken
ROWS = 8192  # embeddings at a time, to bound the memory


def orthogonal_frequencies(width: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return random frequencies, ``(width, n)``, each standard normal, orthogonal by blocks (arXiv:1610.09072).

    At most ``width`` in a row are orthogonal to each other; their kernel is nearer to the exact one than that of
    independent ones, and is the exact one in the mean.
    """
    n_blocks = -(-n // width)
    turned = np.hstack([np.linalg.qr(rng.standard_normal((width, width)))[0] for _ in range(n_blocks)])[:, :n]
    return np.asarray(turned * np.sqrt(rng.chisquare(width, n)))


@dataclass(frozen=True, eq=False)
class FourierFeatures:
    """Features whose products are about exp(-|x - y|^2 / (2 scale^2)) (Rahimi and Recht 2007).

    A frequency has a cosine and a sine, so that every feature vector has length 1, as in the kernel.

    Attributes
    ----------
    frequencies : (width, n_frequencies) float32
        Each normal, with deviation 1 / scale.
    """

    frequencies: np.ndarray

    def __call__(self, embeddings: Standardised) -> np.ndarray:
        """Return features of all rows, ``(n, 2 n_frequencies)``."""
        n_frequencies = self.frequencies.shape[1]
        features = np.empty((len(embeddings), 2 * n_frequencies), np.float32)
        for start in range(0, len(embeddings), ROWS):
            phase = embeddings[start : start + ROWS] @ self.frequencies
            features[start : start + ROWS] = np.hstack([np.cos(phase), np.sin(phase)])
        features /= np.float32(np.sqrt(n_frequencies))
        return features


def median_distance(embeddings: Standardised, rng: np.random.Generator) -> float:
    """Return the median distance of two responses, of a sample; 1 where most are alike."""
    some = embeddings[np.sort(rng.choice(len(embeddings), min(SAMPLE, len(embeddings)), replace=False))]
    median = float(np.median(pdist(some))) if len(some) > 1 else 0.0
    return median if median > 0 else 1.0


@dataclass
class GaussianProcess(LaplaceReward):
    """Rewards are a Gaussian process (Chu and Ghahramani 2005) with an RBF kernel, pairs are Bradley-Terry.

    There the probability of a preference is the normal distribution function of the difference; here it is the sigmoid.
    The kernel is that of random Fourier features of the standardised embeddings, so that the process is linear in
    ``features`` and a fit takes time in proportion to the number of pairs. The reward is the most probable one. Far
    from all training responses a reward returns to the prior: mean 0, deviation ``1 / sqrt(precision)``; few
    frequencies understate the uncertainty between the two.

    Parameters
    ----------
    n_frequencies : int
        Random frequencies, with two features each.
    factors : tuple of float
        Length-scales, in medians of the distance between training responses.
    precisions : tuple of float
        Inverse variances of the prior of a reward, tried from the largest down until the validation loss rises. The
        length-scale and the precision of the least one are kept (of the most evidence where there are no validation
        pairs).
    """

    n_frequencies: int = 256
    factors: tuple[float, ...] = (1.0, 2.0, 4.0)
    precisions: tuple[float, ...] = (10.0, 1.0, 0.1, 0.01, 0.001, 0.0001)

    who: ClassVar[str] = "bt-gp"

    def __post_init__(self) -> None:
        whole("n_frequencies", self.n_frequencies)
        for name in ("factors", "precisions"):
            setattr(self, name, numbers(name, getattr(self, name), 1e-8, 1e8))

    def fit(self, pairs: PreferencePairs, *, rng: np.random.Generator) -> Self:
        """Draw frequencies, then keep the best of all length-scales and precisions."""
        self.scaling = Scaling.of(pairs.embeddings)
        median = median_distance(self.scaling.lazily(pairs.embeddings, self.who), rng)
        frequencies = orthogonal_frequencies(pairs.n_features, self.n_frequencies, rng)
        least = np.inf
        for factor in self.factors:
            kernel = FourierFeatures((frequencies / (factor * median)).astype(np.float32))
            value, posterior = self._best(kernel, pairs)
            if value < least:
                least, self.factor, self.kernel, self.posterior = value, factor, kernel, posterior
        self.centre = self.features(pairs.embeddings).mean(axis=0, dtype=np.float64)
        return self

    def _best(self, kernel: FourierFeatures, pairs: PreferencePairs) -> tuple[float, Posterior]:
        """Return the least surprise and its posterior; precisions are tried from the largest down until it rises."""
        differences = self._differences(kernel, pairs)
        held = self._differences(kernel, pairs.validation) if pairs.validation else None
        precisions = sorted(self.precisions, reverse=True)
        now = Posterior.around(np.zeros(differences.shape[1]), differences, precisions[0])
        least, best = np.inf, now
        for precision in precisions:
            now = most_probable(differences, now, precision)
            value = now.surprise(held)
            if value >= least:
                break
            least, best = value, now
        return least, best

    def _differences(self, kernel: FourierFeatures, pairs: PreferencePairs) -> np.ndarray:
        features = kernel(self.scaling.lazily(pairs.embeddings, self.who)).astype(np.float64)
        return np.asarray(features[pairs.chosen] - features[pairs.rejected])

    def features(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the Fourier features; ``(n, width) -> (n, 2 n_frequencies)``."""
        return self.kernel(self.scaling.lazily(embeddings, self.who))

    def reward(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the most probable reward; ``(n, n_features) -> (n,)``."""
        return np.asarray(self.features(embeddings) @ self.posterior.weights)
