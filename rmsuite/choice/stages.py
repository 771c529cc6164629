"""What each stage of post-training does to a base model's worth for reward models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rmsuite.choice import names
from rmsuite.choice.bases import Step


@dataclass(frozen=True)
class Stage:
    """A checkpoint beside the one that it was trained from, and beside the one that the chain begins with.

    ``values`` (n_categories + 1,), the quality last; ``before`` and ``start`` the differences to those two, in points,
    ``before_relative`` and ``start_relative`` as shares of theirs; NaN where the other one has no result.
    """

    method: str
    model: str
    stage: str
    after: str
    root: str
    values: np.ndarray
    before: np.ndarray
    before_relative: np.ndarray
    start: np.ndarray
    start_relative: np.ndarray


def stages(steps: Sequence[Step]) -> list[Stage]:
    """Return each checkpoint against what it was made of, method by method, in the order given."""
    methods = dict.fromkeys(step.method for step in steps)
    return [stage for method in methods for stage in _of_method([step for step in steps if step.method == method])]


def _of_method(steps: Sequence[Step]) -> list[Stage]:
    found = {names.key(step.model): step for step in steps}
    return [_stage(step, found) for step in steps]


def _stage(step: Step, found: Mapping[str, Step]) -> Stage:
    root = _root(step, found)
    values = np.array(step.values)
    gaps = np.full(len(values), math.nan)
    itself = names.key(step.model)
    others = ("" if names.key(name) == itself else name for name in (step.after, root))
    before, start = (np.array(found[names.key(n)].values) if names.key(n) in found else gaps for n in others)
    return Stage(
        *(step.method, step.model, step.stage, step.after, root, values),
        *(values - before, _share(values, before), values - start, _share(values, start)),
    )


def _root(step: Step, found: Mapping[str, Step]) -> str:
    """Return the model that a chain begins with; it need not have a result. A circle has none but the step itself."""
    seen, here = {names.key(step.model)}, step
    while here.after:
        if names.key(here.after) in seen:
            return step.model
        seen.add(names.key(here.after))
        if names.key(here.after) not in found:
            return here.after
        here = found[names.key(here.after)]
    return here.model


def _share(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    positive = others > 0
    return np.where(positive, (values - others) / np.where(positive, others, 1.0), math.nan)
