"""From policy cells to tables: what a policy gains in gold over the reference, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from rmsuite import seeds, signature
from rmsuite.errors import ResultsError
from rmsuite.reports.policy_samples import TARGET, samples_to
from rmsuite.results import CellRecord
from rmsuite.statistics import Estimate, Resampled, Sample, mean_sample, p_value, resample, separable_pairs, standings

Group = Sequence[CellRecord]
REFERENCES = {
    "uniform": "gives all responses of a prompt with equal chance",
    "generators": "draws one of the generators that answered a prompt, each alike, and then one of its responses",
}


@dataclass(frozen=True)
class PolicyRow:
    """Policies of one reward model, optimizer and beta at the end of their path; means over repetitions and policies.

    Attributes
    ----------
    beta : float or None
        What a nat of KL cost; None for an optimizer that uses none.
    gold : Estimate
        Expected gold less that of the reference, in standard deviations of gold within a prompt (training part).
    win_rate : Estimate
        Chance to have more gold than a response of the reference; a tie counts a half.
    letters, best :
        Rows that share a letter are not separable in ``gold``; ``best`` ones not from the first.
    proxy : float
        As ``gold``, of the reward model's rewards.
    kl, length : float
        KL to the reference in nats; expected length less that of the reference, in the pool's unit.
    sd : float
        Of ``gold`` over all trainings: policies and repetitions; NaN where there is one.
    steps, samples, reward_calls, seconds : float
        Of one policy's training; the seconds are those of all policies of a cell side by side.
    samples_to : Estimate
        Samples until the gold gain first reaches the table's target; infinite where it never does.
    ratio : Estimate
        ``samples_to`` over that of the table's ``against`` with the same reward model and beta.
    hyperparameters : int
        How many numbers the optimizer has to be tuned by.
    note : str
        Why there are no numbers, or what is to be known of them.
    """

    method: str
    optimizer: str
    beta: float | None
    hyperparameters: int
    gold: Estimate | None = None
    win_rate: Estimate | None = None
    letters: str = ""
    best: bool = False
    proxy: float = np.nan
    kl: float = np.nan
    length: float = np.nan
    sd: float = np.nan
    steps: float = np.nan
    samples: float = np.nan
    reward_calls: float = np.nan
    seconds: float = np.nan
    samples_to: Estimate | None = None
    ratio: Estimate | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """What notes call it; without a beta where the optimizer uses none."""
        beta = [] if self.beta is None else [f"beta {self.beta:g}"]
        return ", ".join([self.method, self.optimizer, *beta])


@dataclass(frozen=True)
class PolicyTable:
    """All policies of one task, the largest gold first; ``reference_length`` is in the pool's unit.

    ``budget`` is the KL, in nats, that no policy exceeds: the mean over test prompts.

    ``target`` is the gold gain that samples are counted to, ``against`` the optimizer that they are compared with.
    """

    task: str
    signature: str
    rows: tuple[PolicyRow, ...]
    reference_length: float = np.nan
    n_policies: int = 0
    target: float = TARGET
    against: str = ""
    budget: float = np.nan


def said_of_reference(line: str) -> str:
    """Return what the reference of a signature does, in words."""
    name = signature.read(line).get("reference", "uniform")
    some = f"draws one of {name.replace(',', ', ')} that answered a prompt, each alike, and then one of its responses"
    return REFERENCES.get(name, some)


def policy_tables(records: Sequence[CellRecord], target: float = TARGET, against: str = "") -> tuple[PolicyTable, ...]:
    """Return a table a task.

    Parameters
    ----------
    target : float
        Gold gain, above 0, that samples are counted to.
    against : str
        An optimizer, as in its cells, that numbers of samples are compared with.

    Raises
    ------
    ResultsError
        If the cells of a task have different signatures.
    """
    tasks: dict[str, list[CellRecord]] = {}
    for record in sorted(records, key=lambda record: record.repetition):  # the order of a sum moves its last bits
        tasks.setdefault(record.task, []).append(record)
    with threadpool_limits(limits=1):  # the number of threads decides the last bits of sums
        return tuple(_table(task, cells, target, against) for task, cells in tasks.items())


def _table(task: str, cells: Group, target: float, against: str) -> PolicyTable:
    lines = sorted({cell.signature for cell in cells})
    if len(lines) > 1:
        got, do = " and ".join(lines), "give one folder of results a study"
        raise ResultsError(who=f"policies on {task}", expected="one signature", got=got, do=do)
    groups: dict[str, list[CellRecord]] = {}
    for cell in cells:
        groups.setdefault(cell.method, []).append(cell)
    n_repetitions = max(map(len, groups.values()))
    rows = {name: _bare(group, n_repetitions) for name, group in groups.items()}
    whole = {name: group for name, group in groups.items() if not rows[name].note}
    rows |= _measured(task, rows, whole)
    for name, (samples, ratio) in samples_to(task, whole, target, against).items():
        rows[name] = replace(rows[name], samples_to=samples, ratio=ratio)
    ordered = sorted(rows.values(), key=lambda row: -row.gold.value if row.gold else np.inf)
    one = next(iter(whole.values()))[0].arrays if whole else {}
    length, budget = (float(one[name].mean()) if one else np.nan for name in ("reference_length", "largest_kl"))
    n_policies = int(cells[0].facts["n_policies"])
    return PolicyTable(task, lines[0], tuple(ordered), length, n_policies, target, against, budget)


def _bare(group: Group, n_repetitions: int) -> PolicyRow:
    facts, numbers = group[0].facts, len(group[0].facts["hyperparameters"])
    row = PolicyRow(facts["reward_model"], facts["optimizer"], facts["beta"], numbers)
    bad = [cell for cell in group if cell.status != "ok"]
    if bad:
        return replace(row, note=f"{len(bad)} of {len(group)} cells {bad[0].status}: {bad[0].phase}: {bad[0].error}")
    return replace(row, note=f"{len(group)} of {n_repetitions} repetitions") if len(group) < n_repetitions else row


def _measured(task: str, rows: Mapping[str, PolicyRow], whole: Mapping[str, Group]) -> dict[str, PolicyRow]:
    if not whole:
        return {}
    gold, wins = (_resampled(task, whole, name) for name in ("gold", "win_rate"))
    out, n = dict[str, PolicyRow](), len(whole)
    p = np.ones((n, n))
    for i, j in combinations(range(n), 2):
        p[i, j] = p[j, i] = p_value(gold.difference_evidence(i, j))
    found = standings(gold.sample.value.tolist(), separable_pairs(p))
    for i, (name, group) in enumerate(whole.items()):
        estimates: dict[str, Any] = {"gold": gold.estimate(i), "win_rate": wins.estimate(i)}
        standing: dict[str, Any] = {"letters": found.letters[i], "best": found.best[i]}
        note = "; ".join(sorted({note for cell in group for note in cell.notes}))
        out[name] = replace(rows[name], **estimates, **standing, note=note, **_costs(group))
    return out


def _resampled(task: str, whole: Mapping[str, Group], name: str) -> Resampled:
    return resample(_sample(whole, name), seeds.generator(0, "bootstrap", task=task))


def _sample(whole: Mapping[str, Group], name: str) -> Sample:
    """Return the values of prompts, one column a row of the table."""
    values = np.stack([np.mean([gain(cell, name) for cell in group], axis=0) for group in whole.values()])
    one = next(iter(whole.values()))
    low, high = (0.0, 1.0) if name == "win_rate" else gold_gain_range(one[0])
    return mean_sample(values, np.ones(values.shape), low, high, one[0].facts["n_test_responses"], len(one))


def gold_gain_range(cell: CellRecord) -> tuple[float, float]:
    """Return what a gain in gold could be at least and at most on a prompt of the task."""
    least, most = cell.arrays["gold_range"].T - cell.arrays["reference_gold"]
    return float(least.min()), float(most.max())


def gain(cell: CellRecord, name: str, place: int = -1) -> np.ndarray:
    """Return values at a ``place`` of the path, its end if none is given, ``(n_prompts,)``: means over policies.

    They are less the reference's where they have no zero of their own.
    """
    values = cell.arrays[name][place].mean(axis=1)
    return np.asarray(values - cell.arrays[f"reference_{name}"] if name in ("gold", "proxy", "length") else values)


def _runs(cell: CellRecord) -> np.ndarray:
    """Return the mean gold of each training of a cell; the policies of a closed form are one."""
    last = cell.arrays["gold"][-1].mean(axis=0)
    return np.asarray(last if len(cell.arrays["steps"]) > 1 else last[:1])


def _costs(group: Group) -> dict[str, Any]:
    means = {name: [gain(cell, name).mean() for cell in group] for name in ("proxy", "kl", "length")}
    means |= {name: [cell.arrays[name][-1] for cell in group] for name in ("steps", "samples", "reward_calls")}
    means |= {"seconds": [cell.facts.get("train_seconds", np.nan) for cell in group]}
    runs = [_runs(cell) for cell in group]
    sd = float(np.std(runs, ddof=1)) if np.size(runs) > 1 else np.nan
    return {"sd": sd, **{name: float(np.mean(values)) for name, values in means.items()}}
