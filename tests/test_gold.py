"""Gold reward models stand in for labels, and never beside them. Whoever studies noise or large n relies on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import N_PROMPTS, N_RESPONSES, TASK, write_pool, write_root
from running import loaded, run, settings

from rmsuite.errors import TaskError, UnknownNameError
from rmsuite.pool_files import sha256, write_folder
from rmsuite.pools import load_gold
from rmsuite.render.footer import footer
from rmsuite.reports import tables


def gold_of(folder: Path, reward: np.ndarray, **card: object) -> Path:
    """Write rewards of a gold reward model beside a pool."""
    write_folder(folder / "golds" / "judge", "gold.toml", {"agreement": "right in 70 %", **card}, {"reward": reward})
    return folder / "golds" / "judge"


def test_rewards_of_a_gold_model_are_read_whole_or_refused(tmp_path):
    folder = write_pool(tmp_path, "mine", human=True)
    n = N_PROMPTS * N_RESPONSES
    gold_of(folder, np.arange(n, dtype=np.float32))
    found = load_gold(folder, "judge", n)
    assert found.reward.tolist() == list(range(n))
    assert found.summary == "judge, right in 70 %"

    for reward in (np.zeros(n - 1), np.zeros((n, 1)), np.full(n, np.nan)):
        gold_of(folder, reward)
        with pytest.raises(TaskError, match="finite rewards"):
            load_gold(folder, "judge", n)
    (gold_of(folder, np.zeros(n)) / "reward.npy").write_bytes(b"other")
    with pytest.raises(TaskError, match="sha256"):
        load_gold(folder, "judge", n)


@pytest.fixture
def judged(tmp_path):
    """A task on a pool of human pairs, and one on the same pool with the rewards of a gold reward model."""
    root = write_root(tmp_path / "t")
    folder = root / "pools" / "human-pool"
    reward = np.random.default_rng(0).standard_normal(N_PROMPTS * N_RESPONSES).astype(np.float32)
    gold_of(folder, reward)
    text = TASK.format(name="judged", pool="human-pool", annotator="perfect", pairs=4, columns='"pair-accuracy"')
    (root / "tasks" / "judged.toml").write_text(text + 'gold = "judge"\n')
    return root, reward


def test_a_gold_model_takes_the_place_of_the_pools_own_labels(judged):
    root, reward = judged
    human, modelled = loaded(root, "toy-human", "judged")
    assert human.pool.gold is None
    np.testing.assert_array_equal(modelled.pool.gold, reward)
    assert modelled.pool.human_pairs is None
    np.testing.assert_array_equal(modelled.test.gold, reward[modelled.test.rows])
    card = root / "pools" / "human-pool" / "golds" / "judge" / "gold.toml"
    assert modelled.signature()["gold"] == f"judge#{sha256(card)[:12]}"
    assert "gold" not in human.signature()
    (setting,) = settings(modelled, 1)
    rows = np.unique(np.concatenate([setting._drawn["train"].chosen, setting._drawn["train"].rejected]))
    gold = reward[rows]
    assert (gold[setting.pairs.chosen] > gold[setting.pairs.rejected]).all()
    assert setting.facts()["gold"] == "judge, right in 70 %"


def test_a_gold_model_that_is_not_there_is_refused(judged):
    root, _ = judged
    path = root / "tasks" / "judged.toml"
    path.write_text(path.read_text().replace('"judge"', '"jude"'))
    with pytest.raises(UnknownNameError, match=r"gold reward model 'jude'.*judge"):
        loaded(root, "judged")
    path.write_text(path.read_text().replace('"jude"', '"judge"') + 'train_pool = "gold-pool"\n')
    with pytest.raises(UnknownNameError, match="gold reward model"):
        loaded(root, "judged")


def test_tasks_of_a_gold_model_are_never_averaged_with_others(judged, tmp_path):
    root, _ = judged
    cells = run(root, tmp_path / "r", ["honest"], names=("judged", "toy-human", "toy-gold"))
    by_task = list(cells.values())
    both = tables.report(by_task)
    assert both.overall.tasks == ("toy-gold@1", "toy-human@1")
    assert any("judged@1" in text for text in both.overall.warnings)
    labelled = tables.report([cell for cell in by_task if cell.task != "judged@1"])
    for one, other in zip(both.overall.rows, labelled.overall.rows, strict=True):
        assert (one.method, one.estimates) == (other.method, other.estimates)
    assert tables.report([cell for cell in by_task if cell.task != "toy-gold@1"]).overall is None
    (mine,) = (table for table in both.tables if table.task == "judged@1")
    assert "Gold: no label, but the reward of judge, right in 70 %." in footer(mine)
