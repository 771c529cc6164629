"""The bundled pools are what their cards say, and hold no text. Whoever redistributes or cites them relies on it."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import generated
import numpy as np
import pool_facts
import pytest
import signal_lines

import rmsuite_tasks
from rmsuite import cli, results
from rmsuite.book import read_book
from rmsuite.metrics import metric
from rmsuite.pools import load_embeddings, load_gold, load_pool, read_card
from rmsuite.reports.tables import report
from rmsuite.setting import Setting
from rmsuite.splits import FRACTIONS, part_of
from rmsuite.sweeps import studies, tasks_of
from rmsuite.tested import Answers, test_set

ROOT = Path(rmsuite_tasks.__file__).parent
POOLS = ("alpaca-eval", "alpaca-eval-probe", "hh-rlhf", "math", "mqm", "mt-bench", "safety", "summaries", "truthfulqa")
BOOK = read_book([ROOT])

every_pool = pytest.mark.parametrize("name", POOLS)


@pytest.fixture(scope="module")
def pools():
    return {name: load_pool(ROOT / "pools" / name)[0] for name in POOLS}


def card(name):
    return read_card(ROOT / "pools" / name / "pool.toml")


def test_these_are_all_pools():
    assert {path.name for path in (ROOT / "pools").iterdir()} == set(POOLS)


def test_the_hook_offers_this_folder_and_the_larger_one_of_a_checkout():
    more = ROOT.parent / "more"
    assert rmsuite_tasks.rmsuite_tasks() == [ROOT, *([more] if more.is_dir() else [])]


@pytest.mark.parametrize("name", sorted(BOOK.tasks))
def test_every_task_loads_and_gives_pairs(name):
    task = BOOK.task(name).load()
    setting = Setting(task, 0, 0)
    assert len(setting.pairs) > 500
    assert len(setting.pairs.validation) > 100
    assert task.test.n_prompts > 15
    shown = {"pair-accuracy", "spearman", "best-of-4", "best-of-16", "best-of-32", "over-optimisation"}
    assert set(task.card.columns) <= shown


def test_every_suite_names_tasks_that_exist():
    assert "default" in BOOK.suites
    for suite in BOOK.suites.values():
        assert tasks_of(studies(BOOK, suite))
        assert suite.repetitions >= 2 or suite.name == "smoke"
    assert BOOK.suite("default").tasks == ("alpaca-eval", "hh-rlhf", "truthfulqa", "safety", "math")
    assert set(BOOK.suites) >= {"smoke", "noise", "budget", "shift", "full"}


@pytest.mark.parametrize("label", [t.label for t in tasks_of(studies(BOOK, BOOK.suite("full"))) if t.changes])
def test_every_variant_of_the_suites_gives_pairs(label):
    card = BOOK.task(label)
    setting = Setting(card.load(), 0, 0)
    assert len(setting.pairs) >= 1000
    assert len(setting.pairs) == (card.budget or len(setting.pairs))
    assert len(setting.pairs.validation) >= 200
    assert setting.task.test.n_prompts > 15


def test_the_suite_full_holds_the_others():
    full = {task.label for task in tasks_of(studies(BOOK, BOOK.suite("full")))}
    for name in ("default", "noise", "budget", "shift", "probe", "overoptimization"):
        assert {task.label for task in tasks_of(studies(BOOK, BOOK.suite(name)))} <= full


def test_the_package_holds_arrays_and_cards_only():
    files = [path for path in ROOT.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.suffix for path in files if "pools" in path.relative_to(ROOT).parts} == {".npy", ".toml"}
    assert {path.relative_to(ROOT).as_posix() for path in files if path.suffix not in (".npy", ".toml")} == {
        "__init__.py",
        "references.bib",
    }


def test_every_array_is_numbers_or_ids():
    """An id is a hexadecimal digest: there is no text of a prompt or of a response."""
    for path in ROOT.rglob("*.npy"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.dtype.kind == "S":
            assert path.stem in ("prompt_id", "response_id", "split_id")
            assert all(set(value) <= set(b"0123456789abcdef") and 10 <= len(value) <= 14 for value in array.tolist())
        else:
            assert array.dtype.kind in "iuf"


@pytest.mark.parametrize("path", sorted({*ROOT.rglob("*.toml")} - {ROOT / "more.toml"}), ids=lambda path: path.stem)
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


def test_the_probe_holds_one_constant_text_on_the_same_prompts(pools):
    probe, pool = pools["alpaca-eval-probe"], pools["alpaca-eval"]
    assert card("alpaca-eval-probe")["generators"] == ["NullModel"]
    assert len(np.unique(probe.length)) == 1
    np.testing.assert_array_equal(probe.prompt_id, pool.prompt_id)
    np.testing.assert_array_equal(probe.category, pool.category)
    assert (np.diff(probe.offsets) == 1).all()
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
        name: dict(zip(p.prompt_id.tolist(), pool_facts.parts(p).tolist(), strict=True)) for name, p in pools.items()
    }
    for one, other in combinations(POOLS, 2):
        for prompt in parts[one].keys() & parts[other].keys():
            assert parts[one][prompt] == parts[other][prompt]
    assert len(parts["alpaca-eval"].keys() & parts["alpaca-eval-probe"].keys()) == 805


@every_pool
def test_parts_are_near_their_fractions(pools, name):
    part = pool_facts.parts(pools[name])
    n = len(part)
    for name, fraction in FRACTIONS.items():
        assert abs(np.mean(part == name) - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / n)


@every_pool
def test_the_stated_statistics_are_those_of_the_columns(pools, name):
    assert pool_facts.read(ROOT / "pools" / name)["statistics"] == pool_facts.statistics(pools[name])


def test_a_prompt_decides_for_itself_or_the_smallest_id_of_its_group_does(pools):
    for pool in pools.values():
        if pool.split_id is not None:
            own = pool.split_id == pool.prompt_id
            assert own.any()
            assert not own.all()
            assert (pool.split_id <= pool.prompt_id).all()
            assert set(pool.split_id.tolist()) <= set(pool.prompt_id[own].tolist())


@pytest.mark.parametrize("name", sorted(set(POOLS) - {"alpaca-eval-probe"}))
def test_equal_prompts_of_two_pools_are_counted_where_they_leak(pools, name):
    leaks = pool_facts.read(ROOT / "pools" / name)["leaks"]
    mine = set(pools[name].prompt_id.tolist())
    others = {other: len(mine & set(pools[other].prompt_id.tolist())) for other in POOLS if other != name}
    others.pop("alpaca-eval-probe", None)
    said = {other: facts["equal_prompts"] for other, facts in leaks.get("shared_with", {}).items()}
    assert {other: n for other, n in others.items() if n} == {other: n for other, n in said.items() if n}
    assert all(facts["near_duplicates"] >= facts["equal_prompts"] for facts in leaks.get("shared_with", {}).values())


def test_near_duplicates_are_in_one_part_where_the_pool_groups_them(pools):
    for name, pool in pools.items():
        if pool.split_id is not None:
            leaks = pool_facts.read(ROOT / "pools" / name)["leaks"]
            assert leaks["near_duplicate_pairs"] >= np.count_nonzero(pool.split_id != pool.prompt_id) > 0
            assert leaks["near_duplicate_pairs_across_parts"] == leaks["test_prompts_near_training"] == 0


@pytest.mark.parametrize("name", sorted(BOOK.tasks))
def test_a_task_says_how_far_a_plain_method_rises_above_the_controls(name):
    task = BOOK.task(name)
    line = pool_facts.read(task.pool_folder)["signal"][task.label]
    assert line["method"] in signal_lines.METHODS
    assert line["gain"][1] <= line["gain"][0] <= line["gain"][2]
    assert (line["gain_in_standard_errors"] > 0) == (line["gain"][0] > 0)
    options = cli.parser().parse_args(line["command"].split()[1:])
    assert options.task == [name]
    assert options.method == list(signal_lines.METHODS)


def test_info_shows_what_was_measured(capsys):
    assert cli.main(["info", "safety"]) == 0
    shown = capsys.readouterr().out
    facts = pool_facts.read(ROOT / "pools" / "safety")
    assert re.search(rf"^measured: statistics: longer_wins +{facts['statistics']['longer_wins']}$", shown, re.MULTILINE)
    assert re.search(r"^measured: leaks: shared_with: hh-rlhf: near_duplicates +\d+$", shown, re.MULTILINE)
    assert re.search(r"^measured: signal: safety@1: method +bt-", shown, re.MULTILINE)


def test_the_signal_is_that_of_the_stored_results():
    cells = results.read_all(generated.STORED)
    cells = [cell for cell in cells if cell.method in signal_lines.METHODS or cell.kind == "control"]
    for table in report(cells).tables:
        folder = BOOK.task(table.task).pool_folder
        assert pool_facts.read(folder)["signal"][table.task] == signal_lines.line(table)


def test_truthful_and_informative_make_the_gold_of_truthfulqa(pools):
    pool = pools["truthfulqa"]
    assert pool.attributes == ("truthful", "informative")
    assert len(pool.categories) == 38
    plain = np.isin(pool.ratings, (0, 1)).all(axis=1)
    assert plain.mean() > 0.99
    np.testing.assert_array_equal(pool.gold[plain], pool.ratings[plain].prod(axis=1))
    truthful, informative = pool.ratings[plain].T
    assert np.corrcoef(truthful, informative)[0, 1] < 0, "they trade off"


def test_the_two_humans_of_safety_stand_behind_its_gold(pools):
    pool = pools["safety"]
    assert pool.categories == ("safe", "unsafe")
    assert card("safety")["raters"] == ["human1", "human2"]
    assert set(np.unique(pool.gold)) == {0, 0.5, 1}
    votes = np.full((len(pool.gold), 2), np.nan)
    votes[pool.votes.response, pool.votes.rater] = pool.votes.value
    agreed = votes[:, 0] == votes[:, 1]
    np.testing.assert_array_equal(votes[agreed, 0], pool.gold[agreed])


def test_the_votes_of_mqm_make_its_gold_and_its_ratings_sum_to_it(pools):
    pool = pools["mqm"]
    assert pool.categories == ("en-de", "zh-en")
    assert pool.attributes == ("accuracy", "fluency", "other")
    votes = pool.votes
    mean = np.bincount(votes.response, votes.value) / np.bincount(votes.response, minlength=len(pool.gold))
    np.testing.assert_allclose(mean, pool.gold, atol=1e-4)
    np.testing.assert_allclose(pool.ratings.sum(axis=1), pool.gold, atol=1e-4)
    assert (pool.gold <= 0).all()


def test_gold_of_summaries_is_the_standardised_mean_of_its_ratings_where_there_are_any(pools):
    pool, facts = pools["summaries"], card("summaries")
    source = np.array(pool.categories)[pool.category[pool.prompt]]
    rated = np.isfinite(pool.ratings).any(axis=1)
    np.testing.assert_array_equal(rated, source != "realsumm")
    for name in pool.categories:
        mine = source == name
        assert abs(pool.gold[mine].mean()) < 1e-5
        assert pool.gold[mine].std() == pytest.approx(1, abs=1e-5)
        if name != "realsumm":
            back = pool.gold[mine] * facts["gold_sd"][name] + facts["gold_mean"][name]
            np.testing.assert_allclose(np.nanmean(pool.ratings[mine], axis=1), back, atol=1e-4)
    missing = {name: np.isnan(pool.ratings[source == name]).all(axis=0).tolist() for name in ("summeval", "newsroom")}
    assert missing == {"summeval": [False, False, False, True, False], "newsroom": [False, True, False, False, False]}


def test_the_agreement_of_gold_reward_models_is_that_of_their_stored_rewards(pools):
    homes = sorted(ROOT.glob("pools/*/golds/*"))
    assert [home.name for home in homes] == ["gold-1", "gold-2"]
    for home in homes:
        pool = pools[home.parents[1].name]
        stored = load_gold(home.parents[1], home.name, len(pool.response_id))
        test = test_set(pool, np.flatnonzero(pool_facts.parts(pool) == "test"))
        found = metric("pair-accuracy").value(test, Answers(stored.reward[test.rows].astype(float)))
        value, low, high = stored.card["held_out"][pool.name]["pair_accuracy"]
        assert found == pytest.approx(value, abs=6e-5)
        assert low < value < high
        assert f"{100 * value:.1f} %" in stored.summary
        assert len(stored.card["base_models"]) >= 4
