"""What several metrics need of the same answers is computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from weakref import WeakKeyDictionary

import numpy as np

from rmsuite.arrays import frozen
from rmsuite.tested import Answers, TestSet

Compute = Callable[[TestSet, Answers], np.ndarray]


def once(compute: Compute) -> Compute:
    """Keep what a function makes of answers to a test set as long as both live; it is read-only from then on.

    Neither a test set nor answers ever change, so that they are known by their identity.
    """
    known: WeakKeyDictionary[Answers, WeakKeyDictionary[TestSet, np.ndarray]] = WeakKeyDictionary()

    @wraps(compute)
    def kept(test: TestSet, answers: Answers) -> np.ndarray:
        found = known.setdefault(answers, WeakKeyDictionary())
        if test not in found:
            found[test] = frozen(compute(test, answers))
        return found[test]

    return kept
