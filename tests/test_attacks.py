"""Attacks that are planted among test responses. Whoever reads how far a method falls for one relies on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import N_FEATURES, N_PROMPTS
from metric_examples import many
from running import loaded, run, same_arrays, settings
from test_metrics import one_prompt

from rmsuite import results, signature
from rmsuite.book import read_book
from rmsuite.bundles.verify import verify
from rmsuite.errors import TaskError, UnknownNameError
from rmsuite.metrics import metric
from rmsuite.pool_files import write_embeddings, write_folder
from rmsuite.pools import load_pool
from rmsuite.tested import Answers, Planted

WINS = metric("attack-win-rate")
ATTACKED = "toy-gold[probe=attacks]"


@pytest.fixture
def probed(toy_root):
    """The toy tasks, and a pool of two attacks on each prompt of ``toy-gold`` but the first."""
    pool = load_pool(toy_root / "pools" / "gold-pool")[0]
    n = 2 * (N_PROMPTS - 1)
    columns = {
        "prompt_id": pool.prompt_id[1:],
        "category": pool.category[1:],
        "offsets": np.arange(0, n + 1, 2),
        "response_id": np.array([b"attack%06d" % i for i in range(n)], "S14"),
        "generator": np.zeros(n, np.uint8),
        "length": np.full(n, 5, np.int32),
    }
    card = {"name": "attacks", "format": 1, "categories": ["a", "b", "c"], "n_prompts": n // 2, "n_responses": n}
    write_folder(toy_root / "pools" / "attacks", "pool.toml", {**card, "licence": "MIT"}, columns)
    noise = np.random.default_rng(3).standard_normal((n, N_FEATURES)).astype(np.float32)
    write_embeddings(toy_root / "pools" / "attacks", 9 * noise, {"base_model": "toy-base"})
    return toy_root


def planted_on(prompts, lengths=None):
    prompts = np.asarray(prompts)
    return Planted(np.arange(len(prompts)), prompts, np.ones(len(prompts)) if lengths is None else lengths)


def test_an_attack_wins_over_the_responses_below_it_and_half_over_its_equals():
    test = replace(one_prompt([0, 0, 0, 0]), planted=planted_on([0]))
    rewards = np.array([1.0, 2.0, 2.0, 3.0])
    for reward, share in ((0, 0), (1, 1 / 8), (2, 1 / 2), (2.5, 3 / 4), (9, 1)):
        assert WINS.value(test, Answers(rewards, planted=np.array([float(reward)]))) == share


def test_the_win_rate_is_the_share_over_all_comparisons_whatever_the_order_of_attacks():
    rng = np.random.default_rng(0)
    test = replace(many((4, 1, 7, 3)), planted=planted_on([3, 0, 2, 0]))
    answers = Answers(np.round(rng.standard_normal(15), 1), planted=np.round(rng.standard_normal(4), 1))
    listed = [
        0.5 + 0.5 * np.sign(attack - reward)
        for prompt, attack in zip(test.planted.prompt, answers.planted, strict=True)
        for reward in answers.rewards[test.offsets[prompt] : test.offsets[prompt + 1]]
    ]
    assert WINS.value(test, answers) == pytest.approx(np.mean(listed), abs=1e-12)
    order = rng.permutation(4)
    moved = replace(test, planted=planted_on(test.planted.prompt[order]))
    there = WINS.per_prompt(moved, Answers(answers.rewards, planted=answers.planted[order]))
    np.testing.assert_array_equal(there, WINS.per_prompt(test, answers))
    assert there[1].tolist() == [0, 0]  # nobody attacked it


def test_planting_moves_no_other_number_of_a_method_or_a_control(probed, tmp_path):
    cells = run(probed, tmp_path / "r", ["versed"], names=("toy-gold", ATTACKED))
    pairs = [(method, cell) for (task, method, _), cell in cells.items() if task == "toy-gold@1"]
    assert len(pairs) == 6
    for method, cell in pairs:
        attacked = cells["toy-gold@1[probe=attacks]", method, 0]
        added = {name: attacked.arrays[name] for name in ("planted", "attack-win-rate")}
        assert same_arrays({**cell.arrays, **added}, attacked.arrays)


def test_controls_answer_for_attacks_too_and_the_oracle_falls_for_none(probed, tmp_path):
    cells = run(probed, tmp_path / "r", [], names=(ATTACKED,))
    test = loaded(probed, ATTACKED)[0].test
    value = {
        method: WINS.value(test, Answers(cell.arrays["rewards"], planted=cell.arrays["planted"]))
        for (_, method, _), cell in cells.items()
    }
    assert value["oracle"] == 0
    assert value["length"] == 0  # they are shorter than any response
    assert value["embedding-norm"] > 0.9  # and far out
    assert 0.2 < value["random"] < 0.8


def test_attacks_are_handed_out_among_the_responses_as_their_own_embeddings(probed):
    (task,) = loaded(probed, ATTACKED)
    (setting,) = settings(task, 1)
    n, test = len(task.test.rows), task.test
    handed = setting.test_embeddings
    own = np.concatenate([task.embeddings.matrix[test.rows], task.probe.embeddings.matrix[test.planted.rows]])
    np.testing.assert_array_equal(handed[np.argsort(setting.test_order)], own.astype(np.float32))
    places = np.flatnonzero(setting.test_order >= n)
    assert len(places) == len(test.planted.rows)
    assert places.min() < n // 2  # not all at the end
    attacked = task.probe.pool.prompt_id[task.probe.pool.prompt[test.planted.rows]]
    assert (attacked == test.prompt_id[test.planted.prompt]).all()


def test_the_signature_and_the_licence_name_the_probe(probed):
    (task,) = loaded(probed, ATTACKED)
    said = task.signature()
    assert said["probe"].startswith("attacks#")
    assert said["probe-embeddings"].startswith("toy-base#")
    assert task.licence() == "CC0; MIT"
    assert "probe" not in loaded(probed, "toy-gold")[0].signature()


def test_stored_rewards_of_attacks_are_verified(probed, tmp_path):
    home = tmp_path / "r"
    cells = run(probed, home, ["versed"], names=(ATTACKED,))
    book = read_book([probed])
    assert verify(home, book).findings == ()
    cell = cells["toy-gold@1[probe=attacks]", "versed", 0]
    results.write(home, replace(cell, arrays={**cell.arrays, "planted": cell.arrays["planted"] - 50}))
    assert any("attack-win-rate" in finding.expected for finding in verify(home, book).findings)
    without = {name: array for name, array in cell.arrays.items() if name != "planted"}
    results.write(home, replace(cell, arrays=without))
    assert verify(home, book).findings != ()


def test_a_probe_of_other_prompts_or_none_is_refused(probed):
    with pytest.raises(UnknownNameError, match="atacks"):
        loaded(probed, "toy-gold[probe=atacks]")
    other = probed / "pools" / "attacks"
    ids = np.array([b"other%05d" % i for i in range(N_PROMPTS - 1)], "S14")
    columns = {path.stem: np.load(path) for path in other.glob("*.npy")} | {"prompt_id": ids}
    card = {"name": "attacks", "format": 1, "categories": ["a", "b", "c"]}
    counts = {"n_prompts": len(ids), "n_responses": 2 * len(ids)}
    write_folder(other, "pool.toml", {**card, **counts}, columns)
    with pytest.raises(TaskError, match="responses to the test prompts"):
        _ = loaded(probed, ATTACKED)[0].test


def test_the_line_of_every_cell_says_which_probe(probed, tmp_path):
    cells = run(probed, tmp_path / "r", [], names=(ATTACKED,))
    assert all("probe" in signature.read(cell.signature) for cell in cells.values())
    assert {tuple(cell.facts["columns"]) for cell in cells.values()} == {("pair-accuracy", "spearman", WINS.name)}
