"""Recompute policy cells from the rewards of the reward model, the last policies, the task's data and the signature.

Of a closed form that is everything. Of a path of training it is its beginning, which is the reference, and its end;
what lies between has to be possible, as has what the training cost. ``rerun`` finds the rest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from rmsuite.arrays import as_log_probabilities, as_rewards
from rmsuite.bundles.findings import Folder, Settings, seed_of
from rmsuite.errors import ContractError, RmsuiteError
from rmsuite.harness import one_thread
from rmsuite.optimizers import tuned
from rmsuite.policies import Unit, largest_kl
from rmsuite.policy_cells import notes, signature_line
from rmsuite.policy_reference import UNIFORM
from rmsuite.policy_setting import PolicySetting, Proxy
from rmsuite.policy_study import COLUMNS, Study, label, of_signature
from rmsuite.results import CellRecord

SLACK = 1e-9  # of the largest value that is possible
ROUNDED = 1e-5  # from 1, for the sum of probabilities whose logarithms were rounded to float32
COUNTS = ("samples", "reward_calls")


def impossible(cell: CellRecord) -> str:
    """Return what no run writes of a policy cell."""
    facts = cell.facts
    name = label(facts["reward_model"], facts["optimizer"], facts["beta"])
    if name != cell.method:
        return f"method {cell.method!r} of {name!r}"
    parts = [cell.parameters.get(part) for part in ("method", "optimizer")]
    return "" if all(isinstance(part, dict) for part in parts) else f"parameters {dict(cell.parameters)}"


def check(folder: Folder, name: str, cell: CellRecord, settings: Settings) -> None:
    """Add what is wrong with one policy cell."""
    try:
        setting, study = settings.policies_of(cell), of_signature(cell.signature, _watched(cell))
        facts = setting.setting.facts()
        _ = setting.tested, setting.trained
    except RmsuiteError as error:
        folder.no_task(name, cell, error.got)
        return
    folder.check_signature(name, cell, signature_line(setting.setting.task, study, seed_of(cell)))
    folder.check_facts(name, cell, {"task": setting.setting.task.card.label, **facts, **_facts(cell, study)})
    if cell.status == "ok":
        try:
            _check_arrays(folder, name, cell, setting, study)
        except ContractError as error:
            folder.find(name, error.expected, error.got, "distrust the cell and run it anew")


def _watched(cell: CellRecord) -> tuple[int, ...]:
    """Return the steps between the first and the last after which policies were judged, as what made the cell says."""
    made_of = cell.facts.get("made_of")
    watch = str(made_of.get("watch", "")) if isinstance(made_of, dict) else ""
    return tuple(int(step) for step in watch.split(",") if step.isdecimal())


def _facts(cell: CellRecord, study: Study) -> dict[str, Any]:
    """Return the facts that a policy cell has beside those of its task; its name has been compared with three."""
    said = {name: cell.facts[name] for name in ("reward_model", "optimizer", "beta")}
    unit = {"proxy_unit": cell.facts.get("proxy_unit", "none")} if cell.status == "ok" else {}  # proxy tells if it fits
    trained = {"n_policies": study.n_policies, "shift": study.shift}
    return {"columns": list(COLUMNS), **said, "hyperparameters": tuned(cell.parameters["optimizer"]), **trained, **unit}


def _check_arrays(folder: Folder, name: str, cell: CellRecord, setting: PolicySetting, study: Study) -> None:
    """Compare what follows from rewards and policies; raises ``ContractError`` if these are none."""
    arrays, n = cell.arrays, len(setting.tested.part.rows)
    rewards = as_rewards(arrays.get("rewards", np.empty(0)), n, who=repr(cell.method))
    proxy, kept = setting.stored_proxy(_unit(cell), rewards, study.shift), _kept(cell, setting, study.n_policies)
    steps = _steps(cell, study)
    with one_thread():
        columns = _columns(cell, proxy, kept, len(steps))
        expected = {**columns, **proxy.surroundings(), "steps": steps}
    said = {key: arrays[key] for key in COUNTS if key in arrays and _counts(arrays[key], steps)}
    expected |= {"rewards": rewards, "log_probabilities": kept, **{key: np.zeros_like(steps) for key in COUNTS}, **said}
    folder.check_notes(name, cell, notes(proxy, expected))
    folder.check_arrays(name, cell, expected)
    for what in _impossible_between(columns, proxy):
        folder.find(name, f"{what} along the path that policies can have", "another", "distrust the cell")


def _unit(cell: CellRecord) -> Unit:
    """Return the unit of the proxy; raises ``ContractError`` if the cell has none."""
    said = cell.facts.get("proxy_unit")
    try:
        unit = Unit(**said)  # type: ignore[arg-type]  # whatever it is
        if all(math.isfinite(value) for value in asdict(unit).values()) and unit.size > 0:
            return unit
    except TypeError:
        pass
    do = "run the cell again"
    raise ContractError(who=repr(cell.method), expected="the fact proxy_unit, of finite numbers", got=repr(said), do=do)


def _kept(cell: CellRecord, setting: PolicySetting, n_policies: int) -> np.ndarray:
    """Return the last policies; raises ``ContractError`` if they are no distributions in float32."""
    found, n = cell.arrays.get("log_probabilities", np.empty(0)), len(setting.tested.part.rows)
    if found.shape != (n, n_policies) or found.dtype != np.float32:
        expected, got = f"log_probabilities, float32, ({n}, {n_policies})", f"{found.dtype} of shape {found.shape}"
        raise ContractError(who=repr(cell.method), expected=expected, got=got, do="run the cell again")
    log_pi = as_log_probabilities(found.ravel(), n * n_policies, who=repr(cell.method)).reshape(found.shape)
    with np.errstate(over="ignore"):
        sums = setting.reference.prompts.total(np.exp(log_pi))
    if not (np.abs(sums - 1) < ROUNDED).all():
        expected, got = "log_probabilities whose probabilities sum to 1 on each prompt", "others"
        raise ContractError(who=repr(cell.method), expected=expected, got=got, do="run the cell again")
    return found


def _steps(cell: CellRecord, study: Study) -> np.ndarray:
    """Return after which steps policies were judged: of a closed form there is one."""
    closed = cell.arrays.get("steps", np.empty(0)).size == 1
    return np.array([0] if closed else sorted({0, *study.training.watch, study.training.steps}))


def _columns(cell: CellRecord, proxy: Proxy, kept: np.ndarray, n_steps: int) -> dict[str, np.ndarray]:
    """Return the values along the path: of its beginning and end, and between what the cell says."""
    reference = proxy.setting.reference.log_reference
    end = proxy.values(kept)
    start = proxy.values(proxy.setting.kept(np.repeat(reference[:, None], kept.shape[1], axis=1)))
    return {name: _path(cell.arrays.get(name), getattr(start, name), getattr(end, name), n_steps) for name in COLUMNS}


def _path(said: np.ndarray | None, start: np.ndarray, end: np.ndarray, n_steps: int) -> np.ndarray:
    shape = (n_steps, *end.shape)
    known = said is not None and (said.shape, said.dtype) == (shape, end.dtype)
    path = np.array(said if known else np.broadcast_to(end, shape))
    path[0], path[-1] = start, end  # of a single step it is the end
    return path


def _counts(said: np.ndarray, steps: np.ndarray) -> bool:
    """Return whether these may be what a policy's training cost until each step."""
    if (said.shape, said.dtype) != (steps.shape, steps.dtype):
        return False
    return bool(said[0] == 0 and (np.diff(said) >= 0).all())


