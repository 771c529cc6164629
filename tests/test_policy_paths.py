"""Policies along their path: its end is what the table prints, and no row moves another's. Curves rely on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rmsuite.policy_study import label
from rmsuite.reports.policies import policy_tables
from rmsuite.reports.policy_paths import policy_paths
from rmsuite.results import CellRecord

STEPS = (0, 1, 3, 10, 40)
N_PROMPTS, N_POLICIES = 30, 2
SHAPES = {"gold": 1.0, "proxy": 1.4, "win_rate": 0.3, "kl": 2.0, "length": 50.0}  # what is reached at the end
LINE = "rmsuite:2|task:toy@1|seed:0"


def cell(
    optimizer: str, beta: float, repetition: int = 0, method: str = "mine", steps: tuple[int, ...] = STEPS
) -> CellRecord:
    """A cell whose values rise along the path, and more so where beta is small."""
    rng = np.random.default_rng([repetition, len(optimizer), int(100 * beta), len(method)])
    reached = np.log1p(steps) / np.log1p(max(*steps, 40)) / (1 + beta) if len(steps) > 1 else np.array([1 / (1 + beta)])
    shape = (len(steps), N_PROMPTS, N_POLICIES)
    arrays = {
        name: top * reached[:, None, None] * (0.5 + rng.random(shape)) + (0.5 if name == "win_rate" else 0.0)
        for name, top in SHAPES.items()
    }
    arrays |= {"reference_gold": np.zeros(N_PROMPTS), "reference_proxy": np.full(N_PROMPTS, 0.1)}
    arrays |= {"reference_length": np.full(N_PROMPTS, 100.0), "gold_range": np.tile([-3.0, 3.0], (N_PROMPTS, 1))}
    arrays |= {"largest_kl": np.full(N_PROMPTS, 4.0)}
    samples = 8 * np.array(steps)
    arrays |= {"steps": np.array(steps), "samples": samples, "reward_calls": samples}
    facts = {"reward_model": method, "optimizer": optimizer, "beta": beta, "hyperparameters": [], "n_policies": 2}
    facts |= {"n_test_responses": 300}
    name = label(method, optimizer, beta)
    return CellRecord("toy@1", name, "policy", repetition, "ok", LINE, "here", facts=facts, arrays=arrays)


def closed(optimizer: str, beta: float, repetition: int = 0) -> CellRecord:
    return cell(optimizer, beta, repetition, steps=(0,))


def cells(*optimizers: str, betas: tuple[float, ...] = (0.0, 0.1, 1.0)) -> list[CellRecord]:
    trained = [cell(name, beta, r) for name in optimizers for beta in betas for r in range(2)]
    forms = ("optimum", "best-of-n[n=4]", "best-of-n[n=16]")
    return trained + [closed(name, beta, r) for name in forms for beta in betas for r in range(2)]


def paths(records):
    (found,) = policy_paths(records, policy_tables(records))
    return found


def by_row(found):
    return {(path.method, path.optimizer, path.beta): path for path in found.paths}


def test_the_end_of_each_path_is_its_row_of_the_table_to_the_bit():
    records = cells("climb", "climb[k=2]")
    (table,) = policy_tables(records)
    found = paths(records)
    assert (found.task, found.signature, found.n_policies) == (table.task, table.signature, table.n_policies)
    assert [(path.method, path.optimizer, path.beta) for path in found.paths] == [
        (row.method, row.optimizer, row.beta) for row in table.rows
    ]
    for path, row in zip(found.paths, table.rows, strict=True):
        end = path.end
        assert (end.gold, end.proxy, end.kl, end.samples) == (row.gold, row.proxy, row.kl, row.samples)


def test_each_point_is_the_mean_of_its_step_less_the_reference():
    records = cells("climb")
    path = by_row(paths(records))["mine", "climb", 0.1]
    own = [one for one in records if one.method == label("mine", "climb", 0.1)]
    assert [point.step for point in path.points] == list(STEPS)
    for place, point in enumerate(path.points):
        mean = {name: np.mean([one.arrays[name][place].mean() for one in own]) for name in ("gold", "proxy", "kl")}
        assert point.gold.value == pytest.approx(mean["gold"])
        assert point.proxy == pytest.approx(mean["proxy"] - 0.1)
        assert point.kl == pytest.approx(mean["kl"])
        assert point.samples == 8 * point.step
        assert point.gold.low <= point.gold.value <= point.gold.high
        assert (point.gold.n_clusters, point.gold.n_repetitions) == (N_PROMPTS, 2)


def test_points_share_their_resamples():
    """Cells whose steps are all alike have one interval at every step."""
    flat = [
        replace(one, arrays={**one.arrays, "gold": np.repeat(one.arrays["gold"][-1:], len(STEPS), axis=0)})
        for one in cells("climb")[:2]
    ]
    (path,) = paths(flat).paths
    assert len({point.gold for point in path.points}) == 1
    assert path.end.gold.low < path.end.gold.high


def test_neither_the_order_of_cells_nor_other_rows_nor_other_steps_move_a_number():
    records = cells("climb", "other")
    whole = by_row(paths(records))
    assert by_row(paths(records[::-1])) == whole
    alone = [one for one in records if one.facts["optimizer"] == "climb"]
    assert by_row(paths(alone)) == {key: path for key, path in whole.items() if key[1] == "climb"}

    def thinned(one):
        along = {name: one.arrays[name][::2] for name in (*SHAPES, "steps", "samples", "reward_calls")}
        return replace(one, arrays={**one.arrays, **along})

    for key, path in by_row(paths([thinned(one) for one in alone])).items():
        assert path.points == whole[key].points[::2]


def test_repetitions_that_were_watched_at_different_steps_share_what_they_have_in_common():
    records = [cell("climb", 0.0, 0), cell("climb", 0.0, 1, steps=(0, 3, 7, 40))]
    (path,) = paths(records).paths
    assert [point.step for point in path.points] == [0, 3, 40]


def test_closed_forms_have_one_point_and_draw_nothing():
    found = by_row(paths(cells("climb")))
    assert {key[1] for key, path in found.items() if path.closed} == {"optimum", "best-of-n[n=4]", "best-of-n[n=16]"}
    assert all(len(path.points) == 1 for path in found.values() if path.closed)


def test_a_frontier_joins_the_ends_of_one_reward_model_and_optimizer_name_by_rising_kl():
    records = [*cells("climb", "climb[k=2]"), *(cell("climb", 0.1, r, method="theirs") for r in range(2))]
    found = paths(records)
    names = {(one.method, one.family): one.paths for one in found.frontiers}
    sizes = {("mine", "climb"): 6, ("mine", "optimum"): 3, ("mine", "best-of-n"): 6, ("theirs", "climb"): 1}
    assert {name: len(group) for name, group in names.items()} == sizes
    assert sorted((path for group in names.values() for path in group), key=repr) == sorted(found.paths, key=repr)
    for group in names.values():
        kl = [path.end.kl for path in group]
        assert kl == sorted(kl)


def test_a_row_without_numbers_has_no_path_and_its_reason_is_told():
    records = cells("climb")
    missing, failed, *rest = records
    bad = replace(failed, status="failed", phase="train", error="boom", arrays={})
    found = paths([missing, bad, *rest])
    assert found.omitted == ("mine, climb, beta 0: 1 of 2 cells failed: train: boom",)
    assert ("mine", "climb", 0.0) not in by_row(found)
    whole = by_row(paths(records))
    assert by_row(found) == {key: path for key, path in whole.items() if key != ("mine", "climb", 0.0)}
    assert paths([failed, *rest]).omitted == ("mine, climb, beta 0: 1 of 2 repetitions",)


def test_cells_without_any_number_have_no_paths():
    records = [replace(one, status="failed", phase="fit", error="boom", arrays={}) for one in cells("climb")]
    found = paths(records)
    assert (found.paths, found.frontiers) == ((), ())
    assert len(found.omitted) == 12


def test_each_task_has_its_own_paths():
    mine, other = cells("climb")[:2], [replace(one, task="else@1") for one in cells("other")[:2]]
    found = policy_paths([*mine, *other], policy_tables([*mine, *other]))
    assert [(one.task, {path.optimizer for path in one.paths}) for one in found] == [
        ("toy@1", {"climb"}),
        ("else@1", {"other"}),
    ]
