"""A selector of base models, learnt from several benchmarks: what it predicts of its own models and of new families."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rmsuite.choice import elastic
from rmsuite.choice.columns import Used, constant, usable
from rmsuite.choice.coverage import coverage, keeps
from rmsuite.choice.elastic import Net

FEWEST = 5  # models to learn from
Features = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Fitted:
    """A net, the features that it was offered and those that it uses."""

    net: Net
    offered: tuple[str, ...]
    uses: tuple[str, ...]


@dataclass(frozen=True)
class Selected:
    """What a selector predicts for each model.

    ``in_sample`` (n_models,) is predicted by ``fitted``, which saw all models, as in arXiv:2505.10775; ``unseen``
    (n_models,) by selectors that saw no model of the same family, NaN where there was none; ``why_not_unseen`` says
    why. ``used`` says which features could be used at all.
    """

    fitted: Fitted | None
    in_sample: np.ndarray
    unseen: np.ndarray
    used: Used
    why_not: str = ""
    why_not_unseen: str = ""


def select(
    facts: Features,
    benchmarks: Features,
    quality: np.ndarray,
    families: Sequence[str],
    rng: Callable[[str], np.random.Generator],
) -> Selected:
    """Learn quality from facts and benchmarks, each (n_models,), and predict every model.

    Benchmarks are offered that reach ``coverage.FLOORS`` on the models to learn from; facts always are. Leaving a
    family out repeats everything without it: the choice of benchmarks, of hyperparameters, and the fit.

    Parameters
    ----------
    quality : ndarray (n_models,)
        Finite.
    families : sequence of str
        A name a model; an empty one is a family that is not known.
    rng : callable
        Gives the generator that deals the models to folds, by the family that is left out (empty: none).
    """
    every = np.ones(len(quality), bool)
    used = usable({**facts, **benchmarks})
    gaps = np.full(len(quality), np.nan)
    if reason := _why_not(quality, used):
        return Selected(None, gaps, gaps.copy(), used, reason, reason)
    fitted = _learn(facts, benchmarks, quality, every, rng(""))
    if fitted is None:
        none = "no feature is left"
        return Selected(None, gaps, gaps.copy(), used, none, none)
    unseen, why = _unseen(facts, benchmarks, quality, families, rng)
    return Selected(fitted, _predict(fitted, facts, benchmarks, every), unseen, used, "", why)


def _why_not(quality: np.ndarray, used: Used) -> str:
    if len(quality) < FEWEST:
        return f"{len(quality)} models: a selector needs {FEWEST}"
    if constant(quality):
        return "quality is constant"
    return "" if used.names else "no feature is known of enough models"


def offered(facts: Features, benchmarks: Features, quality: np.ndarray) -> tuple[str, ...]:
    """Return the features that a selector learns from: usable facts, and usable benchmarks that reach the floors."""
    names = usable({**facts, **benchmarks}).names
    return tuple(name for name in names if name in facts or _reaches(benchmarks[name], quality))


def _reaches(column: np.ndarray, quality: np.ndarray) -> bool:
    known = ~np.isnan(column)
    return keeps(coverage(column[known], quality[known]))


def _learn(
    facts: Features, benchmarks: Features, quality: np.ndarray, seen: np.ndarray, rng: np.random.Generator
) -> Fitted | None:
    mine, others = ({name: column[seen] for name, column in one.items()} for one in (facts, benchmarks))
    names = offered(mine, others, quality[seen])
    if not names or seen.sum() < FEWEST or constant(quality[seen]):
        return None
    net = elastic.fit(np.column_stack([{**mine, **others}[name] for name in names]), quality[seen], rng)
    return Fitted(net, names, tuple(name for name, used in zip(names, net.used(), strict=True) if used))


def _predict(fitted: Fitted, facts: Features, benchmarks: Features, rows: np.ndarray) -> np.ndarray:
    columns = {**facts, **benchmarks}
    return fitted.net.predict(np.column_stack([columns[name][rows] for name in fitted.offered]))


def _unseen(
    facts: Features,
    benchmarks: Features,
    quality: np.ndarray,
    families: Sequence[str],
    rng: Callable[[str], np.random.Generator],
) -> tuple[np.ndarray, str]:
    found = np.full(len(quality), np.nan)
    names = sorted(set(families))
    if "" in names or len(names) < 2:
        return found, "the families of some models are not known" if "" in names else "all models are of one family"
    for name in names:
        left = np.array([family == name for family in families])
        fitted = _learn(facts, benchmarks, quality, ~left, rng(name))
        if fitted is None:
            return np.full(len(quality), np.nan), f"without {name} there is too little to learn from"
        found[left] = _predict(fitted, facts, benchmarks, left)
    return found, ""
