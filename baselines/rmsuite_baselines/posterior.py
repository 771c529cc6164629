"""Laplace approximation of Bradley-Terry models that are linear in some features: reward = w . features.

The prior of the weights w is normal with mean zero and variance 1 / precision. The likelihood of a pair is
sigmoid(w . z), z being the features of the chosen minus those of the rejected response. Around weights w the posterior
is taken to be normal with mean w and covariance S, the inverse of

    sum over pairs of p (1 - p) z z' + precision I,   p = sigmoid(w . z)

which is minus the second derivative of its logarithm (MacKay 1992, The evidence framework applied to classification
networks).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh
from scipy.special import expit

from rmsuite_baselines.bradley_terry import BradleyTerry

PAIRS = 4096  # at a time, to bound the memory
STEPS = 300  # of Newton's method, at most
RENEWED = 10  # steps after which the curvature is taken anew
CLOSE = 1e-10  # what a further step may still gain, in nats, when it stops


def blocks(n: int) -> Iterator[slice]:
    """Yield slices that cover ``n`` rows."""
    return (slice(start, start + PAIRS) for start in range(0, n, PAIRS))


def log_likelihood(margins: np.ndarray) -> float:
    """Return the sum over pairs of log sigmoid(margin)."""
    return -float(np.logaddexp(0, -margins).sum())


def curvature(differences: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Return the sum over pairs of p (1 - p) z z', ``(n_features, n_features)``."""
    total = np.zeros((differences.shape[1],) * 2)
    for block in blocks(len(differences)):
        root = differences[block] * np.sqrt(expit(margins[block]) * expit(-margins[block]))[:, None]
        total += root.T @ root
    return total


@dataclass(frozen=True, eq=False)
class Posterior:
    """A normal distribution of weights whose covariance is ``axes diag(1 / (bends + precision)) axes'``.

    Attributes
    ----------
    weights : (n_features,)
        Its mean.
    axes : (n_features, n_features)
        Orthonormal eigenvectors of the likelihood's curvature, one a column.
    bends : (n_features,)
        The eigenvalues: how sharply the pairs determine the weights along each axis.
    likelihood : float
        The log likelihood of the pairs at the mean.
    precision : float
        Of the prior.
    """

    weights: np.ndarray
    axes: np.ndarray
    bends: np.ndarray
    likelihood: float
    precision: float

    @classmethod
    def around(cls, weights: np.ndarray, differences: np.ndarray, precision: float) -> Posterior:
        """Approximate the posterior around given weights by ``differences``, ``(n_pairs, n_features)``."""
        margins = differences @ weights
        bends, axes = eigh(curvature(differences, margins), overwrite_a=True)
        return cls(weights, axes, np.maximum(bends, 0), log_likelihood(margins), precision)

    def under(self, precision: float) -> Posterior:
        """Return the posterior around the same weights under another prior."""
        return replace(self, precision=precision)

    def whitened(self, features: np.ndarray) -> np.ndarray:
        """Return coordinates in which the squared length of a feature vector x is the variance x' S x of w . x."""
        return np.asarray(features @ (self.axes / np.sqrt(self.bends + self.precision)))

    def covariance_times(self, vector: np.ndarray) -> np.ndarray:
        """Return S times a vector, ``(n_features,)``."""
        return np.asarray(self.axes @ (self.axes.T @ vector / (self.bends + self.precision)))

    def evidence(self) -> float:
        """Return Laplace's approximation of the log probability of the training labels, weights integrated out."""
        prior = len(self.weights) * np.log(self.precision) - self.precision * float(self.weights @ self.weights)
        return self.likelihood + (prior - float(np.log(self.bends + self.precision).sum())) / 2

    def loss(self, differences: np.ndarray) -> float:
        """Return the mean of -log P(chosen preferred) over pairs that it was not fitted to."""
        margins = moderated(differences @ self.weights, np.square(self.whitened(differences)).sum(axis=1))
        return -log_likelihood(margins) / len(margins)

    def surprise(self, held: np.ndarray | None) -> float:
        """Return the loss on pairs held out, or minus the evidence if there are none: hyperparameters minimise it."""
        return -self.evidence() if held is None or not len(held) else self.loss(held)


def most_probable(differences: np.ndarray, start: Posterior, precision: float) -> Posterior:
    """Return the posterior around its own mode under a prior, found by Newton's method.

    The density is strictly log-concave, so that the mode is unique. A step that does not raise it is halved; the
    curvature, which is dear, is that of the start and is renewed every so many steps.

    Parameters
    ----------
    differences : (n_pairs, n_features) float64
        Chosen minus rejected features.
    start : Posterior
        Of the same pairs, around any weights: the nearer, the fewer steps.
    precision : float
        Of the prior, above 0.
    """
    weights, near = start.weights, start.under(precision)
    for count in range(1, STEPS):
        margins = differences @ weights
        slope = differences.T @ expit(-margins) - precision * weights
        step = near.covariance_times(slope)
        if slope @ step < 2 * CLOSE:
            break
        weights = weights + _scale(margins, differences @ step, weights, step, precision) * step
        if count % RENEWED == 0:
            near = Posterior.around(weights, differences, precision)
    return Posterior.around(weights, differences, precision)


def _scale(margins: np.ndarray, along: np.ndarray, weights: np.ndarray, step: np.ndarray, precision: float) -> float:
    def density(scale: float) -> float:
        moved = weights + scale * step
        return log_likelihood(margins + scale * along) - precision / 2 * float(moved @ moved)

    now, scale = density(0.0), 1.0
    while density(scale) < now and scale > 1e-8:
        scale /= 2
    return scale


def moderated(margins: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Return logits of the mean of sigmoid(m) over m normal, with the given means and variances (MacKay 1992)."""
    return np.asarray(margins / np.sqrt(1 + np.pi / 8 * variances))


class LaplaceReward(BradleyTerry):
    """Rewards w . features with a posterior of w: what says how sure the rewards are, and what follows for pairs.

    Attributes
    ----------
    posterior : Posterior
        Of the weights.
    centre : (n_features,)
        Mean features of the training responses.
    """

    posterior: Posterior
    centre: np.ndarray

    def features(self, embeddings: np.ndarray) -> np.ndarray:
        """Return what the reward is linear in; ``(n, width) -> (n, n_features)``."""
        raise NotImplementedError

    def uncertainty(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the posterior standard deviation of each reward minus that of the mean training response, ``(n,)``.

        Pairs determine differences of rewards only: a constant added to all rewards changes no probability, so that
        one reward by itself has no deviation. It needs something to differ from, the same for all responses: here the
        mean of the training responses' features. The deviation of the difference of two responses follows from their
        difference, as ``probability`` takes it, not from these two numbers.
        """
        centred = self.features(embeddings) - self.centre
        return np.asarray(np.sqrt(np.square(self.posterior.whitened(centred)).sum(axis=1)))

    def probability(self, embeddings: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return P(first preferred), averaged over the posterior of the difference of the two rewards, ``(n_pairs,)``.

        The more uncertain the difference, the nearer is it to one half; the response that is preferred stays the same.
        """
        rewards, places = self.reward(embeddings), self.posterior.whitened(self.features(embeddings) - self.centre)
        variances = np.empty(len(first))
        for block in blocks(len(first)):
            variances[block] = np.square(places[first[block]] - places[second[block]]).sum(axis=1)
        return np.asarray(expit(moderated(rewards[first] - rewards[second], variances)))
