"""Fit the defaults of the annotator ``crowd`` to professional raters, and print the numbers.

Run by hand: ``python tasks/make/crowd.py DATA``, with the normalised Parquet files in DATA. Nothing is written.

Raters (WMT MQM, ``google/wmt-mqm-human-evaluation``, Apache-2.0): for each rater and each two translations of a segment
that this rater and at least one other rated, the rater's preference is regressed on the mean margin of the other raters
by P(first) = sigmoid(quality * margin / sd), without a constant; sd is that of the mean penalty over all translations.
Equal penalties are left out on either side and counted. ``quality`` is the median of the raters' qualities, ``spread``
the standard deviation of their logarithms less its sampling part. Others' margins are noisy, so that qualities lean
downwards.

Voters (the test set of PandaLM, ``WeOpenML/PandaLM``, Apache-2.0; three voters a pair, no gold): if errors are
independent of one another, the products of pairwise agreements give each voter's error rate.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

FEWEST = 200  # decided pairs of a rater


def main(data: Path) -> None:
    """Print both fits."""
    _print_raters(pd.read_parquet(data / "wmt_mqm.labels.parquet"))
    _print_voters(pd.read_parquet(data / "pandalm_test.pairs.parquet"))


def _print_raters(labels: pd.DataFrame) -> None:
    labels = labels[(labels["attribute"] == "mqm") & (labels["annotator"] != "derived:mean mqm")]
    labels = labels.assign(rater=labels["annotator"].str.partition("|")[0])
    values = labels.groupby(["prompt_id", "response_id", "rater"])["value"].mean().unstack()
    scale = float(values.mean(axis=1).std(ddof=0))
    fits, ties, offered = {}, 0, 0
    for rater in values.columns:
        own, other = _margins(values, rater)
        decided = (own != 0) & (other != 0)
        ties, offered = ties + int((own == 0).sum()), offered + len(own)
        if decided.sum() >= FEWEST:
            fits[rater] = (*_fitted(other[decided] / scale, own[decided] > 0), int(decided.sum()))
    for rater, (quality, error, n) in fits.items():
        print(f"{rater}: quality {quality:.3f} (standard error {error:.3f}), {n} pairs")
    logs = np.log([quality for quality, _, _ in fits.values()])
    sampling = np.mean([(error / quality) ** 2 for quality, error, _ in fits.values()])
    spread = np.sqrt(max(logs.var(ddof=1) - sampling, 0))
    print(f"{len(fits)} raters, sd of gold {scale:.3f}, ties {ties / offered:.1%} of {offered}")
    print(f"crowd: quality {np.exp(np.median(logs)):.3f}, spread {spread:.3f}")


def _margins(values: pd.DataFrame, rater: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the margins of a rater and of the mean of the others, for each two responses that both have rated."""
    others = values.drop(columns=rater).mean(axis=1)
    both = pd.DataFrame({"own": values[rater], "other": others}).dropna()
    rows = [
        (one[0] - two[0], one[1] - two[1])
        for _, segment in both.groupby(level="prompt_id")
        for one, two in combinations(segment.to_numpy(), 2)
    ]
    own, other = np.array(rows).reshape(-1, 2).T
    return own, other


def _fitted(x: np.ndarray, first: np.ndarray) -> tuple[float, float]:
    """Return the slope of a logistic regression without a constant, and its standard error, by Newton's method."""
    slope = 0.0
    for _ in range(50):
        p = 1 / (1 + np.exp(-slope * x))
        information = float((p * (1 - p) * x**2).sum())
        slope += float(((first - p) * x).sum()) / information
    return slope, information**-0.5


def _print_voters(pairs: pd.DataFrame) -> None:
    low, high = pairs[["chosen_id", "rejected_id"]].min(axis=1), pairs[["chosen_id", "rejected_id"]].max(axis=1)
    votes = pairs.assign(low=low, high=high, first=np.where(pairs["chosen_id"] == low, 1, -1))
    table = votes.groupby(["low", "high", "annotator"])["first"].mean().unstack()
    product = {pair: (table[pair[0]] * table[pair[1]]).dropna() for pair in combinations(table.columns, 2)}
    c = {frozenset(pair): float(values.mean()) for pair, values in product.items()}
    for pair, values in product.items():
        print(f"{pair[0]}, {pair[1]}: agree in {(1 + values.mean()) / 2:.3f} of {len(values)} decided pairs")
    for voter in table.columns:
        one, two = (name for name in table.columns if name != voter)
        reliability = np.sqrt(c[frozenset((voter, one))] * c[frozenset((voter, two))] / c[frozenset((one, two))])
        print(f"{voter}: error rate {(1 - reliability) / 2:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
