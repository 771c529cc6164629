"""Annotators that are built over another one: ``of`` is its specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rmsuite.annotators.base import (
    ABSTAINED,
    FIRST,
    SECOND,
    TIE,
    ConfiguredAnnotator,
    Judge,
    Offered,
    number,
    share,
    whole,
)
from rmsuite.errors import TaskError
from rmsuite.method import spell

Find = Callable[[str], ConfiguredAnnotator]


def length_biased(find: Find, of: str = "perfect", weight: float = 0.5) -> ConfiguredAnnotator:
    """Judges as ``of`` would if gold were ``weight`` standard deviations higher for each doubling of the length.

    The margin that ``of`` sees is margin + weight * scale * log2((1 + first length) / (1 + second length)). Judges
    that prefer longer answers are documented for people and language models alike; this is the simplest such judge.

    Parameters
    ----------
    of : str
        The annotator that judges.
    weight : float
        0 is ``of`` itself, a negative one prefers shorter responses.
    """
    inner, weight = _judging("length-biased", find, of), number("length-biased", "weight", weight, -1e6, 1e6, "finite")

    def judge(offered: Offered, rng: np.random.Generator) -> np.ndarray:
        doublings = np.log2(1 + offered.length[:, 0]) - np.log2(1 + offered.length[:, 1])
        return inner(replace(offered, margin=offered.margin + weight * offered.scale * doublings), rng)

    found = find(of)
    said = {"of": found.label, "weight": weight}
    return ConfiguredAnnotator(spell("length-biased", said, nested=True), judge, found.decisive)


def abstaining(find: Find, of: str = "perfect", rate: float = 0.0, within: float = 0.1) -> ConfiguredAnnotator:
    """Judges as ``of``, but says nothing where the margin is small, or by chance; such pairs train nobody.

    Parameters
    ----------
    of : str
        The annotator that judges.
    rate : float
        Probability of saying nothing, independently of the margin.
    within : float
        Nothing is said where the margin is less than so many standard deviations of gold.
    """
    inner, rate = _judging("abstaining", find, of), share("abstaining", "rate", rate)
    within = number("abstaining", "within", within, 0, np.inf, "a number of at least 0")

    def judge(offered: Offered, rng: np.random.Generator) -> np.ndarray:
        answers = inner(offered, rng)  # first, so that the labels are those of ``of``
        silent = (rng.random(len(offered)) < rate) | (np.abs(offered.margin) < within * offered.scale)
        return np.where(silent, ABSTAINED, answers).astype(np.int8)

    said = {"of": find(of).label, "rate": rate, "within": within}
    return ConfiguredAnnotator(spell("abstaining", said, nested=True), judge, decisive=False)


def tie_giving(find: Find, of: str = "perfect", within: float = 0.1) -> ConfiguredAnnotator:
    """Judges as ``of``, but calls it a tie where the margin is small.

    Parameters
    ----------
    of : str
        The annotator that judges.
    within : float
        A tie is given where the margin is less than so many standard deviations of gold.
    """
    inner = _judging("tie-giving", find, of)
    within = number("tie-giving", "within", within, 0, np.inf, "a number of at least 0")

    def judge(offered: Offered, rng: np.random.Generator) -> np.ndarray:
        answers = inner(offered, rng)
        near = (np.abs(offered.margin) < within * offered.scale) & (answers != ABSTAINED)
        return np.where(near, TIE, answers).astype(np.int8)

    said = {"of": find(of).label, "within": within}
    return ConfiguredAnnotator(spell("tie-giving", said, nested=True), judge, decisive=False)


def majority(find: Find, of: str = "flip", k: int = 3) -> ConfiguredAnnotator:
    """The side that most of ``k`` independent judgements of ``of`` choose; as many for either side is a tie.

    Judgements of a tie count for neither side; where all abstain, so does the majority. For ``flip`` and an odd ``k``
    the label is right with the binomial probability that fewer than half of ``k`` judgements are wrong.

    Parameters
    ----------
    of : str
        The annotator that is asked.
    k : int
        How often; an even number can end in ties.
    """
    inner, k = _judging("majority", find, of), whole("majority", "k", k)

    def judge(offered: Offered, rng: np.random.Generator) -> np.ndarray:
        answers = np.stack([inner(offered, rng) for _ in range(k)])
        ahead = (answers == FIRST).sum(axis=0) - (answers == SECOND).sum(axis=0)
        voted = np.where(ahead == 0, TIE, np.where(ahead > 0, FIRST, SECOND))
        return np.where((answers == ABSTAINED).all(axis=0), ABSTAINED, voted).astype(np.int8)

    found = find(of)
    decisive = found.decisive and k % 2 == 1
    return ConfiguredAnnotator(spell("majority", {"of": found.label, "k": k}, nested=True), judge, decisive)


def _judging(who: str, find: Find, of: str) -> Judge:
    judge = find(of).judge
    if judge is None:
        expected, do = "of = an annotator that judges any pair", "name another one, such as 'of=votes' or 'of=flip'"
        raise TaskError(who=f"annotator {who}", expected=expected, got=repr(of), do=do)
    return judge
