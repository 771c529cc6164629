"""What tables of base models by methods are made of. Values only; ``render`` prints them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rmsuite.choice.embedded import Embedded, Related
from rmsuite.metrics import Metric
from rmsuite.reports.comparison import Prompts
from rmsuite.reports.records import Standing
from rmsuite.statistics import Difference, Estimate

ALL = "all prompts"


@dataclass(frozen=True, eq=False)
class BaseStudy:
    """Variants of one task that differ in the base model only.

    Attributes
    ----------
    name : str
        The label of the task without a base model in brackets.
    tasks : mapping
        The label of the variant of each base model.
    defaults : tuple of str
        Base models that one would take without a study; of several the best one is meant.
    sets : mapping
        What is known of each base model.
    related : tuple of Related
        Pairs to compare; of those that are not in the study there is no comparison.
    prompts : Prompts or None
        Of the test part; without them there is nothing by category.
    """

    name: str
    tasks: Mapping[str, str]
    defaults: tuple[str, ...]
    sets: Mapping[str, Embedded]
    related: tuple[Related, ...] = ()
    prompts: Prompts | None = None


@dataclass(frozen=True)
class Gained:
    """What one base model has over another, paired by prompt; ``relative`` is as a share of the other one's value.

    ``low`` and ``high`` are those of the difference, as such shares; NaN where that value is not positive.
    """

    over: str
    difference: Difference
    relative: float
    low: float
    high: float


@dataclass(frozen=True)
class BaseCell:
    """One base model under one method; ``note`` says why there is no estimate. The default gains 0 over itself."""

    method: str
    base: str
    estimate: Estimate | None = None
    standing: Standing | None = None
    gain: Gained | None = None
    note: str = ""


@dataclass(frozen=True)
class SizeClass:
    """The base models of a class of size under one method.

    ``best`` is found on the results that measure its ``gain`` over the best default of the class, which so leans
    upwards. ``spread`` is the standard deviation (n - 1) over base models, ``chance`` that which the draw of test
    prompts alone would give, ``reach`` the largest value minus the smallest.
    """

    method: str
    size: str
    n_models: int
    best: str = ""
    gain: Gained | None = None
    spread: float = math.nan
    chance: float = math.nan
    reach: float = math.nan
    note: str = ""


@dataclass(frozen=True)
class Reordered:
    """Spearman's correlation of two methods' values over base models; its interval is a bootstrap of test prompts."""

    first: str
    second: str
    n_models: int
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    note: str = ""


@dataclass(frozen=True)
class RelatedGain:
    """A pair of base models that differ in one thing, under one method, on all prompts or those of a category."""

    method: str
    pair: Related
    prompts: str
    gain: Gained | None
    note: str = ""


@dataclass(frozen=True, eq=False)
class BaseTable:
    """One metric of one study; letters and Holm's correction are over the base models within a method.

    ``cells`` are by method and base model, ``bases`` in the order of the rows.
    """

    study: BaseStudy
    metric: Metric
    methods: tuple[str, ...]
    bases: tuple[str, ...]
    cells: Mapping[tuple[str, str], BaseCell]
    classes: tuple[SizeClass, ...]
    orders: tuple[Reordered, ...]
    related: tuple[RelatedGain, ...]
    signature: str
    omitted: tuple[str, ...] = ()