def _impossible_between(columns: Mapping[str, np.ndarray], proxy: Proxy) -> Iterator[str]:
    """Yield what no policy can have between beginning and end of the path."""
    reference = proxy.setting.reference
    both = np.log(reference.prompts.sizes)  # KL and entropy of a policy, where the reference is uniform
    between = {name: values[1:-1] for name, values in columns.items()}
    for name, (least, most) in _bounds(proxy, both).items():
        slack = SLACK * (1 + np.abs([least, most]).max())
        inside = (between[name] >= least[:, None] - slack) & (between[name] <= most[:, None] + slack)
        if not inside.all():
            yield name
    even = proxy.setting.reference_name == UNIFORM
    if even and not np.allclose(between["kl"] + between["entropy"], both[:, None], rtol=0, atol=SLACK * 100):
        yield "kl and entropy"


def _bounds(proxy: Proxy, entropy: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the least and the largest value on each prompt, of any policy; ``entropy`` is the most that it can be."""
    prompts, length = proxy.setting.reference.prompts, proxy.setting.tested.part.length.astype(np.float64)
    none, (least, most) = np.zeros_like(entropy), proxy.gold_range().T
    ranges = {
        name: (-prompts.largest(-one), prompts.largest(one))
        for name, one in (("proxy", proxy.test), ("length", length))
    }
    of_nats = {"kl": (none, largest_kl(proxy.setting.reference)), "entropy": (none, entropy)}
    return {"gold": (least, most), **ranges, "win_rate": (none, none + 1), **of_nats}
