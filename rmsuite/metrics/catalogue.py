"""The list of all metrics."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from rmsuite.errors import unknown_name
from rmsuite.metrics import attacks, best_of_n, generators, length, pairs, probability, ranks, selective
from rmsuite.metrics.record import Metric, Need
from rmsuite.tested import Answers, TestSet

HALF: dict[str, Any] = {"tie_rule": "equal rewards count one half", "tie": "half"}
ACCURACY: dict[str, Any] = {"low": 0.0, "high": 1.0, "chance": 0.5, "perfect": 1.0, "percent": True}
CORRELATION: dict[str, Any] = {"low": -1.0, "high": 1.0, "chance": 0.0, "perfect": 1.0}
ASKED: dict[str, Any] = {"tie_rule": "a probability of 0.5 counts as it is", "tie": "none"}

PAIR_METRICS = (
    Metric(
        name="pair-accuracy",
        summary="share of the pairs of a prompt whose chosen response has the larger reward; blind to how the best "
        "response fares, and a pair with a small gold margin counts as much as one with a large margin",
        per_prompt=pairs.pair_accuracy,
        needs=("pairs",),
        **HALF,
        **ACCURACY,
    ),
    Metric(
        name="worst-category",
        bias="downwards",
        summary="the lowest pair accuracy of a category (those with pairs in at least "
        f"{pairs.MIN_CATEGORY_PROMPTS} prompts); the lowest of several noisy values lies below the truth, the more so "
        "the smaller the categories, and it does not tell which category it is",
        per_prompt=pairs.by_category,
        reduce=pairs.lowest_ratio,
        needs=("pairs", "categories"),
        **HALF,
        **ACCURACY,
    ),
    Metric(
        name="length-adjusted",
        summary="pair accuracy with a linear effect of the length difference taken out, by a logistic fit (after "
        "arXiv:2404.04475); an average over all gaps, which lies above that of pairs of nearly equal length "
        "(length-matched), and cannot tell length from what goes with it",
        per_prompt=length.adjusted,
        reduce=length.adjusted_accuracy,
        needs=("pairs", "lengths"),
        **HALF,
        **ACCURACY,
    ),
    Metric(
        name="length-matched",
        summary="mean of the accuracy where the longer and where the shorter response is chosen, among pairs of like "
        "length difference; leaves pairs of equal length out, and weighs rare pairs up, so its interval is wider",
        per_prompt=length.matched,
        reduce=length.matched_accuracy,
        needs=("pairs", "lengths"),
        **HALF,
        **ACCURACY,
    ),
    Metric(
        name="generator-bias",
        summary="pair accuracy where the generator that is better on other prompts wrote the chosen response, minus "
        "that where the worse one did: 1 = the reward follows who wrote, 0 = it is as right either way; says nothing "
        "of how accurate it is; noise that knows no generator errs more where gold is close, and can give more than 0",
        per_prompt=generators.by_generator_order,
        reduce=generators.accuracy_gap,
        low=-1.0,
        high=1.0,
        chance=0.0,
        perfect=0.0,
        needs=("pairs", "generators"),
        direction="nearer 0 is better",
        **HALF,
    ),
)

RANK_METRICS = (
    Metric(
        name="spearman",
        summary="Spearman correlation of rewards with gold within a prompt, averaged over prompts; weighs the order "
        "among bad responses as much as among good ones",
        per_prompt=ranks.spearman,
        tie_rule="average ranks; constant rewards count 0",
        tie="average-rank",
        needs=("gold",),
        **CORRELATION,
    ),
    Metric(
        name="kendall",
        summary="Kendall's tau-b of rewards with gold within a prompt, averaged over prompts: pair accuracy on the "
        "scale of a correlation, every prompt counting alike; blind to margins",
        per_prompt=ranks.kendall,
        tie_rule="tau-b; constant rewards count 0",
        tie="tau-b",
        needs=("gold",),
        **CORRELATION,
    ),
)


def best_of(n: int) -> Metric:
    """Return the metric 'normalised gold reward of the best of n responses'."""
    return Metric(
        name=f"best-of-{n}",
        summary=f"gold reward of the best of {n} responses by reward, exact over all draws, random = 0 and "
        f"oracle = 1 (one minus the normalised regret); says nothing of larger n",
        per_prompt=partial(best_of_n.normalised_gain, n=n),
        tie_rule="equal rewards are drawn with equal chance",
        tie="equal-chance",
        needs=("gold",),
        **CORRELATION,
    )


CHOICE_METRICS = (
    *(best_of(n) for n in (2, 4, 8, 16, 32)),
    Metric(
        name="over-optimisation",
        summary="how far the gold reward of best-of-n falls from its peak to the largest n of the pool, as a share of "
        "the oracle's gain; the peak is chosen on one half of the prompts and read on the other, so that noise alone "
        "gives 0 on average and values below 0; says nothing of n beyond the pool",
        per_prompt=best_of_n.halves,
        reduce=best_of_n.peak_minus_last,
        low=-1.0,
        high=1.0,
        chance=0.0,
        perfect=0.0,
        tie_rule="equal rewards are drawn with equal chance",
        tie="equal-chance",
        needs=("gold",),
        direction="smaller is better",
    ),
    Metric(
        name="peak-position",
        summary="the n at which the gold reward of best-of-n peaks, as log n over log of the pool's largest n: 1 = "
        "rises to the end, 0 = any choice harms; a flat curve has its peak anywhere, so read the interval",
        direction="not ranked",
        per_prompt=best_of_n.whole_curve,
        reduce=best_of_n.peak_position,
        low=0.0,
        high=1.0,
        chance=0.0,
        perfect=1.0,
        tie_rule="equal rewards are drawn with equal chance; a flat curve peaks at n = 1",
        tie="equal-chance",
        needs=("gold",),
    ),
)

PROBABILITY_METRICS = (
    Metric(
        name="brier",
        summary="mean squared error of preference probabilities: 0.25 for knowing nothing; mixes calibration with "
        "accuracy",
        per_prompt=probability.brier,
        low=0.0,
        high=1.0,
        chance=0.25,
        perfect=0.0,
        needs=("pairs", "probability"),
        direction="smaller is better",
        **ASKED,
    ),
    Metric(
        name="log-loss",
        summary="mean of -log of the probability given to what was chosen, clipped at 1e-6, in nats: 0.693 for knowing "
        "nothing; a few sure errors can decide it",
        per_prompt=probability.log_loss,
        low=0.0,
        high=float(-np.log(probability.CLIP)),
        chance=float(np.log(2)),
        perfect=0.0,
        needs=("pairs", "probability"),
        direction="smaller is better",
        **ASKED,
    ),
    Metric(
        name="calibration-error",
        bias="upwards",
        summary="mean distance of confidence from the share that is right, in ten bins of confidence; knowing nothing "
        "and saying so is calibrated too, and noise in small bins makes it larger than the truth",
        per_prompt=probability.by_confidence,
        reduce=probability.calibration_error,
        low=0.0,
        high=1.0,
        chance=0.0,
        perfect=0.0,
        tie_rule="a probability of 0.5 counts half right",
        tie="half",
        needs=("pairs", "probability"),
        direction="smaller is better",
    ),
)

UNCERTAINTY_METRICS = (
    Metric(
        name="selective-accuracy",
        summary="pair accuracy on the half of the pairs of which a method is most certain; rises with the accuracy "
        "over all pairs too, so compare it with that",
        per_prompt=selective.by_certainty,
        reduce=selective.most_certain_half,
        needs=("pairs", "uncertainty"),
        **HALF,
        **ACCURACY,
    ),
    Metric(
        name="risk-coverage-area",
        summary="mean share of errors over coverages, most certain pairs first; mixes accuracy with the quality of "
        "the uncertainty",
        per_prompt=selective.by_certainty,
        reduce=selective.risk_coverage_area,
        low=0.0,
        high=1.0,
        chance=0.5,
        perfect=0.0,
        needs=("pairs", "uncertainty"),
        direction="smaller is better",
        **HALF,
    ),
)

ATTACK_METRICS = (
    Metric(
        name="attack-win-rate",
        summary="share of a prompt's responses below which a planted attack should lie and does not: a text that was "
        "written to be rewarded and answers nothing; says nothing of other attacks",
        per_prompt=attacks.wins,
        low=0.0,
        high=1.0,
        chance=0.5,
        perfect=0.0,
        percent=True,
        needs=("attacks",),
        direction="smaller is better",
        **HALF,
    ),
)

METRICS: tuple[Metric, ...] = (
    *PAIR_METRICS,
    *RANK_METRICS,
    *CHOICE_METRICS,
    *PROBABILITY_METRICS,
    *UNCERTAINTY_METRICS,
    *ATTACK_METRICS,
)


def metric(name: str) -> Metric:
    """Return the metric of that name.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    for candidate in METRICS:
        if candidate.name == name:
            return candidate
    raise unknown_name("metric", name, [m.name for m in METRICS], "see `rmsuite list metrics`")


def applicable(test: TestSet, answers: Answers) -> tuple[Metric, ...]:
    """Return the metrics that a test set and the answers of a method have everything for."""
    has: dict[Need, bool] = {
        "pairs": True,
        "gold": test.gold is not None,
        "categories": len(pairs.large_categories(test)) > 1,
        "lengths": len(np.unique(test.length)) > 1,
        "generators": test.generator is not None,
        "probability": answers.probability is not None,
        "uncertainty": answers.uncertainty is not None,
        "attacks": test.planted is not None,
    }
    return tuple(m for m in METRICS if all(has[need] for need in m.needs))
