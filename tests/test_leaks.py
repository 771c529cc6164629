"""A method sees training pairs and shuffled test embeddings, and nothing else. Every number of the benchmark rests on
it: a spying method looks through its whole process, and tries the files. The detector is shown to detect, too.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import write_root
from leak_detector import Secrets, find
from running import entrants, executor, loaded, settings

from rmsuite import harness
from rmsuite.data import PreferencePairs
from rmsuite.method import Configured
from rmsuite.setting import Setting

FIELDS = ["embeddings", "chosen", "rejected", "prompt", "category", "validation", "attributes", "ratings"]
ROOT_SEED = 7_318_008_551  # none that is in a process by chance; it would tell the order of test embeddings
CASES = [(task, repetition) for task in ("toy-gold", "toy-human") for repetition in range(2)]


def spy(root, folder, tasks, repetitions, *, guarded=True, parameters=None, targets=True):
    """Run the spy through the real path; return its reports, three a cell, and the secrets of each cell."""
    folder.mkdir(exist_ok=True)
    plugin = Path(shutil.copy(Path(__file__).with_name("spying_method.py"), folder))
    home = folder.parent / f"{folder.name}-results"
    pool, oracle = root / "pools" / "gold-pool", home / f"{tasks[0]}@1" / "oracle"
    orders = [*pool.glob("*"), *pool.glob("embeddings/*/*"), oracle / "0.json", f"/proc/{os.getpid()}/mem"]
    orders = [str(path) for path in orders if not Path(path).is_dir()] if targets else []
    (folder / "orders.json").write_text(json.dumps(orders))
    (entrant,) = entrants(plugin, ["spy"])
    entrant = dataclasses.replace(entrant, configured=Configured(entrant.configured.method, parameters or {}))
    cards, workers = loaded(root, *tasks), executor(plugin, [root, home] if guarded else [])
    records = harness.run(cards, [entrant], repetitions, ROOT_SEED, workers, home)
    assert [record.error for record in records if record.status != "ok"] == []
    reports = [pickle.loads(path.read_bytes()) for path in sorted(folder.glob("*.found"))]
    secrets = [Secrets(setting) for card in cards for setting in settings(card, repetitions, ROOT_SEED)]
    assert len(reports) == 3 * len(secrets)
    return reports, secrets


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("leaks") / "toy-tasks")


@pytest.fixture(scope="module")
def spied(root, tmp_path_factory):
    """Two repetitions of both tasks in one process, one after another."""
    return spy(root, tmp_path_factory.mktemp("spied"), ("toy-gold", "toy-human"), 2)


@pytest.fixture(params=range(len(CASES)), ids=[f"{task}-{repetition}" for task, repetition in CASES])
def cell(request, spied):
    """What the spy found in fit, in reward and in probability, and the secrets of that cell."""
    reports, secrets = spied
    return *reports[3 * request.param : 3 * request.param + 3], secrets[request.param]


def test_no_secret_is_within_reach_of_fit(cell):
    """Gold, ids, test rows, test embeddings and files; those that a cell before it was handed are gone too."""
    fit, _, _, secrets = cell
    assert fit["phase"] == "fit"
    assert find(fit, secrets) == set()


def test_no_secret_is_within_reach_of_reward(cell):
    """Gold, ids, test rows and files; test embeddings are there, in an order of their own."""
    _, reward, _, secrets = cell
    assert reward["phase"] == "reward"
    assert find(reward, secrets) == set()


def test_no_secret_is_within_reach_of_probability(cell):
    """It is asked last, when all rewards are given; that two responses share a prompt is all that it learns."""
    _, _, probability, secrets = cell
    assert probability["phase"] == "probability"
    assert find(probability, secrets) == set()
    assert probability["given"]["writeable"] is False
    np.testing.assert_array_equal(
        [probability["given"][side] for side in ("first", "second")], secrets.setting.asked_pairs, strict=True
    )


def test_no_secret_of_another_cell_is_within_reach(spied):
    """The process that ran the cells before holds nothing of them: neither their order nor their embeddings."""
    reports, secrets = spied
    for report in reports[::3]:
        for other in secrets:
            assert find(report, other) == set()


def test_the_spy_looks_everywhere(cell):
    """It finds what it is meant to have, in all of the shapes that it would find a secret in."""
    fit, reward, _, secrets = cell
    pairs = fit["given"]["pairs"]
    assert any(np.array_equal(array, pairs.embeddings) for array in fit["arrays"])
    assert any(np.array_equal(array, secrets.setting.test_embeddings) for array in reward["arrays"])
    assert b"rmsuite.worker" in fit["block"]
    assert len(fit["attempts"]) > 200


def test_all_ways_to_all_files_are_refused(cell):
    for report in cell[:3]:
        assert set(report["attempts"].values()) == {"refused"}


def test_test_embeddings_come_in_an_order_of_their_own(cell):
    _, reward, _, secrets = cell
    given = reward["given"]["embeddings"]
    assert not np.array_equal(given, secrets.embeddings)
    np.testing.assert_array_equal(given, secrets.embeddings[secrets.setting.test_order], strict=True)
    assert np.mean(secrets.setting.test_order == np.arange(len(given))) < 0.1


def test_the_order_differs_between_repetitions(spied):
    reports, _ = spied
    first, second = reports[1]["given"]["embeddings"], reports[4]["given"]["embeddings"]
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(second, axis=0))


def test_preference_pairs_have_the_documented_fields_and_no_other(cell):
    fit, reward, _, _ = cell
    assert [field.name for field in dataclasses.fields(PreferencePairs)] == FIELDS
    assert fit["given"]["kind"] == "PreferencePairs"
    assert fit["given"]["fields"] == {"pairs": FIELDS, "validation": FIELDS}
    assert fit["given"]["pairs"].validation.validation is None
    for pairs in (fit["given"]["pairs"], fit["given"]["pairs"].validation):
        assert (pairs.attributes, pairs.ratings) == ((), None)  # these tasks have none
    documented = {"embeddings": "float32", "chosen": "int64", "rejected": "int64", "prompt": "int64"}
    documented["category"] = "int64"
    expected = {f"{part}.{k}": (v, False) for part in ("pairs", "validation") for k, v in documented.items()}
    assert reward["given"]["flags"] == expected
    assert reward["given"]["writeable"] is False


def test_training_arrays_hold_rows_of_their_part_only(cell):
    fit, _, _, secrets = cell
    task, pairs = secrets.setting.task, fit["given"]["pairs"]
    matrix = task.embeddings.matrix.astype(np.float32)
    for given, part in ((pairs, "train"), (pairs.validation, "validation")):
        allowed = {row.tobytes() for row in matrix[np.isin(task.pool.prompt, task.parts[part])]}
        assert {row.tobytes() for row in given.embeddings} <= allowed
        assert len(given) == len(given.rejected) == len(given.prompt) == len(given.category)
        assert set(np.concatenate([given.chosen, given.rejected])) == set(range(len(given.embeddings)))


# What follows tests the test: each leak is planted in the harness, and has to be found under its own name.


class WithGold(PreferencePairs):
    """Pairs that carry gold along, through pickling too."""

    def __reduce__(self):
        columns = [getattr(self, name) for name in FIELDS]
        return _with_gold, (*columns, self.gold)


def _with_gold(*columns_and_gold):
    pairs = WithGold(*columns_and_gold[:-1])
    object.__setattr__(pairs, "gold", columns_and_gold[-1])
    return pairs


def _whole_pool(self, part, validation):
    pool, drawn = self.task.pool, self._drawn[part]
    prompt = pool.prompt[drawn.chosen]
    every = self.task.embeddings.matrix.astype(np.float32)
    return PreferencePairs(every, drawn.chosen, drawn.rejected, prompt, pool.category[prompt], validation)


def _with_attribute(self, part, validation):
    pairs = pairs_of(self, part, validation)
    return _with_gold(*(getattr(pairs, name) for name in FIELDS), self.task.pool.gold)


pairs_of = Setting._pairs


def secret_parameters(task):
    setting = settings(task, 1, ROOT_SEED)[0]
    pool, test = task.pool, task.test
    shuffled = None if test.gold is None else test.gold[setting.test_order]
    return {
        "gold as an array": ("gold", lambda: pool.gold),
        "one gold reward as a float": ("gold", lambda: float(pool.gold[17])),
        "gold as a list": ("gold", lambda: {"deep": [{"down": test.gold.tolist()}]}),
        "gold in the shuffled order, as bytes": ("gold", lambda: shuffled.tobytes()),
        "gold as raw bytes in an array": ("gold", lambda: np.frombuffer(pool.gold.tobytes(), np.uint8).copy()),
        "gold among its ranks": ("gold", lambda: np.column_stack([np.argsort(pool.gold), pool.gold])),
        "prompt ids": ("ids", lambda: pool.prompt_id),
        "one response id in a text": ("ids", lambda: f"see {pool.response_id[3].decode()}!"),
        "the root seed": ("root seed", lambda: ROOT_SEED),
        "test rows": ("rows", lambda: test.rows.astype(np.int32)),
        "the shuffled order": ("rows", lambda: setting.test_order.tolist()),
        "asked pairs": ("asked pairs", lambda: np.column_stack(setting.asked_pairs)),
        "test embeddings": ("test embeddings", lambda: task.embeddings.matrix[test.rows[:3]]),
        "one test embedding as bytes": ("test embeddings", lambda: task.embeddings.matrix[test.rows[5]].tobytes()),
    }


SECRETS = [
    "gold as an array",
    "one gold reward as a float",
    "gold as a list",
    "gold in the shuffled order, as bytes",
    "gold as raw bytes in an array",
    "gold among its ranks",
    "prompt ids",
    "one response id in a text",
    "the root seed",
    "test rows",
    "the shuffled order",
    "asked pairs",
    "test embeddings",
    "one test embedding as bytes",
]


@pytest.mark.parametrize("name", SECRETS)
def test_the_detector_finds_a_secret_among_a_methods_parameters(root, tmp_path, name):
    (task,) = loaded(root, "toy-gold")
    kind, secret = secret_parameters(task)[name]
    reports, secrets = spy(root, tmp_path / "spy", ("toy-gold",), 1, parameters={"extra": secret()}, targets=False)
    assert find(reports[0], secrets[0]) == {kind}


def test_the_detector_finds_the_rows_of_human_test_pairs(root, tmp_path):
    (task,) = loaded(root, "toy-human")
    parameters = {"extra": np.column_stack([task.test.chosen, task.test.rejected])}
    reports, secrets = spy(root, tmp_path / "spy", ("toy-human",), 1, parameters=parameters, targets=False)
    assert find(reports[0], secrets[0]) == {"rows"}


@pytest.mark.parametrize(
    ("attribute", "leaking", "phase", "kind"),
    [
        ("_pairs", _whole_pool, 0, "test embeddings"),
        ("_pairs", _with_attribute, 0, "gold"),
        ("test_order", property(lambda self: np.arange(len(self.task.test.rows))), 1, "pool order"),
    ],
    ids=["pairs with the whole pool's embeddings", "gold attached to the pairs", "test embeddings in pool order"],
)
def test_the_detector_finds_a_leak_of_the_harness(root, tmp_path, monkeypatch, attribute, leaking, phase, kind):
    monkeypatch.setattr(Setting, attribute, leaking)
    reports, secrets = spy(root, tmp_path / "spy", ("toy-gold",), 1, targets=False)
    assert kind in find(reports[phase], secrets[0])


def test_the_detector_finds_files_that_can_be_opened(tmp_path):
    """Without the guard every way succeeds, but for the links that a system may refuse by itself."""
    root = write_root(tmp_path / "toy-tasks")
    reports, secrets = spy(root, tmp_path / "spy", ("toy-gold",), 1, guarded=False)
    assert find(reports[0], secrets[0]) == {"files"}
    outcomes = {name: outcome for name, outcome in reports[0]["attempts"].items() if "/mem" not in name}
    assert [name for name, outcome in outcomes.items() if not outcome.startswith("opened")] == []
