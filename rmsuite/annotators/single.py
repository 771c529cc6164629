"""Annotators that judge from gold rewards, or from the votes that a pool holds."""

from __future__ import annotations

import numpy as np

from rmsuite.annotators.base import ABSTAINED, TIE, ConfiguredAnnotator, Offered, number, positive, share, sides, whole
from rmsuite.data import Votes
from rmsuite.errors import TaskError
from rmsuite.method import spell


def human() -> ConfiguredAnnotator:
    """The pool's own human pairs, as they are."""
    return ConfiguredAnnotator("human", None)


def perfect() -> ConfiguredAnnotator:
    """The response with the larger gold reward is always chosen."""
    return ConfiguredAnnotator("perfect", lambda offered, rng: sides(offered.margin > 0))


def bradley_terry(quality: float = 1.0, normaliser: str | float = "std") -> ConfiguredAnnotator:
    """P(first chosen) = sigmoid(quality * margin / normaliser), arXiv:2502.04357.

    ``quality`` is not an error rate; the realised agreement with gold is recorded with every result. For a normal
    margin the expected agreement is E sigmoid(quality * abs(margin) / normaliser): 0.6749, 0.7252, 0.7780, 0.8428 where
    the variance of quality * margin / normaliser is 1, 2, 4, 10 (arXiv:2411.04991).

    Parameters
    ----------
    quality : float
        Positive; infinity is the perfect annotator.
    normaliser : "std" or float
        "std": the standard deviation of all gold rewards of the training part, as in the released code of
        arXiv:2502.04357. A positive number: that many units of gold, for one noise on pools of one scale; the released
        code of arXiv:2411.04991 has such constants.
    """
    quality = positive("bradley-terry", "quality", quality)
    said: dict[str, float] = {"quality": quality}
    if normaliser != "std":
        said["normaliser"] = positive("bradley-terry", "normaliser", normaliser)

    def judge(offered: Offered, rng: np.random.Generator) -> np.ndarray:
        scale = said.get("normaliser", offered.scale)
        return sides(rng.random(len(offered)) < sigmoid(quality * offered.margin / (scale + 1e-8)))

    return ConfiguredAnnotator(spell("bradley-terry", said), judge)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def flip(rate: float = 0.25) -> ConfiguredAnnotator:
    """Each label of the perfect annotator is wrong with probability ``rate``, independently of the margin.

    Parameters
    ----------
    rate : float
        In [0, 1]; 0.25 is the noise of the ensemble study arXiv:2310.02743.
    """
    rate = share("flip", "rate", rate)

    def judge(offered: Offered, rng: np.random.Generator) -> np.ndarray:
        return sides((offered.margin > 0) ^ (rng.random(len(offered)) < rate))

    return ConfiguredAnnotator(spell("flip", {"rate": rate}), judge)


def votes() -> ConfiguredAnnotator:
    """A single real rater's vote: of the raters of the pool who rated both responses, one is drawn for each pair.

    The response that this rater gave the larger value is chosen; equal values are a tie; a pair that no rater has
    rated whole is an abstention. Raters who disagree really disagree, so that the labels hold their noise. Several
    values of one rater for one response count by their mean.
    """
    return ConfiguredAnnotator("votes", _vote, decisive=False)


def _vote(offered: Offered, rng: np.random.Generator) -> np.ndarray:
    if offered.votes is None:
        raise TaskError(
            who="annotator 'votes'",
            expected="a pool with the votes of single raters",
            got="a pool without",
            do="choose another annotator, such as 'crowd' or 'perfect'",
        )
    pair, margin = _whole_votes(offered.response, offered.votes)
    counts = np.bincount(pair, minlength=len(offered))
    drawn = np.cumsum(counts) - counts + (rng.random(len(offered)) * counts).astype(np.int64)
    answers = np.full(len(offered), ABSTAINED, np.int8)
    rated = counts > 0
    difference = margin[drawn[rated]]
    answers[rated] = np.where(difference == 0, TIE, sides(difference > 0))
    return answers


def _whole_votes(pairs: np.ndarray, votes: Votes) -> tuple[np.ndarray, np.ndarray]:
    """Return, by pair, each rater who rated both responses, and by how much the first is better for this rater."""
    n_raters = int(votes.rater.max(initial=0)) + 1
    key, place = np.unique(votes.response.astype(np.int64) * n_raters + votes.rater, return_inverse=True)
    mean = np.bincount(place, votes.value) / np.bincount(place)
    begin, end = (np.searchsorted(key, (pairs[:, 0] + one) * n_raters) for one in (0, 1))
    pair = np.repeat(np.arange(len(pairs)), end - begin)
    first = np.arange(len(pair)) - np.repeat(np.cumsum(end - begin) - (end - begin), end - begin) + begin[pair]
    wanted = pairs[pair, 1] * n_raters + key[first] % n_raters
    second = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
    both = key[second] == wanted
    return pair[both], mean[first[both]] - mean[second[both]]


def crowd(raters: int = 18, quality: float = 0.87, spread: float = 0.35) -> ConfiguredAnnotator:
    """Each pair goes to one of several raters of unequal reliability, each a Bradley-Terry annotator of its own.

    The qualities are the quantiles of a lognormal distribution: quality * exp(spread * z) at z = the normal quantiles
    (i + 1/2) / raters.

    The defaults are fitted to the penalties that 18 professional translators gave in WMT MQM (2023 with three raters a
    segment, and TED; ``google/wmt-mqm-human-evaluation``, Apache-2.0), by ``tasks/make/crowd.py``: each rater's
    preference regressed on the mean margin of the others in standard deviations of gold. Qualities go from 0.50 to
    2.44, their median is 0.866, the standard deviation of their logarithms, less its sampling part, 0.345. The others'
    margin is noisy, so that true qualities are higher; equal penalties, 31% of the pairs, are left out. Raters differ
    less on easier questions: the three voters of the PandaLM test set (Apache-2.0) err, by their pairwise agreements of
    0.938 to 0.954, at rates of 0.021 to 0.038 on pairs that they decide.

    Parameters
    ----------
    raters : int
        Number of raters; pairs are dealt out at random.
    quality : float
        Of the median rater, as in ``bradley-terry``.
    spread : float
        Standard deviation of the logarithm of the quality; 0 makes all raters equal.
    """
    from scipy.special import ndtri  # slow to import, and needed by no other annotator

    raters, median = whole("crowd", "raters", raters), positive("crowd", "quality", quality)
    spread = number("crowd", "spread", spread, 0, 10, "a number in [0, 10]")
    qualities = median * np.exp(spread * ndtri((np.arange(raters) + 0.5) / raters))

    def judge(offered: Offered, rng: np.random.Generator) -> np.ndarray:
        noise = rng.random(len(offered))  # first, so that a crowd without spread is the Bradley-Terry annotator
        quality = qualities[rng.integers(raters, size=len(offered))]
        return sides(noise < sigmoid(quality * offered.margin / (offered.scale + 1e-8)))

    return ConfiguredAnnotator(spell("crowd", {"raters": raters, "quality": median, "spread": spread}), judge)
