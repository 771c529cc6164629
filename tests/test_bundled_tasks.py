"""The bundled pools are what their cards say, and hold no text. Whoever redistributes or cites them relies on it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import rmsuite_tasks
from rmsuite.harness import Setting
from rmsuite.pools import load_embeddings, load_pool, read_card
from rmsuite.splits import FRACTIONS, part_of
from rmsuite.tasks import read_book

ROOT = Path(rmsuite_tasks.__file__).parent
POOLS = ("alpaca-eval", "alpaca-eval-probe", "hh-rlhf")
BOOK = read_book([ROOT])

every_pool = pytest.mark.parametrize("name", POOLS)


@pytest.fixture(scope="module")
def pools():
    return {name: load_pool(ROOT / "pools" / name)[0] for name in POOLS}


def card(name):
    return read_card(ROOT / "pools" / name / "pool.toml")


def test_these_are_all_pools():
    assert {path.name for path in (ROOT / "pools").iterdir()} == set(POOLS)


def test_the_hook_offers_this_folder():
    assert rmsuite_tasks.rmsuite_tasks() == [ROOT]


@pytest.mark.parametrize("name", sorted(BOOK.tasks))
def test_every_task_loads_and_gives_pairs(name):
    task = BOOK.task(name).load()
    setting = Setting(task, 0, 0)
    assert len(setting.pairs) > 1000
    assert len(setting.pairs.validation) > 200
    assert task.test.n_prompts > 150
    assert set(task.card.columns) <= {"pair-accuracy", "spearman", "best-of-16"}


def test_every_suite_names_tasks_that_exist():
    assert "default" in BOOK.suites
    for suite in BOOK.suites.values():
        assert set(suite.tasks) <= set(BOOK.tasks)
        assert suite.repetitions >= 2


def test_the_package_holds_arrays_and_cards_only():
    files = [path for path in ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files if "pools" in path.parts} == {".npy", ".toml"}
    assert {path.relative_to(ROOT).as_posix() for path in files if path.suffix not in (".npy", ".toml")} == {
        "__init__.py",
        "references.bib",
    }


def test_every_array_is_numbers_or_ids():
    """An id is a hexadecimal digest: there is no text of a prompt or of a response."""
    for path in ROOT.rglob("*.npy"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype.kind == "S":
            assert path.stem in ("prompt_id", "response_id")
            assert all(set(value) <= set(b"0123456789abcdef") and 10 <= len(value) <= 14 for value in array.tolist())
        else:
            assert array.dtype.kind in "iuf"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.toml")), ids=lambda path: path.stem)
def test_cards_are_short(path):
    assert path.stat().st_size < 10_000


@every_pool
def test_the_cards_counts_are_those_of_the_arrays(pools, name):
    pool, facts = pools[name], card(name)
    assert facts["name"] == pool.name == name
    assert facts["n_prompts"] == len(pool.prompt_id)
    assert facts["n_responses"] == len(pool.response_id)
    assert facts["n_human_pairs"] == (0 if pool.human_pairs is None else len(pool.human_pairs))
    assert set(np.unique(pool.category)) == set(range(len(facts["categories"])))
    assert set(np.unique(pool.generator)) == set(range(len(facts["generators"])))
    assert (pool.length >= 0).all()


@every_pool
def test_a_pool_states_where_it_comes_from_and_what_is_wrong_with_it(name):
    facts = card(name)
    for field in ("source", "licence", "redistribution", "citation", "label_source", "gold", "length_unit"):
        assert len(facts[field]) > 2, field
    assert facts["known_flaws"]


@every_pool
def test_embeddings_are_finite_and_what_their_card_says(pools, name):
    folder = ROOT / "pools" / name
    homes = sorted((folder / "embeddings").iterdir())
    assert homes
    for home in homes:
        embeddings = load_embeddings(folder, home.name, len(pools[name].response_id))
        matrix, facts = embeddings.matrix, embeddings.card
        assert facts["base_model"] == home.name
        assert (facts["n_responses"], facts["n_features"]) == matrix.shape
        assert facts["dtype"] == matrix.dtype.name == "float16"
        assert np.isfinite(matrix).all()
        assert float(np.abs(matrix).max()) == facts["float16_largest_value"]
        assert facts["float16_relative_error"] < 1e-3
        assert len(np.unique(matrix, axis=0)) > 0.95 * len(matrix), "rows that repeat would be a fault of the recipe"


def test_a_base_model_was_used_alike_on_all_pools():
    fields = ("base_model_name", "package", "weights_sha256", "precision", "layer", "input", "pooling", "truncation")
    cards = [read_card(path) for path in sorted(ROOT.glob("pools/*/embeddings/minilm-l6/embeddings.toml"))]
    assert len(cards) == len(POOLS)
    assert len({tuple(facts[field] for field in fields) for facts in cards}) == 1


def test_alpaca_eval_is_what_it_was_made_to_be(pools):
    pool, facts = pools["alpaca-eval"], card("alpaca-eval")
    assert len(pool.prompt_id) == 805
    assert len(pool.categories) == 5
    assert not {"NullModel", "gpt4_gamed", "gpt4_1106_preview"} & set(facts["generators"])
    part = part_of(pool.prompt_id, FRACTIONS)
    sizes = np.diff(pool.offsets)
    assert sizes[part != "test"].max() <= 16
    assert sizes[part == "test"].min() > 16
    assert pool.gold is not None


def test_the_probe_holds_the_two_attacks_on_the_same_prompts(pools):
    probe, pool = pools["alpaca-eval-probe"], pools["alpaca-eval"]
    assert card("alpaca-eval-probe")["generators"] == ["NullModel", "gpt4_gamed"]
    np.testing.assert_array_equal(probe.prompt_id, pool.prompt_id)
    np.testing.assert_array_equal(probe.category, pool.category)
    assert (np.diff(probe.offsets) == 2).all()
    assert not set(probe.response_id.tolist()) & set(pool.response_id.tolist())


def test_hh_rlhf_is_what_it_was_made_to_be(pools):
    pool = pools["hh-rlhf"]
    assert pool.human_pairs.shape == (8505, 2)
    assert len(pool.categories) == 4
    assert pool.gold is None
    assert len(np.unique(pool.human_pairs)) == len(pool.response_id), "every response is in a pair"
    assert len(np.unique(np.sort(pool.human_pairs, axis=1), axis=0)) == 8505, "no pair is there twice"


def test_the_stated_flaws_are_true(pools):
    """The longer response wins 52 % of the human pairs."""
    pool = pools["hh-rlhf"]
    chosen, rejected = pool.length[pool.human_pairs].T
    unequal = chosen != rejected
    assert np.mean(chosen[unequal] > rejected[unequal]) == pytest.approx(0.52, abs=0.006)


def test_a_prompt_is_in_the_same_part_of_every_pool(pools):
    parts = {
        name: dict(zip(p.prompt_id.tolist(), part_of(p.prompt_id, FRACTIONS), strict=True)) for name, p in pools.items()
    }
    for one, other in combinations(POOLS, 2):
        for prompt in parts[one].keys() & parts[other].keys():
            assert parts[one][prompt] == parts[other][prompt]
    assert len(parts["alpaca-eval"].keys() & parts["alpaca-eval-probe"].keys()) == 805


@every_pool
def test_parts_are_near_their_fractions(pools, name):
    part = part_of(pools[name].prompt_id, FRACTIONS)
    n = len(part)
    for name, fraction in FRACTIONS.items():
        assert abs(np.mean(part == name) - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / n)
