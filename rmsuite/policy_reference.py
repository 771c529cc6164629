"""The policy that is to be improved: all responses of a prompt with equal chance, or by who wrote them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rmsuite.errors import TaskError, unknown_name
from rmsuite.policies import Segments, of_generators, uniform
from rmsuite.sources import Source
from rmsuite.tested import TestSet

UNIFORM, GENERATORS = "uniform", "generators"


def log_reference(name: str, part: TestSet, source: Source, task: str) -> np.ndarray:
    """Return the logarithms of a reference policy, ``(n_responses,)``, in the order of the part; not normalised.

    Parameters
    ----------
    name : str
        "uniform": all responses of a prompt. "generators": first one of those that answered the prompt, then one of
        its responses. Else the names of generators, joined by commas: the same, of these alone. A response of another
        one is never given, and no policy can come to give it.
    part : TestSet
        The responses, of the pool of ``source``.
    task : str
        For messages.

    Raises
    ------
    UnknownNameError
        If the pool's card names no such generator.
    TaskError
        If none of the generators answered a prompt.
    """
    if name == UNIFORM:
        return uniform(part.offsets)
    generator = source.pool.generator[part.rows].astype(np.int64)
    weights = np.ones(int(generator.max()) + 1)
    if name != GENERATORS:
        weights = _chosen(name.split(","), source, len(weights))
    without = int((Segments(part.offsets).total(weights[generator]) == 0).sum())
    if without:
        who, expected = f"reference {name!r} on task {task}", "a response to each prompt"
        got, do = f"none to {without:,} of {part.n_prompts:,}", "name more generators, with commas"
        raise TaskError(who=who, expected=expected, got=got, do=do)
    return of_generators(part.offsets, generator, weights)


def _chosen(wanted: Sequence[str], source: Source, n: int) -> np.ndarray:
    """Return 1 for each generator that is wanted, of at least ``n``, and 0 for the others."""
    names = [str(one) for one in source.pool_card.get("generators", ())]
    for one in wanted:
        if one not in names:
            known = [UNIFORM, GENERATORS, *names]
            raise unknown_name("reference", one, known, f"see the card of pool {source.pool.name!r}")
    return np.isin(np.arange(max(n, len(names))), [names.index(one) for one in wanted]).astype(np.float64)
