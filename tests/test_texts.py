"""A user's file becomes the pool that its rows say, or an error names the row. Whoever brings texts relies on it."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rmsuite.errors import InputError
from rmsuite.splits import PARTS, part_of, ranked_parts
from rmsuite.texts import files
from rmsuite.texts.examples import read_examples
from rmsuite.texts.files import Row, read_rows
from rmsuite.texts.pool import lay_out

PAIR = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}
RATED = {"prompt": "Why?", "responses": ["Because.", "No."], "rewards": [1.0, 0]}


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


def examples(*rows):
    return read_examples([Row(f"f line {i}", row) for i, row in enumerate(rows, 1)], "f")


def only(row):
    (example,) = examples(row).examples
    return example.prompt, [response.text for response in example.responses]


def write_lines(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


FORMS = {
    "three texts": PAIR,
    "prompt as chat": {**PAIR, "prompt": [user("Why?")]},
    "all as chat": {"prompt": [user("Why?")], "chosen": [assistant("Because.")], "rejected": [assistant("No.")]},
    "whole dialogues": {k: [user("Why?"), assistant(PAIR[k])] for k in ("chosen", "rejected")},
    "whole dialogues beside a prompt": {
        "prompt": "Why?",
        **{k: [user("Why?"), assistant(PAIR[k])] for k in ("chosen", "rejected")},
    },
    "texts of hh-rlhf": {k: f"\n\nHuman: Why?\n\nAssistant: {PAIR[k]}" for k in ("chosen", "rejected")},
    "parts of text": {**PAIR, "prompt": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
    "turns of ShareGPT": {**PAIR, "prompt": [{"from": "human", "value": "Why?"}]},
    "responses": RATED,
    "ratings": {"prompt": "Why?", "responses": RATED["responses"], "ratings": [5, 2]},
    "responses as dialogues": {**RATED, "responses": [[user("Why?"), assistant(t)] for t in RATED["responses"]]},
    "responses as turns": {**RATED, "prompt": [user("Why?")], "responses": [[assistant("Because.")], "No."]},
}


@pytest.mark.parametrize("row", FORMS.values(), ids=FORMS)
def test_every_form_of_one_example_is_the_same_example(row):
    assert only(row) == ("Why?", ["Because.", "No."])


def test_more_turns_are_written_as_hh_rlhf_writes_them_whichever_form_they_come_in():
    text = "\n\nHuman: A\n\nAssistant: B\n\nHuman: C\n\nAssistant:"
    turns = [user("A"), assistant("B"), user("C")]
    said = {"chosen": "yes", "rejected": "no"}
    rows = [
        {name: f"{text} {answer}" for name, answer in said.items()},
        {name: [*turns, assistant(answer)] for name, answer in said.items()},
        {"prompt": turns, **said},
        {"prompt": text, **said},
    ]
    assert [only(row) for row in rows] == [(text, ["yes", "no"])] * 4


def test_turns_that_go_on_after_the_prompt_stay_in_the_responses():
    row = {"prompt": [user("A")], "chosen": [assistant("B"), user("C"), assistant("yes")], "rejected": [assistant("B")]}
    assert only(row) == ("A", ["Assistant: B\n\nHuman: C\n\nAssistant: yes", "B"])


def test_texts_that_share_more_than_the_prompt_are_parted_at_the_last_mark():
    row = {name: f"\n\nHuman: A\n\nAssistant: The sky is {name}" for name in ("chosen", "rejected")}
    assert only(row) == ("A", ["The sky is chosen", "The sky is rejected"])
    nested = {name: f"\n\nHuman: A\n\nAssistant: {a}" for name, a in (("chosen", "x"), ("rejected", "x y"))}
    assert only(nested) == ("A", ["x", "x y"])


WRONG = {
    "no known field": ({"text": "a"}, "got the fields text"),
    "no rejected": ({"prompt": "a", "chosen": "b"}, "got the fields chosen, prompt"),
    "null rejected": ({**PAIR, "rejected": None}, "got the fields chosen, prompt"),
    "no rewards": ({"prompt": "a", "responses": ["b"]}, "got the fields prompt, responses"),
    "an empty object": ({}, "(none)"),
    "prompt is a number": ({**PAIR, "prompt": 3}, "prompt as text or list of chat turns"),
    "chosen is an empty list": ({**PAIR, "chosen": []}, "chosen as text or list of chat turns"),
    "a turn without content": ({**PAIR, "prompt": [{"role": "user"}]}, "chat turns in prompt"),
    "a picture": ({**PAIR, "prompt": [{"role": "user", "content": [{"type": "image"}]}]}, "chat turns in prompt"),
    "no prompt": ({"chosen": "a", "rejected": "b"}, "give the prompt in the field prompt"),
    "no shared turn": ({"chosen": [user("a")], "rejected": [user("b")]}, "give the prompt in the field prompt"),
    "mixed forms": ({"chosen": "a", "rejected": [assistant("b")]}, "responses of one form"),
    "a model is a list": ({**PAIR, "model": []}, "model as text"),
    "models are tables": ({**RATED, "models": [{}] * len(RATED["responses"])}, "models as text"),
    "a reward beyond float32": ({**RATED, "rewards": [1e39] * len(RATED["responses"])}, "numbers within float32"),
    "a reward beyond every float": (
        {**RATED, "rewards": [10**400] * len(RATED["responses"])},
        "numbers within float32",
    ),
    "an attribute without a name": (
        {**RATED, "attributes": {"": [1] * len(RATED["responses"])}},
        "an attribute as text",
    ),
    "responses are a text": ({**RATED, "responses": "a"}, "responses as a list"),
    "no responses": ({**RATED, "responses": [], "rewards": []}, "an empty list"),
    "too few rewards": ({**RATED, "rewards": [1]}, "1 for 2 responses"),
    "rewards are a number": ({**RATED, "rewards": 1}, "rewards as a list"),
    "a reward is a text": ({**RATED, "rewards": ["1", 2]}, "numbers in rewards, got '1'"),
    "a reward is true": ({**RATED, "rewards": [True, 2]}, "numbers in rewards, got True"),
    "a reward is infinite": ({**RATED, "rewards": [math.inf, 2]}, "numbers in rewards, got inf"),
    "attributes are a list": ({**RATED, "attributes": [1, 2]}, "attributes by name"),
    "an attribute too short": ({**RATED, "attributes": {"help": [1]}}, "as many help as responses"),
    "a category is a number": ({**PAIR, "category": 3}, "category as text"),
    "too few models": ({**RATED, "models": ["a"]}, "as many models as responses"),
    "a model is a number": ({**PAIR, "model": 3}, "model as text"),
}


@pytest.mark.parametrize(("row", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_row_is_refused_by_its_number(row, message):
    with pytest.raises(InputError) as error:
        examples(PAIR if "chosen" in row else RATED, row)
    assert error.value.who == "f line 2"
    assert message in str(error.value)
    assert all((error.value.expected, error.value.got, error.value.do))


def test_an_id_that_is_there_twice_names_both_rows():
    with pytest.raises(InputError, match=r"f line 3.*'a' again, as in f line 1"):
        examples({**PAIR, "id": "a"}, {**PAIR, "id": "b"}, {**PAIR, "id": "a"})


def test_pairs_and_rewards_in_one_file_are_refused():
    with pytest.raises(InputError, match=r"f line 2.*rewards after f line 1"):
        examples(PAIR, RATED)


def test_what_is_left_out_is_counted_and_the_rest_is_kept():
    found = examples(
        {**PAIR, "chosen": "No."},
        {**PAIR, "prompt": " \n"},
        {**PAIR, "rejected": ""},
        {**PAIR, "surprise": 1, "id": 3},
    )
    assert len(found.examples) == 1
    assert dict(found.left_out) == {
        "rows whose chosen equals rejected": 1,
        "rows with an empty prompt": 1,
        "empty responses": 1,
    }
    assert found.unread == ["surprise"]
    rated = examples({**RATED, "responses": ["a", "b", "c", ""], "rewards": [None, math.nan, 2, 3]})
    assert [r.text for r in rated.examples[0].responses] == ["c"]
    assert dict(rated.left_out) == {"responses without a reward (missing or NaN)": 2, "empty responses": 1}


@pytest.mark.parametrize("rows", [[], [{**PAIR, "chosen": "No."}]])
def test_a_file_of_which_nothing_is_left_is_refused(rows):
    with pytest.raises(InputError, match="expected rows with prompt, chosen, rejected"):
        examples(*rows)


# Files


@pytest.mark.parametrize(
    ("raw", "where", "message"),
    [
        (b'{"a": 1}\n{"a": 2', "line 2", "a last line that is cut off"),
        (b'{"a": 1}\n\n[1]\n', "line 3", "got list"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "line 2", "text in UTF-8, got byte 0xff"),
        (b"PAR1\x15\x04", "line 1", "got"),
        (b'[\n{"a": 1},\n{"a": 2}\n]\n', "line 1", "one JSON object"),
    ],
)
def test_lines_that_are_no_json_are_refused_by_their_number(tmp_path, raw, where, message):
    path = tmp_path / "x.jsonl"
    path.write_bytes(raw)
    with pytest.raises(InputError) as error:
        list(read_rows(path))
    assert error.value.who == f"{path} {where}"
    assert message in str(error.value)


def test_blank_lines_byte_order_marks_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": "\xc3\xa9"}')
    assert [(row.where[-6:], row.fields) for row in read_rows(path)] == [("line 1", {"a": 1}), ("line 3", {"a": "é"})]


def test_a_missing_file_and_a_folder_without_data_are_refused(tmp_path):
    for path in (tmp_path / "absent.jsonl", tmp_path):
        with pytest.raises(InputError, match=str(path)):
            list(read_rows(path))


ROWS = [{**PAIR, "prompt": f"Why {i}?"} for i in range(600)]


def saved(folder: Path, rows, shards=2) -> Path:
    """Write a data set as ``save_to_disk`` does: Arrow streams, state.json and dataset_info.json."""
    pyarrow = pytest.importorskip("pyarrow")
    folder.mkdir()
    names = [f"data-{i:05d}-of-{shards:05d}.arrow" for i in range(shards)]
    for i, name in enumerate(names):
        table = pyarrow.Table.from_pylist(rows[i * len(rows) // shards : (i + 1) * len(rows) // shards])
        with pyarrow.OSFile(str(folder / name), "wb") as file, pyarrow.ipc.new_stream(file, table.schema) as out:
            out.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_parquet_and_saved_data_sets_hold_the_rows_that_json_lines_do(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist(ROWS)
    parquet.write_table(table, tmp_path / "x.parquet")
    (tmp_path / "parts").mkdir()
    parquet.write_table(table.slice(0, 100), tmp_path / "parts" / "0.parquet")
    parquet.write_table(table.slice(100), tmp_path / "parts" / "1.parquet")
    with pyarrow.OSFile(str(tmp_path / "x.arrow"), "wb") as file, pyarrow.ipc.new_file(file, table.schema) as out:
        out.write_table(table)
    for source in ("x.parquet", "parts", "x.arrow", saved(tmp_path / "saved", ROWS).name):
        rows = list(read_rows(tmp_path / source))
        assert [row.fields for row in rows] == ROWS
        assert rows[0].where.endswith(" row 1")
    assert next(iter(read_rows(tmp_path / "saved"))).where == f"{tmp_path}/saved/data-00000-of-00002.arrow row 1"


def test_lists_and_chat_turns_survive_arrow(tmp_path):
    row = {**RATED, "prompt": [user("Why?")], "attributes": {"help": [1.0, None]}}
    ((read),) = read_rows(saved(tmp_path / "saved", [row], shards=1))
    (example,) = examples(read.fields).examples
    assert (example.prompt, [r.attributes for r in example.responses]) == ("Why?", [{"help": 1.0}, {}])


def test_a_data_set_of_several_splits_names_them(tmp_path):
    saved(tmp_path / "train", ROWS[:2], 1)
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(InputError, match=f"give one of its folders: {tmp_path}/train"):
        list(read_rows(tmp_path))


@pytest.mark.parametrize("damage", ["missing", "cut", "no list"])
def test_a_damaged_data_set_is_refused(tmp_path, damage):
    folder = saved(tmp_path / "saved", ROWS)
    shard = folder / "data-00001-of-00002.arrow"
    if damage == "missing":
        shard.unlink()
    elif damage == "cut":
        shard.write_bytes(shard.read_bytes()[:-2000])
    else:
        (folder / "state.json").write_text("{}")
    with pytest.raises(InputError, match="saved"):
        list(read_rows(folder))


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="expected a Parquet file"):
        list(read_rows(tmp_path / "x.parquet"))


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.parquet").write_bytes(b"no")
    monkeypatch.setitem(sys.modules, "pyarrow.ipc", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"rmsuite\[parquet\]"):
        list(files.read_rows(tmp_path / "x.parquet"))


# Pools


def pool_of(*rows):
    return lay_out(examples(*rows).examples, "f")


MANY = [
    {
        "prompt": f"Q {i}",
        "responses": [f"a {i} {j}" for j in range(2 + i % 3)],
        "rewards": [float(j) for j in range(2 + i % 3)],
        "attributes": {"help": [None, *(float(i) for _ in range(1 + i % 3))]},
        "category": "ab"[i % 2],
        "models": [f"m{j}" for j in range(2 + i % 3)],
    }
    for i in range(40)
]


def test_the_order_of_rows_does_not_move_a_pool():
    one, other = pool_of(*MANY), pool_of(*MANY[::-1])
    assert one.texts == other.texts
    assert set(one.columns) == set(other.columns)
    for name, column in one.columns.items():
        np.testing.assert_array_equal(column, other.columns[name], strict=True)


def test_every_row_of_a_pool_says_what_its_example_said():
    pool = pool_of(*MANY)
    said = {(r["prompt"], t): (r, j) for r in MANY for j, t in enumerate(r["responses"])}
    offsets = pool.columns["offsets"]
    assert len(pool.texts) == len(said) == offsets[-1]
    for i, (start, stop) in enumerate(pairwise(offsets)):
        for place in range(start, stop):
            prompt, response = pool.texts[place]
            row, j = said[prompt, response]
            assert pool.columns["prompt_id"][i] == hashlib.sha1(prompt.encode()).hexdigest()[:12].encode()
            key = f"{prompt}\0m{j}\0{response}".encode()
            assert pool.columns["response_id"][place] == hashlib.sha1(key).hexdigest()[:14].encode()
            assert pool.columns["gold"][place] == row["rewards"][j]
            assert pool.columns["length"][place] == len(response)
            assert pool.categories[pool.columns["category"][i]] == row["category"]
            assert pool.generators[pool.columns["generator"][place]] == f"m{j}"
            rating, known = pool.columns["ratings"][place, 0], row["attributes"]["help"][j]
            assert math.isnan(rating) if known is None else rating == known


def test_pairs_of_a_prompt_share_its_responses():
    rows = [{"prompt": f"Q {i % 20}", "chosen": "best", "rejected": f"worse {i // 20}"} for i in range(60)]
    pool = pool_of(*rows)
    assert (len(pool.columns["prompt_id"]), len(pool.texts), pool.columns["human_pairs"].shape) == (20, 80, (60, 2))
    for chosen, rejected in pool.columns["human_pairs"]:
        assert pool.texts[chosen][0] == pool.texts[rejected][0]
        assert (pool.texts[chosen][1], pool.texts[rejected][1][:5]) == ("best", "worse")
    assert not pool.counts


def test_equal_responses_of_a_prompt_are_one_row_with_their_mean_reward():
    pool = pool_of(*MANY, {"prompt": "Q 0", "responses": ["x", "x"], "rewards": [1, 2]})
    place = pool.texts.index(("Q 0", "x"))
    assert pool.columns["gold"][place] == 1.5
    assert list(pool.counts.values()) == [1]


def test_prompts_without_a_pair_are_kept_and_counted():
    pool = pool_of(
        *MANY,
        {"prompt": "alone", "responses": ["x"], "rewards": [1]},
        {"prompt": "equal", "responses": ["x", "y"], "rewards": [1, 1]},
    )
    assert len(pool.columns["prompt_id"]) == 42
    assert list(pool.counts.values()) == [2]


@pytest.mark.parametrize("n", [3, 4, 5, 7, 10, 20, 30])
def test_no_part_of_a_few_prompts_is_empty(n):
    for start in range(20):
        pool = pool_of(*({**PAIR, "prompt": f"Q {start} {i}"} for i in range(n)))
        ids = pool.columns["prompt_id"]
        if pool.hashed:
            assert "part" not in pool.columns
            part = part_of(ids)
        else:
            part = np.array(PARTS)[pool.columns["part"]]
        assert set(part) == set(PARTS)
        assert np.count_nonzero(part == "train") >= 1


def test_few_prompts_are_shared_out_near_the_fractions():
    for n in range(3, 60):
        sizes = np.bincount(ranked_parts([b"%d" % i for i in range(n)]), minlength=3)
        assert sizes.min() >= 1
        assert sizes.sum() == n
        assert np.abs(sizes - n * np.array([0.6, 0.15, 0.25])).max() <= 1.0 + 1e-9


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_prompts_are_refused_with_the_number_that_is_needed(n):
    with pytest.raises(InputError, match="at least 3 prompts"):
        pool_of(*({**PAIR, "prompt": f"Q {i}"} for i in range(n)))


def test_a_response_of_a_million_characters_and_any_script_is_a_row(tmp_path):
    rows = [{**PAIR, "prompt": f"¿Qué {i}? 日本 🙂 \ud800", "chosen": "x " * 500_000} for i in range(20)]
    pool = lay_out(read_examples(read_rows(write_lines(tmp_path / "x.jsonl", rows)), "x").examples, "x")
    assert sorted(set(pool.columns["length"].tolist())) == [3, 10**6]
