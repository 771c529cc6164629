"""How many samples policies take to a gold gain, and how many times those of another optimizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rmsuite import seeds
from rmsuite.results import CellRecord
from rmsuite.statistics import Draws, Estimate, Reached, reached

TARGET = 1.0  # standard deviations of gold within a prompt
POPULATION = "clusters like these and trainings anew of policies against these reward models"
THIS_TRAINING = "clusters like these; the one training of each repetition held fixed"
Group = Sequence[CellRecord]
Compared = tuple[Estimate, Estimate | None]


def samples_to(task: str, groups: Mapping[str, Group], target: float, against: str) -> dict[str, Compared]:
    """Return the samples of each group of cells that was trained, and their ratio to those of ``against``.

    What is followed is the gain of all prompts, policies and repetitions together. Prompts are drawn anew, and the
    policies of each repetition; the order of batches, which these share, is not.

    Parameters
    ----------
    groups : mapping
        Cells by row of the table: the same repetitions in each, and as many policies. Rows are left out that were not
        trained, or whose repetitions were judged after different steps.
    target : float
        Gold gain, in standard deviations of gold within a prompt.
    against : str
        An optimizer, as in its cells; "" for none. There is no ratio (None) for its own rows, and none where there is
        no row of it with the same reward model and beta, or one of the two never has the gain.
    """
    curves = {name: _gains(group) for name, group in groups.items() if _has_path(group)}
    if not curves:
        return {}
    _, n_repetitions, n_policies, n_prompts = next(iter(curves.values())).shape
    population = POPULATION if n_policies > 1 else THIS_TRAINING
    draws = Draws.of(n_prompts, n_repetitions, n_policies, seeds.generator(0, "bootstrap", task=task, of="samples"))
    found = {
        name: reached(gains, groups[name][0].arrays["samples"].astype(float), target, draws, population)
        for name, gains in curves.items()
    }
    return {name: (one.estimate(), _ratio(name, found, groups, against)) for name, one in found.items()}


def _has_path(group: Group) -> bool:
    """Return whether its policies were trained, and judged after the same steps and samples in all repetitions."""
    along = [[cell.arrays[name].tolist() for name in ("steps", "samples")] for cell in group]
    return len(along[0][0]) > 1 and all(one == along[0] for one in along)


def _gains(group: Group) -> np.ndarray:
    """Return gold gains along the path, ``(n_steps, n_repetitions, n_policies, n_prompts)``."""
    each = [cell.arrays["gold"] - cell.arrays["reference_gold"][:, None] for cell in group]
    return np.moveaxis(np.stack(each, axis=1), 2, 3)


def _ratio(name: str, found: Mapping[str, Reached], groups: Mapping[str, Group], against: str) -> Estimate | None:
    wanted = {**groups[name][0].facts, "optimizer": against}
    for other, one in found.items():
        if all(groups[other][0].facts[key] == wanted[key] for key in ("reward_model", "optimizer", "beta")):
            return found[name].over(one) if other != name else None
    return None
